// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever table a card has, no slot is taken that another reader gives to a partition.

use std::thread;

use identity_core::slot::READING_ORDER;
use identity_layout::Map;
use identity_layout::table::{Scheme, TableProblem};
use identity_tests::image::Image;
use identity_tests::random::Random;
use identity_tests::{figure, thorough};

use crate::card::LEN;
use crate::made::{Bases, Made};
use crate::referees::{List, Verdict, write};

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
            gpt.header_lba == lba
                || (gpt.entries_lba..gpt.entries_lba.saturating_add(gpt.entries_sectors)).contains(&lba)
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

/// What was seen, and what was wrong.
#[derive(Default)]
struct Seen {
    with_slots: u64,
    agreed: u64,
    faults: Vec<String>,
}

fn judge(bases: &Bases, seed: u64, count: u64) -> Seen {
    let (mut random, image, mut seen) = (Random::new(seed), Image::absent(), Seen::default());
    for number in 0..count {
        let made = bases.make(&mut random);
        write(&made.card, image.path());
        let (map, free) = made.card.map(READING_ORDER.iter().map(|slot| slot.lba));
        let verdict = Verdict::of(image.path());
        let story = || format!("seed {seed}, card {number}: {}; {verdict:?}", made.story);
        seen.with_slots += u64::from(free.len() >= 2);
        for &lba in &free {
            if let Some(who) = verdict.lists_over(lba.into()) {
                seen.faults.push(format!("LBA {lba} is {who}'s; {}", story()));
            }
        }
        let Some(list) = verdict.agreed() else { continue };
        seen.agreed += 1;
        let is_by_rule = map.table.problems.iter().any(is_by_rule);
        if free.len() < 2 && blank_slots(&made, list, &map) >= 2 && !is_by_rule {
            seen.faults.push(format!("refused: {:?}; {}", map.table.problems, story()));
        }
    }
    seen
}

#[test]
fn no_slot_lies_in_a_partition_that_another_reader_lists() {
    let (seed, threads, count) = if thorough() { (Random::seeded().1, 4, 1500) } else { (13, 2, 30) };
    println!("IDENTITY_SEED={seed}");
    let bases = Bases::new();
    let seen: Vec<_> = thread::scope(|scope| {
        let run = |number| {
            scope.spawn({
                let bases = &bases;
                move || judge(bases, seed.wrapping_add(number), count)
            })
        };
        let running: Vec<_> = (0..threads).map(run).collect();
        running.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let faults: Vec<_> = seen.iter().flat_map(|seen| &seen.faults).map(String::as_str).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    let sum = |of: fn(&Seen) -> u64| seen.iter().map(of).sum::<u64>();
    let (all, with_slots, agreed) = (threads * count, sum(|seen| seen.with_slots), sum(|seen| seen.agreed));
    assert!(with_slots > all / 8 && agreed > all / 8, "{with_slots} with slots, {agreed} agreed, of {all}");
    figure(all, "made partition tables judged by sfdisk, partx, blkid and parted");
    figure(with_slots, "of them with free slots, none in a partition of any referee");
    figure(agreed, "of them read alike by all referees, none refused but by rule that has two blank slots");
}
