// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity derive`.

use identity_core::derive;
use identity_core::identity::MacSource;
use serde::Serialize;

use identity_host::document::{MacAddress, machine_id};
use identity_ui::lines::Lines;
use identity_ui::output::{json, print};
use identity_ui::{Exit, Result};

use crate::args::{DeriveArgs, Format};

#[derive(Serialize)]
struct Derived {
    uuid: String,
    macs: Vec<MacAddress>,
    machine_id: String,
}

pub fn run(args: &DeriveArgs) -> Result<Exit> {
    let mac = |index| MacAddress::new(index, (derive::mac(args.uuid, index), MacSource::Derived));
    let derived = Derived {
        uuid: args.uuid.to_string(),
        macs: (0..args.interfaces).map(mac).collect(),
        machine_id: machine_id(args.uuid),
    };
    print(&match args.format {
        Format::Json => json(&derived),
        Format::Text => {
            let mut lines = Lines::default();
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
