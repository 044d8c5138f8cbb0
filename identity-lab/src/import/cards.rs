// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards: the JSON of `identity list`, and of `identity read` for one card or several, one document after another.

use identity_core::{Uuid, derive};
use identity_ui::Result;

use super::csv::{USABLE, no_identity};
use super::json::{Key, Node};
use super::{Found, Incoming, Input, MACHINE_ID};

/// Keys that mean a column of the same name.
const COLUMNS: [&str; 5] = ["hostname", "profile", "uuid", "serial", MACHINE_ID];

type Pairs<'a> = Vec<(Key<'a>, Node<'a>)>;

/// Whether the keys of an object are those of a card, or of a list of them.
pub fn is_cards(keys: &[&str]) -> bool {
    keys.contains(&"cards") || keys.contains(&"state") && keys.contains(&"uuid")
}

/// The boards whose cards these are.
///
/// # Errors
/// Exit 4 with line and column of what cannot be read.
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
            read_card(input, card.at, &pairs.ok_or_else(|| none(input, &card))?, &mut found)?;
        }
    }
    Ok(found)
}

fn none(input: &Input<'_>, node: &Node<'_>) -> identity_ui::Failure {
    let what = "this is no card as `identity list --format json` or `identity read --format json` print it";
    input.place(node.at).unreadable(what)
}

fn get<'a>(pairs: &Pairs<'a>, key: &str) -> Option<Node<'a>> {
    pairs.iter().find(|(name, _)| name.text == key).map(|(_, value)| *value)
}

fn read_card(input: &Input<'_>, at: usize, pairs: &Pairs<'_>, found: &mut Found) -> Result<()> {
    let text = |key: &str| -> Result<Option<(String, usize)>> {
        let Some(node) = get(pairs, key) else { return Ok(None) };
        Ok(node.text(input, key)?.map(|text| (text, node.at)))
    };
    let state = text("state")?.map(|(state, _)| state).unwrap_or_default();
    if !USABLE.contains(&&state[..]) {
        let target = text("target")?.or(text("device")?).map_or("this document".into(), |(target, _)| target);
        found.left_out.push((at, no_identity(&target, &state)));
        return Ok(());
    }
    let mut board = Incoming::at(at);
    for key in COLUMNS {
        if let Some((text, at)) = text(key)? {
            board.set(input, key, key, &text, at)?;
        }
    }
    let Some(uuid) = board.text("uuid").and_then(|uuid| Uuid::try_parse(uuid).ok()) else {
        return Err(input.place(at).unreadable("uuid: an identity has one"));
    };
    if let Some((mac, at)) = text("mac")? {
        board.set(input, "mac0", "mac", &mac, at)?;
    }
    for mac in get(pairs, "macs")
        .map(|macs| macs.list().ok_or(macs.at))
        .transpose()
        .map_err(|at| input.place(at).unreadable("macs: this is no list"))?
        .unwrap_or_default()
    {
        read_mac(input, &mac, uuid, &mut board)?;
    }
    for (key, value) in get(pairs, "variables").and_then(|node| node.object()).unwrap_or_default() {
        let column = format!("var.{}", key.text);
        if let Some(text) = value.text(input, &column)? {
            board.set(input, &column, &column, &text, value.at)?;
        }
    }
    found.boards.push(board);
    Ok(())
}

/// One of the addresses of a document. What is said to be derived has to be.
fn read_mac(input: &Input<'_>, node: &Node<'_>, uuid: Uuid, board: &mut Incoming) -> Result<()> {
    let pairs = node.object().unwrap_or_default();
    let text = |key: &str| match get(&pairs, key) {
        Some(value) => value.text(input, key),
        None => Ok(None),
    };
    let index = text("index")?.and_then(|index| index.parse::<u8>().ok());
    let (Some(index), Some(address)) = (index, text("address")?) else {
        return Err(input
            .place(node.at)
            .unreadable("macs: this has no `index` and `address` of an interface"));
    };
    let at = get(&pairs, "address").map_or(node.at, |value| value.at);
    let column = format!("mac{index}");
    board.set(input, &column, &column, &address, at)?;
    let derived = derive::mac(uuid, u32::from(index));
    let is_derived = board.text(&column).and_then(|mac| mac.parse().ok()) == Some(derived);
    if text("source")?.as_deref() == Some("derived") && !is_derived {
        let what = format!("{column}: {address} is not the derived address of {uuid}, {}", derived);
        return Err(input.place(at).unreadable(what));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use identity_core::Mac;

    use super::*;

    const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";

    fn read(text: &str) -> Result<Found> {
        super::read(&Input::new(Path::new("x"), text))
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
