// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity read`.

use identity_core::{Identity, State};
use std::path::Path;

use identity_host::default_card;
use identity_host::device::{Access, Card, SECTOR_LEN, Sector, Target};
use identity_host::document::{Document, machine_id};
use identity_host::scan::Scan;
use identity_host::surroundings::Surroundings;
use identity_layout::mark::Mark;
use identity_ui::output::{json, print};
use identity_ui::{Exit, Failure, Result, wording};

use super::{warn, warn_unfinished};
use crate::args::{ReadArgs, ReadFormat};
use crate::render::{assignments, text};

pub fn run(args: &ReadArgs) -> Result<Exit> {
    let path = default_card::target(args.target.as_deref())?;
    let target = Target::open(&path, Access::Read)?;
    let scan = Scan::read(&target, args.at).judged_in(Surroundings::of_target(&target));
    let state = scan.state();
    if let Some(field) = &args.field {
        print(&format!("{}\n", bare(field, &scan, &path)?))?;
        warn(&scan, &path);
    } else {
        let mark = read_mark(&target);
        print(&shown(&scan, mark.as_ref(), args.format))?;
        warn(&scan, &path);
        warn_unfinished(mark.as_ref(), &path);
    }
    Ok(Exit::of_read(state))
}

fn read_mark(card: &dyn Card) -> Option<Mark> {
    let mut lba0: Sector = [0; SECTOR_LEN];
    card.read(0, &mut lba0).ok().and_then(|()| Mark::parse(&lba0))
}

fn shown(scan: &Scan, mark: Option<&Mark>, format: ReadFormat) -> String {
    let document = Document::of_scan(scan, mark, 1);
    // Who takes assignments does not look at the exit code, and must not take an identity that is in doubt.
    let to_assign =
        || if scan.state().is_usable() { document.clone() } else { Document::of_state(scan.state()) };
    match format {
        ReadFormat::Text if scan.identity().is_none() => String::new(),
        ReadFormat::Text => text::identity(&document),
        ReadFormat::Json => json(&document),
        ReadFormat::Shell => assignments::shell(&to_assign()),
        ReadFormat::Env => assignments::env(&to_assign()),
        ReadFormat::Uboot => assignments::uboot(&to_assign()),
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
            return Err(Failure::usage(format!(
                "--field {field}: there is no such field; the fields are state, uuid, profile, hostname, serial, \
                 generation, machine_id, mac, mac.INDEX and variables.KEY"
            )));
        }
    })
}
