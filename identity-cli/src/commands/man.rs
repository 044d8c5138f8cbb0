// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity man`: manual pages out of the same definitions as `--help`.

use std::path::Path;

use clap::CommandFactory;
use identity_ui::confirm::{HOW_IT_ASKS, QUESTIONS};
use identity_ui::manual::{Manual, Row};
use identity_ui::{Exit, Result};

use crate::args::Cli;

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
    manual().write(Cli::command(), dir)
}

fn manual() -> Manual<'static> {
    let rows = |rows: &[(&str, &str)]| -> Vec<Row> {
        rows.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect()
    };
    let question = |(before, answer, without): (&str, &str, &str)| {
        (before.to_owned(), format!("Answered by {answer}; without a terminal: {without}."))
    };
    Manual {
        program: "identity",
        version: env!("CARGO_PKG_VERSION"),
        description: DESCRIPTION,
        examples: EXAMPLES,
        sections: vec![
            ("CONCEPTS", String::new(), rows(&CONCEPTS)),
            ("QUESTIONS", HOW_IT_ASKS.to_owned(), QUESTIONS.map(question).to_vec()),
        ],
        files: &FILES,
        exit_codes: Exit::ALL
            .map(|(exit, meaning)| ((exit as u8).to_string(), meaning.replace('`', "")))
            .to_vec(),
        elsewhere: &["lab"],
        see_also: &["identity-setup(8)"],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
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
        let own = |verb: &&clap::Command| verb.get_name() != "lab";
        let command = Cli::command();
        for verb in command.get_subcommands().filter(own) {
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
        // The page of `identity lab` is in the other package.
        assert_eq!(pages.len(), command.get_subcommands().count());
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
                let is_elsewhere = named == "identity-lab";
                assert!(
                    !is_page || is_elsewhere || pages.iter().any(|(page, _)| page == named),
                    "{named} in {name}"
                );
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
