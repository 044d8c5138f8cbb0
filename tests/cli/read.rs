// SPDX-License-Identifier: MIT OR Apache-2.0
//! `identity read` of several cards, of several interfaces, and as a directory of files.

use std::fs;
use std::path::Path;
use std::process::Command;

use identity_tests::block::Loop;
use identity_tests::cli::{Identity, program};
use identity_tests::image::Image;
use identity_tests::machine::Machine;
use serde_json::Value;
use tempfile::TempDir;

use crate::{OTHER, UUID};

fn stamped(uuid: &str, options: &str) -> Image {
    Image::stamped(format!("--profile panda --uuid {uuid} {options}"))
}

fn corrupt() -> Image {
    let image = stamped(OTHER, "");
    image.damage(52).damage(6607);
    image
}

fn conflict() -> Image {
    let image = stamped(UUID, "");
    image.put(6607, &stamped(OTHER, "").sector(6607));
    image
}

fn read(words: &str, targets: &[&Path]) -> Identity {
    Identity::new(format!("read {words}")).args(targets)
}

#[test]
fn every_derived_mac_address_is_shown_in_every_format() {
    let image = stamped(UUID, "--mac 2=02:00:5e:10:00:01 --mac 7=02:00:5e:10:00:07");
    let derived = Identity::new(format!("derive --interfaces 4 --format json {UUID}")).run().json();
    let mac = |index: usize| match index {
        2 => "02:00:5e:10:00:01".to_owned(),
        _ => derived["macs"][index]["address"].as_str().unwrap().to_owned(),
    };
    let name = |format: &str, index: usize| match (format, index) {
        ("text", _) => format!("mac {index}"),
        ("uboot", 0) => "ethaddr=".into(),
        ("uboot", _) => format!("eth{index}addr="),
        ("shell", _) => format!("IDENTITY_MAC{index}='"),
        ("udev", _) => format!("ID_IDENTITY_MAC{index}="),
        _ => format!("IDENTITY_MAC{index}="),
    };
    for format in ["text", "shell", "env", "uboot", "udev"] {
        let shown = image.run(format!("read --interfaces 4 --format {format}")).exits(0).is_quiet().stdout;
        for index in 0..4 {
            let line = shown.lines().find(|line| line.starts_with(&name(format, index)));
            assert!(line.is_some_and(|line| line.contains(&mac(index))), "{format} {index}: {shown}");
        }
        assert!(shown.contains("02:00:5e:10:00:07"), "an assigned one beyond them too: {shown}");
    }
    let json = image.run("read --interfaces 4 --format json").exits(0).json();
    let shown: Vec<_> = json["macs"].as_array().unwrap().iter().map(|mac| mac["index"].as_u64()).collect();
    assert_eq!(shown, [0, 1, 2, 3, 7].map(Some));
    let csv = image.run("read --interfaces 4 --format csv").exits(0).is_quiet().stdout;
    let last = format!("{},{},{},{}\n", mac(0), mac(1), mac(2), mac(3));
    assert!(csv.ends_with(&last) && csv.lines().next().unwrap().ends_with(",mac0,mac1,mac2,mac3"), "{csv}");
    for count in ["0", "257", "x"] {
        image.run(format!("read --interfaces {count}")).exits(2);
    }
}

#[test]
fn several_cards_are_a_document_a_line_and_the_worst_code_is_the_exit() {
    let (valid, blank, corrupt, conflict) = (stamped(UUID, ""), Image::mbr(), corrupt(), conflict());
    let absent = valid.dir().join("absent.img");
    let cards: [(&Path, &str, i32); 5] = [
        (valid.path(), "valid", 0),
        (blank.path(), "blank", 3),
        (conflict.path(), "conflict", 5),
        (corrupt.path(), "corrupt", 4),
        (&absent, "unreadable", 7),
    ];
    // Each pair in both orders: the code that counts does not depend on it.
    let rank = [7, 4, 5, 3, 0];
    for (one, one_state, one_code) in cards {
        for (two, two_state, two_code) in cards {
            let code = rank.into_iter().find(|code| [one_code, two_code].contains(code)).unwrap();
            let outcome = read("--format json", &[one, two]).run().exits(code);
            let lines: Vec<Value> =
                outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
            let shown: Vec<_> = lines.iter().map(|card| (&card["target"], &card["state"])).collect();
            let name = |path: &Path| Value::from(path.display().to_string());
            assert_eq!(shown, [(&name(one), &one_state.into()), (&name(two), &two_state.into())]);
        }
    }
    // Each is told apart for people too, and the reasons are said.
    let outcome = read("", &[valid.path(), blank.path()]).run().exits(3).says(&["blank"]);
    outcome.shows(&[&valid.path().display().to_string(), UUID, &blank.path().display().to_string()]);
    for words in ["--format shell", "--format env", "--format uboot", "--format udev", "--field uuid"] {
        read(words, &[valid.path(), blank.path()]).run().exits(2).says_one_sentence();
    }
    // Of one there is no list.
    assert_eq!(read("--format json", &[valid.path()]).run().exits(0).json()["target"], Value::Null);
}

