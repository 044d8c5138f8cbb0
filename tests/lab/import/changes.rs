// SPDX-License-Identifier: MIT OR Apache-2.0
//! What becomes of the list, and what is refused.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use identity_tests::cli::Identity;
use serde_json::json;

use super::{boards, full, import};
use crate::{Lab, OTHER, UUID};

#[test]
fn a_board_that_differs_is_refused_with_both_values_and_places() {
    let lab = full();
    let before = lab.read("boards.csv");
    for (column, value, says) in [
        (
            "ip",
            "192.168.7.12",
            "ip: panda-01 has \"192.168.7.12\" here, and \"192.168.7.11\" in boards.csv:2:75",
        ),
        (
            "mac1",
            "02:00:00:00:00:12",
            "mac1: panda-01 has \"02:00:00:00:00:12\" here, and \"02:00:00:00:00:11\" in boards.csv:2:57",
        ),
        ("uuid", "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f6", "uuid: panda-01 has "),
        ("tags", "spare", "tags: panda-01 has \"spare\" here, and \"poe spare\""),
        ("mac0", "02:00:00:00:00:13", "mac0: panda-01 has \"02:00:00:00:00:13\" here, and \""),
    ] {
        let text = format!("hostname,{column}\nnew,\npanda-01,{value}\n");
        import(&lab, &text, &["--profile", "panda"]).exits(6).says(&[
            "standard input:3:10: ",
            says,
            "--update takes what is here",
            "nothing was added",
        ]);
        assert_eq!(lab.read("boards.csv"), before);
    }
    import(&lab, "hostname,ip,serial\npanda-01,192.168.7.13,S2\n", &[]).exits(6).says(&[
        "standard input:2:10: ip: panda-01 has \"192.168.7.13\" here",
        "standard input:2:23: serial: panda-01 has \"S2\" here",
        "2 faults; nothing was added",
    ]);
    // Of a board that has no value, and a blank and the order of tags' blanks that are nobody's.
    import(&lab, "hostname,serial\npanda-02,S2\n", &[])
        .exits(6)
        .says(&["panda-02 has \"S2\" here, and no value in boards.csv:3:"]);
    import(&lab, "hostname,tags,serial\npanda-01,poe  spare, S1\n", &[]).exits(0).shows(&["1 there already"]);
}

#[test]
fn an_update_changes_its_cells_and_keeps_all_other_bytes() {
    const HEAD: &str = "hostname;uuid;profile;ip;colour;mac0;note\r\n";
    let lab = Lab::new();
    let line = |ip: &str, mac: &str| {
        format!("b;{{{}}};\"panda\"; {ip};\"b\"\"l\";{mac};x, y \r\n", UUID.to_uppercase())
    };
    let rest = format!("\r\nc;{OTHER};panda;;;;\"last\"");
    lab.write("boards.csv", format!("\u{feff}{HEAD}{}{rest}", line("10.0.0.1 ", " 0200.0000.0001 ")));
    let text = "hostname,ip,mac0,note\nb,10.0.0.2,02:00:00:00:00:01,\nc,,,last\na,10.0.0.3,,\n";
    let dry = import(&lab, text, &["--update", "--profile", "panda", "--dry-run"]).exits(0);
    let before = lab.read("boards.csv");
    let answer = import(&lab, text, &["--update", "--profile", "panda"]).exits(0);
    answer.shows(&["updated b  ip: 10.0.0.1 -> 10.0.0.2\n", "1 added, 1 updated, 1 there already\n"]);
    dry.shows(&[
        "would add a  ",
        "would update b  ip: 10.0.0.1 -> 10.0.0.2\n",
        "1 would be added, 1 would be updated, 1 there already\n",
    ]);
    assert!(before.starts_with('\u{feff}'), "a dry run writes nothing");
    let after = lab.read("boards.csv");
    let body = after.strip_prefix(&format!("\u{feff}{HEAD}")).expect("the same head");
    let (first, others) = body.split_once('\n').expect("two lines");
    assert!(first.starts_with("a;") && first.ends_with(";panda;10.0.0.3;;;\r"), "{after:?}");
    // The empty line has no place among sorted ones, as with `add`.
    let kept =
        format!("{}{}\r\n", line("10.0.0.2", " 0200.0000.0001 ").replace("; 10", ";10"), rest.trim_start());
    assert_eq!(others, kept);
    // An address that is derived becomes an empty cell.
    let derived = Identity::new(format!("derive {UUID}")).run().stdout;
    let mac = derived.split_whitespace().find(|word| word.len() == 17).expect("an address");
    import(&lab, &format!("hostname,mac0\nb,{mac}\n"), &["--update"])
        .exits(0)
        .shows(&["updated b  mac0: 02:00:00:00:00:01 -> "]);
    assert_eq!(lab.read("boards.csv"), after.replace(" 0200.0000.0001 ", ""));
    lab.run(&["check"]).exits(0);
}

