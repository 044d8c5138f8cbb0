// SPDX-License-Identifier: MIT OR Apache-2.0
//! `erase`: asks a person, tells what is gone, and leaves everything else.

use identity_tests::cli::{program, tool};
use identity_tests::image::Image;

use crate::UUID;

/// Runs `erase` at a terminal, and answers.
fn answered(image: &Image, answer: &str, options: &str) -> Option<(Option<i32>, String)> {
    at_a_terminal(image, answer, &format!("erase {options}"))
}

/// Runs `identity WORDS... IMAGE` at a terminal, and answers; `None` where there is none to be had.
pub fn at_a_terminal(image: &Image, answer: &str, words: &str) -> Option<(Option<i32>, String)> {
    let command = format!("'{}' {words} '{}'", program().display(), image.path().display());
    let mut script = tool("sh");
    let pipeline = "printf '%s\\n' \"$2\" | script -qefc \"$1\" /dev/null";
    script.args(["-c", pipeline, "sh", &command, answer]);
    if tool("script").arg("--version").output().is_err() {
        identity_tests::block::skipped("a terminal needs script, of bsdutils");
        return None;
    }
    let output = script.output().unwrap();
    Some((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

#[test]
fn at_a_terminal_it_shows_the_identity_and_asks() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    for answer in ["n", "", "no", "Yeah"] {
        let Some((code, shown)) = image.unchanged_by(|| answered(&image, answer, "")) else { return };
        assert_eq!(code, Some(6), "{answer:?}: {shown}");
        assert!(
            shown.contains(UUID) && shown.contains("[y/N]") && shown.contains("nothing was written"),
            "{shown}"
        );
    }
    let (code, shown) = answered(&image, "y", "").unwrap();
    assert_eq!((code, image.copies()), (Some(0), vec![]), "{shown}");
}

#[test]
fn at_a_terminal_force_does_not_ask() {
    let image = Image::stamped("--profile panda");
    let Some((code, shown)) = answered(&image, "n", "--force") else { return };
    assert_eq!((code, image.copies()), (Some(0), vec![]), "{shown}");
    assert!(!shown.contains("[y/N]"), "{shown}");
}

#[test]
fn it_prints_what_it_erased_for_the_records() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID} --hostname h --set a=1"));
    let erased =
        image.run("erase").exits(0).shows(&["erased", UUID, "panda", "a=", "empty its /etc/machine-id"]);
    erased.says_one_sentence().says(&["kept in", "undo with `identity stamp --restore"]);
    image.run("read").exits(3);
}

#[test]
fn it_erases_copies_wherever_they_are() {
    let image = Image::mbr();
    image.run(format!("stamp --profile panda --uuid {UUID} --at 300")).exits(0);
    image.run("erase").exits(0);
    assert_eq!(image.copies(), [0; 0]);
    image.run("stamp --profile panda --at 300,302").exits(0);
    image.run("erase --at 302").exits(0);
    assert_eq!(image.copies(), [0; 0]);
}

#[test]
fn it_leaves_data_of_something_else() {
    let image = Image::stamped("--profile panda");
    image.put(54, b"precious").put(2703, &[0xff; 512]);
    let before = image.bytes();
    image.run("erase --force").exits(0);
    assert_eq!(image.changed_since(&before), [52, 6607]);
}
