// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs of the features `stamp` and `flash`: all but those of a small reader.

#[cfg(feature = "flash")]
use std::ffi::OsString;
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
    /// Bind the identity to its card, its board, or both
    #[command(display_order = 5, after_help = BIND_EXAMPLES)]
    Bind(Late<BindArgs>),
    /// Make a degraded identity whole from its good copy, or keep one of two identities
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
    /// Write an image to a card; the card keeps its identity
    #[cfg(feature = "flash")]
    #[command(display_order = 8, after_help = FLASH_EXAMPLES)]
    Flash(Late<FlashArgs>),
    /// Show who owns the sectors before the first partition, and which slots are free
    #[command(display_order = 9, after_help = MAP_EXAMPLES)]
    Map(Late<MapArgs>),
    /// Print a completion script for a shell
    #[cfg(feature = "flash")]
    #[command(
        display_order = 11,
        after_help = "Example:\n  identity completions bash > /etc/bash_completion.d/identity"
    )]
    Completions {
        /// Shell that will read the script
        shell: clap_complete::Shell,
    },
    /// Write a manual page for each verb into a directory
    #[cfg(feature = "flash")]
    #[command(
        display_order = 12,
        after_help = "Examples:\n  identity man /usr/share/man/man1\n  identity man > identity.1"
    )]
    Man {
        /// Existing directory; without it, identity(1) is printed
        dir: Option<PathBuf>,
    },
    /// Run identity-lab: boards, profiles and servers' files of a whole lab
    #[cfg(feature = "flash")]
    #[command(
        display_order = 13,
        disable_help_flag = true,
        after_help = "Examples:\n  identity lab --help\n  identity lab list\n\nIt is a program of its own, in the package \
            sd-card-identity-lab: beside this one, or in PATH. The exit code is its own."
    )]
    Lab {
        /// Arguments of identity-lab
        #[arg(value_name = "ARGUMENT", trailing_var_arg = true, allow_hyphen_values = true)]
        arguments: Vec<OsString>,
    },
}

const STAMP_EXAMPLES: &str = "\
Examples:
  identity stamp --create 64M --profile panda card.img     make a stamped image
  identity stamp --profile panda --hostname panda-03 /dev/sdb
  identity stamp --uuid UUID --hostname panda-04 /dev/sdb  change the identity
  identity stamp --force --profile panda /dev/sdb          replace the identity
  identity stamp --restore FILE /dev/sdb                   undo erase

With the card's own UUID, stamp updates the identity: it keeps every field that is not named, and --unset removes fields. Every \
check is made before the first write. Before another identity is replaced, a record of it is kept on this host.";

const REPAIR_EXAMPLES: &str = "\
Examples:
  identity repair /dev/sdb
  identity repair --dry-run card.img
  identity repair --keep UUID /dev/sdb  of two identities, keep this one

Repair also moves a copy that lies in a partition to a slot before the first partition.";

const BIND_EXAMPLES: &str = "\
Examples:
  identity bind /dev/mmcblk0              to this card: a copy of it is `cloned`
  identity bind --mounted --card --board  on the board, to card and board
  identity bind --cid 035344534c33324780aabbccdd015500 card.img
  identity bind --unbind /dev/mmcblk0

Without --card, --cid and --board, bind binds to the card, and --unbind removes both bindings. Only native slots show the card's \
CID. If a binding does not match, the identity is `cloned` or `moved`: U-Boot and Linux do not use it, and read and verify \
exit with 5.";

#[cfg(feature = "flash")]
const FLASH_EXAMPLES: &str = "\
Examples:
  identity flash debian.img.xz /dev/sdb                ask, write, read back
  identity flash --yes --profile panda panda.img /dev/sdb
  curl -L URL | identity flash --yes --sha256 SUM - /dev/sdb
  identity flash --restore card.img card.img /dev/sdb  with the identity in it
  identity flash --dry-run --format json panda.img.zst /dev/mmcblk0

