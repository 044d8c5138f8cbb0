// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is on a card: the one answer that every verb, the map, Linux and the lab take.
//!
//! The search itself, which sectors and what they say together, is `identity_core::search`, as in the bootloader. It asks
//! no partition table. A [`Scan`] keeps what was read.

use std::io;

use identity_core::copy::{Defect, Newer, NotACopy};
use identity_core::search::{Condition, Reading};
use identity_core::slot::{COUNT, reading_position};
use identity_core::{Identity, Search, State, StoredCopy, Uuid};
use identity_layout::table::{PartitionTable, TableProblem};

#[cfg(feature = "flash")]
use crate::device::WritableCard;
use crate::device::{Card, SECTOR_LEN, Sector, plain};
use crate::first_sectors::{self, FirstSectors};
use crate::surroundings::Surroundings;

/// The label of a copy of another identity than the card's.
pub const OTHER: &str = "other";

/// One sector that was looked at.
#[derive(Clone, Debug)]
pub struct ScannedSector {
    /// LBA of the sector.
    pub lba: u32,
    /// What it was found to be.
    pub condition: Condition,
    /// Why it is neither blank nor a valid copy.
    pub reason: Option<Reason>,
    /// The identity and the other copy's LBA, if it is a valid copy.
    pub copy: Option<(Identity, u32)>,
    /// The sector, if it is a copy: valid, damaged or newer.
    pub bytes: Option<Box<Sector>>,
}

/// Why a sector that is not blank is no valid copy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It is something else's data.
    Foreign,
    /// It is something else's data, too: a copy that was written for another LBA.
    Misplaced {
        /// The LBA that it was written for.
        own_lba: u32,
    },
    /// It has our magic, and a check fails.
    Corrupt(Defect),
    /// It is intact, and beyond this program.
    Newer(Newer),
    /// It cannot be read; in the system's words.
    Unreadable(String),
}

/// Everything that was looked at, and what it says together.
#[derive(Clone, Debug)]
pub struct Scan {
    sectors: Vec<ScannedSector>,
    state: State,
    surroundings: Surroundings,
    /// Start of the first partition, where that was looked for and there is one.
    partition_lba: Option<u64>,
    /// Why no verb writes by the partition tables, where they were read.
    table_problem: Option<TableProblem>,
    /// The place that was looked at before the slots.
    hint_lba: Option<u32>,
}

impl Scan {
    /// Looks at `hint_lba`, if there is one, at all slots, and at the places that copies name.
    pub fn read(card: &dyn Card, hint_lba: Option<u32>) -> Self {
        Self::search(hint_lba, |lba| read_cached(card, lba))
    }

    /// The same, past the host's cache: what is on the medium, whatever was written and could not be flushed.
    #[cfg(feature = "flash")]
    pub fn read_back(card: &dyn WritableCard, hint_lba: Option<u32>) -> Self {
        let read = |lba: u32, out: &mut Sector| card.read_back(lba.into()).map(|sector| *out = sector);
        Self::search(hint_lba, |lba| read_one(card.sectors(), lba, read))
    }

    /// The same, without reading once more what is in `first_sectors`.
    pub fn with_first_sectors(first_sectors: &FirstSectors, card: &dyn Card, hint_lba: Option<u32>) -> Self {
        Self::search(hint_lba, |lba| match first_sectors.sector(lba.into()) {
            Some(Ok(sector)) => Read::Sector(Box::new(*sector)),
            _ => read_cached(card, lba),
        })
    }

    fn search(hint_lba: Option<u32>, read: impl Fn(u32) -> Read) -> Self {
        let mut search = Search::new(hint_lba);
        let mut sectors = Vec::new();
        while let Some(lba) = search.next() {
            let read = read(lba);
            let (reading, sector) = scan_one(lba, &read);
            // Always taken: it is what was asked for, and parsed for that place.
            if search.give(lba, reading).is_err() {
                break;
            }
            sectors.push(sector);
        }
        let surroundings = Surroundings::unknown("nobody has asked for the CID");
        Self {
            sectors,
            state: search.state(),
            surroundings,
            partition_lba: None,
            table_problem: None,
            hint_lba,
        }
    }

    /// The same of a card with these partition tables, if they could be read. The state is the search's alone;
    /// but what can be done about it depends on where the copies lie.
    #[must_use]
    pub fn with_table(self, table: Option<&PartitionTable>) -> Self {
        let partition_lba = table.and_then(PartitionTable::first_partition_lba);
        let table_problem = table.and_then(PartitionTable::fatal_problem).copied();
        Self { partition_lba, table_problem, ..self }
    }

    /// Why no verb writes a copy by the card's partition tables, where they were read and that is so.
    pub fn table_problem(&self) -> Option<&TableProblem> {
        self.table_problem.as_ref()
    }

