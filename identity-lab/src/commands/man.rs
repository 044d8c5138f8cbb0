// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab man`: manual pages out of the same definitions as `--help`.

use std::path::Path;

use clap::CommandFactory;
use identity_ui::manual::{Manual, Row};
use identity_ui::{Exit, Result};

use crate::args::{Cli, EXIT_CODES};

const DESCRIPTION: &str = "\
identity-lab keeps a lab of boards as text files under git: who each board is, what it boots, and the files of other programs that \
follow from it, such as DHCP servers, Ansible, labgrid and LAVA. It runs no servers of its own, but for a desk or a test.";

/// Of identity-lab(1); each verb's page has its own.
const EXAMPLES: &str = "\
  identity-lab init desk
  identity-lab add 'panda-[01-20]' --profile panda
  identity-lab check
  identity-lab export dnsmasq --output boards.conf";

/// Files of a lab.
const FILES: [(&str, &str); 7] = [
    ("lab.toml", "Name of the lab, its server and network. The directory that has it is the lab."),
    ("boards.csv", "One line a board, sorted by hostname."),
    ("profiles/NAME.toml", "What boards of a role boot."),
    ("overlays/", "Files that are laid over the root at boot: of all boards, a profile, a board."),
    ("images/", "Roots that identity-lab root build has made."),
    ("journal.db", "What was done to cards, and who was seen; lab.toml may name another place."),
    (
        "$XDG_STATE_HOME/identity-lab/LAB.{leases,queue,given}",
        "Of this host, else below ~/.local/state: leases of serve, events that wait for the journal, cards that stamp has written.",
    ),
];

/// Writes the pages into `dir`, or prints the program's own.
///
/// # Errors
/// Exit 7 if that fails.
pub fn run(dir: Option<&Path>) -> Result<Exit> {
    manual().write(Cli::command(), dir)
}

fn manual() -> Manual<'static> {
    let code = |line: &str| -> Option<Row> {
        let (code, meaning) = line.trim().split_once(' ')?;
        code.parse::<u8>().ok()?;
        Some((code.to_owned(), meaning.trim().to_owned()))
    };
    Manual {
        program: "identity-lab",
        version: env!("CARGO_PKG_VERSION"),
        description: DESCRIPTION,
        examples: EXAMPLES,
        sections: Vec::new(),
        files: &FILES,
        exit_codes: EXIT_CODES.lines().filter_map(code).collect(),
        elsewhere: &[],
        see_also: &["identity(1)"],
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command as Process;

    use super::*;

    fn pages() -> Vec<(String, String)> {
        manual().pages(Cli::command())
    }

    #[test]
    fn every_verb_has_a_page_with_every_section() {
        let pages = pages();
        for (name, page) in &pages {
            for section in
                ["NAME", "SYNOPSIS", "DESCRIPTION", "OPTIONS", "FILES", "EXAMPLES", "EXIT STATUS", "SEE ALSO"]
            {
                let has = page.contains(&format!(".SH \"{section}\""))
                    || page.contains(&format!(".SH {section}\n"));
                assert!(has, "{section} in {name}");
            }
        }
        let verbs = Cli::command();
        for verb in verbs.get_subcommands() {
            let start = format!("identity-lab-{}", verb.get_name());
            assert!(pages.iter().any(|(name, _)| name.starts_with(&start)), "{start}");
        }
        let (_, build) = pages.iter().find(|(name, _)| name == "identity-lab-root-build").unwrap();
        assert!(build.contains("identity\\-lab root build"), "{build}");
        let (_, whole) = &pages[0];
        assert!(whole.contains("identity\\-lab\\-check") && whole.contains("\n\\fB130\\fR\n"), "{whole}");
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
