// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs of the features `stamp` and `flash`: all but those of a small reader.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use identity_core::{Mac, Uuid};

use super::{Format, Late, SafetyArgs, parse_uuid};
use identity_host::device::Cid;
#[cfg(feature = "flash")]
use identity_host::image::digest::Sum;
use identity_host::repair::Keep;
use identity_host::stamp::Unset;

/// The verbs that write, or help to.
#[derive(Debug, Subcommand)]
pub enum WriteVerb {
    /// Give a card an identity, or update the one it has
    #[command(display_order = 1, after_help = STAMP_EXAMPLES)]
    Stamp(Late<StampArgs>),
    /// Note in the identity which card, and which board, it belongs to
    #[command(display_order = 5, after_help = BIND_EXAMPLES)]
    Bind(Late<BindArgs>),
    /// Make a degraded identity whole again from its good copy
    #[command(
        display_order = 6,
        after_help = REPAIR_EXAMPLES
    )]
    Repair(Late<RepairArgs>),
    /// Remove the identity from a card
    #[command(
        display_order = 7,
        after_help = "Examples:\n  identity erase /dev/sdb\n  identity erase --force card.img"
    )]
    Erase(Late<EraseArgs>),
    /// Write an image to a card, which keeps its identity
    #[cfg(feature = "flash")]
    #[command(display_order = 8, after_help = FLASH_EXAMPLES)]
    Flash(Late<FlashArgs>),
    /// Show what owns the sectors before the first partition, and where copies can be
    #[command(display_order = 9, after_help = MAP_EXAMPLES)]
    Map(Late<MapArgs>),
    /// Print a completion script for a shell
    #[cfg(feature = "flash")]
    #[command(
        display_order = 11,
        after_help = "Example:\n  identity completions bash > /usr/share/bash-completion/completions/identity"
    )]
    Completions {
        /// Shell to write for
        shell: clap_complete::Shell,
    },
    /// Write manual pages, one for each verb, into a directory
    #[cfg(feature = "flash")]
    #[command(
        display_order = 12,
        after_help = "Examples:\n  identity man /usr/share/man/man1\n  identity man > identity.1"
    )]
    Man {
        /// Directory that is there; without it, identity(1) goes to standard output
        dir: Option<PathBuf>,
    },
}

const STAMP_EXAMPLES: &str = "\
Examples:
  identity stamp --create 64M --profile panda card.img      make a new image and stamp it
  identity stamp --profile panda --hostname panda-03 /dev/sdb
  identity stamp --uuid 9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5 --hostname panda-04 /dev/sdb
                                                            change the identity that the card has
  identity stamp --force --profile panda /dev/sdb           replace it by a new one

An update keeps what is not named; --unset removes. Nothing is written before every check has passed.";

const REPAIR_EXAMPLES: &str = "\
Examples:
  identity repair /dev/sdb
  identity repair --dry-run card.img
  identity repair --keep 9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5 /dev/sdb
                                                 of two identities on one card, keep this one

A copy that a smaller gap has left in a partition is moved in front of it.";

const BIND_EXAMPLES: &str = "\
Examples:
  identity bind /dev/mmcblk0              to this card: a copy of it is `cloned` from now on
  identity bind --mounted --card --board  on the running board: and to it, the card in another one is `moved`
  identity bind --cid 035344534c33324780aabbccdd015500 card.img
  identity bind --unbind /dev/mmcblk0

Without --card, --cid and --board it binds to the card, and unbinds from both. The CID is visible in native slots only.
What does not fit its bindings, U-Boot does not use, and read and verify exit with 5.";

#[cfg(feature = "flash")]
const FLASH_EXAMPLES: &str = "\
Examples:
  identity flash debian.img.xz /dev/sdb        asks, writes, reads back; the card keeps its identity
  identity flash --yes --profile panda panda.img /dev/sdb
                                               a card without identity gets a new one
  curl -L URL | identity flash --yes --sha256 SUM - /dev/sdb
  identity flash --dry-run --format json panda.img.zst /dev/mmcblk0

IMAGE is raw, gzip, xz, zstd, bzip2, or a zip archive with one file. IMAGE.sha256 and IMAGE.bmap are used when they \
are there. An identity inside the image is never carried over. An image that is no multiple of 512 bytes is padded with \
zeros; bytes behind a gzip or bzip2 file are ignored.

While it writes, a record of the card's identity is in $XDG_STATE_HOME/identity, ~/.local/state/identity or, for root, \
/var/lib/identity; run the same command again after an interruption.";

const MAP_EXAMPLES: &str = "\
Examples:
  identity map /dev/sdb
  identity map --format svg card.img > card.svg             for a wiki page";

