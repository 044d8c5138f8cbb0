// SPDX-License-Identifier: MIT OR Apache-2.0
//! `export html` with what the journal knows: cards, the last event, who was seen, and what is wrong with cards.

use serde_json::{Value, json};

use crate::journal::{Journal, event, let_wait};
use crate::page::browse;
use crate::{Lab, OTHER, UUID};

const CARD: &str = "035344534c33324780aabbccdd015500";

/// An event of panda-01 in the network, or of a card without a CID.
fn without_card(number: u32, kind: &str, uuid: &str, hostname: &str) -> Value {
    let mut event = event(number, kind, CARD, uuid, hostname);
    event["card"] = json!(null);
    event
}

/// A lab in which panda-01 has a card and was seen, and panda-02 has a card of a name that the list does not have.
fn lab() -> Lab {
    let Journal { lab, .. } = Journal::sqlite();
    let mut seen = without_card(3, "seen", UUID, "panda-01");
    seen["ip"] = json!("192.168.7.130");
    let mut hostile = without_card(4, "stamped", OTHER, "panda-99");
    hostile["person"] = json!("<script>alert(1)</script>");
    let events = [
        event(1, "stamped", CARD, UUID, "panda-01"),
        event(2, "scanned", CARD, UUID, "panda-01"),
        seen,
        hostile,
    ];
    let_wait(&lab, &events);
    lab.run(&["add", "panda-03", "--profile", "panda"]).exits(0);
    lab
}

const ROWS: &str = "page.evaluate(() => [...document.querySelectorAll('tr')].map(row => [...row.cells].map(cell => cell.textContent)))";

#[test]
fn what_the_journal_knows_is_at_the_board() {
    let lab = lab();
    let script = format!(
        "const page = await open(), found = {{}};
found.rows = await {ROWS};
found.summary = await page.$eval('header p', text => text.innerText);
for (const [number, value] of [[0, '+'], [1, '+'], [1, '-'], [2, '+']]) {{
    const selects = await page.$$('form label select');
    const names = await page.$$eval('form label', labels => labels.map(label => label.firstChild.textContent));
    const select = selects[names.indexOf(['findings', 'cards', 'last seen'][number])];
    await select.select(value);
    found[number + value] = await shown(page);
    await select.select('');
}}
await page.type('input', '192.168.7.130');
found.search = await shown(page);
await page.screenshot({{path: 'wide.png'}});
return found;"
    );
    let Some(found) = browse(&lab, &script) else { return };
    let head = found["rows"][0].as_array().expect("a head");
    let at =
        |name: &str| head.iter().position(|cell| cell == name).unwrap_or_else(|| panic!("{name}: {head:?}"));
    let cell = |row: usize, name: &str| found["rows"][row][at(name)].as_str().unwrap_or_default().to_owned();
    assert_eq!(cell(1, "cards"), format!("{CARD}, scanned 2026-11-27 03:00 UTC on bench"));
    assert_eq!(cell(1, "last event"), "2026-11-27 03:00 UTC scanned on bench by anna");
    assert_eq!(cell(1, "last seen"), "2026-11-27 03:00 UTC 192.168.7.130");
    assert_eq!(cell(2, "cards"), "a card without a CID, stamped 2026-11-27 03:00 UTC on bench");
    assert_eq!(cell(2, "last event"), "2026-11-27 03:00 UTC stamped on bench by <script>alert(1)</script>");
    assert_eq!((cell(3, "cards"), cell(3, "last event"), cell(3, "last seen")), Default::default());
    assert!(cell(2, "findings").contains("the list has \"panda-02\", the card \"panda-99\""), "{found}");
    assert_eq!(found["summary"], "3 boards, 1 finding");
    assert_eq!(found["0+"], json!(["panda-02"]));
    assert_eq!(found["1+"], json!(["panda-01", "panda-02"]));
    assert_eq!(found["1-"], json!(["panda-03"]));
    assert_eq!(found["2+"], json!(["panda-01"]));
    assert_eq!(found["search"], json!(["panda-01"]));
}

