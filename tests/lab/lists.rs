// SPDX-License-Identifier: MIT OR Apache-2.0
//! `init`, `add`, `list`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use identity_tests::lab::program;
use identity_tests::{copy_program, run_where_installed, skipped};

use crate::{Answer, Lab};

#[test]
fn a_new_lab_is_read_as_it_is_and_made_only_once() {
    let lab = Lab::nothing();
    lab.run(&["init", "--dry-run", "desk"]).exits(0).shows(&["would make desk/lab.toml"]);
    assert!(!lab.path("desk").exists());
    lab.run(&["init", "desk"]).exits(0).shows(&["made desk/boards.csv"]);
    let list = lab.run(&["list", "--lab", "desk", "--format", "json"]).exits(0).json();
    assert_eq!(list, serde_json::json!([]));
    lab.run(&["init", "desk"]).exits(6).says(&["desk is a lab already"]);
    lab.write("other/boards.csv", "precious");
    lab.run(&["init", "other"]).exits(6).says(&["other/boards.csv is there already"]);
    assert_eq!(lab.read("other/boards.csv"), "precious");
    assert!(!lab.path("other/lab.toml").exists());
    lab.run(&["list"]).exits(2).says(&["no lab", "identity-lab init"]);
    // The example names files that are not there: it is in nobody's way as long as no board has it.
    let example = "profiles/example.toml is left out: no board has it";
    lab.run(&["netboot", "--lab", "desk", "--dry-run", "out"]).exits(0).says(&[example]);
    lab.run(&["add", "--lab", "desk", "a", "--profile", "example"]).exits(0);
    lab.run(&["netboot", "--lab", "desk", "--dry-run", "out"]).exits(4).says(&["profiles/example.toml:5"]);
    // A fresh clone: git's files are completed, and complete them once.
    lab.write("clone/.gitignore", "mine\n*.tmp");
    lab.write("clone/.gitattributes", lab.read("desk/.gitattributes"));
    lab.run(&["init", "--dry-run", "clone"]).exits(0).shows(&["would complete clone/.gitignore"]);
    assert_eq!(lab.read("clone/.gitignore"), "mine\n*.tmp");
    lab.run(&["init", "clone"]).exits(0).shows(&["completed clone/.gitignore", "made clone/lab.toml"]);
    assert_eq!(lab.read("clone/.gitignore"), format!("mine\n*.tmp\n{}", lab.read("desk/.gitignore")));
    assert_eq!(lab.read("clone/.gitattributes"), lab.read("desk/.gitattributes"));
}

/// What stands commented out in the example files is read as well.
#[test]
fn the_examples_of_a_new_lab_are_right() {
    let lab = Lab::nothing();
    lab.run(&["init"]).exits(0);
    let is_example =
        |line: &str| line.starts_with('#') && line.as_bytes().get(1).is_some_and(|byte| *byte != b' ');
    for name in ["lab.toml", "profiles/example.toml"] {
        let text = lab.read(name);
        let lines = text.lines().map(|line| if is_example(line) { &line[1..] } else { line });
        lab.write(name, lines.collect::<Vec<_>>().join("\n"));
    }
    lab.run(&["add", "a-1"]).exits(0);
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    assert_eq!(list[0]["profile"], "example");
}

#[test]
fn the_nearest_lab_above_is_taken() {
    let lab = Lab::new();
    lab.run(&["add", "panda-01", "--profile", "panda"]).exits(0);
    fs::create_dir_all(lab.path("a/b")).expect("a directory");
    let answer = Answer::of(lab.command().current_dir(lab.path("a/b")).arg("list"));
    answer.exits(0).shows(&["panda-01"]);
}

#[test]
fn boards_are_added_in_order_and_each_has_a_uuid_of_its_own() {
    let lab = Lab::new();
    lab.run(&["add", "panda-[01-03]", "--profile", "panda", "--location", "R3, left"]).exits(0);
    lab.run(&["add", "arndale", "panda-02b", "--profile", "panda"]).exits(0).shows(&["added arndale"]);
    let text = lab.read("boards.csv");
    let names: Vec<_> = text.lines().skip(1).map(|line| line.split(',').next().expect("a cell")).collect();
    assert_eq!(names, ["arndale", "panda-01", "panda-02", "panda-02b", "panda-03"]);
    assert!(text.contains("\"R3, left\""), "{text}");
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    let uuids: std::collections::BTreeSet<_> =
        list.as_array().expect("a list").iter().map(|board| board["uuid"].as_str().expect("text")).collect();
    assert_eq!(uuids.len(), 5);
    lab.run(&["list"]).exits(0).shows(&["hostname   profile", "R3, left"]);
}

