// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity stamp`.

use std::collections::BTreeSet;

use identity_core::field::{FIELD_HEADER_LEN, kind};
use identity_core::identity::DraftError;
use identity_core::mac::MAC_LEN;
use identity_core::sector::FIELDS_CAPACITY;
use identity_core::{Draft, Identity, State, Uuid};

use super::write::read_ground;
use super::{explain, update};
use crate::args::{Format, StampArgs};
use crate::create::NewImage;
use crate::device::{Access, Card, Target};
use crate::error::{Error, Exit, Result};
use crate::flash::record::{self, Record};
use crate::ground::Ground;
use crate::plan::{self, Plan};
use crate::render::{self, text};
use crate::survey::Survey;
use crate::view::{Planned, View};

/// Runs the verb.
///
/// # Errors
/// What stopped it, with its exit code.
pub fn run(args: StampArgs) -> Result<Exit> {
    check_no_duplicates(&args)?;
    // Before anything is opened or made: the values themselves.
    let fresh = new_identity(&args)?;
    let new_image = match args.create {
        Some(size) => Some(NewImage::make(&args.target, size)?),
        None => None,
    };
    let path = new_image.as_ref().map_or(args.target.as_path(), NewImage::path);
    let access = if args.dry_run { Access::Plan(args.safety) } else { Access::Write(args.safety) };
    let mut target = Target::open(path, access)?;

    let (identity, plan) = prepare(&args, fresh, &target)?;
    if args.dry_run {
        let view = View::of_planned(&identity, &plan);
        render::print(&match args.format {
            Format::Json => render::json(&Planned::of(view, Some(&plan))),
            Format::Text => text::identity(&view) + &text::plan(&plan),
        })?;
        return Ok(Exit::Done);
    }
    let after = update::write(&plan, &identity, &mut target, &args.target, args.at.first().copied())?;
    drop(target);
    if let Some(file) = &args.restore {
        record::remove_if_kept(file)?;
    }
    if let Some(new_image) = new_image {
        new_image.keep(&args.target)?;
    }
    report(&args, &after, &plan)?;
    Ok(Exit::Done)
}

/// What to write to this card; `fresh` is [`new_identity`]'s.
///
/// # Errors
/// Whatever speaks against it, with the exit code.
pub fn prepare(args: &StampArgs, fresh: Option<Identity>, card: &dyn Card) -> Result<(Identity, Plan)> {
    let ground = read_ground(card, &args.target)?;
    let survey = look_everywhere(args, card, &ground)?;
    let identity = decide(args, &survey, fresh)?;
    let plan = place(args, &survey, &ground, &identity)?;
    Ok((identity, plan))
}

/// Looks at the slots and where the command line says; if nothing is there, wherever else a copy may have been put, so
/// that no identity is doubled and no copy forgotten.
fn look_everywhere(args: &StampArgs, card: &dyn Card, ground: &Ground) -> Result<Survey> {
    let survey = super::survey(card, &args.target, args.at.first().copied())?;
    match ground.copy_anywhere() {
        Some(lba) if survey.state() == State::Blank => super::survey(card, &args.target, Some(lba)),
        _ => Ok(survey),
    }
}

fn report(args: &StampArgs, after: &Survey, plan: &Plan) -> Result<()> {
    let view = View::of(after);
    render::print(&match args.format {
        Format::Json => render::json(&view),
        Format::Text => {
            let places = format!("places: {}\n", plan.why);
            format!("stamped {}\n{}{places}", args.target.display(), text::identity(&view))
        }
    })
}

fn check_no_duplicates(args: &StampArgs) -> Result<()> {
    let mut seen = BTreeSet::new();
    let keys = args.set.iter().map(|(key, _)| format!("--set {key}="));
    let macs = args.mac.iter().map(|(index, _)| format!("--mac {index}="));
    for name in keys.chain(macs) {
        if !seen.insert(name.clone()) {
            return Err(Error::usage(format!("{name} is there twice; give it once")));
        }
    }
    Ok(())
}

/// The identity that a blank card gets; `None` if only an update is possible, for want of a profile.
///
/// # Errors
/// Exit 2 if a value breaks its rule; as [`Record::read`] if there is one to restore.
pub fn new_identity(args: &StampArgs) -> Result<Option<Identity>> {
    if let Some(file) = &args.restore {
        let next = Record::read(file)?.identity.next().and_then(|draft| draft.finish());
        return next.map(Some).map_err(|error| Error::refused(error.to_string()));
    }
    let uuid = args.uuid.unwrap_or_else(Uuid::new_v4);
    let mut draft = Draft::new(uuid).map_err(invalid)?;
    change(&mut draft, args)?;
    match draft.finish() {
        Err(DraftError::NoProfile) => Ok(None),
        result => result.map(Some).map_err(invalid),
    }
}

