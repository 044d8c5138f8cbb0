// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a stamp writes, what an update keeps, and what is never done without being told to.

use std::collections::BTreeSet;

use identity_core::field::kind;
use identity_core::{Draft, Uuid};
use identity_tests::image::Image;
use serde_json::{Value, json};

use crate::{OTHER, UUID};

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}

/// The contract's keys, and the bindings, which the contract has among the identity's fields.
const KEYS: [&str; 13] = [
    "state",
    "uuid",
    "profile",
    "hostname",
    "serial",
    "generation",
    "macs",
    "machine_id",
    "variables",
    "bindings",
    "copies",
    "unknown",
    "unfinished",
];

#[test]
fn a_blank_card_gets_a_whole_identity() {
    let image = Image::mbr();
    let stamped = image
        .run(format!(
            "stamp --profile panda --uuid {UUID} --hostname panda-03 --serial SN:0042 \
             --mac 1=02:00:5e:10:00:01 --set dtb=omap4.dtb --set empty= --format json"
        ))
        .exits(0)
        .is_quiet();
    let expected = json!({
        "state": "valid",
        "uuid": UUID,
        "profile": "panda",
        "hostname": "panda-03",
        "serial": "SN:0042",
        "generation": 1,
        // By `uuidgen --sha1` and Python; crate::derive calls them.
        "macs": [
            {"index": 0, "address": "ea:41:68:40:f4:c0", "source": "derived"},
            {"index": 1, "address": "02:00:5e:10:00:01", "source": "assigned"},
        ],
        "machine_id": "6e1d70a56f8e5583897607b199c862c6",
        "variables": {"dtb": "omap4.dtb", "empty": ""},
        "bindings": {"card": null, "board": null},
        "unknown": [],
        "copies": [{"lba": 52, "state": "valid"}, {"lba": 6607, "state": "valid"}],
        "unfinished": null,
    });
    assert_eq!(stamped.json(), expected);
    assert_eq!(image.unchanged("read --format json").exits(0).is_quiet().json(), expected);
}

#[test]
fn json_has_the_keys_of_the_contract() {
    let image = Image::mbr();
    let wanted = BTreeSet::from(KEYS);
    let copy = BTreeSet::from(["lba", "state"]);
    let blank = image.run("read --format json").exits(3).json();
    assert_eq!(keys(&blank), wanted);
    let stamped = image.run("stamp --profile panda --format json").exits(0).json();
    assert_eq!(keys(&stamped), wanted);
    assert_eq!(keys(&stamped["macs"][0]), BTreeSet::from(["index", "address", "source"]));
    assert_eq!(keys(&stamped["copies"][0]), copy);
    let verified = image.run("verify --format json").exits(0).json();
    assert_eq!(
        keys(&verified),
        &wanted
            | &BTreeSet::from(["slots", "here", "bootloader", "differences", "in_partition", "elsewhere"])
    );
    assert_eq!(verified["slots"].as_array().unwrap().len(), 10);
    assert!(verified["slots"].as_array().unwrap().iter().all(|slot| keys(slot).is_superset(&copy)));
    assert_eq!(keys(&image.run("repair --format json").exits(0).json()), wanted);
    let erased = image.run("erase --format json").exits(0).json();
    assert_eq!((keys(&erased["erased"]), &erased["state"]), (wanted, &json!("blank")));
}

#[test]
fn absent_fields_are_null() {
    let blank = Image::mbr().run("read --format json").json();
    for key in ["uuid", "profile", "hostname", "serial", "generation", "machine_id"] {
        assert_eq!(blank[key], Value::Null, "{key}");
    }
    assert_eq!((&blank["macs"], &blank["variables"], &blank["copies"]), (&json!([]), &json!({}), &json!([])));
    let minimal = Image::stamped("--profile panda").run("read --format json").json();
    assert_eq!((&minimal["hostname"], &minimal["serial"]), (&Value::Null, &Value::Null));
    assert_eq!(minimal["macs"].as_array().unwrap().len(), 1);
}

#[test]
fn every_stamp_makes_another_identity() {
    let read = || Image::stamped("--profile panda").run("read --format json").json();
    let cards: Vec<_> = (0..8).map(|_| read()).collect();
    for key in ["uuid", "machine_id"] {
        let distinct: BTreeSet<_> = cards.iter().map(|card| card[key].as_str().unwrap()).collect();
        assert_eq!(distinct.len(), cards.len(), "{key}");
    }
    let macs: BTreeSet<_> = cards.iter().map(|card| card["macs"][0]["address"].as_str().unwrap()).collect();
    assert_eq!(macs.len(), cards.len());
    for card in &cards {
        let uuid = Uuid::parse_str(card["uuid"].as_str().unwrap()).unwrap();
        assert_eq!(uuid.get_version_num(), 4, "a random UUID");
    }
}