#[test]
fn what_clashes_is_refused_with_both_places() {
    let lab = full();
    let before = lab.read("boards.csv");
    for (text, says) in [
        (
            "hostname,ip\nx,192.168.7.11\n",
            "standard input:2:3: ip: x has 192.168.7.11, and so has panda-01 in boards.csv:2:75; ",
        ),
        (
            "hostname,mac0\na,02:00:00:00:00:02\n",
            "standard input:2:3: mac0: a has 02:00:00:00:00:02, and so has panda-02 in boards.csv:3:",
        ),
        (
            "hostname,serial\nx,S9\ny,S9\n",
            "standard input:3:3: serial: y has S9, and so has x in standard input:2:3; ",
        ),
        ("hostname\nx\ny\nx\n", "standard input:4:1: hostname: x is in standard input:2:1 too"),
        ("hostname\nx\nX\n", "standard input:3:1: hostname: X is in standard input:2:1 too"),
        (
            "hostname\nPanda-01\n",
            "standard input:2:1: hostname: Panda-01 has panda-01, and so has panda-01 in boards.csv:2:1; ",
        ),
        (
            "hostname,mac0,mac1\nx,02:00:00:00:00:03,02:00:00:00:00:03\n",
            "standard input:2:21: mac1: x has 02:00:00:00:00:03, and so has x in standard input:2:3; ",
        ),
        (&format!("hostname,uuid\nx,{OTHER}\n"), "standard input:2:3: uuid: x has "),
        // In another column of the other board, whichever comes first; and where nobody has written it.
        (
            "hostname,mac0\na,02:00:00:00:00:11\n",
            "standard input:2:3: mac0: a has 02:00:00:00:00:11, and so has panda-01 in boards.csv:2:57; ",
        ),
        (
            "hostname,mac0\nx,02:00:00:00:00:11\n",
            "standard input:2:3: mac0: x has 02:00:00:00:00:11, and so has panda-01 in boards.csv:2:57; ",
        ),
    ] {
        import(&lab, text, &["--profile", "panda", "--update"]).exits(6).says(&[says, "nothing was added"]);
        assert_eq!(lab.read("boards.csv"), before, "{text}");
    }
}

#[test]
fn a_column_that_the_list_lacks_is_refused_where_something_would_be_lost() {
    let lab = Lab::new();
    lab.run(&["add", "a", "--profile", "panda"]).exits(0);
    let before = lab.read("boards.csv");
    let text = "hostname,mac0,eth1addr\nb,02:00:00:00:00:01,02:00:00:00:00:02\n";
    import(&lab, text, &["--profile", "panda"])
        .exits(6)
        .says(&["standard input:2:21: eth1addr: boards.csv has no column `mac1`; add it"]);
    assert_eq!(lab.read("boards.csv"), before);
    // One without a value is no loss.
    import(&lab, "hostname,eth1addr,x\nb,,y\n", &["--profile", "panda"]).exits(0).says(&["left out: x"]);
}

