// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a flash does with the identity and the first sectors: pure, all of it known before the first byte.

use identity_core::{Identity, State};

use super::choice::Choice;
use crate::error::{Error, Result};
use crate::plan::{self, Pair, Place, Plan, Step};
use crate::survey::Survey;

/// Sectors that are written last: the partition tables, and where most boot ROMs look for a loader, so that none
/// starts a half-written one.
pub const LAST_SECTORS: u64 = 2048;

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
    /// Why there is no identity on the card afterwards, although there should be.
    pub given_up: Option<String>,
}

/// Where the copies may go: by the rules, and by a person's word.
pub struct Room<'a> {
    /// All slots with their verdicts, in the new layout.
    pub places: Vec<Place>,
    /// Whether a copy may be at an LBA that is no slot, where one is now.
    pub check: &'a dyn Fn(u32) -> Result<(), String>,
    /// Whether a copy may be put where a person says.
    pub check_at: &'a dyn Fn(u32) -> Result<(), String>,
}

/// Plans.
///
/// # Errors
/// Exit 6 if no two slots are free, unless `force`; 2 if `at` makes no sense.
pub fn plan(choice: Choice, survey: &Survey, room: &Room<'_>, at: &[u32], force: bool) -> Result<FlashPlan> {
    let nothing = |choice, given_up| FlashPlan {
        choice,
        identity: None,
        // What the image does not reach would otherwise stay behind.
        copies: plan::erase(survey),
        kept: Vec::new(),
        given_up,
    };
    let Some(identity) = choice.identity() else { return Ok(nothing(Choice::None, None)) };
    match choose(survey, room, at) {
        Ok(pair) => {
            let identity = version(&choice, identity, survey, &pair)?;
            let copies = write(&identity, &pair, survey);
            Ok(FlashPlan {
                identity: Some(identity),
                copies,
                kept: pair.lbas.to_vec(),
                given_up: None,
                choice,
            })
        }
        Err(error) if force && at.is_empty() => Ok(nothing(choice, Some(error.to_string()))),
        Err(error) => Err(error.and("with --force the image is written and the identity is lost")),
    }
}

/// Two places in the new layout: where the copies are, if that is possible; else as for a new identity.
fn choose(survey: &Survey, room: &Room<'_>, at: &[u32]) -> Result<Pair> {
    if !at.is_empty() {
        return plan::choose_at(at, &room.places, survey, room.check_at);
    }
    if let Some((lba, _, peer_lba)) = survey.valid().next()
        && (room.check)(lba).is_ok()
        && (room.check)(peer_lba).is_ok()
    {
        return Ok(Pair::new(lba, peer_lba, "where the copies are".into()));
    }
    plan::choose(&room.places, survey)
}

/// The identity as it is written: the same bytes if nothing has to be written, else the next generation.
fn version(choice: &Choice, identity: &Identity, survey: &Survey, pair: &Pair) -> Result<Identity> {
    let next = |identity: &Identity| {
        let next = identity.next().and_then(|draft| draft.finish());
        next.map_err(|error| Error::refused(error.to_string()))
    };
    match choice {
        Choice::New(_) | Choice::None => Ok(identity.clone()),
        Choice::Restore(..) => next(identity),
        Choice::Keep(_) if is_in_place(identity, survey, pair) => Ok(identity.clone()),
        Choice::Keep(_) => next(identity),
    }
}

fn is_in_place(identity: &Identity, survey: &Survey, pair: &Pair) -> bool {
    let holds = |lba: u32| survey.valid().any(|(at, found, _)| at == lba && found == identity);
    survey.state() == State::Valid && pair.lbas.into_iter().all(holds)
}

