// SPDX-License-Identifier: MIT OR Apache-2.0
//! `check`.

use crate::{Answer, Lab, OTHER, UUID};

/// One profile, and these boards.
fn lab(lines: &str) -> Lab {
    let lab = Lab::new();
    lab.write("boards.csv", format!("hostname,profile,uuid,serial,mac0,mac1,ip\n{lines}"));
    lab
}

#[test]
fn nothing_is_found_in_a_lab_that_add_has_made() {
    let lab = Lab::new();
    lab.run(&["check"]).exits(0);
    lab.run(&["add", "panda-[0001-2000]", "--profile", "panda"]).exits(0);
    let answer = lab.run(&["check"]).exits(0);
    assert_eq!((answer.stdout.as_str(), answer.stderr.as_str()), ("", ""));
    assert_eq!(lab.run(&["check", "--format", "json"]).exits(0).json(), serde_json::json!([]));
}

#[test]
fn everything_that_two_boards_share_is_found_with_its_line_and_column() {
    let clashes = [
        (format!("a-1,panda,{OTHER},,,,"), "3:1: hostname: a-1 has a-1, and so has a-1 in line 2"),
        (format!("a-2,panda,{UUID},,,,"), "3:11: uuid: "),
        (format!("a-2,panda,{OTHER},S1,,,"), "3:48: serial: a-2 has S1, and so has a-1 in line 2"),
        (format!("a-2,panda,{OTHER},,02:00:00:00:00:01,,"), "3:49: mac0: a-2 has 02:00:00:00:00:01, "),
        (format!("a-2,panda,{OTHER},,,02:00:00:00:00:01,"), "3:50: mac1: a-2 has 02:00:00:00:00:01, "),
        (
            format!("a-2,panda,{OTHER},,,,192.168.7.1"),
            "3:51: ip: a-2 has 192.168.7.1, and so has a-1 in line 2",
        ),
        (
            format!("a-2,tiger,{OTHER},,,,"),
            "3:5: profile: there is no profiles/tiger.toml; the lab has panda",
        ),
    ];
    for (line, found) in clashes {
        let lab = lab(&format!("a-1,panda,{UUID},S1,02:00:00:00:00:01,,192.168.7.1\n{line}\n"));
        let answer = lab.run(&["check"]).exits(5);
        let found = format!("boards.csv:{found}");
        assert!(answer.stdout.lines().any(|line| line.starts_with(&found)), "{found}\n{}", answer.stdout);
    }
}

#[test]
fn an_address_that_no_board_of_the_network_can_have_is_found() {
    let lab = Lab::with_network("");
    for (ip, what) in [
        ("192.168.8.1", "is not in 192.168.7.0/24"),
        ("192.168.7.1", "is the server's own address"),
        ("192.168.7.0", "is no host's"),
        ("192.168.7.255", "is no host's"),
    ] {
        lab.write("boards.csv", format!("hostname,profile,uuid,ip\na-1,panda,{UUID},{ip}\n"));
        lab.run(&["check"]).exits(5).shows(&["boards.csv:2:", &format!("ip: {ip} {what}")]);
    }
}

/// What git has merged is in no order, and no fault; `sort` moves lines, and changes none.
#[test]
fn lines_out_of_order_are_said_and_sorted() {
    let lab = lab(&format!("b-1,panda,{UUID},,,,\n\na-1 ,\"panda\",{OTHER},,,,\r\n"));
    lab.run(&["check"]).exits(0).says(&["not sorted by hostname; `identity-lab sort` sorts it"]);
    lab.run(&["sort"]).exits(0);
    let sorted = format!(
        "hostname,profile,uuid,serial,mac0,mac1,ip\na-1 ,\"panda\",{OTHER},,,,\r\nb-1,panda,{UUID},,,,\n"
    );
    assert_eq!(lab.read("boards.csv"), sorted);
    let answer = lab.run(&["check"]).exits(0);
    assert_eq!(answer.stderr, "");
    lab.run(&["sort"]).exits(0).says(&["sorted already"]);
    assert_eq!(lab.read("boards.csv"), sorted);
}

