// SPDX-License-Identifier: MIT OR Apache-2.0
//! A crate's source as tokens: its modules, the paths they name, their words and strings. Test code is left out, and so are
//! comments and attributes.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use proc_macro2::{Delimiter, TokenStream, TokenTree};

/// `["device", "file"]` for `crate::device::file`; empty for the crate's root.
pub type ModulePath = Vec<String>;

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    file: PathBuf,
    line: usize,
}

impl Place {
    /// Whether it is in this file.
    pub fn is_in(&self, file: &Path) -> bool {
        self.file == file
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// One module, without those below it.
#[derive(Debug, Default)]
struct Module {
    /// What a `use` brings into it, and where from.
    names: BTreeMap<String, ModulePath>,
    /// Paths below the crate's root that it names.
    paths: Vec<(ModulePath, Place)>,
}

/// One crate.
#[derive(Debug, Default)]
pub struct Source {
    modules: BTreeMap<ModulePath, Module>,
    /// Each identifier, and whether `!` follows it.
    pub words: Vec<(String, bool, Place)>,
    /// Each literal as it is written.
    pub literals: Vec<(String, Place)>,
    /// Each function that is called by its name or through a path, not as a method.
    calls: Vec<(String, Place)>,
}

/// Something in one module that names something in another.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The module that names it.
    pub from: ModulePath,
    /// The module it is in.
    pub to: ModulePath,
    /// Its name there; empty if the module itself is meant.
    pub item: ModulePath,
    /// Where.
    pub place: Place,
}

impl Source {
    /// The library of the crate in this directory.
    pub fn of_library(directory: &Path) -> Self {
        let mut source = Self::default();
        source.file(&directory.join("src/lib.rs"), &directory.join("src"), &[]);
        source
    }

    /// Adds a file that is the module `path`; those below it are in `below`.
    fn file(&mut self, file: &Path, below: &Path, path: &[String]) {
        let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let tokens = text.parse().unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        self.modules.entry(path.to_vec()).or_default();
        self.tokens(tokens, &File { file, below }, path);
    }

    fn tokens(&mut self, tokens: TokenStream, at: &File<'_>, path: &[String]) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let mut rest = &tokens[..];
        let mut is_method = false;
        while let Some((first, mut after)) = rest.split_first() {
            match first {
                TokenTree::Punct(hash) if hash.as_char() == '#' => {
                    after = after.strip_prefix_punct('!');
                    if let Some((TokenTree::Group(attribute), behind)) = after.split_first() {
                        after = if is_for_tests(&attribute.stream()) { behind.behind_item() } else { behind };
                    }
                }
                TokenTree::Ident(word) if word == "mod" => {
                    if let [TokenTree::Ident(name), next, behind @ ..] = after {
                        let path = [path, &[name.to_string()]].concat();
                        let below = at.below.join(name.to_string());
                        match next {
                            TokenTree::Group(body) => {
                                self.modules.entry(path.clone()).or_default();
                                self.tokens(body.stream(), &File { file: at.file, below: &below }, &path);
                            }
                            _ => {
                                let files = [below.with_extension("rs"), below.join("mod.rs")];
                                let file = files.iter().find(|file| file.exists());
                                self.file(file.expect("a declared module has a file"), &below, &path);
                            }
                        }
                        after = behind;
                    }
                }
                TokenTree::Ident(word) if word == "use" && !after.starts_with_punct('<') => {
                    let end = after.iter().position(|token| is_punct(token, ';')).expect("a use ends");
                    self.imports(&after[..end], &[], at, path);
                    after = &after[end..];
                }
                TokenTree::Ident(word) => {
                    let bang = after.starts_with_punct('!') && !after[1..].starts_with_punct('=');
                    self.words.push((word.to_string(), bang, at.place(first)));
                    let mut named = vec![word.to_string()];
                    while let [colon, other, TokenTree::Ident(word), behind @ ..] = after {
                        if !is_punct(colon, ':') || !is_punct(other, ':') {
                            break;
                        }
                        self.words.push((word.to_string(), false, at.place(&after[2])));
                        named.push(word.to_string());
                        after = behind;
                    }
                    let is_called = matches!(after, [TokenTree::Group(group), ..] if group.delimiter() == Delimiter::Parenthesis);
                    if is_called && !is_method {
                        self.calls.push((named.last().expect("a word").clone(), at.place(first)));
                    }
                    if let Some(full) = absolute(&named, path).filter(|_| named.len() > 1) {
                        self.module(path).paths.push((full, at.place(first)));
                    }
                }
                TokenTree::Group(group) => self.tokens(group.stream(), at, path),
                TokenTree::Literal(literal) => self.literals.push((literal.to_string(), at.place(first))),
                TokenTree::Punct(_) => {}
            }
            is_method = is_punct(first, '.');
            rest = after;
        }
    }

