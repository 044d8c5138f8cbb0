// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line, as clap types.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::label::Size;

mod cards;
mod list;

use cards::{SCAN_EXAMPLES, SHOW_EXAMPLES, STAMP_EXAMPLES};
pub use cards::{ScanArgs, ShowArgs, StampArgs};
use list::{REMOVE_EXAMPLES, RENAME_EXAMPLES};
pub use list::{RemoveArgs, RenameArgs};

/// A lab of boards as text files under git: who each board is, what it boots, and the servers' files that follow from it.
#[derive(Debug, Parser)]
#[command(name = "identity-lab", version, max_term_width = 110, after_help = EXIT_CODES)]
pub struct Cli {
    /// The lab [default: this directory, or the nearest above it that has a lab.toml]
    #[arg(long, value_name = "DIR", global = true)]
    pub lab: Option<PathBuf>,
    /// The verb
    #[command(subcommand)]
    pub verb: Verb,
}

pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0    done
  2    wrong usage
  4    a file of the lab cannot be read; the message begins with file, line and column
  5    findings, or files that are not up to date (--check)
  6    refused: a clash, a port that is taken, no permission
  7    a device, disk or server failed
  130  interrupted";

/// The verbs, in the order of a lab's life.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Make a lab with one example profile
    #[command(after_help = "Examples:\n  identity-lab init\n  identity-lab init desk")]
    Init(InitArgs),
    /// Add boards to boards.csv, each with a UUID of its own
    #[command(after_help = ADD_EXAMPLES)]
    Add(AddArgs),
    /// Add boards to boards.csv from a file of another program: CSV, dnsmasq, Ansible, or cards
    #[command(after_help = IMPORT_EXAMPLES)]
    Import(ImportArgs),
    /// Give a board another hostname; it stays the same board
    #[command(after_help = RENAME_EXAMPLES)]
    Rename(RenameArgs),
    /// Take boards out of boards.csv, and name the cards that have their identities
    #[command(after_help = REMOVE_EXAMPLES)]
    Remove(RemoveArgs),
    /// Bring the lines of boards.csv in order, by hostname; each keeps its bytes
    #[command(after_help = "Examples:\n  identity-lab sort\n  identity-lab sort --lab desk")]
    Sort,
    /// Show the boards
    #[command(
        after_help = "Examples:\n  identity-lab list\n  identity-lab list --profile panda --format json"
    )]
    List(ListArgs),
    /// Give boards their cards, one after another or in several readers at once
    #[command(after_help = STAMP_EXAMPLES)]
    Stamp(StampArgs),
    /// Show everything about one board, with what its card and the network have last been seen to do
    #[command(after_help = SHOW_EXAMPLES)]
    Show(ShowArgs),
    /// Say where a board is: its location, its card, what happened last
    #[command(
        after_help = "Examples:\n  identity-lab where panda-03\n  identity-lab where --format json panda-03"
    )]
    Where(ShowArgs),
    /// Read each card that is attached here into the journal, or who was seen by DHCP
    #[command(after_help = SCAN_EXAMPLES)]
    Scan(ScanArgs),
    /// Look for what clashes: two boards with one name, UUID or address, a profile that is not there
    #[command(
        after_help = "Examples:\n  identity-lab check\n  identity-lab check --format json\n\nExit code 5 if something was found."
    )]
    Check(CheckArgs),
    /// Print a file for another program: DHCP, Ansible, labgrid, LAVA, SSH; or a page of all boards
    #[command(after_help = EXPORT_EXAMPLES)]
    Export(ExportArgs),
    /// Make labels: a QR code of the UUID, the hostname, the MAC address
    #[command(after_help = LABEL_EXAMPLES)]
    Label(LabelArgs),
    /// Write what boots the boards: a tree for TFTP, HTTP and NBD, and the servers' configuration
    #[command(after_help = NETBOOT_EXAMPLES)]
    Netboot(NetbootArgs),
    /// Make the image of a card: loader, partition table, boot files, and a board's identity
    #[command(after_help = CARD_EXAMPLES)]
    Card(CardArgs),
    /// Make the root of a profile
    #[command(after_help = ROOT_EXAMPLES)]
    Root(RootArgs),
    /// Run dnsmasq, nbdkit and nginx on a tree of `netboot`, in the foreground, for a desk or a test
    #[command(after_help = SERVE_EXAMPLES)]
    Serve(ServeArgs),
    /// Print a completion script for a shell
    #[command(
        after_help = "Examples:\n  identity-lab completions bash > /etc/bash_completion.d/identity-lab"
    )]
    Completions {
        /// Shell that will read the script
        shell: clap_complete::Shell,
    },
    /// Write a manual page for each verb into a directory
    #[command(
        after_help = "Examples:\n  identity-lab man /usr/share/man/man1\n  identity-lab man > identity-lab.1"
    )]
    Man {
        /// Existing directory; without it, identity-lab(1) is printed
        dir: Option<PathBuf>,
    },
}

