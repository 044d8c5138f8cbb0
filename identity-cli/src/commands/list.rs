// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity list`.

use std::path::Path;

use identity_core::{SECTOR_LEN, State};
use serde::Serialize;

use identity_host::attached::{self, Content, Device};
use identity_host::device::sysfs::{Host, Kind};
use identity_host::device::{Card, Sector};
use identity_layout::mark::Mark;
use identity_ui::lines::escaped;
use identity_ui::output::{json, print};
use identity_ui::size::Size;
use identity_ui::{Exit, Result, wording};

use super::{say_doubles, unfinished};
use crate::args::{Format, ListArgs};

#[derive(Serialize)]
struct Listed {
    cards: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    device: String,
    size: u64,
    model: Option<String>,
    state: &'static str,
    uuid: Option<String>,
    profile: Option<String>,
    hostname: Option<String>,
    mac: Option<String>,
    problem: Option<String>,
    unfinished: Option<String>,
    #[serde(skip)]
    unfinished_line: Option<String>,
    same_identity_as: Vec<String>,
}

pub fn run(args: &ListArgs) -> Result<Exit> {
    let wanted = |device: &Device| match device.kind {
        Kind::Native | Kind::Removable => true,
        Kind::Loop => args.loops && device.info.sectors > 0,
        _ => false,
    };
    let devices = attached::devices(&Host::here());
    let mut rows: Vec<_> =
        devices.iter().filter(|device| wanted(device)).map(|device| row(device, device.look(None))).collect();
    name_doubles(&mut rows);
    let cards: Vec<_> = rows.iter().map(|row| (Path::new(&row.device), row.uuid.as_deref())).collect();
    let doubles = say_doubles(&cards);
    print(&match args.format {
        Format::Json => json(&Listed { cards: rows }),
        Format::Text => table(&rows),
    })?;
    Ok(if doubles { Exit::Doubtful } else { Exit::Done })
}

fn row(device: &Device, content: Content) -> Row {
    let mut row = Row {
        device: device.path.display().to_string(),
        size: device.info.sectors * SECTOR_LEN as u64,
        model: device.info.model.clone(),
        state: "empty",
        uuid: None,
        profile: None,
        hostname: None,
        mac: None,
        problem: None,
        unfinished: None,
        unfinished_line: None,
        same_identity_as: Vec::new(),
    };
    match content {
        Content::Empty => (),
        Content::Failed(error) => {
            row.state = State::Unreadable.name();
            row.problem = Some(wording::error(&error));
        }
        Content::Seen(target, scan) => {
            let mut lba0: Sector = [0; SECTOR_LEN];
            let mark = target.read(0, &mut lba0).ok().and_then(|()| Mark::parse(&lba0));
            row.unfinished = mark.as_ref().map(|mark| mark.image().to_owned());
            row.unfinished_line = mark.map(|mark| unfinished(&mark, &device.path));
            row.state = scan.state().name();
            row.problem = wording::state(&scan, &device.path).filter(|_| scan.state() != State::Blank);
            row.uuid = scan.identity().map(|identity| identity.uuid().to_string());
            row.profile = scan.identity().map(|identity| identity.profile().to_owned());
            row.hostname = scan.identity().and_then(|identity| identity.hostname().map(str::to_owned));
            row.mac = scan.identity().map(|identity| identity.mac(0).0.to_string());
        }
    }
    row
}

/// Two cards with one identity: one is a copy, and only bindings tell which.
fn name_doubles(rows: &mut [Row]) {
    let uuids: Vec<_> = rows.iter().map(|row| (row.device.clone(), row.uuid.clone())).collect();
    for row in rows.iter_mut().filter(|row| row.uuid.is_some()) {
        let others = uuids.iter().filter(|(device, uuid)| *device != row.device && *uuid == row.uuid);
        row.same_identity_as = others.map(|(device, _)| device.clone()).collect();
    }
}

fn table(rows: &[Row]) -> String {
    if rows.is_empty() {
        return "no card and no card reader; --loops shows loop devices too\n".into();
    }
    let or_dash = |text: &Option<String>| text.as_deref().map_or("-".into(), escaped);
    let cells = |row: &Row| {
        let size = if row.state == "empty" { "-".into() } else { Size(row.size).to_string() };
        let state = row.state.to_owned();
        let facts = [&row.uuid, &row.profile, &row.hostname, &row.mac].map(or_dash);
        let [uuid, profile, hostname, mac] = facts;
        [row.device.clone(), size, or_dash(&row.model), state, uuid, profile, hostname, mac]
    };
    let head = ["DEVICE", "SIZE", "MODEL", "STATE", "UUID", "PROFILE", "HOSTNAME", "MAC"].map(str::to_owned);
    let lines: Vec<_> = std::iter::once(head).chain(rows.iter().map(cells)).collect();
    let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..8).map(width).collect();
    let line = |cells: &[String; 8]| {
        let padded: Vec<_> =
            cells.iter().zip(&widths).map(|(cell, &width)| format!("{cell:width$}")).collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let problems = rows.iter().flat_map(|row| [&row.problem, &row.unfinished_line]).flatten();
    let problems = problems.map(|text| format!("{text}\n"));
    lines.iter().map(line).chain(problems).collect()
}
