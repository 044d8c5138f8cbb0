// SPDX-License-Identifier: MIT OR Apache-2.0
//! What to write, in which order: pure functions from what is on a card to a list of steps.

use identity_core::slot::{Group, READING_ORDER, reading_position};
use identity_core::{Identity, State};

use crate::device::Sector;
use crate::error::{Error, Result};
use crate::survey::Survey;

/// One write. Each is flushed and read back before the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write a copy.
    Write {
        /// Where.
        lba: u32,
        /// The whole sector.
        sector: Box<Sector>,
    },
    /// Make a sector blank that holds a copy nobody needs.
    Clear {
        /// Where.
        lba: u32,
    },
}

impl Step {
    /// Where this step writes.
    pub fn lba(&self) -> u32 {
        match self {
            Self::Write { lba, .. } | Self::Clear { lba } => *lba,
        }
    }
}

/// Steps, and why these places.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// In order.
    pub steps: Vec<Step>,
    /// One line.
    pub why: String,
}

/// Whether a slot may be taken, and why not.
#[derive(Clone, Debug)]
pub struct Place {
    /// The slot.
    pub lba: u32,
    /// Its group.
    pub group: Group,
    /// The reason against it.
    pub verdict: std::result::Result<(), String>,
}

/// All slots with their verdicts, in reading order.
pub fn places(check: impl Fn(u32) -> std::result::Result<(), String>) -> Vec<Place> {
    READING_ORDER
        .iter()
        .map(|slot| Place { lba: slot.lba, group: slot.group, verdict: check(slot.lba) })
        .collect()
}

/// Two places for the copies, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pair {
    /// In reading order.
    pub lbas: [u32; 2],
    /// One line.
    pub why: String,
}

impl Pair {
    pub(crate) fn new(a: u32, b: u32, why: String) -> Self {
        let mut lbas = [a, b];
        lbas.sort_by_key(|&lba| reading_position(lba));
        Self { lbas, why }
    }
}

/// Chooses two slots: where the copies are, if they may stay; else the first free one in reading order and the next
/// free one of another group.
///
/// # Errors
/// Exit 6 with the reason for every slot.
pub fn choose(places: &[Place], survey: &Survey) -> Result<Pair> {
    let free: Vec<_> = places.iter().filter(|place| place.verdict.is_ok()).collect();
    if let Some((lba, _, peer_lba)) = survey.valid().next() {
        let stays = |lba| free.iter().any(|place| place.lba == lba);
        if stays(lba) && stays(peer_lba) {
            return Ok(Pair::new(lba, peer_lba, "where the copies are".into()));
        }
    }
    let Some(first) = free.first() else { return Err(no_slot(places)) };
    let others = || free.iter().skip(1);
    let second = others().find(|place| place.group != first.group).or_else(|| others().next());
    let Some(second) = second else { return Err(no_slot(places)) };
    let why = if first.group == second.group {
        format!("the only free pair, group {}", first.group.letter())
    } else {
        let (one, other) = (first.group.letter(), second.group.letter());
        format!("free, read first, of groups {one} and {other} so that one tool's wipe does not take both")
    };
    Ok(Pair::new(first.lba, second.lba, why))
}

fn no_slot(places: &[Place]) -> Error {
    let reason = |place: &Place| place.verdict.clone().err().unwrap_or_else(|| "free".into());
    let reasons: Vec<_> = places.iter().map(reason).collect();
    if let Some(one) = reasons.first().filter(|one| reasons.iter().all(|reason| reason == *one)) {
        return Error::refused(format!(
            "no slot is free: {one}; a card with its first partition at 4 MiB and nothing before it has free slots, \
             or name two sectors with --at"
        ));
    }
    let mut message = String::from("no two slots are free:");
    for (place, reason) in places.iter().zip(reasons) {
        message.push_str(&format!("\n  LBA {:<5} {reason}", place.lba));
    }
    message.push_str(
        "\nmove the first partition up (4 MiB leaves most slots free), or name two sectors with --at",
    );
    Error::refused(message)
}

