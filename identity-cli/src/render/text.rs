// SPDX-License-Identifier: MIT OR Apache-2.0
//! For people: aligned lines, colours on a terminal only.

use anstyle::{AnsiColor, Style};

use crate::plan::{Plan, Step};
use crate::view::{MacView, View};

/// `name  value` lines, the names aligned.
#[derive(Debug, Default)]
pub struct Lines {
    lines: Vec<(String, String)>,
}

impl Lines {
    /// Adds a line.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.lines.push((name.into(), value.into()));
    }

    /// Adds a line if there is a value.
    pub fn add_some(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// The text.
    pub fn text(&self) -> String {
        let width = self.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let style = Style::new().dimmed();
        self.lines.iter().map(|(name, value)| format!("{style}{name:width$}{style:#}  {value}\n")).collect()
    }
}

/// An identity.
pub fn identity(view: &View) -> String {
    let mut lines = Lines::default();
    lines.add("state", state(&view.state));
    lines.add_some("profile", view.profile.as_ref());
    lines.add_some("uuid", view.uuid.as_ref());
    lines.add_some("hostname", view.hostname.as_ref());
    lines.add_some("serial", view.serial.as_ref());
    for mac in &view.macs {
        lines.add(format!("mac {}", mac.index), mac_address(mac));
    }
    lines.add_some("machine-id", view.machine_id.as_ref());
    for (key, value) in &view.variables {
        lines.add(format!("{key}="), escaped(value));
    }
    lines.add_some("bound to card", view.bindings.card.as_ref());
    lines.add_some("bound to board", view.bindings.board.as_ref());
    if let Some(generation) = view.generation {
        lines.add("generation", generation.to_string());
    }
    let copies: Vec<_> = view.copies.iter().map(|copy| format!("LBA {} {}", copy.lba, copy.state)).collect();
    if !copies.is_empty() {
        lines.add("copies", copies.join(", "));
    }
    lines.text()
}

/// A text in which nothing is invisible or changes how the rest is shown: control and format characters, such as those
/// that turn the direction of writing, stand as `\u{202e}`.
pub fn escaped(text: &str) -> String {
    let one = |char: char| {
        if char.is_ascii() && !char.is_ascii_control() {
            return char.to_string();
        }
        // Behind a letter, a combining mark is left as it is.
        String::from_iter(['a', char]).escape_debug().skip(1).collect()
    };
    text.chars().map(one).collect()
}

/// An address and where it comes from.
pub fn mac_address(mac: &MacView) -> String {
    if mac.source == "assigned" { format!("{} (assigned)", mac.address) } else { mac.address.clone() }
}

/// A state in its colour.
pub fn state(name: &str) -> String {
    let color = match name {
        "valid" => AnsiColor::Green,
        "blank" | "degraded" | "older" => AnsiColor::Yellow,
        _ => AnsiColor::Red,
    };
    let style = color.on_default();
    format!("{style}{name}{style:#}")
}

/// A step of a plan.
pub fn step(step: &Step) -> String {
    match step {
        Step::Write { lba, .. } => format!("  LBA {lba:<5} a copy\n"),
        Step::Clear { lba } => format!("  LBA {lba:<5} zeros over an old copy\n"),
    }
}

/// The steps of a plan that is not carried out.
pub fn plan(plan: &Plan) -> String {
    let mut text = String::from("would write, in this order, each step flushed and read back:\n");
    for one in &plan.steps {
        text.push_str(&step(one));
    }
    if !plan.why.is_empty() {
        text.push_str(&format!("places: {}\n", plan.why));
    }
    text.push_str("nothing was written\n");
    text
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn format_characters_are_visible() {
        for char in "\u{ad}\u{600}\u{61c}\u{6dd}\u{70f}\u{180e}\u{200b}\u{200d}\u{200e}\u{202a}\u{202e}\u{2060}\
                     \u{2066}\u{2069}\u{feff}\u{fff9}\u{110bd}\u{1d173}\u{e0001}\u{e007f}\u{2028}\u{9b}\u{7f}\u{1b}"
            .chars()
        {
            let shown = escaped(&format!("a{char}b"));
            assert!(shown.starts_with("a\\u{") && shown.ends_with("}b"), "{shown}");
        }
    }

    #[test]
    fn other_characters_stay() {
        for text in ["Grüße, 'C:\\boot' \"x\"", "日本語", "e\u{301}", "🦀"] {
            assert_eq!(escaped(text), text);
        }
    }
}
