// SPDX-License-Identifier: MIT OR Apache-2.0
//! The identity that the bootloader handed over in the device tree, and what of it is not as on the card.

use identity_core::{Identity, State};
use serde::Serialize;

use crate::device::sysfs::Host;
use crate::surroundings::DEVICE_TREE;

/// `/chosen/identity`, as U-Boot filled it in when it started.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FromBootloader {
    /// The card's state then.
    pub state: Option<String>,
    /// UUID, if the state allowed to use it.
    pub uuid: Option<String>,
    /// Profile that the bootloader handed over.
    pub profile: Option<String>,
    /// Hostname that the bootloader handed over.
    pub hostname: Option<String>,
    /// Board serial that the bootloader handed over.
    pub serial: Option<String>,
    /// How often it had been written.
    pub generation: Option<u32>,
    /// LBA of the copy that was used.
    pub lba: Option<u32>,
}

/// Why a card that nobody has named is not the one that the bootloader has read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotBooted {
    /// The bootloader has read this UUID, and no card that is there has it. The card may still come.
    Absent {
        /// UUID that the bootloader handed over.
        booted: String,
    },
    /// The bootloader has found its card in this state, in which it gives no identity.
    Doubtful {
        /// Name of the state that the bootloader found.
        state: String,
    },
}

impl FromBootloader {
    /// What this system was started with; `None` if the bootloader knows nothing of identities.
    pub fn read(host: &Host) -> Option<Self> {
        let path = |name: &str| format!("{DEVICE_TREE}/chosen/identity/{name}");
        let text = |name| host.text(&path(name));
        let number = |name| Some(u32::from_be_bytes(host.bytes(&path(name))?.try_into().ok()?));
        let (state, uuid) = (text("state"), text("uuid"));
        // Most systems have neither.
        if state.is_none() && uuid.is_none() {
            return None;
        }
        Some(Self {
            state,
            uuid,
            profile: text("profile"),
            hostname: text("hostname"),
            serial: text("serial"),
            generation: number("generation"),
            lba: number("lba"),
        })
    }

    /// Whether a card in this state, with this identity, may be the one that the bootloader has read. While several cards
    /// are being found, another may be there first. The bootloader has no word on a card that it could not read, or that is
    /// newer than it. A card in doubt is another question, and not asked here.
    ///
    /// # Errors
    /// Why it is not.
    pub fn check_is_booted(&self, state: State, identity: Option<&Identity>) -> Result<(), NotBooted> {
        if matches!(state, State::Conflict | State::Cloned | State::Moved) {
            return Ok(());
        }
        let found = identity.filter(|_| state.is_usable());
        if let Some(booted) = &self.uuid {
            let is_same = found.is_some_and(|identity| identity.uuid().to_string() == *booted);
            return if is_same { Ok(()) } else { Err(NotBooted::Absent { booted: booted.clone() }) };
        }
        match self.state.as_deref() {
            None | Some("newer" | "unreadable") => Ok(()),
            Some(_) if found.is_none() => Ok(()),
            Some(state) => Err(NotBooted::Doubtful { state: state.to_owned() }),
        }
    }

    /// What is different on the card now, each in words.
    pub fn differences(&self, state: State, identity: Option<&Identity>) -> Vec<String> {
        let identity = identity.filter(|_| state.is_usable());
        if identity.is_none() && self.uuid.is_none() {
            return Vec::new();
        }
        let value = |pick: fn(&Identity) -> Option<String>| identity.and_then(pick);
        let pairs = [
            ("uuid", value(|identity| Some(identity.uuid().to_string())), self.uuid.clone()),
            ("profile", value(|identity| Some(identity.profile().into())), self.profile.clone()),
            ("hostname", value(|identity| identity.hostname().map(str::to_owned)), self.hostname.clone()),
            ("serial", value(|identity| identity.serial().map(str::to_owned)), self.serial.clone()),
            (
                "generation",
                value(|identity| Some(identity.generation().to_string())),
                self.known_generation(identity),
            ),
        ];
        let shown = |value: Option<String>| value.unwrap_or_else(|| "none".into());
        pairs
            .into_iter()
            .filter(|(_, here, there)| here != there)
            .map(|(name, here, there)| format!("{name} {}, not {}", shown(here), shown(there)))
            .collect()
    }
}

