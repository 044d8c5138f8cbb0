// SPDX-License-Identifier: MIT OR Apache-2.0
//! What readers of every kind find on a card.

use identity_cli::device::Card;
use identity_cli::ground::BeforePartitions;
use identity_cli::survey::Survey;
use identity_core::search::Depth;
use identity_core::{Identity, State};
use identity_uboot::status::of_state;
use identity_uboot::{IDENTITY_DEPTH_ALL, IDENTITY_DEPTH_FIRST, IDENTITY_DEPTH_PAIR};

use crate::abi;
use crate::card::SimCard;

/// What one reader says.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub reader: &'static str,
    pub state: State,
    pub identity: Option<Identity>,
}

/// What all readers say: of each depth, by the Rust library and by the C functions, which must agree; and what
/// `verify` looks at, all slots before the first partition.
pub fn ask(card: &SimCard, hint_lba: Option<u32>) -> Vec<Answer> {
    let depths = [
        ("first", Depth::First, IDENTITY_DEPTH_FIRST),
        ("pair", Depth::Pair, IDENTITY_DEPTH_PAIR),
        ("all", Depth::All, IDENTITY_DEPTH_ALL),
    ];
    let mut answers: Vec<_> = depths
        .into_iter()
        .map(|(reader, depth, c_depth)| {
            let answer = answer(reader, card, depth, hint_lba);
            let (status, texts) = abi::look(card, c_depth, hint_lba);
            assert_eq!(status, of_state(answer.state), "{answer:?}");
            let own = answer.identity.as_ref();
            assert_eq!(texts, own.map(|own| (own.uuid().to_string(), own.profile().to_owned())));
            answer
        })
        .collect();
    if let Ok(before) = BeforePartitions::of(card) {
        answers.push(answer("verify", &before, Depth::All, hint_lba));
    }
    answers
}

fn answer(reader: &'static str, card: &dyn Card, depth: Depth, hint_lba: Option<u32>) -> Answer {
    let survey = Survey::of(card, depth, hint_lba);
    Answer { reader, state: survey.state(), identity: survey.identity().cloned() }
}

/// What `verify` says.
pub fn verify(card: &SimCard, hint_lba: Option<u32>) -> Answer {
    answer("verify", &BeforePartitions::of(card).expect("a readable LBA 0"), Depth::All, hint_lba)
}
