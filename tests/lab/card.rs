// SPDX-License-Identifier: MIT OR Apache-2.0
//! `card`: the image of a card, judged by those who read cards.

use std::fs;
use std::path::Path;

use identity_tests::cli::{Identity, tool};
use identity_tests::run_where_installed;
use serde_json::Value;

use crate::{Answer, Lab, UUID};

/// What boot ROMs of Allwinner take for a loader: U-Boot's `include/sunxi_image.h`, with its checksum.
pub fn sunxi(len: usize) -> Vec<u8> {
    const STAMP: u32 = 0x5f0a_6c39;
    let mut bytes: Vec<u8> = (0..len.next_multiple_of(8192)).map(|at| (at % 251) as u8).collect();
    bytes[4..12].copy_from_slice(b"eGON.BT0");
    let spl = 8192;
    bytes[12..16].copy_from_slice(&STAMP.to_le_bytes());
    bytes[16..20].copy_from_slice(&(spl as u32).to_le_bytes());
    let words =
        bytes[..spl].chunks_exact(4).map(|word| u32::from_le_bytes([word[0], word[1], word[2], word[3]]));
    let sum = words.fold(0_u32, u32::wrapping_add);
    bytes[12..16].copy_from_slice(&sum.to_le_bytes());
    bytes
}

fn lab(card: &str) -> Lab {
    let lab = Lab::with_network("");
    lab.write("profiles/panda.toml", lab.read("profiles/panda.toml") + "[card]\n" + card);
    lab.write("boot/sunxi.bin", sunxi(600 << 10));
    lab
}

fn verified(path: &Path) -> (Option<i32>, Value) {
    let answer = Identity::new("verify --format json").arg(path).run();
    (answer.code, answer.json())
}

/// The first file system of an image, as mtools name it.
fn partition(path: &Path) -> String {
    format!("{}@@4M", path.display())
}

const SUNXI: &str = "loader = \"boot/sunxi.bin\"\nfamily = \"Allwinner\"\n";

#[test]
fn the_card_of_a_board_is_whole_for_every_reader() {
    let lab = lab(SUNXI);
    lab.run(&["card", "panda-01", "-o", "card.img"]).exits(0).shows(&[
        "made card.img, 16 MiB",
        "boot/sunxi.bin at LBA 16 to 1215 (Allwinner)",
        &format!("identity  {UUID} panda-01"),
    ]);
    let card = lab.path("card.img");
    let bytes = fs::read(&card).expect("the image");
    assert_eq!(bytes.len(), 16 << 20);
    let loader = fs::read(lab.path("boot/sunxi.bin")).expect("the loader");
    assert!(bytes[16 * 512..][..loader.len()] == loader, "the loader is there byte for byte");
    let (code, document) = verified(&card);
    assert_eq!((code, &document["uuid"], &document["hostname"]), (Some(0), &UUID.into(), &"panda-01".into()));
    assert_eq!((&document["profile"], &document["state"]), (&"panda".into(), &"valid".into()));
    // The table and the file system, by the tools that everybody has.
    if let Some(dump) = run_where_installed(tool("sfdisk").arg("--json").arg(&card)) {
        let dump: Value = serde_json::from_str(&dump).expect("JSON");
        let partitions = dump["partitiontable"]["partitions"].as_array().expect("partitions");
        assert_eq!(partitions.len(), 1);
        assert_eq!((&partitions[0]["start"], &partitions[0]["size"]), (&8192.into(), &24576.into()));
    }
    lab.write("partition", &bytes[4 << 20..]);
    run_where_installed(tool("fsck.vfat").arg("-n").arg(lab.path("partition")));
    let mut copy = tool("mcopy");
    copy.args(["-n", "-i", &partition(&card), "::boot.scr"]).arg(lab.path("got.scr"));
    if run_where_installed(&mut copy).is_some() {
        let script = fs::read(lab.path("got.scr")).expect("a script");
        let text = String::from_utf8(script[72..].to_vec()).expect("text");
        assert!(
            text.contains("setenv serverip 192.168.7.1\nif tftpboot ${scriptaddr} boot.scr; then source"),
            "{text}"
        );
        assert!(!text.contains('\''), "{text}");
    }
}

