// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity verify`.

use identity_core::field::kind;
use identity_core::slot::READING_ORDER;
use serde::Serialize;

use super::warn;
use crate::args::{Format, VerifyArgs};
use crate::device::handed_over::HandedOver;
use crate::device::sysfs::Host;
use crate::device::{Access, Cid, Target};
use crate::error::{Exit, Result};
use crate::find;
use crate::render::{self, text};
use crate::survey::{Found, Survey};
use crate::view::View;

#[derive(Serialize)]
struct Verified {
    #[serde(flatten)]
    view: View,
    here: HereView,
    bootloader: Option<HandedOver>,
    differences: Vec<String>,
    slots: Vec<SlotView>,
}

/// What this host knows to compare the bindings with.
#[derive(Serialize)]
struct HereView {
    card: Option<String>,
    board: Option<String>,
}

impl HereView {
    fn of(survey: &Survey) -> Self {
        let board = survey.identity().and_then(|identity| survey.here().board(identity));
        Self { card: survey.here().card.ok().map(|cid| cid.to_string()), board: board.map(str::to_owned) }
    }
}

#[derive(Serialize)]
struct SlotView {
    lba: u32,
    group: Option<char>,
    state: &'static str,
    generation: Option<u32>,
    detail: Option<String>,
}

impl SlotView {
    fn of(survey: &Survey, found: &Found) -> Self {
        Self {
            lba: found.lba,
            group: READING_ORDER.iter().find(|slot| slot.lba == found.lba).map(|slot| slot.group.letter()),
            state: survey.label(found),
            generation: found.copy.as_ref().map(|(identity, _)| identity.generation()),
            detail: Some(found.detail.clone()).filter(|detail| !detail.is_empty()),
        }
    }
}

pub fn run(args: &VerifyArgs) -> Result<Exit> {
    let path = find::target(args.target.as_deref())?;
    let target = Target::open(&path, Access::Read)?;
    let survey = super::survey(&target, &path, args.at)?;
    // What is compared is the card that the bootloader read: the one found, or named and in use by the system.
    let bootloader =
        HandedOver::of(&Host::here()).filter(|_| args.target.is_none() || find::is_system(&path));
    let differences = bootloader
        .as_ref()
        .map_or_else(Vec::new, |handed| handed.differences(survey.state(), survey.identity()));
    let view = View::of(&survey);
    let slots: Vec<_> = survey.found().iter().map(|found| SlotView::of(&survey, found)).collect();
    render::print(&match args.format {
        Format::Json => render::json(&Verified {
            view,
            here: HereView::of(&survey),
            bootloader,
            differences: differences.clone(),
            slots,
        }),
        Format::Text => text::identity(&view) + &bindings(&survey) + &table(&slots),
    })?;
    warn(&survey, &path);
    if differences.is_empty() {
        return Ok(Exit::of_verified(survey.state()));
    }
    anstream::eprintln!(
        "identity: {} is not what the bootloader handed over: {}; restart the board, or put the card back that it \
         started from",
        path.display(),
        differences.join(", ")
    );
    let exit = Exit::of_verified(survey.state());
    Ok(if exit == Exit::Done { Exit::Doubtful } else { exit })
}

/// What could be said of the bindings.
fn bindings(survey: &Survey) -> String {
    let Some(identity) = survey.identity() else { return String::new() };
    let (here, mut lines) = (survey.here(), text::Lines::default());
    let (card, board) = (identity.fields().card().map(Cid::new), identity.fields().text(kind::BOARD));
    if card.is_none() && board.is_none() {
        lines.add("bindings", "unbound: a copy of this card would not be noticed; `identity bind` binds it");
    }
    if let Some(bound) = card {
        lines.add(
            "this card",
            match here.card {
                Ok(card) if card == bound => "the one it is bound to".into(),
                Ok(card) => format!("another, {card}"),
                Err(reason) => format!("not compared: the CID is {reason}"),
            },
        );
    }
    if let Some(bound) = board {
        lines.add(
            "this board",
            match here.board(identity) {
                Some(board) if board == bound => "the one it is bound to".into(),
                Some(board) => format!("another, {board}"),
                None => "not compared: no serial number of a board that the card is in is known here".into(),
            },
        );
    }
    lines.text()
}

fn table(slots: &[SlotView]) -> String {
    let mut lines = text::Lines::default();
    for slot in slots {
        let group = slot.group.map_or(String::new(), |group| format!(" {group}"));
        let generation = slot.generation.map_or(String::new(), |number| format!(", generation {number}"));
        let detail = slot.detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
        let quiet = matches!(slot.state, "blank" | "absent" | "foreign");
        let state = if quiet { slot.state.to_owned() } else { text::state(slot.state) };
        lines.add(format!("LBA {:<5}{group}", slot.lba), format!("{state}{generation}{detail}"));
    }
    format!("\nslots in reading order:\n{}", lines.text())
}
