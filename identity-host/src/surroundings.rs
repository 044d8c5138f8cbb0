// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which card and which board an identity is read on, as far as this host knows: what bindings are compared with.

use identity_core::field::kind;
use identity_core::{Identity, State, binding};

use crate::device::info::DeviceInfo;
use crate::device::sysfs::Host;
use crate::device::{Cid, Target};

/// The device tree that Linux got.
pub const DEVICE_TREE: &str = "sys/firmware/devicetree/base";

/// Where an identity is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Surroundings {
    /// The card's CID, or why it is not known.
    pub card: Result<Cid, &'static str>,
    /// The board's serial numbers, the best first: by several ways, a board may have several. None where the card is
    /// not in the board's own slot.
    boards: Vec<String>,
    /// A serial number that U-Boot may have copied out of an identity.
    copied: Option<String>,
}

impl Surroundings {
    /// An image file, or a card that nothing is known of.
    pub fn unknown(reason: &'static str) -> Self {
        Self { card: Err(reason), boards: Vec::new(), copied: None }
    }

    /// Of an open target.
    pub fn of_target(target: &Target) -> Self {
        match target.info() {
            Some(info) => Self::new(&Host::here(), info),
            None if target.is_block_device() => Self::unknown("the CID is not known without /sys"),
            None => Self::unknown("an image file has no CID"),
        }
    }

    /// Of a block device. The board counts only where the CID is visible: a card in a USB reader is on its way to
    /// another board.
    pub fn new(host: &Host, info: &DeviceInfo) -> Self {
        let Some(cid) = info.cid else { return Self::unknown("this reader does not show the card's CID") };
        let serial = |path: &str| host.text(path).filter(|text| is_serial(text));
        let ways = [
            serial(&format!("{DEVICE_TREE}/chosen/identity/board-serial")),
            serial("sys/devices/soc0/serial_number"),
        ];
        let copied = serial(&format!("{DEVICE_TREE}/serial-number"));
        Self { card: Ok(cid), boards: ways.into_iter().flatten().collect(), copied }
    }

    /// The board's serial number for this identity: the one that it is bound to, if that is one of them; else the
    /// best.
    pub fn board(&self, identity: &Identity) -> Option<&str> {
        // U-Boot gives the identity's own serial to Linux as the board's.
        let copied = self.copied.as_deref().filter(|serial| identity.serial() != Some(*serial));
        let known = || self.boards.iter().map(String::as_str).chain(copied);
        let bound = identity.fields().text(kind::BOARD);
        known().find(|serial| Some(*serial) == bound).or_else(|| known().next())
    }

    /// The state of a card on which `found` and this identity were found.
    pub fn judge(&self, found: State, identity: &Identity) -> State {
        let card = self.card.as_ref().ok().map(Cid::bytes);
        let here = binding::Surroundings { card, board: self.board(identity).map(str::as_bytes) };
        binding::state(found, identity.fields(), here)
    }
}

/// A serial number, and not what stands where there is none.
fn is_serial(text: &str) -> bool {
    identity_core::text::check_serial(text.as_bytes()).is_ok() && text.bytes().any(|byte| byte != b'0')
}

#[cfg(test)]
mod tests {
    use std::fs;

    use identity_core::{Draft, Uuid};

    use super::*;

    const CID: &str = "035344534c33324780aabbccdd015500";
    const TREE: &str = "sys/firmware/devicetree/base";

    fn surroundings(cid: Option<&str>, files: &[(&str, &str)]) -> Surroundings {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let cid = cid.map(|cid| cid.parse().unwrap());
        let info = DeviceInfo {
            name: "mmcblk0".into(),
            model: None,
            removable: false,
            sectors: 0,
            partitions: vec![],
            cid,
            part_of: None,
        };
        Surroundings::new(&Host::at(root.path()), &info)
    }

    fn identity(serial: Option<&str>, card: Option<&str>, board: Option<&str>) -> Identity {
        let mut draft = Draft::new(Uuid::from_u128(1)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        for (kind, text) in [(kind::SERIAL, serial), (kind::BOARD, board)] {
            if let Some(text) = text {
                draft.set_text(kind, text).unwrap();
            }
        }
        if let Some(card) = card {
            draft.set_card(*card.parse::<Cid>().unwrap().bytes()).unwrap();
        }
        draft.finish().unwrap()
    }

    #[test]
    fn the_board_is_first_what_u_boot_says() {
        let (own, soc) = (format!("{TREE}/chosen/identity/board-serial"), "sys/devices/soc0/serial_number");
        let tree = format!("{TREE}/serial-number");
        let all = [(own.as_str(), "A\0"), (soc, "B\n"), (tree.as_str(), "C\0")];
        let plain = identity(None, None, None);
        for (skip, wanted) in [(0, Some("A")), (1, Some("B")), (2, Some("C")), (3, None)] {
            assert_eq!(surroundings(Some(CID), &all[skip..]).board(&plain), wanted);
        }
        // Any of them proves the board.
        for bound in ["A", "B", "C"] {
            let bound = identity(None, None, Some(bound));
            assert_eq!(surroundings(Some(CID), &all).judge(State::Valid, &bound), State::Valid);
        }
        let other = identity(None, None, Some("D"));
        assert_eq!(surroundings(Some(CID), &all).judge(State::Valid, &other), State::Moved);
    }

    #[test]
    fn the_identitys_own_serial_is_not_the_boards() {
        let tree = format!("{TREE}/serial-number");
        let here =
            surroundings(Some(CID), &[(&tree, "SN7\0"), ("sys/devices/soc0/serial_number", "0000000000\n")]);
        assert_eq!(here.board(&identity(Some("SN7"), None, None)), None);
        assert_eq!(here.board(&identity(Some("SN8"), None, None)), Some("SN7"));
    }

    #[test]
    fn a_card_in_a_reader_is_on_no_board() {
        let here = surroundings(None, &[("sys/devices/soc0/serial_number", "B\n")]);
        assert!(here.card.is_err());
        let bound = identity(None, Some(CID), Some("D"));
        assert_eq!((here.board(&bound), here.judge(State::Valid, &bound)), (None, State::Valid));
    }

    #[test]
    fn another_card() {
        let here = surroundings(Some(CID), &[]);
        let other = "035344534c33324780aabbccdd025500";
        assert_eq!(here.judge(State::Degraded, &identity(None, Some(other), None)), State::Cloned);
        assert_eq!(here.judge(State::Degraded, &identity(None, Some(CID), None)), State::Degraded);
    }
}