#[test]
fn the_card_of_a_profile_is_blank_and_takes_an_identity() {
    let lab = lab(SUNXI);
    lab.run(&["card", "panda", "-o", "card.img"]).exits(0).shows(&["identity  none"]);
    assert_eq!(verified(&lab.path("card.img")).0, Some(3));
    Identity::new("stamp --profile panda").arg(lab.path("card.img")).run().exits(0);
    let bytes = fs::read(lab.path("card.img")).expect("the image");
    let loader = fs::read(lab.path("boot/sunxi.bin")).expect("the loader");
    assert!(bytes[16 * 512..][..loader.len()] == loader);
}

#[test]
fn a_card_with_a_kernel_has_what_its_script_loads() {
    let lab = lab("boot = \"card\"\n");
    lab.write("boot/initrd.gz", vec![7; 20 << 20]);
    let made = lab.run(&["card", "panda-01", "-o", "card.img", "--format", "json"]).exits(0).json();
    assert_eq!(made["bytes"], 32 << 20);
    let names: Vec<_> =
        made["files"].as_array().expect("a list").iter().map(|name| name.as_str().expect("text")).collect();
    let mut copy = tool("mcopy");
    let card = lab.path("card.img");
    copy.args(["-n", "-i", &partition(&card)])
        .args(names.iter().map(|name| format!("::{name}")))
        .arg(lab.path("boot"));
    if run_where_installed(&mut copy).is_none() {
        return;
    }
    let script = fs::read(lab.path("boot/boot.scr")).expect("a script");
    let text = String::from_utf8(script[72..].to_vec()).expect("text");
    for name in names.iter().filter(|name| **name != "boot.scr") {
        assert!(text.contains(&format!("_r}} {name} ")), "{name} in {text}");
        let original = name.split_once('-').expect("a hash").1;
        let same = fs::read(lab.path(&format!("boot/{name}"))).ok()
            == fs::read(lab.path(&format!("boot/{original}"))).ok();
        assert!(same, "{name}");
    }
    assert!(
        text.contains("load ${devtype} ${devnum}:${distro_bootpart} ${kernel_addr_r}")
            && !text.contains("tftp"),
        "{text}"
    );
    assert!(text.contains("nbdroot=192.168.7.1:10810/panda-"), "{text}");
    lab.write("boot/initrd.gz", vec![7; 70 << 20]);
    lab.run(&["card", "panda-01", "-o", "large.img"]).exits(6).says(&["an image of 64 MiB has no room"]);
    assert!(!lab.path("large.img").exists());
}

/// A second partition for what the board writes, by the tools that everybody has.
#[test]
fn a_card_that_keeps_what_is_written_has_a_partition_for_it() {
    let lab = lab(SUNXI);
    lab.write("profiles/panda.toml", lab.read("profiles/panda.toml").replace("\"discard\"", "\"keep\""));
    lab.run(&["card", "panda-01", "-o", "card.img"])
        .exits(0)
        .shows(&["keep      48 MiB for what the board writes"]);
    let card = lab.path("card.img");
    assert_eq!(verified(&card).0, Some(0));
    if let Some(dump) = run_where_installed(tool("sfdisk").arg("--json").arg(&card)) {
        let dump: Value = serde_json::from_str(&dump).expect("JSON");
        let partitions = dump["partitiontable"]["partitions"].as_array().expect("partitions");
        let starts: Vec<_> = partitions.iter().map(|partition| &partition["start"]).collect();
        assert_eq!(starts, [8192, 32768]);
    }
    let bytes = fs::read(&card).expect("the image");
    assert_eq!(bytes.len(), 64 << 20);
    for (name, part, fsck) in
        [("fat", &bytes[4 << 20..16 << 20], "fsck.vfat"), ("keep", &bytes[16 << 20..], "fsck.ext4")]
    {
        lab.write(name, part);
        run_where_installed(tool(fsck).arg("-n").arg(lab.path(name)));
    }
    let mut no_mkfs = lab.command();
    no_mkfs.args(["card", "panda-02", "-o", "other.img"]);
    no_mkfs.env("PATH", lab.path("boot"));
    Answer::of(&mut no_mkfs).exits(6).says(&["apt install e2fsprogs"]);
    assert!(!lab.path("other.img").exists());
}

