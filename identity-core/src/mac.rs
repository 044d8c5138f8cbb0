// SPDX-License-Identifier: MIT OR Apache-2.0
//! A MAC address that a board may use: six bytes, unicast, not all zero.

use core::fmt;
use core::str::FromStr;

use crate::sector::all_are;

/// Length of a MAC address in bytes.
pub const MAC_LEN: usize = 6;

/// Set in the first byte of a group (multicast or broadcast) address, IEEE 802-2014 section 8.2.2.
const GROUP_BIT: u8 = 0x01;
/// Set in the first byte of a locally administered address, same source.
const LOCAL_BIT: u8 = 0x02;

/// A unicast, non-zero MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mac([u8; MAC_LEN]);

/// Why six bytes or a text are not a usable MAC address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MacError {
    /// Not six pairs of hex digits joined by `:` (or by `-`).
    Syntax,
    /// All six bytes are zero.
    Zero,
    /// A multicast or broadcast address.
    Multicast,
}

impl fmt::Display for MacError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "is not six pairs of hex digits like 02:00:5e:10:00:01",
            Self::Zero => "is all zero",
            Self::Multicast => "is a multicast address; an interface needs a unicast one (even first byte)",
        })
    }
}

/// [`Mac::new`], where they lie.
pub(crate) fn check(bytes: &[u8; MAC_LEN]) -> Result<(), MacError> {
    let [first, ..] = bytes;
    if first & GROUP_BIT != 0 {
        Err(MacError::Multicast)
    } else if all_are(bytes, 0) {
        Err(MacError::Zero)
    } else {
        Ok(())
    }
}

/// [`Mac::locally_administered`], where they lie.
pub(crate) fn make_local(bytes: &mut [u8; MAC_LEN]) {
    let [first, ..] = bytes;
    *first = *first & !GROUP_BIT | LOCAL_BIT;
}

impl Mac {
    /// Takes six bytes as a unicast, non-zero address.
    pub fn new(bytes: [u8; MAC_LEN]) -> Result<Self, MacError> {
        check(&bytes).map(|()| Self(bytes))
    }

    /// Of bytes that have been checked, or made by [`make_local`].
    pub(crate) fn of_checked(bytes: [u8; MAC_LEN]) -> Self {
        Self(bytes)
    }

    /// Makes a locally administered unicast address of any six bytes, by setting the two bits that say so.
    pub fn locally_administered(bytes: [u8; MAC_LEN]) -> Self {
        let mut bytes = bytes;
        make_local(&mut bytes);
        Self(bytes)
    }

    /// The six bytes as sent on the wire.
    pub fn bytes(self) -> [u8; MAC_LEN] {
        self.0
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, f] = self.0;
        write!(out, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{f:02x}")
    }
}

impl FromStr for Mac {
    type Err = MacError;

    fn from_str(text: &str) -> Result<Self, MacError> {
        let separator = if text.contains('-') { '-' } else { ':' };
        let mut bytes = [0; MAC_LEN];
        let mut pairs = text.split(separator);
        for byte in &mut bytes {
            let pair = pairs.next().ok_or(MacError::Syntax)?;
            // from_str_radix would take a sign.
            if pair.len() != 2 || !pair.bytes().all(|digit| digit.is_ascii_hexdigit()) {
                return Err(MacError::Syntax);
            }
            *byte = u8::from_str_radix(pair, 16).map_err(|_| MacError::Syntax)?;
        }
        if pairs.next().is_some() {
            return Err(MacError::Syntax);
        }
        Self::new(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::string::ToString;

    #[test]
    fn text_and_back() {
        let mac: Mac = "02:00:5E:10:00:01".parse().unwrap();
        assert_eq!(mac.bytes(), [0x02, 0, 0x5e, 0x10, 0, 1]);
        assert_eq!(mac.to_string(), "02:00:5e:10:00:01");
        assert_eq!("02-00-5e-10-00-01".parse(), Ok(mac));
    }

    #[test]
    fn refused() {
        for (text, error) in [
            ("", MacError::Syntax),
            ("02:00:5e:10:00", MacError::Syntax),
            ("02:00:5e:10:00:01:02", MacError::Syntax),
            ("02:00:5e-10:00:01", MacError::Syntax),
            ("2:0:5e:10:0:1", MacError::Syntax),
            ("+2:00:5e:10:00:01", MacError::Syntax),
            ("00:00:00:00:00:00", MacError::Zero),
            ("01:00:5e:00:00:01", MacError::Multicast),
            ("ff:ff:ff:ff:ff:ff", MacError::Multicast),
        ] {
            assert_eq!(text.parse::<Mac>(), Err(error), "{text}");
        }
    }

    #[test]
    fn local_bits() {
        assert_eq!(Mac::locally_administered([0xff; 6]).bytes(), [0xfe, 255, 255, 255, 255, 255]);
        assert_eq!(Mac::locally_administered([0; 6]).bytes(), [2, 0, 0, 0, 0, 0]);
    }
}
