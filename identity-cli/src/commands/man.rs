// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity man`: manual pages out of the same definitions as `--help`.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::args::Cli;
use identity_host::device::plain;
use identity_ui::output::print;
use identity_ui::{Exit, Failure, Result};

/// Exit statuses, as the contract with scripts has them.
const EXIT_STATUS: [(&str, &str); 8] = [
    ("0", "Done; a valid identity."),
    ("2", "Wrong usage."),
    ("3", "Blank: no identity."),
    ("4", "Corrupt, or newer than this program."),
    ("5", "Degraded (verify), in conflict, cloned or moved; several cards where one is meant."),
    ("6", "Refused: unsafe target, identity present, no free slot."),
    ("7", "The device failed: not found, not readable, not writable, read-back differs."),
    ("130", "Interrupted (flash)."),
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
        print(&page(&command, "identity"))?;
        return Ok(Exit::Done);
    };
    let verbs = command.get_subcommands().filter(|verb| verb.get_name() != "help");
    let pages = verbs.map(|verb| (format!("identity-{}", verb.get_name()), verb));
    for (name, command) in std::iter::once(("identity".to_owned(), &command)).chain(pages) {
        let path = dir.join(format!("{name}.1"));
        fs::write(&path, page(command, &name)).map_err(|error| {
            Failure::new(Exit::Device, format!("cannot write {}: {}", path.display(), plain(&error)))
        })?;
    }
    Ok(Exit::Done)
}

/// One page, as roff.
fn page(command: &Command, name: &str) -> String {
    let mut bytes = Vec::new();
    // Memory takes every byte.
    let _ = write_page(command, name, &mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn write_page(command: &Command, name: &str, out: &mut dyn Write) -> io::Result<()> {
    let whole = command.get_subcommands().next().is_some();
    let source = format!("identity {}", env!("CARGO_PKG_VERSION"));
    // A page's name has a hyphen where the command line has a blank; clap's own name for the usage stays.
    let named = command.clone().display_name(name.to_owned());
    let man = Man::new(named).title(name).section("1").source(source).manual("SD card identity");
    man.render_title(out)?;
    man.render_name_section(out)?;
    man.render_synopsis_section(out)?;
    man.render_description_section(out)?;
    man.render_options_section(out)?;
    if whole {
        man.render_subcommands_section(out)?;
    }
    let examples =
        if whole { Some(EXAMPLES.to_owned()) } else { command.get_after_help().map(|text| text.to_string()) };
    if let Some(examples) = examples {
        examples_section(&examples).to_writer(out)?;
    }
    exit_section().to_writer(out)?;
    if !whole {
        let mut see = Roff::new();
        see.control("SH", ["SEE ALSO"]);
        see.text([bold("identity"), roman("(1)")]);
        see.to_writer(out)?;
    }
    Ok(())
}

/// What `--help` has at its end: examples, and what is good to know.
fn examples_section(text: &str) -> Roff {
    let text = text.trim_start_matches("Examples:\n").trim_start_matches("Example:\n");
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    for (number, paragraph) in text.split("\n\n").enumerate() {
        if number > 0 {
            roff.control("PP", []);
        }
        roff.control("nf", []);
        for line in paragraph.lines() {
            roff.text([roman(line)]);
        }
        roff.control("fi", []);
    }
    roff
}

fn exit_section() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (status, meaning) in EXIT_STATUS {
        roff.control("TP", []);
        roff.text([bold(status)]);
        roff.text([roman(meaning)]);
    }
    roff
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_has_a_page_with_examples_and_exit_statuses() {
        let dir = tempfile::tempdir().unwrap();
        run(Some(dir.path())).unwrap();
        for verb in Cli::command().get_subcommands() {
            let name = format!("identity-{}.1", verb.get_name());
            let page = fs::read_to_string(dir.path().join(&name)).unwrap();
            for section in ["NAME", "SYNOPSIS", "OPTIONS", "EXAMPLES", "EXIT STATUS"] {
                assert!(
                    page.contains(&format!(".SH \"{section}\"")) || page.contains(&format!(".SH {section}")),
                    "{section} in {name}"
                );
            }
            assert!(page.contains(&format!("identity {}", verb.get_name())), "the usage in {name}");
        }
        let whole = fs::read_to_string(dir.path().join("identity.1")).unwrap();
        for section in ["SUBCOMMANDS", "EXAMPLES", "EXIT STATUS"] {
            assert!(
                whole.contains(&format!("SH \"{section}\"")) || whole.contains(&format!("SH {section}")),
                "{section}"
            );
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1 + Cli::command().get_subcommands().count());
    }
}
