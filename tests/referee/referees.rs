// SPDX-License-Identifier: MIT OR Apache-2.0
//! What other readers say of a card's partitions.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;
use std::process::Output;

use identity_tests::cli::tool;
use serde_json::Value;

use crate::card::{LEN, Sparse};

/// What one reader lists: first sector and first sector behind. An entry of no length is none.
pub type List = BTreeSet<(u64, u64)>;

/// What each reader says of one card.
#[derive(Debug)]
pub struct Verdict {
    /// Reader and list; `None`: it sees no table.
    pub lists: Vec<(&'static str, Option<List>)>,
    /// What blkid finds on the whole device: a file system, a member of an array.
    pub whole: Option<String>,
}

impl Verdict {
    /// Asks all.
    pub fn of(path: &Path) -> Self {
        let (whole, table) = blkid(path);
        // partx says nothing of an empty table; blkid tells that from none.
        let partx = Some(partx(path)).filter(|list| !list.is_empty() || table.is_some());
        Self { lists: vec![("sfdisk", sfdisk(path)), ("partx", partx), ("parted", parted(path))], whole }
    }

    /// Who lists a partition that covers the sector.
    pub fn lists_over(&self, lba: u64) -> Option<&'static str> {
        let covers = |list: &List| list.iter().any(|(start, end)| (*start..*end).contains(&lba));
        let list = self.lists.iter().find(|(_, list)| list.as_ref().is_some_and(covers));
        list.map(|(who, _)| *who).or_else(|| self.whole.as_ref().map(|_| "blkid"))
    }

    /// The list, if all see the same one.
    pub fn agreed(&self) -> Option<&List> {
        let (_, first) = self.lists.first()?;
        let same = self.lists.iter().all(|(_, list)| list == first) && self.whole.is_none();
        first.as_ref().filter(|_| same)
    }
}

/// Makes `path` this card.
pub fn write(card: &Sparse, path: &Path) {
    let file = File::create(path).expect("own file");
    file.set_len(LEN * 512).expect("room for a card");
    card.write_into(&file, 0);
}

fn run(name: &str, arguments: &[&str], path: &Path) -> Output {
    tool(name).args(arguments).arg(path).env("LC_ALL", "C").output().expect("a referee starts")
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn list(ranges: impl Iterator<Item = (u64, u64)>) -> List {
    ranges
        .filter(|(_, sectors)| *sectors > 0)
        .map(|(start, sectors)| (start, start.saturating_add(sectors)))
        .collect()
}

fn sfdisk(path: &Path) -> Option<List> {
    let output = run("sfdisk", &["--json"], path);
    let json: Value = serde_json::from_str(&text(&output)).ok()?;
    let table = json.get("partitiontable")?;
    let partitions = table.get("partitions").and_then(Value::as_array).cloned().unwrap_or_default();
    let number = |partition: &Value, key: &str| partition[key].as_u64().unwrap_or(0);
    Some(list(partitions.iter().map(|partition| (number(partition, "start"), number(partition, "size")))))
}

fn partx(path: &Path) -> List {
    let output = run("partx", &["--show", "--noheadings", "--bytes", "--output", "START,SECTORS"], path);
    let text = text(&output);
    let mut numbers = text.lines().map(|line| line.split_whitespace().filter_map(|word| word.parse().ok()));
    list(std::iter::from_fn(|| numbers.next()).filter_map(|mut line| Some((line.next()?, line.next()?))))
}

fn parted(path: &Path) -> Option<List> {
    let mut parted = tool("parted");
    parted.args(["--script", "--machine"]).arg(path).args(["unit", "s", "print"]).env("LC_ALL", "C");
    let text = text(&parted.output().expect("parted starts"));
    let mut lines = text.lines().filter(|line| line.ends_with(';') && *line != "BYT;");
    let label = lines.next()?.split(':').nth(5)?;
    if label == "unknown" {
        return None;
    }
    let number = |word: Option<&str>| word?.strip_suffix('s')?.parse::<u64>().ok();
    Some(list(lines.filter_map(|line| {
        let mut words = line.split(':').skip(1);
        let start = number(words.next())?;
        let sectors = number(words.nth(1))?;
        Some((start, sectors))
    })))
}

/// What fills the whole device, and the table's type.
fn blkid(path: &Path) -> (Option<String>, Option<String>) {
    let text = text(&run("blkid", &["--probe", "--output", "export"], path));
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key).map(str::to_owned));
    (value("TYPE="), value("PTTYPE="))
}
