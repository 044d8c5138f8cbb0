// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity read`.

use std::path::Path;

use identity_core::{Identity, State};
use identity_host::default_card::{self, FoundCard};
use identity_host::device::{Card, SECTOR_LEN, Sector};
use identity_host::directory;
use identity_host::document::{Document, machine_id};
use identity_host::error::Error;
use identity_host::scan::Scan;
use identity_layout::mark::Mark;
use identity_ui::output::{json, json_line, print, say};
use identity_ui::{Exit, Failure, Result, shell, wording};
use serde::Serialize;

use super::{say_doubles, warn, warn_unfinished, warn_with};
use crate::args::{ReadArgs, ReadFormat};
use crate::render::{assignments, csv, text};

/// One of several documents.
#[derive(Serialize)]
struct Targeted {
    target: String,
    #[serde(flatten)]
    document: Document,
}

pub fn run(args: &ReadArgs) -> Result<Exit> {
    if let Some(directory) = &args.into {
        return write_files(args, directory);
    }
    let done = match &args.targets[..] {
        [_, _, ..] => return read_several(args),
        targets if args.format == ReadFormat::Csv => return read_all_as_csv(args, targets),
        targets => read_one(args, targets.first().map(|target| &**target)),
    };
    if let (Err(failure), ReadFormat::Shell) = (&done, args.format) {
        // Whoever evals this must not go on with what an earlier eval has set.
        print(&assignments::shell(&Document::of_state(State::Unreadable), failure.exit()))?;
    }
    done
}

fn read_one(args: &ReadArgs, target: Option<&Path>) -> Result<Exit> {
    let found = default_card::look(target, args.at)?;
    let (scan, path) = (&found.scan, &found.path);
    let exit = Exit::of_read(scan.state());
    if let Some(field) = &args.field {
        print(&format!("{}\n", bare(field, scan, path)?))?;
        warn(scan, path);
        warn_unfinished(read_lba0(&found).as_ref().and_then(Mark::parse).as_ref(), path);
        return Ok(exit);
    }
    let lba0 = read_lba0(&found);
    let mark = lba0.as_ref().and_then(Mark::parse);
    print(&shown(scan, mark.as_ref(), args))?;
    warn_with(scan, path, &found.target, lba0.as_ref(), &[]);
    warn_unfinished(mark.as_ref(), path);
    // udev takes nothing from a program that fails, and the state is in the properties.
    let is_told = args.format == ReadFormat::Udev && exit != Exit::Device;
    Ok(if is_told { Exit::Done } else { exit })
}

fn read_several(args: &ReadArgs) -> Result<Exit> {
    if args.format == ReadFormat::Csv {
        return read_all_as_csv(args, &args.targets);
    }
    if args.field.is_some() || !matches!(args.format, ReadFormat::Text | ReadFormat::Json) {
        return Err(Failure::usage(
            "several targets need --format text, json or csv, and cannot have --field",
        ));
    }
    for_each(&args.targets, args, |path, document, is_first| {
        let target = path.display().to_string();
        match args.format {
            ReadFormat::Json => json_line(&Targeted { target, document: document.clone() }),
            _ => {
                let line = if is_first { "" } else { "\n" };
                format!("{line}{}\n{}", shell::path(path), text::identity(document))
            }
        }
    })
}

fn read_all_as_csv(args: &ReadArgs, targets: &[impl AsRef<Path>]) -> Result<Exit> {
    print(&csv::head(args.interfaces))?;
    let line = |path: &Path, document: &Document, _| csv::line(path, &to_assign(document), args.interfaces);
    if targets.is_empty() {
        let found = default_card::look(None, args.at)?;
        return show(&found, args, |document| line(&found.path, document, true));
    }
    for_each(targets, args, line)
}

/// Shows each card; the exit code is that of the one that most needs to be seen.
fn for_each(
    targets: &[impl AsRef<Path>],
    args: &ReadArgs,
    render: impl Fn(&Path, &Document, bool) -> String,
) -> Result<Exit> {
    let mut worst = Exit::Done;
    let mut seen = Vec::new();
    for (number, path) in targets.iter().map(AsRef::as_ref).enumerate() {
        let render = |document: &Document| render(path, document, number == 0);
        let exit = match default_card::look(Some(path), args.at) {
            Ok(found) => {
                seen.push((path, found.scan.identity().map(|identity| identity.uuid().to_string())));
                show(&found, args, render)?
            }
            Err(error) => {
                print(&render(&Document::of_state(State::Unreadable)))?;
                say(&wording::error(&error));
                Exit::of_error(&error)
            }
        };
        worst = worst.worst(exit);
    }
    let seen: Vec<_> = seen.iter().map(|(path, uuid)| (*path, uuid.as_deref())).collect();
    Ok(if say_doubles(&seen) { worst.worst(Exit::Doubtful) } else { worst })
}

