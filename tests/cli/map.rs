// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity map`: everything before the first partition, in three formats, and nothing written.

use std::fs;
use std::path::PathBuf;

use identity_fixtures::family::CARDS;
use identity_tests::cli::Identity;
use identity_tests::image::Image;
use identity_tests::workspace;
use serde_json::Value;
use tempfile::TempDir;

const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";

/// A card with the loaders of an i.MX8MM board, stamped.
fn card(dir: &TempDir) -> PathBuf {
    let family = CARDS.iter().find(|card| card.name == "i.MX8MM").expect("a fixture");
    let path = dir.path().join("card.img");
    fs::write(&path, (family.build)().bytes()).expect("a card");
    Identity::new(format!("stamp --profile panda --uuid {UUID}")).arg(&path).run().exits(0);
    path
}

fn map(dir: &TempDir, format: &str) -> String {
    // By its bare name, as it stands in the picture.
    let mut identity = Identity::new(format!("map --format {format} card.img"));
    identity.command().current_dir(dir.path());
    identity.run().exits(0).stdout
}

#[test]
fn json_covers_the_gap_without_a_hole() {
    let dir = TempDir::new().expect("a directory");
    let before = fs::read(card(&dir)).expect("the card");
    let map: Value = serde_json::from_str(&map(&dir, "json")).expect("JSON");
    let mut next = 0;
    for span in map["spans"].as_array().expect("spans") {
        assert_eq!(span["start_lba"], next, "{span}");
        next += span["sectors"].as_u64().expect("a length");
    }
    assert_eq!(map["end_lba"], next);
    assert_eq!(map["first_partition_lba"], 8192);
    assert_eq!(map["state"], "valid");
    let copies: Vec<_> =
        map["slots"].as_array().expect("slots").iter().filter(|slot| slot["state"] == "copy").collect();
    assert_eq!(copies.iter().map(|slot| slot["lba"].as_u64()).collect::<Vec<_>>(), [Some(52), Some(6607)]);
    assert_eq!(fs::read(dir.path().join("card.img")).expect("the card"), before);
}

#[test]
fn text_names_owners_and_reasons() {
    let dir = TempDir::new().expect("a directory");
    card(&dir);
    let text = map(&dir, "text");
    for part in [
        "first partition at LBA 8192 (4 MiB)",
        "LBA 768–3267",
        "U-Boot FIT",
        "slots with a copy: 52 (B), 6607 (E)",
        "slot 1711 (C) busy: inside U-Boot FIT, LBA 768–3267",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

/// The picture in the README is what the program draws. `IDENTITY_BLESS=1` draws it anew.
#[test]
fn the_picture_in_the_readme_is_drawn_so() {
    let dir = TempDir::new().expect("a directory");
    card(&dir);
    let drawn = map(&dir, "svg");
    let path = workspace().join("docs/map.svg");
    if std::env::var_os("IDENTITY_BLESS").is_some() {
        fs::write(&path, &drawn).expect("the picture");
    }
    assert!(
        fs::read_to_string(&path).expect("the picture") == drawn,
        "docs/map.svg is out of date: IDENTITY_BLESS=1"
    );
}

#[test]
fn a_card_without_a_table_says_so() {
    let dir = TempDir::new().expect("a directory");
    fs::write(dir.path().join("card.img"), vec![0; 1 << 20]).expect("a card");
    let text = map(&dir, "text");
    assert!(text.contains("problem: no partition table"), "{text}");
    assert!(text.contains("slots free:        none"), "{text}");
}

/// Not even LBA 0: there is nothing to draw.
#[test]
fn a_file_shorter_than_one_sector() {
    for len in [0, 1, 511] {
        let image = Image::of(&vec![0; len]);
        let mapped =
            image.run("map").exits(0).says_one_sentence().says(&["give the whole card or its whole image"]);
        let mapped = mapped.shows(&["less than one sector", "problem: shorter than one sector"]);
        assert!(!mapped.stdout.contains("LBA 0 to") && !mapped.stdout.contains("0 B"), "{}", mapped.stdout);
        assert_eq!(image.run("map --format json").exits(0).json()["sectors"], 0);
        image.run("map --format svg").exits(0).shows(&["</svg>"]);
    }
}

#[test]
fn the_mark_of_an_unfinished_flash_is_drawn_and_named() {
    let image = Image::mbr();
    let mark = identity_layout::mark::Mark::new("os.img", Some(7));
    image.put(0, &mark.encode());
    for words in ["map", "verify", "read"] {
        image.run(words).says(&["unfinished flash of os.img", "identity flash"]);
    }
    image.run("read --field state").says(&["unfinished flash of os.img"]);
    image.run("map").exits(0).shows(&["mark of an unfinished flash", "! unfinished flash"]);
    image.unchanged("stamp --profile panda").exits(6).says(&["unfinished flash", "LBA 0"]);
    let map = image.run("map --format json").exits(0).json();
    assert_eq!((&map["spans"][0]["use"], &map["spans"][0]["detail"]), (&"mark".into(), &"os.img".into()));
    image.run("map --format svg").exits(0).shows(&["unfinished flash"]);
}
