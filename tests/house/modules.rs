// SPDX-License-Identifier: MIT OR Apache-2.0
//! No circle among modules that lie beside each other, at any depth. A module and those below it may name each other: they
//! are one thing in several files.

use std::collections::BTreeMap;
use std::fs;

use identity_tests::workspace;

use crate::source::{Place, Reference, Source};

pub const CRATES: &[&str] = &[
    "identity-core",
    "identity-layout",
    "identity-host",
    "identity-ui",
    "identity-cli",
    "identity-lab",
    "identity-netroot",
    "uboot-patch",
    "fixtures",
];

/// The one module that may name those that use it, though no more of them than types: a crate's `Error` is the sum of its
/// modules' reasons.
const SUM_OF_REASONS: (&str, &str) = ("identity-host", "error");

/// From one module to one beside it, and where it is named.
type Arrows = BTreeMap<String, BTreeMap<String, Place>>;

/// The arrows among the modules below each module.
fn arrows(references: &[Reference]) -> BTreeMap<String, Arrows> {
    let mut all: BTreeMap<String, Arrows> = BTreeMap::new();
    for Reference { from, to, place, .. } in references {
        let common = from.iter().zip(to).take_while(|(from, to)| from == to).count();
        if let (Some(one), Some(other)) = (from.get(common), to.get(common)) {
            let arrows = all.entry(from[..common].join("::")).or_default().entry(one.clone()).or_default();
            arrows.entry(other.clone()).or_insert_with(|| place.clone());
        }
    }
    all
}

/// A circle: each module of it, and where it names the next.
fn circle(arrows: &Arrows) -> Option<Vec<(&str, &Place)>> {
    fn walk<'a>(
        arrows: &'a Arrows,
        way: &mut Vec<(&'a str, &'a Place)>,
        at: &'a str,
        done: &mut Vec<&'a str>,
    ) -> bool {
        if let Some(start) = way.iter().position(|(module, _)| *module == at) {
            way.drain(..start);
            return true;
        }
        if done.contains(&at) {
            return false;
        }
        for (next, place) in arrows.get(at).into_iter().flatten() {
            way.push((at, place));
            if walk(arrows, way, next, done) {
                return true;
            }
            way.pop();
        }
        done.push(at);
        false
    }
    let mut done = Vec::new();
    arrows.keys().find_map(|start| {
        let mut way = Vec::new();
        walk(arrows, &mut way, start, &mut done).then_some(way)
    })
}

#[test]
fn no_modules_go_round_in_a_circle() {
    let mut circles = Vec::new();
    for name in CRATES {
        let source = Source::of_library(&workspace().join(name));
        let (owner, sum) = SUM_OF_REASONS;
        let mut references = source.references();
        references.retain(|reference| *name != owner || reference.from != [sum]);
        for (parent, arrows) in arrows(&references) {
            if let Some(circle) = circle(&arrows) {
                let steps: Vec<_> =
                    circle.iter().map(|(module, place)| format!("  {module}, at {place}")).collect();
                circles.push(format!("{name}, below crate::{parent}:\n{}", steps.join("\n")));
            }
        }
    }
    assert!(
        circles.is_empty(),
        "each of these names the next, and the last the first\n{}",
        circles.join("\n")
    );
}

#[test]
fn the_sum_of_reasons_names_types_alone() {
    let (owner, sum) = SUM_OF_REASONS;
    let references = Source::of_library(&workspace().join(owner)).references();
    let mut count = 0;
    for reference in references.iter().filter(|reference| reference.from == [sum]) {
        let item = reference.item.last().map_or("", String::as_str);
        assert!(item.starts_with(char::is_uppercase), "{}: `{item}` is no type", reference.place);
        count += 1;
    }
    assert!(count > 5, "only {count}: the exception is not needed");
}

#[test]
fn the_reader_of_modules_sees_what_is_there() {
    let source = Source::of_library(&workspace().join("identity-host"));
    assert!(source.modules() > 40, "{}", source.modules());
    let references = source.references();
    let has = |from: &[&str], to: &[&str]| {
        references.iter().any(|reference| reference.from == from && reference.to == to)
    };
    // By `use`, by a path in the code, by `super`, through what another module passes on; and none of the tests'.
    assert!(has(&["scan"], &["first_sectors"]));
    assert!(has(&["image", "bmap"], &["hex"]));
    assert!(has(&["device", "file"], &["device", "safety"]));
    assert!(has(&["scan"], &["device"]));
    assert!(!references.iter().any(|reference| reference.to == ["testing"]));
}

/// What `lib.rs` says first, and its modules, those for tests left out.
fn head_and_modules(name: &str) -> (String, Vec<String>) {
    let directory = workspace().join(name);
    let text = fs::read_to_string(directory.join("src/lib.rs")).expect("a library");
    let head: Vec<_> = text.lines().skip(1).take_while(|line| line.starts_with("//!")).collect();
    (head.join("\n"), Source::of_library(&directory).top_modules())
}

#[test]
fn the_picture_of_a_crate_has_each_of_its_modules() {
    for name in CRATES {
        let (head, modules) = head_and_modules(name);
        let picture = head.split("```").nth(1).unwrap_or_else(|| panic!("{name}/src/lib.rs has no picture"));
        let words: Vec<_> = picture.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        for module in modules {
            assert!(words.contains(&&module[..]), "{name}/src/lib.rs: {module} is not in the picture");
        }
    }
}

#[test]
fn each_crate_has_a_readme_with_an_example_that_is_a_test() {
    for name in CRATES.iter().filter(|name| **name != "fixtures") {
        let readme = fs::read_to_string(workspace().join(name).join("README.md")).expect("a README");
        assert!(readme.contains("\n```rust\n") && readme.lines().count() < 45, "{name}/README.md");
        let library = fs::read_to_string(workspace().join(name).join("src/lib.rs")).expect("a library");
        let is_test = library.contains("#[cfg(doctest)]\n#[doc = include_str!(\"../README.md\")]\n");
        assert!(is_test, "{name}/src/lib.rs does not run the example in its README");
    }
}
