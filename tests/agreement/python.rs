// SPDX-License-Identifier: MIT OR Apache-2.0
//! The readers in Python: `fixtures/read_card.py`, and the short one that docs/LINUX.md shows.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use identity_fixtures::odd::Entry;
use identity_tests::cli::Identity;
use identity_tests::corpus::{Answer, Files, Knows, Reader};
use identity_tests::workspace;
use serde_json::Value;

/// Runs the script's `main` for each line of standard input; one process, for Python takes long to start.
const EACH_LINE: &str = "
import os, runpy, sys
sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(sys.argv[1]))
main = runpy.run_path(sys.argv[1])['main']
for line in sys.stdin: main(line.split())
";

/// What `script` prints for each of these cards, a line for each.
fn ask(script: &Path, files: &Files, cards: &[&Entry]) -> Vec<String> {
    let mut python = Command::new("python3");
    python.args(["-c", EACH_LINE]).arg(script).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = python.spawn().expect("python3");
    let mut stdin = child.stdin.take().expect("piped");
    let lines: String = cards.iter().map(|card| words(files, card) + "\n").collect();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{}", script.display());
    writer.join().expect("no panic").expect("it reads");
    let lines = String::from_utf8(output.stdout).expect("text");
    let mut lines: Vec<_> = lines.lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), cards.len());
    // What cannot be read fails in a process of its own.
    for (card, line) in cards.iter().zip(&mut lines).filter(|(card, _)| !card.unreadable.is_empty()) {
        let unreadable: Vec<_> = card.unreadable.iter().map(u32::to_string).collect();
        let python = Identity::prefixed(Command::new("python3"), script, words(files, card));
        let outcome = python.fault("FAULT_READ", unreadable.join(",")).run();
        *line = outcome.stdout.trim().to_owned();
        assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    }
    lines
}

fn words(files: &Files, card: &Entry) -> String {
    let hint = card.hint.map_or(String::new(), |lba| lba.to_string());
    format!("{} {hint}", files.path(card).display())
}

#[test]
fn the_second_implementation_agrees() {
    let files = Files::new();
    let mut reader = Reader::new("read_card", Knows::Nothing);
    let cards: Vec<_> = files.cards.iter().collect();
    for (card, line) in cards.iter().zip(ask(&workspace().join("fixtures/read_card.py"), &files, &cards)) {
        let said: Value = serde_json::from_str(&line).expect("JSON");
        let copies = said["copies"].as_array().expect("a list").iter();
        let number = |value: &Value| value.as_u64().and_then(|number| u32::try_from(number).ok());
        let text = |value: &Value| value.as_str().map(str::to_owned);
        reader.says(
            card,
            &Answer {
                state: text(&said["state"]),
                uuid: Some(text(&said["uuid"])),
                generation: Some(number(&said["generation"])),
                copies: Some(
                    copies
                        .filter_map(|copy| Some((number(&copy["lba"])?, text(&copy["condition"])?)))
                        .collect(),
                ),
            },
        );
    }
    reader.agrees();
}

/// Around the document's block: the state and the UUID, of what may be used.
const MAIN: &str = r#"
def main(arguments):
    try:
        state, identity = read(arguments[0], *map(int, arguments[1:]))
        print(state, identity[0] if identity else "")
    except OSError:
        print("unreadable")
"#;

#[test]
fn the_reader_in_the_document_agrees() {
    let files = Files::new();
    let document = fs::read_to_string(workspace().join("docs/LINUX.md")).expect("the document");
    let (_, block) = document.split_once("\n```python\n").expect("a block");
    let (block, _) = block.split_once("\nif __name__").expect("its main program");
    let script = files.dir().join("document.py");
    fs::write(&script, format!("{block}\n{MAIN}")).expect("own directory");
    let mut reader = Reader::new("python", Knows::Nothing);
    let asked: Vec<_> = files.cards.iter().filter(|card| reader.state(card).is_some()).collect();
    for (card, line) in asked.iter().zip(ask(&script, &files, &asked)) {
        let (state, uuid) = line.split_once(' ').unwrap_or((&line, ""));
        let uuid = Some(uuid.to_owned()).filter(|uuid| !uuid.is_empty());
        let usable = reader.is_usable(card);
        reader.check(card, usable == uuid.is_some(), || line.clone());
        let (state, uuid) = (Some(state.to_owned()), usable.then_some(uuid));
        reader.says(card, &Answer { state, uuid, ..Answer::default() });
    }
    reader.agrees();
}
