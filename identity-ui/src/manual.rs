// SPDX-License-Identifier: MIT OR Apache-2.0
//! Manual pages out of the same definitions as `--help`: one of the program, and one of each verb.

use std::fs;
use std::io::{self, Write};
use std::path::Path;

use clap::{Arg, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, italic, roman};
use identity_host::device::plain;

use crate::output::print;
use crate::{Exit, Failure, Result, shell};

/// A name, and what is said of it.
pub type Row = (String, String);

/// What the pages say beside what the command line says of itself.
#[derive(Debug)]
pub struct Manual<'a> {
    /// Name of the program.
    pub program: &'a str,
    /// The version that the pages name.
    pub version: &'a str,
    /// What the program is.
    pub description: &'a str,
    /// Command lines, each with two blanks in front, for the program's own page.
    pub examples: &'a str,
    /// More sections of the program's own page: title, a first sentence or none, rows.
    pub sections: Vec<(&'a str, String, Vec<Row>)>,
    /// Files that the program reads or writes.
    pub files: &'a [(&'a str, &'a str)],
    /// Exit codes, and what they mean.
    pub exit_codes: Vec<Row>,
    /// Verbs that are other programs, which have pages of their own.
    pub elsewhere: &'a [&'a str],
    /// Other pages, as `name(8)`.
    pub see_also: &'a [&'a str],
}

/// A verb with a page: its words behind the program's name, and its definition.
struct Verb<'a> {
    words: Vec<&'a str>,
    command: &'a Command,
}