    /// The same for a verb that writes nothing: where something is wrong, the partition tables are read too, for what can be done
    /// about it depends on them.
    #[must_use]
    pub fn with_way_out(self, card: &dyn Card) -> Self {
        match self.state {
            State::Valid | State::Blank => self,
            _ => self.with_table(first_sectors::table(card).as_ref()),
        }
    }

    /// The same, judged by the card and the board where it was read: the state may become cloned or moved.
    #[must_use]
    pub fn judged_in(mut self, surroundings: Surroundings) -> Self {
        if let Some(identity) = self.identity() {
            self.state = surroundings.judge(self.state, identity);
        }
        Self { surroundings, ..self }
    }

    /// The card and the board where it was read.
    pub fn surroundings(&self) -> &Surroundings {
        &self.surroundings
    }

    /// State of the card, judged by its surroundings if they are known.
    pub fn state(&self) -> State {
        self.state
    }

    /// All sectors looked at, in that order.
    pub fn sectors(&self) -> &[ScannedSector] {
        &self.sectors
    }

    /// What was found at `lba`, if it was looked at.
    pub fn at(&self, lba: u32) -> Option<&ScannedSector> {
        self.sectors.iter().find(|sector| sector.lba == lba)
    }

    /// The copy that readers use.
    pub fn primary(&self) -> Option<&ScannedSector> {
        self.sectors.iter().find(|sector| matches!(sector.condition, Condition::Valid | Condition::Newer))
    }

    /// The identity that readers use.
    pub fn identity(&self) -> Option<&Identity> {
        self.primary()?.copy.as_ref().map(|(identity, _)| identity)
    }

    /// The same identity in its latest version: after an interrupted update a later copy may have it.
    pub fn latest(&self) -> Option<&Identity> {
        let uuid = self.identity()?.uuid();
        let versions = self.valid().map(|(_, identity, _)| identity);
        versions.filter(|identity| identity.uuid() == uuid).max_by_key(|identity| identity.generation())
    }

    /// Valid copies: (LBA, identity, LBA of the other copy).
    pub fn valid(&self) -> impl Iterator<Item = (u32, &Identity, u32)> {
        self.sectors.iter().filter_map(|sector| {
            let (identity, peer_lba) = sector.copy.as_ref()?;
            Some((sector.lba, identity, *peer_lba))
        })
    }

    /// The place that a person has named and no reader looks at by itself, where it holds a copy: every other command has to
    /// be given it, too.
    pub fn named_place(&self) -> Option<u32> {
        let is_ours = |lba: &u32| self.ours().any(|sector| sector.lba == *lba);
        self.hint_lba.filter(|lba| reading_position(*lba) == COUNT && is_ours(lba))
    }

    /// Whether a sector lies behind the start of the first partition, as far as that is known.
    pub fn is_in_partition(&self, lba: u32) -> bool {
        self.partition_lba.is_some_and(|first| u64::from(lba) >= first)
    }

    /// Sectors in this condition behind the start of the first partition.
    pub fn in_partition(&self, condition: Condition) -> impl Iterator<Item = u32> {
        self.lbas(condition).filter(|&lba| self.is_in_partition(lba))
    }

    /// Whether nothing is wrong but damaged or newer copies behind the start of a partition, which are left there.
    pub fn is_whole_beside_partition(&self) -> bool {
        let mut valid = self.valid();
        let (Some(one), Some(other), None) = (valid.next(), valid.next(), valid.next()) else { return false };
        let is_pair = (one.0, one.2) == (other.2, other.0) && one.1 == other.1;
        let is_left = |sector: &ScannedSector| sector.copy.is_some() || self.is_in_partition(sector.lba);
        is_pair && self.ours().all(is_left)
    }

    /// The identity with this UUID in its latest version; `None` if there is none, or two that cannot both be right.
    pub fn version(&self, uuid: Uuid) -> Option<&Identity> {
        let versions =
            || self.valid().map(|(_, identity, _)| identity).filter(|identity| identity.uuid() == uuid);
        let latest = versions().max_by_key(|identity| identity.generation())?;
        let same = |other: &&Identity| other.generation() == latest.generation();
        versions().filter(same).all(|other| other == latest).then_some(latest)
    }

    /// Copies that were written for another LBA than theirs: (LBA, LBA that it was written for).
    pub fn misplaced(&self) -> impl Iterator<Item = (u32, u32)> {
        self.sectors.iter().filter_map(|sector| match sector.reason {
            Some(Reason::Misplaced { own_lba }) => Some((sector.lba, own_lba)),
            _ => None,
        })
    }

    /// Copies, each at its own LBA if that can be told: valid, damaged, or newer.
    pub fn ours(&self) -> impl Iterator<Item = &ScannedSector> {
        self.sectors.iter().filter(|sector| {
            matches!(sector.condition, Condition::Valid | Condition::Corrupt | Condition::Newer)
        })
    }

    /// LBAs of the sectors in one condition.
    pub fn lbas(&self, condition: Condition) -> impl Iterator<Item = u32> {
        self.sectors.iter().filter(move |sector| sector.condition == condition).map(|sector| sector.lba)
    }