impl FromBootloader {
    /// The generation to compare with: a later one on the card is no difference, for a board may have bound its card since.
    fn known_generation(&self, identity: Option<&Identity>) -> Option<String> {
        let own = identity.map(Identity::generation);
        let generation = self.generation.map(|handed| own.filter(|&own| handed < own).unwrap_or(handed));
        generation.map(|number| number.to_string())
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use identity_core::field::kind;
    use identity_core::{Draft, Uuid};

    use super::*;

    fn handed_over(properties: &[(&str, &[u8])]) -> Option<FromBootloader> {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join(DEVICE_TREE).join("chosen/identity");
        fs::create_dir_all(&dir).unwrap();
        for (name, bytes) in properties {
            fs::write(dir.join(name), bytes).unwrap();
        }
        FromBootloader::read(&Host::at(root.path()))
    }

    fn panda(generation: u32) -> Identity {
        let mut draft = Draft::new(Uuid::from_u128(1)).unwrap();
        draft.set_text(kind::PROFILE, "panda").unwrap();
        draft.set_generation(generation);
        draft.finish().unwrap()
    }

    const UUID: &[u8] = b"00000000-0000-0000-0000-000000000001\0";

    #[test]
    fn the_same() {
        let found = handed_over(&[
            ("state", b"valid\0"),
            ("uuid", UUID),
            ("profile", b"panda\0"),
            ("generation", &[0, 0, 1, 2]),
        ])
        .unwrap();
        assert_eq!(found.differences(State::Valid, Some(&panda(258))), [""; 0]);
        // Bound since, for example; an older one is another card, or a copy of this one.
        assert_eq!(found.differences(State::Degraded, Some(&panda(259))), [""; 0]);
        let differences = found.differences(State::Degraded, Some(&panda(257)));
        assert_eq!(differences, ["generation 257, not 258"]);
        // Nothing that a board may use is on the card now.
        assert_eq!(found.differences(State::Cloned, Some(&panda(258))).len(), 3);
        assert_eq!(found.differences(State::Blank, None).len(), 3);
    }

    #[test]
    fn only_the_card_that_the_bootloader_has_read_is_taken() {
        let check = |properties: &[(&str, &[u8])], state, identity: Option<&Identity>| {
            handed_over(properties).unwrap().check_is_booted(state, identity)
        };
        let absent = |booted: &str| Err(NotBooted::Absent { booted: booted.into() });
        let card = panda(1);
        let uuid = "00000000-0000-0000-0000-000000000001";
        let valid: &[(&str, &[u8])] = &[("state", b"valid\0"), ("uuid", UUID), ("lba", &[0, 0, 0x19, 0xcf])];
        assert_eq!(handed_over(valid).unwrap().lba, Some(6607));
        assert_eq!(check(valid, State::Valid, Some(&card)), Ok(()));
        assert_eq!(check(valid, State::Degraded, Some(&card)), Ok(()));
        // Its own card is still to come, or this is it no longer.
        for state in [State::Blank, State::Corrupt, State::Newer, State::Unreadable] {
            assert_eq!(check(valid, state, None), absent(uuid));
        }
        let other = "00000000-0000-0000-0000-000000000002";
        let read_other: &[(&str, &[u8])] = &[("state", b"valid\0"), ("uuid", other.as_bytes())];
        assert_eq!(check(read_other, State::Valid, Some(&card)), absent(other));
        // Doubt about the card itself is said as such.
        for state in [State::Conflict, State::Cloned, State::Moved] {
            assert_eq!(check(valid, state, Some(&card)), Ok(()));
        }
        for state in ["blank", "corrupt", "conflict", "cloned", "moved", "valid", "something"] {
            let properties: &[(&str, &[u8])] = &[("state", state.as_bytes())];
            let doubtful = Err(NotBooted::Doubtful { state: state.into() });
            assert_eq!(check(properties, State::Valid, Some(&card)), doubtful, "{state}");
            assert_eq!(check(properties, State::Blank, None), Ok(()), "{state}: nothing is taken anyway");
        }
        for state in ["newer", "unreadable"] {
            assert_eq!(check(&[("state", state.as_bytes())], State::Valid, Some(&card)), Ok(()), "{state}");
        }
    }

    #[test]
    fn a_bootloader_that_found_none_or_said_nothing() {
        assert_eq!(handed_over(&[]), None);
        let found = handed_over(&[("state", b"blank\0")]).unwrap();
        assert_eq!(found.differences(State::Blank, None), [""; 0]);
        assert_eq!(found.differences(State::Valid, Some(&panda(1))).len(), 3);
    }
}