#[test]
fn a_column_that_is_nearly_one_that_is_read_is_found() {
    let lab = Lab::new();
    for (column, meant) in
        [("IP", "ip"), ("mac", "mac0"), ("MAC 1", "mac1"), ("ssh-key", "sshkey"), ("Serial", "serial")]
    {
        lab.write("boards.csv", format!("hostname,profile,uuid,{column}\na-1,panda,{UUID},\n"));
        let found = format!(
            "boards.csv:1:23: the column `{column}` is read by nobody; the one that is read is `{meant}`"
        );
        lab.run(&["check"]).exits(5).shows(&[&found]);
    }
    lab.write("boards.csv", format!("hostname,profile,uuid,owner,note\na-1,panda,{UUID},,\n"));
    lab.run(&["check"]).exits(0);
}

#[test]
fn what_add_refuses_is_what_check_would_find() {
    let lab = Lab::new();
    for name in ["10.0.0.1", "7", "localhost"] {
        lab.run(&["add", name, "--profile", "panda"]).exits(2).says(&["resolvers take it for an address"]);
    }
    lab.write("lab.toml", "name = \"desk\"\n[defaults]\nprofile = \"tiger\"\n");
    lab.run(&["check"]).exits(5).shows(&["lab.toml:1: [defaults] profile: there is no profiles/tiger.toml"]);
    lab.write("boards.csv", format!("hostname,profile,uuid\n<<<<<<< HEAD\na-1,panda,{UUID}\n"));
    lab.run(&["check"]).exits(4).says(&["boards.csv:2:1: git's mark of a conflict"]);
}

/// As a file system leaves it that had no time to write.
#[test]
fn a_list_that_a_power_cut_has_left_is_named_for_what_it_is() {
    let lab = Lab::new();
    for (bytes, says) in [
        (vec![0; 4096], "boards.csv:1:1: this file has nothing but zero bytes, as after a power cut"),
        (vec![], "boards.csv:1:1: there are no names of columns; "),
        (b"\n".to_vec(), "if the file was lost, take it from git"),
    ] {
        lab.write("boards.csv", &bytes);
        for words in [&["check"][..], &["add", "x", "--profile", "panda"], &["remove", "--yes", "x"]] {
            lab.run(words).exits(4).says(&[says]);
        }
        assert_eq!(std::fs::read(lab.path("boards.csv")).expect("it stays"), bytes);
    }
}

/// A finding names its file once, and says the same wherever the lab lies.
#[test]
fn an_identity_that_does_not_fit_into_its_sector_is_found_and_its_place_is_said_once() {
    let lab = Lab::new();
    let long = "x".repeat(190);
    lab.write(
        "boards.csv",
        format!("hostname,profile,uuid,var.a,var.b,var.c\na-1,tiger,{UUID},{long},{long},{long}\n"),
    );
    let answer = lab.run(&["check"]).exits(5);
    let lines: Vec<_> = answer.stdout.lines().collect();
    let starts = [
        "boards.csv:2:5: profile: there is no profiles/tiger.toml; ",
        "boards.csv:2:1: the fields are 132 bytes over the 462 ",
    ];
    assert_eq!(lines.len(), starts.len(), "{}", answer.stdout);
    for (line, start) in lines.iter().zip(starts) {
        assert!(line.starts_with(start), "{line}");
    }
    let dir = lab.path("").display().to_string();
    let elsewhere = Answer::of(lab.command().current_dir("/").args(["--lab", &dir, "check"])).exits(5);
    assert_eq!(elsewhere.stdout.replace(&dir, ""), answer.stdout);
    for line in elsewhere.stdout.lines() {
        assert_eq!(line.matches(&dir).count(), 1, "{line}");
    }
}

/// What one board derives, another one was assigned.
#[test]
fn derived_addresses_count_as_assigned_ones_do() {
    let alone = lab(&format!("a-1,panda,{UUID},,,,\n"));
    let list = alone.run(&["list", "--format", "json"]).exits(0).json();
    let derived = list[0]["macs"][0].as_str().expect("text");
    let both = lab(&format!("a-1,panda,{UUID},,,,\na-2,panda,{OTHER},,,{derived},\n"));
    both.run(&["check"]).exits(5).shows(&["boards.csv:3:50: mac1: a-2 has", "a-1 in line 2"]);
}