#[test]
fn csv_is_what_pythons_reader_takes_for_it() {
    let serial = "a,\"b\"";
    let image = stamped(UUID, "--hostname panda-1");
    image.identity("stamp").args(["--uuid", UUID, "--serial", serial]).run().exits(0);
    let named = image.dir().join("a \"b\",\nc.img");
    fs::copy(image.path(), &named).unwrap();
    let conflict = conflict();
    let outcome = read("--format csv", &[&named, conflict.path()]).run().exits(5);
    let mut python = Command::new("python3");
    python.args([
        "-c",
        "import csv,json,sys; print(json.dumps(list(csv.DictReader(open(sys.argv[1], newline='')))))",
    ]);
    let table = image.dir().join("cards.csv");
    fs::write(&table, &outcome.stdout).unwrap();
    let cards: Value = serde_json::from_slice(&python.arg(&table).output().unwrap().stdout).unwrap();
    let own = read("--format json", &[&named]).run().json();
    let first = &cards[0];
    assert_eq!(first["target"], named.display().to_string());
    for name in ["state", "uuid", "profile", "hostname", "serial", "machine_id"] {
        assert_eq!(first[name], own[name], "{name}");
    }
    assert_eq!((&first["generation"], &first["mac0"]), (&"2".into(), &own["macs"][0]["address"]));
    // Of a card in doubt nothing but the state.
    assert_eq!(
        (&cards[1]["state"], &cards[1]["uuid"], &cards[1]["mac0"]),
        (&"conflict".into(), &"".into(), &"".into())
    );
}

/// Runs a script with our program and the images in `$1`...
fn shell(shell: &[&str], script: &str, images: &[&Path]) -> String {
    let mut command = Command::new(shell[0]);
    command.args(&shell[1..]).args(["-c", script, "sh"]).arg(program()).args(images);
    let output = command.output().unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8_lossy(&output.stderr)
}

#[test]
fn eval_in_a_loop_keeps_nothing_of_the_last_card_and_ends_with_the_status() {
    let full = stamped(UUID, "--mac 1=02:00:5e:10:00:01 --set a=1 --set z_9=2");
    let hostile = stamped(OTHER, "");
    hostile
        .identity("stamp")
        .args(["--uuid", OTHER, "--set", "b=IDENTITY_VAR_x=$(touch pwned)\u{2028}'\"; exit 9"])
        .run()
        .exits(0);
    let (blank, corrupt, conflict) = (Image::mbr(), corrupt(), conflict());
    let absent = full.dir().join("absent.img");
    const SCRIPT: &str = r#"program=$1; shift
        IDENTITY_MAC_OWN=own IFS=x
        for card; do
            eval "$("$program" read --format shell "$card" 2>/dev/null)"
            printf '%s ' "$?" "$IDENTITY_STATE" "${IDENTITY_MAC1-unset}" "${IDENTITY_VAR_a-unset}" "${IDENTITY_VAR_z_9-unset}" "${IDENTITY_UUID:+uuid}"
            echo
        done
        echo "$IDENTITY_MAC_OWN ${name-unset} ${value-unset}""#;
    let images: [&Path; 7] =
        [full.path(), blank.path(), full.path(), hostile.path(), corrupt.path(), conflict.path(), &absent];
    let expected = "0 valid 02:00:5e:10:00:01 1 2 uuid \n3 blank unset unset unset  \n\
                    0 valid 02:00:5e:10:00:01 1 2 uuid \n0 valid unset unset unset uuid \n\
                    4 corrupt unset unset unset  \n5 conflict unset unset unset  \n7 unreadable unset unset unset  \n\
                    own unset unset\n";
    let mut tried = 0;
    for one in [&["dash"][..], &["bash"], &["bash", "--posix"], &["busybox", "ash"], &["zsh"], &["sh", "-u"]]
    {
        if identity_tests::is_shell(one) {
            assert_eq!(shell(one, SCRIPT, &images), expected, "{one:?}");
            tried += 1;
        }
    }
    assert!(tried >= 2);
    assert!(!full.dir().join("pwned").exists() && !hostile.dir().join("pwned").exists());
    // Under -e a card that cannot be used stops the script, as any command that fails.
    let stops = "set -e; eval \"$(\"$1\" read --format shell \"$2\" 2>/dev/null)\"; echo goes on";
    assert_eq!(shell(&["sh"], stops, &[full.path()]), "goes on\n");
    assert_eq!(shell(&["sh"], stops, &[blank.path()]), "");
}

