// SPDX-License-Identifier: MIT OR Apache-2.0
//! The map of a card as it is shown: the same in text, JSON and SVG.

use std::path::Path;

use identity_core::State;
use serde::Serialize;

use identity_host::scan::Scan;
use identity_layout::map::UNREADABLE;
use identity_layout::slot_rules::SlotVerdict;
use identity_layout::table::TableProblem;
use identity_layout::{Basis, Map, Region};
use identity_ui::shell;
use identity_ui::size::Size;

/// A card up to its first partition.
#[derive(Clone, Debug, Serialize)]
pub struct Chart {
    /// What was looked at, as the user named it.
    pub target: String,
    /// The same in a command, as a shell takes it.
    #[serde(skip)]
    pub shown: String,
    /// Length of the card in sectors.
    pub sectors: u64,
    /// Which partition tables there are.
    pub scheme: &'static str,
    /// Type of a table that is neither MBR nor GPT.
    #[serde(skip)]
    pub other_label: Option<&'static str>,
    /// State of the identity.
    pub state: &'static str,
    /// First sector of the first partition.
    pub first_partition_lba: Option<u64>,
    /// First sector that was not looked at, or that belongs to the first partition.
    pub end_lba: u64,
    /// What is wrong with the tables.
    pub problems: Vec<String>,
    /// Partitions, ordered by their first sector.
    pub partitions: Vec<Partition>,
    /// Everything before `end_lba` without a hole, by start; claims lie over free space.
    pub spans: Vec<Span>,
    /// Slots, ordered by LBA.
    pub slots: Vec<Slot>,
    /// LBAs of valid copies behind the start of a partition.
    pub in_partition: Vec<u32>,
    /// LBA of a valid copy that no reader finds by itself.
    pub elsewhere: Option<u32>,
}

/// A partition as the table names it.
#[derive(Clone, Debug, Serialize)]
pub struct Partition {
    /// Number in its table.
    pub number: u32,
    /// LBA of its first sector.
    pub start_lba: u64,
    /// Its length in sectors.
    pub sectors: u64,
    /// Its type in words.
    pub kind: String,
    /// Its name, if it has one.
    pub name: Option<String>,
}

/// What sectors are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Use {
    /// Blank sectors that belong to nobody.
    Free,
    /// Nobody's yet: a loader that is on the card may need them.
    Claimed,
    /// Sectors of a partition table.
    Table,
    /// A recognised image or environment.
    Loader,
    /// Data of nobody known.
    Unknown,
    /// A copy of the identity.
    Copy,
    /// The mark of an unfinished flash.
    Mark,
}

impl Use {
    /// All, in the order of a legend.
    pub const ALL: [Self; 7] =
        [Self::Table, Self::Mark, Self::Loader, Self::Unknown, Self::Claimed, Self::Free, Self::Copy];

    /// The name that the legend shows.
    pub fn words(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Claimed => "reserved, blank",
            Self::Table => "partition table",
            Self::Loader => "boot loader or environment",
            Self::Unknown => "unknown or unreadable",
            Self::Copy => "identity",
            Self::Mark => "unfinished flash",
        }
    }
}

/// Sectors with one use.
#[derive(Clone, Debug, Serialize)]
pub struct Span {
    /// LBA of its first sector.
    pub start_lba: u64,
    /// Its length in sectors.
    pub sectors: u64,
    /// What the sectors are used for.
    pub r#use: Use,
    /// Whose and what; empty for free sectors.
    pub owner: String,
    /// More about the owner; empty if nothing is known.
    pub detail: String,
}

impl Span {
    /// First sector behind it.
    pub fn end_lba(&self) -> u64 {
        self.start_lba + self.sectors
    }
}

/// A slot and whether a copy is or may be there.
#[derive(Clone, Debug, Serialize)]
pub struct Slot {
    /// LBA of the slot.
    pub lba: u32,
    /// Letter of the slot's group, A to E.
    pub group: char,
    /// `copy`, `free` or `busy`.
    pub state: &'static str,
    /// Why it is busy.
    pub reason: Option<String>,
}

impl Chart {
    /// Of what is known of a card.
    pub fn new(target: &Path, sectors: u64, map: &Map, verdicts: &[SlotVerdict], scan: &Scan) -> Self {
        let partition = |partition: &identity_layout::table::Partition| Partition {
            number: partition.number,
            start_lba: partition.start_lba,
            sectors: partition.sectors,
            kind: partition.kind.to_string(),
            name: partition.name.clone().filter(|name| !name.is_empty()),
        };
        let shown = shell::path(target);
        let other_label = map.table.problems.iter().find_map(|problem| match problem {
            TableProblem::OtherLabel { label, .. } => Some(*label),
            _ => None,
        });
        let mut slots: Vec<_> = verdicts.iter().map(|verdict| slot(verdict, scan, &shown)).collect();
        slots.sort_by_key(|slot| slot.lba);
        Self {
            sectors,
            scheme: map.table.scheme.name(),
            other_label,
            state: scan.state().name(),
            first_partition_lba: map.table.first_partition_lba(),
            end_lba: map.end_lba,
            problems: map
                .table
                .problems
                .iter()
                .map(|problem| problem.to_string().replace("DEVICE", &shown))
                .collect(),
            partitions: map.table.partitions.iter().map(partition).collect(),
            spans: spans(map),
            slots,
            in_partition: Vec::new(),
            elsewhere: None,
            target: target.display().to_string(),
            shown,
        }
    }

