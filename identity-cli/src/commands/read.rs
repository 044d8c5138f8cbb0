// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity read`.

use identity_core::{Identity, State};
use std::path::Path;

use super::{explain, warn};
use crate::args::{ReadArgs, ReadFormat};
use crate::device::{Access, Card, Target};
use crate::error::{Error, Exit, Result};
use crate::find;
use crate::render::{self, assignments, text};
use crate::survey::Survey;
use crate::view::{View, machine_id};

pub fn run(args: &ReadArgs) -> Result<Exit> {
    let path = find::target(args.target.as_deref())?;
    let target = Target::open(&path, Access::Read)?;
    let survey = Survey::of(&target, args.at).placed(target.here());
    let state = survey.state();
    if let Some(field) = &args.field {
        render::print(&format!("{}\n", bare(field, &survey, &path)?))?;
    } else {
        render::print(&shown(&survey, args.format))?;
    }
    warn(&survey, &path);
    Ok(Exit::of_read(state))
}

fn shown(survey: &Survey, format: ReadFormat) -> String {
    let view = View::of(survey);
    // Who takes assignments does not look at the exit code, and must not take an identity that is in doubt.
    let to_assign = || if survey.state().is_usable() { view.clone() } else { View::of_state(survey.state()) };
    match format {
        ReadFormat::Text if survey.identity().is_none() => String::new(),
        ReadFormat::Text => text::identity(&view),
        ReadFormat::Json => render::json(&view),
        ReadFormat::Shell => assignments::shell(&to_assign()),
        ReadFormat::Env => assignments::env(&to_assign()),
        ReadFormat::Uboot => assignments::uboot(&to_assign()),
    }
}

/// One value; only a usable identity has any but its state.
fn bare(field: &str, survey: &Survey, path: &Path) -> Result<String> {
    if field == "state" {
        return Ok(survey.state().to_string());
    }
    let (State::Valid | State::Degraded, Some(identity)) = (survey.state(), survey.identity()) else {
        let message = explain(survey, path).unwrap_or_default();
        return Err(Error::state(Exit::of_read(survey.state()), message));
    };
    value(field, identity)?.ok_or_else(|| {
        Error::usage(format!(
            "{}: the identity has no {field}; `identity read` shows what it has",
            path.display()
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
            return Err(Error::usage(format!(
                "--field {field}: there is no such field; the fields are state, uuid, profile, hostname, serial, \
                 generation, machine_id, mac, mac.INDEX and variables.KEY"
            )));
        }
    })
}