#[test]
fn what_cannot_be_read_is_refused_with_line_column_and_name() {
    let lab = Lab::new();
    let before = lab.read("boards.csv");
    let latin = b"hostname,note\na,\xfc\n";
    fs::write(lab.path("latin"), latin).expect("room");
    lab.run(&["import", "latin"]).exits(4).says(&["latin:2:3: note: this byte is not UTF-8"]);
    for (text, says) in [
        ("", "standard input:1:1: this file is empty"),
        ("hello\n", "standard input:1:1: this looks like no table"),
        (
            "hostname,mac\nok,\nb,ff:ff:ff:ff:ff:ff\n",
            "standard input:3:3: mac: \"ff:ff:ff:ff:ff:ff\" is a multicast",
        ),
        ("hostname,mac\nb,000000000000\n", "standard input:2:3: mac: \"000000000000\" is all zero"),
        ("hostname,uuid\nb,0b9ad1c6\n", "standard input:2:3: uuid: "),
        ("hostname\nb_b\n", "standard input:2:1: hostname: \"b_b\" may not have '_'"),
        ("hostname,note\nb,\"x\ny\"\n", "standard input:2:3: note: this quote is not closed"),
        ("hostname,location\nb,=cmd\n", "standard input:2:3: location: a cell may not begin with ="),
        (
            "{\"_meta\": {\"hostvars\": {\"b\": {\"identity_location\": \"=cmd\"}}}}",
            "standard input:1:52: identity_location: a cell may not",
        ),
        (
            "{\"_meta\": {\"hostvars\": {\"b\": {\"identity_location\": \"a\\nb\"}}}}",
            "identity_location: a control character",
        ),
        (
            "{\"_meta\": {\"hostvars\": {\"b\": {\"identity_var_K\": \"a\"}}}}",
            "identity_var_K: a variable's key",
        ),
        ("{\"cards\": [", "standard input:1:"),
        ("dhcp-host=02:00:00:00:00:01,b_b\n", "standard input:1:29: hostname: \"b_b\""),
    ] {
        import(&lab, text, &["--profile", "panda"]).exits(4).says(&[says]);
        assert_eq!(lab.read("boards.csv"), before, "{text}");
    }
    lab.run(&["import", "lost"]).exits(2).says(&["cannot read lost: no such file"]);
    lab.run(&["import", "."]).exits(4).says(&["cannot read .: "]);
    lab.run(&["import", "latin", "--from", "excel"]).exits(2);
    // A format that is named is the one that is read.
    import(&lab, "hostname,mac\na,\n", &["--from", "dnsmasq"]).exits(4);
    import(&lab, "hostname,mac\na,\n", &["--from", "identity"])
        .exits(4)
        .says(&["standard input:1:1: this is no JSON"]);
}

/// One run tells everything that is wrong, in the order of the file, and ends with what weighs most.
#[test]
fn every_fault_of_a_file_is_told_at_once_with_its_place() {
    let lab = full();
    let before = lab.read("boards.csv");
    let told = |text: &str, words: &[&str], code: i32, faults: &[&str]| {
        let answer = import(&lab, text, words).exits(code);
        let lines: Vec<_> = answer.stderr.lines().collect();
        assert_eq!(lines.len(), faults.len() + 1, "{}", answer.stderr);
        for (line, fault) in lines.iter().zip(faults) {
            let start = format!("identity-lab: standard input:{fault}");
            assert!(line.starts_with(&start), "wanted {start}\n{}", answer.stderr);
        }
        let end = format!("identity-lab: {} faults; nothing was added", faults.len());
        assert_eq!(lines.last(), Some(&&end[..]));
        assert_eq!(lab.read("boards.csv"), before, "{text}");
    };
    told(
        "hostname,mac0,ip,profile\na_b,x,10.0.0.1,panda\nok,,10.0.0.1,lost\n\"c,,,\nd,,\ne,02:00:00:00:00:02,,\nok,,,\n,,10.0.0.9,\n",
        &[],
        4,
        &[
            "2:1: hostname: \"a_b\" may not",
            "2:5: mac0: \"x\" is not six",
            "3:14: profile: there is no profiles/lost.toml",
            "4:1: hostname: this quote is not closed",
            "5:4: the line has 3 cells, and the header 4",
            "6:1: profile: e needs one",
            "6:3: mac0: e has 02:00:00:00:00:02, and so has panda-02 in boards.csv:3:",
            "7:1: hostname: ok is in standard input:3:1 too",
            "8:1: hostname: a board needs one",
        ],
    );
    // What is wrong with one value hides nothing that another one clashes with.
    told(
        "hostname,serial,ip\nx,S1,10.0.0\ny,S9,10.0.0.1\nz,S9,10.0.0.1\n",
        &["--profile", "panda"],
        4,
        &[
            "2:3: serial: x has S1, and so has panda-01 in boards.csv:2:",
            "2:6: ip: \"10.0.0\"",
            "4:3: serial: z has S9, and so has y in standard input:3:3",
            "4:6: ip: z has 10.0.0.1, and so has y in standard input:3:6",
        ],
    );
    told(
        "dhcp-host=02:00:00:00:00:01,b_b\ndhcp-host=\"a\ndhcp-host=02-00-00-00-00-01,a\ndhcp-host=03:00:00:00:00:01,c,d,10.0.0.1\n",
        &["--profile", "panda"],
        4,
        &[
            "1:29: hostname: \"b_b\"",
            "2:11: dhcp-host: this quote is not closed",
            "3:11: dhcp-host: dnsmasq takes",
            "4:11: mac0: ",
            "4:31: dhcp-host: a second hostname, \"d\"",
        ],
    );
    told(
        "{\"_meta\": {\"hostvars\": {\n\"b_b\": {\"mac\": \"x\"},\n\"c\": {\"identity_tags\": 3, \"identity_serial\": []}}}}",
        &["--profile", "panda"],
        4,
        &[
            "2:1: hostname: \"b_b\"",
            "2:16: mac: \"x\"",
            "3:24: identity_tags: this is no list",
            "3:46: identity_serial: this is no text",
        ],
    );
    told(
        &format!(
            "[{{\"state\":\"valid\",\"uuid\":\"{UUID}\",\n\"hostname\":\"a_b\",\"macs\":[3]}},\n{{}},\n{{\"state\":\"valid\"}}]"
        ),
        &["--profile", "panda"],
        4,
        &[
            "2:12: hostname: \"a_b\"",
            "2:26: macs: this has no `index`",
            "3:1: this is no card",
            "4:1: uuid: an identity has one",
        ],
    );
    // Two boards with one UUID derive the same addresses: that is one fault.
    let twice = "11111111-2222-4333-8444-555555555555";
    told(
        &format!("hostname,uuid,mac1\nx,{twice},02:00:00:00:00:11\ny,{twice},\n"),
        &["--profile", "panda"],
        6,
        &["2:40: mac1: x has 02:00:00:00:00:11, and so has panda-01", "3:3: uuid: y has"],
    );
}

