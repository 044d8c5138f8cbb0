// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards: the JSON of `identity list`, and of `identity read` for one card or several, one document after another.

use identity_core::{Uuid, derive};
use identity_ui::Result;

use super::csv::{USABLE, no_identity};
use super::json::{Key, Node};
use super::{Fault, Found, Incoming, Input, MACHINE_ID};

/// Keys that mean a column of the same name.
const COLUMNS: [&str; 5] = ["hostname", "profile", "uuid", "serial", MACHINE_ID];

/// What is said of what is no card.
const NONE: &str =
    "this is no card as `identity list --format json` or `identity read --format json` print it";

type Pairs<'a> = Vec<(Key<'a>, Node<'a>)>;

/// Whether the keys of an object are those of a card, or of a list of them.
pub fn is_cards(keys: &[&str]) -> bool {
    keys.contains(&"cards") || keys.contains(&"state") && keys.contains(&"uuid")
}

/// The boards whose cards these are.
///
/// # Errors
/// Exit 4 with line and column of what is no list of cards; what cannot be taken of a card is a fault of the list.
pub fn read(input: &Input<'_>) -> Result<Found> {
    let mut found = Found { are_cards: true, ..Found::default() };
    for document in Node::all(input)? {
        let cards = match (document.list(), document.object()) {
            (Some(list), _) => list,
            (None, Some(pairs)) => match get(&pairs, "cards") {
                Some(cards) => cards.list().ok_or_else(|| none(input, &cards))?,
                None => vec![document],
            },
            (None, None) => return Err(none(input, &document)),
        };
        for card in cards {
            let pairs = card.object().filter(|pairs| get(pairs, "state").is_some());
            let read = pairs
                .ok_or_else(|| Fault::unreadable(input.place(card.at), NONE))
                .and_then(|pairs| read_card(input, card.at, &pairs, &mut found));
            found.faults.extend(read.err());
        }
    }
    Ok(found)
}

fn none(input: &Input<'_>, node: &Node<'_>) -> identity_ui::Failure {
    input.place(node.at).unreadable(NONE)
}

fn get<'a>(pairs: &Pairs<'a>, key: &str) -> Option<Node<'a>> {
    pairs.iter().find(|(name, _)| name.text == key).map(|(_, value)| *value)
}

fn read_card(input: &Input<'_>, at: usize, pairs: &Pairs<'_>, found: &mut Found) -> Result<(), Fault> {
    let text = |key: &str| get(pairs, key).map_or(Ok(None), |node| node.text(input, key));
    let state = text("state")?.unwrap_or_default();
    if !USABLE.contains(&&state[..]) {
        let target = text("target")?.or(text("device")?).unwrap_or("this document".into());
        found.left_out.push((at, no_identity(&target, &state)));
        return Ok(());
    }
    let mut board = Incoming::at(at);
    for key in COLUMNS {
        if let Some(node) = get(pairs, key) {
            board.set_text(input, key, key, node.text(input, key), node.at);
        }
    }
    let uuid = board.text("uuid").and_then(|uuid| Uuid::try_parse(uuid).ok());
    if uuid.is_none() && !board.is_wrong("uuid") {
        board.fault("uuid", Fault::unreadable(input.place(at), "uuid: an identity has one"));
    }
    if let Some(node) = get(pairs, "mac") {
        board.set_text(input, "mac0", "mac", node.text(input, "mac"), node.at);
    }
    if let Some(macs) = get(pairs, "macs") {
        match macs.list() {
            Some(macs) => macs.iter().for_each(|mac| read_mac(input, mac, uuid, &mut board)),
            None => {
                board.fault("mac0", Fault::unreadable(input.place(macs.at), "macs: this is no list"));
            }
        }
    }
    for (key, value) in get(pairs, "variables").and_then(|node| node.object()).unwrap_or_default() {
        let column = format!("var.{}", key.text);
        board.set_text(input, &column, &column, value.text(input, &column), value.at);
    }
    found.boards.push(board);
    Ok(())
}