#[test]
fn axe_finds_nothing_with_the_journal_and_nothing_is_wider_than_a_telephone() {
    let lab = lab();
    let script = "
const found = {};
for (const [scheme, width] of [['light', 1600], ['dark', 1600], ['light', 360]]) {
    const page = await open({scheme, width});
    const is = found[scheme + width] = {page: await axe(page)};
    await page.screenshot({path: `journal-${scheme}${width}.png`, fullPage: true});
    is.wide = width > 1000 ? [] : await page.evaluate(() => [...document.body.querySelectorAll('*')]
        .filter(one => one.getBoundingClientRect().right > screen.width).map(one => one.outerHTML));
    await page.click('tbody tr:not([hidden]) button');
    is.dialog = await axe(page);
    await page.screenshot({path: `dialog-${scheme}${width}.png`});
}
return found;";
    let Some(found) = browse(&lab, script) else { return };
    if let Some(to) = std::env::var_os("IDENTITY_TEST_SCREENSHOTS") {
        for name in ["journal", "dialog"]
            .map(|name| ["light1600", "dark1600", "light360"].map(|of| format!("{name}-{of}.png")))
            .concat()
        {
            std::fs::copy(lab.path(&name), std::path::Path::new(&to).join(&name)).expect("a directory");
        }
    }
    let all = found.as_object().expect("pages");
    assert_eq!(all.len(), 3);
    for (name, is) in all {
        assert_eq!(*is, json!({ "page": [], "wide": [], "dialog": [] }), "{name}");
    }
}

#[test]
fn five_thousand_boards_with_a_card_each_are_all_there() {
    let lab = Lab::new();
    lab.write("lab.toml", "name = \"desk\"\n");
    let added =
        lab.run(&["add", "panda-[0001-5000]", "--profile", "panda", "--format", "json"]).exits(0).json();
    let events: Vec<_> = (1..)
        .zip(added.as_array().expect("a list"))
        .map(|(number, board)| {
            let text = |name: &str| board[name].as_str().expect("text").to_owned();
            let mut event =
                event(number, "stamped", &format!("{number:032x}"), &text("uuid"), &text("hostname"));
            event["fields"] = json!(null);
            event
        })
        .collect();
    let_wait(&lab, &events);
    let script = "
const page = await open();
return {
    shown: (await shown(page)).length,
    cards: await page.evaluate(() => [...document.querySelectorAll('tbody tr')].filter(row => row.textContent.includes(', stamped 2026')).length),
    laid: await page.evaluate(() => [...document.querySelectorAll('tbody tr')].filter(row =>
        row.firstChild.checkVisibility({contentVisibilityAuto: true})).length),
};";
    let Some(found) = browse(&lab, script) else { return };
    assert_eq!((&found["shown"], &found["cards"]), (&json!(5000), &json!(5000)));
    assert!(found["laid"].as_u64() < Some(200), "{found}");
}

/// The list alone gives the same page everywhere, for a check in a hook.
#[test]
fn a_page_without_the_journal_is_of_the_list_alone() {
    let lab = lab();
    let whole = lab.run(&["export", "html"]).exits(0).stdout;
    let alone = lab.run(&["export", "html", "--no-journal"]).exits(0).stdout;
    assert!(whole.contains(CARD) && !alone.contains(CARD) && !alone.contains("last event"));
    lab.run(&["export", "html", "--no-journal", "--output", "list.html"]).exits(0);
    let_wait(&lab, &[event(9, "scanned", CARD, UUID, "panda-01")]);
    lab.run(&["export", "html", "--no-journal", "--check", "list.html"]).exits(0);
    lab.run(&["export", "html", "--check", "list.html"]).exits(5);
    lab.write("journal.db", "this is no database");
    let without = lab.run(&["export", "html"]).exits(0).says(&["the page has the list alone"]);
    assert!(without.stdout == alone);
}