/// Each run makes other UUIDs, so one that nobody gets is not shown.
#[test]
fn a_plan_shows_no_uuid_that_nobody_gets() {
    let lab = Lab::new();
    let text = format!("hostname,uuid,mac0\na,,\nb,{UUID},\nc,,02:00:00:00:00:03\n");
    let words = ["--profile", "panda", "--dry-run"];
    let dry = import(&lab, &text, &words).exits(0);
    assert_eq!(import(&lab, &text, &words).exits(0).stdout, dry.stdout);
    dry.shows(&[
        "would add a  a new UUID\n",
        &format!("would add b  {UUID}  "),
        "would add c  a new UUID  02:00:00:00:00:03\n",
    ]);
    let dry = import(&lab, &text, &[&words[..], &["--format", "json"]].concat()).exits(0).json();
    let is = |number: usize| {
        (&dry["added"][number]["uuid"], &dry["added"][number]["macs"], &dry["added"][number]["machine_id"])
    };
    assert_eq!(is(0), (&json!(null), &json!([null]), &json!(null)));
    assert_eq!(dry["added"][1]["uuid"], UUID);
    assert_eq!(is(2).1, &json!(["02:00:00:00:00:03"]));
    import(&lab, &text, &words[..2]).exits(0);
    let added = boards(&lab);
    assert!(added[0]["uuid"].is_string() && added[1]["uuid"] == UUID, "{added}");
    lab.run(&["add", "d", "--profile", "panda", "--dry-run"]).exits(0).shows(&["would add d  a new UUID\n"]);
    let dry = lab.run(&["add", "d", "--profile", "panda", "--dry-run", "--format", "json"]).exits(0).json();
    assert_eq!((&dry[0]["hostname"], &dry[0]["uuid"]), (&json!("d"), &json!(null)));
}

#[test]
fn json_has_a_row_for_each_board_and_each_reason() {
    let lab = full();
    let text = "dhcp-host=02:00:00:00:00:02,panda-02,192.168.7.12\ndhcp-host=02:00:00:00:00:03,x\n\
                dhcp-host=panda-01,192.168.7.11\ndhcp-host=02:00:00:00:00:04,12h,192.168.7.14\n";
    let answer = import(&lab, text, &["--profile", "panda", "--update", "--format", "json", "--dry-run"])
        .exits(0)
        .json();
    assert_eq!(answer["added"][0]["hostname"], "x");
    assert_eq!(answer["added"][0]["macs"], json!(["02:00:00:00:00:03"]));
    assert_eq!(answer["updated"][0]["hostname"], "panda-02");
    assert_eq!(
        answer["updated"][0]["changed"],
        json!([{ "column": "ip", "from": "", "to": "192.168.7.12" }])
    );
    assert_eq!(answer["unchanged"][0]["hostname"], "panda-01");
    let left_out =
        json!([{ "file": "standard input", "line": 4, "column": 11, "message": "it has no hostname" }]);
    assert_eq!(answer["left_out"], left_out);
    assert_eq!(answer["without_a_column"], json!(["lease times"]));
}

