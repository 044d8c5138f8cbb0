// SPDX-License-Identifier: MIT OR Apache-2.0
//! An identity and a plan, for people.

use identity_host::document::{Document, MacAddress, Source};
#[cfg(feature = "stamp")]
use identity_host::plan::{Plan, Step};
use identity_host::scan::OTHER;
use identity_ui::lines::{Lines, escaped, state};
#[cfg(feature = "stamp")]
use identity_ui::wording;

/// An identity as aligned lines for people.
pub fn identity(document: &Document) -> String {
    verified(document, None)
}

/// The same of a card on which a valid copy may lie outside of the slots: then the state is not the whole answer.
pub fn verified(document: &Document, elsewhere: Option<u32>) -> String {
    let mut lines = Lines::default();
    let beside = elsewhere.map_or_else(String::new, |lba| {
        format!(" (LBA {lba}, which is not a slot, holds a valid copy: --at {lba})")
    });
    lines.add("state", state(&document.state) + &beside);
    lines.add_some("profile", document.profile.as_ref());
    lines.add_some("uuid", document.uuid.as_ref());
    lines.add_some("hostname", document.hostname.as_ref());
    lines.add_some("serial", document.serial.as_ref());
    for mac in &document.macs {
        lines.add(format!("mac {}", mac.index), mac_address(mac));
    }
    lines.add_some("machine-id", document.machine_id.as_ref());
    for (key, value) in &document.variables {
        lines.add(format!("{key}="), escaped(value));
    }
    lines.add_some("bound to card", document.bindings.as_ref().and_then(|bindings| bindings.card.as_ref()));
    lines.add_some("bound to board", document.bindings.as_ref().and_then(|bindings| bindings.board.as_ref()));
    if let Some(generation) = document.generation {
        lines.add("generation", generation.to_string());
    }
    let copies: Vec<_> =
        document.copies.iter().map(|copy| format!("LBA {} {}", copy.lba, copy_label(&copy.state))).collect();
    if !copies.is_empty() {
        lines.add("copies", copies.join(", "));
    }
    lines.text()
}

/// The label of a copy for people.
pub fn copy_label(label: &str) -> &str {
    if label == OTHER { "another identity" } else { label }
}

/// An address and where it comes from.
pub fn mac_address(mac: &MacAddress) -> String {
    if mac.source == Source::Assigned { format!("{} (assigned)", mac.address) } else { mac.address.clone() }
}

/// The steps of a plan.
#[cfg(feature = "stamp")]
pub fn steps(plan: &Plan) -> String {
    plan.steps.iter().map(step).collect()
}

/// A step of a plan.
#[cfg(feature = "stamp")]
pub fn step(step: &Step) -> String {
    match step {
        Step::Write { lba, .. } => format!("  LBA {lba:<5} a copy\n"),
        Step::Clear { lba } => format!("  LBA {lba:<5} zeros over a copy\n"),
        Step::ClearInPartition { lba, .. } => {
            format!("  LBA {lba:<5} zeros over a copy, in a partition\n")
        }
        Step::WriteMark { .. } => "  LBA 0     the mark of the unfinished flash, without its number: no record is restored automatically\n".into(),
    }
}

/// The steps of a plan that is not carried out.
#[cfg(feature = "stamp")]
pub fn plan(plan: &Plan) -> String {
    let steps = steps(plan);
    format!(
        "would write, in this order, each step flushed and read back:\n{steps}{}nothing was written\n",
        slots(plan)
    )
}

/// Which places a plan has chosen, and why.
#[cfg(feature = "stamp")]
pub fn slots(plan: &Plan) -> String {
    let Some(why) = plan.why else { return String::new() };
    let mut lbas: Vec<_> =
        plan.steps.iter().filter(|step| matches!(step, Step::Write { .. })).map(Step::lba).collect();
    lbas.sort_by_key(|&lba| identity_core::slot::reading_position(lba));
    let lbas = lbas.iter().map(u32::to_string).collect::<Vec<_>>().join(" and ");
    format!("slots {lbas}: {}\n", wording::why(why))
}
