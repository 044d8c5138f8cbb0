// SPDX-License-Identifier: MIT OR Apache-2.0
//! Programs that hand boards to people and jobs: labgrid and LAVA.

use serde_json::{Map, Value, json};

use super::{MADE, quoted};
use crate::boards::Board;
use crate::lab::Lab;

/// Resources of labgrid's exporter: whichever reader or multiplexer on USB holds the board's card. The file is a Jinja
/// template, whose comments begin with `##`.
pub fn labgrid(lab: &Lab) -> String {
    let resource = |board: &Board| {
        format!(
            "{}:\n  USBMassStorage:\n    match:\n      ID_IDENTITY_UUID: {}\n",
            quoted(&board.hostname),
            quoted(&board.uuid.to_string())
        )
    };
    format!("## Cards of the lab {} in readers on USB, for labgrid-exporter. {MADE}\n", lab.settings.name)
        + &lab.boards.sorted().into_iter().map(resource).collect::<String>()
}

/// `places.yaml` of labgrid's coordinator: one place a board, with its profile, location and tags as labgrid's tags.
pub fn labgrid_places(lab: &Lab) -> String {
    let place = |board: &Board| {
        let mut tags: Map<_, _> = board.tags.iter().map(|tag| (tag.clone(), Value::from("yes"))).collect();
        tags.insert("profile".into(), board.profile.clone().into());
        if let Some(location) = &board.location {
            tags.insert("location".into(), location.clone().into());
        }
        let place = json!({
            "matches": [{ "exporter": "*", "group": board.hostname, "cls": "*" }],
            "tags": tags,
            "comment": board.uuid.to_string(),
        });
        format!("{}: {place}\n", quoted(&board.hostname))
    };
    format!("# Places of the lab {}, for labgrid-coordinator. {MADE}\n", lab.settings.name)
        + &lab.boards.sorted().into_iter().map(place).collect::<String>()
}

/// How the names of such files end.
pub const LAVA_END: &str = ".identity.jinja2";

/// The name of a board's fragment for LAVA.
pub fn lava_name(board: &Board) -> String {
    format!("{}{LAVA_END}", board.hostname)
}

/// What a device dictionary of LAVA takes from the lab, by
/// `{% from "HOST.identity.jinja2" import device_mac, environment, flasher_deploy_commands %}`; `include` would set nothing.
pub fn lava(lab: &Lab, board: &Board) -> String {
    // Jinja reads escapes as Python does, and JSON's are among them.
    let text = |text: &str| quoted(text);
    let device_type = board.variables.iter().find(|(key, _)| key == "lava_device_type");
    let device_type = device_type.map_or(board.profile.as_str(), |(_, value)| value);
    let tags: Vec<_> = board.tags.iter().map(|tag| text(tag)).collect();
    let Board { hostname, profile, uuid, .. } = board;
    format!(
        "{{# Board {hostname} of the lab {}. {MADE} #}}\n\
         {{% set device_mac = \"{}\" %}}\n\
         {{% set environment = {{\"IDENTITY_UUID\": \"{uuid}\", \"IDENTITY_PROFILE\": \"{profile}\", \
         \"IDENTITY_HOSTNAME\": \"{hostname}\"}} %}}\n\
         {{% set flasher_deploy_commands = [\"identity flash --yes {{IMAGE}} /dev/disk/by-identity/{hostname}\"] %}}\n\
         {{% set sync_to_lava = {{\"device_type\": {}, \"tags\": [{}]}} %}}\n",
        lab.settings.name,
        board.mac(0),
        text(device_type),
        tags.join(", ")
    )
}
