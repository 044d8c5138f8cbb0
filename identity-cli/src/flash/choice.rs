// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which identity a card has after a flash: its own, whatever the image holds.

use std::path::{Path, PathBuf};

use identity_core::{Identity, State};

use super::record::{Matches, Record};
use crate::error::{Error, Result};
use crate::survey::Survey;

/// The identity of the written card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// None: it had none, and gets none.
    None,
    /// The one that it has.
    Keep(Identity),
    /// The one that it had, from a record on the host.
    Restore(Identity, PathBuf),
    /// A new one.
    New(Identity),
}

impl Choice {
    /// The identity, if there is one.
    pub fn identity(&self) -> Option<&Identity> {
        match self {
            Self::None => None,
            Self::Keep(identity) | Self::Restore(identity, _) | Self::New(identity) => Some(identity),
        }
    }
}

/// What the command line asks for.
#[derive(Clone, Debug, Default)]
pub struct Wishes {
    /// With `--profile`: the identity of a card that has none.
    pub fresh: Option<Identity>,
    /// With `--restore`: a record that was named.
    pub restore: Option<(PathBuf, Record)>,
    /// With `--no-restore`: this card is none that there is a record of.
    pub no_restore: bool,
    /// With `--force`.
    pub force: bool,
}

/// Decides. `explained` says what the card's state means, and what to do about it.
///
/// # Errors
/// Exit 6 if a person has to decide; 7 if the card cannot be read.
pub fn decide(
    survey: &Survey,
    explained: &str,
    matches: Matches,
    wishes: Wishes,
    path: &Path,
) -> Result<Choice> {
    let fresh = || wishes.fresh.clone().map_or(Choice::None, Choice::New);
    match (survey.state(), survey.latest()) {
        (State::Valid | State::Degraded, Some(latest)) => keep(latest, &wishes, path),
        (State::Blank | State::Corrupt, _) => {
            if let Some(choice) = restore(matches, &wishes, path)? {
                return Ok(choice);
            }
            if survey.state() == State::Corrupt && !wishes.force {
                return Err(Error::refused(format!(
                    "{explained}; `identity flash --force` writes over them"
                )));
            }
            Ok(fresh())
        }
        _ if wishes.force => Ok(restore(matches, &wishes, path)?.unwrap_or_else(fresh)),
        (State::Unreadable, _) => Err(Error::device(explained)),
        _ => Err(Error::refused(format!("{explained}; `identity flash --force` goes on without"))),
    }
}

fn keep(latest: &Identity, wishes: &Wishes, path: &Path) -> Result<Choice> {
    let shown = path.display();
    let has = format!("{shown} has the identity {} ({})", latest.uuid(), latest.profile());
    if let Some((file, record)) = &wishes.restore
        && record.identity.uuid() != latest.uuid()
    {
        if wishes.force {
            return Ok(Choice::Restore(record.identity.clone(), file.clone()));
        }
        return Err(Error::refused(format!(
            "{has}, the record is of {}; leave out --restore to keep it, or say --force to replace it",
            record.identity.uuid()
        )));
    }
    let Some(fresh) = &wishes.fresh else { return Ok(Choice::Keep(latest.clone())) };
    if wishes.force {
        return Ok(Choice::New(fresh.clone()));
    }
    let asks_nothing_else = fresh.profile() == latest.profile()
        && (fresh.hostname().is_none() || fresh.hostname() == latest.hostname())
        && (fresh.serial().is_none() || fresh.serial() == latest.serial());
    if asks_nothing_else {
        return Ok(Choice::Keep(latest.clone()));
    }
    Err(Error::refused(format!(
        "{has}; leave out --profile, --hostname and --serial to keep it as it is, \
         `identity stamp` changes it, and --force replaces it by a new one"
    )))
}

