// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card in memory that remembers what was done to it, is cheap to copy, and may have sectors that cannot be read.

use std::collections::BTreeMap;
use std::io;
use std::rc::Rc;

use identity_host::device::{Card, SECTOR_LEN, Sector, WritableCard};
use identity_host::testing::Event;

/// A card: bytes that all copies share, and the sectors that differ from them; `None` cannot be read.
#[derive(Clone)]
pub struct SimCard {
    base: Rc<[u8]>,
    changed: BTreeMap<u64, Option<Rc<Sector>>>,
    /// Whether it can make sectors zero by itself.
    pub discards: bool,
    /// What was done to it.
    pub log: Vec<Event>,
}

impl SimCard {
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { base: bytes.into(), changed: BTreeMap::new(), discards: false, log: Vec::new() }
    }

    /// One sector; what cannot be read is bytes that nobody has written.
    pub fn sector(&self, lba: u64) -> Sector {
        let mut sector = [0; SECTOR_LEN];
        if self.read(lba, &mut sector).is_ok() { sector } else { [0xee; SECTOR_LEN] }
    }

    pub fn set(&mut self, lba: u64, sector: Sector) {
        self.changed.insert(lba, Some(Rc::new(sector)));
    }

    pub fn make_unreadable(&mut self, lba: u64) {
        self.changed.insert(lba, None);
    }

    /// Everything on it; for cards without unreadable sectors.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![0; self.base.len()];
        self.read(0, &mut bytes).expect("nothing is unreadable");
        bytes
    }

    /// Makes it cheap to copy again after long writes.
    pub fn settle(&mut self) {
        const MANY: usize = 256;
        if self.changed.len() > MANY && self.changed.values().all(Option::is_some) {
            self.base = self.bytes().into();
            self.changed.clear();
        }
    }

    /// The sectors in which it differs from `other`, which has the same base.
    pub fn changed_since(&self, other: &Self) -> Vec<u64> {
        assert!(Rc::ptr_eq(&self.base, &other.base));
        let lbas = self.changed.keys().chain(other.changed.keys()).copied();
        let mut lbas: Vec<_> = lbas.filter(|&lba| !self.holds_the_same(other, lba)).collect();
        lbas.sort_unstable();
        lbas.dedup();
        lbas
    }

    fn holds_the_same(&self, other: &Self, lba: u64) -> bool {
        let is_lost = |card: &Self| matches!(card.changed.get(&lba), Some(None));
        is_lost(self) == is_lost(other) && self.sector(lba) == other.sector(lba)
    }
}

impl Card for SimCard {
    fn sectors(&self) -> u64 {
        (self.base.len() / SECTOR_LEN) as u64
    }

    fn read(&self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        let start = lba as usize * SECTOR_LEN;
        let span = self.base.get(start..start + out.len()).ok_or(io::ErrorKind::InvalidInput)?;
        out.copy_from_slice(span);
        let end = lba + (out.len() / SECTOR_LEN) as u64;
        for (at, held) in self.changed.range(lba..end) {
            let held = held.as_ref().ok_or(io::Error::from_raw_os_error(5))?;
            out[(at - lba) as usize * SECTOR_LEN..][..SECTOR_LEN].copy_from_slice(&held[..]);
        }
        Ok(())
    }
}

impl WritableCard for SimCard {
    fn write(&mut self, lba: u64, sector: &Sector) -> io::Result<()> {
        self.write_run(lba, sector)
    }

    fn write_run(&mut self, lba: u64, bytes: &[u8]) -> io::Result<()> {
        let (sectors, rest) = bytes.as_chunks();
        assert!(rest.is_empty() && lba + sectors.len() as u64 <= self.sectors());
        for (lba, sector) in (lba..).zip(sectors) {
            self.set(lba, *sector);
        }
        self.log.push(Event::Write { lba, bytes: bytes.to_vec() });
        Ok(())
    }

    fn discard(&mut self, lba: u64, sectors: u64) -> io::Result<bool> {
        if self.discards {
            (lba..lba + sectors).for_each(|lba| self.set(lba, [0; SECTOR_LEN]));
            self.log.push(Event::Discard { lba, sectors });
        }
        Ok(self.discards)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.log.push(Event::Flush);
        Ok(())
    }

    fn read_back(&self, lba: u64) -> io::Result<Sector> {
        let mut sector = [0; SECTOR_LEN];
        self.read(lba, &mut sector)?;
        Ok(sector)
    }

    fn read_back_run(&self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        self.read(lba, out)
    }
}
