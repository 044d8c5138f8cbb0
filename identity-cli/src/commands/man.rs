// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity man`: manual pages out of the same definitions as `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::{Arg, Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};

use crate::args::Cli;
use identity_host::device::plain;
use identity_ui::confirm::{HOW_IT_ASKS, QUESTIONS};
use identity_ui::output::print;
use identity_ui::{Exit, Failure, Result};

const DESCRIPTION: &str = "\
identity gives each SD card a small checksummed identity in unused sectors before the first partition. The rest of the card can be \
any system image, unchanged. U-Boot and Linux read the identity, and it survives a new image.";

/// Words that the pages use.
const CONCEPTS: [(&str, &str); 8] = [
    ("card", "An SD card, the user area of an eMMC, or an image file of one."),
    (
        "identity",
        "A UUID, a profile, and optional fields: hostname, serial, MAC addresses, variables, bindings. MAC addresses that are not \
         assigned, and the machine-id, are computed from the UUID.",
    ),
    ("profile", "The name of the board's role, such as beaglebone-black; boot scripts branch on it."),
    ("copy", "One sector of 512 bytes that holds the whole identity. A card has two copies."),
    (
        "slot",
        "One of ten sectors in which a copy can be: LBA 52, 6607, 2703, 1711, 5, 54, 6959, 2927, 1777, 7, in the order of \
         reading.",
    ),
    ("generation", "A number that counts the changes of an identity."),
    (
        "state",
        "valid; degraded: a copy is missing, damaged or older; blank: no slot holds an identity; corrupt: there are copies, but none \
         is valid; conflict: two identities; newer: a later format; cloned or moved: a binding does not match the card or the board; \
         unreadable: a slot cannot be read. Boards use valid and degraded identities only.",
    ),
    (
        "record",
        "A file on the host with an identity that was erased or replaced, or whose card is being flashed. identity stamp --restore \
         takes it.",
    ),
];

/// Files that the program writes or reads.
const FILES: [(&str, &str); 4] = [
    ("$XDG_STATE_HOME/identity", "Records. The directory is readable by its owner only."),
    (
        "/var/lib/identity, ~/.local/state/identity",
        "Where records are if XDG_STATE_HOME is not set: for root, and for others.",
    ),
    (
        "IMAGE.sha256, IMAGE.bmap",
        "Checksum and block map of an image, which identity flash uses if they exist.",
    ),
    ("/run/identity", "The identity that Linux took at boot, written by identity read --into."),
];

/// Of identity(1); each verb's page has its own.
const EXAMPLES: &str = "\
  identity stamp --profile panda --hostname panda-03 /dev/sdb
  identity verify /dev/sdb
  identity flash debian.img.xz /dev/sdb
  identity read --field uuid";

pub fn run(dir: Option<&Path>) -> Result<Exit> {
    let mut command = Cli::command();
    command.build();
    let Some(dir) = dir else {
        print(&page(&command, &command, "identity"))?;
        return Ok(Exit::Done);
    };
    let pages = verbs(&command).map(|verb| (format!("identity-{}", verb.get_name()), verb));
    for (name, page_of) in std::iter::once(("identity".to_owned(), &command)).chain(pages) {
        let path = dir.join(format!("{name}.1"));
        fs::write(&path, page(&command, page_of, &name)).map_err(|error| {
            Failure::new(Exit::Device, format!("cannot write {}: {}", path.display(), plain(&error)))
        })?;
    }
    Ok(Exit::Done)
}

/// The verbs that have a page: all but clap's own `help`.
fn verbs(command: &Command) -> impl Iterator<Item = &Command> {
    command.get_subcommands().filter(|verb| verb.get_name() != "help")
}