/// What udev has of `image` by a rule with IMPORT{program}, asked of the real one.
fn udev(image: &Image, key: &str) -> Option<String> {
    const SCRIPT: &str = r#"set -e
        mount -t tmpfs none /run
        mkdir -p /run/udev/rules.d
        printf 'SUBSYSTEM=="block", IMPORT{program}="%s read --format udev %s"\n' "$1" "$2" >/run/udev/rules.d/00-identity.rules
        exec udevadm test --action=add "/sys/class/block/${3##*/}""#;
    let card = Loop::attach(image.path(), &[])?;
    let mut unshare = identity_tests::cli::tool("unshare");
    unshare.args(["--mount", "sh", "-c", SCRIPT, "sh"]).arg(program()).arg(image.path()).arg(card.path());
    let output = unshare.output().expect("unshare, of util-linux");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("DEVNAME"), "{said}");
    let start = format!("{key}=");
    Some(said.lines().find_map(|line| line.trim().strip_prefix(&start)).unwrap_or_default().to_owned())
}

#[test]
fn udev_imports_what_is_printed_for_it() {
    let serial = "\"a$b\\c";
    let image = stamped(UUID, "");
    image
        .identity("stamp")
        .args(["--uuid", UUID, "--serial", serial, "--set", "note= a 'b' \u{e9}"])
        .run()
        .exits(0);
    let text = image.run("read --format udev").exits(0).is_quiet();
    text.shows(&[
        &format!("ID_IDENTITY_UUID={UUID}\n"),
        "ID_IDENTITY_STATE=valid\n",
        "ID_IDENTITY_SERIAL=\\x22a\\x24b\\x5cc\n",
        "ID_IDENTITY_VAR_note=\\x20a\\x20\\x27b\\x27\\x20\u{e9}\n",
    ]);
    let conflict = conflict();
    for (image, state) in [(&Image::mbr(), "blank"), (&corrupt(), "corrupt"), (&conflict, "conflict")] {
        image.run("read --format udev").exits(0).prints(&format!("ID_IDENTITY_STATE={state}\n"));
    }
    image.identity("read --format udev").fault("FAULT_READ", "ANY").run().exits(7);
    let Some(uuid) = udev(&image, "ID_IDENTITY_UUID") else { return };
    assert_eq!(uuid, UUID);
    assert_eq!(udev(&image, "ID_IDENTITY_SERIAL").as_deref(), Some("\\x22a\\x24b\\x5cc"));
    assert_eq!(udev(&conflict, "ID_IDENTITY_STATE").as_deref(), Some("conflict"));
    assert_eq!(udev(&conflict, "ID_IDENTITY_UUID").as_deref(), Some(""));
}

#[test]
fn derive_takes_a_card_too() {
    let image = stamped(UUID, "--mac 0=02:00:5e:10:00:01");
    let derived = Identity::new(format!("derive --interfaces 3 {UUID}")).run().exits(0).stdout;
    // What is assigned on the card wins, as for `read` and the board.
    let of_uuid = derived.replace("ea:41:68:40:f4:c0", "02:00:5e:10:00:01 (assigned)");
    assert_ne!(derived, of_uuid);
    image.run("derive --interfaces 3").exits(0).is_quiet().prints(&of_uuid);
    image.damage(52);
    image.run("derive --interfaces 3").exits(0).says(&["degraded"]).prints(&of_uuid);
    for (image, code, state) in
        [(Image::mbr(), 3, "blank"), (corrupt(), 4, "corrupt"), (conflict(), 5, "conflict")]
    {
        image.run("derive").exits(code).says_one_sentence().says(&[state]).prints("");
    }
    let by_hand = Image::mbr();
    by_hand.run(format!("stamp --profile panda --uuid {UUID} --at 300,302")).exits(0);
    by_hand.run("derive --at 300 --interfaces 3").exits(0).is_quiet().prints(&derived);
    Identity::new("derive absent.img").run().exits(2).says_one_sentence().says(&["32 hex digits", "no card"]);
}

