// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command line, as clap types.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, Resettable, StringValueParser, TypedValueParser};
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches, Parser, Subcommand, ValueEnum};
use identity_core::Uuid;

#[cfg(feature = "stamp")]
pub mod write;

#[cfg(feature = "stamp")]
pub use write::*;

/// Give each SD card an identity that survives re-imaging: one image, twenty boards, twenty MAC addresses.
#[derive(Debug, Parser)]
#[command(name = "identity", version, max_term_width = 110, after_help = AFTER_HELP)]
pub struct Cli {
    /// The verb
    #[command(subcommand)]
    pub verb: Verb,
}

/// `identity_ui::Exit::ALL` as text; a test compares them.
macro_rules! exit_codes {
    () => {
        "\
Exit codes:
  0    done; a valid identity
  2    wrong usage
  3    blank: no identity
  4    corrupt, or newer than this program
  5    conflict, cloned, moved; `verify`: not in order; `flash`: unfinished; `list`: two alike
  6    refused: unsafe target, identity present, no free slot
  7    the device failed: not found, not readable, not writable, read-back differs
  130  interrupted"
    };
}

/// What `--help` has at its end: text as it is, for it is part of every call. `identity_ui::confirm::QUESTIONS` is in it; a test
/// compares them.
#[cfg(feature = "stamp")]
const AFTER_HELP: &str = concat!(
    exit_codes!(),
    "\n
Questions:
A verb asks only at a terminal on standard input; where the image comes on standard input, at the terminal of the process. \
    y or yes goes on. Any other answer ends with 6, and nothing is written.

  before                                 answered by      without a terminal
  flash overwrites a device              --yes            refused (6)
  flash overwrites an image file         --yes            goes on
  erase removes an identity              --force          goes on
  repair or flash completes a lone copy  --keep, --force  refused (6)
  a card gets another card's identity    --force          refused (6)
  a copy in a partition is cleared       --force          refused (6)"
);
/// A reader asks nothing.
#[cfg(not(feature = "stamp"))]
const AFTER_HELP: &str = exit_codes!();

/// The verbs of a reader, and with the feature `stamp` all others.
#[derive(Debug, Subcommand)]
pub enum Verb {
    /// Show the identity of a card
    #[command(display_order = 2, after_help = READ_EXAMPLES)]
    Read(Late<ReadArgs>),
    /// Check every slot, and whether the copies agree
    #[command(
        display_order = 3,
        after_help = "Examples:\n  identity verify /dev/sdb\n  identity verify --format json card.img"
    )]
    Verify(Late<VerifyArgs>),
    /// Show every card of this machine: native slots and USB readers
    #[command(
        display_order = 4,
        after_help = "Examples:\n  identity list\n  identity list --format json --loops\n\nThe exit code is 5 if two cards have one identity, \
            and else 0, whatever the cards' states are."
    )]
    List(Late<ListArgs>),
    /// Compute the MAC addresses and the machine-id that follow from a UUID
    #[command(display_order = 10, after_help = DERIVE_EXAMPLES)]
    Derive(Late<DeriveArgs>),
    /// The verbs that write, and `map`
    #[cfg(feature = "stamp")]
    #[command(flatten)]
    Write(write::WriteVerb),
}

/// Arguments that clap learns of only when their verb is called: building all verbs for each call would be a third of
/// what `read` does.
#[derive(Debug)]
pub struct Late<T>(pub T);