/// One page, as roff.
fn page(whole: &Command, command: &Command, name: &str) -> String {
    let mut bytes = Vec::new();
    // Memory takes every byte.
    let _ = write_page(whole, command, name, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write_page(whole: &Command, command: &Command, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let is_whole = name == "identity";
    let source = format!("identity {}", env!("CARGO_PKG_VERSION"));
    // A page's name has a hyphen where the command line has a blank.
    let named = command.clone().display_name(name.to_owned());
    let man = Man::new(named).title(name).section("1").source(source).manual("SD card identity");
    man.render_title(out)?;
    man.render_name_section(out)?;
    synopsis(command, name).to_writer(out)?;
    let help = command.get_after_help().map(|text| text.to_string()).unwrap_or_default();
    let (examples, paragraphs) = if is_whole { (EXAMPLES, vec![DESCRIPTION]) } else { split(&help) };
    let mut description = Roff::new();
    description.control("SH", ["DESCRIPTION"]);
    if !is_whole {
        description
            .text([roman(format!("{}.", command.get_about().map(ToString::to_string).unwrap_or_default()))]);
    }
    for (number, paragraph) in paragraphs.iter().enumerate() {
        if number > 0 || !is_whole {
            description.control("PP", []);
        }
        description.text([roman(*paragraph)]);
    }
    description.to_writer(out)?;
    man.render_options_section(out)?;
    if is_whole {
        let about = |verb: &Command| verb.get_about().map(ToString::to_string).unwrap_or_default();
        let list: Vec<_> =
            verbs(whole).map(|verb| (format!("identity-{}(1)", verb.get_name()), about(verb))).collect();
        list_section("COMMANDS", list.iter().map(|(name, text)| (name.as_str(), text.as_str())))
            .to_writer(out)?;
        list_section("CONCEPTS", CONCEPTS).to_writer(out)?;
        questions_section().to_writer(out)?;
    }
    list_section("FILES", FILES).to_writer(out)?;
    examples_section(examples).to_writer(out)?;
    let codes = Exit::ALL.map(|(exit, meaning)| ((exit as u8).to_string(), meaning.replace('`', "")));
    list_section("EXIT STATUS", codes.iter().map(|(code, text)| (code.as_str(), text.as_str())))
        .to_writer(out)?;
    see_also(whole, command).to_writer(out)
}

/// Examples, and the paragraphs behind them, of what `--help` has at its end.
fn split(help: &str) -> (&str, Vec<&str>) {
    let text = help.trim_start_matches("Examples:\n").trim_start_matches("Example:\n");
    let mut parts = text.split("\n\n");
    (parts.next().unwrap_or_default(), parts.collect())
}

/// How it is called, each option with its value.
fn synopsis(command: &Command, name: &str) -> Roff {
    let mut words: Vec<Inline> = vec![bold(name.replacen('-', " ", 1))];
    if name == "identity" {
        words.extend([roman(" "), italic("COMMAND"), roman(" [options]")]);
    }
    let options = command.get_opts().chain(command.get_arguments().filter(|arg| is_flag(arg)));
    for arg in options.filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version")) {
        words.extend([roman(" ["), bold(format!("--{}", arg.get_long().unwrap_or_default()))]);
        if arg.get_action().takes_values() {
            let optional = arg.is_require_equals_set();
            words.push(roman(if optional { "[=" } else { " " }));
            words.push(italic(value_name(arg)));
            words.push(roman(if optional { "]]" } else { "]" }));
        } else {
            words.push(roman("]"));
        }
    }
    for arg in command.get_positionals() {
        let (open, close) = if arg.is_required_set() { ("", "") } else { ("[", "]") };
        let many =
            arg.get_action().takes_values() && arg.get_num_args().is_some_and(|range| range.max_values() > 1);
        words.extend([roman(format!(" {open}")), italic(value_name(arg)), roman(close)]);
        if many {
            words.push(roman("..."));
        }
    }
    let mut roff = Roff::new();
    roff.control("SH", ["SYNOPSIS"]);
    roff.text(words);
    roff
}

fn is_flag(arg: &Arg) -> bool {
    arg.get_long().is_some() && !arg.get_action().takes_values()
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().to_string().to_uppercase(), ToString::to_string)
}

fn list_section<'a>(title: &str, rows: impl IntoIterator<Item = (&'a str, &'a str)>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    for (name, text) in rows {
        roff.control("TP", []);
        roff.text([bold(name)]);
        roff.text([roman(text)]);
    }
    roff
}

