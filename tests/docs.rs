// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every command in the documents is run: here, or by the test that is named here.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, fs};

use identity_tests::cli::{Identity, program};
use identity_tests::{run_where_installed, workspace};
use identity_ui::Exit;
use identity_ui::confirm::{HOW_IT_ASKS, QUESTIONS};
use tempfile::TempDir;

/// A command that another test or script runs, because it takes minutes or changes the machine.
struct Elsewhere {
    /// How the command begins.
    start: &'static str,
    /// The test or script that runs it.
    file: &'static str,
    /// What is there: the same command with other arguments, or the test's name.
    text: &'static str,
}

const fn elsewhere(start: &'static str, file: &'static str, text: &'static str) -> Elsewhere {
    Elsewhere { start, file, text }
}

const ELSEWHERE: &[Elsewhere] = &[
    elsewhere("./tests/run", ".ci/run", "tests/run --no-skips"),
    elsewhere("identity-lab serve ", "tests/lab/serve.rs", "$lab serve out"),
    elsewhere("identity-lab export ", "tests/lab/story.rs", "fn the_document_of_the_lab_does_what_it_says("),
    elsewhere("identity-lab ", "tests/lab/story.rs", "fn the_document_of_network_boot_does_what_it_says("),
    elsewhere(
        "identity flash --restore panda-01.img ",
        "tests/lab/story.rs",
        "strip_prefix(\"identity flash --restore \")",
    ),
    elsewhere("./tests/fuzz", ".ci/run", "tests/fuzz 5"),
    elsewhere(
        "uboot-patch/apply path/to/u-boot --object ",
        "tests/lib/uboot-build",
        "uboot-patch/apply\" \"$source\" --object",
    ),
    elsewhere(
        "CROSS_COMPILE=arm-linux-gnueabi- uboot-patch/apply path/to/u-boot",
        "tests/lib/uboot-build",
        "CROSS_COMPILE=$cross \"$repository/uboot-patch/build-object\"",
    ),
    elsewhere(
        "uboot-patch/apply path/to/u-boot",
        "tests/scripts/apply.rs",
        "fn a_release_that_nobody_has_tried_is_searched_for_the_places(",
    ),
    elsewhere(
        "uboot-patch/make-series --from",
        "tests/board/series.rs",
        "script(\"uboot-patch/make-series\")",
    ),
    elsewhere("uboot-patch/try path/to/", "tests/board/called.rs", "script(\"uboot-patch/try\")"),
    elsewhere(
        "uboot-patch/build-object ",
        "tests/lib/uboot-build",
        "uboot-patch/build-object\" \"$arch\" \"$object\"",
    ),
    elsewhere("cd path/to/u-boot", "tests/lib/uboot-build", "make -C \"$source\""),
    elsewhere(
        "make vexpress_ca9x4_defconfig",
        "tests/lib/uboot-build",
        "O=\"$build\" \"${board}_defconfig\"",
    ),
    elsewhere("echo CONFIG_IDENTITY=y >> .config", "tests/lib/uboot-build", "config+=(CONFIG_IDENTITY=y)"),
    elsewhere("make CROSS_COMPILE=", "tests/lib/uboot-build", "O=\"$build\" -j\"$(nproc)\" all"),
    elsewhere("cargo install --locked --path identity-cli", "tests/src/cli.rs", "build(\"identity\")"),
    elsewhere("identity bind --mounted ", "tests/cli/bindings.rs", "\"bind --mounted --card"),
    elsewhere("linux/build-deb ", "tests/run", "linux/build-deb\" \"$architecture\""),
    elsewhere("linux/build-cli ", "linux/build-deb", "linux/build-cli\" \"$arch\""),
    elsewhere("linux/install ", "linux/build-deb", "linux/install\" \"$root\""),
    elsewhere(
        "apt install ./sd-card-identity",
        "tests/board/package-life",
        "dpkg --install /tmp/package.deb",
    ),
    elsewhere("identity-setup enable", "tests/board/package-life", "identity-setup enable"),
    elsewhere(
        "cargo build --release -p identity-uboot --example staticlib",
        "tests/linux/readers.rs",
        "\"--example\", \"staticlib\"",
    ),
    elsewhere(
        "cc -I uboot-patch/include example.c",
        "tests/linux/readers.rs",
        "fn the_reader_in_c_prints_what_the_command_prints(",
    ),
    elsewhere(
        "cargo run -p identity-fixtures --bin make-sectors",
        "tests/sectors.rs",
        "fn committed_is_what_the_generator_makes(",
    ),
    elsewhere(
        "cargo run -p identity-fixtures --bin make-cards",
        "tests/agreement/data.rs",
        "fn committed_is_what_the_generator_makes(",
    ),
];
const RUN: &str = "cargo run -q --release -p sd-card-identity-cli -- ";

