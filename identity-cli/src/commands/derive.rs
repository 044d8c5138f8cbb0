// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity derive`.

use identity_core::derive;
use identity_core::identity::MacSource;
use serde::Serialize;

use crate::args::{DeriveArgs, Format};
use crate::error::{Exit, Result};
use crate::render::{self, text};
use crate::view::{MacView, machine_id};

#[derive(Serialize)]
struct Derived {
    uuid: String,
    macs: Vec<MacView>,
    machine_id: String,
}

pub fn run(args: &DeriveArgs) -> Result<Exit> {
    let mac = |index| MacView::of(index, (derive::mac(args.uuid, index), MacSource::Derived));
    let derived = Derived {
        uuid: args.uuid.to_string(),
        macs: (0..args.interfaces).map(mac).collect(),
        machine_id: machine_id(args.uuid),
    };
    render::print(&match args.format {
        Format::Json => render::json(&derived),
        Format::Text => {
            let mut lines = text::Lines::default();
            lines.add("uuid", derived.uuid);
            for mac in &derived.macs {
                lines.add(format!("mac {}", mac.index), &mac.address);
            }
            lines.add("machine-id", derived.machine_id);
            lines.text()
        }
    })?;
    Ok(Exit::Done)
}
