// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a document, or a comment in the code, names in the source tree is there.

use std::fs;
use std::path::PathBuf;

use identity_tests::workspace;

use crate::files;

/// `a/{b,c}/d` as `a/b/d` and `a/c/d`.
fn expanded(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.to_owned()] };
    let Some((inside, after)) = rest.split_once('}') else { return vec![path.to_owned()] };
    inside.split(',').flat_map(|one| expanded(&format!("{before}{one}{after}"))).collect()
}

/// Web pages with the names of files.
const NOT_FILES: &[&str] = &["rustup.rs"];

/// The directories at the top of the tree.
fn top() -> Vec<String> {
    let entries = fs::read_dir(workspace()).expect("the tree").map(|entry| entry.expect("an entry"));
    let directories = entries.filter(|entry| entry.path().is_dir() && entry.file_name() != "target");
    directories.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Whether the first word of a path is a directory at the top.
fn is_below(path: &str, top: &[String]) -> bool {
    path.split_once('/').is_some_and(|(first, _)| top.iter().any(|name| name == first))
}

/// Whether a path is in the tree, `*` standing for any part of a name. One that does not begin at the top may be the end of
/// another.
fn is_there(path: &str, all: &[PathBuf], top: &[String]) -> bool {
    let fits = |pattern: &str, name: &str| match pattern.split_once('*') {
        None => pattern == name,
        Some((before, after)) => name.starts_with(before) && name.ends_with(after),
    };
    let wanted: Vec<_> = path.trim_matches('/').split('/').collect();
    let ends_so = |file: &PathBuf| {
        let words: Vec<_> = file.iter().map(|word| word.to_string_lossy()).collect();
        let start = words.len().checked_sub(wanted.len()).filter(|start| *start == 0 || !is_below(path, top));
        let part = start.map(|start| &words[start..]);
        part.is_some_and(|part| wanted.iter().zip(part).all(|(pattern, name)| fits(pattern, name)))
    };
    all.iter().any(ends_so)
}

/// What a document calls by a path: everything below a directory of ours, and files of Rust by the end of their path.
fn named(text: &str, top: &[String]) -> Vec<String> {
    let is_part = |c: char| c.is_alphanumeric() || "/._-{},*".contains(c);
    let words = text.split(|c: char| !is_part(c)).map(|word| word.trim_end_matches([',', '.']));
    let words = words.map(|word| word.trim_start_matches("./").trim_start_matches("../"));
    let is_path = |word: &&str| {
        let is_file = word.ends_with(".rs") && !word.starts_with("//") && !NOT_FILES.contains(word);
        is_file || is_below(word, top)
    };
    words.filter(is_path).flat_map(expanded).collect()
}

#[test]
fn what_a_document_or_a_comment_names_in_the_tree_is_there() {
    let mut all = files(&[""]);
    let directories: Vec<_> =
        all.iter().flat_map(|file| file.ancestors().skip(1)).map(PathBuf::from).collect();
    all.extend(directories);
    all.sort();
    all.dedup();
    let top = top();
    let mut count = 0;
    let mut missing = Vec::new();
    for document in files(&[".md", ".rs"]) {
        let text = fs::read_to_string(workspace().join(&document)).expect("text");
        let is_code = document.extension().is_some_and(|end| end == "rs");
        let text: String = text
            .lines()
            .filter(|line| !is_code || line.trim_start().starts_with("//"))
            .map(|line| format!("{line}\n"))
            .collect();
        for path in named(&text, &top) {
            count += 1;
            if !is_there(&path, &all, &top) {
                missing.push(format!("{}: {path}", document.display()));
            }
        }
    }
    assert!(missing.is_empty(), "these name what is not there:\n{}", missing.join("\n"));
    assert!(count > 100, "only {count} paths were found");
}
