// SPDX-License-Identifier: MIT OR Apache-2.0
//! Lengths in bytes for people.

use std::fmt;

/// A length in bytes, in powers of 1024 as the options and partition tools have them: `512 B`, `4 MiB`, `1.5 MiB`.
#[derive(Clone, Copy, Debug)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const UNITS: [(&str, u64); 5] =
            [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
        let (unit, len) = UNITS.into_iter().find(|(_, len)| self.0 >= *len).unwrap_or(("B", 1));
        match (self.0 / len, (self.0 % len).saturating_mul(10) / len) {
            (whole, 0) => write!(f, "{whole} {unit}"),
            (whole, tenth) => write!(f, "{whole}.{tenth} {unit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Size;

    #[test]
    fn sizes() {
        for (bytes, text) in [
            (0, "0 B"),
            (512, "512 B"),
            (1023, "1023 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (2047 * 512, "1023.5 KiB"),
            (4 << 20, "4 MiB"),
            (31_914_983_424, "29.7 GiB"),
            (u64::MAX, "16777215.9 TiB"),
        ] {
            assert_eq!(Size(bytes).to_string(), text);
        }
    }
}
