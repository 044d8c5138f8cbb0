// SPDX-License-Identifier: MIT OR Apache-2.0
//! What follows from a UUID, here and by programs that know nothing of this project.

use identity_tests::cli::{Identity, tool};
use identity_tests::image::Image;
use identity_tests::run_where_installed;
use serde_json::{Value, json};

use crate::{OTHER, UUID};

const UUIDS: [&str; 5] = [
    UUID,
    OTHER,
    "00000000-0000-0000-0000-000000000001",
    "ffffffff-ffff-ffff-ffff-fffffffffffe",
    "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
];
const INTERFACES: usize = 256;

fn derived(uuid: &str) -> Value {
    let words = format!("derive --interfaces {INTERFACES} --format json {uuid}");
    Identity::new(words).run().exits(0).is_quiet().json()
}

/// The first six bytes of a UUID as an address: multicast bit cleared, local bit set.
fn mac(uuid5: &str) -> String {
    let digits = uuid5.replace('-', "");
    let first = u8::from_str_radix(&digits[..2], 16).unwrap() & 0xfe | 0x02;
    let rest: Vec<_> = (2..12).step_by(2).map(|at| &digits[at..at + 2]).collect();
    format!("{first:02x}:{}", rest.join(":"))
}

#[test]
fn uuidgen_derives_the_same() {
    for uuid in UUIDS {
        let uuid5 = |name: &str| {
            let options = ["--sha1", "--namespace", uuid, "--name", name];
            run_where_installed(tool("uuidgen").args(options)).map(|text| text.trim().to_owned())
        };
        let Some(machine_id) = uuid5("machine-id") else { return };
        let derived = derived(uuid);
        assert_eq!(derived["machine_id"], machine_id.replace('-', ""));
        for index in [0, 1, 2, 9, 10, 99, 100, 255] {
            let expected = mac(&uuid5(&format!("ethernet/{index}")).unwrap());
            assert_eq!(derived["macs"][index]["address"], expected, "{uuid} ethernet/{index}");
        }
    }
}

#[test]
fn python_derives_the_same() {
    const PROGRAM: &str = "
import sys, uuid
for text in sys.argv[2:]:
    space = uuid.UUID(text)
    print(uuid.uuid5(space, 'machine-id').hex)
    for index in range(int(sys.argv[1])):
        print(uuid.uuid5(space, f'ethernet/{index}'))
";
    let mut python = tool("python3");
    python.args(["-c", PROGRAM, &INTERFACES.to_string()]).args(UUIDS);
    let Some(text) = run_where_installed(&mut python) else { return };
    let mut lines = text.lines();
    for uuid in UUIDS {
        let derived = derived(uuid);
        assert_eq!(derived["machine_id"], lines.next().unwrap());
        for index in 0..INTERFACES {
            assert_eq!(
                derived["macs"][index],
                json!({"index": index, "address": mac(lines.next().unwrap()), "source": "derived"})
            );
        }
    }
}

#[test]
fn a_stamped_card_shows_what_is_derived() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID} --mac 3=02:00:5e:10:00:01"));
    let derived = derived(UUID);
    let field = |name: &str| image.run(format!("read --field {name}")).exits(0).stdout;
    for (name, expected) in [
        ("mac", &derived["macs"][0]["address"]),
        ("mac.0", &derived["macs"][0]["address"]),
        ("mac.255", &derived["macs"][255]["address"]),
        ("machine_id", &derived["machine_id"]),
        ("mac.3", &json!("02:00:5e:10:00:01")),
    ] {
        assert_eq!(field(name), format!("{}\n", expected.as_str().unwrap()), "{name}");
    }
}

#[test]
fn text_has_one_line_each() {
    let text = Identity::new(format!("derive --interfaces 2 {UUID}")).run().exits(0).stdout;
    let words: Vec<Vec<_>> = text.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["uuid", UUID]);
    assert_eq!(words[1], ["mac", "0", "ea:41:68:40:f4:c0"]);
    assert_eq!((words[2][1], words[3][0], words.len()), ("1", "machine-id", 4));
}

#[test]
fn every_way_to_write_a_uuid_is_the_same_uuid() {
    let upper = UUID.to_uppercase();
    let simple = UUID.replace('-', "");
    for uuid in [&upper, &simple, &format!("urn:uuid:{UUID}"), &format!("{{{UUID}}}")] {
        assert_eq!(derived(uuid), derived(UUID), "{uuid}");
    }
}

#[test]
fn a_number_of_interfaces_that_makes_no_sense() {
    for number in ["0", "257", "-1", "x", "99999999999"] {
        let derive = Identity::new(format!("derive --interfaces={number} {UUID}"));
        derive.run().exits(2).says_one_sentence().says(&["--interfaces"]);
    }
}
