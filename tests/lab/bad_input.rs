// SPDX-License-Identifier: MIT OR Apache-2.0
//! `boards.csv` as spreadsheets and people leave it: taken where it is clear, else refused with line, column and the column's name.

use std::process::Command;
use std::time::{Duration, Instant};

use identity_tests::run_where_installed;
use serde_json::Value;

use crate::{Lab, OTHER, UUID};

/// What a board's values are without the number of its line.
fn boards(lab: &Lab) -> Value {
    let mut list = lab.run(&["list", "--format", "json"]).exits(0).json();
    for board in list.as_array_mut().expect("a list") {
        board["line"] = Value::Null;
    }
    list
}

#[test]
fn what_spreadsheets_make_of_the_list_is_the_same_list() {
    let plain = format!(
        "hostname,profile,uuid,serial,mac0,ip,location,tags,note\n\
         panda-01,panda,{UUID},S1,02:00:5e:10:00:01,192.168.7.11,\"R3, left\",poe spare,\"a \"\"b\"\"\"\n\
         panda-02,panda,{OTHER},,,,,,\n"
    );
    let lab = Lab::new();
    lab.write("boards.csv", &plain);
    let expected = boards(&lab);
    assert_eq!(expected[0]["location"], "R3, left");
    // What Excel writes where a comma is in numbers.
    let semicolons = plain.replace("\"R3, left\"", "\u{1}").replace(',', ";").replace('\u{1}', "R3, left");
    // What LibreOffice writes with "quote all text cells".
    let quote = |line: &str| {
        let cells = line.replace("\"R3, left\"", "R3\u{1} left").replace("\"a \"\"b\"\"\"", "a \"\"b\"\"");
        let cells: Vec<_> = cells.split(',').map(|cell| format!("\"{cell}\"")).collect();
        cells.join(",").replace('\u{1}', ",") + "\n"
    };
    let quoted: String = plain.lines().map(quote).collect();
    let spaces = plain
        .replace("panda-01,panda", " panda-01 ,\u{a0}panda ")
        .replace(UUID, &format!("{UUID}\t"))
        .replace("S1", " S1")
        .replace("02:00", " 02:00")
        .replace("192", " 192")
        .replace("\"R3, left\"", "\" R3, left \"");
    for (text, what) in [
        (format!("\u{feff}{plain}"), "a mark of byte order"),
        (plain.replace('\n', "\r\n"), "CRLF"),
        (semicolons.clone(), "semicolons"),
        (format!("\u{feff}{}", semicolons.replace('\n', "\r\n")), "all of it"),
        (quoted, "quotes"),
        (spaces, "blanks"),
        (plain.trim_end().to_owned(), "no end of the last line"),
        (plain.clone() + "\r\n\n", "empty lines"),
    ] {
        lab.write("boards.csv", &text);
        assert_eq!(boards(&lab), expected, "{what}");
        lab.run(&["check"]).exits(0);
        // What is added goes with the rest, and the rest stays.
        lab.run(&["add", "panda-03", "--profile", "panda", "--location", "a; b, c"]).exits(0);
        let (after, text) = (lab.read("boards.csv"), text.replace('\u{feff}', ""));
        for line in text.lines().filter(|line| !line.is_empty()) {
            assert!(after.contains(line), "{what}: {line:?} in {after:?}");
        }
        assert_eq!(boards(&lab)[2]["location"], "a; b, c", "{what}");
    }
}

#[test]
fn a_mac_address_and_a_uuid_are_taken_in_the_forms_that_people_have_them_in() {
    let lab = Lab::new();
    let write = |uuid: &str, mac: &str| {
        lab.write("boards.csv", format!("hostname,profile,uuid,mac0\na,panda,{uuid},{mac}\n"));
        lab.run(&["list", "--format", "json"])
    };
    let (upper, simple) = (UUID.to_uppercase(), UUID.replace('-', ""));
    for uuid in [&upper, &simple, &format!("{{{UUID}}}"), &format!("urn:uuid:{UUID}")] {
        for mac in
            ["0200.5e10.0001", "0200.5E10.0001", "02-00-5E-10-00-01", "02005e100001", "02:00:5E:10:00:01"]
        {
            let list = write(uuid, mac).exits(0).json();
            assert_eq!(list[0]["uuid"], UUID, "{uuid}");
            assert_eq!(list[0]["macs"][0], "02:00:5e:10:00:01", "{mac}");
        }
    }
    // The last is what a spreadsheet makes of digits alone; 0x03 is a group's address.
    let wrong = ["0200.5e10.001", "02.00.5e.10.00.01", "0200.5e10.0001.0000", "0200:5e10:0001", "2E+10"];
    for mac in wrong.into_iter().chain(["0300.5e10.0001", "02005e10000", "0200.5e10.000g"]) {
        write(UUID, mac).exits(4).says(&["boards.csv:2:46: mac0: ", &format!("\"{mac}\"")]);
    }
    for uuid in ["{9e3c1d40}", "{9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5", "9,99E+31", "{}"] {
        let uuid = if uuid.contains(',') { format!("\"{uuid}\"") } else { uuid.to_owned() };
        write(&uuid, "").exits(4).says(&["boards.csv:2:9: uuid: "]);
    }
}