fn show(found: &FoundCard, args: &ReadArgs, render: impl Fn(&Document) -> String) -> Result<Exit> {
    let lba0 = read_lba0(found);
    let mark = lba0.as_ref().and_then(Mark::parse);
    print(&render(&Document::of_scan(&found.scan, mark.as_ref(), args.interfaces)))?;
    warn_with(&found.scan, &found.path, &found.target, lba0.as_ref(), &[]);
    warn_unfinished(mark.as_ref(), &found.path);
    Ok(Exit::of_read(found.scan.state()))
}

/// All of one reading as files, for a board that takes the identity for its own.
fn write_files(args: &ReadArgs, directory: &Path) -> Result<Exit> {
    let target = match &args.targets[..] {
        [] => None,
        [one] => Some(&**one),
        _ => return Err(Failure::usage("--into takes one TARGET")),
    };
    let found = default_card::look_for_booted(target, args.at)?;
    if !found.scan.state().is_usable() {
        return Err(Error::State { path: found.path, scan: Box::new(found.scan) }.into());
    }
    let mark = read_lba0(&found).as_ref().and_then(Mark::parse);
    let document = Document::of_scan(&found.scan, mark.as_ref(), args.interfaces);
    let line = |value: &str| format!("{value}\n");
    let mut files = vec![
        ("identity.json", json(&document)),
        ("identity.env", assignments::env(&document)),
        ("machine-id", line(document.machine_id.as_deref().unwrap_or_default())),
        ("card", line(&found.path.display().to_string())),
    ];
    if let Some(hostname) = &document.hostname {
        files.push(("hostname", line(hostname)));
    }
    directory::publish(directory, &files)?;
    warn(&found.scan, &found.path);
    warn_unfinished(mark.as_ref(), &found.path);
    Ok(Exit::of_read(found.scan.state()))
}

fn read_lba0(found: &FoundCard) -> Option<Sector> {
    let mut lba0: Sector = [0; SECTOR_LEN];
    found.target.read(0, &mut lba0).ok().map(|()| lba0)
}

fn shown(scan: &Scan, mark: Option<&Mark>, args: &ReadArgs) -> String {
    let document = Document::of_scan(scan, mark, args.interfaces);
    match args.format {
        ReadFormat::Text if scan.identity().is_none() => String::new(),
        ReadFormat::Text => text::identity(&document),
        ReadFormat::Json => json(&document),
        ReadFormat::Csv => String::new(),
        ReadFormat::Shell => assignments::shell(&to_assign(&document), Exit::of_read(scan.state())),
        ReadFormat::Env => assignments::env(&to_assign(&document)),
        ReadFormat::Uboot => assignments::uboot(&to_assign(&document)),
        ReadFormat::Udev => assignments::udev(&to_assign(&document)),
    }
}

/// Who takes assignments does not look at the exit code, and must not take an identity that is in doubt.
fn to_assign(document: &Document) -> Document {
    let state = State::ALL.into_iter().find(|state| state.name() == document.state);
    match state {
        Some(state) if !state.is_usable() => Document::of_state(state),
        _ => document.clone(),
    }
}

/// One value; only a usable identity has any but its state.
fn bare(field: &str, scan: &Scan, path: &Path) -> Result<String> {
    if field == "state" {
        return Ok(scan.state().to_string());
    }
    let (State::Valid | State::Degraded, Some(identity)) = (scan.state(), scan.identity()) else {
        let message = wording::state(scan, path).unwrap_or_default();
        return Err(Failure::new(Exit::of_read(scan.state()), message));
    };
    value(field, identity)?.ok_or_else(|| {
        Failure::usage(format!(
            "{}: the identity has no {field}; `identity read` shows what it has",
            shell::path(path)
        ))
    })
}

fn value(field: &str, identity: &Identity) -> Result<Option<String>> {
    let mac = |index| identity.mac(index).0.to_string();
    if let Some(key) = field.strip_prefix("variables.") {
        let variable = identity.fields().variables().find(|(name, _)| *name == key);
        return Ok(variable.map(|(_, value)| value.to_owned()));
    }
    if let Some(index) = field.strip_prefix("mac.").and_then(|index| index.parse().ok()) {
        return Ok(Some(mac(index)));
    }
    Ok(match field {
        "uuid" => Some(identity.uuid().to_string()),
        "profile" => Some(identity.profile().to_owned()),
        "hostname" => identity.hostname().map(str::to_owned),
        "serial" => identity.serial().map(str::to_owned),
        "generation" => Some(identity.generation().to_string()),
        "machine_id" => Some(machine_id(identity.uuid())),
        "mac" => Some(mac(0)),
        _ => {
            return Err(Failure::usage(format!(
                "--field {field}: there is no such field; the fields are state, uuid, profile, hostname, serial, \
                 generation, machine_id, mac, mac.INDEX and variables.KEY"
            )));
        }
    })
}