impl<T: Args> Args for Late<T> {
    fn augment_args(command: Command) -> Command {
        // What the verb says of itself goes before what its arguments' type says.
        command.defer(|verb| {
            let (about, long_about) = (verb.get_about().cloned(), verb.get_long_about().cloned());
            T::augment_args(verb).about(Resettable::from(about)).long_about(Resettable::from(long_about))
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<T: FromArgMatches> FromArgMatches for Late<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

const READ_EXAMPLES: &str = "\
Examples:
  identity read                                   this board's own card
  identity read --field uuid card.img             one bare value
  eval \"$(identity read --format shell /dev/mmcblk0)\"; echo \"$IDENTITY_PROFILE\"
  identity read --format uboot card.img > id.env  for U-Boot's env import -t
  identity read --format csv --interfaces 2 /dev/sd[b-g] > cards.csv
  identity read --into /run/identity              as files, for other programs

Fields: state, uuid, profile, hostname, serial, generation, machine_id, mac, mac.INDEX, variables.KEY. For an \
identity that a board must not use, only the state is printed.";

const DERIVE_EXAMPLES: &str = "\
Examples:
  identity derive 9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5
  identity derive --interfaces 4 --format json card.img
  identity derive --interfaces 2 /dev/sdb  of a card: an assigned address wins

Without this program, uuidgen --sha1 --namespace UUID --name ethernet/0 computes the same: the MAC address is the first six \
bytes, with the multicast bit cleared and the local bit set.";

/// Arguments of `identity read`.
#[derive(Debug, Args)]
pub struct ReadArgs {
    /// Block device of the whole card, or image file [default: the card that the system runs from, else the only card in a
    /// native slot that has an identity]. Several need --format text, json (one document per line) or csv
    #[arg(value_name = "TARGET")]
    pub targets: Vec<PathBuf>,
    /// Print the bare value of one field; also mac.INDEX and variables.KEY
    #[arg(long, value_name = "NAME", conflicts_with = "format", value_parser = Suggested(FIELDS))]
    pub field: Option<String>,
    /// Number of interfaces, from ethernet0, whose MAC addresses are shown (1 to 256)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub interfaces: u32,
    /// Write identity.json, identity.env, machine-id, hostname (if there is one) and card (the device) to this directory,
    /// all in one step. Without TARGET, take only the card that the bootloader has read
    #[arg(long, value_name = "DIR", conflicts_with_all = ["field", "format"])]
    pub into: Option<PathBuf>,
    /// Look at this LBA before the slots
    #[arg(long, value_name = "LBA")]
    pub at: Option<u32>,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: ReadFormat,
}

/// Arguments of `identity verify`.
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// Block device of the whole card, or image file [default: as for read]
    pub target: Option<PathBuf>,
    /// Look at this LBA before the slots
    #[arg(long, value_name = "LBA")]
    pub at: Option<u32>,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Arguments of `identity list`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Show loop devices too
    #[arg(long)]
    pub loops: bool,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// Arguments of `identity derive`.
#[derive(Debug, Args)]
pub struct DeriveArgs {
    /// UUID to derive from, or the card or image that has it
    #[arg(value_name = "UUID|CARD", value_parser = parse_source)]
    pub source: DeriveSource,
    /// Of a card, look at this LBA before the slots
    #[arg(long, value_name = "LBA")]
    pub at: Option<u32>,
    /// Number of interfaces, from ethernet0, whose MAC addresses are shown (1 to 256)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=256))]
    pub interfaces: u32,
    /// Output format
    #[arg(long, default_value = "text")]
    pub format: Format,
}

/// What `derive` computes from.
#[derive(Clone, Debug)]
pub enum DeriveSource {
    /// A UUID that was given as text.
    Uuid(Uuid),
    /// A card or image.
    Card(PathBuf),
}

/// What verbs that write may write to.
#[derive(Clone, Copy, Debug, Args)]
pub struct SafetyArgs {
    /// Write to a disk that is neither removable nor SD/MMC nor a loop device
    #[arg(long)]
    pub allow_fixed_disk: bool,
}

/// Output of most verbs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people
    Text,
    /// One JSON object
    Json,
}

/// Output formats of `identity read`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReadFormat {
    /// For people
    Text,
    /// One JSON object
    Json,
    /// A table with a header line and one line per card
    Csv,
    /// Assignments that a POSIX shell can eval; they unset what an earlier eval has set and end with this program's status
    Shell,
    /// Assignments for systemd's EnvironmentFile=
    Env,
    /// Assignments for U-Boot's env import -t
    Uboot,
    /// Properties for a udev rule's IMPORT{program}, which ignores what a failing program prints: exit 0 in every state
    Udev,
}

/// Fields of `read --field` that have one name.
const FIELDS: &[&str] =
    &["state", "uuid", "profile", "hostname", "serial", "generation", "machine_id", "mac"];

/// Any text; these are offered by help and by a shell's completion.
#[derive(Clone, Copy, Debug)]
pub struct Suggested(pub &'static [&'static str]);

impl TypedValueParser for Suggested {
    type Value = String;

    fn parse_ref(
        &self,
        command: &Command,
        arg: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Self::Value, clap::Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(PossibleValue::new)))
    }
}

fn parse_source(text: &str) -> Result<DeriveSource, String> {
    let path = Path::new(text);
    match parse_uuid(text) {
        Err(_) if Uuid::try_parse(text).is_err() && path.exists() => Ok(DeriveSource::Card(path.to_owned())),
        Err(error) if Uuid::try_parse(text).is_err() => {
            Err(format!("{error}, and there is no card of this name"))
        }
        parsed => parsed.map(DeriveSource::Uuid),
    }
}

fn parse_uuid(text: &str) -> Result<Uuid, String> {
    let uuid = Uuid::try_parse(text)
        .map_err(|_| "a UUID has 32 hex digits, like 9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5")?;
    if uuid.is_nil() || uuid.is_max() {
        return Err(
            "the nil and the max UUID are nobody's identity; use a random one (uuidgen prints one)".into()
        );
    }
    Ok(uuid)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use identity_ui::Exit;

    #[test]
    fn exit_codes_are_those_of_the_programs() {
        let lines = Exit::ALL.map(|(exit, meaning)| format!("\n  {:<3}  {meaning}", exit as u8));
        assert_eq!(exit_codes!(), format!("Exit codes:{}", lines.concat()));
    }

    #[cfg(feature = "stamp")]
    #[test]
    fn questions_are_those_that_are_asked() {
        use identity_ui::confirm::{HOW_IT_ASKS, QUESTIONS};
        let mut text = format!("\n\nQuestions:\n{HOW_IT_ASKS}\n");
        let head = ("before", "answered by", "without a terminal");
        for (before, answer, without) in [head].into_iter().chain(QUESTIONS) {
            text.push_str(&format!("\n  {before:<37}  {answer:<15}  {without}"));
        }
        assert_eq!(AFTER_HELP.strip_prefix(exit_codes!()), Some(&text[..]));
    }

    /// On a terminal of 80 columns too, no example is broken into two lines.
    #[test]
    fn examples_fit_a_terminal() {
        let mut command = Cli::command();
        command.build();
        for verb in command.get_subcommands() {
            let text = verb.get_after_help().map(ToString::to_string).unwrap_or_default();
            for line in text.lines().filter(|line| line.starts_with("  ")) {
                assert!(line.chars().count() <= 80, "{}: {line}", verb.get_name());
            }
        }
    }

    #[test]
    fn clap_agrees() {
        Cli::command().debug_assert();
    }
}
