// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards whose identity no board has: of boards that were removed, and of other labs. What ends the finding of `check`.

use std::fs;
use std::os::unix::fs::FileExt;

use identity_tests::block::Loop;
use identity_tests::cli::Identity;
use serde_json::json;

use crate::journal::{Journal, event, let_wait, with_each_database};
use crate::{Answer, Lab, OTHER, UUID};

with_each_database! {
    a_card_that_this_host_has_erased_in_its_reader_is_no_finding => super::a_card_that_this_host_has_erased_in_its_reader_is_no_finding;
    of_two_cards_with_one_identity_an_erasure_leaves_one => super::of_two_cards_with_one_identity_an_erasure_leaves_one;
    a_board_gets_another_card_by_a_person_s_word_alone => super::a_board_gets_another_card_by_a_person_s_word_alone;
    a_card_of_another_lab_is_a_finding_until_somebody_says_so => super::a_card_of_another_lab_is_a_finding_until_somebody_says_so;
}

/// What `check` says of the board that was removed.
const WAS_REMOVED: &str = "it was panda-01's, which was removed at 20";

/// A reader that shows no CID, with a card in it.
struct Reader<'l> {
    lab: &'l Lab,
    device: Loop,
    /// The bytes of the card that came first.
    card: Vec<u8>,
}

impl<'l> Reader<'l> {
    /// With a card of panda-01 that a scan has noted; `None` where there are no loop devices.
    fn with_panda_01(lab: &'l Lab) -> Option<Self> {
        lab.run(&["card", "panda-01", "-o", "card.img"]).exits(0);
        let image = lab.path("card.img");
        let card = fs::read(&image).expect("own file");
        let reader = Self { lab, device: Loop::attach_whole(&image, &[])?, card };
        reader.scan().exits(0).shows(&[UUID]);
        Some(reader)
    }

    fn path(&self) -> String {
        self.device.path().display().to_string()
    }

    /// Another card of the same size.
    fn insert(&self, card: &[u8]) {
        let device = fs::OpenOptions::new().write(true).open(self.path()).expect("root");
        device.write_all_at(card, 0).expect("room");
    }

    fn insert_blank(&self) {
        self.insert(&vec![0; self.card.len()]);
    }

    fn scan(&self) -> Answer {
        self.lab.run(&["scan", &self.path()])
    }

    /// `identity`, by somebody who uses the lab.
    fn identity(&self, words: &str) {
        let mut identity = Identity::new(words).arg(self.path());
        identity.command().env("XDG_STATE_HOME", self.lab.state.path());
        identity.run().exits(0);
    }

    fn erase(&self) {
        self.identity("erase --force");
    }

    fn kinds(&self, journal: &Journal) -> String {
        journal.query("SELECT kind FROM identity_events ORDER BY id").replace('\n', " ")
    }
}

fn a_card_that_this_host_has_erased_in_its_reader_is_no_finding(journal: Journal) {
    let lab = &journal.lab;
    let Some(reader) = Reader::with_panda_01(lab) else { return };
    let advice = "erase it by `identity erase`, and scan it in the same reader";
    lab.run(&["remove", "--yes", "panda-01"]).exits(0).shows(&["has its identity: ", advice]);
    let check = || lab.run(&["check"]);
    check().exits(5).shows(&[WAS_REMOVED, advice, "`identity-lab remove --lost panda-01`"]);
    // A blank card in its reader may be any.
    reader.insert_blank();
    reader.scan().exits(0).shows(&["blank"]);
    check().exits(5).shows(&[WAS_REMOVED]);
    reader.insert(&reader.card);
    reader.erase();
    reader.scan().exits(0).shows(&["blank"]);
    check().exits(0);
    // It is noted once, whoever scans again.
    reader.scan().exits(0);
    assert_eq!(reader.kinds(&journal), "scanned removed scanned scanned erased scanned ");
    // It was another one: a later scan sees that.
    reader.insert(&reader.card);
    reader.scan().exits(5);
    reader.insert_blank();
    reader.scan().exits(0);
    check().exits(5).shows(&[WAS_REMOVED]);
    // Another identity in its place is as good.
    reader.insert(&reader.card);
    reader.identity(&format!("stamp --force --uuid {OTHER} --profile panda --hostname panda-02"));
    reader.scan().exits(0).shows(&["panda-02"]);
    check().exits(0);
    // What comes back under its name has its card by what the journal knows: two of one identity take a person's word.
    lab.write("list", format!("hostname,profile,uuid,serial\npanda-01,panda,{UUID},S1\n"));
    lab.run(&["import", "list"]).exits(0);
    let stamp = lab.run(&["stamp", "--yes", "panda-01", &reader.path()]).exits(0);
    stamp.says(&["panda-01: scanned 20", "left out, --again takes it in"]);
}

