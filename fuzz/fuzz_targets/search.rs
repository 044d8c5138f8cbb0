// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole card, as every reader searches it.
#![no_main]

use identity_core::search::{Condition, Reading};
use identity_core::{StoredCopy, SECTOR_LEN, Search, State};
use identity_fuzz::card;
use libfuzzer_sys::fuzz_target;

fn look(bytes: &[u8], hint_lba: Option<u32>) -> Search {
    let mut search = Search::new(hint_lba);
    while let Some(lba) = search.next() {
        let sector = bytes.get(lba as usize * SECTOR_LEN..).and_then(<[u8]>::first_chunk);
        let reading = sector.map_or(Reading::Absent, |sector| Reading::Sector(StoredCopy::parse(sector, lba)));
        search.give(lba, reading).expect("what was asked for");
        assert!(search.seen().len() <= 14);
    }
    search
}

fuzz_target!(|data: &[u8]| {
    let (bytes, sectors) = card(data);
    let hint_lba = u32::try_from(sectors).ok();
    let search = look(&bytes, hint_lba);
    let primary = search.primary().map(|seen| seen.condition());
    assert!(!search.state().is_usable() || primary == Some(Condition::Valid));
    assert_eq!(search.state() == State::Newer, primary == Some(Condition::Newer));
});
