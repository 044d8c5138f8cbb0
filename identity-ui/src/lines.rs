// SPDX-License-Identifier: MIT OR Apache-2.0
//! Aligned lines and colours for people; the colours only on a terminal.

use anstyle::{AnsiColor, Style};

/// `name  value` lines, the names aligned.
#[derive(Debug, Default)]
pub struct Lines {
    lines: Vec<(String, String)>,
}

impl Lines {
    /// Adds a line with this name and value.
    pub fn add(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.lines.push((name.into(), value.into()));
    }

    /// Adds a line if there is a value.
    pub fn add_some(&mut self, name: &str, value: Option<&String>) {
        if let Some(value) = value {
            self.add(name, value);
        }
    }

    /// All lines, their values aligned.
    pub fn text(&self) -> String {
        let width = self.lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        let style = Style::new().dimmed();
        self.lines.iter().map(|(name, value)| format!("{style}{name:width$}{style:#}  {value}\n")).collect()
    }
}

/// A text in which nothing is invisible or changes how the rest is shown: control and format characters, such as those
/// that turn the direction of writing, stand as `\u{202e}`.
pub fn escaped(text: &str) -> String {
    let one = |char: char| {
        if char.is_ascii() && !char.is_ascii_control() {
            return char.to_string();
        }
        if is_blank_mark(char) {
            return char.escape_unicode().to_string();
        }
        // Behind a letter, a combining mark is left as it is.
        String::from_iter(['a', char]).escape_debug().skip(1).collect()
    };
    text.chars().map(one).collect()
}

/// What a terminal shows as nothing although it is a letter or a mark: fillers and variation selectors. Source: Unicode 16,
/// `Default_Ignorable_Code_Point` outside of category Cf, and the blank pattern of Braille.
fn is_blank_mark(char: char) -> bool {
    matches!(char, '\u{34f}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{2800}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{e0000}'..='\u{e0fff}')
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

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn format_characters_are_visible() {
        for char in "\u{ad}\u{600}\u{61c}\u{6dd}\u{70f}\u{180e}\u{200b}\u{200d}\u{200e}\u{202a}\u{202e}\u{2060}\
                     \u{2066}\u{2069}\u{feff}\u{fff9}\u{110bd}\u{1d173}\u{e0001}\u{e007f}\u{2028}\u{9b}\u{7f}\u{1b}\u{34f}\u{115f}\u{3164}\u{fe0f}\u{ffa0}\u{e0100}\u{2800}"
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