#[test]
fn what_is_in_no_clear_form_is_refused_with_line_column_and_header() {
    let lab = Lab::new();
    let utf16 = |text: &str| -> Vec<u8> { text.encode_utf16().flat_map(u16::to_le_bytes).collect() };
    let plain = format!("hostname,profile,uuid,location,note\na,panda,{UUID},R3,x\n");
    let with_mark = utf16(&format!("\u{feff}{plain}"));
    let big_endian: Vec<_> = with_mark.chunks(2).flat_map(|pair| [pair[1], pair[0]]).collect();
    // "Tür" in Latin-1.
    let latin = plain.replace("R3,x", "T\u{1}r,x").replace('\u{1}', "\u{fc}");
    let latin: Vec<_> = latin.chars().map(|char| char as u8).collect();
    let latin_header: Vec<_> = plain.replace("note", "T\u{fc}r").chars().map(|char| char as u8).collect();
    for (bytes, said) in [
        (with_mark, "boards.csv:1:1: this file is UTF-16; save the file as UTF-8"),
        (big_endian, "boards.csv:1:1: this file is UTF-16; "),
        (utf16(&plain), "boards.csv:1:1: this file is UTF-16; "),
        (latin, "boards.csv:2:47: location: this byte is not UTF-8; save the file as UTF-8"),
        (latin_header, "boards.csv:1:33: this byte is not UTF-8; "),
        (plain.replace(",note", ",profile").into(), "boards.csv:1:32: a second column `profile`"),
        (
            plain.replace(",x", ",=cmd|' /C calc'!A0").into(),
            "boards.csv:2:49: note: a cell may not begin with =",
        ),
        (plain.replace(",x", ",\"@SUM(1)\"").into(), "boards.csv:2:49: note: a cell may not begin with ="),
        (plain.replace("a,", "-a,").into(), "boards.csv:2:1: hostname: "),
        (plain.replace("a,", "panda_01,").into(), "boards.csv:2:1: hostname: \"panda_01\" may not have '_'"),
        (plain.replace("a,", "a..b,").into(), "boards.csv:2:1: hostname: \"a..b\" "),
        (plain.replace(",R3", ",\"R3\n\"").into(), "boards.csv:2:46: location: this quote is not closed"),
        (plain.replace(",R3", ",R3\rR4").into(), "boards.csv:2:48: location: a control character"),
        (plain.replace(',', "\t").into(), "boards.csv:1:1: there is no column `hostname`; "),
        (plain.replacen(',', ";", 2).into(), "boards.csv:1:1: there is no column `hostname`; "),
    ] {
        lab.write("boards.csv", &bytes);
        let before = bytes;
        for words in [&["list"][..], &["check"], &["add", "b", "--profile", "panda"]] {
            lab.run(words).exits(4).says(&[said]);
        }
        assert!(std::fs::read(lab.path("boards.csv")).expect("the list") == before);
    }
}

#[test]
fn a_line_of_ten_megabytes_is_read_or_refused_in_a_moment_and_a_few_words() {
    let lab = Lab::new();
    let long = "x".repeat(10 << 20);
    let head = "hostname,profile,uuid,note";
    for (text, code) in [
        (format!("{head}\na,panda,{UUID},{long}\n"), 0),
        (format!("{head}\na,panda,{UUID},\"{}\"\n", "\"\"".repeat(5 << 20)), 0),
        (format!("{head}\n{long},panda,{UUID},\n"), 4),
        (format!("{head}\na,panda,{long},\n"), 4),
        (format!("{head}\na,panda,{UUID},\"{long}\n"), 4),
        (format!("{head}\na,panda,{UUID},{}\n", ",".repeat(1 << 20)), 4),
        (format!("{head},{long},{long}\na,panda,{UUID},,,\n"), 4),
        (format!("{head},{long}\na,panda,{UUID},,=1\n"), 4),
        (long.clone(), 4),
    ] {
        lab.write("boards.csv", text);
        let start = Instant::now();
        let answer = lab.run(&["check"]).exits(code);
        assert!(answer.stderr.len() < 400, "{} bytes are said", answer.stderr.len());
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    }
}