/// One of the addresses of a document. What is said to be derived has to be.
fn read_mac(input: &Input<'_>, node: &Node<'_>, uuid: Option<Uuid>, board: &mut Incoming) {
    let pairs = node.object().unwrap_or_default();
    // What is no text is none of these.
    let text = |key: &str| get(&pairs, key).and_then(|value| value.text(input, key).ok().flatten());
    let index = text("index").and_then(|index| index.parse::<u8>().ok());
    let (Some(index), Some(address)) = (index, text("address")) else {
        let what = "macs: this has no `index` and `address` of an interface";
        return board.fault("mac0", Fault::unreadable(input.place(node.at), what));
    };
    let at = get(&pairs, "address").map_or(node.at, |value| value.at);
    let column = format!("mac{index}");
    board.set(input, &column, &column, &address, at);
    let (Some(uuid), false) = (uuid, board.is_wrong(&column)) else { return };
    let derived = derive::mac(uuid, u32::from(index));
    let is_derived = board.text(&column).and_then(|mac| mac.parse().ok()) == Some(derived);
    if text("source").as_deref() == Some("derived") && !is_derived {
        let what = format!("{column}: {address} is not the derived address of {uuid}, {derived}");
        board.fault(&column, Fault::unreadable(input.place(at), what));
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use identity_core::Mac;

    use super::*;

    const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";

    fn read(text: &str) -> Result<Found> {
        super::read(&Input::new(Path::new("x"), text))?.whole()
    }

    #[test]
    fn one_card_several_and_a_list_of_them_are_read() {
        let mac: Mac = derive::mac(Uuid::try_parse(UUID).unwrap(), 0);
        let card = format!(
            "{{\"state\":\"valid\",\"uuid\":\"{UUID}\",\"profile\":\"p\",\"hostname\":null,\"macs\":[{{\"index\":0,\"address\":\"{mac}\",\
             \"source\":\"derived\"}},{{\"index\":3,\"address\":\"02:00:00:00:00:03\",\"source\":\"assigned\"}}],\"variables\":{{\"k\":\"v\"}}}}"
        );
        for (text, count) in [
            (card.clone(), 1),
            (format!("{card}\n{card}\n"), 2),
            (format!("[{card},{card}]"), 2),
            (format!("{{\"cards\":[{card},{{\"state\":\"blank\",\"device\":\"/dev/sdb\"}}]}}"), 1),
        ] {
            let found = read(&text).unwrap();
            assert_eq!(found.boards.len(), count, "{text}");
            let board = &found.boards[0];
            assert_eq!(board.values.keys().collect::<Vec<_>>(), ["mac0", "mac3", "profile", "uuid", "var.k"]);
        }
        assert_eq!(read("{\"cards\":[]}").unwrap(), Found { are_cards: true, ..Found::default() });
    }

    #[test]
    fn what_is_no_card_is_refused_with_its_place() {
        let card = |rest: &str| format!("{{\"state\":\"valid\",\n\"uuid\":\"{UUID}\"{rest}}}");
        for (text, said) in [
            ("3".to_owned(), "x:1:1: this is no card"),
            ("[{}]".into(), "x:1:2: this is no card"),
            ("{\"cards\":3}".into(), "x:1:10: this is no card"),
            ("{\"state\":\"valid\"}".into(), "x:1:1: uuid: an identity has one"),
            (card(",\"hostname\":\"a_b\""), "x:2:58: hostname: \"a_b\""),
            (card(",\"hostname\":[]"), "x:2:58: hostname: this is no text"),
            (card(",\"macs\":3"), "x:2:54: macs: this is no list"),
            (card(",\"macs\":[3]"), "x:2:55: macs: this has no `index`"),
            (
                card(",\"macs\":[{\"index\":0,\"address\":\"02:00:00:00:00:01\",\"source\":\"derived\"}]"),
                "x:2:76: mac0: 02:00:00:00:00:01 is not the derived address",
            ),
        ] {
            let failure = read(&text).expect_err(&text).to_string();
            assert!(failure.starts_with(said), "{failure}");
        }
    }
}
