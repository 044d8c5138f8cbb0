// SPDX-License-Identifier: MIT OR Apache-2.0
//! A card's number, as far as every host delivers it.

use std::fmt;
use std::str::FromStr;

use identity_core::field::CID_LEN;

/// A CID (SD Physical Layer Specification, section 5.2) with its last byte, the checksum, zero: some hosts do not
/// deliver that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cid([u8; CID_LEN]);

impl Cid {
    /// Of these bytes, the checksum masked.
    pub fn new(mut bytes: [u8; CID_LEN]) -> Self {
        bytes[CID_LEN - 1] = 0;
        Self(bytes)
    }

    /// The first 15 bytes of the CID, and a zero for its checksum.
    pub fn bytes(&self) -> &[u8; CID_LEN] {
        &self.0
    }
}

impl FromStr for Cid {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const RULE: &str =
            "a CID has 32 hex digits, as in /sys/block/mmcblk0/device/cid, and is not all zero";
        if text.len() != 2 * CID_LEN || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(RULE);
        }
        let number = u128::from_str_radix(text, 16).map_err(|_| RULE)?;
        let cid = Self::new(number.to_be_bytes());
        if cid.0 == [0; CID_LEN] { Err(RULE) } else { Ok(cid) }
    }
}

impl fmt::Display for Cid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", u128::from_be_bytes(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_does_not_count() {
        let cid = |text: &str| text.parse::<Cid>();
        assert_eq!(cid("035344534C33324780AABBCCDD0155E7"), cid("035344534c33324780aabbccdd015500"));
        assert_eq!(
            cid("035344534C33324780AABBCCDD0155E7").unwrap().to_string(),
            "035344534c33324780aabbccdd015500"
        );
        assert_ne!(cid("035344534c33324780aabbccdd015500"), cid("035344534c33324780aabbccdd015400"));
    }

    #[test]
    fn what_is_no_cid() {
        for text in ["", "03", "+35344534c33324780aabbccdd015500", "000000000000000000000000000000e7"] {
            assert!(text.parse::<Cid>().is_err(), "{text}");
        }
    }
}
