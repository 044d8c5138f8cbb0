// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity-lab import`.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use identity_host::device::plain;
use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Failure, Result, shell};
use serde::Serialize;
use serde_json::Value;
use tempfile::NamedTempFile;

use super::say_sorted;
use crate::args::{Format as OutputFormat, ImportArgs, ImportFormat};
use crate::boards::{Board, decoded, short};
use crate::import::{ChangedCell, Format, Found, Input, Merged, Settings, Updated, csv, failure, merge};
use crate::journal::Event;
use crate::lab::{BOARDS_CSV, Lab};
use crate::place::{Place, cannot, utf8};
use crate::replace;
use crate::row::Row;

/// What makes JSON of Ansible's other inventories.
const ANSIBLE: &str = "ansible-inventory";
/// What messages call standard input.
const STANDARD_INPUT: &str = "standard input";
/// Names of what is left out that one message has.
const NAMES_MAX: usize = 8;

/// What is left out that is said, one line each.
const LEFT_OUT_MAX: usize = 20;

#[derive(Serialize)]
struct UpdatedRow<'a> {
    #[serde(flatten)]
    row: Row,
    changed: &'a [ChangedCell],
}

#[derive(Serialize)]
struct LeftOut {
    file: PathBuf,
    line: usize,
    column: Option<usize>,
    message: String,
}

#[derive(Serialize)]
struct Shown<'a> {
    /// Of a plan, what follows from a UUID that is made only then is null.
    added: Vec<Value>,
    updated: Vec<UpdatedRow<'a>>,
    unchanged: Vec<Row>,
    left_out: Vec<LeftOut>,
    /// Names of columns and values.
    without_a_column: Vec<&'a str>,
}

/// Runs the verb.
///
/// # Errors
/// Exit 4 with line and column of what cannot be read; 6 if a board clashes with another one or differs from the one that is
/// there; everything that is wrong is said. Then nothing is written.
pub fn run(dir: &Path, args: &ImportArgs) -> Result<Exit> {
    let (path, bytes) = bytes(&args.file)?;
    let text = text(&path, bytes, args.from)?;
    let format = match args.from {
        Some(format) => named(format, &text),
        None => Format::of(&text).ok_or_else(|| unknown(&path, &text))?,
    };
    let made = if format == Format::AnsibleText { Some(inventory(args, &path, &text)?) } else { None };
    let input = match &made {
        Some(made) => Input::made_of(&path, &text, made),
        None => Input::new(&path, &text),
    };

    let here = if dir.as_os_str().is_empty() { Path::new(".") } else { dir };
    let _lock = replace::lock(here)?;
    let lab = Lab::read(dir)?;
    if let Some(name) = args.profile.as_ref().filter(|name| lab.profile(name).is_none()) {
        return Err(Failure::refused(lab.no_profile_yet(name)));
    }
    let profiles: Vec<_> = lab.profiles.iter().map(|profile| profile.name.as_str()).collect();
    let found = format.read(&input, &profiles)?;
    let removed = removed(&lab, &found);
    let settings =
        Settings { profile: args.profile.as_deref(), is_update: args.update, removed: removed.as_ref() };
    let merged =
        merge(&lab, &input, &found, settings).map_err(|faults| failure(faults, "nothing was added"))?;
    let list = dir.join(BOARDS_CSV);
    let is_changed = !merged.added.is_empty() || !merged.updated.is_empty();
    if is_changed {
        say_sorted(&lab, args.dry_run);
    }
    if is_changed && !args.dry_run {
        replace::sweep(here);
        replace::replace(&list, merged.text.as_bytes())?;
    }
    say_left_out(&merged);
    print(&match args.format {
        OutputFormat::Json => json(&shown(&merged, args.dry_run)),
        OutputFormat::Text => lines(&merged, args.dry_run),
    })?;
    Ok(Exit::Done)
}

