// SPDX-License-Identifier: MIT OR Apache-2.0
//! The Rust library, and the functions for C.

use identity_core::State;
use identity_core::field::CID_LEN;
use identity_fixtures::odd::{BOARD_SERIAL, CID, Entry};
use identity_host::scan::Scan;
use identity_tests::corpus::{Answer, Knows, Reader, committed};
use identity_uboot::status::{state_name, to_state};
use identity_uboot::text::IDENTITY_TEXT_UUID;
use identity_uboot::{
    IDENTITY_CONDITION_CORRUPT, IDENTITY_CONDITION_NEWER, IDENTITY_CONDITION_UNREADABLE,
    IDENTITY_CONDITION_VALID, identity_record_state,
};

use crate::abi;
use crate::card::SimCard;

fn simulated(card: &Entry) -> SimCard {
    let mut simulated = SimCard::new(card.image());
    card.unreadable.iter().for_each(|&lba| simulated.make_unreadable(lba.into()));
    simulated
}

/// The only line of these tests that calls the library's search.
pub fn scan(card: &SimCard, hint_lba: Option<u32>) -> Scan {
    Scan::read(card, hint_lba)
}

#[test]
fn the_library_agrees() {
    let mut reader = Reader::new("library", Knows::Nothing);
    for card in &committed().cards {
        let scan = scan(&simulated(card), card.hint);
        let seen = scan.sectors().iter().map(|sector| (sector.lba, sector.condition.name().to_owned()));
        reader.says(
            card,
            &Answer {
                state: Some(scan.state().to_string()),
                uuid: Some(scan.identity().map(|identity| identity.uuid().to_string())),
                generation: Some(scan.identity().map(identity_core::Identity::generation)),
                copies: Some(seen.filter(|(_, condition)| is_worth_naming(condition)).collect()),
            },
        );
    }
    reader.agrees();
}

fn is_worth_naming(condition: &str) -> bool {
    ["valid", "corrupt", "newer", "unreadable"].contains(&condition)
}

#[test]
fn the_functions_for_c_agree() {
    for knows in [Knows::Nothing, Knows::Board, Knows::CardAndBoard] {
        let mut reader = Reader::new("c", knows);
        for card in &committed().cards {
            let found = abi::search(&simulated(card), card.hint);
            let uuid = found.record.as_ref().map(|record| abi::text(record, IDENTITY_TEXT_UUID));
            let usable = to_state(found.status).is_some_and(State::is_usable);
            let status = match &found.record {
                Some(record) if usable => {
                    let cid = cid();
                    let cid = if knows == Knows::CardAndBoard { cid.as_ptr() } else { std::ptr::null() };
                    let (board, len) = match knows {
                        Knows::Nothing => (std::ptr::null(), 0),
                        _ => (BOARD_SERIAL.as_ptr().cast(), BOARD_SERIAL.len() as u32),
                    };
                    // SAFETY: a record that was written, and two objects that live as long as this, or NULL.
                    unsafe { identity_record_state(record.as_ptr(), found.status, cid, board, len) }
                }
                _ => found.status,
            };
            let copies =
                found.seen.iter().filter_map(|&(lba, condition)| Some((lba, name(condition)?.to_owned())));
            let state = state_name(status).expect("a state");
            reader.says(
                card,
                &Answer {
                    state: Some(String::from_utf8_lossy(state).into_owned()),
                    uuid: Some(uuid),
                    copies: Some(copies.collect()),
                    ..Answer::default()
                },
            );
        }
        reader.agrees();
    }
}

fn name(condition: u32) -> Option<&'static str> {
    Some(match condition {
        IDENTITY_CONDITION_VALID => "valid",
        IDENTITY_CONDITION_CORRUPT => "corrupt",
        IDENTITY_CONDITION_NEWER => "newer",
        IDENTITY_CONDITION_UNREADABLE => "unreadable",
        _ => return None,
    })
}

fn cid() -> [u8; CID_LEN] {
    std::array::from_fn(|at| u8::from_str_radix(&CID[2 * at..2 * at + 2], 16).expect("hexadecimal digits"))
}
