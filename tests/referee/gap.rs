// SPDX-License-Identifier: MIT OR Apache-2.0
//! What other programs do to the gap: each command of the table in `docs/PROMISES.md` is run on a stamped card.

use std::fs;
use std::process::Stdio;

use identity_tests::block::{Loop, is_privileged, skipped};
use identity_tests::cli::tool;
use identity_tests::image::Image;
use identity_tests::workspace;

/// What a command of the table needs: partition definitions of systemd-repart, a file system on the card's partition.
const RUN: &str = r#"
set -e
cd "$1"
case $2 in
    *DEFINITIONS*) mkdir definitions; printf '[Partition]\nType=linux-generic\n' >definitions/50-more.conf ;;
    *BOOT*) mke2fs -q "$3p1"; mkdir boot; mount "$3p1" boot; trap 'umount boot' EXIT ;;
esac
sh -c "$(printf '%s' "$2" | sed "s,CARD,$3,g; s,DEFINITIONS,definitions,; s,BOOT,boot,")"
sync
"#;

/// Command, kind of table and what the document says of the identity afterwards.
fn rows() -> Vec<[String; 3]> {
    let text = fs::read_to_string(workspace().join("docs/PROMISES.md")).expect("a document");
    let (_, table) = text.split_once("\n| fault by another program |").expect("the table");
    let lines = table.lines().skip(2).take_while(|line| line.starts_with('|'));
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let tried = lines.map(cells).filter(|cells| !cells[4].starts_with("not tried: "));
    tried.map(|cells| [1, 2, 3].map(|cell| cells[cell].clone())).collect()
}

/// As on a card of any size: a partition from 4 MiB on, and free sectors behind it.
fn card(table: &str) -> Image {
    let image = match table {
        "MBR" => Image::sfdisk(64 << 11, "label: dos\nstart=8192, size=110000, type=83"),
        // As parted makes it: what is in front of the partition is free.
        "GPT" => Image::sgdisk(64 << 11, &["--set-alignment=1", "--new=1:8192:118191"]),
        other => panic!("no table {other}"),
    };
    image.run("stamp --profile panda").exits(0);
    image
}

#[test]
fn other_programs_do_to_the_gap_what_the_table_says() {
    if !is_privileged() {
        return;
    }
    let rows = rows();
    assert!(rows.len() > 12, "only {} rows", rows.len());
    for [cell, table, expected] in rows {
        let command = cell.split('`').nth(1).unwrap_or_else(|| panic!("no command: {cell}"));
        let program = command.split(' ').next().expect("a word");
        if tool("sh")
            .args(["-c", &format!("command -v {program}")])
            .stdout(Stdio::null())
            .status()
            .is_ok_and(|is| !is.success())
        {
            skipped(&format!("{program} is not installed: {command}"));
            continue;
        }
        let image = card(&table);
        let Some(device) = Loop::attach(image.path(), &[]) else { return };
        let output = tool("unshare")
            .args(["--mount", "sh", "-c", RUN, "sh"])
            .arg(image.dir())
            .arg(command)
            .arg(device.path())
            .output()
            .expect("unshare, of util-linux");
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        drop(device);
        let state = image.run("read --field state").stdout;
        assert_eq!(state.trim(), expected.split([' ', ',', ':', ';']).next().expect("a state"), "{command}");
        let verify = image.run("verify");
        assert_eq!(
            verify.stdout.contains("in a partition"),
            expected.contains("in a partition"),
            "{command}: {}",
            verify.stdout
        );
    }
}