#[test]
fn a_clone_that_is_stamped_is_another_board() {
    let one = Image::stamped("--profile panda");
    let two = Image::of(&one.bytes());
    let mac = |image: &Image| image.run("read --field mac").exits(0).stdout;
    assert_eq!(mac(&one), mac(&two));
    two.run("stamp --profile panda --force").exits(0);
    assert_ne!(mac(&one), mac(&two));
}

#[test]
fn only_the_two_sectors_change() {
    let image = Image::mbr();
    let before = image.bytes();
    image.run("stamp --profile panda").exits(0);
    assert_eq!(image.changed_since(&before), [52, 6607]);
    image.run("erase").exits(0);
    assert!(image.bytes() == before, "erasing leaves the card as it was before the stamp");
}

#[test]
fn the_two_copies_name_each_other_and_hold_the_same() {
    let image = Image::stamped("--profile panda --hostname a");
    let (first, second) = (image.copy(52), image.copy(6607));
    assert_eq!(first, second);
    assert_eq!(image.sector(52), first.encode(52, 6607));
    assert_eq!(image.sector(6607), first.encode(6607, 52));
}

#[test]
fn an_update_keeps_what_is_not_named_and_counts() {
    let image = Image::stamped(format!(
        "--profile panda --uuid {UUID} --hostname old --serial S1 --mac 02:00:5e:10:00:01 \
         --mac 1=02:00:5e:10:00:02 --set a=1 --set b=2"
    ));
    let updated =
        image.run(format!("stamp --uuid {UUID} --hostname new --set b=3 --format json")).exits(0).json();
    assert_eq!(updated["generation"], 2);
    assert_eq!((&updated["profile"], &updated["hostname"]), (&json!("panda"), &json!("new")));
    assert_eq!((&updated["serial"], &updated["uuid"]), (&json!("S1"), &json!(UUID)));
    assert_eq!(updated["variables"], json!({"a": "1", "b": "3"}));
    assert_eq!(updated["macs"].as_array().unwrap().len(), 2);
    let again = image.run(format!("stamp --uuid {UUID} --profile beagle --format json")).exits(0).json();
    assert_eq!((&again["generation"], &again["profile"]), (&json!(3), &json!("beagle")));
    assert_eq!(image.copies(), [52, 6607]);
}

#[test]
fn unset_removes() {
    let image = Image::stamped(format!(
        "--profile panda --uuid {UUID} --hostname h --serial S1 --mac 02:00:5e:10:00:01 --set a=1 --set ab=2"
    ));
    let unset = ["hostname", "serial", "mac.0", "variables.a"];
    let args = unset.map(|field| format!("--unset {field}")).join(" ");
    let after = image.run(format!("stamp --uuid {UUID} --format json {args}")).exits(0).json();
    assert_eq!((&after["hostname"], &after["serial"]), (&Value::Null, &Value::Null));
    assert_eq!((&after["macs"][0]["source"], &after["variables"]), (&json!("derived"), &json!({"ab": "2"})));
    for bad in ["profile", "uuid", "mac", "mac.x", "mac.256", "variables", "x"] {
        image
            .unchanged(format!("stamp --uuid {UUID} --unset {bad}"))
            .exits(2)
            .says_one_sentence()
            .says(&[bad]);
    }
}

#[test]
fn another_identity_is_never_overwritten_unasked() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    for more in ["", "--at 100,102", &format!("--uuid {OTHER}")] {
        let outcome = image.unchanged(format!("stamp --profile beagle {more}")).exits(6);
        outcome.says_one_sentence().says(&[UUID, "panda", "--uuid", "--force"]);
    }
}

#[test]
fn force_replaces_the_identity_and_nothing_of_the_old_one_stays() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID} --hostname old --set a=1"));
    let new = image.run("stamp --profile beagle --force --format json").exits(0).json();
    assert_ne!(new["uuid"], UUID);
    assert_eq!((&new["generation"], &new["hostname"]), (&json!(1), &Value::Null));
    assert_eq!((&new["profile"], &new["variables"]), (&json!("beagle"), &json!({})));
    assert_eq!(image.copies(), [52, 6607]);
}

#[test]
fn force_with_the_same_uuid_is_still_an_update() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID} --hostname old"));
    let new = image.run(format!("stamp --uuid {UUID} --force --format json")).exits(0).json();
    assert_eq!((&new["generation"], &new["hostname"]), (&json!(2), &json!("old")));
}

