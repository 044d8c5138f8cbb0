// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything that a verb which writes must know of a card, each sector read once: whose the first sectors are, what is on
//! the card, and what must not be written over.

#[cfg(feature = "stamp")]
use std::cmp::Reverse;
use std::path::Path;

#[cfg(feature = "stamp")]
use identity_core::copy::NotACopy;
use identity_core::search::Condition;
#[cfg(feature = "stamp")]
use identity_core::{Identity, State, StoredCopy};
use identity_layout::mark::Mark;

use crate::device::Card;
use crate::error::{Action, Error, Result};
use crate::first_sectors::FirstSectors;
#[cfg(feature = "stamp")]
use crate::plan::{NoSlots, NotThere, Pair, Plan, Step, choose, choose_named};
use crate::scan::Scan;
use crate::surroundings::Surroundings;

/// A card that may be written to.
pub struct WholeCard {
    /// Whose the first sectors are.
    pub first_sectors: FirstSectors,
    /// What is on it.
    pub scan: Scan,
}

impl WholeCard {
    /// Reads a card. `path` is for messages.
    ///
    /// # Errors
    /// If LBA 0 cannot be read.
    pub fn read(
        card: &dyn Card,
        path: &Path,
        hint_lba: Option<u32>,
        surroundings: Surroundings,
    ) -> Result<Self> {
        let first_sectors = FirstSectors::read(card);
        let first_sectors =
            first_sectors.map_err(|error| Error::io(path, Action::ReadFirstSectors, error))?;
        let scan = Scan::with_first_sectors(&first_sectors, card, hint_lba).judged_in(surroundings);
        let scan = scan.with_table(Some(first_sectors.table()));
        Ok(Self { first_sectors, scan })
    }

    /// Start of the first partition, or `u64::MAX`.
    pub fn partition_lba(&self) -> u64 {
        self.first_sectors.first_partition_lba().unwrap_or(u64::MAX)
    }

    /// Valid copies behind the start of the first partition, by LBA.
    pub fn copies_in_partition(&self) -> Vec<u32> {
        let is_in = |lba: &u32| self.first_sectors.is_in_partition(*lba);
        let mut lbas: Vec<_> = self.scan.lbas(Condition::Valid).filter(is_in).collect();
        lbas.sort_unstable();
        lbas
    }

    /// A valid copy before the first partition where no reader looks: a person has put it there with `--at`.
    pub fn copy_elsewhere(&self) -> Option<u32> {
        self.first_sectors.copies().into_iter().find(|lba| self.scan.at(*lba).is_none())
    }

    /// The mark of an unfinished flash, if LBA 0 holds one.
    pub fn mark(&self) -> Option<Mark> {
        let lba0 = self.first_sectors.sector(0)?.ok()?;
        Mark::parse(lba0)
    }
}

#[cfg(feature = "stamp")]
impl WholeCard {
    /// Whether something speaks against any write: a copy that nobody has named, or one of a later version. `path` is for
    /// messages.
    ///
    /// # Errors
    /// What speaks against it.
    pub fn check_may_write(&self, path: &Path, force: bool) -> Result<()> {
        let path = || path.to_owned();
        if let Some(lba) = self.copy_elsewhere() {
            return Err(Error::CopyElsewhere { path: path(), lba });
        }
        match self.newer_copy() {
            Some((lba, in_partition)) if in_partition || !force => {
                Err(Error::NewerCopy { path: path(), lba, in_partition, by_force: !in_partition })
            }
            _ => Ok(()),
        }
    }

    /// The same for a verb that keeps the identity: where a copy of a later version decides, none is known that could be
    /// kept, and force does not help. `path` is for messages.
    ///
    /// # Errors
    /// What speaks against it.
    pub fn check_may_keep(&self, path: &Path, force: bool) -> Result<()> {
        let decides = self.scan.primary().is_some_and(|primary| primary.condition == Condition::Newer);
        match self.newer_copy().filter(|_| decides) {
            Some((lba, in_partition)) => {
                Err(Error::NewerCopy { path: path.to_owned(), lba, in_partition, by_force: false })
            }
            None => self.check_may_write(path, force),
        }
    }

    /// A copy of a later version, and whether it lies in a partition. One that does comes first: no option clears it.
    fn newer_copy(&self) -> Option<(u32, bool)> {
        let place = |lba| (lba, self.first_sectors.is_in_partition(lba));
        self.scan
            .lbas(Condition::Newer)
            .map(place)
            .max_by_key(|&(lba, in_partition)| (in_partition, Reverse(lba)))
    }

    /// What is on the card after a write, which moves no partition.
    #[must_use]
    pub fn after(&self, scan: Scan) -> Scan {
        scan.with_table(Some(self.first_sectors.table()))
    }