    /// What most needs to be seen of the sectors from `start` up to `end`.
    pub fn most_telling(&self, start: u64, end: u64) -> Use {
        let touched = self.spans.iter().filter(|span| span.start_lba < end && span.end_lba() > start);
        let rank = |used: &Use| match used {
            Use::Mark => 6,
            Use::Copy => 5,
            Use::Table => 4,
            Use::Loader => 3,
            Use::Unknown => 2,
            Use::Claimed => 1,
            Use::Free => 0,
        };
        touched.map(|span| span.r#use).max_by_key(rank).unwrap_or(Use::Free)
    }

    /// Whether the identity is one that a board may take.
    pub fn is_usable(&self) -> bool {
        State::ALL.into_iter().any(|state| state.name() == self.state && state.is_usable())
    }
}

fn slot(slot: &SlotVerdict, scan: &Scan, shown: &str) -> Slot {
    let is_copy = scan.ours().any(|sector| sector.lba == slot.lba);
    let (state, reason) = match &slot.verdict {
        _ if is_copy => ("copy", None),
        Ok(()) => ("free", None),
        Err(busy) => ("busy", Some(busy.to_string().replace("DEVICE", shown))),
    };
    Slot { lba: slot.lba, group: slot.group.letter(), state, reason }
}

/// Regions, with what lies between them made visible, and claims only where nothing else is.
fn spans(map: &Map) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut next = 0;
    let owned = map.regions.iter().filter(|region| region.owner.basis != Basis::Claim);
    for region in owned {
        fill(&mut spans, map, next, region.start_lba);
        spans.push(span_of(region, region.start_lba, region.end_lba()));
        next = region.end_lba();
    }
    fill(&mut spans, map, next, map.end_lba);
    spans
}

/// The space between two owned regions, cut where claims begin and end.
fn fill(spans: &mut Vec<Span>, map: &Map, start: u64, end: u64) {
    let mut at = start;
    while at < end {
        let claims = || map.regions.iter().filter(|region| region.owner.basis == Basis::Claim);
        let covering = claims().find(|claim| claim.contains(at));
        let edges = claims().flat_map(|claim| [claim.start_lba, claim.end_lba()]);
        let next = edges.filter(|&edge| edge > at && edge < end).min().unwrap_or(end);
        let stop = covering.map_or(next, |claim| claim.end_lba().min(end));
        let span = match covering {
            Some(claim) => span_of(claim, at, stop),
            None => Span {
                start_lba: at,
                sectors: stop - at,
                r#use: Use::Free,
                owner: String::new(),
                detail: String::new(),
            },
        };
        spans.push(span);
        at = stop;
    }
}

fn span_of(region: &Region, start_lba: u64, end_lba: u64) -> Span {
    let owner = &region.owner;
    let (used, name) = match owner.basis {
        Basis::Table => (Use::Table, format!("{} {}", owner.family, owner.what)),
        Basis::Content => (Use::Loader, format!("{} {}", owner.family, owner.what)),
        Basis::Claim => (Use::Claimed, format!("{} {}", owner.family, owner.what)),
        Basis::Data if owner.what == UNREADABLE => (Use::Unknown, owner.what.to_owned()),
        Basis::Data => (Use::Unknown, "unknown data".to_owned()),
        Basis::Mark => (Use::Mark, format!("{} {}", owner.family, owner.what)),
        Basis::Copy(state) => (Use::Copy, format!("identity, {} copy", state.name())),
    };
    Span {
        start_lba,
        sectors: end_lba.saturating_sub(start_lba),
        r#use: used,
        owner: name.trim().to_owned(),
        detail: owner.detail.clone(),
    }
}

/// A run of sectors as people read it: `LBA 7`, `LBA 7–9`.
pub fn range(start_lba: u64, sectors: u64) -> String {
    match sectors {
        0 | 1 => format!("LBA {start_lba}"),
        _ => format!("LBA {start_lba}–{}", start_lba.saturating_add(sectors - 1)),
    }
}

/// Sectors as a size that people read.
pub fn size(sectors: u64) -> String {
    Size(sectors.saturating_mul(512)).to_string()
}