fn questions_section() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["QUESTIONS"]);
    roff.text([roman(HOW_IT_ASKS)]);
    for (before, answer, without) in QUESTIONS {
        roff.control("TP", []);
        roff.text([bold(before)]);
        roff.text([roman(format!("Answered by {answer}; without a terminal: {without}."))]);
    }
    roff
}

/// Commands, in the columns that they have in `--help`.
fn examples_section(examples: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    roff.control("EX", []);
    for line in examples.lines() {
        roff.text([roman(line.trim_start_matches("  "))]);
    }
    roff.control("EE", []);
    roff
}

fn see_also(whole: &Command, command: &Command) -> Roff {
    let others = verbs(whole).filter(|verb| verb.get_name() != command.get_name());
    let mut names: Vec<_> = others.map(|verb| format!("identity-{}", verb.get_name())).collect();
    if command.get_name() != "identity" {
        names.insert(0, "identity".to_owned());
    }
    let mut words = Vec::new();
    for (number, name) in names.into_iter().enumerate() {
        words.push(roman(if number == 0 { "" } else { ", " }));
        words.extend([bold(name), roman("(1)")]);
    }
    words.extend([roman(", "), bold("identity-setup"), roman("(8)")]);
    let mut roff = Roff::new();
    roff.control("SH", ["SEE ALSO"]);
    roff.text(words);
    roff
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command as Process;

    fn pages() -> Vec<(String, String)> {
        let dir = tempfile::tempdir().unwrap();
        run(Some(dir.path())).unwrap();
        let entries = fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_stem().unwrap().to_string_lossy().into_owned();
        entries.map(|path| (name(&path), fs::read_to_string(&path).unwrap())).collect()
    }

    #[test]
    fn every_verb_has_a_page_with_every_section() {
        let pages = pages();
        for verb in Cli::command().get_subcommands() {
            let name = format!("identity-{}", verb.get_name());
            let (_, page) = pages.iter().find(|(page, _)| *page == name).unwrap();
            for section in
                ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "FILES", "EXAMPLES", "EXIT STATUS", "SEE ALSO"]
            {
                assert!(has(page, section), "{section} in {name}");
            }
            assert!(page.contains(&format!("identity {}", verb.get_name())), "the usage in {name}");
        }
        let (_, whole) = pages.iter().find(|(name, _)| name == "identity").unwrap();
        for section in ["COMMANDS", "CONCEPTS", "QUESTIONS", "FILES", "EXAMPLES", "EXIT STATUS", "SEE ALSO"] {
            assert!(has(whole, section), "{section}");
        }
        assert_eq!(pages.len(), 1 + Cli::command().get_subcommands().count());
    }

    fn has(page: &str, section: &str) -> bool {
        page.contains(&format!(".SH \"{section}\"")) || page.contains(&format!(".SH {section}\n"))
    }

    #[test]
    fn a_page_that_is_named_exists() {
        let pages = pages();
        for (name, page) in &pages {
            let text = page.replace("\\-", "-").replace("\\fB", "").replace("\\fR", "");
            for named in text.split("(1)").filter_map(|part| part.rsplit([' ', '\n']).next()) {
                let is_page = named.starts_with("identity") && !named.contains(['.', '"']);
                assert!(!is_page || pages.iter().any(|(page, _)| page == named), "{named} in {name}");
            }
        }
    }

    #[test]
    fn options_have_their_values_in_the_synopsis() {
        let pages = pages();
        let (_, stamp) = pages.iter().find(|(name, _)| name == "identity-stamp").unwrap();
        let synopsis = stamp.split(".SH").nth(2).unwrap().replace("\\-", "-").replace("\\fB", "");
        let synopsis = synopsis.replace("\\fI", "").replace("\\fR", "");
        for part in ["[--profile NAME]", "[--mac [INDEX=]MAC]", "[--force]", " TARGET"] {
            assert!(synopsis.contains(part), "{part} in {synopsis}");
        }
    }

    /// As groff reads it, with every warning.
    #[test]
    fn groff_warns_of_nothing() {
        for (name, page) in pages() {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join("page.1");
            fs::write(&path, page).unwrap();
            let output = Process::new("groff").args(["-man", "-Tutf8", "-ww", "-z"]).arg(&path).output();
            let output = output.expect("groff, of groff-base");
            assert!(output.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