#[test]
fn a_loader_that_does_not_fit_is_refused_and_nothing_is_made() {
    for (card, len, code, says) in [
        (
            SUNXI,
            5 << 20,
            6,
            "profiles/panda.toml:11: boot/sunxi.bin has 5242880 bytes and begins at LBA 16, so it would reach into",
        ),
        (
            "loader = \"boot/sunxi.bin\"\n",
            8192,
            6,
            "could be a loader of Allwinner (LBA 16), of Allwinner, SPL at 128 KiB (LBA 256)",
        ),
        ("loader = \"boot/sunxi.bin\"\nlba = 0\n", 8192, 6, "LBA 0 has the partition table"),
        ("loader = \"boot/sunxi.bin\"\nlba = 8191\n", 8192, 6, "would reach into the partition at LBA 8192"),
        (
            "loader = \"boot/sunxi.bin\"\nfamily = \"Rockchip\"\n",
            8192,
            6,
            "not recognised as a loader of Rockchip",
        ),
        (
            "loader = \"boot/sunxi.bin\"\nfamily = \"Sunxi\"\n",
            8192,
            4,
            "profiles/panda.toml:12: [card] family: \"Sunxi\" is not known; known are Allwinner;",
        ),
        ("loader = \"boot/lost\"\n", 8192, 4, "profiles/panda.toml:11: boot/lost: no such file"),
        (
            "loader = \"boot/board.dtb\"\n",
            8192,
            6,
            "boot/board.dtb is not recognised as a loader of any family",
        ),
        (
            "loader = [\"boot/sunxi.bin\", \"boot/sunxi.bin\"]\nfamily = \"Allwinner\"\n",
            8192,
            6,
            "reaches to LBA 31, and boot/sunxi.bin begins at LBA 16",
        ),
        ("files = [\"boot/zImage\", \"images/boot.scr\"]\n", 8192, 6, "a second file boot.scr"),
    ] {
        let lab = lab(card);
        lab.write("boot/sunxi.bin", sunxi(len));
        lab.write("images/boot.scr", "another");
        for name in ["panda-01", "panda"] {
            lab.run(&["card", name, "-o", "card.img"]).exits(code).says(&[says]);
            assert!(!lab.path("card.img").exists());
        }
    }
}

/// A loader that covers every slot leaves no room for an identity, on the card of a profile either.
#[test]
fn a_loader_over_every_slot_is_refused() {
    let lab = lab("loader = \"boot/fill\"\nlba = 1\n");
    lab.write("boot/fill", vec![0xa5; 8191 * 512]);
    for name in ["panda-01", "panda"] {
        lab.run(&["card", name, "-o", "card.img"]).exits(6).says(&["card.img", "slot"]);
        assert!(!lab.path("card.img").exists());
    }
    let left =
        fs::read_dir(lab.dir.path()).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with(".identity")));
}

#[test]
fn a_card_is_made_only_where_nothing_is() {
    let lab = lab(SUNXI);
    lab.write("card.img", "precious");
    lab.run(&["card", "panda-01", "-o", "card.img"]).exits(6).says(&["card.img is there already"]);
    assert_eq!(lab.read("card.img"), "precious");
    lab.run(&["card", "--dry-run", "panda-01", "-o", "new.img"]).exits(0).shows(&["would make new.img"]);
    assert!(!lab.path("new.img").exists());
    lab.run(&["card", "nobody", "-o", "new.img"]).exits(2).says(&["neither a board nor a profile nobody"]);
    lab.write("boards.csv", format!("hostname,profile,uuid\npanda,panda,{UUID}\n"));
    lab.run(&["card", "panda", "-o", "new.img"]).exits(2).says(&["is a board and a profile"]);
    lab.run(&["card", UUID, "-o", "new.img"]).exits(0).shows(&["identity  9e3c"]);
    lab.write("boards.csv", format!("hostname,profile,uuid\na,panda,{UUID}\nb,panda,{UUID}\n"));
    lab.run(&["card", "a", "-o", "twice.img"]).exits(6).says(&["two boards never share one"]);
}
