// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to write, in which order: pure functions from what is on a card to a list of steps.

use identity_core::Identity;
use identity_core::search::Condition;
use identity_core::slot::{Group, reading_position};
use identity_layout::slot_rules::{SlotBusy, SlotVerdict};

use crate::device::Sector;
use crate::error::PlacesProblem;
use crate::scan::Scan;

/// One write. Each is flushed and read back before the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write a copy of the identity.
    Write {
        /// LBA of the sector.
        lba: u32,
        /// The 512 bytes to write.
        sector: Box<Sector>,
    },
    /// Make a sector before the first partition blank that holds a copy nobody needs.
    Clear {
        /// LBA of the sector.
        lba: u32,
    },
    /// The same behind the start of a partition, where a smaller gap has left a valid copy.
    ClearInPartition {
        /// LBA of the sector.
        lba: u32,
        /// What it holds, or it is not cleared.
        expected: Box<Sector>,
    },
    /// Write the mark of an unfinished flash without its number, so that no record is taken for this card's any more.
    WriteMark {
        /// The 512 bytes for LBA 0.
        sector: Box<Sector>,
    },
}

impl Step {
    /// LBA that this step writes.
    pub fn lba(&self) -> u32 {
        match self {
            Self::Write { lba, .. } | Self::Clear { lba } | Self::ClearInPartition { lba, .. } => *lba,
            Self::WriteMark { .. } => 0,
        }
    }
}

/// Steps, and why the copies go where they go.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    /// Steps in the order of writing.
    pub steps: Vec<Step>,
    /// Of the places; `None` where no copy is written.
    pub why: Option<Why>,
}

impl Plan {
    /// LBAs behind the start of a partition that are cleared.
    pub fn in_partition(&self) -> Vec<u32> {
        let in_partition = self.steps.iter().filter(|step| matches!(step, Step::ClearInPartition { .. }));
        in_partition.map(Step::lba).collect()
    }
}

/// Why two places were chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The copies are there.
    InPlace,
    /// One copy is there, and the other one belongs there.
    Belongs,
    /// The first two free slots in different groups.
    TwoGroups(Group, Group),
    /// The only two free slots, of one group.
    OneGroup(Group),
    /// A person has named them.
    Named,
}

/// Two places for the copies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// LBAs of the two copies in reading order.
    pub lbas: [u32; 2],
    /// Why these places were chosen.
    pub why: Why,
}

impl Pair {
    /// The copies at `a` and `b`.
    pub fn new(a: u32, b: u32, why: Why) -> Self {
        let mut lbas = [a, b];
        lbas.sort_by_key(|&lba| reading_position(lba));
        Self { lbas, why }
    }
}

/// No two slots are free.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoSlots(pub Vec<SlotVerdict>);

/// Chooses two places: where the copies are, if `may_stay` says so of both; else the first free slot in reading order and
/// the next free one of another group.
///
/// # Errors
/// All verdicts, if no two slots are free.
pub fn choose(
    verdicts: &[SlotVerdict],
    scan: &Scan,
    may_stay: impl Fn(u32) -> bool,
) -> Result<Pair, NoSlots> {
    if let Some((lba, _, peer_lba)) = scan.valid().next()
        && may_stay(lba)
        && may_stay(peer_lba)
    {
        return Ok(Pair::new(lba, peer_lba, Why::InPlace));
    }
    let first = verdicts.iter().find(|slot| slot.is_free());
    first.map_or_else(|| Err(NoSlots(verdicts.to_vec())), |first| choose_beside(verdicts, first))
}

/// Chooses a second slot beside one that is free: of another group, if there is one.
fn choose_beside(verdicts: &[SlotVerdict], first: &SlotVerdict) -> Result<Pair, NoSlots> {
    let others = || verdicts.iter().filter(|slot| slot.is_free() && slot.lba != first.lba);
    let second = others().find(|slot| slot.group != first.group).or_else(|| others().next());
    let second = second.ok_or_else(|| NoSlots(verdicts.to_vec()))?;
    let mut groups = [first, second];
    groups.sort_by_key(|slot| reading_position(slot.lba));
    let why = match groups.map(|slot| slot.group) {
        [one, other] if one == other => Why::OneGroup(one),
        [one, other] => Why::TwoGroups(one, other),
    };
    Ok(Pair::new(first.lba, second.lba, why))
}

/// Why places that were named cannot be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotThere {
    /// They make no sense.
    Places(PlacesProblem),
    /// One may not be taken; and whether force would do it.
    Busy(u32, SlotBusy, bool),
    /// One was named, and no slot is free beside it.
    NoSlots(NoSlots),
}

/// Sectors of a card's flash page of 16 KiB.
const PAGE_SECTORS: u32 = 32;

