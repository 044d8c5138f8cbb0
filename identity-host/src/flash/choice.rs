// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which identity a card has after a flash: its own, whatever the image holds.

use std::path::{Path, PathBuf};

use identity_core::{Identity, State};

use super::FlashProblem;
use crate::error::{Error, Result};
use crate::record::{Kept, Matches, Record};
use crate::scan::Scan;

/// The identity of the written card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// None: it had none, and gets none.
    None,
    /// The one that it has.
    Keep(Identity),
    /// The one that it had, from a record on the host.
    Restore(Kept),
    /// A new identity, in place of none or by force of another.
    New(Identity),
}

impl Choice {
    /// The identity, if there is one.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::None => None,
            Self::Keep(identity) | Self::New(identity) => Some(identity),
            Self::Restore(kept) => Some(&kept.identity),
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// A new identity, for a card that has none.
    pub fresh: Option<Identity>,
    /// The identity of a record that was named.
    pub restore: Option<Kept>,
    /// Whether records of unfinished flashes are ignored.
    pub no_restore: bool,
    /// Whether to go on where the state is doubtful; with `fresh`, to replace the identity.
    pub force: bool,
}

/// Decides. `path` is for messages.
///
/// # Errors
/// [`Error::Flash`] if a person has to decide; [`Error::State`] if the card cannot be read.
pub fn decide(scan: &Scan, matches: Matches, wanted: Wanted, path: &Path) -> Result<Choice> {
    let refused = |problem| Err(Error::Flash { path: path.to_owned(), problem });
    let doubtful = || refused(FlashProblem::Doubtful(Box::new(scan.clone())));
    let fresh = || wanted.fresh.clone().map_or(Choice::None, Choice::New);
    match (scan.state(), scan.latest()) {
        (State::Valid | State::Degraded, Some(latest)) => keep(scan, latest, &wanted).or_else(refused),
        (State::Blank | State::Corrupt, _) => {
            if let Some(choice) =
                restore(matches, &wanted).or_else(|problem| refused(problem).map(|_: Choice| None))?
            {
                return Ok(choice);
            }
            if scan.state() == State::Corrupt && !wanted.force { doubtful() } else { Ok(fresh()) }
        }
        _ if wanted.force => {
            let restored =
                restore(matches, &wanted).or_else(|problem| refused(problem).map(|_: Choice| None))?;
            Ok(restored.unwrap_or_else(fresh))
        }
        (State::Unreadable, _) => Err(Error::State { path: path.to_owned(), scan: Box::new(scan.clone()) }),
        _ => doubtful(),
    }
}

fn keep(scan: &Scan, latest: &Identity, wanted: &Wanted) -> Result<Choice, FlashProblem> {
    if let Some(kept) = wanted.restore.as_ref().filter(|kept| kept.identity.uuid() != latest.uuid()) {
        if wanted.force {
            return Ok(Choice::Restore(kept.clone()));
        }
        let (present, record) = (Box::new(latest.clone()), kept.identity.uuid());
        return Err(FlashProblem::OtherRecord { present, record });
    }
    let Some(fresh) = &wanted.fresh else { return Ok(Choice::Keep(latest.clone())) };
    if wanted.force {
        return Ok(Choice::New(fresh.clone()));
    }
    let asks_nothing_else = fresh.profile() == latest.profile()
        && (fresh.hostname().is_none() || fresh.hostname() == latest.hostname())
        && (fresh.serial().is_none() || fresh.serial() == latest.serial());
    if asks_nothing_else {
        return Ok(Choice::Keep(latest.clone()));
    }
    Err(FlashProblem::IdentityPresent(Box::new(scan.clone())))
}

fn restore(matches: Matches, wanted: &Wanted) -> Result<Option<Choice>, FlashProblem> {
    if let Some(kept) = &wanted.restore {
        return Ok(Some(Choice::Restore(kept.clone())));
    }
    if wanted.no_restore {
        return Ok(None);
    }
    let certain: Vec<_> = matches.certain.iter().filter_map(kept).collect();
    match certain.as_slice() {
        [] => (),
        [kept] => return Ok(Some(Choice::Restore(kept.clone()))),
        several => return Err(FlashProblem::SeveralRecords(named(several))),
    }
    let possible: Vec<_> = matches.marked.iter().chain(&matches.possible).filter_map(kept).collect();
    if possible.is_empty() { Ok(None) } else { Err(FlashProblem::PossibleRecords(named(&possible))) }
}

/// The identity that a record found on this host holds.
pub fn kept((file, record): &(PathBuf, Record)) -> Option<Kept> {
    Kept::of_record(file, record)
}

