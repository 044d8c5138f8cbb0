// SPDX-License-Identifier: MIT OR Apache-2.0
//! `import`: boards from files of other programs.

mod changes;
mod sources;

use std::fs;

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
