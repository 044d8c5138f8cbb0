// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever table a card has, no slot is taken that another reader gives to a partition.

use identity_core::slot::READING_ORDER;
use identity_layout::Map;
use identity_layout::table::{Scheme, TableProblem};
use identity_tests::image::Image;
use identity_tests::random::Random;
use identity_tests::{figure, thorough};

use crate::made::{Bases, LEN, Made};
use crate::referees::{List, Verdict};

/// Slots that nobody could miss: blank with their neighbours, before what all list, not in the GPT.
fn blank_slots(made: &Made, list: &List, map: &Map) -> usize {
    // Entries beside a GPT count as well.
    let hybrid = map.table.partitions.iter().filter(|partition| !partition.is_gpt());
    let starts = list.iter().map(|(start, _)| *start).chain(hybrid.map(|partition| partition.start_lba));
    let gap_end = starts.min().unwrap_or(2048);
    let first =
        if map.table.scheme == Scheme::Mbr && made.card.sector(1)[..8] != *b"EFI PART" { 3 } else { 34 };
    let is_blank = |lba: u64| made.card.sector(lba) == [0; 512];
    let is_table = |lba: u64| {
        let tables = map.table.gpt.iter().chain(&map.table.backups).chain(&map.table.unprotected);
        tables.into_iter().any(|gpt| {
            gpt.header_lba == lba || (gpt.entries_lba..gpt.entries_lba + gpt.entries_sectors).contains(&lba)
        })
    };
    let slots = READING_ORDER.iter().map(|slot| u64::from(slot.lba));
    slots
        .filter(|&lba| lba >= first && lba < gap_end && lba < LEN)
        .filter(|&lba| (lba - 2..=lba + 2).all(|lba| lba >= gap_end || is_blank(lba)) && !is_table(lba))
        .count()
}

/// Whether the card is refused by rule, though all referees here list the same: a primary GPT that one of them does not take
/// (the others' backup may say the same), and what only Linux reads, which is no referee here: a backup never, an MBR only
/// with good flags, the tables inside more types of partitions.
fn is_by_rule(problem: &TableProblem) -> bool {
    use TableProblem::*;
    let is_in_a_partition = matches!(problem, InFront { .. } | Wraps { .. } | ChainLoop { .. });
    let is_of_primary = matches!(
        problem,
        GptMissing
            | GptHeaderLen { .. }
            | GptHeaderCrc { .. }
            | GptHeaderLba { .. }
            | GptRevision { .. }
            | GptUsableOrder { .. }
            | GptUsableBeyond { .. }
            | GptFirstUsable { .. }
            | GptBackupLba { .. }
            | GptEntryLen { .. }
            | GptEntryCount { .. }
            | GptEntriesOutside { .. }
            | GptEntriesCrc { .. }
    );
    is_in_a_partition || is_of_primary || matches!(problem, ProtectiveStart | BootFlag { .. })
}

#[test]
fn no_slot_lies_in_a_partition_that_another_reader_lists() {
    let (mut random, seed) = if thorough() { Random::seeded() } else { (Random::new(13), 13) };
    let count = if thorough() { std::env::var("N").map_or(8000, |n| n.parse().unwrap()) } else { 60 };
    println!("IDENTITY_SEED={seed}");
    let (bases, image) = (Bases::new(), Image::absent());
    let (mut with_slots, mut agreed) = (0_u64, 0_u64);
    let mut faults = Vec::new();
    for number in 0..count {
        let made = bases.make(&mut random);
        made.card.write(image.path());
        let (map, free) = made.card.map(READING_ORDER.iter().map(|slot| slot.lba));
        let verdict = Verdict::of(image.path());
        with_slots += u64::from(free.len() >= 2);
        for &lba in &free {
            if let Some(who) = verdict.lists_over(lba.into()) {
                faults.push(format!("{number}: LBA {lba} is {who}'s: {}; {verdict:?}", made.story));
            }
        }
        let Some(list) = verdict.agreed() else { continue };
        agreed += 1;
        let problem = map.table.fatal_problem();
        let is_by_rule = map.table.problems.iter().any(is_by_rule);
        if free.len() < 2 && blank_slots(&made, list, &map) >= 2 && !is_by_rule {
            faults.push(format!("{number}: refused ({problem:?}, {free:?}): {}; {verdict:?}", made.story));
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(with_slots > count / 8 && agreed > count / 8, "{with_slots} with slots, {agreed} agreed");
    figure(count, "made partition tables judged by sfdisk, partx, blkid and parted");
    figure(with_slots, "of them with free slots, none in a partition of any referee");
    figure(agreed, "of them read alike by all referees, none refused that has two blank slots");
}
