// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity verify`.

use std::path::Path;

use identity_core::Identity;
use identity_core::field::kind;
use identity_core::slot::READING_ORDER;
use serde::Serialize;

use identity_host::boot_handover::FromBootloader;
use identity_host::by_identity;
use identity_host::default_card;
use identity_host::device::sysfs::Host;
use identity_host::device::{Access, Cid};
use identity_host::document::Document;
use identity_host::scan::{OTHER, Scan, ScannedSector};
use identity_host::surroundings::Surroundings;
use identity_host::whole_card::WholeCard;
use identity_layout::mark::Mark;
use identity_ui::lines::{Lines, escaped, state};
use identity_ui::output::{json, print, say};
use identity_ui::{Exit, Result, shell, wording};

use super::{warn_in_partition, warn_unfinished, warn_with};
use crate::args::{Format, VerifyArgs};
use crate::render::text;

#[derive(Serialize)]
struct Verified {
    #[serde(flatten)]
    document: Document,
    here: Here,
    bootloader: Option<FromBootloader>,
    differences: Vec<String>,
    slots: Vec<SlotLine>,
    /// LBAs of valid copies behind the start of a partition.
    in_partition: Vec<u32>,
    /// LBA of a valid copy that no reader finds by itself.
    elsewhere: Option<u32>,
}

/// What this host knows to compare the bindings with.
#[derive(Serialize)]
struct Here {
    card: Option<String>,
    board: Option<String>,
}

impl Here {
    fn of(scan: &Scan) -> Self {
        let board = scan.identity().and_then(|identity| scan.surroundings().board(identity));
        Self {
            card: scan.surroundings().card.ok().map(|cid| cid.to_string()),
            board: board.map(str::to_owned),
        }
    }
}

#[derive(Serialize)]
struct SlotLine {
    lba: u32,
    group: Option<char>,
    state: &'static str,
    generation: Option<u32>,
    /// What this copy is bound to; null where it is no valid copy.
    bindings: Option<CopyBindings>,
    detail: Option<String>,
}

/// The bindings of one copy: of a conflict, each has its own.
#[derive(Serialize)]
struct CopyBindings {
    card: Option<String>,
    board: Option<String>,
    /// Whether this is that card; null where it is not bound to one, or this card is not known.
    card_fits: Option<bool>,
    /// The same of the board.
    board_fits: Option<bool>,
}

impl CopyBindings {
    fn of(scan: &Scan, identity: &Identity) -> Self {
        let card = identity.fields().card().map(Cid::new);
        let board = identity.fields().text(kind::BOARD);
        let here = scan.surroundings();
        Self {
            card: card.map(|card| card.to_string()),
            board: board.map(str::to_owned),
            card_fits: card.zip(here.card.ok()).map(|(bound, card)| bound == card),
            board_fits: board.zip(here.board(identity)).map(|(bound, board)| bound == board),
        }
    }

    fn text(&self) -> String {
        let one = |what: &str, bound: &Option<String>, fits| match (bound, fits) {
            (None, _) => String::new(),
            (Some(_), Some(true)) => format!(", bound to this {what}"),
            (Some(bound), Some(false)) => format!(", bound to another {what}, {}", escaped(bound)),
            (Some(bound), None) => format!(", bound to the {what} {}", escaped(bound)),
        };
        one("card", &self.card, self.card_fits) + &one("board", &self.board, self.board_fits)
    }
}

impl SlotLine {
    fn of(scan: &Scan, sector: &ScannedSector) -> Self {
        Self {
            lba: sector.lba,
            group: READING_ORDER.iter().find(|slot| slot.lba == sector.lba).map(|slot| slot.group.letter()),
            state: scan.label(sector),
            generation: sector.copy.as_ref().map(|(identity, _)| identity.generation()),
            bindings: sector.copy.as_ref().map(|(identity, _)| CopyBindings::of(scan, identity)),
            detail: match &sector.copy {
                Some((identity, _)) if scan.label(sector) == OTHER => Some(wording::named(identity)),
                _ => wording::reason(sector),
            },
        }
    }
}

