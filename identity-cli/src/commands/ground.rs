// SPDX-License-Identifier: MIT OR Apache-2.0
//! The first sectors of a card with everything known about them: what every plan starts from.

use identity_core::copy::{Copy, NotACopy};

use crate::device::{Card, SECTOR_LEN, Sector, Target};
use crate::error::{Error, Result};
use crate::layout::table::{self, PartitionTable};
use crate::plan::{self, Place};

/// Sectors read at first: enough for a table with its entries anywhere that known tools put them.
const TABLE_SECTORS: u64 = 4096;
/// Last slot plus neighbours is far below this; what claims a slot may start anywhere before it.
const GAP_SECTORS_MAX: u64 = 65536;
/// Neighbours on each side that must be blank too: something longer than a sector is about to end or begin there.
const NEIGHBOURS: u64 = 2;

pub struct Ground {
    bytes: Vec<u8>,
    table: PartitionTable,
}

impl Ground {
    pub fn of(target: &Target) -> Result<Self> {
        let sectors = target.sectors();
        let read = |count: u64| {
            let len = usize::try_from(count * SECTOR_LEN as u64).unwrap_or(0);
            let mut bytes = vec![0; len];
            target
                .read(0, &mut bytes)
                .map_err(|error| Error::io(target.path(), "read the first sectors of", &error))?;
            Ok(bytes)
        };
        let mut bytes = read(sectors.min(TABLE_SECTORS))?;
        let table = table::read(&bytes, sectors);
        let end = table.first_partition_lba().unwrap_or(0).clamp(TABLE_SECTORS, GAP_SECTORS_MAX).min(sectors);
        if end > TABLE_SECTORS {
            bytes = read(end)?;
        }
        Ok(Self { bytes, table })
    }

    fn sector(&self, lba: u64) -> Option<&Sector> {
        let start = usize::try_from(lba).ok()?.checked_mul(SECTOR_LEN)?;
        self.bytes.get(start..)?.first_chunk()
    }

    fn is_free(&self, lba: u64) -> bool {
        self.sector(lba).is_none_or(|sector| {
            !matches!(Copy::parse(sector, u32::try_from(lba).unwrap_or(0)), Err(NotACopy::Foreign))
        })
    }

    /// Whether a copy may be put at `lba` by all rules.
    pub fn check(&self, lba: u32) -> Result<(), String> {
        self.check_tables(lba)?;
        if !self.is_free(lba.into()) {
            return Err("holds data of something else".into());
        }
        self.check_neighbours(lba)
    }

    /// Whether a copy may be put back at `lba`, where a valid copy says that the other one belongs.
    pub fn check_own(&self, lba: u32) -> Result<(), String> {
        self.check_tables(lba)?;
        self.check_neighbours(lba)
    }

    /// Whether a copy may be put at `lba`, which a person named: never into a partition or a partition table.
    pub fn check_at(&self, lba: u32, force: bool) -> Result<(), String> {
        self.check_bounds(lba)?;
        if !force && !self.is_free(lba.into()) {
            return Err("the sector holds data of something else; --force overwrites it".into());
        }
        Ok(())
    }

    fn check_tables(&self, lba: u32) -> Result<(), String> {
        if let Some(problem) = self.table.fatal_problem() {
            return Err(problem.to_string());
        }
        self.check_bounds(lba)
    }

    fn check_bounds(&self, lba: u32) -> Result<(), String> {
        let lba = u64::from(lba);
        let first = self.table.first_partition_lba();
        if first.is_some_and(|first| lba >= first) {
            return Err(format!("in or behind the first partition (LBA {})", first.unwrap_or(0)));
        }
        if let Some(gpt) = &self.table.gpt {
            let entries = gpt.entries_lba..gpt.entries_lba.saturating_add(gpt.entries_sectors);
            if lba <= 1 || lba == gpt.header_lba || entries.contains(&lba) {
                return Err("part of the GPT".into());
            }
        }
        Ok(())
    }

    fn check_neighbours(&self, lba: u32) -> Result<(), String> {
        let lba = u64::from(lba);
        let around = lba.saturating_sub(NEIGHBOURS).max(1)..=lba + NEIGHBOURS;
        match around.filter(|&near| near != lba).find(|&near| !self.is_free(near)) {
            Some(near) => Err(format!("its neighbour LBA {near} holds data of something else")),
            None => Ok(()),
        }
    }

    pub fn places(&self) -> Vec<Place> {
        plan::places(|lba| self.check(lba))
    }
}
