// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a flash does with the identity and the first sectors: pure, all of it known before the first byte.

use std::path::Path;
use std::sync::Arc;

use identity_core::{Identity, State};
use identity_layout::slot_rules::{SlotBusy, SlotVerdict};

use super::FlashProblem;
use super::choice::Choice;
use super::leftover::Leftover;
use crate::error::{Error, Result};
use crate::plan::{self, NotThere, Pair, Plan, Step};
use crate::scan::Scan;
use crate::whole_card::no_slots;

/// Sectors that are written last: the partition tables, and where most boot ROMs look for a loader, so that none
/// starts a half-written one.
pub const LAST_SECTORS: u64 = 2048;
/// Whatever lies behind the start of a partition is written over, too.
const NO_PARTITION: u64 = u64::MAX;

/// A flash, apart from the image's bytes.
#[derive(Clone, Debug)]
pub struct FlashPlan {
    /// Whose card it is afterwards.
    pub choice: Choice,
    /// The identity as it will be on the card; `None` also when it is given up.
    pub identity: Option<Identity>,
    /// Steps before the image is written, so that both copies are in their new places, proved.
    pub copies: Plan,
    /// Where the copies are; the image is written around them.
    pub kept: Vec<u32>,
    /// What of the card's old system is cleared, unless the image is written over it.
    pub leftovers: Vec<Leftover>,
    /// Why there is no identity on the card afterwards, although there should be.
    pub given_up: Option<Arc<Error>>,
}

/// Where the copies may go: by the rules, and by a person's word.
pub struct Room<'a> {
    /// All slots with their verdicts, in the new layout.
    pub verdicts: Vec<SlotVerdict>,
    /// Whether a copy may be at an LBA that is no slot, where one is now.
    pub check: &'a dyn Fn(u32) -> Result<(), SlotBusy>,
    /// Whether a copy may be put where a person says; if not, whether force would do it.
    pub check_named: &'a dyn Fn(u32) -> Result<(), (SlotBusy, bool)>,
}

/// Plans. `path` is for messages.
///
/// # Errors
/// [`Error::Flash`] if no two slots are free, unless `force`; [`Error::Places`], [`Error::Place`].
pub fn plan(
    choice: Choice,
    scan: &Scan,
    room: &Room<'_>,
    at: &[u32],
    force: bool,
    path: &Path,
) -> Result<FlashPlan> {
    let nothing = |choice, given_up| FlashPlan {
        choice,
        identity: None,
        // What the image does not reach would otherwise stay behind.
        copies: plan::erase(scan, NO_PARTITION),
        kept: Vec::new(),
        leftovers: Vec::new(),
        given_up,
    };
    let Some(identity) = choice.identity() else { return Ok(nothing(Choice::None, None)) };
    match choose(scan, room, at, path) {
        Ok(pair) => {
            let identity = version(&choice, identity, scan, &pair)?;
            let copies = write(&identity, &pair, scan);
            Ok(FlashPlan {
                identity: Some(identity),
                copies,
                kept: pair.lbas.to_vec(),
                leftovers: Vec::new(),
                given_up: None,
                choice,
            })
        }
        Err(error) if force && at.is_empty() => Ok(nothing(choice, Some(Arc::new(error)))),
        Err(error) => {
            let problem =
                FlashProblem::NoPlace { cause: Box::new(error), is_new: matches!(choice, Choice::New(_)) };
            Err(Error::Flash { path: path.to_owned(), problem })
        }
    }
}

/// Two places in the new layout: where the copies are, if that is possible; else as for a new identity.
fn choose(scan: &Scan, room: &Room<'_>, at: &[u32], path: &Path) -> Result<Pair> {
    if !at.is_empty() {
        return plan::choose_named(at, &room.verdicts, scan, room.check_named).map_err(|error| match error {
            NotThere::Places(problem) => Error::Places(problem),
            NotThere::Busy(lba, busy, by_force) => {
                Error::Place { path: path.to_owned(), lba, busy, by_force }
            }
            NotThere::NoSlots(error) => no_slots(path, error),
        });
    }
    let may_stay = |lba| (room.check)(lba).is_ok();
    plan::choose(&room.verdicts, scan, may_stay).map_err(|error| no_slots(path, error))
}

