// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which identities were erased or replaced on a card, for all that this host has kept.

use std::fs;
use std::path::Path;

use identity_core::Uuid;

use super::{CardKey, Purpose, RETIRED, Record};

/// An identity that was erased or replaced on a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retired {
    /// UUID of the identity that went.
    pub uuid: Uuid,
    /// When its record was made, in nanoseconds of Unix time: right before it went.
    pub at: u64,
}

/// The identities that this host has taken from what may be this card, of those that are wanted, the newest first. A record is made
/// before its identity goes: whoever asks must have seen that the card has it no more.
pub fn retired_from(directory: &Path, card: &CardKey, is_wanted: impl Fn(Uuid) -> bool) -> Vec<Retired> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<_> = entries
        .filter(|entry| entry.file_name().to_str().and_then(named).is_some_and(&is_wanted))
        .filter_map(|entry| of_card(&Record::read(&entry.path()).ok()?, card))
        .collect();
    found.sort_by_key(|retired| std::cmp::Reverse(retired.at));
    found
}

/// The identity that a retired record's file is named after.
fn named(file: &str) -> Option<Uuid> {
    Uuid::try_parse(file.strip_prefix(RETIRED)?.get(..36)?).ok()
}

fn of_card(record: &Record, card: &CardKey) -> Option<Retired> {
    let is_its = record.purpose == Purpose::Retired && record.card.may_be(card);
    let (uuid, at) = (record.identity.as_ref()?.uuid(), record.at?);
    is_its.then_some(Retired { uuid, at })
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn identities_that_went_from_a_card_are_found_by_its_reader_and_size() {
        let state = tempfile::tempdir().unwrap();
        let retired = |uuid: u128, at: u64| {
            let record =
                Record { purpose: Purpose::Retired, number: None, at: Some(at), ..record(uuid, None) };
            record.write(state.path()).unwrap();
            record.card
        };
        let card = retired(1, 5);
        retired(1, 7);
        retired(2, 6);
        record(3, None).write(state.path()).unwrap();
        let found = |card: &CardKey, wanted: &[u128]| -> Vec<_> {
            let retired = retired_from(state.path(), card, |uuid| wanted.contains(&uuid.as_u128()));
            retired.into_iter().map(|retired| (retired.uuid.as_u128(), retired.at)).collect()
        };
        assert_eq!(found(&card, &[1, 2, 3]), [(1, 7), (2, 6), (1, 5)]);
        assert_eq!(found(&card, &[2]), [(2, 6)]);
        for other in
            [CardKey { path: "/dev/sdy".into(), ..card.clone() }, CardKey { sectors: 1001, ..card.clone() }]
        {
            assert_eq!(found(&other, &[1, 2, 3]), []);
        }
        // One that shows its CID may be the card that showed none.
        assert_eq!(found(&CardKey { cid: Some("aa".into()), ..card }, &[2]), [(2, 6)]);
    }
}
