// SPDX-License-Identifier: MIT OR Apache-2.0
//! The verbs that know of cards, and of what has happened to them.

use std::path::PathBuf;

use clap::Args;

use super::Format;

/// Examples of `stamp`.
pub const STAMP_EXAMPLES: &str = "\
Examples:
  identity-lab stamp                                 the whole lab, one reader
  identity-lab stamp 'panda-[01-20]' /dev/sdb
  identity-lab stamp --flash os.img.xz 'panda-[01-20]' /dev/sdb
  identity-lab stamp --yes --devices /dev/sdb,/dev/sdc
  identity-lab stamp --dry-run 'panda-[01-20]' /dev/sdb

Each card is shown before Enter writes it. A card that has an identity already stays as it is, unless it is that of a board of \
the batch. Boards that the journal has as done are left out, so the same command goes on where it was ended.";

/// Examples of `show`.
pub const SHOW_EXAMPLES: &str = "\
Examples:
  identity-lab show panda-03
  identity-lab show 9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5
  identity-lab show --format json panda-03

BOARD is a hostname, UUID, serial number, MAC or IPv4 address of the list, or the CID of a card that was scanned.";

/// Examples of `scan`.
pub const SCAN_EXAMPLES: &str = "\
Examples:
  identity-lab scan
  identity-lab scan /dev/sdb
  identity-lab scan --leases /var/lib/misc/dnsmasq.leases
  identity-lab scan --leases /var/lib/kea/kea-leases4.csv

Exit code 5 if a card is not as the list says, or two cards have one identity. Nothing is written to a card.";

/// `identity-lab stamp`.
#[derive(Debug, Args)]
pub struct StampArgs {
    /// Boards by hostname, with ranges in brackets, or by UUID [default: all], then the reader, as in /dev/sdb [default: the
    /// only one]
    #[arg(value_name = "BOARD|DEVICE")]
    pub names: Vec<String>,
    /// Several readers
    #[arg(long, value_name = "DEVICE,…", value_delimiter = ',')]
    pub devices: Vec<PathBuf>,
    /// Also write this image, which may be packed, to each card
    #[arg(long, value_name = "IMAGE")]
    pub flash: Option<PathBuf>,
    /// Write whatever card comes that has no identity, without asking; with --flash, whatever else is on it is lost
    #[arg(long)]
    pub yes: bool,
    /// Also boards that have their card by the journal, or whose card another program was writing
    #[arg(long)]
    pub again: bool,
    /// Go on although the journal cannot be reached: no other host gives cards to these boards
    #[arg(long)]
    pub alone: bool,
    /// Show which boards would get a card, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Output format; json gives one object a line
    #[arg(long, default_value = "text")]
    pub format: Format,
}

impl StampArgs {
    /// The boards, and the readers: what has a slash in it is no board.
    pub fn names_and_readers(&self) -> (Vec<String>, Vec<PathBuf>) {
        let (readers, names): (Vec<_>, Vec<_>) =
            self.names.iter().cloned().partition(|name| name.contains('/'));
        (names, readers.into_iter().map(PathBuf::from).chain(self.devices.iter().cloned()).collect())
    }
}

/// `identity-lab show` and `identity-lab where`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// Hostname, UUID, serial number or address of a board, or its card's CID
    pub board: String,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity-lab scan`.
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// Only these devices [default: each card in a reader]
    #[arg(value_name = "DEVICE", conflicts_with_all = ["loops", "leases"])]
    pub devices: Vec<PathBuf>,
    /// Loop devices too
    #[arg(long, conflicts_with = "leases")]
    pub loops: bool,
    /// Note the boards in a DHCP server's leases, dnsmasq's or Kea's, and read no card
    #[arg(long, value_name = "FILE")]
    pub leases: Option<PathBuf>,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}