/// The identity as it is written: the same bytes if nothing has to be written, else the next generation. The highest one
/// stays: the values are the same, and the card would lose its identity otherwise.
fn version(choice: &Choice, identity: &Identity, scan: &Scan, pair: &Pair) -> Result<Identity> {
    let next = |identity: &Identity| {
        let mut draft = identity.draft();
        draft.set_generation(identity.generation().saturating_add(1));
        draft.finish().map_err(Error::Generation)
    };
    match choice {
        Choice::New(_) | Choice::None => Ok(identity.clone()),
        Choice::Restore(_) => next(identity),
        Choice::Keep(_) if is_in_place(identity, scan, pair) => Ok(identity.clone()),
        Choice::Keep(_) => next(identity),
    }
}

fn is_in_place(identity: &Identity, scan: &Scan, pair: &Pair) -> bool {
    let holds = |lba: u32| scan.valid().any(|(at, found, _)| at == lba && found == identity);
    scan.state() == State::Valid && pair.lbas.into_iter().all(holds)
}

/// The steps that leave two copies at `pair` and none elsewhere; none, where that is so already.
fn write(identity: &Identity, pair: &Pair, scan: &Scan) -> Plan {
    let mut plan = plan::write(identity, pair, scan, NO_PARTITION);
    if is_in_place(identity, scan, pair) {
        plan.steps.clear();
    }
    // A place without a good copy goes first, so that the only good one is not the first to be overwritten.
    let first_write = plan.steps.iter().position(|step| matches!(step, Step::Write { .. }));
    plan.steps[first_write.unwrap_or(0)..].sort_by_key(|step| match step {
        Step::Write { lba, .. } => u8::from(scan.valid().any(|(at, _, _)| at == *lba)),
        _ => 2,
    });
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Kept;
    use crate::testing::FaultyCard;
    use identity_core::field::kind;
    use identity_core::slot::READING_ORDER;
    use identity_core::{Draft, Uuid};

    fn identity(generation: u32) -> Identity {
        let mut draft = Draft::new(Uuid::from_u128(1)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.set_generation(generation);
        draft.finish().unwrap()
    }

    fn scan_of(copies: &[(u32, u32, u32)]) -> Scan {
        let mut bytes = vec![0; 8192 * 512];
        for &(generation, own, peer) in copies {
            let at = own as usize * 512;
            bytes[at..at + 512].copy_from_slice(&identity(generation).encode(own, peer));
        }
        Scan::read(&FaultyCard::new(bytes), copies.first().map(|copy| copy.1))
    }

    fn planned(scan: &Scan, choice: Choice, free: &[u32], force: bool) -> Result<FlashPlan> {
        let check = |lba: u32| if free.contains(&lba) { Ok(()) } else { Err(SlotBusy::NotRead) };
        let check_named = |lba| check(lba).map_err(|busy| (busy, false));
        let verdicts = identity_layout::slot_rules::verdicts(check);
        let room = Room { verdicts, check: &check, check_named: &check_named };
        plan(choice, scan, &room, &[], force, Path::new("card"))
    }

    fn steps(plan: &FlashPlan) -> Vec<(char, u32)> {
        let letter = |step: &Step| if matches!(step, Step::Write { .. }) { 'w' } else { 'c' };
        plan.copies.steps.iter().map(|step| (letter(step), step.lba())).collect()
    }

    const ALL: [u32; 10] = {
        let mut lbas = [0; 10];
        let mut at = 0;
        while at < 10 {
            lbas[at] = READING_ORDER[at].lba;
            at += 1;
        }
        lbas
    };

    #[test]
    fn nothing_is_written_where_the_copies_may_stay() {
        for (one, other) in [(52, 6607), (5, 7), (1711, 2703)] {
            let scan = scan_of(&[(3, one, other), (3, other, one)]);
            let plan = planned(&scan, Choice::Keep(identity(3)), &ALL, false).unwrap();
            assert_eq!((steps(&plan).len(), plan.identity), (0, Some(identity(3))));
            assert_eq!(plan.kept.len(), 2);
        }
    }

    #[test]
    fn moved_copies_are_written_before_the_old_ones_go() {
        let scan = scan_of(&[(3, 52, 6607), (3, 6607, 52)]);
        let plan = planned(&scan, Choice::Keep(identity(3)), &[5, 7], false).unwrap();
        assert_eq!(steps(&plan), [('w', 7), ('w', 5), ('c', 6607), ('c', 52)]);
        assert_eq!(plan.identity, Some(identity(4)));
        // One stays: it is the last to be overwritten.
        let plan = planned(&scan, Choice::Keep(identity(3)), &[52, 1711], false).unwrap();
        assert_eq!(steps(&plan), [('w', 1711), ('w', 52), ('c', 6607)]);
        let plan = planned(&scan, Choice::Keep(identity(3)), &[6607, 1777], false).unwrap();
        assert_eq!(steps(&plan), [('w', 1777), ('w', 6607), ('c', 52)]);
    }

    #[test]
    fn a_degraded_card_becomes_whole() {
        let scan = scan_of(&[(3, 6607, 52)]);
        let plan = planned(&scan, Choice::Keep(identity(3)), &ALL, false).unwrap();
        assert_eq!(steps(&plan), [('w', 52), ('w', 6607)]);
        assert_eq!(plan.identity, Some(identity(4)));
    }

    #[test]
    fn copies_outside_the_slots_stay_where_they_may() {
        let scan = scan_of(&[(3, 300, 301), (3, 301, 300)]);
        let plan = planned(&scan, Choice::Keep(identity(3)), &[52, 6607, 300, 301], false).unwrap();
        assert_eq!((steps(&plan).len(), plan.kept), (0, vec![300, 301]));
        let plan = planned(&scan, Choice::Keep(identity(3)), &[52, 6607, 300], false).unwrap();
        assert_eq!(steps(&plan), [('w', 6607), ('w', 52), ('c', 301), ('c', 300)]);
    }

    #[test]
    fn no_place() {
        let scan = scan_of(&[(3, 52, 6607), (3, 6607, 52)]);
        let error = planned(&scan, Choice::Keep(identity(3)), &[5], false).unwrap_err();
        assert!(matches!(error, Error::Flash { problem: FlashProblem::NoPlace { .. }, .. }), "{error:?}");
        let plan = planned(&scan, Choice::Keep(identity(3)), &[5], true).unwrap();
        assert_eq!((plan.identity.is_none(), plan.kept.len()), (true, 0));
        assert!(plan.given_up.is_some());
        assert_eq!(steps(&plan).len(), 2);
    }

    #[test]
    fn no_identity() {
        let plan = planned(&scan_of(&[]), Choice::None, &[], false).unwrap();
        assert_eq!((steps(&plan).len(), plan.identity, plan.given_up.is_some()), (0, None, false));
    }

    #[test]
    fn a_restored_one_is_a_write_more() {
        let plan = planned(
            &scan_of(&[]),
            Choice::Restore(Kept {
                file: "x".into(),
                identity: identity(8),
                card: None,
                was_on_card: false,
                number: None,
                retired_at: None,
            }),
            &ALL,
            false,
        )
        .unwrap();
        assert_eq!(plan.identity, Some(identity(9)));
        assert_eq!(steps(&plan), [('w', 6607), ('w', 52)]);
    }
}
