// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lengths in bytes for people.

use std::fmt;

/// A length in bytes, in powers of 1000 as on the card's label.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [&str; 5] = ["B", "kB", "MB", "GB", "TB"];
        let (mut value, mut unit) = (self.0, 0);
        let mut rest = 0;
        while value >= 1000 && unit + 1 < UNITS.len() {
            (value, rest, unit) = (value / 1000, value % 1000, unit + 1);
        }
        if unit == 0 { write!(f, "{value} B") } else { write!(f, "{value}.{} {}", rest / 100, UNITS[unit]) }
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes() {
        for (bytes, text) in [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (31_914_983_424, "31.9 GB")] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