#[test]
fn a_new_identity_needs_a_profile() {
    let image = Image::mbr();
    image.unchanged("stamp").exits(2).says(&["--profile"]);
    image.unchanged(format!("stamp --uuid {UUID}")).exits(2).says_one_sentence().says(&["--profile"]);
    let stamped = Image::stamped("--profile panda");
    stamped.unchanged(format!("stamp --uuid {UUID} --force")).exits(2).says(&["--profile"]);
}

#[test]
fn the_generation_never_wraps() {
    let mut draft = Draft::new(UUID.parse().unwrap()).unwrap();
    draft.set_text(kind::PROFILE, "panda").unwrap();
    draft.set_generation(u32::MAX - 1);
    let identity = draft.finish().unwrap();
    let image = Image::mbr();
    image.put(52, &identity.encode(52, 6607)).put(6607, &identity.encode(6607, 52));
    let last = image.run(format!("stamp --uuid {UUID} --format json")).exits(0).json();
    assert_eq!(last["generation"], u32::MAX);
    image.unchanged(format!("stamp --uuid {UUID}")).exits(6).says_one_sentence().says(&["4294967295"]);
}

#[test]
fn an_update_keeps_fields_that_this_program_does_not_know() {
    let golden = identity_tests::workspace().join("fixtures/sectors/valid-unknown-fields.bin");
    let image = Image::mbr();
    image.put(52, &std::fs::read(golden).unwrap());
    let before: Vec<_> = unknown(&image);
    assert!(!before.is_empty());
    let uuid = image.copy(52).uuid().to_string();
    image.run(format!("stamp --uuid {uuid} --hostname new")).exits(0);
    assert_eq!(unknown(&image), before);
}

fn unknown(image: &Image) -> Vec<Vec<u8>> {
    let copy = image.copy(52);
    let fields = copy.fields();
    // Type, length, value; unknown types lie behind the known ones.
    let (mut rest, mut found) = (fields.bytes(), Vec::new());
    while let [kind, len, tail @ ..] = rest {
        let (value, next) = tail.split_at(usize::from(*len));
        if *kind > kind::BOARD {
            found.push([&[*kind, *len], value].concat());
        }
        rest = next;
    }
    found
}

#[test]
fn an_update_of_a_degraded_identity_makes_it_whole() {
    for damaged in [52, 6607] {
        let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
        image.damage(damaged);
        image.run(format!("stamp --uuid {UUID} --hostname new")).exits(0);
        image.run("verify").exits(0).is_quiet();
        assert_eq!(image.copies(), [52, 6607]);
    }
}

#[test]
fn an_interrupted_update_is_counted_from_its_later_copy() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    let old = image.sector(52);
    image.run(format!("stamp --uuid {UUID} --hostname new")).exits(0);
    image.put(52, &old);
    let next = image.run(format!("stamp --uuid {UUID} --serial S --format json")).exits(0).json();
    assert_eq!((&next["generation"], &next["hostname"]), (&json!(3), &json!("new")));
}

#[test]
fn a_dry_run_writes_nothing_and_shows_where_it_would() {
    let image = Image::mbr();
    image.unchanged("stamp --profile panda --dry-run").exits(0).shows(&[
        "panda",
        "LBA 52",
        "LBA 6607",
        "nothing was written",
    ]);
    let stamped = Image::stamped(format!("--profile panda --uuid {UUID}"));
    stamped
        .unchanged(format!("stamp --uuid {UUID} --at 5,7 --dry-run"))
        .exits(0)
        .shows(&["LBA 5 ", "LBA 7 ", "LBA 52", "zeros", "LBA 6607"]);
    stamped.unchanged("stamp --profile beagle --dry-run").exits(6);
    stamped.unchanged("erase --dry-run").exits(0).shows(&["LBA 52", "LBA 6607", "zeros"]);
    stamped.damage(6607).unchanged("repair --dry-run").exits(0).shows(&["LBA 6607"]);
    let absent = Image::absent();
    absent.unchanged("stamp --profile panda --create 64M --dry-run").exits(0).shows(&["LBA 52"]);
}

#[test]
fn a_dry_run_in_json_is_json() {
    let planned = |lba| json!({"lba": lba, "state": "planned"});
    let step = |lba, write| json!({"lba": lba, "write": write, "in_partition": false});
    let image = Image::mbr();
    let plan = image.unchanged("stamp --profile panda --dry-run --format json").exits(0).json();
    assert_eq!((&plan["state"], &plan["profile"]), (&json!("planned"), &json!("panda")));
    assert_eq!(plan["copies"], json!([planned(52), planned(6607)]));
    assert_eq!(plan["steps"], json!([step(6607, "copy"), step(52, "copy")]));
    image.run("stamp --profile panda").exits(0);
    let erase = image.unchanged("erase --dry-run --format json").exits(0).json();
    assert_eq!(erase["steps"], json!([step(6607, "zeros"), step(52, "zeros")]));
    let repair = || image.unchanged("repair --dry-run --format json").exits(0).json();
    assert_eq!(repair()["steps"], json!([]));
    image.damage(52);
    assert_eq!(repair()["steps"], json!([step(52, "copy")]));
}

