// SPDX-License-Identifier: MIT OR Apache-2.0
//! TOML files of the lab, read strictly: an unknown key and a wrong type are errors with their line.

use std::ops::Range;
use std::path::{Path, PathBuf};

use identity_ui::{Failure, Result};
use toml_edit::{Document, Item, TableLike, Value};

use crate::place::{Place, Placed, line_and_column, read_text};

/// A TOML file that was read.
pub struct TomlFile {
    path: PathBuf,
    document: Document<String>,
}

impl TomlFile {
    /// Reads a file.
    ///
    /// # Errors
    /// Exit 4 if it cannot be read, or is not TOML.
    pub fn read(path: &Path) -> Result<Self> {
        Self::parse(path, read_text(path)?)
    }

    /// Reads a text; `path` is for messages.
    ///
    /// # Errors
    /// Exit 4 with line and column if it is not TOML.
    pub fn parse(path: &Path, text: String) -> Result<Self> {
        let document = Document::parse(text.clone()).map_err(|error| {
            let (line, column) = line_and_column(&text, error.span().map_or(0, |span| span.start));
            Place::column(path, line, column).unreadable(error.message().trim().replace('\n', "; "))
        })?;
        Ok(Self { path: path.to_owned(), document })
    }

    fn place(&self, span: Option<Range<usize>>) -> Place {
        let (line, _) = line_and_column(self.document.raw(), span.map_or(0, |span| span.start));
        Place::line(&self.path, line)
    }

    /// The keys outside of every section.
    pub fn top(&self) -> Section<'_> {
        Section {
            file: self,
            name: String::new(),
            place: Place::line(&self.path, 1),
            table: Some(self.document.as_table()),
        }
    }
}

/// A section, which may be missing: then it has no key.
pub struct Section<'a> {
    file: &'a TomlFile,
    name: String,
    place: Place,
    table: Option<&'a dyn TableLike>,
}

impl<'a> Section<'a> {
    /// Whether the file has it.
    pub fn is_there(&self) -> bool {
        self.table.is_some()
    }

    /// Where it begins: at its head, else at the file's first line.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// The name as a person writes it: `[root]`, or nothing outside of every section.
    fn shown(&self) -> String {
        if self.name.is_empty() { String::new() } else { format!("[{}] ", self.name) }
    }

    fn get(&self, key: &str) -> Option<(Place, &'a Item)> {
        let (key, item) = self.table?.get_key_value(key)?;
        Some((self.file.place(key.span().or(item.span())), item))
    }

    /// Refuses every key but these.
    ///
    /// # Errors
    /// Exit 4 with the line of the first key that is not known.
    pub fn only(&self, known: &[&str]) -> Result<()> {
        for (name, item) in self.table.into_iter().flat_map(|table| table.iter()) {
            if !known.contains(&name) {
                let place = self.get(name).map_or_else(|| self.file.place(item.span()), |(place, _)| place);
                let of =
                    if self.name.is_empty() { "this file".to_owned() } else { format!("[{}]", self.name) };
                return Err(
                    place.unreadable(format!("{of} has no key `{name}`; it has {}", known.join(", ")))
                );
            }
        }
        Ok(())
    }

    /// A section below this one.
    ///
    /// # Errors
    /// Exit 4 if the key is something else.
    pub fn section(&self, key: &str) -> Result<Section<'a>> {
        let name = if self.name.is_empty() { key.to_owned() } else { format!("{}.{key}", self.name) };
        let Some((place, item)) = self.get(key) else {
            return Ok(Section { file: self.file, name, place: self.place.clone(), table: None });
        };
        let Some(table) = item.as_table_like() else {
            return Err(place.unreadable(format!("`{key}` is not a section; write [{name}]")));
        };
        Ok(Section { file: self.file, name, place, table: Some(table) })
    }

    fn value<T>(
        &self,
        key: &str,
        is: &str,
        convert: impl FnOnce(&Value) -> Option<T>,
    ) -> Result<Option<Placed<T>>> {
        let Some((place, item)) = self.get(key) else { return Ok(None) };
        match item.as_value().and_then(convert) {
            Some(value) => Ok(Some(Placed { value, place })),
            None => Err(place.unreadable(format!("{}{key} is not {is}", self.shown()))),
        }
    }

    /// A text that is not empty.
    ///
    /// # Errors
    /// Exit 4 if it is of another type, or empty.
    pub fn text(&self, key: &str) -> Result<Option<Placed<String>>> {
        self.value(key, "a text in quotes", |value| {
            value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
        })
    }

    /// The same where the file must have it.
    ///
    /// # Errors
    /// Exit 4 if it is missing, too.
    pub fn needed_text(&self, key: &str) -> Result<Placed<String>> {
        self.text(key)?.ok_or_else(|| self.place.unreadable(format!("{}{key} is missing", self.shown())))
    }

    /// A number from 0 to `max`; a text with a hexadecimal number counts too, as U-Boot writes addresses.
    ///
    /// # Errors
    /// Exit 4 if it is of another type, or larger.
    pub fn number(&self, key: &str, max: u64) -> Result<Option<Placed<u64>>> {
        let is = format!("a number from 0 to {max}");
        self.value(key, &is, |value| {
            let number = match value {
                Value::Integer(number) => u64::try_from(*number.value()).ok(),
                Value::String(text) => {
                    let digits = text.value().strip_prefix("0x").unwrap_or(text.value());
                    u64::from_str_radix(digits, 16).ok()
                }
                _ => None,
            };
            number.filter(|number| *number <= max)
        })
    }

    /// A list of texts, each with its own line; one text stands for a list of one.
    ///
    /// # Errors
    /// Exit 4 if one is of another type.
    pub fn list(&self, key: &str) -> Result<Vec<Placed<String>>> {
        let Some((place, item)) = self.get(key) else { return Ok(Vec::new()) };
        let wrong = |place: &Place| -> Failure {
            place.unreadable(format!("{}{key} is not a list of texts in quotes", self.shown()))
        };
        match item.as_value() {
            Some(Value::String(text)) => Ok(vec![Placed { value: text.value().clone(), place }]),
            Some(Value::Array(list)) => list
                .iter()
                .map(|one| {
                    let place = self.file.place(one.span());
                    match one.as_str() {
                        Some(text) if !text.is_empty() => Ok(Placed { value: text.to_owned(), place }),
                        _ => Err(wrong(&place)),
                    }
                })
                .collect(),
            _ => Err(wrong(&place)),
        }
    }

    /// One of some words.
    ///
    /// # Errors
    /// Exit 4 if it is another.
    pub fn one_of<T: Copy>(&self, key: &str, words: &[(&str, T)]) -> Result<Option<Placed<T>>> {
        let Some(text) = self.text(key)? else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == text.value) {
            Some((_, value)) => Ok(Some(text.map(|_| *value))),
            None => {
                let names: Vec<_> = words.iter().map(|(word, _)| format!("\"{word}\"")).collect();
                Err(text.place.unreadable(format!(
                    "{}{key} is \"{}\"; it is one of {}",
                    self.shown(),
                    text.value,
                    names.join(", ")
                )))
            }
        }
    }
}