/// What the documents call the user's card, image and identity.
struct World {
    dir: TempDir,
}

impl World {
    fn new() -> Self {
        let world = Self { dir: TempDir::new().expect("a directory") };
        let card = world.card();
        world.identity("stamp --create 64M --profile temporary").arg(&card).run().exits(0);
        world.identity("erase --force").arg(&card).run().exits(0);
        world
    }

    fn card(&self) -> PathBuf {
        self.dir.path().join("sdb")
    }

    fn states(&self) -> PathBuf {
        self.dir.path().join("states")
    }

    /// `identity WORDS...`, with the records of erased identities in the world's own directory.
    fn identity(&self, words: &str) -> Identity {
        let mut identity = Identity::new(words);
        identity.command().env("XDG_STATE_HOME", self.states()).current_dir(self.dir.path());
        identity
    }

    /// The latest record that `erase` has left, which the documents call FILE.
    fn record(&self) -> String {
        let records = fs::read_dir(self.states().join("identity"))
            .expect("records")
            .map(|entry| entry.expect("an entry"));
        let latest =
            records.max_by_key(|entry| entry.metadata().and_then(|file| file.modified()).expect("a time"));
        latest.expect("a record").path().to_string_lossy().into_owned()
    }

    fn run(&self, words: &str) {
        let card = self.card();
        let read = self.identity("read --field uuid").arg(&card).run();
        let uuid =
            if read.code == Some(0) { read.stdout.trim() } else { "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5" };
        let words = words.replace("/dev/sdb", &card.to_string_lossy()).replace("UUID", uuid);
        if words.contains(['>', '|', ';']) {
            return self.run_in_a_shell(&words);
        }
        let words = if words.contains("FILE") { words.replace("FILE", &self.record()) } else { words };
        // A document shows what a person types at a terminal; without one, erase is done and asks nothing.
        self.identity(&words).run().exits(0);
    }
}