const ADD_EXAMPLES: &str = "\
Examples:
  identity-lab add panda-01 --profile example
  identity-lab add 'panda-[01-20]' --profile example --location R3
  identity-lab add 'r[1-3]n[01-16]' --profile example --tags 'poe spare'
  identity-lab add --dry-run 'panda-[01-20]' --profile example

A profile is a file: copy profiles/example.toml for each role of your own.";

const IMPORT_EXAMPLES: &str = "\
Examples:
  identity-lab import boards-of-another-lab.csv
  identity-lab import --dry-run --profile panda /etc/dnsmasq.d/boards.conf
  ansible-inventory -i hosts --list | identity-lab import --profile panda -
  identity list --format json | identity-lab import -
  identity-lab import --update boards.csv

An empty cell says nothing. A board that is there with the same values is passed over; with other values it is refused, unless \
--update changes these cells. Everything is checked before anything is written.";

const EXPORT_EXAMPLES: &str = "\
Examples:
  identity-lab export hosts
  identity-lab export dnsmasq --output /etc/dnsmasq.d/lab.conf
  identity-lab export kea --check /etc/kea/kea-dhcp4.conf   in a git hook
  identity-lab export html --output boards.html            for a wall or a wiki
  identity-lab export lava panda-03
  identity-lab export lava --output /etc/lava-server/dispatcher-config/devices

The file is sorted, has no date, and is the same for the same lab.";

const LABEL_EXAMPLES: &str = "\
Examples:
  identity-lab label panda-03 -o panda-03.svg
  identity-lab label 'panda-[01-20]' --sheet 3666 -o labels.pdf
  identity-lab label --sheet 3666 -o all.pdf
  identity-lab label 'panda-[01-20]' --size 50x12 -o labels.zpl
  identity-lab label panda-03 --size 50x12 --format zpl | nc printer 9100

The QR code holds URN:UUID:…, which `identity stamp --uuid` takes. Sheets: 3651, 3666, 3667, l7160 (A4) \
and 5160 (Letter), by Avery's numbers.";

const NETBOOT_EXAMPLES: &str = "\
Examples:
  identity-lab netboot /srv/netboot
  identity-lab netboot --dry-run /srv/netboot   which files would change
  identity-lab netboot --check /srv/netboot     exit 5 if it is not up to date
  identity-lab netboot --prune /srv/netboot     also remove images of the past

DIR is exchanged as a whole: boards find the old tree or the new one. Images are hard-linked under a name with their \
hash, and stay for boards that run from them, until --prune.";

const CARD_EXAMPLES: &str = "\
Examples:
  identity-lab card panda-03 -o card.img               the card of one board
  identity-lab card panda -o panda.img                 of a profile: blank
  identity flash --restore card.img card.img /dev/sdb  write it
  identity-lab card --dry-run panda-03 -o card.img

The image is as small as it can be: 16, 32 or 64 MiB.";

const ROOT_EXAMPLES: &str = "\
Examples:
  identity-lab root build panda                    as its profile says
  identity-lab root build panda --from root.tar.xz adapt a released root
  identity-lab root build panda --dry-run          what would be made of what

