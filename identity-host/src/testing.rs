// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card in memory that fails as a test wants it to, and remembers what was done to it.

use std::cell::{Cell, RefCell};
use std::io;

use crate::device::{Card, SECTOR_LEN, Sector, WritableCard};

/// How a card fails.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Sectors that cannot be written.
    pub write_error: Option<u64>,
    /// Sectors that cannot be read.
    pub read_error: Option<u64>,
    /// The sector that reads back with one bit flipped once it has been written.
    pub lies_at: Option<u64>,
    /// Number of writes after which the card is gone: nothing can be written, flushed or read any more.
    pub gone_after: Option<usize>,
    /// Sectors that the card really has: what lies behind is accepted and lost, as by counterfeit cards.
    pub real_sectors: Option<u64>,
    /// Whether `discard` says that it was done, and does nothing.
    pub discard_lies: bool,
}

/// One thing done to a card.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Sectors were written, and not yet flushed.
    Write {
        /// LBA of the first sector.
        lba: u64,
        /// Bytes that were written from there on.
        bytes: Vec<u8>,
    },
    /// Sectors were made zero by the device.
    Discard {
        /// LBA of the first sector.
        lba: u64,
        /// Number of sectors from there on.
        sectors: u64,
    },
    /// The cache was flushed.
    Flush,
}

/// A card in memory.
#[derive(Clone, Debug, Default)]
pub struct FaultyCard {
    /// What is on it.
    pub bytes: Vec<u8>,
    /// Faults that the card shows.
    pub faults: Faults,
    /// Whether `discard` works at all.
    pub discards: bool,
    /// Everything done to it, if that is wanted.
    pub log: Option<RefCell<Vec<Event>>>,
    writes: usize,
    lying: Cell<bool>,
}

impl FaultyCard {
    /// A card with these bytes that does not fail.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self { bytes, ..Self::default() }
    }

    /// The same, and everything done to it is kept.
    pub fn logging(bytes: Vec<u8>) -> Self {
        Self { log: Some(RefCell::default()), ..Self::new(bytes) }
    }

    /// The same card failing like this.
    pub fn failing(self, faults: Faults) -> Self {
        Self { faults, ..self }
    }

    /// The card works again, as if it had been taken out and put in.
    pub fn heal(&mut self) {
        self.faults = Faults::default();
        self.lying.set(false);
    }

    fn check_present(&self) -> io::Result<()> {
        match self.faults.gone_after {
            Some(limit) if self.writes >= limit => {
                Err(io::Error::from_raw_os_error(rustix::io::Errno::NODEV.raw_os_error()))
            }
            _ => Ok(()),
        }
    }

    fn span(&self, lba: u64, sectors: usize) -> io::Result<std::ops::Range<usize>> {
        let start = usize::try_from(lba).map_err(io::Error::other)? * SECTOR_LEN;
        let span = start..start + sectors * SECTOR_LEN;
        if span.end > self.bytes.len() { Err(io::ErrorKind::InvalidInput.into()) } else { Ok(span) }
    }

    fn note(&self, event: Event) {
        if let Some(log) = &self.log {
            log.borrow_mut().push(event);
        }
    }
}

fn io_error() -> io::Error {
    io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error())
}

impl Card for FaultyCard {
    fn sectors(&self) -> u64 {
        (self.bytes.len() / SECTOR_LEN) as u64
    }

    fn read(&self, lba: u64, out: &mut [u8]) -> io::Result<()> {
        self.check_present()?;
        let covers =
            |at: Option<u64>| at.filter(|at| (lba..lba + (out.len() / SECTOR_LEN) as u64).contains(at));
        if covers(self.faults.read_error).is_some() {
            return Err(io_error());
        }
        let lie = covers(self.faults.lies_at).filter(|_| self.lying.get());
        out.copy_from_slice(&self.bytes[self.span(lba, out.len() / SECTOR_LEN)?]);
        if let Some(at) = lie {
            out[(at - lba) as usize * SECTOR_LEN + 100] ^= 1;
        }
        Ok(())
    }
}

impl WritableCard for FaultyCard {
    fn write(&mut self, lba: u64, sector: &Sector) -> io::Result<()> {
        self.write_run(lba, sector)
    }

    fn write_run(&mut self, lba: u64, bytes: &[u8]) -> io::Result<()> {
        self.check_present()?;
        self.writes += 1;
        let covered = lba..lba + (bytes.len() / SECTOR_LEN) as u64;
        if self.faults.write_error.is_some_and(|at| covered.contains(&at)) {
            return Err(io_error());
        }
        if self.faults.lies_at.is_some_and(|at| covered.contains(&at)) {
            self.lying.set(true);
        }
        let span = self.span(lba, bytes.len() / SECTOR_LEN)?;
        self.note(Event::Write { lba, bytes: bytes.to_vec() });
        if self.faults.real_sectors.is_none_or(|real| covered.end <= real) {
            self.bytes[span].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn discard(&mut self, lba: u64, sectors: u64) -> io::Result<bool> {
        self.check_present()?;
        if self.faults.discard_lies {
            return Ok(true);
        }
        if self.discards {
            let span = self.span(lba, sectors as usize)?;
            self.writes += 1;
            self.note(Event::Discard { lba, sectors });
            self.bytes[span].fill(0);
        }
        Ok(self.discards)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.check_present()?;
        self.note(Event::Flush);
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