impl Manual<'_> {
    /// Writes a page for the program and for each verb into `dir`; without it, prints the program's own.
    ///
    /// # Errors
    /// Exit 7 if that fails.
    pub fn write(&self, command: Command, dir: Option<&Path>) -> Result<Exit> {
        let pages = self.pages(command);
        let Some(dir) = dir else {
            return pages.first().map_or(Ok(()), |(_, page)| print(page)).map(|()| Exit::Done);
        };
        for (name, page) in &pages {
            let path = dir.join(format!("{name}.1"));
            fs::write(&path, page).map_err(|error| {
                Failure::new(Exit::Device, format!("cannot write {}: {}", shell::path(&path), plain(&error)))
            })?;
        }
        Ok(Exit::Done)
    }

    /// The pages as roff, by their names: the program's own first.
    pub fn pages(&self, mut command: Command) -> Vec<(String, String)> {
        command.build();
        let mut verbs = Vec::new();
        collect(&command, &[], &mut verbs);
        let own = Verb { words: Vec::new(), command: &command };
        let page = |of: &Verb| {
            let mut bytes = Vec::new();
            // Memory takes every byte.
            let _ = self.write_page(&verbs, of, &mut bytes);
            (self.name(of), ascii(&String::from_utf8_lossy(&bytes)))
        };
        let with_page = verbs.iter().filter(|verb| !self.elsewhere.contains(&verb.command.get_name()));
        std::iter::once(&own).chain(with_page).map(page).collect()
    }

    /// A page's name has a hyphen where the command line has a blank.
    fn name(&self, verb: &Verb) -> String {
        [&[self.program], &verb.words[..]].concat().join("-")
    }

    fn write_page(&self, verbs: &[Verb], of: &Verb, out: &mut dyn Write) -> io::Result<()> {
        let (name, command, is_whole) = (self.name(of), of.command, of.words.is_empty());
        let source = format!("{} {}", self.program, self.version);
        let named = command.clone().display_name(name.clone());
        let man = Man::new(named).title(name).section("1").source(source).manual("SD card identity");
        man.render_title(out)?;
        man.render_name_section(out)?;
        self.synopsis(of).to_writer(out)?;
        let help = command.get_after_help().map(|text| text.to_string()).unwrap_or_default();
        let (examples, paragraphs) =
            if is_whole { (self.examples, vec![self.description]) } else { split(&help) };
        let mut description = Roff::new();
        description.control("SH", ["DESCRIPTION"]);
        if !is_whole {
            description.text([roman(format!("{}.", about(command)))]);
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
            let list: Vec<_> =
                verbs.iter().map(|verb| (format!("{}(1)", self.name(verb)), about(verb.command))).collect();
            section("COMMANDS", "", &list).to_writer(out)?;
            for (title, first, rows) in &self.sections {
                section(title, first, rows).to_writer(out)?;
            }
        }
        let files: Vec<_> =
            self.files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect();
        section("FILES", "", &files).to_writer(out)?;
        examples_section(examples).to_writer(out)?;
        section("EXIT STATUS", "", &self.exit_codes).to_writer(out)?;
        self.see_also(verbs, of).to_writer(out)
    }

    /// How it is called, each option with its value.
    fn synopsis(&self, of: &Verb) -> Roff {
        let command = of.command;
        let mut words: Vec<Inline> = vec![bold([&[self.program], &of.words[..]].concat().join(" "))];
        if of.words.is_empty() {
            words.extend([roman(" "), italic("COMMAND"), roman(" [options]")]);
        }
        let options = command.get_opts().chain(command.get_arguments().filter(|arg| is_flag(arg)));
        for arg in options.filter(|arg| !matches!(arg.get_id().as_str(), "help" | "version")) {
            let (open, close) = if arg.is_required_set() { (" ", "") } else { (" [", "]") };
            words.extend([roman(open), bold(format!("--{}", arg.get_long().unwrap_or_default()))]);
            if arg.get_action().takes_values() {
                let optional = arg.is_require_equals_set();
                words.push(roman(if optional { "[=" } else { " " }));
                words.push(italic(value_name(arg)));
                words.push(roman(if optional { "]" } else { "" }));
            }
            words.push(roman(close));
        }
        for arg in command.get_positionals() {
            let (open, close) = if arg.is_required_set() { ("", "") } else { ("[", "]") };
            let many = arg.get_action().takes_values()
                && arg.get_num_args().is_some_and(|range| range.max_values() > 1);
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

    fn see_also(&self, verbs: &[Verb], of: &Verb) -> Roff {
        let mut names: Vec<_> =
            verbs.iter().filter(|verb| verb.words != of.words).map(|verb| self.name(verb)).collect();
        if !of.words.is_empty() {
            names.insert(0, self.program.to_owned());
        }
        let mut words = Vec::new();
        let others = self.see_also.iter().filter_map(|name| name.strip_suffix(')')?.split_once('('));
        let own = names.iter().map(|name| (&name[..], "1"));
        for (number, (name, section)) in own.chain(others).enumerate() {
            words.push(roman(if number == 0 { "" } else { ", " }));
            words.extend([bold(name), roman(format!("({section})"))]);
        }
        let mut roff = Roff::new();
        roff.control("SH", ["SEE ALSO"]);
        roff.text(words);
        roff
    }
}

/// The verbs that have a page: all but clap's own `help`, and of one that has verbs itself, these.
fn collect<'a>(command: &'a Command, words: &[&'a str], verbs: &mut Vec<Verb<'a>>) {
    for verb in command.get_subcommands().filter(|verb| verb.get_name() != "help") {
        let words = [words, &[verb.get_name()]].concat();
        if verb.has_subcommands() {
            collect(verb, &words, verbs);
        } else {
            verbs.push(Verb { words, command: verb });
        }
    }
}

/// Other characters as groff names them: it takes none as they are, and has none for `…` on a terminal of ASCII.
fn ascii(page: &str) -> String {
    let one = |char: char| match char {
        '…' => "...".into(),
        char if char.is_ascii() => char.to_string(),
        char => format!("\\[u{:04X}]", u32::from(char)),
    };
    page.chars().map(one).collect()
}

fn about(command: &Command) -> String {
    command.get_about().map(ToString::to_string).unwrap_or_default()
}

/// Examples, and the paragraphs behind them, of what `--help` has at its end.
fn split(help: &str) -> (&str, Vec<&str>) {
    let text = help.trim_start_matches("Examples:\n").trim_start_matches("Example:\n");
    let mut parts = text.split("\n\n");
    (parts.next().unwrap_or_default(), parts.collect())
}

fn is_flag(arg: &Arg) -> bool {
    arg.get_long().is_some() && !arg.get_action().takes_values()
}

fn value_name(arg: &Arg) -> String {
    let names = arg.get_value_names().unwrap_or_default();
    names.first().map_or_else(|| arg.get_id().to_string().to_uppercase(), ToString::to_string)
}

fn section(title: &str, first: &str, rows: &[Row]) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [title]);
    if !first.is_empty() {
        roff.text([roman(first)]);
    }
    for (name, text) in rows {
        roff.control("TP", []);
        roff.text([bold(name.as_str())]);
        roff.text([roman(text.as_str())]);
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