    /// Whether all places can be read that may hold a copy: what is erased or replaced must not come back. `path` is for
    /// messages.
    ///
    /// # Errors
    /// The first place that cannot be read, unless `force`.
    pub fn check_may_destroy(&self, path: &Path, force: bool) -> Result<()> {
        match self.scan.lbas(Condition::Unreadable).next() {
            Some(lba) if !force => Err(Error::UnreadablePlace { path: path.to_owned(), lba }),
            _ => Ok(()),
        }
    }

    /// Sectors that a plan writes copies over, and that are somebody's.
    pub fn foreign(&self, plan: &Plan) -> Vec<u32> {
        let written = plan.steps.iter().filter(|step| matches!(step, Step::Write { .. })).map(Step::lba);
        let is_foreign = |lba: &u32| {
            let Some(Ok(sector)) = self.first_sectors.sector(u64::from(*lba)) else { return false };
            let is_data = matches!(
                StoredCopy::parse(sector, *lba),
                Err(NotACopy::Foreign | NotACopy::Misplaced { .. })
            );
            is_data && self.first_sectors.check(*lba).is_err()
        };
        written.filter(is_foreign).collect()
    }

    /// That the state of the card does not allow what was asked for; of a blank one, also why it could not be stamped. `path` is
    /// for messages.
    pub fn state_error(self, path: &Path) -> Error {
        let is_too_short = self.scan.sectors().iter().all(|sector| sector.condition == Condition::Absent);
        let is_blank = self.scan.state() == State::Blank && !is_too_short;
        let why = self.choose(&[], false, path).err();
        let (path, scan) = (path.to_owned(), Box::new(self.scan));
        match why.filter(|_| is_blank) {
            Some(why) => Error::NotReady { path, scan, why: Box::new(why) },
            None => Error::State { path, scan },
        }
    }

    /// Two places for the copies: those that were named, if any; else where the copies are, or slots. `path` is for messages.
    ///
    /// # Errors
    /// Why there are no two.
    pub fn choose(&self, named: &[u32], force: bool, path: &Path) -> Result<Pair> {
        let verdicts = self.first_sectors.verdicts();
        if named.is_empty() {
            let may_stay = |lba| self.first_sectors.check(lba).is_ok();
            return choose(&verdicts, &self.scan, may_stay).map_err(|error| self.no_slots(path, error));
        }
        let check = |lba| self.first_sectors.check_at(lba, force);
        choose_named(named, &verdicts, &self.scan, check).map_err(|error| match error {
            NotThere::Places(problem) => Error::Places(problem),
            NotThere::Busy(lba, busy, by_force) => {
                Error::Place { path: path.to_owned(), lba, busy, by_force }
            }
            NotThere::NoSlots(error) => self.no_slots(path, error),
        })
    }

    /// The error with the card's name, or what is behind it: a flash that was not finished.
    pub fn no_slots(&self, path: &Path, error: NoSlots) -> Error {
        match self.mark() {
            Some(mark) => Error::Unfinished { path: path.to_owned(), image: mark.image().to_owned() },
            None => no_slots(path, error),
        }
    }

    /// Puts the step in front of a plan that takes the number out of the mark of an unfinished flash: what is written now
    /// decides, and no record on a host any more.
    #[must_use]
    pub fn without_pending_flash(&self, mut plan: Plan) -> Plan {
        if let Some(mark) = self.mark().filter(|mark| mark.number().is_some()) {
            let sector = Box::new(mark.without_number().encode());
            plan.steps.insert(0, Step::WriteMark { sector });
        }
        plan
    }

    /// Whether exactly two copies of `identity` are on the card, at `pair`, and no other valid copy.
    pub fn is_proved(scan: &Scan, identity: &Identity, lbas: [u32; 2]) -> bool {
        let [one, other] = lbas;
        let holds =
            |lba, peer| scan.valid().any(|(at, found, to)| (at, to) == (lba, peer) && found == identity);
        holds(one, other) && holds(other, one) && scan.valid().count() == 2
    }
}

/// The error with the card's name.
#[cfg(feature = "stamp")]
pub fn no_slots(path: &Path, NoSlots(verdicts): NoSlots) -> Error {
    Error::NoSlots { path: path.to_owned(), verdicts }
}

/// Whether a plan may be carried out without a person's word: what lies behind the start of a partition is mostly
/// somebody's.
///
/// # Errors
/// The copies there that would be cleared.
#[cfg(feature = "stamp")]
pub fn check_consent(plan: &Plan, path: &Path, force: bool) -> Result<()> {
    let lbas = plan.in_partition();
    if force || lbas.is_empty() {
        Ok(())
    } else {
        Err(Error::CopiesInPartition { path: path.to_owned(), lbas })
    }
}
