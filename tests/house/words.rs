// SPDX-License-Identifier: MIT OR Apache-2.0
//! Facts below, sentences above: what prints, and who knows what an option is called.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use clap::CommandFactory;
use identity_cli::args::Cli;
use identity_tests::workspace;

use crate::source::Source;
use crate::{WITHOUT_WORDS, files};

const MACROS: &[&str] = &["print", "println", "eprint", "eprintln", "dbg"];

/// What asks or answers at a terminal, or is a program's output: the only modules that open standard output or error.
const SPEAKERS: &[(&str, &[&str])] = &[
    ("identity-ui", &["src/output.rs", "src/confirm.rs", "src/progress.rs"]),
    ("identity-cli", &[]),
    ("identity-lab", &[]),
    ("identity-netroot", &[]),
];

/// Where a path is data in JSON, CSV or a file, not part of a message.
const PATHS_AS_DATA: &[(&str, &[&str])] = &[
    ("identity-ui", &[]),
    (
        "identity-cli",
        &[
            "src/commands/erase.rs",
            "src/commands/list.rs",
            "src/commands/read.rs",
            "src/render/csv.rs",
            "src/render/flash.rs",
            "src/render/model/map.rs",
        ],
    ),
];

/// Strings that look like ours and are something else: a command of another program; bytes of the format.
const NOT_OURS: &[&str] = &["xz -dc --format=lzma FILE", "identity flash: this card is unfinished"];

/// Names that the code had once. Whoever reads them in a document finds nothing.
const GONE: &[&str] = &[
    "Ground",
    "ground::",
    "Survey",
    "survey::",
    "HandedOver",
    "handed_over::",
    "ScannedCopy",
    "carry_out",
    "Manner",
    "Wishes",
    "plan::Place",
    "facts::Facts",
];

/// The long options of `identity` and all its verbs, and the verbs.
fn options_and_verbs() -> (BTreeSet<String>, BTreeSet<String>) {
    let mut command = Cli::command();
    command.build();
    let mut options = BTreeSet::new();
    let mut verbs = BTreeSet::new();
    for verb in command.get_subcommands() {
        verbs.insert(verb.get_name().to_owned());
        options.extend(verb.get_arguments().filter_map(|option| option.get_long()).map(str::to_owned));
    }
    assert!(options.len() > 20 && verbs.len() > 8, "{options:?} {verbs:?}");
    (options, verbs)
}

/// The words behind `before` in a text.
fn words_behind<'a>(text: &'a str, before: &str) -> impl Iterator<Item = &'a str> {
    let ends = |c: char| !c.is_ascii_alphanumeric() && c != '-';
    text.split(before).skip(1).map(move |rest| rest.split(ends).next().unwrap_or(rest))
}

#[test]
fn what_lies_below_the_command_knows_neither_its_options_nor_its_verbs() {
    let (options, verbs) = options_and_verbs();
    for name in WITHOUT_WORDS {
        let source = Source::of_library(&workspace().join(name));
        for (literal, place) in &source.literals {
            if NOT_OURS.iter().any(|other| literal.contains(other)) {
                continue;
            }
            let option = words_behind(literal, "--").find(|word| options.contains(*word));
            assert_eq!(option, None, "{place}: an option of `identity`, in {literal}");
            let verb = words_behind(literal, "identity ").find(|word| verbs.contains(*word));
            assert_eq!(verb, None, "{place}: a verb of `identity`, in {literal}");
        }
        let clap = source.words.iter().find(|(word, ..)| word.starts_with("clap"));
        assert!(clap.is_none(), "{name}: {clap:?}");
    }
    for other in NOT_OURS {
        let is_there = |name: &&str| {
            let source = Source::of_library(&workspace().join(name));
            source.literals.iter().any(|(literal, _)| literal.contains(other))
        };
        assert!(WITHOUT_WORDS.iter().any(is_there), "`{other}` is in no string any more");
    }
}

#[test]
fn what_lies_below_prints_nothing_and_above_it_only_the_modules_for_that() {
    let speakers = SPEAKERS.iter().copied().chain(WITHOUT_WORDS.iter().map(|name| (*name, &[][..])));
    for (name, speakers) in speakers {
        let source = Source::of_library(&workspace().join(name));
        for (word, is_macro, place) in &source.words {
            let is_printed = *is_macro && MACROS.contains(&&word[..]);
            assert!(!is_printed, "{place}: {word}!");
        }
        let opened = source.called(&["stdout", "stderr"]);
        for (word, place) in &opened {
            let may = speakers.iter().any(|speaker| place.is_in(&workspace().join(name).join(speaker)));
            assert!(may, "{place}: {word}");
        }
        for speaker in speakers {
            let file = workspace().join(name).join(speaker);
            assert!(opened.iter().any(|(_, place)| place.is_in(&file)), "{} prints nothing", file.display());
        }
    }
}

/// A file may have any name: in a message it is written so that a shell takes it and a terminal does not obey it.
#[test]
fn a_path_in_a_message_is_written_by_one_function() {
    for (name, data) in PATHS_AS_DATA {
        let mut found = BTreeSet::new();
        for file in files(&[".rs"]).into_iter().filter(|file| file.starts_with(Path::new(name).join("src"))) {
            let text = fs::read_to_string(workspace().join(&file)).expect("text");
            if text.contains(".display()") {
                found.insert(file.display().to_string());
            }
        }
        let known = data.iter().map(|file| format!("{name}/{file}")).collect();
        assert_eq!(found, known, "identity_ui::shell::path writes paths in messages");
    }
}

#[test]
fn names_that_are_gone_are_gone() {
    for file in files(&[".rs", ".md", ".toml", ".py", ".c", ".h"]) {
        let is_here = file.ends_with("house/words.rs");
        let text = fs::read_to_string(workspace().join(&file)).expect("text");
        for (number, line) in text.lines().enumerate().filter(|_| !is_here) {
            for name in GONE {
                let whole = |(at, _): (usize, &str)| {
                    let is_part = |c: char| c.is_alphanumeric() || c == '_';
                    let before = !line[..at].ends_with(is_part);
                    before && (name.ends_with(':') || !line[at + name.len()..].starts_with(is_part))
                };
                let gone = line.match_indices(name).any(whole);
                assert!(!gone, "{}:{}: {name}", file.display(), number + 1);
            }
        }
    }
}
