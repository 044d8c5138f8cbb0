// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity flash`.

use std::io::{self, BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use identity_core::field::kind;
use identity_core::{Draft, Identity, Uuid};

use super::{explain, stamp};
use crate::args::{FlashArgs, Format};
use crate::device::{Access, Card, SECTOR_LEN, Target};
use crate::error::{Error, Exit, Result};
use crate::flash::bmap;
use crate::flash::carry_out::{Manner, carry_out};
use crate::flash::digest::{self, Expected};
use crate::flash::interrupt::Stop;
use crate::flash::prepare::{Options, Subject, prepare};
use crate::flash::progress::Progress;
use crate::flash::record::{self, CardKey, Record};
use crate::flash::source::Source;
use crate::render;
use crate::render::flash::{self as show, Facts, Outcome};
use crate::survey::Survey;
use crate::view::View;

pub fn run(args: &FlashArgs) -> Result<Exit> {
    let options = options(args)?;
    let access = if args.dry_run { Access::Plan(args.safety) } else { Access::Write(args.safety) };
    let mut target = Target::open(&args.target, access)?;
    let mut source = open_source(args, &target)?;
    let bmap = find_bmap(args).map(|path| bmap::read(&path)).transpose()?.map(Arc::new);
    let (key, records) = (key_of(&target), record::directory()?);
    let explain = |survey: &Survey| explain(survey, &args.target).unwrap_or_default();
    let subject =
        Subject { card: &target, path: &args.target, key: &key, records: &records, explain: &explain };
    let prepared = prepare(&subject, &mut source, bmap.clone(), options)?;
    say(&prepared.notes);

    let facts = Facts {
        image: &source.name,
        format: source.format.name(),
        file_len: source.file_len,
        image_len: bmap.as_ref().map(|bmap| bmap.image_len).or(source.exact_len()),
        mapped_len: bmap.as_ref().map(|bmap| bmap.mapped_len()),
        target: &args.target,
        target_len: target.sectors() * SECTOR_LEN as u64,
        device: target.facts(),
        blanked: &prepared.blanked,
        plan: &prepared.plan,
    };
    if args.dry_run {
        render::print(&match args.format {
            Format::Json => render::json_line(&show::planned(&facts)),
            Format::Text => show::plan(&facts),
        })?;
        return Ok(Exit::Done);
    }
    confirm(args, &facts, &target)?;

    let (name, plan) = (source.name.clone(), prepared.plan.clone());
    let manner = Manner {
        path: &args.target,
        key,
        records: &records,
        verify: !args.no_verify,
        progress: Progress::new(args.format),
        stop: Stop::on_signal()?,
        explain: &explain,
    };
    let done = carry_out(prepared, &mut target, source, manner)?;
    drop(target);
    say(&done.notes);

    let outcome = Outcome {
        image: &name,
        target: &args.target,
        summary: &done.summary,
        verified: !args.no_verify,
        identity: plan.identity.is_some().then(|| View::of(&done.survey)),
        why: &plan.copies.why,
        record: done.record.as_deref(),
    };
    render::print(&match args.format {
        Format::Json => render::json_line(&show::done(outcome)),
        Format::Text => show::finished(&outcome),
    })?;
    Ok(Exit::Done)
}

fn say(notes: &[String]) {
    for note in notes {
        anstream::eprintln!("identity: {note}");
    }
}

fn options(args: &FlashArgs) -> Result<Options> {
    let read = |file: &PathBuf| Record::read(file).map(|record| (file.clone(), record));
    Ok(Options {
        fresh: fresh_identity(args)?,
        restore: args.restore.as_ref().map(read).transpose()?,
        no_restore: args.no_restore,
        at: args.at.clone(),
        force: args.force,
    })
}

/// The identity that a card without one gets.
fn fresh_identity(args: &FlashArgs) -> Result<Option<Identity>> {
    let Some(profile) = &args.profile else { return Ok(None) };
    let mut draft = Draft::new(Uuid::new_v4()).map_err(stamp::invalid)?;
    draft.set_text(kind::PROFILE, profile).map_err(stamp::invalid)?;
    for (kind, text) in [(kind::HOSTNAME, &args.hostname), (kind::SERIAL, &args.serial)] {
        if let Some(text) = text {
            draft.set_text(kind, text).map_err(stamp::invalid)?;
        }
    }
    draft.finish().map(Some).map_err(stamp::invalid)
}

fn is_stdin(args: &FlashArgs) -> bool {
    args.image == Path::new("-")
}

fn open_source(args: &FlashArgs, target: &Target) -> Result<Source> {
    let expected = match args.sha256 {
        Some(sum) => Some(Expected { sum, origin: "--sha256".into() }),
        None if is_stdin(args) => None,
        None => digest::find_beside(&args.image)?,
    };
    let source = Source::open(&args.image, expected)?;
    if source.file().is_some_and(|file| target.is_same_as(file)) {
        return Err(Error::refused(format!(
            "{} is the image itself; give another target",
            args.target.display()
        )));
    }
    Ok(source)
}

fn find_bmap(args: &FlashArgs) -> Option<PathBuf> {
    match &args.bmap {
        Some(path) => Some(path.clone()),
        None if args.no_bmap || is_stdin(args) => None,
        None => bmap::find_beside(&args.image),
    }
}

fn key_of(target: &Target) -> CardKey {
    CardKey {
        path: target.path().canonicalize().unwrap_or_else(|_| target.path().to_owned()),
        sectors: target.sectors(),
        cid: target.facts().and_then(|facts| facts.cid).map(|cid| cid.to_string()),
    }
}

/// Asks before a block device is overwritten.
fn confirm(args: &FlashArgs, facts: &Facts<'_>, target: &Target) -> Result<()> {
    if args.yes || !target.is_block_device() {
        return Ok(());
    }
    let shown = args.target.display();
    if !io::stdin().is_terminal() {
        return Err(Error::refused(format!(
            "{shown} would be overwritten, and there is no terminal to ask on; say --yes"
        )));
    }
    let error = |error: io::Error| Error::device(format!("cannot ask on the terminal: {error}"));
    let mut stderr = anstream::stderr();
    write!(stderr, "{}Overwrite everything on {shown}? [y/N] ", show::facts(facts))
        .and_then(|()| stderr.flush())
        .map_err(error)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(error)?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    Err(Error::refused("not confirmed; nothing was written"))
}