#[test]
fn a_sector_is_filled_to_its_last_byte_and_not_beyond() {
    let image = Image::mbr();
    // Type, length, key, '=' and value each: 3 of profile, three times 130, 4 + 65 in the last.
    let (x, y) = ("x".repeat(126), |len| "y".repeat(len));
    let stamp = |last| {
        let sets = format!("--set a={x} --set b={x} --set c={x} --set d={}", y(last));
        image.run(format!("stamp --profile p --uuid {UUID} {sets}"))
    };
    image.unchanged_by(|| stamp(66).exits(2).says(&["1 bytes over", "462"]));
    image.unchanged_by(|| stamp(166).exits(2).says(&["101 bytes over", "462"]));
    stamp(65).exits(0);
    assert_eq!(image.sector(52)[508..], [b'y', b'y', 0, 0]);
    image.unchanged(format!("stamp --uuid {UUID} --hostname h")).exits(2).says(&["3 bytes over"]);
}

#[test]
fn what_cannot_be_printed_is_an_error_and_not_silence() {
    use std::fs::File;
    use std::process::{Command, Stdio};
    let image = Image::stamped("--profile panda");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut command = Command::new(identity_tests::cli::program());
    let output = command.arg("read").arg(image.path()).stdout(full).stderr(Stdio::piped()).output().unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert!(String::from_utf8_lossy(&output.stderr).contains("standard output"));
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    use std::process::{Command, Stdio};
    let image = Image::stamped("--profile panda");
    let mut command = Command::new(identity_tests::cli::program());
    let mut child =
        command.arg("read").arg(image.path()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr), (Some(0), vec![]));
}

#[test]
fn colours_are_for_terminals() {
    let image = Image::stamped("--profile panda");
    image.run("read").exits(0);
    let command = format!("'{}' read '{}'", identity_tests::cli::program().display(), image.path().display());
    let mut script = std::process::Command::new("script");
    script.args(["-qec", &command, "/dev/null"]).env("TERM", "xterm").env_remove("NO_COLOR");
    if let Some(shown) = identity_tests::run_where_installed(&mut script) {
        assert!(shown.contains("\x1b["), "{shown:?}");
    }
}

/// Of two identities, an update by the UUID of one keeps that one whole.
#[test]
fn of_a_conflict_the_one_that_is_named_is_updated_and_the_other_goes() {
    for (uuid, goes) in [(OTHER, UUID), (UUID, OTHER)] {
        let (card, other) = (
            Image::stamped(format!("--profile panda --uuid {UUID} --serial S --set a=1")),
            Image::stamped(format!("--profile beagle --uuid {OTHER} --serial S --set a=1")),
        );
        card.put(6607, &other.sector(6607));
        let words = format!("stamp --uuid {uuid} --hostname h");
        card.unchanged(&words).exits(6).says(&["in conflict"]);
        let done = card.run(format!("{words} --force")).exits(0);
        done.says(&["a record of what is removed", goes, "identity stamp --force --restore"]);
        let now = card.run("read --format json").exits(0).json();
        assert_eq!((&now["uuid"], &now["generation"]), (&uuid.into(), &2.into()));
        assert_eq!(
            (&now["hostname"], &now["serial"], &now["variables"]["a"]),
            (&"h".into(), &"S".into(), &"1".into())
        );
        card.run("verify").exits(0);
    }
}

/// Assigned, derived, or from an earlier stamp: a switch would see one address on two ports.
#[test]
fn the_same_mac_for_two_interfaces_is_refused() {
    const MAC: &str = "02:00:00:00:00:01";
    let card = Image::mbr();
    let refuse = |words: &str| {
        let said = card.unchanged_by(|| card.run(format!("stamp {words}"))).exits(2).says_one_sentence();
        said.says(&["interfaces 0 and 1 would have the same MAC address", "--mac"]);
    };
    refuse(&format!("--profile panda --mac 0={MAC} --mac 1={MAC}"));
    let derived = Image::stamped(format!("--profile panda --uuid {UUID}")).run("read --field mac").stdout;
    refuse(&format!("--profile panda --uuid {UUID} --mac 1={}", derived.trim()));
    card.run(format!("stamp --profile panda --uuid {UUID} --mac 0={MAC} --mac 1=02:00:00:00:00:02")).exits(0);
    refuse(&format!("--uuid {UUID} --mac 1={MAC}"));
    card.run(format!("stamp --uuid {UUID} --mac 1={}", derived.trim())).exits(0);
}