fn named(records: &[Kept]) -> Vec<(PathBuf, Identity)> {
    records.iter().map(|kept| (kept.file.clone(), kept.identity.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::CardKey;
    use crate::testing::FaultyCard;
    use identity_core::field::kind;
    use identity_core::{Draft, Uuid};

    fn identity(uuid: u128, profile: &str) -> Identity {
        let mut draft = Draft::new(Uuid::from_u128(uuid)).unwrap();
        draft.set_text(kind::PROFILE, profile).unwrap();
        draft.finish().unwrap()
    }

    fn survey(copies: &[(u128, u32, u32)]) -> Scan {
        let mut bytes = vec![0; 8192 * 512];
        for &(uuid, own, peer) in copies {
            let at = own as usize * 512;
            bytes[at..at + 512].copy_from_slice(&identity(uuid, "panda").encode(own, peer));
        }
        Scan::read(&FaultyCard::new(bytes), None)
    }

    fn record(uuid: u128) -> (PathBuf, Record) {
        let card = CardKey { path: "/dev/sdx".into(), sectors: 1, cid: None };
        let record = Record::pending(&identity(uuid, "panda"), [52, 6607], card, 1, "x.img");
        (format!("/state/{uuid}").into(), record)
    }

    fn restored(uuid: u128) -> Kept {
        kept(&record(uuid)).unwrap()
    }

    /// The choice; `Err` if a person has to decide.
    fn decided(survey: &Scan, matches: Matches, wanted: Wanted) -> Result<Choice, ()> {
        decide(survey, matches, wanted, Path::new("card")).map_err(|error| match error {
            Error::Flash { .. } => (),
            error => panic!("{error:?}"),
        })
    }

    #[test]
    fn a_card_keeps_its_own() {
        let own = survey(&[(1, 52, 6607), (1, 6607, 52)]);
        let kept = Ok(Choice::Keep(identity(1, "panda")));
        assert_eq!(decided(&own, Matches::default(), Wanted::default()), kept);
        let wanted =
            |profile: &str, force| Wanted { fresh: Some(identity(9, profile)), force, ..Wanted::default() };
        assert_eq!(decided(&own, Matches::default(), wanted("panda", false)), kept);
        assert_eq!(decided(&own, Matches::default(), wanted("bbb", false)), Err(()));
        assert_eq!(
            decided(&own, Matches::default(), wanted("bbb", true)),
            Ok(Choice::New(identity(9, "bbb")))
        );
        let matches = Matches { certain: vec![record(2)], ..Matches::default() };
        assert_eq!(decided(&own, matches, Wanted::default()), kept);
        let restore = Wanted { restore: Some(restored(2)), ..Wanted::default() };
        assert_eq!(decided(&own, Matches::default(), restore), Err(()));
    }

    #[test]
    fn a_blank_card() {
        let blank = survey(&[]);
        assert_eq!(decided(&blank, Matches::default(), Wanted::default()), Ok(Choice::None));
        let fresh = Wanted { fresh: Some(identity(9, "bbb")), ..Wanted::default() };
        assert_eq!(decided(&blank, Matches::default(), fresh.clone()), Ok(Choice::New(identity(9, "bbb"))));

        let certain = || Matches { certain: vec![record(2)], ..Matches::default() };
        let given_back = Ok(Choice::Restore(restored(2)));
        assert_eq!(decided(&blank, certain(), fresh.clone()), given_back);
        let none = Wanted { no_restore: true, ..fresh };
        assert_eq!(decided(&blank, certain(), none.clone()), Ok(Choice::New(identity(9, "bbb"))));

        let possible = || Matches { possible: vec![record(2)], ..Matches::default() };
        assert_eq!(decided(&blank, possible(), Wanted::default()), Err(()));
        assert_eq!(decided(&blank, possible(), none), Ok(Choice::New(identity(9, "bbb"))));
        let named = Wanted { restore: Some(restored(2)), ..Wanted::default() };
        assert_eq!(decided(&blank, possible(), named), given_back);
        let two = Matches { certain: vec![record(2), record(3)], ..Matches::default() };
        assert_eq!(decided(&blank, two, Wanted::default()), Err(()));
    }

    #[test]
    fn doubtful_cards() {
        let conflict = survey(&[(1, 52, 6607), (2, 6607, 52)]);
        assert_eq!(decided(&conflict, Matches::default(), Wanted::default()), Err(()));
        let force = Wanted { force: true, ..Wanted::default() };
        assert_eq!(decided(&conflict, Matches::default(), force.clone()), Ok(Choice::None));
        let mut bytes = vec![0; 8192 * 512];
        let mut copy = identity(1, "panda").encode(52, 6607);
        copy[60] ^= 1;
        bytes[52 * 512..53 * 512].copy_from_slice(&copy);
        let corrupt = Scan::read(&FaultyCard::new(bytes), None);
        assert_eq!(decided(&corrupt, Matches::default(), Wanted::default()), Err(()));
        assert_eq!(decided(&corrupt, Matches::default(), force), Ok(Choice::None));
        let matches = Matches { certain: vec![record(1)], ..Matches::default() };
        assert!(matches!(decided(&corrupt, matches, Wanted::default()), Ok(Choice::Restore(..))));
    }
}