/// What is wrong with a value, and the rule for its field.
pub(super) fn invalid(error: DraftError) -> Error {
    let rule = match error {
        DraftError::Value { kind: kind::PROFILE, .. } => {
            "; it is 1-63 of A-Z a-z 0-9 . _ + - and starts with a letter or digit"
        }
        DraftError::Value { kind: kind::HOSTNAME, .. } => {
            "; it is labels of A-Z a-z 0-9 and inner hyphens, joined by dots, at most 63 characters in all"
        }
        DraftError::Value { kind: kind::SERIAL, .. } => "; it is 1-63 of printable ASCII without space",
        _ => "",
    };
    Error::usage(format!("{error}{rule}"))
}

/// Puts what the command line names into a draft.
fn change(draft: &mut Draft, args: &StampArgs) -> Result<()> {
    for field in &args.unset {
        unset(draft, field)?;
    }
    let texts =
        [(kind::PROFILE, &args.profile), (kind::HOSTNAME, &args.hostname), (kind::SERIAL, &args.serial)];
    for (kind, text) in texts {
        if let Some(text) = text {
            draft.set_text(kind, text).map_err(invalid)?;
        }
    }
    // A draft stops counting at the first field that it has no room for; what is named is known whole.
    let invalid = |error| match error {
        DraftError::TooLarge { over } => {
            invalid(DraftError::TooLarge { over: over.max(named_len(args).saturating_sub(FIELDS_CAPACITY)) })
        }
        error => invalid(error),
    };
    for &(index, mac) in &args.mac {
        draft.set_mac(index, mac).map_err(invalid)?;
    }
    for (key, value) in &args.set {
        draft.set_variable(key, value).map_err(invalid)?;
    }
    Ok(())
}

/// Bytes that the fields named on the command line take.
fn named_len(args: &StampArgs) -> usize {
    let texts = [&args.profile, &args.hostname, &args.serial].into_iter().flatten().map(String::len);
    let macs = args.mac.iter().map(|_| 1 + MAC_LEN);
    let variables = args.set.iter().map(|(key, value)| key.len() + 1 + value.len());
    texts.chain(macs).chain(variables).map(|len| FIELD_HEADER_LEN + len).sum()
}

fn unset(draft: &mut Draft, field: &str) -> Result<()> {
    if let Some(key) = field.strip_prefix("variables.") {
        let start = format!("{key}=");
        draft.remove(|kind, value| kind == kind::VARIABLE && value.starts_with(start.as_bytes()));
    } else if let Some(index) = field.strip_prefix("mac.").and_then(|index| index.parse::<u8>().ok()) {
        draft.remove(|kind, value| kind == kind::MAC && value.first() == Some(&index));
    } else {
        let unwanted = match field {
            "hostname" => kind::HOSTNAME,
            "serial" => kind::SERIAL,
            _ => {
                return Err(Error::usage(format!(
                    "--unset {field}: it takes hostname, serial, mac.INDEX or variables.KEY"
                )));
            }
        };
        draft.remove(|kind, _| kind == unwanted);
    }
    Ok(())
}

/// The identity to write: a new one on a blank card, the next generation of the one it has, or, by force, a new one.
fn decide(args: &StampArgs, survey: &Survey, fresh: Option<Identity>) -> Result<Identity> {
    let fresh = || fresh.ok_or_else(|| Error::usage("a card without this identity needs --profile"));
    let explained = || explain(survey, &args.target).unwrap_or_default();
    match (survey.state(), survey.latest()) {
        (State::Blank, _) => fresh(),
        (State::Valid | State::Degraded, Some(latest)) if args.uuid == Some(latest.uuid()) => {
            let mut draft = latest.next().map_err(|error| Error::refused(error.to_string()))?;
            change(&mut draft, args)?;
            draft.finish().map_err(invalid)
        }
        (State::Unreadable, _) => Err(Error::device(explained())),
        _ if args.force => fresh(),
        (State::Valid | State::Degraded, Some(latest)) => Err(Error::refused(format!(
            "{} has the identity {} ({}); give that --uuid to update it, or --force to replace it",
            args.target.display(),
            latest.uuid(),
            latest.profile()
        ))),
        _ => Err(Error::refused(explained())),
    }
}

fn place(args: &StampArgs, survey: &Survey, ground: &Ground, identity: &Identity) -> Result<Plan> {
    let pair = if args.at.is_empty() {
        plan::choose(&ground.places(), survey)?
    } else {
        plan::choose_at(&args.at, &ground.places(), survey, |lba| ground.check_at(lba, args.force))?
    };
    Ok(plan::write(identity, &pair, survey))
}