/// The steps that leave two copies at `pair` and none elsewhere; none, where that is so already.
fn write(identity: &Identity, pair: &Pair, survey: &Survey) -> Plan {
    let mut plan = plan::write(identity, pair, survey);
    if is_in_place(identity, survey, pair) {
        plan.steps.clear();
    }
    // A place without a good copy goes first, so that the only good one is not the first to be overwritten.
    plan.steps.sort_by_key(|step| match step {
        Step::Write { lba, .. } => u8::from(survey.valid().any(|(at, _, _)| at == *lba)),
        Step::Clear { .. } => 2,
    });
    plan
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::testing::FaultyCard;
    use identity_core::field::kind;
    use identity_core::slot::READING_ORDER;
    use identity_core::{Draft, Uuid};

    fn identity(generation: u32) -> Identity {
        let mut draft = Draft::new(Uuid::from_u128(1)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.set_generation(generation);
        draft.finish().unwrap()
    }

    fn survey(copies: &[(u32, u32, u32)]) -> Survey {
        let mut bytes = vec![0; 8192 * 512];
        for &(generation, own, peer) in copies {
            let at = own as usize * 512;
            bytes[at..at + 512].copy_from_slice(&identity(generation).encode(own, peer));
        }
        Survey::of(&FaultyCard::new(bytes), copies.first().map(|copy| copy.1))
    }

    fn planned(survey: &Survey, choice: Choice, free: &[u32], force: bool) -> Result<FlashPlan> {
        let check = |lba: u32| if free.contains(&lba) { Ok(()) } else { Err("taken".to_owned()) };
        let places = plan::places(check);
        plan(choice, survey, &Room { places, check: &check, check_at: &check }, &[], force)
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
            let survey = survey(&[(3, one, other), (3, other, one)]);
            let plan = planned(&survey, Choice::Keep(identity(3)), &ALL, false).unwrap();
            assert_eq!((steps(&plan).len(), plan.identity), (0, Some(identity(3))));
            assert_eq!(plan.kept.len(), 2);
        }
    }

    #[test]
    fn moved_copies_are_written_before_the_old_ones_go() {
        let survey = survey(&[(3, 52, 6607), (3, 6607, 52)]);
        let plan = planned(&survey, Choice::Keep(identity(3)), &[5, 7], false).unwrap();
        assert_eq!(steps(&plan), [('w', 7), ('w', 5), ('c', 52), ('c', 6607)]);
        assert_eq!(plan.identity, Some(identity(4)));
        // One stays: it is the last to be overwritten.
        let plan = planned(&survey, Choice::Keep(identity(3)), &[52, 1711], false).unwrap();
        assert_eq!(steps(&plan), [('w', 1711), ('w', 52), ('c', 6607)]);
        let plan = planned(&survey, Choice::Keep(identity(3)), &[6607, 1777], false).unwrap();
        assert_eq!(steps(&plan), [('w', 1777), ('w', 6607), ('c', 52)]);
    }

    #[test]
    fn a_degraded_card_becomes_whole() {
        let survey = survey(&[(3, 6607, 52)]);
        let plan = planned(&survey, Choice::Keep(identity(3)), &ALL, false).unwrap();
        assert_eq!(steps(&plan), [('w', 52), ('w', 6607)]);
        assert_eq!(plan.identity, Some(identity(4)));
    }

    #[test]
    fn copies_outside_the_slots_stay_where_they_may() {
        let survey = survey(&[(3, 300, 301), (3, 301, 300)]);
        let plan = planned(&survey, Choice::Keep(identity(3)), &[52, 6607, 300, 301], false).unwrap();
        assert_eq!((steps(&plan).len(), plan.kept), (0, vec![300, 301]));
        let plan = planned(&survey, Choice::Keep(identity(3)), &[52, 6607, 300], false).unwrap();
        assert_eq!(steps(&plan), [('w', 6607), ('w', 52), ('c', 300), ('c', 301)]);
    }

    #[test]
    fn no_place() {
        let survey = survey(&[(3, 52, 6607), (3, 6607, 52)]);
        let error = planned(&survey, Choice::Keep(identity(3)), &[5], false).unwrap_err();
        assert!(error.to_string().contains("--force"), "{error}");
        let plan = planned(&survey, Choice::Keep(identity(3)), &[5], true).unwrap();
        assert_eq!((plan.identity.is_none(), plan.kept.len()), (true, 0));
        assert!(plan.given_up.is_some());
        assert_eq!(steps(&plan).len(), 2);
    }

    #[test]
    fn no_identity() {
        let plan = planned(&survey(&[]), Choice::None, &[], false).unwrap();
        assert_eq!((steps(&plan).len(), plan.identity, plan.given_up), (0, None, None));
    }

    #[test]
    fn a_restored_one_is_a_write_more() {
        let plan = planned(&survey(&[]), Choice::Restore(identity(8), "x".into()), &ALL, false).unwrap();
        assert_eq!(plan.identity, Some(identity(9)));
        assert_eq!(steps(&plan), [('w', 6607), ('w', 52)]);
    }
}