fn of_two_cards_with_one_identity_an_erasure_leaves_one(journal: Journal) {
    let lab = &journal.lab;
    let Some(reader) = Reader::with_panda_01(lab) else { return };
    fs::write(lab.path("copy.img"), &reader.card).expect("room");
    let copy = Loop::attach_whole(&lab.path("copy.img"), &[]).expect("another loop device");
    let copy = Reader { lab, device: copy, card: reader.card.clone() };
    lab.run(&["scan", &reader.path(), &copy.path()]).exits(5);
    lab.run(&["remove", "--yes", "panda-01"]).exits(0);
    let both = "two cards had 9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5 at once";
    lab.run(&["check"]).exits(5).shows(&[both, "`identity-lab remove --lost 9e3c1d40-"]);
    reader.erase();
    reader.scan().exits(0);
    let found = lab.run(&["check"]).exits(5).shows(&[WAS_REMOVED]);
    assert!(!found.stdout.contains(both), "{}", found.stdout);
    // As long as a card of the scan has it, no card has lost it.
    lab.run(&["scan", &reader.path(), &copy.path()]).exits(5);
    assert_eq!(reader.kinds(&journal).matches("erased").count(), 1);
    copy.erase();
    copy.scan().exits(0);
    lab.run(&["check"]).exits(0);
}

/// The card that was erased may have been a copy: no board gets a second card by that.
fn a_board_gets_another_card_by_a_person_s_word_alone(journal: Journal) {
    let lab = &journal.lab;
    let Some(reader) = Reader::with_panda_01(lab) else { return };
    reader.erase();
    let says = "`identity-lab stamp --again panda-01` gives it another one";
    reader.scan().exits(0).says(&["the identity of panda-01 was erased from a card in this reader", says]);
    assert!(!reader.kinds(&journal).contains("erased"));
    let stamp =
        |words: &[&str]| lab.run(&[&["stamp", "--yes"], words, &["panda-01", &reader.path()]].concat());
    stamp(&[]).exits(0).says(&["left out, --again takes it in"]);
    stamp(&["--again"]).exits(0).shows(&["stamped panda-01"]);
    let scan = reader.scan().exits(0);
    assert!(!scan.stderr.contains(says), "{}", scan.stderr);
}

fn a_card_of_another_lab_is_a_finding_until_somebody_says_so(journal: Journal) {
    let lab = &journal.lab;
    let stranger = "11111111-2222-4333-8444-555555555555";
    let seen = |number: u32, kind: &str| event(number, kind, "dd", stranger, "x");
    let doubled = |number: u32| {
        let mut event = seen(number, "doubled");
        event["card"] = json!(null);
        event
    };
    let_wait(lab, &[seen(1, "scanned"), doubled(2)]);
    let found = lab.run(&["check"]).exits(5);
    let says = format!("`identity-lab remove --lost {stranger}` says that it is another lab's, or lost");
    found.shows(&["two cards had ", &format!("no board has {stranger}, which card dd"), &says]);
    lab.run(&["remove", "--lost", "--dry-run", stranger]).exits(0).shows(&["its cards count as lost"]);
    lab.run(&["check"]).exits(5);
    lab.run(&["remove", "--lost", "--yes", &stranger.to_uppercase()]).exits(0);
    lab.run(&["check"]).exits(0);
    // Its cards come and go.
    let later = |id: u32, mut event: serde_json::Value| {
        event["id"] = json!(format!("0fff{id:04x}-0000-7000-8000-000000000000"));
        event
    };
    let_wait(lab, &[later(3, seen(3, "scanned")), later(4, doubled(4))]);
    lab.run(&["check"]).exits(0);
    // It has become a board's, whose line went without a word.
    let_wait(lab, &[later(5, seen(5, "stamped"))]);
    lab.run(&["check"]).exits(5).shows(&[stranger]);
    // Of a UUID that nobody has seen, there is nothing to say.
    let unknown = "99999999-2222-4333-8444-555555555555";
    lab.run(&["remove", "--lost", unknown]).exits(2).says(&["there is no board 99999999-"]);
    // The word ends no finding of a board: its own card is not lost by it.
    lab.run(&["remove", "--lost", stranger, "panda-02", "--yes"]).exits(2);
    assert!(lab.read("boards.csv").contains(OTHER));
}
