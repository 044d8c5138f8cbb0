// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity flash`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use identity_core::Identity;
use identity_host::device::safety::InUse;
use identity_host::device::{Card, SECTOR_LEN, Target, udev};
use identity_host::document::Document;
use identity_host::error::Error;
use identity_host::flash::interrupt::Stop;
use identity_host::flash::prepare::{FlashTarget, Request, prepare};
use identity_host::flash::run::{self, Settings};
use identity_host::flash::{FlashProblem, Note};
use identity_host::image::digest::{self, Expected};
use identity_host::image::source::Source;
use identity_host::image::{self, bmap};
use identity_host::record::{self, CardKey};
use identity_host::stamp;
use identity_host::surroundings::Surroundings;
use identity_ui::confirm::Terminal;
use identity_ui::output::{json_line, print, say};
use identity_ui::progress::ShownProgress;
use identity_ui::{Exit, Failure, Result, confirm, shell, wording};

use super::writing::{self, Undo};
use crate::args::{FlashArgs, Format};
use crate::render::flash::{self as show, FlashSummary, Outcome, Replaced};
use crate::render::hexdump;

pub fn run(args: &FlashArgs) -> Result<Exit> {
    let request = request(args)?;
    let mut target = writing::open(&args.target, args.safety, InUse::Refuse, args.dry_run)?;
    let mut source = open_source(args, &target)?;
    let read_bmap = if args.bmap_signed { bmap::read_signed } else { bmap::read };
    let found = find_bmap(args, &source);
    if found.is_none() && args.bmap_signed {
        return Err(Failure::refused(
            "--bmap-signed: there is no block map beside the image; give --bmap FILE",
        ));
    }
    let bmap = found.as_ref().map(|path| read_bmap(path)).transpose()?.map(Arc::new);
    let (key, records) = (CardKey::of_target(&target), record::directory()?);
    let surroundings = Surroundings::of_target(&target);
    let card = FlashTarget { card: &target, path: &args.target, key: &key, records: &records, surroundings };
    let mut prepared = prepare(&card, &mut source, bmap.clone(), request)?;
    for doubt in std::mem::take(&mut prepared.doubts) {
        if args.dry_run {
            say(&wording::error(&doubt));
        } else {
            consent(doubt, args)?;
        }
    }
    if let (Some(identity), true, false) = (&prepared.plan.identity, args.restore.is_some(), args.dry_run) {
        writing::consent_to_double(identity.uuid(), &target, &args.target, args.force)?;
    }
    say_all(&prepared.notes, &args.target);

    let summary = FlashSummary {
        image: &source.path,
        format: source.format.name(),
        file_len: source.file_len,
        image_len: bmap.as_ref().map(|bmap| bmap.image_len).or(source.exact_len()),
        bmap: found.as_deref(),
        mapped_len: bmap.as_ref().map(|bmap| bmap.mapped_len()),
        target: &args.target,
        target_len: target.sectors() * SECTOR_LEN as u64,
        device: target.info(),
        interrupted: prepared.interrupted.as_ref(),
        blanked: &prepared.blanked,
        plan: &prepared.plan,
    };
    if args.dry_run {
        print(&match args.format {
            Format::Json => json_line(&show::planned(&summary)),
            Format::Text => show::plan(&summary),
        })?;
        return Ok(Exit::Done);
    }
    for (lba, sector) in &prepared.covered {
        let dump = hexdump::sector(sector);
        say(&format!(
            "LBA {lba} of the image is left out, for a copy of the identity goes there; it holds:\n{dump}"
        ));
    }
    confirm(args, &summary, &target)?;

    let stop = Stop::on_signal()?;
    let retired = prepared.retired(&key);
    let kept = writing::keep(&retired, &args.target, Undo::ReplaceAfterFlash, args.at.first().copied())?;
    let replaced: Vec<Replaced> = retired.iter().zip(&kept).filter_map(Replaced::new).collect();
    let (is_from_elsewhere, was_on_card) = (prepared.is_from_elsewhere(&key), prepared.was_on_card());
    let (image, plan, left_out) = (source.path.clone(), prepared.plan.clone(), prepared.blanked.clone());
    let sha256 = source.expected().map(|expected| expected.sum.to_string());
    let sha256_file = source.expected().and_then(|expected| expected.origin.as_deref()).map(show::in_json);
    let covered = prepared.covered.iter().map(|(lba, _)| *lba).collect();
    let mut progress = ShownProgress::new(args.format == Format::Json);
    let settings = Settings {
        path: &args.target,
        key,
        records: &records,
        retired: kept.into_iter().flatten().next(),
        verify: !args.no_verify,
        progress: &mut progress,
        stop,
    };
    let is_block_device = target.is_block_device();
    let done = run::run(prepared, &mut target, source, settings);
    drop(progress);
    drop(target);
    if is_block_device {
        udev::settle();
    }
    let done = done?;
    say_all(&done.notes, &args.target);
    writing::say_hidden(&args.at, &done.scan, &args.target);
    if is_from_elsewhere {
        say(if was_on_card { writing::FORMER_CARD } else { writing::PERHAPS_FORMER_CARD });
    }

    let outcome = Outcome {
        image: show::in_json(&image),
        target: &args.target,
        summary: &done.summary,
        bmap: found.as_deref().map(show::in_json),
        mapped_bytes: bmap.as_ref().map(|bmap| bmap.mapped_len()),
        sha256,
        sha256_file,
        verified: !args.no_verify,
        left_out: &left_out,
        identity: plan.identity.is_some().then(|| Document::of_scan(&done.scan, None, 1)),
        why: plan.copies.why.map(wording::why),
        covered,
        no_place: plan.given_up.is_some(),
        replaced,
    };
    print(&match args.format {
        Format::Json => json_line(&show::done(outcome)),
        Format::Text => show::finished(&outcome),
    })?;
    Ok(Exit::Done)
}