    /// Sectors that cannot be read and that a valid copy names as the other one. What is in them may be readable again
    /// one day, and would then be an identity.
    pub fn lost(&self) -> impl Iterator<Item = u32> {
        let is_named = |lba| self.valid().any(|(_, _, peer_lba)| peer_lba == lba);
        self.lbas(Condition::Unreadable).filter(move |&lba| is_named(lba))
    }

    /// The only valid copy, if nothing says that it is this card's: it may have come here as a piece of another card. What
    /// says so is a damaged or unreadable sector where the other copy belongs, or a binding to this card; a damaged copy
    /// in another slot may have come along.
    pub fn lone_copy(&self) -> Option<u32> {
        let mut valid = self.valid();
        let (Some((lba, identity, peer_lba)), None) = (valid.next(), valid.next()) else { return None };
        let was_copy = |peer: &ScannedSector| {
            matches!(peer.condition, Condition::Corrupt | Condition::Newer | Condition::Unreadable)
        };
        let is_bound_here = identity
            .fields()
            .card()
            .is_some_and(|bound| self.surroundings.card.is_ok_and(|cid| *cid.bytes() == bound));
        (!is_bound_here && !self.at(peer_lba).is_some_and(was_copy)).then_some(lba)
    }

    /// What a sector is worth beside the copy that readers use: its condition's name, `other` for a copy of another
    /// identity, or `older`.
    pub fn label(&self, sector: &ScannedSector) -> &'static str {
        match (&sector.copy, self.identity(), self.latest()) {
            (Some((identity, _)), Some(primary), _) if identity.uuid() != primary.uuid() => OTHER,
            (Some((identity, _)), _, Some(latest)) if identity.generation() < latest.generation() => "older",
            _ => sector.condition.name(),
        }
    }

    /// The copies that make up the identity: the primary and the one it names; else whatever copies there are. In reading
    /// order.
    pub fn pair(&self) -> Vec<&ScannedSector> {
        let peer_lba =
            self.primary().and_then(|primary| primary.copy.as_ref()).map(|(_, peer_lba)| *peer_lba);
        let mut pair: Vec<_> = match (self.primary(), peer_lba) {
            (Some(primary), Some(peer_lba)) => {
                [Some(primary), self.at(peer_lba)].into_iter().flatten().collect()
            }
            _ => self.ours().collect(),
        };
        pair.sort_by_key(|sector| reading_position(sector.lba));
        pair
    }
}

/// What reading one sector gave.
enum Read {
    Sector(Box<Sector>),
    Absent,
    Failed(String),
}

fn read_cached(card: &dyn Card, lba: u32) -> Read {
    read_one(card.sectors(), lba, |lba, out| card.read(lba.into(), out))
}

/// Of a card with so many sectors.
fn read_one(sectors: u64, lba: u32, read: impl FnOnce(u32, &mut Sector) -> io::Result<()>) -> Read {
    let mut sector = [0; SECTOR_LEN];
    if u64::from(lba) >= sectors {
        return Read::Absent;
    }
    match read(lba, &mut sector) {
        Ok(()) => Read::Sector(Box::new(sector)),
        Err(error) => Read::Failed(plain(&error)),
    }
}

fn scan_one(lba: u32, read: &Read) -> (Reading<'_>, ScannedSector) {
    let scanned = |condition, reason| ScannedSector { lba, condition, reason, copy: None, bytes: None };
    let sector = match read {
        Read::Sector(sector) => sector,
        Read::Absent => return (Reading::Absent, scanned(Condition::Absent, None)),
        Read::Failed(error) => {
            let reason = Reason::Unreadable(error.clone());
            return (Reading::Unreadable, scanned(Condition::Unreadable, Some(reason)));
        }
    };
    let parsed = StoredCopy::parse(sector, lba);
    let bytes = Some(sector.clone());
    let scanned = match &parsed {
        Ok(copy) => {
            let copy = Some((copy.identity(), copy.peer_lba()));
            ScannedSector { copy, bytes, ..scanned(Condition::Valid, None) }
        }
        Err(NotACopy::Blank) => scanned(Condition::Blank, None),
        Err(NotACopy::Foreign) => scanned(Condition::Foreign, Some(Reason::Foreign)),
        Err(NotACopy::Misplaced { own_lba }) => {
            scanned(Condition::Foreign, Some(Reason::Misplaced { own_lba: *own_lba }))
        }
        Err(NotACopy::Corrupt(defect)) => {
            ScannedSector { bytes, ..scanned(Condition::Corrupt, Some(Reason::Corrupt(*defect))) }
        }
        Err(NotACopy::Newer(newer)) => {
            ScannedSector { bytes, ..scanned(Condition::Newer, Some(Reason::Newer(*newer))) }
        }
    };
    (Reading::Sector(parsed), scanned)
}
