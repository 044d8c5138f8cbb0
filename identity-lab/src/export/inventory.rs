// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lists of the boards: hosts(5), Ansible, CSV, JSON.

use std::collections::BTreeMap;

use identity_ui::Result;
use serde_json::{Map, Value, json};

use super::{Export, MADE, pretty};
use crate::ansible_groups::{group, group_clash, names};
use crate::boards::{Board, interface};
use crate::cells;
use crate::hostlist;
use crate::lab::Lab;
use crate::row::Row;

/// Addresses and names, for /etc/hosts or dnsmasq's `addn-hosts`.
pub fn hosts(lab: &Lab) -> Export {
    let mut export = Export {
        text: format!("# Boards of the lab {}. {MADE}\n", lab.settings.name),
        notes: left_out(lab, "no ip", |board| board.ip.is_none()),
    };
    for board in lab.boards.sorted() {
        if let Some(ip) = board.ip {
            export.text += &format!("{ip}\t{}\n", board.hostname);
        }
    }
    export
}

/// One sentence on the boards that a file leaves out, if there are any.
pub fn left_out(lab: &Lab, why: &str, is_left_out: impl Fn(&Board) -> bool) -> Vec<String> {
    let names: Vec<_> = lab
        .boards
        .sorted()
        .into_iter()
        .filter(|board| is_left_out(board))
        .map(|board| board.hostname.as_str())
        .collect();
    match names[..] {
        [] => Vec::new(),
        [name] => vec![format!("{name} is left out: {why}")],
        _ => vec![format!("{} boards are left out, {}: {why}", names.len(), hostlist::some(&names))],
    }
}

/// What an inventory script prints for `--list`: groups by profile, location and tag, and each board's values.
///
/// # Errors
/// Exit 6 if two names become the same group.
pub fn ansible(lab: &Lab) -> Result<String> {
    if let Some((place, what)) = group_clash(lab) {
        return Err(place.refused(what));
    }
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut values = Map::new();
    for board in lab.boards.sorted() {
        for (column, name) in names(board) {
            let key = group(column, name);
            groups.entry(key).or_default().push(&board.hostname);
        }
        values.insert(board.hostname.clone(), host_values(board));
    }
    let mut list = Map::new();
    list.insert("_meta".into(), json!({ "hostvars": values }));
    list.insert(
        "all".into(),
        json!({ "hosts": lab.boards.sorted().iter().map(|board| &board.hostname).collect::<Vec<_>>() }),
    );
    list.extend(groups.into_iter().map(|(key, hosts)| (key, json!({ "hosts": hosts }))));
    Ok(pretty(&list))
}

/// A text that nobody may take for a template: Ansible runs what stands in braces.
fn no_template(text: &str) -> Value {
    if ["{{", "{%", "{#"].iter().any(|start| text.contains(start)) {
        json!({ "__ansible_unsafe": text })
    } else {
        text.into()
    }
}

fn host_values(board: &Board) -> Value {
    let mut values = Map::new();
    let mut set = |name: &str, value: Value| values.insert(name.to_owned(), value);
    if let Some(ip) = board.ip {
        set("ansible_host", ip.to_string().into());
    }
    set("identity_uuid", board.uuid.to_string().into());
    set("identity_profile", board.profile.clone().into());
    set("identity_mac", board.mac(0).to_string().into());
    set("identity_machine_id", board.machine_id().into());
    for (name, value) in [("identity_serial", &board.serial), ("identity_location", &board.location)] {
        if let Some(value) = value {
            set(name, no_template(value));
        }
    }
    set("identity_tags", board.tags.iter().map(|tag| no_template(tag)).collect());
    for (key, value) in &board.variables {
        set(&format!("identity_var_{key}"), no_template(value));
    }
    Value::Object(values)
}

/// What a column says of a board, derived values filled in.
pub fn cell(board: &Board, column: &str) -> String {
    match (column, interface(column)) {
        (_, Some(index)) => board.mac(index).to_string(),
        ("uuid", _) => board.uuid.to_string(),
        ("machine_id", _) => board.machine_id(),
        _ => board.cell(column).unwrap_or_default(),
    }
}

/// The list with every derived value filled in: the columns of the file, and `mac0` and `machine_id`.
pub fn csv(lab: &Lab) -> String {
    let mut columns = lab.boards.columns().to_vec();
    for name in ["mac0", "machine_id"] {
        if !columns.iter().any(|column| column == name) {
            columns.push(name.to_owned());
        }
    }
    let line = |cells: Vec<String>| {
        cells.iter().map(|cell| cells::quoted(cell)).collect::<Vec<_>>().join(",") + "\n"
    };
    let lines = lab
        .boards
        .sorted()
        .into_iter()
        .map(|board| line(columns.iter().map(|name| cell(board, name)).collect()))
        .collect::<String>();
    line(columns.clone()) + &lines
}

/// The list as `list --format json` prints it.
pub fn json(lab: &Lab) -> String {
    pretty(&lab.boards.sorted().into_iter().map(Row::of).collect::<Vec<_>>())
}