impl World {
    /// Runs a line of bash that uses `identity`. Who is asked for another card puts in a blank one.
    fn run_in_a_shell(&self, line: &str) {
        let (bin, card) = (self.dir.path().join("bin"), self.card());
        if !bin.exists() {
            fs::create_dir(&bin).expect("own directory");
            symlink(program(), bin.join("identity")).expect("own directory");
        }
        let blank = card.with_extension("blank");
        fs::copy(&card, &blank).expect("own directory");
        self.identity("erase --force").arg(&blank).run();
        let line = if line.starts_with("for ") { line.to_owned() } else { format!("identity {line}") };
        let script =
            format!("set -euo pipefail\nread() {{ cp '{}' '{}'; }}\n{line}", blank.display(), card.display());
        let path = format!("{}:{}:/usr/sbin:/sbin", bin.display(), env::var("PATH").unwrap_or_default());
        let mut bash = Command::new("bash");
        bash.args(["-c", &script]).env("PATH", path).env("XDG_STATE_HOME", self.states());
        let output = bash.current_dir(self.dir.path()).stdin(Stdio::null()).output().expect("bash");
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

fn documents() -> Vec<PathBuf> {
    let root = workspace();
    let in_docs = fs::read_dir(root.join("docs")).expect("docs").map(|entry| entry.expect("an entry").path());
    let at_the_top = ["README.md", "CONTRIBUTING.md"].map(|name| root.join(name));
    let entries = fs::read_dir(root).expect("the tree").map(|entry| entry.expect("an entry").path());
    let of_a_part = entries.map(|part| part.join("README.md")).filter(|path| path.exists());
    at_the_top
        .into_iter()
        .chain(of_a_part)
        .chain(in_docs)
        .filter(|path| path.extension().is_some_and(|end| end == "md"))
        .collect()
}

/// The commands of each block that is marked as a shell's, with continued lines joined and comments left out.
fn blocks(document: &Path) -> Vec<Vec<String>> {
    let text = fs::read_to_string(document).expect("a document").replace("\\\n", "");
    let marked = text.split("```sh\n").skip(1).map(|rest| rest.split("\n```").next().unwrap_or(rest));
    let command = |line: &str| {
        line.split("  #").next().unwrap_or(line).split(" # ").next().unwrap_or(line).trim().to_owned()
    };
    marked
        .map(|block| {
            block.lines().map(command).filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
        })
        .collect()
}

/// Runs a command that is meant for the top of the tree; false if it is none of those.
fn runs_in_the_tree(command: &str) -> bool {
    let words: Vec<_> = command.split_whitespace().collect();
    match words[..] {
        ["python3", ..] => {
            let mut python = Command::new(words[0]);
            run_where_installed(python.args(&words[1..]).current_dir(workspace()));
        }
        // Tests are not run by a test: that there is such a program, and such a test in it.
        ["cargo", "test", "-p", "identity-tests", "--test", name, ref filter @ ..] => {
            let filter = filter.iter().find(|word| !word.starts_with('-'));
            assert!(programs().iter().any(|program| program == name), "{command}: no test program {name}");
            let there = workspace().join("tests").join(name);
            let there = if there.exists() { there } else { there.with_extension("rs") };
            let named = |filter: &&str| {
                let mut grep = Command::new("grep");
                let named = format!(
                    "(fn|mod) {}",
                    filter.trim_end_matches("::").rsplit("::").next().unwrap_or(filter)
                );
                let found = grep.args(["-rqE", &named]).arg(&there).status();
                found.expect("grep").success()
            };
            assert!(filter.is_none_or(named), "{command}: no test {filter:?}");
        }
        // Nobody runs these for a test: hours, and figures. What can be said at once: what they are called with.
        ["./tests/proof"] => {
            let help = Command::new(workspace().join("tests/proof")).arg("--help").output();
            assert!(help.expect("bash").status.success(), "{command}");
        }
        ["./tests/bench/run" | "tests/bench/run", ref benchmarks @ ..] => {
            for name in benchmarks {
                let benchmark = workspace().join("tests/bench").join(name);
                assert!(benchmark.exists(), "{command}: no benchmark {name}");
            }
        }
        _ => return false,
    }
    true
}

/// The names of the test programs in `tests/`.
fn programs() -> Vec<String> {
    let manifest = fs::read_to_string(workspace().join("tests/Cargo.toml")).expect("a manifest");
    let tests = manifest.split("[[test]]\nname = \"").skip(1);
    tests.map(|rest| rest.split('"').next().expect("a name").to_owned()).collect()
}

#[test]
fn every_command_is_run() {
    let mut count = 0;
    let mut used = BTreeSet::new();
    for document in documents() {
        for block in blocks(&document) {
            let world = World::new();
            for command in block {
                count += 1;
                if let Some(elsewhere) = ELSEWHERE.iter().find(|one| command.starts_with(one.start)) {
                    used.insert(elsewhere.start);
                    continue;
                }
                if runs_in_the_tree(&command) {
                    continue;
                }
                let is_loop = command.starts_with("for ").then_some(&*command);
                let words = command.strip_prefix("identity ").or(command.strip_prefix(RUN)).or(is_loop);
                let shown = document.display();
                world.run(words.unwrap_or_else(|| panic!("{shown}: no test runs `{command}`")));
            }
        }
    }
    assert!(count > 10, "only {count} commands were found");
    for Elsewhere { start, .. } in ELSEWHERE {
        assert!(used.contains(start), "no document has `{start}...`");
    }
}

#[test]
fn what_is_run_elsewhere_is_run_there() {
    for Elsewhere { start, file, text } in ELSEWHERE {
        let code =
            fs::read_to_string(workspace().join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
        assert!(code.contains(text), "`{start}...` should be run by {file}, which has no `{text}`");
    }
}

#[test]
fn each_test_program_is_described() {
    let text = fs::read_to_string(workspace().join("tests/README.md")).expect("a document");
    for program in programs() {
        assert!(text.contains(&format!("| `{program}` |")), "tests/README.md has no row for {program}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    for document in documents() {
        let text = fs::read_to_string(&document).expect("a document");
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or(target);
            if file.is_empty() || file.contains("://") {
                continue;
            }
            let path = document.parent().expect("a directory").join(file);
            assert!(path.exists(), "{}: {target} leads nowhere", document.display());
        }
    }
}

/// README's table of exit codes is what the programs use.
#[test]
fn exit_codes_in_the_readme_are_those_of_the_programs() {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("the README");
    let (_, table) = readme.split_once("| exit | meaning |\n|---|---|\n").expect("the table of exit codes");
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect();
    let expected: Vec<_> =
        Exit::ALL.iter().map(|(exit, meaning)| format!("| {} | {meaning} |", *exit as u8)).collect();
    assert_eq!(rows, expected);
}

/// README's table of questions is what the programs ask, and `--help` has the same.
#[test]
fn questions_in_the_readme_and_help_are_those_of_the_programs() {
    let readme = fs::read_to_string(workspace().join("README.md")).expect("the README");
    let head = "| before | answered by | without a terminal |\n|---|---|---|\n";
    let (before, table) = readme.split_once(head).expect("the table of questions");
    let rows: Vec<_> = table.lines().take_while(|line| line.starts_with('|')).map(str::to_owned).collect();
    let expected: Vec<_> = QUESTIONS
        .iter()
        .map(|(what, answer, without)| format!("| {what} | {answer} | {without} |"))
        .collect();
    assert_eq!(rows.iter().map(|row| row.replace('`', "")).collect::<Vec<_>>(), expected);
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ").replace('`', "");
    assert!(words(before).contains(&words(HOW_IT_ASKS)), "the README does not say how it asks");
    let help = words(&Identity::new("--help").run().exits(0).stdout);
    assert!(help.contains(&words(HOW_IT_ASKS)), "{help}");
    for (what, answer, without) in QUESTIONS {
        assert!(help.contains(&format!("{what} {answer} {without}")), "{what}: {help}");
    }
}

/// `docs/PROMISES.md` names a test for each promise, as `FILE::TEST`.
#[test]
fn every_promise_has_tests_that_exist() {
    let root = workspace();
    let text = fs::read_to_string(root.join("docs/PROMISES.md")).expect("a document");
    let is_untried = |line: &&str| line.contains("| not tried: ");
    let rows = text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| fault "));
    let rows = rows.filter(|line| !is_untried(line));
    let mut count = 0;
    for row in rows {
        let cell = row.trim_end_matches([' ', '|']).rsplit(" | ").next().expect("a cell");
        let named: Vec<_> = cell.split('`').filter_map(|word| word.split_once("::")).collect();
        assert!(!named.is_empty(), "no test: {row}");
        for (file, test) in named {
            let code = fs::read_to_string(root.join(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
            assert!(code.contains(&format!("fn {test}(")), "{file} has no {test}");
        }
        count += 1;
    }
    assert!(count > 30, "only {count} promises were found");
}

/// What the loop of the README leaves: one line of names, a line for each board, no identity twice.
#[test]
fn the_readme_makes_a_table_of_twenty_boards() {
    let blocks = blocks(&workspace().join("README.md"));
    let line = blocks.iter().flatten().find(|line| line.starts_with("for ")).expect("a loop");
    let world = World::new();
    world.run(line);
    let table = fs::read_to_string(world.dir.path().join("boards.csv")).expect("the table");
    assert!(table.starts_with("target,state,uuid,"), "{table}");
    let column = |number: usize| -> BTreeSet<_> {
        table.lines().skip(1).filter_map(|line| line.split(',').nth(number)).map(str::to_owned).collect()
    };
    let hostnames: BTreeSet<_> = (1..=20).map(|number| format!("panda-{number:02}")).collect();
    assert_eq!((table.lines().count(), column(2).len()), (21, 20), "{table}");
    assert_eq!(column(4), hostnames);
}

/// A docstring of one to three words says less than the name under it. The command line's are `--help`, where few words do.
#[test]
fn docstrings_are_sentences() {
    let root = workspace();
    let crates =
        ["identity-core", "identity-layout", "identity-host", "identity-ui", "identity-cli", "uboot-patch"];
    let mut folders: Vec<_> = crates.iter().map(|name| root.join(name).join("src")).collect();
    let mut short = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else if !path.starts_with(root.join("identity-cli/src/args")) {
                let text = fs::read_to_string(&path).expect("a source file");
                let name = path.strip_prefix(root).expect("inside").display().to_string();
                short.extend(short_docstrings(&text).into_iter().map(|doc| format!("{name}: {doc}")));
            }
        }
    }
    assert!(short.is_empty(), "{}", short.join("\n"));
}

/// Docstrings of one line and fewer than four words.
fn short_docstrings(text: &str) -> Vec<String> {
    let lines: Vec<_> = text.lines().map(str::trim).collect();
    let doc = |index: usize| lines.get(index).and_then(|line| line.strip_prefix("///"));
    let is_alone = |index: usize| {
        let before = index.checked_sub(1).and_then(doc);
        before.is_none() && doc(index + 1).is_none_or(|line| line.trim().is_empty())
    };
    let is_short = |words: &&str| (1..4).contains(&words.split_whitespace().count());
    let alone = (0..lines.len()).filter(|&index| is_alone(index));
    alone.filter_map(doc).map(str::trim).filter(is_short).map(str::to_owned).collect()
}