#[test]
fn a_hostname_that_resolvers_take_for_something_else_is_found() {
    let lab = Lab::new();
    for name in ["42", "10.0.0.5", "1.2", "localhost", "LocalHost"] {
        lab.write("boards.csv", format!("hostname,profile,uuid\n{name},panda,{UUID}\n"));
        lab.run(&["check"]).exits(5).shows(&["boards.csv:2:1: hostname: resolvers take ", name]);
    }
    for name in ["0a", "10.0.0.x", "r1n2"] {
        lab.write("boards.csv", format!("hostname,profile,uuid\n{name},panda,{UUID}\n"));
        lab.run(&["check"]).exits(0);
    }
}

/// Both add at the end of the list, where git alone sees a conflict.
#[test]
fn what_two_people_add_in_two_branches_comes_together_and_check_finds_what_clashes() {
    let lab = Lab::new();
    let git = |words: &[&str]| {
        let mut git = lab.command_of("git");
        git.env("HOME", lab.dir.path()).env("GIT_CONFIG_NOSYSTEM", "1");
        let names = ["-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=main"];
        run_where_installed(git.args(names).args(words))
    };
    let add = |branch: &str, names: &[&str]| {
        git(&["checkout", "-q", "-B", branch, "base"])?;
        for name in names {
            lab.run(&["add", name, "--profile", "panda"]).exits(0);
        }
        git(&["commit", "-q", "-a", "-m", branch])
    };
    if git(&["init", "-q"]).is_none() {
        return;
    }
    lab.run(&["add", "panda-[01-02]", "--profile", "panda"]).exits(0);
    for words in [&["add", "."][..], &["commit", "-q", "-m", "base"], &["branch", "base"]] {
        git(words).expect("git is there");
    }
    add("one", &["panda-03", "arndale-01"]).expect("git is there");
    add("two", &["panda-04"]).expect("git is there");
    git(&["merge", "-q", "--no-edit", "one"]).expect("git is there");
    let text = lab.read("boards.csv");
    assert_eq!((text.lines().count(), text.contains("<<<<")), (6, false), "{text}");
    lab.run(&["list"]).exits(0).shows(&["arndale-01", "panda-03", "panda-04"]);
    // If git has left them out of order, the next `add` brings that in order.
    lab.run(&["add", "panda-05", "--profile", "panda"]).exits(0);
    lab.run(&["check"]).exits(0);
    git(&["commit", "-q", "-a", "-m", "three"]).expect("git is there");

    // Both had the same name in mind, each with a UUID of its own; and one a serial number that the other has.
    add("three", &["panda-03"]).expect("git is there");
    git(&["merge", "-q", "--no-edit", "two"]).expect("git is there");
    let found =
        lab.run(&["check"]).exits(5).shows(&["hostname: panda-03 has panda-03, and so has panda-03 in line"]);
    assert!(!found.stdout.contains("uuid:"), "{}", found.stdout);
    lab.run(&["export", "csv"]).exits(6).says(&["panda-03"]);
    let is_clean = Command::new("git").args(["status", "--porcelain"]).current_dir(lab.dir.path()).output();
    assert_eq!(is_clean.expect("git").stdout, b"", "the merge is done");
}

/// Whatever the lab's directory is called, the command that a message names makes it.
#[test]
fn the_advice_about_a_directory_runs_as_it_is_printed() {
    for name in ["my lab", "$(touch pwned)", "a'b", "\u{1b}[31m", "-x"] {
        let lab = Lab::new();
        let answer = lab.run(&[&format!("--lab={name}"), "list"]).exits(2);
        let command = answer.stderr.split('`').nth(1).expect("a command").to_owned();
        assert!(command.starts_with("identity-lab init ") && !command.contains('\u{1b}'), "{command:?}");
        let bin = identity_tests::lab::program().parent().expect("a directory");
        let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap_or_default());
        let output = lab.command_of("sh").args(["-c", &command]).env("PATH", path).output().expect("a shell");
        assert!(output.status.success(), "{command}: {output:?}");
        lab.run(&[&format!("--lab={name}"), "list"]).exits(0);
        assert!(!lab.dir.path().join("pwned").exists());
    }
}

#[test]
fn help_and_version_into_a_full_file() {
    for words in ["--help", "--version", "help list"] {
        let full = std::fs::File::options().write(true).open("/dev/full").expect("Linux");
        let mut command = Command::new(identity_tests::lab::program());
        let output = command.args(words.split(' ')).stdout(full).output().expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(7), "{words}: {said}");
        assert!(said.starts_with("identity-lab: cannot write to standard output"), "{said}");
    }
}