IMAGE is raw, gzip, xz, zstd, bzip2, or a zip archive with one file. IMAGE.sha256 and IMAGE.bmap are used if they exist. \
An identity inside the image is left out, as many cards may get the image; for an image that is made for one card, name it \
again: --restore IMAGE. An image whose length is not a multiple of 512 bytes is padded with zeros; bytes \
after the end of a gzip or bzip2 file are ignored.

While flash writes, a record of the card's identity is on this host. After an interruption, run the same command again.";

const MAP_EXAMPLES: &str = "\
Examples:
  identity map /dev/sdb
  identity map --format svg card.img > card.svg  for a wiki page";

/// Arguments of `identity stamp`.
#[derive(Debug, Args)]
pub struct StampArgs {
    /// Block device of the whole card, or image file
    pub target: PathBuf,
    /// Name of the board's role: 1 to 63 characters of A-Z a-z 0-9 . _ + -
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// UUID of the identity; the card's own UUID makes this an update [default: a random one]
    #[arg(long, value_parser = parse_uuid)]
    pub uuid: Option<Uuid>,
    /// Hostname by RFC 1123, at most 63 characters
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Board serial: at most 63 characters of printable ASCII without space
    #[arg(long)]
    pub serial: Option<String>,
    /// Assign a MAC address to interface INDEX [default: 0], instead of the derived one
    #[arg(long, value_name = "[INDEX=]MAC", value_parser = parse_mac)]
    pub mac: Vec<(u8, Mac)>,
    /// Set a variable; a key is [a-z][a-z0-9_]*
    #[arg(long, value_name = "KEY=VALUE", value_parser = parse_variable)]
    pub set: Vec<(String, String)>,
    /// In an update, remove a field: hostname, serial, mac.INDEX or variables.KEY
    #[arg(long, value_name = "FIELD", requires = "uuid", value_parser = parse_unset)]
    pub unset: Vec<Unset>,
    /// Put the copies at these LBAs instead of in slots
    #[arg(long, value_name = "LBA[,LBA]", value_delimiter = ',', num_args = 1)]
    pub at: Vec<u32>,
    /// Bind the identity to this card, if the reader shows its CID
    #[arg(long)]
    pub bind: bool,
    /// Give the card the identity in this file: a record of an erased or replaced identity or of an unfinished flash, what
    /// `identity read --format json` prints, or the image of a card
    #[arg(long, value_name = "FILE", conflicts_with_all = ["uuid", "profile", "hostname", "serial", "mac", "set", "unset"])]
    pub restore: Option<PathBuf>,
    /// Make a new image of this size with one FAT partition at 4 MiB (like 64M or 4G)
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub create: Option<u64>,
    /// Replace another identity, and clear copies in partitions; with --at, also overwrite the data there
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

/// Arguments of `identity bind`.
#[derive(Debug, Args)]
pub struct BindArgs {
    /// Block device of the whole card, or image file [default: as for read]
    pub target: Option<PathBuf>,
    /// Bind to the card that the identity is on
    #[arg(long)]
    pub card: bool,
    /// Bind to the card with this CID (32 hex digits)
    #[arg(long, value_name = "HEX", conflicts_with_all = ["card", "unbind"])]
    pub cid: Option<Cid>,
    /// Bind to the board with this serial number or SoC id [default: the board that this runs on]
    #[arg(long, value_name = "SERIAL", num_args = 0..=1, require_equals = true)]
    pub board: Option<Option<String>>,
    /// Remove bindings: the card's with --card, the board's with --board, else both
    #[arg(long)]
    pub unbind: bool,
    /// Replace a binding to another card or board
    #[arg(long)]
    pub force: bool,
    /// Write to a card in use, such as the one that the system runs from: the two copies only, before every partition
    #[arg(long)]
    pub mounted: bool,
    /// Bind only a valid, whole identity without bindings; for a board that binds its card at its first start
    #[arg(long, conflicts_with_all = ["unbind", "force"])]
    pub if_unbound: bool,
    /// Look at this LBA before the slots
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

/// Arguments of `identity repair`.
#[derive(Debug, Args)]
pub struct RepairArgs {
    /// Block device of the whole card, or image file
    pub target: PathBuf,
    /// Of two identities, keep the one with this UUID or the copy at this LBA; of a lone copy, confirm that it is this card's
    #[arg(long, value_name = "UUID|LBA", value_parser = parse_keep)]
    pub keep: Option<Keep>,
    /// Complete an identity of which one copy is left, clear copies in partitions, and where no slot is free write over
    /// other data at the second copy's place
    #[arg(long)]
    pub force: bool,
    /// Look at this LBA before the slots
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

/// Arguments of `identity erase`.
#[derive(Debug, Args)]
pub struct EraseArgs {
    /// Block device of the whole card, or image file
    pub target: PathBuf,
    /// Look at this LBA before the slots
    #[arg(long, value_name = "LBA")]
    pub at: Option<u32>,
    /// Do not ask; also erase copies that are damaged, newer, or of several identities
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

/// Arguments of `identity flash`.
#[cfg(feature = "flash")]
#[derive(Debug, Args)]
pub struct FlashArgs {
    /// Image of a whole card, compressed or not; - for standard input
    pub image: PathBuf,
    /// Block device of the whole card, or image file
    pub target: PathBuf,
    /// Give a card without identity a new one with this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Hostname of the new identity
    #[arg(long, value_name = "NAME", requires = "profile")]
    pub hostname: Option<String>,
    /// Board serial of the new identity
    #[arg(long, requires = "profile")]
    pub serial: Option<String>,
    /// Put the copies at these LBAs instead of in slots
    #[arg(long, value_name = "LBA[,LBA]", value_delimiter = ',', num_args = 1)]
    pub at: Vec<u32>,
    /// SHA-256 of IMAGE as distributed [default: from IMAGE.sha256, if that exists]
    #[arg(long, value_name = "SUM", value_parser = Sum::parse)]
    pub sha256: Option<Sum>,
    /// Block map of the image [default: IMAGE.bmap, also without IMAGE's extensions, if it exists and is not older than a raw IMAGE]
    #[arg(long, value_name = "FILE", conflicts_with = "no_bmap")]
    pub bmap: Option<PathBuf>,
    /// Take the block map only with a good clear-signature, which gpg checks
    #[arg(long, conflicts_with = "no_bmap")]
    pub bmap_signed: bool,
    /// Use no block map
    #[arg(long)]
    pub no_bmap: bool,
    /// Give the card the identity in this file, as `stamp --restore` does
    #[arg(long, value_name = "FILE", conflicts_with_all = ["profile", "no_restore"])]
    pub restore: Option<PathBuf>,
    /// Ignore records of unfinished flashes
    #[arg(long)]
    pub no_restore: bool,
    /// Write an image that has no partition table
    #[arg(long)]
    pub no_table: bool,
    /// Memory that unpacking may use, like 2G [default: 1G, or less where the machine has less]
    #[arg(long, value_name = "SIZE", value_parser = parse_size)]
    pub memory: Option<u64>,
    /// Read back only the first MiB and the identity, not everything that was written
    #[arg(long)]
    pub no_verify: bool,
    /// Do not ask before writing
    #[arg(long, short)]
    pub yes: bool,
    /// Write even if the identity has no place, its state is doubtful, or it may be another card's; with --profile, replace
    /// it. A record of what the card loses is kept on this host
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

/// Arguments of `identity map`.
#[derive(Debug, Args)]
pub struct MapArgs {
    /// Block device of the whole card, or image file
    pub target: PathBuf,
    /// Look at this LBA before the slots
    #[arg(long, value_name = "LBA")]
    pub at: Option<u32>,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: MapFormat,
}

/// Output formats of `identity map`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MapFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// An SVG picture of the sectors
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