/// The boards that were taken out of the list, if the file has UUIDs: nobody gets one of theirs.
fn removed(lab: &Lab, found: &Found) -> Option<HashMap<String, Event>> {
    if !found.boards.iter().any(|board| board.values.contains_key("uuid")) {
        return None;
    }
    let removed = lab.journal().open().and_then(|database| database.map(|mut it| it.removed()).transpose());
    removed.unwrap_or_else(|failure| {
        say(&failure.and("whether a UUID is that of a board that was removed is not known").to_string());
        None
    })
}

/// The bytes of FILE, and what messages call it.
fn bytes(file: &Path) -> Result<(PathBuf, Vec<u8>)> {
    if file == Path::new("-") {
        let mut bytes = Vec::new();
        let path = PathBuf::from(STANDARD_INPUT);
        std::io::stdin()
            .read_to_end(&mut bytes)
            .map_err(|error| cannot("read", &path, &error, Exit::Corrupt))?;
        return Ok((path, bytes));
    }
    let bytes = fs::read(file).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::usage(format!("cannot read {}: {}", file.display(), plain(&error))),
        _ => cannot("read", file, &error, Exit::Corrupt),
    })?;
    Ok((file.to_owned(), bytes))
}

/// A text without a mark of byte order.
fn text(path: &Path, bytes: Vec<u8>, from: Option<ImportFormat>) -> Result<String> {
    let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).map(<[u8]>::to_vec).unwrap_or(bytes);
    if bytes.starts_with(b"#!") && from.is_none_or(|from| from == ImportFormat::Ansible) {
        let script = shell::path(path);
        return Err(Failure::usage(format!(
            "{script} is a script, which is not run; if it is an inventory of Ansible, run `{ANSIBLE} -i {script} --list | identity-lab import -`"
        )));
    }
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let is_table = csv::is_header(String::from_utf8_lossy(first).trim_end());
    if is_table { decoded(path, bytes) } else { utf8(path, bytes) }
}

/// The format that a person names. Ansible has three.
fn named(format: ImportFormat, text: &str) -> Format {
    match format {
        ImportFormat::Csv => Format::Csv,
        ImportFormat::Dnsmasq => Format::Dnsmasq,
        ImportFormat::Ansible if text.trim_start().starts_with('{') => Format::Ansible,
        ImportFormat::Ansible => Format::AnsibleText,
        ImportFormat::Identity => Format::Identity,
    }
}

fn unknown(path: &Path, text: &str) -> Failure {
    let what = if text.trim().is_empty() {
        "this file is empty"
    } else {
        "this looks like no table with a column `hostname`, dnsmasq's dhcp-host lines, Ansible inventory, or JSON of \
         `identity list` or `identity read`; --from FORMAT names what it is"
    };
    Place::column(path, 1, 1).unreadable(what)
}

