// SPDX-License-Identifier: MIT OR Apache-2.0
//! Repairing: a degraded identity becomes whole, a copy in a partition is moved, and of two identities one is kept.

use std::path::Path;

use identity_core::identity::DraftError;
use identity_core::search::Condition;
use identity_core::{Identity, State, Uuid};

use crate::device::Card;
use crate::error::{Error, Result};
use crate::plan::{self, Pair, Plan};
use crate::record::{CardKey, Record};
use crate::surroundings::Surroundings;
use crate::whole_card::WholeCard;

/// Which identity of a conflict is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The latest version of the one with this UUID.
    Uuid(Uuid),
    /// The one at this LBA.
    Lba(u32),
}

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Request {
    /// A place to look at before the slots.
    pub hint_lba: Option<u32>,
    /// What to keep of a conflict; for a lone copy, a person's word that it is this card's.
    pub keep: Option<Keep>,
    /// A place that a repair has tried to write in vain: the copy goes elsewhere, and the place is left.
    pub avoid: Option<u32>,
    /// Whether to complete a lone copy, and to write over what is not ours where the second copy belongs.
    pub force: bool,
}

/// A repair that may begin.
pub struct Prepared {
    /// What is on the card.
    pub card: WholeCard,
    /// The identity that is left.
    pub identity: Identity,
    /// The steps; none if nothing is to be done.
    pub plan: Plan,
    /// Whether another identity goes.
    pub is_replacement: bool,
}

impl Prepared {
    /// Whether this is the place of the second copy, and cannot be read.
    pub fn is_lost(&self, lba: u32) -> bool {
        self.card.scan.lost().any(|lost| lost == lba)
    }

    /// Whether there is nothing to repair.
    pub fn is_whole(&self) -> bool {
        self.plan.steps.is_empty()
    }

    /// What has to be kept elsewhere before the plan is carried out: the other identities, other versions of the one that stays,
    /// and copies of a later version.
    pub fn retired(&self, key: &CardKey) -> Vec<Record> {
        let (kept, scan) = (&self.identity, &self.card.scan);
        let is_version = |identity: &Identity| identity.uuid() == kept.uuid();
        let is_kept =
            |identity: &Identity| is_version(identity) && identity.fields().bytes() == kept.fields().bytes();
        let versions = scan.valid().map(|(_, identity, _)| identity);
        let removed = versions.filter(|identity| is_version(identity) && !is_kept(identity));
        let removed = removed.max_by_key(|identity| identity.generation());
        let Some(removed) = removed.filter(|_| self.is_replacement) else {
            return Record::going(scan, key, kept.uuid());
        };
        let mut records = Record::retired(scan, key);
        for record in records.iter_mut().filter(|record| record.identity.as_ref().is_some_and(is_version)) {
            record.identity = Some(removed.clone());
            // Whoever reads the record takes the version that its sectors hold.
            let kept_at = |lba| scan.valid().any(|(at, identity, _)| at == lba && is_kept(identity));
            record.sectors.retain(|(lba, _)| !kept_at(*lba));
        }
        records
    }
}

/// What there is, and what to write to this card. The latest version wins, so that an interrupted update is completed.
/// `path` is for messages.
///
/// # Errors
/// Whatever speaks against it.
pub fn prepare(
    request: &Request,
    card: &dyn Card,
    path: &Path,
    surroundings: Surroundings,
) -> Result<Prepared> {
    let card = WholeCard::read(card, path, request.hint_lba, surroundings)?;
    card.check_may_keep(path, request.force)?;
    match (card.scan.state(), request.keep) {
        (State::Conflict, Some(keep)) => keep_one(card, keep, request, path),
        (State::Valid | State::Degraded, keep) => {
            if keep.is_some_and(|keep| find(&card, keep).is_none()) {
                return Err(Error::NothingToKeep { path: path.to_owned(), scan: Box::new(card.scan) });
            }
            make_whole(card, request, path)
        }
        _ => Err(card.state_error(path)),
    }
}

