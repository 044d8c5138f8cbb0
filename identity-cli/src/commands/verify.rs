// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity verify`.

use identity_core::slot::READING_ORDER;
use serde::Serialize;

use super::warn;
use crate::args::{Format, VerifyArgs};
use crate::device::{Access, Target};
use crate::error::{Exit, Result};
use crate::render::{self, text};
use crate::survey::{Found, Survey};
use crate::view::View;

#[derive(Serialize)]
struct Verified {
    #[serde(flatten)]
    view: View,
    slots: Vec<SlotView>,
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
    let target = Target::open(&args.target, Access::Read)?;
    let survey = super::survey(&target, &args.target, args.at)?;
    let view = View::of(&survey);
    let slots: Vec<_> = survey.found().iter().map(|found| SlotView::of(&survey, found)).collect();
    render::print(&match args.format {
        Format::Json => render::json(&Verified { view, slots }),
        Format::Text => text::identity(&view) + &table(&slots),
    })?;
    warn(&survey, &args.target);
    Ok(Exit::of_verified(survey.state()))
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
