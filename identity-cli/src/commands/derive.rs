// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity derive`.

use std::path::Path;

use identity_core::identity::MacSource;
use identity_core::{Identity, Uuid, derive};
use serde::Serialize;

use identity_host::default_card::{self, FoundCard};
use identity_host::document::{MacAddress, machine_id};
use identity_host::error::Error;
#[cfg(feature = "stamp")]
use identity_host::whole_card::WholeCard;
use identity_ui::lines::Lines;
use identity_ui::output::{json, print};
use identity_ui::{Exit, Failure, Result};

use super::warn;
use crate::args::{DeriveArgs, DeriveSource, Format};
use crate::render::text;

#[derive(Serialize)]
struct Derived {
    uuid: String,
    macs: Vec<MacAddress>,
    machine_id: String,
}

pub fn run(args: &DeriveArgs) -> Result<Exit> {
    let card = match &args.source {
        DeriveSource::Uuid(uuid) => Err(*uuid),
        DeriveSource::Card(path) => Ok(read(path, args.at)?),
    };
    let uuid = card.as_ref().map_or_else(|uuid| *uuid, Identity::uuid);
    let mac = |index| {
        let derived = |uuid: &Uuid| (derive::mac(*uuid, index), MacSource::Derived);
        MacAddress::new(index, card.as_ref().map_or_else(derived, |identity| identity.mac(index)))
    };
    let derived = Derived {
        uuid: uuid.to_string(),
        macs: (0..args.interfaces).map(mac).collect(),
        machine_id: machine_id(uuid),
    };
    print(&match args.format {
        Format::Json => json(&derived),
        Format::Text => {
            let mut lines = Lines::default();
            lines.add("uuid", derived.uuid);
            for mac in &derived.macs {
                lines.add(format!("mac {}", mac.index), text::mac_address(mac));
            }
            lines.add("machine-id", derived.machine_id);
            lines.text()
        }
    })?;
    Ok(Exit::Done)
}

/// The identity on a card, if a board may use it: there an assigned MAC address wins.
fn read(path: &Path, hint_lba: Option<u32>) -> Result<Identity> {
    let found = default_card::look(Some(path), hint_lba)?;
    match found.scan.identity() {
        Some(identity) if found.scan.state().is_usable() => {
            warn(&found.scan, path);
            Ok(identity.clone())
        }
        _ => Err(refused(found, hint_lba)),
    }
}

/// That the card has no identity for a board; with what writes, also why a blank one could not get one as it is.
fn refused(found: FoundCard, hint_lba: Option<u32>) -> Failure {
    #[cfg(feature = "stamp")]
    if let Ok(card) = WholeCard::read(&found.target, &found.path, hint_lba, found.scan.surroundings().clone())
    {
        return card.state_error(&found.path).into();
    }
    #[cfg(not(feature = "stamp"))]
    let _ = hint_lba;
    Error::State { path: found.path, scan: Box::new(found.scan) }.into()
}