fn make_whole(card: WholeCard, request: &Request, path: &Path) -> Result<Prepared> {
    let scan = &card.scan;
    let latest = scan.latest().cloned();
    let latest =
        latest.ok_or_else(|| Error::State { path: path.to_owned(), scan: Box::new(scan.clone()) })?;
    if scan.state() == State::Valid && card.copies_in_partition().is_empty() {
        return Ok(prepared(card, latest, Plan::default()));
    }
    // First: what would be refused then, is not asked for.
    let pair = choose(&card, &latest, request, path)?;
    if let Some(lba) = scan.lone_copy()
        && request.keep.is_none()
        && !request.force
    {
        return Err(Error::LoneCopy { path: path.to_owned(), lba, in_partition: scan.is_in_partition(lba) });
    }
    let mut plan = plan::write_missing(&latest, &pair, scan, card.partition_lba());
    plan.steps.retain(|step| request.avoid != Some(step.lba()));
    let plan = card.without_pending_flash(plan);
    Ok(prepared(card, latest, plan))
}

fn prepared(card: WholeCard, identity: Identity, plan: Plan) -> Prepared {
    Prepared { card, identity, plan, is_replacement: false }
}

/// Where the copies go.
fn choose(card: &WholeCard, latest: &Identity, request: &Request, path: &Path) -> Result<Pair> {
    let (scan, first) = (&card.scan, &card.first_sectors);
    let copies = || scan.valid().filter(|(_, identity, _)| *identity == latest);
    // A copy in the gap rather than one in a partition.
    let copy = copies().find(|(lba, ..)| !first.is_in_partition(*lba)).or_else(|| copies().next());
    let Some((lba, _, peer_lba)) = copy else {
        return Err(Error::State { path: path.to_owned(), scan: Box::new(scan.clone()) });
    };
    let belongs = |lba| request.avoid != Some(lba) && first.check_own(lba, false).is_ok();
    let verdicts = first.verdicts();
    let is_foreign = scan.at(peer_lba).is_some_and(|peer| peer.condition == Condition::Foreign);
    let by_force = is_foreign && belongs(lba) && first.check_own(peer_lba, true).is_ok();
    let pair = plan::choose_for_repair(lba, peer_lba, &verdicts, scan, belongs);
    pair.or_else(|error| match is_foreign {
        // Over data of another program only where there is no other place.
        true if by_force && request.force => Ok(Pair::new(lba, peer_lba, plan::Why::Belongs)),
        true => Err(Error::ForeignAtPeer { path: path.to_owned(), lba: peer_lba, by_force }),
        false => Err(card.no_slots(path, error)),
    })
}

/// The identity that is named, in its latest version; `None` if there is none, or two that cannot both be right.
fn find(card: &WholeCard, keep: Keep) -> Option<Identity> {
    match keep {
        Keep::Lba(wanted) => {
            card.scan.valid().find(|(lba, ..)| *lba == wanted).map(|(_, identity, _)| identity.clone())
        }
        Keep::Uuid(uuid) => card.scan.version(uuid).cloned(),
    }
}

fn keep_one(card: WholeCard, keep: Keep, request: &Request, path: &Path) -> Result<Prepared> {
    let Some(kept) = find(&card, keep) else {
        return Err(Error::NothingToKeep { path: path.to_owned(), scan: Box::new(card.scan) });
    };
    card.check_may_destroy(path, request.force)?;
    // Above every version of it that is on the card: the next generation of the highest.
    let versions =
        card.scan.valid().map(|(_, identity, _)| identity).filter(|identity| identity.uuid() == kept.uuid());
    let highest = versions.map(Identity::generation).max().unwrap_or(kept.generation());
    let next = highest.checked_add(1).ok_or(Error::Generation(DraftError::Generation))?;
    let mut draft = kept.draft();
    draft.set_generation(next);
    let identity = draft.finish().map_err(Error::Generation)?;
    let pair = card.choose(&[], request.force, path)?;
    let plan = plan::write(&identity, &pair, &card.scan, card.partition_lba());
    let plan = card.without_pending_flash(plan);
    Ok(Prepared { card, identity, plan, is_replacement: true })
}