/// Takes the places that a person has named: both, or one and the first free slot besides it.
///
/// # Errors
/// Why not.
pub fn choose_named(
    named: &[u32],
    verdicts: &[SlotVerdict],
    scan: &Scan,
    check: impl Fn(u32) -> Result<(), (SlotBusy, bool)>,
) -> Result<Pair, NotThere> {
    let (first, second) = match *named {
        [first] => {
            let other = scan.valid().find(|&(lba, _, _)| lba == first).map(|(_, _, peer_lba)| peer_lba);
            let free = |lba: &u32| verdicts.iter().any(|slot| slot.lba == *lba && slot.is_free());
            let apart = |lba: &u32| lba.abs_diff(first) > 1;
            let slots = verdicts.iter().map(|slot| slot.lba).filter(|lba| apart(lba) && free(lba));
            // A power cut may take all of a flash page with it.
            let in_other_page = slots.clone().filter(|lba| lba / PAGE_SECTORS != first / PAGE_SECTORS);
            let other = other.filter(|lba| apart(lba) && (free(lba) || check(*lba).is_ok()));
            let second = other.into_iter().chain(in_other_page).chain(slots).next();
            (first, second.ok_or_else(|| NotThere::NoSlots(NoSlots(verdicts.to_vec())))?)
        }
        [first, second] => (first, second),
        _ => return Err(NotThere::Places(PlacesProblem::Count)),
    };
    if first == second || first == 0 || second == 0 {
        return Err(NotThere::Places(PlacesProblem::NotTwo));
    }
    if first.abs_diff(second) == 1 {
        return Err(NotThere::Places(PlacesProblem::Neighbours));
    }
    for &lba in named {
        check(lba).map_err(|(busy, by_force)| NotThere::Busy(lba, busy, by_force))?;
    }
    Ok(Pair::new(first, second, Why::Named))
}

/// The steps that leave exactly two copies of `identity`, whatever copies there were; `partition_lba` is the start of
/// the first partition, or `u64::MAX`.
///
/// *An update* (the same UUID) writes the copy that readers use now last, so that every power cut leaves the old or the new
/// version. That is the copy that readers look at first, unless only the other one is valid. Other copies are cleared in
/// the end. *A replacement* (another UUID) first clears the old copies that it does not overwrite, but for the primary: what
/// a power cut leaves is the old identity, the new one, or both, and then every reader sees the conflict.
pub fn write(identity: &Identity, pair: &Pair, scan: &Scan, partition_lba: u64) -> Plan {
    let [first, second] = pair.lbas;
    let copy = |own, peer| Step::Write { lba: own, sector: Box::new(identity.encode(own, peer)) };
    let in_use = scan.valid().next().map(|(lba, _, _)| lba);
    let writes = if in_use == Some(second) {
        [copy(first, second), copy(second, first)]
    } else {
        [copy(second, first), copy(first, second)]
    };
    let is_replacement = scan.valid().any(|(_, old, _)| old.uuid() != identity.uuid());
    let (last, before): (Vec<_>, Vec<_>) = clears(scan, partition_lba)
        .into_iter()
        .filter(|step| !pair.lbas.contains(&step.lba()))
        .partition(|step| !is_replacement || Some(step.lba()) == in_use);
    let steps = before.into_iter().chain(writes).chain(last).collect();
    Plan { steps, why: Some(pair.why) }
}

/// The steps that leave no copy: the copy that readers look at last goes first, so that until the end readers see the
/// identity or, at the end, none. Before them goes one that cannot be read: if it cannot be cleared, all stays.
pub fn erase(scan: &Scan, partition_lba: u64) -> Plan {
    Plan { steps: clears(scan, partition_lba), why: None }
}

/// Clears every sector of ours: what cannot be read first, then from the last in reading order to the first. Behind the
/// start of a partition only valid copies.
fn clears(scan: &Scan, partition_lba: u64) -> Vec<Step> {
    let mut ours: Vec<_> = scan.ours().collect();
    ours.reverse();
    ours.sort_by_key(|sector| std::cmp::Reverse(reading_position(sector.lba)));
    let lost = scan.lost().filter(|&lba| u64::from(lba) < partition_lba).map(|lba| Step::Clear { lba });
    let ours = ours.into_iter().filter_map(|sector| {
        let lba = sector.lba;
        if u64::from(lba) < partition_lba {
            return Some(Step::Clear { lba });
        }
        let expected = sector.bytes.clone().filter(|_| sector.condition == Condition::Valid)?;
        Some(Step::ClearInPartition { lba, expected })
    });
    lost.chain(ours).collect()
}

/// Where the copies of a degraded identity go, one of which is at `lba` and names `peer_lba`: where they belong, else the
/// good copy stays and the other one moves, else both move. `belongs` says of the peer's place whether a copy may be put
/// back there.
///
/// # Errors
/// All verdicts, if no two slots are free.
pub fn choose_for_repair(
    lba: u32,
    peer_lba: u32,
    verdicts: &[SlotVerdict],
    scan: &Scan,
    belongs: impl Fn(u32) -> bool,
) -> Result<Pair, NoSlots> {
    if belongs(lba) && belongs(peer_lba) {
        return Ok(Pair::new(lba, peer_lba, Why::Belongs));
    }
    match verdicts.iter().find(|slot| slot.lba == lba && slot.is_free()) {
        Some(stays) => choose_beside(verdicts, stays),
        None => choose(verdicts, scan, belongs),
    }
}

/// The steps of [`write`] without those that would write what is there already: the fewer writes, the less can happen.
pub fn write_missing(identity: &Identity, pair: &Pair, scan: &Scan, partition_lba: u64) -> Plan {
    let mut plan = write(identity, pair, scan, partition_lba);
    plan.steps.retain(|step| match step {
        Step::Write { lba, sector } => scan.at(*lba).is_none_or(|found| found.bytes.as_ref() != Some(sector)),
        _ => true,
    });
    plan
}
