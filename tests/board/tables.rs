// SPDX-License-Identifier: MIT OR Apache-2.0
//! Linux itself as a judge of partition tables: Debian's kernel in QEMU, with many cards at once.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use identity_core::slot::READING_ORDER;
use identity_tests::board::artifact;
use identity_tests::random::Random;
use identity_tests::{figure, thorough, workspace};

use crate::card::{LEN, Sparse};
use crate::made::{Bases, Made};

const CARD_BYTES: u64 = LEN * 512;
/// Where `linux-init.c` puts its answer.
const ANSWER_OFFSET: u64 = 1 << 20;
/// Seconds; QEMU without acceleration on a busy machine is slow.
const PATIENCE: &str = "900";

fn run(command: &mut Command) {
    let output = command.output().expect("a program that tests/run installs");
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// An initramfs that is `linux-init.c` and the modules that it loads.
fn initramfs(dir: &Path, linux: &Path) {
    let root = dir.join("root");
    std::fs::create_dir(&root).expect("own directory");
    let source = workspace().join("tests/referee/linux-init.c");
    run(Command::new("cc").args(["-O1", "-static", "-o"]).arg(root.join("init")).arg(source));
    run(Command::new("cp").arg("-r").arg(linux.join("modules")).arg(&root));
    let pack = "cd \"$1\" && find . | cpio --create --format=newc --quiet | gzip -1 >../initramfs";
    run(Command::new("sh").args(["-c", pack, "sh"]).arg(&root));
}

/// The first sector and the length of each partition that Linux finds, card by card.
fn ask_linux(cards: &[Made]) -> Vec<Vec<(u64, u64)>> {
    let linux = artifact("IDENTITY_TEST_LINUX_AMD64");
    let dir = tempfile::tempdir().expect("a directory");
    initramfs(dir.path(), &linux);
    let disk = File::create(dir.path().join("cards")).expect("own file");
    disk.set_len(cards.len() as u64 * CARD_BYTES).expect("room, sparse");
    let mut list = (cards.len() as u64).to_le_bytes().to_vec();
    for (number, made) in (0..).zip(cards) {
        made.card.write_into(&disk, number * CARD_BYTES);
        list.extend((number * CARD_BYTES).to_le_bytes().iter().chain(&CARD_BYTES.to_le_bytes()));
    }
    let answer = File::options().read(true).write(true).create_new(true).open(dir.path().join("list"));
    let answer = answer.expect("own file");
    answer.set_len(16 << 20).expect("room");
    answer.write_all_at(&list, 0).expect("room");
    let drive = |name: &str| format!("file={},format=raw,if=virtio", dir.path().join(name).display());
    let mut qemu = Command::new("timeout");
    qemu.args([PATIENCE, "qemu-system-x86_64", "-m", "256", "-nographic", "-no-reboot", "-net", "none"]);
    qemu.arg("-kernel").arg(linux.join("vmlinuz")).arg("-initrd").arg(dir.path().join("initramfs"));
    qemu.args(["-append", "console=ttyS0 panic=-1 loglevel=4"]);
    qemu.arg("-drive").arg(drive("cards")).arg("-drive").arg(drive("list"));
    let output = qemu.output().expect("qemu-system-x86_64");
    let mut text = vec![0; 8 << 20];
    answer.read_exact_at(&mut text, ANSWER_OFFSET).expect("own file");
    let text = String::from_utf8_lossy(&text).into_owned();
    let console = || String::from_utf8_lossy(&output.stdout).into_owned();
    let (lines, _) = text.split_once("end\n").unwrap_or_else(|| panic!("Linux did not end:\n{}", console()));
    let number = |text: &str| text.parse::<u64>().expect("a number");
    let partition =
        |word: &str| word.split_once('+').map(|(start, sectors)| (number(start), number(sectors)));
    lines.lines().map(|line| line.split_whitespace().filter_map(partition).collect()).collect()
}

#[test]
fn linux_as_referee_of_partition_tables() {
    let (mut random, seed) = if thorough() { Random::seeded() } else { (Random::new(29), 29) };
    println!("IDENTITY_SEED={seed}");
    let bases = Bases::new();
    let cards: Vec<_> = (0..400).map(|_| bases.make(&mut random)).collect();
    let found = ask_linux(&cards);
    assert_eq!(found.len(), cards.len());
    let (mut with_slots, mut with_partitions) = (0_u64, 0_u64);
    let mut faults = Vec::new();
    for (made, partitions) in cards.iter().zip(&found) {
        let (map, free) = made.card.map(READING_ORDER.iter().map(|slot| slot.lba));
        with_slots += u64::from(free.len() >= 2);
        with_partitions += u64::from(!partitions.is_empty());
        let taken =
            |lba: u64| partitions.iter().any(|(start, sectors)| (*start..start + sectors).contains(&lba));
        faults.extend(
            free.iter().filter(|lba| taken(u64::from(**lba))).map(|lba| (lba.to_string(), &made.story)),
        );
        // Where the table counts, Linux sees none in front of what we see.
        let first = map.table.first_partition_lba().unwrap_or(u64::MAX);
        if map.table.fatal_problem().is_none() && partitions.iter().any(|(start, _)| *start < first) {
            faults.push((format!("{partitions:?} before LBA {first}"), &made.story));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
    assert!(
        with_slots > 50 && with_partitions > 50,
        "{with_slots} with slots, {with_partitions} with partitions"
    );
    figure(cards.len() as u64, "made partition tables judged by Debian's Linux in QEMU");
    figure(with_slots, "of them with free slots, none in a partition that Linux finds");
}

/// What the other tests build by hand, so that it is seen that Linux reads such tables at all.
#[test]
fn linux_as_referee_reads_sub_tables() {
    let story = |card: Sparse| Made { card, story: String::new() };
    let mut minix = crate::card::dos("81");
    minix.entry(8192, 1, crate::card::mbr_entry(0, 0x81, 40, 8000));
    let mut chain = crate::card::dos("5");
    chain.entry(8192, 1, crate::card::mbr_entry(0, 0x83, 100, 50));
    let found = ask_linux(&[story(minix), story(chain), story(crate::card::gpt(&[(8192, 4096)]))]);
    assert!(found[0].contains(&(40, 8000)), "{found:?}");
    assert!(found[1].contains(&(8292, 50)), "{found:?}");
    assert_eq!(found[2], [(8192, 4096)]);
}
