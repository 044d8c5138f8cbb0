// SPDX-License-Identifier: MIT OR Apache-2.0
//! DHCP servers that exist already: dnsmasq and Kea.

use std::collections::BTreeSet;

use identity_ui::Result;
use serde_json::{Map, Value, json};

use super::{MADE, lacks, pretty};
use crate::boards::Board;
use crate::lab::Lab;
use crate::netboot::servers::dhcp_hosts;

/// Lines for dnsmasq; with a network, also the range that it gives addresses from.
pub fn dnsmasq(lab: &Lab) -> String {
    let mut text = format!(
        "# Boards of the lab {}, to be included by dnsmasq (conf-file= or --conf-dir). {MADE}\n",
        lab.settings.name
    );
    if let Some(network) = &lab.settings.network {
        let (first, last) = network.range;
        text += &format!("dhcp-range={first},{last},{},12h\n", network.mask());
    }
    text + &dhcp_hosts(lab)
}

/// A whole configuration. A board without an address gets one of the pool, and its hostname.
///
/// # Errors
/// Exit 4 if the lab has no `[network]`.
pub fn kea(lab: &Lab) -> Result<String> {
    let network = lab.settings.network.as_ref().ok_or_else(|| {
        lacks(
            lab,
            "[network] is missing, and Kea's configuration needs it; add subnet and range, or export dnsmasq",
        )
    })?;
    let (first, last) = network.range;
    let boards = lab.boards.sorted();
    let reservations = |with_address: bool| -> Vec<Value> {
        let wanted = boards.iter().filter(|board| board.ip.is_some() == with_address);
        wanted.flat_map(|board| reservations(board)).collect()
    };
    let mut subnet = json!({
        "id": 1,
        "subnet": format!("{}/{}", network.subnet.0, network.subnet.1),
        "pools": [{ "pool": format!("{first} - {last}") }],
        "reservations": reservations(true),
    });
    if let (Some(address), Some(subnet)) = (lab.settings.server.address, subnet.as_object_mut()) {
        subnet.insert("next-server".into(), address.to_string().into());
        subnet.insert("boot-file-name".into(), "boot.scr".into());
    }
    // The interfaces of one address share it: a board uses one of them at a time.
    let shares = boards.iter().any(|board| board.ip.is_some() && macs(board).len() > 1);
    let mut dhcp4 = json!({
        "user-context": { "comment": format!("Boards of the lab {}. {MADE}", lab.settings.name) },
        "interfaces-config": { "interfaces": [network.interface.as_deref().unwrap_or("*")] },
        "lease-database": { "type": "memfile" },
        "valid-lifetime": 43200,
        "host-reservation-identifiers": ["hw-address"],
        "reservations-global": true,
        "reservations-in-subnet": true,
        "reservations": reservations(false),
        "subnet4": [subnet],
    });
    if let Some(dhcp4) = dhcp4.as_object_mut().filter(|_| shares) {
        dhcp4.insert("ip-reservations-unique".into(), false.into());
    }
    Ok(pretty(&json!({ "Dhcp4": dhcp4 })))
}

fn macs(board: &Board) -> BTreeSet<String> {
    let others = board.macs.iter().map(|(_, mac)| mac.to_string());
    std::iter::once(board.mac(0).to_string()).chain(others).collect()
}

fn reservations(board: &Board) -> Vec<Value> {
    let one = |mac: String| {
        let mut reservation = Map::new();
        reservation.insert("hw-address".into(), mac.into());
        reservation.insert("hostname".into(), board.hostname.clone().into());
        if let Some(ip) = board.ip {
            reservation.insert("ip-address".into(), ip.to_string().into());
        }
        Value::Object(reservation)
    };
    macs(board).into_iter().map(one).collect()
}