pub fn run(args: &VerifyArgs) -> Result<Exit> {
    let path = default_card::target(args.target.as_deref())?;
    let target = by_identity::open(&path, Access::Read)?;
    let card = WholeCard::read(&target, &path, args.at, Surroundings::of_target(&target))?;
    let (scan, mark) = (&card.scan, card.mark());
    // What is compared is the card that the bootloader read: the one found, or named and in use by the system.
    let bootloader = FromBootloader::read(&Host::here())
        .filter(|_| args.target.is_none() || default_card::is_system(&path));
    let differences =
        bootloader.as_ref().map_or_else(Vec::new, |handed| handed.differences(scan.state(), scan.identity()));
    let document = Document::of_scan(scan, mark.as_ref(), 1);
    let slots: Vec<_> = scan.sectors().iter().map(|sector| SlotLine::of(scan, sector)).collect();
    let (in_partition, elsewhere) = (card.copies_in_partition(), card.copy_elsewhere());
    print(&match args.format {
        Format::Json => json(&Verified {
            document,
            here: Here::of(scan),
            bootloader,
            differences: differences.clone(),
            slots,
            in_partition: in_partition.clone(),
            elsewhere,
        }),
        Format::Text => {
            let problems = problems(mark.as_ref(), &in_partition, &differences);
            text::verified(&document, elsewhere)
                + &problems
                + &bindings(scan, &path)
                + &table(&slots, &in_partition)
        }
    })?;
    // With such a copy every write is refused, so the advice is another one.
    if elsewhere.is_none() {
        let lba0 = card.first_sectors.sector(0).and_then(Result::ok);
        warn_with(scan, &path, &target, lba0, &card.first_sectors.verdicts());
    }
    warn_unfinished(mark.as_ref(), &path);
    warn_in_partition(scan, &in_partition, &path);
    if let Some(lba) = elsewhere {
        say(&wording::copy_elsewhere(scan, &path, lba));
    }
    if !differences.is_empty() {
        say(&format!(
            "{} differs from what the bootloader handed over: {}; restart the board, or put back the card that it \
             started from",
            shell::path(&path),
            differences.join(", ")
        ));
    }
    let is_doubtful = !differences.is_empty() || !in_partition.is_empty() || mark.is_some();
    let exit = Exit::of_verified(scan.state());
    Ok(if exit == Exit::Done && is_doubtful { Exit::Doubtful } else { exit })
}

/// What is not in order although the state may be `valid`: then, too, the exit code is 5.
fn problems(mark: Option<&Mark>, in_partition: &[u32], differences: &[String]) -> String {
    let mut problems = Vec::new();
    problems.extend(mark.map(|mark| format!("an unfinished flash of {}", escaped(mark.image()))));
    problems.extend(in_partition.iter().map(|lba| format!("the copy at LBA {lba} lies in a partition")));
    if !differences.is_empty() {
        problems.push("the bootloader has read something else".to_owned());
    }
    let mut lines = Lines::default();
    if !problems.is_empty() {
        lines.add("problems", problems.join("; "));
    }
    lines.text()
}

/// What could be said of the bindings.
fn bindings(scan: &Scan, path: &Path) -> String {
    let Some(identity) = scan.identity() else { return String::new() };
    let (here, mut lines) = (scan.surroundings(), Lines::default());
    let (card, board) = (identity.fields().card().map(Cid::new), identity.fields().text(kind::BOARD));
    if card.is_none() && board.is_none() {
        let way = match here.card {
            Ok(_) => {
                format!(
                    "bind it with `identity bind {}`, and copies made later are noticed",
                    wording::card(scan, path)
                )
            }
            Err(reason) => format!("{reason}, so bind the card on its board, with `identity bind --mounted`"),
        };
        lines.add("bindings", format!("unbound: nothing notices a copy of this card; {way}"));
    }
    if let Some(bound) = card {
        lines.add(
            "this card",
            match here.card {
                Ok(card) if card == bound => {
                    "the one it is bound to; copies made before it was bound are not noticed".into()
                }
                Ok(card) => format!("another, {card}"),
                Err(reason) => format!("not compared: {reason}"),
            },
        );
    }
    if let Some(bound) = board {
        lines.add(
            "this board",
            match here.board(identity) {
                Some(board) if board == bound => "the one it is bound to".into(),
                Some(board) => format!("another, {board}"),
                None => "not compared: this machine knows no serial number of the card's board".into(),
            },
        );
    }
    lines.text()
}

fn table(slots: &[SlotLine], in_partition: &[u32]) -> String {
    let mut lines = Lines::default();
    for slot in slots {
        let group = slot.group.map_or(String::new(), |group| format!(" {group}"));
        let generation = slot.generation.map_or(String::new(), |number| format!(", generation {number}"));
        let bindings = slot.bindings.as_ref().map_or(String::new(), CopyBindings::text);
        let detail = slot.detail.as_ref().map_or(String::new(), |detail| format!(": {detail}"));
        let quiet = matches!(slot.state, "blank" | "absent" | "foreign");
        let state = if quiet { slot.state.to_owned() } else { state(text::copy_label(slot.state)) };
        let place = if in_partition.contains(&slot.lba) { ", in a partition" } else { "" };
        lines.add(
            format!("LBA {:<5}{group}", slot.lba),
            format!("{state}{generation}{bindings}{place}{detail}"),
        );
    }
    format!("\nslots in reading order:\n{}", lines.text())
}