fn restore(matches: Matches, wishes: &Wishes, path: &Path) -> Result<Option<Choice>> {
    if let Some((file, record)) = &wishes.restore {
        return Ok(Some(Choice::Restore(record.identity.clone(), file.clone())));
    }
    if wishes.no_restore {
        return Ok(None);
    }
    let list = |records: &[(PathBuf, Record)]| -> String {
        records
            .iter()
            .map(|(file, record)| format!("\n  {} ({})", file.display(), record.identity.profile()))
            .collect()
    };
    let shown = path.display();
    match matches.certain.as_slice() {
        [] => (),
        [(file, record)] => return Ok(Some(Choice::Restore(record.identity.clone(), file.clone()))),
        several => {
            return Err(Error::refused(format!(
                "{shown} has no identity, and there are {} records of it; choose one with --restore FILE, \
                 or none with --no-restore:{}",
                several.len(),
                list(several)
            )));
        }
    }
    if matches.possible.is_empty() {
        return Ok(None);
    }
    Err(Error::refused(format!(
        "{shown} has no identity, and a flash of this card, or of another one of its size in the same place, \
         was not finished; give the identity back with --restore FILE, or say --no-restore if this is another \
         card:{}",
        list(&matches.possible)
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::testing::FaultyCard;
    use crate::error::Exit;
    use crate::flash::record::CardKey;
    use identity_core::field::kind;
    use identity_core::{Draft, Uuid};

    fn identity(uuid: u128, profile: &str) -> Identity {
        let mut draft = Draft::new(Uuid::from_u128(uuid)).unwrap();
        draft.set_text(kind::PROFILE, profile).unwrap();
        draft.finish().unwrap()
    }

    fn survey(copies: &[(u128, u32, u32)]) -> Survey {
        let mut bytes = vec![0; 8192 * 512];
        for &(uuid, own, peer) in copies {
            let at = own as usize * 512;
            bytes[at..at + 512].copy_from_slice(&identity(uuid, "panda").encode(own, peer));
        }
        Survey::of(&FaultyCard::new(bytes), None)
    }

    fn record(uuid: u128) -> (PathBuf, Record) {
        let card = CardKey { path: "/dev/sdx".into(), sectors: 1, cid: None };
        (format!("/state/{uuid}").into(), Record { identity: identity(uuid, "panda"), card })
    }

    fn decided(survey: &Survey, matches: Matches, wishes: Wishes) -> Result<Choice, Exit> {
        decide(survey, "", matches, wishes, Path::new("card")).map_err(|error| error.exit())
    }

    #[test]
    fn a_card_keeps_its_own() {
        let own = survey(&[(1, 52, 6607), (1, 6607, 52)]);
        let kept = Ok(Choice::Keep(identity(1, "panda")));
        assert_eq!(decided(&own, Matches::default(), Wishes::default()), kept);
        let wishes =
            |profile: &str, force| Wishes { fresh: Some(identity(9, profile)), force, ..Wishes::default() };
        assert_eq!(decided(&own, Matches::default(), wishes("panda", false)), kept);
        assert_eq!(decided(&own, Matches::default(), wishes("bbb", false)), Err(Exit::Refused));
        assert_eq!(
            decided(&own, Matches::default(), wishes("bbb", true)),
            Ok(Choice::New(identity(9, "bbb")))
        );
        let matches = Matches { certain: vec![record(2)], ..Matches::default() };
        assert_eq!(decided(&own, matches, Wishes::default()), kept);
        let restore = Wishes { restore: Some(record(2)), ..Wishes::default() };
        assert_eq!(decided(&own, Matches::default(), restore), Err(Exit::Refused));
    }

    #[test]
    fn a_blank_card() {
        let blank = survey(&[]);
        assert_eq!(decided(&blank, Matches::default(), Wishes::default()), Ok(Choice::None));
        let fresh = Wishes { fresh: Some(identity(9, "bbb")), ..Wishes::default() };
        assert_eq!(decided(&blank, Matches::default(), fresh.clone()), Ok(Choice::New(identity(9, "bbb"))));

        let certain = || Matches { certain: vec![record(2)], ..Matches::default() };
        let restored = Ok(Choice::Restore(identity(2, "panda"), "/state/2".into()));
        assert_eq!(decided(&blank, certain(), fresh.clone()), restored);
        let none = Wishes { no_restore: true, ..fresh };
        assert_eq!(decided(&blank, certain(), none.clone()), Ok(Choice::New(identity(9, "bbb"))));

        let possible = || Matches { possible: vec![record(2)], ..Matches::default() };
        assert_eq!(decided(&blank, possible(), Wishes::default()), Err(Exit::Refused));
        assert_eq!(decided(&blank, possible(), none), Ok(Choice::New(identity(9, "bbb"))));
        let named = Wishes { restore: Some(record(2)), ..Wishes::default() };
        assert_eq!(decided(&blank, possible(), named), restored);
        let two = Matches { certain: vec![record(2), record(3)], ..Matches::default() };
        assert_eq!(decided(&blank, two, Wishes::default()), Err(Exit::Refused));
    }

    #[test]
    fn doubtful_cards() {
        let conflict = survey(&[(1, 52, 6607), (2, 6607, 52)]);
        assert_eq!(decided(&conflict, Matches::default(), Wishes::default()), Err(Exit::Refused));
        let force = Wishes { force: true, ..Wishes::default() };
        assert_eq!(decided(&conflict, Matches::default(), force.clone()), Ok(Choice::None));
        let mut bytes = vec![0; 8192 * 512];
        let mut copy = identity(1, "panda").encode(52, 6607);
        copy[60] ^= 1;
        bytes[52 * 512..53 * 512].copy_from_slice(&copy);
        let corrupt = Survey::of(&FaultyCard::new(bytes), None);
        assert_eq!(decided(&corrupt, Matches::default(), Wishes::default()), Err(Exit::Refused));
        assert_eq!(decided(&corrupt, Matches::default(), force), Ok(Choice::None));
        let matches = Matches { certain: vec![record(1)], ..Matches::default() };
        assert!(matches!(decided(&corrupt, matches, Wishes::default()), Ok(Choice::Restore(..))));
    }
}