    /// The tree of a `use`: each name that it brings, and the path behind it.
    fn imports(&mut self, tokens: &[TokenTree], before: &[String], at: &File<'_>, path: &[String]) {
        let mut named = before.to_vec();
        let mut name = None;
        let mut rest = tokens.iter().peekable();
        while let Some(token) = rest.next() {
            match token {
                TokenTree::Ident(word) if word == "as" => {
                    name = rest.next().map(ToString::to_string);
                }
                TokenTree::Ident(word) => {
                    self.words.push((word.to_string(), false, at.place(token)));
                    named.push(word.to_string());
                }
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                    let inside: Vec<_> = group.stream().into_iter().collect();
                    for part in inside.split(|token| is_punct(token, ',')).filter(|part| !part.is_empty()) {
                        self.imports(part, &named, at, path);
                    }
                    return;
                }
                _ => {}
            }
        }
        if named.len() > 1 && named.last().is_some_and(|last| last == "self") {
            named.pop();
        }
        let place = at.place(tokens.first().expect("a use names something"));
        let full = absolute(&named, path);
        let child = || [path, &named[..]].concat();
        let last = name.or_else(|| named.last().cloned()).expect("a use names something");
        // What begins with neither crate, self nor super is a child of this module, or another crate: `reference` finds none.
        let module = self.module(path);
        module.names.insert(last, full.clone().unwrap_or_else(child));
        module.paths.extend(full.map(|full| (full, place)));
    }

    fn module(&mut self, path: &[String]) -> &mut Module {
        self.modules.get_mut(path).expect("it is being read")
    }

    /// Which module a path leads to, through what is brought into others and passed on; and what is left of it there.
    fn resolve(&self, path: &[String], patience: u32) -> (ModulePath, ModulePath) {
        let mut module = ModulePath::new();
        for (index, word) in path.iter().enumerate() {
            let below = [&module[..], std::slice::from_ref(word)].concat();
            if self.modules.contains_key(&below) {
                module = below;
                continue;
            }
            return match self.modules[&module].names.get(word) {
                Some(full) if patience > 0 && full != &path[..=index] => {
                    self.resolve(&[full, &path[index + 1..]].concat(), patience - 1)
                }
                _ => (module, path[index..].to_vec()),
            };
        }
        (module, ModulePath::new())
    }

    /// Everything that a module names in another one of the crate.
    pub fn references(&self) -> Vec<Reference> {
        let all = self.modules.iter().flat_map(|(from, module)| {
            module.paths.iter().map(move |(path, place)| {
                let (to, item) = self.resolve(path, 20);
                Reference { from: from.clone(), to, item, place: place.clone() }
            })
        });
        all.filter(|reference| reference.from != reference.to).collect()
    }

    /// Where a function of one of these names is called through a path, as in `io::stdout()`.
    pub fn called(&self, names: &[&str]) -> Vec<(String, Place)> {
        let calls = self.calls.iter().filter(|(name, _)| names.contains(&&name[..]));
        calls.cloned().collect()
    }

    /// Those at the top.
    pub fn top_modules(&self) -> Vec<String> {
        self.modules.keys().filter(|path| path.len() == 1).map(|path| path[0].clone()).collect()
    }

    /// How many modules there are.
    pub fn modules(&self) -> usize {
        self.modules.len()
    }
}

struct File<'a> {
    file: &'a Path,
    /// Where the modules below this one have their files.
    below: &'a Path,
}

impl File<'_> {
    fn place(&self, token: &TokenTree) -> Place {
        Place { file: self.file.to_owned(), line: token.span().start().line }
    }
}

/// A path that begins with `crate`, `self` or `super`, below the crate's root.
fn absolute(named: &[String], path: &[String]) -> Option<ModulePath> {
    let ups = named.iter().take_while(|word| *word == "super").count();
    match named.first()?.as_str() {
        "crate" => Some(named[1..].to_vec()),
        "self" => Some([path, &named[1..]].concat()),
        "super" => Some([&path[..path.len().checked_sub(ups)?], &named[ups..]].concat()),
        _ => None,
    }
}

/// Whether an attribute, as `cfg(test)`, says that what follows is for this crate's tests alone.
fn is_for_tests(attribute: &TokenStream) -> bool {
    attribute.to_string().replace(' ', "") == "cfg(test)"
}

fn is_punct(token: &TokenTree, char: char) -> bool {
    matches!(token, TokenTree::Punct(punct) if punct.as_char() == char)
}

trait Tokens {
    fn starts_with_punct(&self, char: char) -> bool;
    fn strip_prefix_punct(&self, char: char) -> &Self;
    /// What follows the item that starts here.
    fn behind_item(&self) -> &Self;
}

impl Tokens for [TokenTree] {
    fn starts_with_punct(&self, char: char) -> bool {
        self.first().is_some_and(|token| is_punct(token, char))
    }

    fn strip_prefix_punct(&self, char: char) -> &Self {
        if self.starts_with_punct(char) { &self[1..] } else { self }
    }

    fn behind_item(&self) -> &Self {
        let has_body = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
        let is_word = |token: &TokenTree, words: &[&str]| {
            words.iter().any(|word| matches!(token, TokenTree::Ident(ident) if ident == word))
        };
        let mut ends_with_semicolon = false;
        for (index, token) in self.iter().enumerate() {
            ends_with_semicolon |= is_word(token, &["use", "static", "type"]);
            if is_punct(token, ';') || has_body(token) && !ends_with_semicolon {
                return &self[index + 1..];
            }
        }
        &[]
    }
}