#[test]
fn every_finding_is_shown_and_machines_get_them_as_json() {
    let lab = lab(&format!("a-1,panda,{UUID},,,,\na-2,panda,{UUID},,,,\na-3,tiger,{OTHER},,,,\n"));
    let answer = lab.run(&["check"]).exits(5).says(&["findings in a lab of 3 boards"]);
    let found = lab.run(&["check", "--format", "json"]).exits(5).json();
    let found = found.as_array().expect("a list");
    assert_eq!(answer.stdout.lines().count(), found.len(), "{}", answer.stdout);
    // A UUID is shared, and with it the derived addresses.
    let lines: Vec<_> = found.iter().map(|one| one["line"].as_u64().expect("a number")).collect();
    assert_eq!(lines, [3, 3, 3, 4]);
    assert_eq!((found[0]["file"].as_str(), found[0]["column"].as_u64()), (Some("boards.csv"), Some(11)));
}

/// What an export refuses, or the program that it is for, is found before: a check in a git hook is enough.
#[test]
fn what_exports_would_refuse_is_found() {
    let lab = Lab::new();
    let key = |byte: char| format!("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{}", byte.to_string().repeat(43));
    let list = |rows: &[(&str, &str, &str, &str)]| {
        let mut text = "hostname,profile,uuid,ip,location,tags,sshkey\n".to_owned();
        for (number, (ip, location, tags, sshkey)) in rows.iter().enumerate() {
            text += &format!(
                "p-{number},panda,9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f{number},{ip},{location},{tags},{sshkey}\n"
            );
        }
        lab.write("boards.csv", text);
    };
    let (one, other) = (key('A'), key('B'));
    list(&[("10.0.0.1", "R3", "poe", &one), ("10.0.0.2", "R4", "", &other), ("", "R3", "poe", "")]);
    lab.run(&["check"]).exits(0);
    for kind in ["ansible", "ssh-known-hosts"] {
        lab.run(&["export", kind]).exits(0);
    }
    for broken in ["ssh-ed25519 AAAA", "foo bar", "ssh-ed25519", &one.replacen("ed25519", "rsa", 1)] {
        list(&[("", "", "", broken)]);
        lab.run(&["check"]).exits(5).shows(&["boards.csv:2:", "sshkey: this is no public key"]);
        lab.run(&["export", "ssh-known-hosts"]).exits(4).says(&["boards.csv:2:", "this is no public key"]);
    }
    list(&[("", "", "", &one), ("", "", "", &other), ("", "", "", &one)]);
    lab.run(&["check"]).exits(5).shows(&["boards.csv:4:", "p-2 has the host key of p-0 in line 2"]);
    list(&[("", "R3.1", "", ""), ("", "R3-1", "", "")]);
    lab.run(&["check"]).exits(5).shows(&["boards.csv:3:", "\"R3-1\" and \"R3.1\" are the same group"]);
    lab.run(&["export", "ansible"]).exits(6).says(&["boards.csv:3:"]);
    for ip in ["0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "240.0.0.1"] {
        list(&[(ip, "", "", "")]);
        lab.run(&["check"]).exits(5).shows(&["boards.csv:2:", "is no host's address"]);
    }
}

/// An interface without a column has a derived address all the same.
#[test]
fn an_assigned_address_that_another_board_derives_is_found() {
    let derived = identity_tests::cli::Identity::new(format!("derive {UUID} --interfaces 3")).run().exits(0);
    let macs: Vec<_> = derived.stdout.split_whitespace().filter(|word| word.len() == 17).collect();
    for (index, mac) in macs.iter().enumerate().skip(1) {
        let lab = Lab::new();
        lab.write(
            "boards.csv",
            format!("hostname,profile,uuid,mac0\na,panda,{UUID},\nb,panda,{OTHER},{mac}\n"),
        );
        lab.run(&["check"])
            .exits(5)
            .shows(&[&format!("boards.csv:2: mac{index}: a has {mac}, and so has b in line 3")]);
    }
}

/// Nobody guesses which of two is meant.
#[test]
fn two_lines_of_one_name_are_not_looked_up() {
    let lab = Lab::new();
    lab.write("boards.csv", format!("hostname,profile,uuid\na,panda,{UUID}\na,panda,{OTHER}\n"));
    for verb in ["show", "where"] {
        lab.run(&[verb, "a"]).exits(6).says(&["boards.csv:3:1", "that in line 2", "`identity-lab check`"]);
    }
}