/// The derived values are those that util-linux computes.
#[test]
fn derived_values_in_the_list_are_those_of_uuidgen() {
    let lab = Lab::new();
    lab.run(&["add", "panda-01", "--profile", "panda"]).exits(0);
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    let uuid = list[0]["uuid"].as_str().expect("text");
    let mut uuidgen = Command::new("uuidgen");
    let Some(id) = run_where_installed(uuidgen.args(["--sha1", "--namespace", uuid, "--name", "machine-id"]))
    else {
        return;
    };
    assert_eq!(list[0]["machine_id"], id.trim().replace('-', ""));
}

#[test]
fn lines_that_are_not_changed_keep_their_bytes() {
    const LINES: &str = "hostname,uuid,profile,colour,note\r\n\
        b,0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02,panda,\"blue\",\" two  \"\r\n\
        d,9E3C1D40-5A37-4C8E-9F0B-6D2A81E4C7F5,panda,,\"say \"\"hi\"\"\"";
    let lab = Lab::new();
    lab.write("boards.csv", format!("\u{feff}{LINES}"));
    lab.run(&["add", "c", "a", "--profile", "panda"]).exits(0);
    let text = lab.read("boards.csv");
    let mut lines: Vec<_> = text.split_inclusive('\n').collect();
    assert!(
        lines[1].starts_with("a,") && lines[3].starts_with("c,") && lines[1].ends_with("\r\n"),
        "{text:?}"
    );
    lines.remove(3);
    lines.remove(1);
    assert_eq!(lines.concat(), format!("\u{feff}{LINES}\r\n"));
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    assert_eq!(list[3]["hostname"], "d");
}

#[test]
fn a_file_out_of_order_is_sorted_and_that_is_said() {
    let lab = Lab::new();
    lab.write(
        "boards.csv",
        "hostname,uuid,profile\nd,9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5,panda\n\nb,0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02,panda\n",
    );
    let planned = lab.run(&["add", "c", "--profile", "panda", "--dry-run"]).exits(0);
    planned.says(&["boards.csv is not sorted by hostname; it would be"]);
    lab.run(&["add", "c", "--profile", "panda"]).exits(0).says(&["boards.csv was not sorted"]);
    let text = lab.read("boards.csv");
    let names: String = text.lines().skip(1).map(|line| &line[..2]).collect();
    assert_eq!(names, "b,c,d,");
}

#[test]
fn a_name_that_is_there_is_refused_and_nothing_is_added() {
    let lab = Lab::new();
    lab.run(&["add", "panda-02", "--profile", "panda"]).exits(0);
    let before = lab.read("boards.csv");
    let words = ["add", "panda-[01-03]", "--profile", "panda"];
    lab.run(&words).exits(6).says(&["boards.csv:2:1", "panda-02 is there already"]);
    lab.run(&["add", "x", "x", "--profile", "panda"]).exits(6).says(&["hostname: x has x"]);
    lab.run(&["add", "x", "X", "--profile", "panda"]).exits(6);
    lab.run(&["add", "x", "--profile", "lost"]).exits(6).says(&["profiles/lost.toml", "the lab has panda"]);
    lab.run(&["add", "x"]).exits(2).says(&["--profile"]);
    lab.run(&["add", "-x", "--profile", "panda"]).exits(2);
    lab.run(&["add", "x_y", "--profile", "panda"]).exits(2).says(&["hostname \"x_y\""]);
    lab.run(&["add", "x[1-", "--profile", "panda"]).exits(2).says(&["`[` without `]`"]);
    lab.run(&["add", "x", "--profile", "panda", "--location", "=1+1"])
        .exits(4)
        .says(&["location: a cell may not begin"]);
    lab.run(&["add", "x", "--profile", "panda", "--location", "a\nb"]).exits(4);
    lab.run(&["add", "--dry-run", "x", "--profile", "panda"]).exits(0).shows(&["would add x"]);
    assert_eq!(lab.read("boards.csv"), before);
}