fn names(directory: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn into_makes_all_files_of_one_reading_or_none() {
    let image = stamped(UUID, "--hostname panda-1 --set a=1");
    let root = TempDir::new().unwrap();
    let into = root.path().join("identity");
    let command = |image: &Image| image.identity("read --interfaces 3").arg("--into").arg(&into);
    command(&image).run().exits(0).is_quiet().prints("");
    let file = |name: &str| fs::read_to_string(into.join(name)).unwrap();
    assert_eq!(names(&into), ["card", "hostname", "identity.env", "identity.json", "machine-id"]);
    assert_eq!(file("identity.json"), image.run("read --interfaces 3 --format json").stdout);
    assert_eq!(file("identity.env"), image.run("read --interfaces 3 --format env").stdout);
    assert_eq!(file("machine-id"), image.run("read --field machine_id").stdout);
    assert_eq!(
        (file("hostname"), file("card")),
        ("panda-1\n".into(), format!("{}\n", image.path().display()))
    );
    // Nothing of a card that is of no use; what was there stays.
    for (image, code) in [(Image::mbr(), 3), (corrupt(), 4), (conflict(), 5)] {
        command(&image).run().exits(code).says_one_sentence().prints("");
    }
    command(&image).fault("FAULT_READ", "ANY").run().exits(7).says_one_sentence();
    assert!(file("identity.env").contains(UUID));
    // Another card's replaces it, with what it does not have.
    let other = stamped(OTHER, "");
    command(&other).run().exits(0);
    assert_eq!(names(&into), ["card", "identity.env", "identity.json", "machine-id"]);
    assert!(file("identity.env").contains(OTHER));
    assert_eq!(names(root.path()), ["identity"]);
    // Somebody else's directory is not replaced.
    let foreign = root.path().join("foreign");
    fs::create_dir(&foreign).unwrap();
    fs::write(foreign.join("precious"), "").unwrap();
    let refused = image.identity("read").arg("--into").arg(&foreign).run().exits(6).says_one_sentence();
    refused.says(&["foreign", "--into"]);
    assert_eq!(names(&foreign), ["precious"]);
    for words in ["--format json", "--field uuid"] {
        command(&image).args(words.split(' ')).run().exits(2);
    }
    command(&image).arg(other.path()).run().exits(2).says_one_sentence();
}

/// Counts the bytes that are read of the first ten slots: each is read once.
#[test]
fn the_card_is_read_once_also_when_it_is_looked_for() {
    let image = stamped(UUID, "");
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let machine = Machine::new().card("mmcblk0", &card, &[]);
    let log = image.dir().join("strace");
    let mut strace = Command::new("strace");
    if strace.arg("-V").output().is_err() {
        return identity_tests::block::skipped("strace is not installed");
    }
    let target = image.dir().join("run");
    let mut outer = machine.identity("read --into");
    let mut traced = Command::new("strace");
    traced.args(["-f", "-e", "trace=pread64", "-P", "/dev/mmcblk0", "-o"]).arg(&log);
    traced.arg(outer.command().get_program()).args(outer.command().get_args()).arg(&target);
    assert!(traced.status().unwrap().success());
    let log = fs::read_to_string(&log).unwrap();
    let reads = log.lines().filter(|line| line.contains("pread64")).count();
    assert_eq!(reads, 11, "ten slots and LBA 0: {log}");
}

/// As `list` does.
#[test]
fn two_cards_with_one_identity_are_named() {
    let (one, two, other) =
        (stamped(UUID, ""), stamped(UUID, ""), stamped("0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02", ""));
    for format in ["text", "json", "csv"] {
        let words = format!("read --format {format}");
        let several =
            |cards: &[&Image]| Identity::new(&words).args(cards.iter().map(|card| card.path())).run();
        several(&[&one, &other, &two]).exits(5).says(&["have the same identity", UUID]);
        several(&[&one, &other]).exits(0).is_quiet();
        several(&[&one, &one]).exits(0).is_quiet();
    }
}