/// Killed at any moment, `import` leaves the old file or the new one.
#[test]
fn a_killed_import_leaves_the_old_file_or_the_new_one() {
    let lab = full();
    let old = lab.read("boards.csv");
    lab.write("more.csv", "hostname,ip\npanda-01,192.168.7.12\nx,192.168.7.13\ny,\n");
    let mut made = 0;
    let words = ["import", "--update", "--profile", "panda", "more.csv"];
    let kills = crate::killed_before_each_change(&lab, &words, || {
        let now = lab.read("boards.csv");
        if now != old {
            assert_eq!((now.lines().count(), now.contains("192.168.7.12")), (5, true));
            lab.write("boards.csv", &old);
            made += 1;
        }
    });
    assert!(kills.is_none_or(|kills| kills > 5 && made > 0), "{kills:?} kills, {made} made");
}

#[test]
fn imports_and_additions_at_once_lose_nothing() {
    let lab = Lab::new();
    let names: Vec<_> = (0..6).map(|number| format!("n{number}")).collect();
    let running: Vec<_> = names
        .iter()
        .map(|name| {
            let lines: String = (1..=20).map(|number| format!("{name}-{number}\n")).collect();
            lab.write(&format!("{name}.csv"), format!("hostname\n{lines}"));
            let mut import = lab.command();
            import
                .args(["import", "--profile", "panda"])
                .arg(Path::new(&format!("{name}.csv")))
                .stdout(Stdio::null());
            import.spawn().expect("it starts")
        })
        .collect();
    lab.run(&["add", "m[1-20]", "--profile", "panda"]).exits(0);
    for mut one in running {
        assert!(one.wait().expect("it ends").success());
    }
    assert_eq!(lab.read("boards.csv").lines().count(), 141);
}

/// Whatever the file has, nobody waits for it, and a message has few words.
#[test]
fn hostile_files_are_read_or_refused_in_a_moment() {
    let lab = Lab::new();
    let long = "x".repeat(4 << 20);
    let many: String = (0..20_000)
        .map(|number| {
            format!("\"h{number}\":{{\"mac\":\"02:00:00:00:{:02x}:{:02x}\"}},", number / 256, number % 256)
        })
        .collect();
    let names = || (0..200_000).map(|number| format!("c{number}")).collect::<Vec<_>>().join(",");
    let left_out: String =
        (0..100_000).map(|number| format!("dhcp-host=02:00:00:00:00:01,{number}\n")).collect();
    let inventory = format!("{{\"_meta\":{{\"hostvars\":{{{}\"z\":{{}}}}}}}}", many);
    for (text, code) in [
        (format!("hostname,{long}\na,b\n"), 0),
        (format!("hostname,{}\na,{}\n", names(), ",".repeat(200_000 - 1)), 0),
        (format!("hostname,note\n{long},b\n"), 4),
        (format!("hostname,note\na,\"{long}\n"), 4),
        (format!("dhcp-host={}\n", ",".repeat(1 << 20)), 0),
        (left_out, 0),
        (format!("dhcp-host=02:00:00:00:00:01,{long}\n"), 4),
        (format!("dhcp-host=02:00:00:00:00:01,\"{long}\n"), 4),
        ("[".repeat(1 << 20), 4),
        (format!("{{\"_meta\":{}1{}}}", "{\"a\":".repeat(1 << 18), "}".repeat(1 << 18)), 0),
        (format!("{{\"{long}\":[\"{long}\"]}}"), 4),
        (format!("{{\"_meta\":{{\"hostvars\":{{\"a\":{{\"{long}\":1}}}}}}}}"), 0),
        (inventory.clone(), 0),
        (inventory, 0),
        (format!("{{\"state\":\"{long}\",\"uuid\":null}}"), 0),
        ("\u{0}\u{1}\u{2}".into(), 4),
    ] {
        let start = std::time::Instant::now();
        let answer = import(&lab, &text, &["--profile", "panda"]).exits(code);
        assert!(answer.stderr.len() < 3000, "{} bytes are said", answer.stderr.len());
        assert!(start.elapsed().as_secs() < 20, "{:?}: {}", start.elapsed(), &text[..20]);
    }
    assert_eq!(boards(&lab).as_array().expect("a list").len(), 20_002);
}
