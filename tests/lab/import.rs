// SPDX-License-Identifier: MIT OR Apache-2.0
//! `import`: boards from files of other programs.

mod changes;
mod sources;

use std::fs;

use identity_tests::workspace;
use serde_json::Value;

use crate::{Answer, Lab, OTHER, UUID};

/// A lab with a board that has everything, and one that has nothing but an assigned address.
fn full() -> Lab {
    let lab = Lab::with_network("");
    lab.write(
        "boards.csv",
        format!(
            "hostname,profile,uuid,serial,mac0,mac1,ip,location,tags,colour,var.lava_device_type\n\
             panda-01,panda,{UUID},S1,,02:00:00:00:00:11,192.168.7.11,\"R3, left\",poe spare,\"a;b \"\"c\"\"\",vexpress\n\
             panda-02,panda,{OTHER},,02:00:00:00:00:02,,,,,,\n"
        ),
    );
    lab
}

/// An empty lab with the columns of another one.
fn empty(like: &Lab) -> Lab {
    let lab = Lab::with_network("");
    let text = like.read("boards.csv");
    lab.write("boards.csv", format!("{}\n", text.lines().next().expect("a header")));
    lab
}

fn boards(lab: &Lab) -> Value {
    lab.run(&["list", "--format", "json"]).exits(0).json()
}

/// `import -` with this text on standard input.
fn import(lab: &Lab, text: &str, words: &[&str]) -> Answer {
    lab.write("input", text);
    let input = fs::File::open(lab.path("input")).expect("own file");
    Answer::of(lab.command().args(["import", "-"]).args(words).stdin(input))
}

/// The names that docs/LAB.md has for a column, and the source has no others.
#[test]
fn usual_names_of_columns_are_those_of_the_document() {
    let read = |path: &str| fs::read_to_string(workspace().join(path)).expect("a file of the tree");
    let names = |text: &str, mark: char| -> Vec<String> {
        text.split(mark).skip(1).step_by(2).map(str::to_owned).collect()
    };
    let (document, source) = (read("docs/LAB.md"), read("identity-lab/src/import.rs"));
    let (_, table) = document.split_once("| column | also called |\n|---|---|\n").expect("the table");
    let mut documented = Vec::new();
    for row in table.lines().take_while(|line| line.starts_with('|')) {
        let row = names(row, '`');
        let (column, others) = row.split_first().expect("a column");
        let lab = Lab::with_network("");
        let more = if column == "hostname" { "serial" } else { column };
        lab.write("boards.csv", format!("hostname,profile,uuid,{more}\n"));
        for (index, name) in others.iter().enumerate() {
            let called = match index % 3 {
                0 => name.to_uppercase(),
                1 => name.replace('_', "-"),
                _ => name.replace('_', " "),
            };
            let value = match column.as_str() {
                "ip" => format!("192.168.7.1{index}"),
                "mac0" | "mac1" => format!("02:00:00:00:00:1{index}"),
                _ => format!("x{index}"),
            };
            let text = match column.as_str() {
                "hostname" => format!("{called}\n{value}\n"),
                _ => format!("hostname,{called}\npanda-{index},{value}\n"),
            };
            import(&lab, &text, &["--profile", "panda"]).exits(0);
            let list = lab.read("boards.csv");
            assert!(list.lines().skip(1).any(|line| line.contains(&value)), "{called}: {list}");
        }
        documented.extend(row);
    }
    let (_, table) = source.split_once("const USUAL_NAMES").expect("the names");
    let (table, _) = table.split_once("];").expect("their end");
    documented.retain(|name| !["mac1", "eth1addr"].contains(&name.as_str()));
    assert_eq!(documented, names(table, '"'));
}