mmdebstrap makes a new root; QEMU runs programs of another architecture. The root, its kernel, initramfs and device tree \
come to images/PROFILE-HASH/, with lists of packages and of changes; the profile names them then. SOURCE_DATE_EPOCH, or \
the suite's own date, makes the bytes the same each time. Without root it works in a user namespace (uidmap).";

const SERVE_EXAMPLES: &str = "\
Examples:
  identity-lab serve /srv/netboot
  unshare -Urn sh -c '. ./bridge; identity-lab serve /srv/netboot'

Without root it works in a network namespace of its own, for boards in QEMU there: DHCP and TFTP have ports below 1024. \
With `interface = \"server\"` in lab.toml, [network], the file bridge is:
  ip link add server type bridge
  ip addr add 192.168.7.1/24 dev server
  ip link set server up

Ctrl-C ends both servers.";

/// `identity-lab init`.
#[derive(Debug, Args)]
pub struct InitArgs {
    /// Directory of the lab; it is created if it does not exist
    #[arg(default_value = ".")]
    pub dir: PathBuf,
    /// Show which files would be written, and write none
    #[arg(long)]
    pub dry_run: bool,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity-lab add`.
#[derive(Debug, Args)]
pub struct AddArgs {
    /// Hostnames, with ranges in brackets: panda-[01-20,25]
    #[arg(required = true)]
    pub names: Vec<String>,
    /// Profile of the boards [default: the one in lab.toml]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Location of the boards
    #[arg(long, value_name = "TEXT")]
    pub location: Option<String>,
    /// Tags, separated by spaces
    #[arg(long, value_name = "TAGS")]
    pub tags: Option<String>,
    /// Show what would be added, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity-lab import`.
#[derive(Debug, Args)]
pub struct ImportArgs {
    /// The file of the other program; - is standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// What the file is [default: by its content]
    #[arg(long, value_name = "FORMAT")]
    pub from: Option<ImportFormat>,
    /// Profile of new boards of which the file says none [default: the one in lab.toml]
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Change cells of boards that are there to what the file has
    #[arg(long)]
    pub update: bool,
    /// Show what would be added and changed, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// What `import` can read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ImportFormat {
    /// A table with a header, also what `identity read --format csv` prints
    Csv,
    /// dhcp-host lines, also without the option's name
    Dnsmasq,
    /// An inventory as JSON; INI and YAML through ansible-inventory
    Ansible,
    /// JSON of `identity list` or `identity read`
    Identity,
}

/// `identity-lab list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only boards of this profile
    #[arg(long, value_name = "NAME")]
    pub profile: Option<String>,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity-lab check`.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity-lab export`.
#[derive(Debug, Args)]
pub struct ExportArgs {
    /// Whose file it is
    #[arg(value_name = "FORMAT")]
    pub kind: ExportFormat,
    /// The board whose fragment is wanted (lava)
    pub board: Option<String>,
    /// Write the file, whole or not at all, instead of printing it; for lava a directory
    #[arg(short, long, value_name = "FILE", conflicts_with = "check")]
    pub output: Option<PathBuf>,
    /// Write nothing; end with 5 if FILE is not up to date
    #[arg(long, value_name = "FILE")]
    pub check: Option<PathBuf>,
    /// The page of the list alone, the same for the same list
    #[arg(long)]
    pub no_journal: bool,
}

/// What `export` can print.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ExportFormat {
    /// dhcp-host lines for a dnsmasq that exists
    Dnsmasq,
    /// A configuration of Kea's DHCPv4 server
    Kea,
    /// Lines for /etc/hosts
    Hosts,
    /// What an inventory script prints
    Ansible,
    /// labgrid's exporter: the reader that holds a board's card
    Labgrid,
    /// places.yaml of labgrid's coordinator
    LabgridPlaces,
    /// One file a board, for its device dictionary
    Lava,
    /// SSH host keys
    SshKnownHosts,
    /// boards.csv with derived values filled in
    Csv,
    /// All boards as JSON
    Json,
    /// A page with search, filters and findings of `check`, for a wall or a wiki
    Html,
}

