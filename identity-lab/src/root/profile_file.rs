// SPDX-License-Identifier: MIT OR Apache-2.0
//! A profile's text, with the files that were made: all else, comments too, stays as it was.

use std::path::Path;

use identity_ui::Result;
use toml_edit::{Array, DocumentMut, Item, Table, Value};

use crate::place::Place;

/// The files of a root that was made, relative to the lab.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The directory, and in it the names of what follows.
    pub dir: String,
    /// The name of the device tree, if the profile has one.
    pub fdt: Option<String>,
    /// Whether modules are an image of their own.
    pub has_modules: bool,
}

impl Made {
    /// The path of a file in it.
    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.dir)
    }
}

/// The text with these files. An initrd of an earlier build is replaced, one of somebody else stays behind it.
///
/// # Errors
/// Exit 4 if it is no TOML any more, or `boot` or `root` no sections.
pub fn with(file: &Path, text: &str, profile: &str, made: &Made) -> Result<String> {
    let broken = |what: String| Place::line(file, 1).unreadable(what);
    let mut document: DocumentMut =
        text.parse().map_err(|error: toml_edit::TomlError| broken(error.message().to_owned()))?;
    let mut section = |name: &str| {
        let item = document.entry(name).or_insert_with(|| Item::Table(Table::new()));
        item.as_table_like().is_some().then_some(()).ok_or_else(|| broken(format!("[{name}] is no section")))
    };
    section("boot")?;
    section("root")?;
    set(&mut document, "root", "image", made.path("root.squashfs").into());
    set(&mut document, "boot", "kernel", made.path("kernel").into());
    if let Some(fdt) = &made.fdt {
        set(&mut document, "boot", "fdt", made.path(fdt).into());
    }
    if made.has_modules {
        set(&mut document, "hardware", "modules", made.path("modules.squashfs").into());
    } else if let Some(hardware) = document.get_mut("hardware").and_then(Item::as_table_like_mut) {
        // Of an earlier build, with another kernel.
        hardware.remove("modules");
    }
    let ours = format!("images/{profile}-");
    let old = document["boot"].get("initrd").and_then(Item::as_value);
    let others: Vec<String> = match old {
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        Some(one) => one.as_str().map(str::to_owned).into_iter().collect(),
        None => Vec::new(),
    };
    let mut list = Array::new();
    list.push(made.path("initrd"));
    for other in others.iter().filter(|path| !(path.starts_with(&ours) && path.ends_with("/initrd"))) {
        list.push(other.as_str());
    }
    set(&mut document, "boot", "initrd", list.into());
    Ok(document.to_string())
}

fn set(document: &mut DocumentMut, section: &str, key: &str, mut value: Value) {
    let Some(table) = document[section].as_table_like_mut() else { return };
    match table.get_mut(key).and_then(Item::as_value_mut) {
        // The comment behind it stays.
        Some(old) => {
            *value.decor_mut() = old.decor().clone();
            *old = value;
        }
        None => {
            table.insert(key, Item::Value(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_set_and_all_else_stays() {
        let text = "# pandas\n[boot]\nkernel = \"boot/zImage\" # the old one\ninitrd = [\"images/p-000000000000/initrd\", \"extra\"]\n\
                    fdt = \"images/p-000000000000/b.dtb\"\nargs = [\n  \"a\", # why\n]\n\n[root]\ntransport = \"nbd\" # fast\n\n[build]\narch = \"armhf\"\n";
        let made =
            Made { dir: "images/p-0123456789ab".into(), fdt: Some("b.dtb".into()), has_modules: false };
        let new = with(Path::new("p.toml"), text, "p", &made).expect("a profile");
        let wanted = "# pandas\n[boot]\nkernel = \"images/p-0123456789ab/kernel\" # the old one\n\
                      initrd = [\"images/p-0123456789ab/initrd\", \"extra\"]\nfdt = \"images/p-0123456789ab/b.dtb\"\n\
                      args = [\n  \"a\", # why\n]\n\n[root]\ntransport = \"nbd\" # fast\n\
                      image = \"images/p-0123456789ab/root.squashfs\"\n\n[build]\narch = \"armhf\"\n";
        assert_eq!(new, wanted);
        assert_eq!(with(Path::new("p.toml"), &new, "p", &made).expect("a profile"), new);
        let bare = with(Path::new("p.toml"), "[root]\n", "p", &made).expect("a profile");
        assert!(bare.contains("[boot]\nkernel = \"images/p-0123456789ab/kernel\"\n"), "{bare}");
    }
}
