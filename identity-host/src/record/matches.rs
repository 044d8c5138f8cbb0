// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which pending records may be about a card.

use std::path::{Path, PathBuf};

use identity_layout::mark::Mark;

use super::{CardKey, Purpose, Record, pending_paths};
use crate::error::Error;

/// Pending records that may be about a card.
#[derive(Debug, Default)]
pub struct Matches {
    /// About this card: the mark on it has the record's number, and it is the record's card by all that is known of both.
    pub certain: Vec<(PathBuf, Record)>,
    /// The mark has the record's number, but the card is another one, or was elsewhere: the mark may be copied.
    pub marked: Vec<(PathBuf, Record)>,
    /// Perhaps: the CID is the same, or path and size are.
    pub possible: Vec<(PathBuf, Record)>,
    /// Not to be read.
    pub broken: Vec<Error>,
}

/// Looks for pending records about a card; `mark` is that in its LBA 0.
pub fn find(directory: &Path, card: &CardKey, mark: Option<&Mark>) -> Matches {
    let mut matches = Matches::default();
    for path in pending_paths(directory) {
        match Record::read(&path) {
            Err(error) => matches.broken.push(error),
            Ok(record) if record.purpose == Purpose::Retired => (),
            Ok(record) => match compare(&record, card, mark) {
                Some(Match::Certain) => matches.certain.push((path, record)),
                Some(Match::Marked) => matches.marked.push((path, record)),
                Some(Match::Possible) => matches.possible.push((path, record)),
                None => (),
            },
        }
    }
    matches
}

/// How a record fits a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Match {
    Certain,
    Marked,
    Possible,
}

/// How a record fits a card; `None` if it is not about it.
fn compare(record: &Record, card: &CardKey, mark: Option<&Mark>) -> Option<Match> {
    let same_number = record.number.is_some() && mark.and_then(Mark::number) == record.number;
    match (same_number, record.card.may_be(card)) {
        (true, true) => Some(Match::Certain),
        (true, false) => Some(Match::Marked),
        (false, true) => Some(Match::Possible),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::record;
    use super::*;

    #[test]
    fn whose_record() {
        let (own, other) = (Mark::new("x", Some(5)), Mark::new("x", Some(6)));
        let card = |cid: Option<&str>| record(1, cid).card;
        let elsewhere = CardKey { path: "/dev/sdy".into(), ..card(None) };
        for (record_cid, card, mark, result) in [
            (Some("aa"), card(Some("aa")), Some(&own), Some(Match::Certain)),
            (Some("aa"), card(Some("aa")), None, Some(Match::Possible)),
            (Some("aa"), card(Some("aa")), Some(&other), Some(Match::Possible)),
            (Some("aa"), card(Some("bb")), Some(&own), Some(Match::Marked)),
            (Some("aa"), card(Some("bb")), None, None),
            (Some("aa"), card(None), Some(&own), Some(Match::Certain)),
            (None, card(None), None, Some(Match::Possible)),
            (None, card(None), Some(&other), Some(Match::Possible)),
            (None, elsewhere.clone(), None, None),
            (None, elsewhere.clone(), Some(&other), None),
            (None, elsewhere.clone(), Some(&own), Some(Match::Marked)),
            (Some("aa"), elsewhere, Some(&own), Some(Match::Marked)),
        ] {
            assert_eq!(
                compare(&record(1, record_cid), &card, mark),
                result,
                "{record_cid:?} {card:?} {mark:?}"
            );
        }
    }
}