/// `identity stamp`.
#[derive(Debug, Args)]
pub struct StampArgs {
    /// Block device of the whole card, or image file
    pub target: PathBuf,
    /// Name of the board's role, 1-63 of A-Z a-z 0-9 . _ + -
    #[arg(long, value_name = "NAME", required_unless_present_any = ["uuid", "restore"])]
    pub profile: Option<String>,
    /// UUID to use; the one that the card has makes this an update [default: a random one]
    #[arg(long, value_parser = parse_uuid)]
    pub uuid: Option<Uuid>,
    /// Hostname, RFC 1123, at most 63 characters
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Board serial, printable ASCII without space, at most 63 characters
    #[arg(long)]
    pub serial: Option<String>,
    /// Assign a MAC address to interface INDEX [default: 0] instead of the derived one
    #[arg(long, value_name = "[INDEX=]MAC", value_parser = parse_mac)]
    pub mac: Vec<(u8, Mac)>,
    /// Store a variable; keys are [a-z][a-z0-9_]*
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_variable)]
    pub set: Vec<(String, String)>,
    /// Remove a field in an update: hostname, serial, mac.INDEX or variables.KEY
    #[arg(long, value_name = "FIELD", requires = "uuid", value_parser = parse_unset)]
    pub unset: Vec<Unset>,
    /// Put the copies here, instead of choosing among the slots
    #[arg(long, value_name = "LBA[,LBA]", value_delimiter = ',', num_args = 1)]
    pub at: Vec<u32>,
    /// Bind the identity to this card, where the reader tells its CID
    #[arg(long)]
    pub bind: bool,
    /// Give the card the identity in this file: a record of an unfinished flash, of an erased or replaced identity, or what
    /// `identity read --format json` prints
    #[arg(long, value_name = "FILE", conflicts_with_all = ["uuid", "profile", "hostname", "serial", "mac", "set", "unset"])]
    pub restore: Option<PathBuf>,
    /// Make a new image of this size with one FAT partition at 4 MiB (like 64M or 4G)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub create: Option<u64>,
    /// Replace another identity, and clear its copies in partitions; with --at, also overwrite data that is there
    #[arg(long)]
    pub force: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What may be written to
    #[command(flatten)]
    pub safety: SafetyArgs,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity bind`.
#[derive(Debug, Args)]
pub struct BindArgs {
    /// Block device of the whole card, or image file [default: as for read]
    pub target: Option<PathBuf>,
    /// To the card that it is on
    #[arg(long)]
    pub card: bool,
    /// To the card with this CID, 32 hex digits
    #[arg(long, value_name = "HEX", conflicts_with_all = ["card", "unbind"])]
    pub cid: Option<Cid>,
    /// To the board with this serial number or SoC id [default: the board that this runs on]
    #[arg(long, value_name = "SERIAL", num_args = 0..=1, require_equals = true)]
    pub board: Option<Option<String>>,
    /// Remove the binding instead: to the card with --card, to the board with --board, else both
    #[arg(long)]
    pub unbind: bool,
    /// Also if the identity is bound to another card or board
    #[arg(long)]
    pub force: bool,
    /// Also on a card in use, such as the one that the system runs from: its two copies are in no partition
    #[arg(long)]
    pub mounted: bool,
    /// Only a valid, whole identity that is bound to nothing yet; for a board that binds its card on its first boot
    #[arg(long, conflicts_with_all = ["unbind", "force"])]
    pub if_unbound: bool,
    /// Look here before the slots
    #[arg(long, value_name = "LBA")]
    pub at: Option<u32>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What may be written to
    #[command(flatten)]
    pub safety: SafetyArgs,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity repair`.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// Block device of the whole card, or image file
    pub target: PathBuf,
    /// Of two identities, keep the one with this UUID, or at this LBA; of a lone copy it says that it is this card's
    #[arg(long, value_name = "UUID|LBA", value_parser = parse_keep)]
    pub keep: Option<Keep>,
    /// Complete an identity of which only one copy is left, clear copies in partitions, and write over other data where the
    /// second copy belongs
    #[arg(long)]
    pub force: bool,
    /// Look here before the slots
    #[arg(long, value_name = "LBA")]
    pub at: Option<u32>,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What may be written to
    #[command(flatten)]
    pub safety: SafetyArgs,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity erase`.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// Block device of the whole card, or image file
    pub target: PathBuf,
    /// Look here before the slots
    #[arg(long, value_name = "LBA")]
    pub at: Option<u32>,
    /// Do not ask, and erase also copies that are damaged, newer, or of several identities
    #[arg(long)]
    pub force: bool,
    /// Show what would be erased, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What may be written to
    #[command(flatten)]
    pub safety: SafetyArgs,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity flash`.