fn say_all(notes: &[Note], path: &Path) {
    for note in notes {
        say(&wording::note(note, path));
    }
}

fn request(args: &FlashArgs) -> Result<Request> {
    Ok(Request {
        fresh: fresh_identity(args)?,
        restore: args.restore.as_deref().map(record::read_kept).transpose()?,
        no_restore: args.no_restore,
        at: args.at.clone(),
        no_table: args.no_table,
        force: args.force,
    })
}

/// The identity that a card without one gets.
fn fresh_identity(args: &FlashArgs) -> Result<Option<Identity>> {
    if args.profile.is_none() {
        return Ok(None);
    }
    let values = stamp::Values {
        profile: args.profile.clone(),
        hostname: args.hostname.clone(),
        serial: args.serial.clone(),
        ..stamp::Values::default()
    };
    Ok(stamp::Request { values, ..stamp::Request::default() }.new_identity()?)
}

fn is_stdin(args: &FlashArgs) -> bool {
    args.image == Path::new("-")
}

fn open_source(args: &FlashArgs, target: &Target) -> Result<Source> {
    let expected = match args.sha256 {
        Some(sum) => Some(Expected { sum, origin: None }),
        None if is_stdin(args) => None,
        None => digest::find_beside(&args.image)?,
    };
    let memory = args.memory.unwrap_or_else(image::default_memory);
    let source = Source::open(&args.image, expected, memory)?;
    if source.file().is_some_and(|file| target.shares_storage_with(file)) {
        let problem = FlashProblem::SameStorage;
        return Err(Error::Flash { path: args.target.clone(), problem }.into());
    }
    Ok(source)
}

fn find_bmap(args: &FlashArgs, source: &Source) -> Option<PathBuf> {
    if args.bmap.is_some() || args.no_bmap || is_stdin(args) {
        return args.bmap.clone();
    }
    let path = bmap::find_beside(&args.image)?;
    // A packed image may be packed after its map was made.
    if source.format == image::container::Format::Raw && is_newer(&args.image, &path) {
        let shown = shell::path(&path);
        say(&format!(
            "the block map {shown} is older than the image, so it is not used, and all of the image is written; `--bmap {shown}` \
             uses it"
        ));
        return None;
    }
    Some(path)
}

/// Whether a file was changed after another.
fn is_newer(file: &Path, other: &Path) -> bool {
    let changed = |path: &Path| path.metadata().and_then(|metadata| metadata.modified()).ok();
    changed(file).zip(changed(other)).is_some_and(|(file, other)| file > other)
}

/// Lets a person agree to an identity that another card has, or may have.
fn consent(doubt: Error, args: &FlashArgs) -> Result<()> {
    if let Some(terminal) = Terminal::find(is_stdin(args)) {
        return writing::ask(terminal, &doubt);
    }
    let more = match &doubt {
        Error::LoneCopy { .. } => Some("or give --force"),
        _ if args.restore.is_none() => Some("or ignore the record with --no-restore"),
        _ => None,
    };
    let failure = Failure::from(doubt);
    Err(match more {
        Some(more) => failure.and(more),
        None => failure,
    })
}

/// Asks before a block device is overwritten.
fn confirm(args: &FlashArgs, summary: &FlashSummary<'_>, target: &Target) -> Result<()> {
    if args.yes {
        return Ok(());
    }
    let shown = shell::path(&args.target);
    let Some(terminal) = Terminal::find(is_stdin(args)) else {
        // A script that writes to an image file writes to its own file.
        if !target.is_block_device() {
            return Ok(());
        }
        let reason = if is_stdin(args) { "there is no terminal" } else { "standard input is not a terminal" };
        return Err(Failure::refused(format!(
            "this would overwrite {shown}, and {reason} to ask on; give --yes"
        )));
    };
    let what = if summary.bmap.is_some() { "all that the block map lists" } else { "everything" };
    confirm::ask_on(terminal, &show::facts(summary), &format!("Overwrite {what} on {shown}?"))
}