/// Chooses the places named with `--at`: both, or one and the first free slot besides it.
///
/// # Errors
/// Exit 2 if the places make no sense; exit 6 if one may not be taken.
pub fn choose_at(
    at: &[u32],
    places: &[Place],
    survey: &Survey,
    check: impl Fn(u32) -> std::result::Result<(), String>,
) -> Result<Pair> {
    let (first, second) = match *at {
        [first] => {
            let other = survey.valid().find(|&(lba, _, _)| lba == first).map(|(_, _, peer_lba)| peer_lba);
            let free = |lba: &u32| places.iter().any(|place| place.lba == *lba && place.verdict.is_ok());
            let slots = places.iter().map(|place| place.lba).filter(|lba| *lba != first && free(lba));
            let second = other.filter(free).into_iter().chain(slots).next();
            (first, second.ok_or_else(|| no_slot(places))?)
        }
        [first, second] => (first, second),
        _ => return Err(Error::usage("--at takes one LBA or two, joined by a comma")),
    };
    if first == second || first == 0 || second == 0 {
        return Err(Error::usage("--at: the copies need two different sectors, and not LBA 0"));
    }
    for &lba in at {
        check(lba).map_err(|reason| Error::refused(format!("--at {lba}: {reason}")))?;
    }
    Ok(Pair::new(first, second, "as said with --at".into()))
}

/// The steps that leave exactly two copies of `identity`, whatever copies there were.
///
/// The copy that readers use now is written last, so that every power cut leaves the old or the new identity. That is
/// the copy that readers look at first, unless only the other one is valid. Copies elsewhere are cleared in the end.
pub fn write(identity: &Identity, pair: &Pair, survey: &Survey) -> Plan {
    let [first, second] = pair.lbas;
    let copy = |own, peer| Step::Write { lba: own, sector: Box::new(identity.encode(own, peer)) };
    let in_use = survey.valid().next().map(|(lba, _, _)| lba);
    let writes = if in_use == Some(second) {
        [copy(first, second), copy(second, first)]
    } else {
        [copy(second, first), copy(first, second)]
    };
    let copies = survey.ours().map(|found| found.lba).chain(survey.lost());
    let stray = copies.filter(|lba| !pair.lbas.contains(lba));
    let steps = writes.into_iter().chain(stray.map(|lba| Step::Clear { lba })).collect();
    Plan { steps, why: pair.why.clone() }
}

/// The steps that make a degraded identity whole; `None` if nothing is to be done.
///
/// The latest version wins, so that an interrupted update is completed. A damaged copy is rewritten in its place if
/// `check` lets it, else both copies move.
///
/// # Errors
/// By the state: 3 blank, 4 corrupt or newer, 5 conflict; 6 if no slot is free for the second copy.
pub fn repair(
    survey: &Survey,
    places: &[Place],
    check: impl Fn(u32) -> std::result::Result<(), String>,
) -> Result<Option<Plan>> {
    let Some(latest) = survey.latest() else { return Ok(None) };
    if survey.state() == State::Valid {
        return Ok(None);
    }
    let Some((lba, _, peer_lba)) = survey.valid().find(|(_, identity, _)| *identity == latest) else {
        return Ok(None);
    };
    let pair = if check(lba).is_ok() && check(peer_lba).is_ok() {
        Pair::new(lba, peer_lba, "where the copies belong".into())
    } else {
        choose(places, survey)?
    };
    let mut plan = write(latest, &pair, survey);
    // A good copy is not touched: the fewer writes, the less can happen.
    plan.steps.retain(|step| match step {
        Step::Write { lba, .. } => !survey.valid().any(|(at, identity, peer)| {
            at == *lba && identity == latest && pair.lbas.contains(&peer) && peer != at
        }),
        Step::Clear { .. } => true,
    });
    Ok(Some(plan))
}

/// The steps that leave no copy: the copy that readers look at last goes first, so that until the end readers see
/// the identity or, at the end, none. Before them goes one that cannot be read: if it cannot be cleared, all stays.
pub fn erase(survey: &Survey) -> Plan {
    let mut lbas: Vec<_> = survey.ours().map(|found| found.lba).collect();
    lbas.sort_by_key(|&lba| std::cmp::Reverse(reading_position(lba)));
    let lbas = survey.lost().chain(lbas);
    Plan { steps: lbas.map(|lba| Step::Clear { lba }).collect(), why: String::new() }
}
