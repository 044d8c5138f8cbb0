// SPDX-License-Identifier: MIT OR Apache-2.0
//! Debian's own loaders for Allwinner and Rockchip boards, put on cards as Debian says, stay as they are to the last
//! bit, and putting them there anew leaves the identity.

use std::fs;
use std::path::{Path, PathBuf};

use identity_fixtures::Card;
use identity_fixtures::card::LINUX;
use identity_tests::board::artifact;
use identity_tests::image::Image;
use identity_tests::untouched::{Watched, check_choice};

/// Where a file of a board's directory goes.
type Place = (&'static str, u32);

/// 32-bit Allwinner, `dd bs=1024 seek=8`: `README.Debian` of u-boot-sunxi.
const SUNXI: &[Place] = &[("u-boot-sunxi-with-spl.bin", 16)];
/// 64-bit Allwinner, `dd bs=8k seek=1` and `seek=5`: `u-boot-install-sunxi`.
const SUNXI_64: &[Place] = &[("sunxi-spl.bin", 16), ("u-boot-sunxi-with-spl.fit.itb", 80)];
/// Rockchip, `dd seek=64` and `seek=16384`: `u-boot-install-rockchip`.
const ROCKCHIP: &[Place] = &[("idbloader.img", 64), ("u-boot.itb", 16384)];
/// Where the secure firmware is none of U-Boot's business.
const ROCKCHIP_32: &[Place] = &[("idbloader.img", 64), ("u-boot.img", 16384)];
/// The one board whose SPL looks elsewhere; its environment may be at 20 KiB, over the slots that others leave.
const PUMA: &[Place] = &[("idbloader.img", 64), ("u-boot.itb", 512)];

/// Allwinner loaders lie over a GPT: the card has an MBR, as `u-boot-install-sunxi` demands.
fn mbr_at_4_mib() -> Card {
    let mut card = Card::new(16384);
    card.mbr(1, 0x0c, 8192, 8192);
    card
}

/// U-Boot's documentation of Rockchip boards leaves 16 MiB before the first partition.
fn gpt_at_16_mib() -> Card {
    let mut card = Card::new(40960);
    card.gpt(2, &[(LINUX, 32768, 40000, "root")]);
    card
}

/// Every board of an architecture that has exactly these files and is wanted.
fn boards(architecture: &str, places: &[Place], wanted: fn(&str) -> bool) -> Vec<PathBuf> {
    let directory = artifact("IDENTITY_TEST_DEBIAN_LOADERS").join(architecture);
    let entries =
        fs::read_dir(directory).expect("Debian's loaders").map(|entry| entry.expect("an entry").path());
    let complete = |board: &PathBuf| places.iter().all(|(file, _)| board.join(file).exists());
    let mut boards: Vec<_> = entries.filter(complete).filter(|board| wanted(name(board))).collect();
    boards.sort();
    boards
}

fn name(board: &Path) -> &str {
    board.file_name().and_then(|name| name.to_str()).expect("a board's name")
}

/// The whole life of an identity beside the loaders of each board; `free` are the slots that they leave.
#[track_caller]
fn check(boards: &[PathBuf], at_least: &[&str], places: &[Place], card: fn() -> Card, free: &[u32]) {
    for wanted in at_least {
        assert!(boards.iter().any(|board| name(board) == *wanted), "{wanted} is not among {boards:?}");
    }
    for board in boards {
        let loaders = places.iter().map(|(file, lba)| (*lba, fs::read(board.join(file)).expect("a loader")));
        let loaders: Vec<_> = loaders.collect();
        let mut card = card();
        for (lba, loader) in &loaders {
            card.put(*lba as usize, loader);
        }
        let image = Image::of(card.bytes());
        println!("{}", board.display());
        let watched = Watched::stamp(&image);
        check_choice(watched.slots(), free);
        watched.update().repair();
        // An upgrade of the package, and who knows how often.
        let whole = image.bytes();
        for (lba, loader) in &loaders {
            image.put(*lba, loader);
        }
        assert_eq!(image.changed_since(&whole), [0; 0], "the loader is where no copy is");
        watched.erase();
    }
}

#[test]
fn allwinner() {
    let boards = boards("armhf", SUNXI, |_| true);
    let known = ["A20-OLinuXino-Lime2", "Cubieboard", "orangepi_zero", "nanopi_neo"];
    check(&boards, &known, SUNXI, mbr_at_4_mib, &[5, 7, 2703, 2927, 6607, 6959]);
}

#[test]
fn allwinner_64_bit() {
    let boards = boards("arm64", SUNXI_64, |_| true);
    let known = ["pine64_plus", "a64-olinuxino", "orangepi_one_plus"];
    check(&boards, &known, SUNXI_64, mbr_at_4_mib, &[5, 7, 2703, 2927, 6607, 6959]);
}

#[test]
fn rockchip() {
    let boards = boards("arm64", ROCKCHIP, |name| !name.starts_with("puma"));
    let known = ["rockpro64-rk3399", "firefly-rk3399", "rock64-rk3328", "rock-pi-e-rk3328"];
    check(&boards, &known, ROCKCHIP, gpt_at_16_mib, &[52, 54]);
}

#[test]
fn rockchip_32_bit() {
    let boards = boards("armhf", ROCKCHIP_32, |_| true);
    check(&boards, &["firefly-rk3288"], ROCKCHIP_32, gpt_at_16_mib, &[52, 54]);
}

#[test]
fn puma() {
    let boards = boards("arm64", PUMA, |name| name.starts_with("puma"));
    check(&boards, &["puma-rk3399"], PUMA, gpt_at_16_mib, &[6607, 6959]);
}