#[cfg(feature = "flash")]
#[derive(Debug, Args)]
pub struct FlashArgs {
    /// Image of a whole card, packed or not; - for standard input
    pub image: PathBuf,
    /// Block device of the whole card, or image file
    pub target: PathBuf,
    /// Give a card without identity a new one, with this role
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Hostname of the new identity
    #[arg(long, value_name = "NAME", requires = "profile")]
    pub hostname: Option<String>,
    /// Board serial of the new identity
    #[arg(long, requires = "profile")]
    pub serial: Option<String>,
    /// Put the copies here, instead of choosing among the slots
    #[arg(long, value_name = "LBA[,LBA]", value_delimiter = ',', num_args = 1)]
    pub at: Vec<u32>,
    /// SHA-256 of IMAGE as distributed [default: from IMAGE.sha256, if that is there]
    #[arg(long, value_name = "SUM", value_parser = Sum::parse)]
    pub sha256: Option<Sum>,
    /// Block map of the image [default: IMAGE.bmap, if that is there]
    #[arg(long, value_name = "FILE", conflicts_with = "no_bmap")]
    pub bmap: Option<PathBuf>,
    /// Use no block map
    #[arg(long)]
    pub no_bmap: bool,
    /// Give the card the identity in this record
    #[arg(long, value_name = "FILE", conflicts_with_all = ["profile", "no_restore"])]
    pub restore: Option<PathBuf>,
    /// Ignore records of unfinished flashes
    #[arg(long)]
    pub no_restore: bool,
    /// Write an image that has no partition table
    #[arg(long)]
    pub no_table: bool,
    /// Memory that unpacking may take, like 2G [default: 1G, or what the machine has]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Do not read back what was written, but for the first MiB and the identity
    #[arg(long)]
    pub no_verify: bool,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// Write also where no place is left for the identity, or where its state is doubtful; with --profile, replace it; what
    /// the card loses is kept on this host
    #[arg(long)]
    pub force: bool,
    /// Show what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// What may be written to
    #[command(flatten)]
    pub safety: SafetyArgs,
    /// Output format; with json, also lines of progress
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity map`.
#[derive(Debug, Args)]
pub struct MapArgs {
    /// Block device of the whole card, or image file
    pub target: PathBuf,
    /// Look here before the slots
    #[arg(long, value_name = "LBA")]
    pub at: Option<u32>,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: MapFormat,
}

/// Output of `map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MapFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// A picture
    Svg,
}

fn parse_mac(text: &str) -> Result<(u8, Mac), String> {
    let (index, mac) = text.split_once('=').unwrap_or(("0", text));
    let index =
        index.parse().map_err(|_| format!("the interface index {index:?} is not a number from 0 to 255"))?;
    let mac = mac.parse().map_err(|error| format!("the address {error}"))?;
    Ok((index, mac))
}

fn parse_unset(text: &str) -> Result<Unset, String> {
    let rule = || "it takes hostname, serial, mac.INDEX or variables.KEY".to_owned();
    if let Some(key) = text.strip_prefix("variables.") {
        return Ok(Unset::Variable(key.into()));
    }
    if let Some(index) = text.strip_prefix("mac.") {
        return index.parse().map(Unset::Mac).map_err(|_| rule());
    }
    match text {
        "hostname" => Ok(Unset::Hostname),
        "serial" => Ok(Unset::Serial),
        _ => Err(rule()),
    }
}

fn parse_keep(text: &str) -> Result<Keep, String> {
    if let Ok(lba) = text.parse() {
        return Ok(Keep::Lba(lba));
    }
    let uuid = Uuid::try_parse(text).map_err(|_| "it takes the UUID to keep, or the LBA of a copy")?;
    Ok(Keep::Uuid(uuid))
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    let (key, value) = text.split_once('=').ok_or("a variable is KEY=VALUE")?;
    identity_core::text::check_key(key.as_bytes()).map_err(|error| format!("the key {error}"))?;
    identity_core::text::check_value(value.as_bytes()).map_err(|error| format!("the value {error}"))?;
    Ok((key.into(), value.into()))
}

/// A size in bytes, with K, M or G for powers of 1024.
fn parse_size(text: &str) -> Result<u64, String> {
    let error = || "a size is a number with K, M or G (powers of 1024), like 64M".to_owned();
    let (digits, unit) = match text.as_bytes().last() {
        Some(b'K' | b'k') => (&text[..text.len() - 1], 1 << 10),
        Some(b'M' | b'm') => (&text[..text.len() - 1], 1 << 20),
        Some(b'G' | b'g') => (&text[..text.len() - 1], 1 << 30),
        _ => (text, 1),
    };
    let number: u64 = digits.parse().map_err(|_| error())?;
    number.checked_mul(unit).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        assert_eq!(parse_size("64M"), Ok(64 << 20));
        assert_eq!(parse_size("512"), Ok(512));
        assert_eq!(parse_size("2g"), Ok(2 << 30));
        for bad in ["", "M", "64MB", "-1M", "99999999999999999999G", "1.5G"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn macs() {
        let mac = "02:00:00:00:00:01".parse().unwrap();
        assert_eq!(parse_mac("02:00:00:00:00:01"), Ok((0, mac)));
        assert_eq!(parse_mac("3=02:00:00:00:00:01"), Ok((3, mac)));
        for bad in ["x=02:00:00:00:00:01", "256=02:00:00:00:00:01", "01:00:00:00:00:00", "0="] {
            assert!(parse_mac(bad).is_err(), "{bad}");
        }
    }
}
