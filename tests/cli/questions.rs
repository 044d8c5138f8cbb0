// SPDX-License-Identifier: MIT OR Apache-2.0
//! Questions: asked where a person sees them and can answer, and nowhere else. None hangs a script.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use identity_fixtures::Card;
use identity_tests::block::{Loop, skipped};
use identity_tests::cli::{program, tool};
use identity_tests::image::{Image, SECTORS};

use crate::{OTHER, UUID};

/// Runs a command line of bash in a terminal, with `answer` typed. IDENTITY and CARD in it are filled in; `None` where there
/// is no terminal to be had. What takes longer than 10 s hangs.
pub fn in_a_terminal(card: &Image, answer: impl AsRef<OsStr>, line: &str) -> Option<(Option<i32>, String)> {
    if tool("script").arg("--version").output().is_err() {
        skipped("a terminal needs script, of bsdutils");
        return None;
    }
    let line = line.replace("IDENTITY", &program().display().to_string());
    let line = line.replace("CARD", &card.path().display().to_string());
    let own = elsewhere(card);
    let file = own.join("line");
    std::fs::write(&file, line).expect("own directory");
    let mut shell = tool("sh");
    // The terminal stays open when everything is typed.
    let pipeline = "{ printf '%s\\n' \"$1\"; sleep 1; } | timeout 10 script -qefc \"bash $2\" /dev/null";
    shell.args(["-c", pipeline, "sh"]).arg(answer).arg(file);
    shell.env("XDG_STATE_HOME", own.join("states"));
    let output = shell.output().expect("a shell");
    Some((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// A directory beside the card's, for what a command writes.
fn elsewhere(card: &Image) -> std::path::PathBuf {
    let own = card.dir().with_extension("terminal");
    std::fs::create_dir_all(&own).expect("a directory beside the card's");
    own
}

fn stamped() -> Image {
    Image::stamped(format!("--profile panda --uuid {UUID}"))
}

fn lone() -> Image {
    let card = stamped();
    card.clear(6607);
    card
}

/// Where standard input is no terminal, the terminal of the process is not asked.
#[test]
fn a_script_that_a_person_has_started_is_not_asked() {
    let card = stamped();
    let Some((code, shown)) = in_a_terminal(&card, "n", "IDENTITY erase CARD < /dev/null") else { return };
    assert!(code == Some(0) && !shown.contains("[y/N]"), "{code:?} {shown}");
    assert_eq!(card.copies(), [0; 0]);
    let card = lone();
    let run = || in_a_terminal(&card, "y", "IDENTITY repair CARD < /dev/null").expect("as before");
    let (code, shown) = card.unchanged_by(run);
    assert!(code == Some(6) && !shown.contains("[y/N]") && shown.contains("--keep"), "{code:?} {shown}");
}

#[test]
fn flash_of_a_block_device_without_a_terminal_on_standard_input_says_that() {
    let card = stamped();
    let Some(device) = Loop::attach_whole(card.path(), &[]) else { return };
    let image = Image::of(Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).bytes());
    let line = format!("IDENTITY flash '{}' {} < /dev/null", image.path().display(), device.path().display());
    let Some((code, shown)) = in_a_terminal(&card, "y", &line) else { return };
    assert!(code == Some(6) && !shown.contains("[y/N]"), "{code:?} {shown}");
    assert!(shown.contains("standard input is not a terminal to ask on; give --yes"), "{shown}");
}

/// The image comes on standard input, so the answer comes from the terminal of the process.
#[test]
fn an_image_from_a_pipe_is_asked_about_on_the_terminal() {
    let image = Image::of(Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).bytes());
    let line = format!(
        "cat '{}' | IDENTITY flash - CARD 2> '{}/errors'",
        image.path().display(),
        elsewhere(&image).display()
    );
    for (answer, expected) in [("n", 6), ("y", 0)] {
        let card = stamped();
        let Some((code, shown)) = in_a_terminal(&card, answer, &line) else { return };
        assert!(code == Some(expected) && shown.contains("Overwrite everything on"), "{code:?} {shown}");
    }
}

#[test]
fn a_question_is_seen_where_standard_error_goes_to_a_file() {
    let card = stamped();
    let line = format!("IDENTITY erase CARD 2> '{}'", elsewhere(&card).join("errors").display());
    let run = || in_a_terminal(&card, "n", &line);
    let Some((code, shown)) = card.unchanged_by(run) else { return };
    assert!(code == Some(6) && shown.contains("[y/N]") && shown.contains(UUID), "{code:?} {shown}");
}

/// The system stops a job in the background that reads from the terminal.
#[test]
fn a_job_in_the_background_asks_nothing() {
    let card = stamped();
    let Some((code, shown)) = in_a_terminal(&card, "", "set -m\nIDENTITY erase CARD &\nsleep 2; wait %1")
    else {
        return;
    };
    assert!(code == Some(0) && !shown.contains("[y/N]"), "{code:?} {shown}");
    assert_eq!(card.copies(), [0; 0]);
    let card = lone();
    let line = "set -m\nIDENTITY repair CARD &\nsleep 2; wait %1";
    let (code, shown) = card.unchanged_by(|| in_a_terminal(&card, "", line).expect("as before"));
    assert!(code == Some(6) && !shown.contains("[y/N]"), "{code:?} {shown}");
}

/// What is typed in another encoding is an answer, too.
#[test]
fn an_answer_that_is_no_utf_8_is_not_a_yes() {
    let card = Image::stamped("--profile panda");
    let before = card.bytes();
    for answer in [&b"\xff\xfe"[..], b"y\xff"] {
        let Some((code, shown)) = in_a_terminal(&card, OsStr::from_bytes(answer), "IDENTITY erase CARD")
        else {
            return;
        };
        assert_eq!(code, Some(6), "{shown}");
        assert!(shown.contains("not confirmed; nothing was written"), "{shown}");
        assert!(card.bytes() == before);
    }
}

/// A record of another card: on the terminal a question, `--force` answers, else it is refused.
#[test]
fn a_record_of_another_card_is_asked_about() {
    let first = Image::stamped(format!("--profile panda --uuid {OTHER}"));
    let mut erase = first.identity("erase");
    erase.command().env("XDG_STATE_HOME", elsewhere(&first));
    let said = erase.run().exits(0).stderr;
    let file = said.split_whitespace().find(|word| word.ends_with(".json") || word.ends_with(".json;"));
    let file = file.expect("a record").trim_end_matches(';').to_owned();
    let card = Image::mbr();
    let line = format!("IDENTITY stamp --restore {file} CARD");
    let refused = || in_a_terminal(&card, "y", &format!("{line} < /dev/null"));
    let Some((code, shown)) = card.unchanged_by(refused) else { return };
    assert!(code == Some(6) && shown.contains("--force"), "{code:?} {shown}");
    let (code, shown) = in_a_terminal(&card, "y", &line).expect("as before");
    assert!(code == Some(0) && shown.contains("Give it this identity? [y/N]"), "{code:?} {shown}");
}
