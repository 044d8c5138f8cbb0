// SPDX-License-Identifier: MIT OR Apache-2.0
//! A whole card, read at every depth.
#![no_main]

use identity_core::search::{Condition, Depth, Reading};
use identity_core::{Copy, SECTOR_LEN, Search, State};
use identity_fuzz::card;
use libfuzzer_sys::fuzz_target;

fn look(bytes: &[u8], depth: Depth, hint_lba: Option<u32>) -> Search {
    let mut search = Search::new(depth, hint_lba);
    while let Some(lba) = search.next() {
        let sector = bytes.get(lba as usize * SECTOR_LEN..).and_then(<[u8]>::first_chunk);
        let reading = sector.map_or(Reading::Absent, |sector| Reading::Sector(Copy::parse(sector, lba)));
        search.give(lba, reading).expect("what was asked for");
        assert!(search.seen().len() <= 14);
    }
    search
}

fuzz_target!(|data: &[u8]| {
    let (bytes, sectors) = card(data);
    let hint_lba = u32::try_from(sectors).ok();
    let [first, pair, all] =
        [Depth::First, Depth::Pair, Depth::All].map(|depth| look(&bytes, depth, hint_lba));
    // All depths go by the same copy.
    let primary = |search: &Search| search.primary().map(|seen| (seen.lba(), seen.condition()));
    assert_eq!(primary(&first), primary(&pair));
    assert_eq!(primary(&first), primary(&all));
    for search in [first, pair, all] {
        let is_valid = matches!(primary(&search), Some((_, Condition::Valid)));
        assert!(!search.state().is_usable() || is_valid);
        assert_eq!(search.state() == State::Newer, matches!(primary(&search), Some((_, Condition::Newer))));
    }
});