/// What Ansible's own program makes of an inventory as INI or YAML.
fn inventory(args: &ImportArgs, path: &Path, text: &str) -> Result<String> {
    let kept = NamedTempFile::new().and_then(|mut file| {
        file.write_all(text.as_bytes())?;
        Ok(file)
    });
    let file = match args.file.canonicalize() {
        // Ansible reads what lies beside it, `group_vars` and `host_vars`, too.
        Ok(file) if args.file != Path::new("-") => file,
        _ => match &kept {
            Ok(file) => file.path().to_owned(),
            Err(error) => {
                return Err(cannot("keep", path, &std::io::Error::from(error.kind()), Exit::Device));
            }
        },
    };
    let mut command = Command::new(ANSIBLE);
    command.arg("-i").arg(&file).arg("--list").stdin(Stdio::null());
    command.env("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "true").env("ANSIBLE_NOCOLOR", "1");
    let shown = shell::path(path);
    let output = command.output().map_err(|error| match error.kind() {
        ErrorKind::NotFound => Failure::usage(format!(
            "{shown} is an inventory as INI or YAML, which {ANSIBLE} makes JSON of, and that is not installed here; where it is, \
             run `{ANSIBLE} -i {shown} --list > boards.json`, and import that file"
        )),
        _ => cannot("run", Path::new(ANSIBLE), &error, Exit::Device),
    })?;
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let last =
            errors.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it fails").trim().to_owned();
        let what = format!("{ANSIBLE} does not take it: {}", short(&last));
        return Err(Place::line(path, 1).unreadable(what));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn say_left_out(merged: &Merged) {
    let names: Vec<_> = merged.ignored.iter().map(|name| short(name)).collect();
    if !names.is_empty() {
        let more = match names.len().saturating_sub(NAMES_MAX) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let names = names[..names.len().min(NAMES_MAX)].join(", ");
        say(&format!("{BOARDS_CSV} has no column for these, so they are left out: {names}{more}"));
    }
    for (place, why) in merged.left_out.iter().take(LEFT_OUT_MAX) {
        say(&format!("{place}: left out: {why}"));
    }
    if let Some(more) = merged.left_out.len().checked_sub(LEFT_OUT_MAX).filter(|more| *more > 0) {
        say(&format!("{more} more are left out; --format json shows all of them"));
    }
}

/// The rows of these boards, in the order of the list.
fn rows<'a>(merged: &'a Merged, wanted: &'a BTreeSet<String>) -> impl Iterator<Item = (&'a Board, Row)> {
    let boards = merged.boards.all.iter().filter(|board| wanted.contains(&board.hostname));
    boards.map(|board| (board, Row::of(board)))
}

/// Whether the UUID of a board is made only when it is added: one that nobody gets is not shown.
fn is_planned(merged: &Merged, board: &Board, is_dry: bool) -> bool {
    is_dry && merged.fresh.contains(&board.hostname)
}

fn shown(merged: &Merged, is_dry: bool) -> Shown<'_> {
    let left_out = merged.left_out.iter().map(|(place, why)| LeftOut {
        file: place.file().to_owned(),
        line: place.line_number(),
        column: place.column_number(),
        message: why.clone(),
    });
    let changed: BTreeMap<_, _> =
        merged.updated.iter().map(|board| (&board.hostname, board.cells.as_slice())).collect();
    let updated = |board: &Board| {
        let changed = changed.get(&board.hostname)?;
        Some(UpdatedRow { row: Row::of(board), changed })
    };
    Shown {
        added: rows(merged, &merged.added)
            .map(|(board, row)| row.json(board, is_planned(merged, board, is_dry)))
            .collect(),
        updated: merged.boards.all.iter().filter_map(updated).collect(),
        unchanged: rows(merged, &merged.unchanged).map(|(_, row)| row).collect(),
        left_out: left_out.collect(),
        without_a_column: merged.ignored.iter().map(String::as_str).collect(),
    }
}

/// A line for each board that is changed, and one that counts all.
fn lines(merged: &Merged, is_dry: bool) -> String {
    let verb = |done: &str, would: &str| if is_dry { format!("would {would}") } else { done.to_owned() };
    let mut text = String::new();
    for (board, row) in rows(merged, &merged.added) {
        text += &row.line(&verb("added", "add"), board, is_planned(merged, board, is_dry));
    }
    for Updated { hostname, cells } in &merged.updated {
        for cell in cells {
            let [from, to] = [&cell.from, &cell.to].map(|text| identity_ui::lines::escaped(text));
            let from = if from.is_empty() { "nothing".into() } else { from };
            text += &format!("{} {hostname}  {}: {from} -> {to}\n", verb("updated", "update"), cell.column);
        }
    }
    let mut counts = vec![format!("{} {}", merged.added.len(), verb("added", "be added"))];
    for (count, what) in [
        (merged.updated.len(), verb("updated", "be updated")),
        (merged.unchanged.len(), "there already".into()),
        (merged.left_out.len(), "left out".into()),
    ] {
        if count > 0 {
            counts.push(format!("{count} {what}"));
        }
    }
    text + &counts.join(", ") + "\n"
}