/// `identity-lab label`.
#[derive(Debug, Args)]
pub struct LabelArgs {
    /// Boards by hostname, with ranges in brackets, or by UUID [default: all]
    #[arg(value_name = "BOARD")]
    pub boards: Vec<String>,
    /// Size of a label in millimetres, width and height
    #[arg(long, value_name = "WxH", default_value = "50x25", conflicts_with = "sheet")]
    pub size: Size,
    /// Dots an inch of the printer [default: 203 for ZPL, else 600]
    #[arg(long, value_name = "DPI", value_parser = clap::value_parser!(u32).range(150..=2400))]
    pub dpi: Option<u32>,
    /// A sheet of labels by its number
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// Output format [default: by the end of FILE's name, else svg]
    #[arg(long)]
    pub format: Option<LabelFormat>,
    /// Write the file instead of printing it
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// How labels are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LabelFormat {
    /// A picture of one label, or of one sheet
    Svg,
    /// A page each, or pages of a sheet
    Pdf,
    /// For label printers
    Zpl,
}

/// `identity-lab netboot`.
#[derive(Debug, Args)]
pub struct NetbootArgs {
    /// Directory of the tree; it is created if it does not exist, and must contain nothing else
    pub dir: PathBuf,
    /// Write nothing; end with 5 if the tree is not up to date
    #[arg(long, conflicts_with = "dry_run")]
    pub check: bool,
    /// Remove images that no profile uses
    #[arg(long)]
    pub prune: bool,
    /// Also take files of overlays that others may not read; TFTP gives them to everybody
    #[arg(long)]
    pub secrets: bool,
    /// Show what would change, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity-lab card`.
#[derive(Debug, Args)]
pub struct CardArgs {
    /// A board's hostname or UUID; else a profile
    #[arg(value_name = "BOARD|PROFILE")]
    pub name: String,
    /// The new image; a file of this name must not exist
    #[arg(short, long, value_name = "FILE")]
    pub output: PathBuf,
    /// Show what would be made, and make nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity-lab root`.
#[derive(Debug, Args)]
pub struct RootArgs {
    /// What to do with it
    #[command(subcommand)]
    pub verb: RootVerb,
}

/// What can be done with roots.
#[derive(Debug, Subcommand)]
pub enum RootVerb {
    /// Make a root from a suite and packages, or adapt one, and name it in the profile
    #[command(after_help = ROOT_EXAMPLES)]
    Build(RootBuildArgs),
}

/// `identity-lab root build`.
#[derive(Debug, Args)]
pub struct RootBuildArgs {
    /// The profile, which has a section [build]
    pub profile: String,
    /// A tarball, squashfs or directory to adapt, in place of what the profile names
    #[arg(long, value_name = "FILE|DIR")]
    pub from: Option<PathBuf>,
    /// Show what would be made of what, and make nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Output format; json gives one object a line
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// `identity-lab serve`.
#[derive(Debug, Args)]
pub struct ServeArgs {
    /// Tree that `netboot` has written
    pub dir: PathBuf,
    /// Output format; json gives one object a line
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Output of every verb.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// JSON
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn clap_agrees() {
        Cli::command().debug_assert();
    }

    /// On a terminal of 80 columns too, no example is broken into two lines; and every verb has one.
    #[test]
    fn every_verb_has_examples_that_fit_a_terminal() {
        let mut command = Cli::command();
        command.build();
        for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
            let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(text.starts_with("Examples:\n"), "{}", verb.get_name());
            for line in text.lines().filter(|line| line.starts_with("  ")) {
                assert!(line.chars().count() <= 80, "{}: {line}", verb.get_name());
            }
        }
    }

    #[test]
    fn what_writes_can_be_tried_dry() {
        let mut command = Cli::command();
        command.build();
        for name in ["init", "add", "import", "netboot", "card", "stamp"] {
            let verb = command.find_subcommand(name).expect("a verb");
            assert!(verb.get_arguments().any(|option| option.get_long() == Some("dry-run")), "{name}");
        }
    }
}