#[test]
fn a_column_that_the_file_does_not_have_is_not_dropped_silently() {
    let lab = Lab::new();
    lab.write("boards.csv", "hostname,profile,uuid\n");
    let words = ["add", "x", "--profile", "panda", "--tags", "a"];
    lab.run(&words).exits(6).says(&["boards.csv:1", "no column `tags`"]);
}

#[test]
fn two_that_add_at_once_both_get_their_boards() {
    let lab = Lab::new();
    let names: Vec<_> = (0..8).map(|number| format!("n{number}-[01-20]")).collect();
    let start = |name: &String| {
        lab.command()
            .args(["add", name, "--profile", "panda"])
            .stdout(Stdio::null())
            .spawn()
            .expect("it starts")
    };
    let running: Vec<_> = names.iter().map(start).collect();
    for mut one in running {
        assert!(one.wait().expect("it ends").success());
    }
    assert_eq!(lab.read("boards.csv").lines().count(), 161);
}

/// Killed at any moment, `add` leaves the old file or the new one.
#[test]
fn a_killed_add_leaves_the_old_file_or_the_new_one() {
    let lab = Lab::new();
    lab.run(&["add", "a[1-3]", "--profile", "panda"]).exits(0);
    let old = lab.read("boards.csv");
    let mut made = 0;
    let kills = crate::killed_before_each_change(&lab, &["add", "b[1-3]", "--profile", "panda"], || {
        let now = lab.read("boards.csv");
        if now != old {
            assert_eq!(now.lines().count(), 7);
            lab.write("boards.csv", &old);
            made += 1;
        }
    });
    assert!(kills.is_none_or(|kills| kills > 5 && made > 0), "{kills:?} kills, {made} made");
    lab.run(&["add", "c", "--profile", "panda"]).exits(0);
    let names =
        fs::read_dir(lab.dir.path()).expect("a directory").map(|entry| entry.expect("an entry").file_name());
    let left: Vec<_> = names.filter(|name| name.to_string_lossy().contains("identity-lab")).collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn a_lab_that_may_not_be_written_is_refused() {
    let lab = Lab::new();
    let nobody = Command::new("setpriv").args(["--reuid=65534", "--clear-groups", "true"]).status();
    if !nobody.is_ok_and(|status| status.success()) {
        return skipped("this process cannot become another user");
    }
    let open =
        |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("own directory");
    open(lab.dir.path());
    let before = lab.read("boards.csv");
    let copy = lab.path("program");
    copy_program(program(), &copy);
    let mut add = Command::new("setpriv");
    add.args(["--reuid=65534", "--clear-groups"]).arg(&copy).args(["add", "x", "--profile", "panda"]);
    Answer::of(add.current_dir(lab.dir.path())).exits(6).says(&["boards.csv"]);
    assert_eq!(lab.read("boards.csv"), before);
}

#[test]
fn an_unknown_profile_is_no_empty_list() {
    Lab::new().run(&["list", "--profile", "nope"]).exits(2).says(&["there is no profiles/nope.toml"]);
}

#[test]
fn a_new_lab_has_the_name_of_its_directory() {
    let lab = Lab::nothing();
    lab.run(&["init", "desk"]).exits(0);
    assert!(lab.read("desk/lab.toml").contains("\nname = \"desk\"\n"));
    lab.run(&["init", "not a name"]).exits(0);
    assert!(lab.read("not a name/lab.toml").contains("\nname = \"lab\"\n"));
}

/// What stands alone, which clap leaves to the files of the directory.
#[test]
fn bash_offers_formats_shells_and_the_one_thing_to_build() {
    let script = Lab::nothing().run(&["completions", "bash"]).exits(0).stdout;
    for (words, offered) in [("export k", "kea"), ("completions z", "zsh"), ("root ", "build")] {
        let (verb, current) = words.split_once(' ').expect("two words");
        let ask = format!(
            "{script}\nCOMP_WORDS=(identity-lab {verb} '{current}') COMP_CWORD=2\n\
             _identity_lab_values identity-lab '{current}' {verb}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let said = Command::new("bash").args(["-c", &ask]).output().expect("bash");
        assert_eq!(String::from_utf8_lossy(&said.stdout).trim(), offered, "{words}");
    }
}
