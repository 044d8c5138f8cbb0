// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is taken of each format; the programs that read these files judge it.

use identity_tests::cli::{Identity, tool};
use identity_tests::run_where_installed;
use serde_json::{Value, json};

use super::{boards, empty, full, import};
use crate::{Answer, Lab, OTHER, UUID};

#[test]
fn a_list_that_is_exported_as_csv_comes_back_as_it_was() {
    let one = full();
    let table = one.run(&["export", "csv"]).exits(0).stdout;
    let other = empty(&one);
    import(&other, &table, &[]).exits(0).shows(&["2 added\n"]);
    assert_eq!(other.read("boards.csv"), one.read("boards.csv"));
    // Once more: nothing to do, and the file keeps its bytes.
    import(&other, &table, &[]).exits(0).shows(&["0 added, 2 there already\n"]);
    let answer = other.run(&["import", "boards.csv"]).exits(0);
    assert_eq!((&answer.stdout[..], &answer.stderr[..]), ("0 added, 2 there already\n", ""));
    assert_eq!(other.read("boards.csv"), one.read("boards.csv"));
}

#[test]
fn an_inventory_that_is_exported_for_ansible_comes_back_as_it_was() {
    let one = full();
    // What an inventory has no variable for.
    let text = one.read("boards.csv").replace("02:00:00:00:00:11", "").replace("\"a;b \"\"c\"\"\"", "");
    one.write("boards.csv", text.replace("R3, left", "{{ R3 }}"));
    let other = empty(&one);
    let inventory = one.run(&["export", "ansible"]).exits(0).stdout;
    import(&other, &inventory, &[]).exits(0).shows(&["2 added\n"]).says(&[]);
    assert_eq!(other.read("boards.csv"), one.read("boards.csv").replace("\"{{ R3 }}\"", "{{ R3 }}"));

    // As ansible-inventory prints it again.
    one.write("inventory.sh", format!("#!/bin/sh\ncat '{}'\n", one.path("inventory.json").display()));
    one.write("inventory.json", &inventory);
    let script = one.path("inventory.sh");
    identity_tests::write_program(&script, &one.read("inventory.sh"));
    let mut ansible = tool("ansible-inventory");
    ansible.args(["--list", "-i"]).arg(&script).env("HOME", one.path(""));
    let Some(printed) = run_where_installed(&mut ansible) else { return };
    let third = empty(&one);
    import(&third, &printed, &[]).exits(0).shows(&["2 added\n"]);
    assert_eq!(third.read("boards.csv"), other.read("boards.csv"));
}

/// The UUIDs are lost on the way, so what followed from them is assigned now.
#[test]
fn boards_that_are_exported_for_dnsmasq_have_the_same_addresses_on_the_wire_again() {
    let one = full();
    let lines = one.run(&["export", "dnsmasq"]).exits(0).stdout;
    let other = empty(&one);
    import(&other, &lines, &[]).exits(0).shows(&["2 added\n"]);
    let [before, after] = [&one, &other].map(boards);
    for number in 0..2 {
        for key in ["hostname", "profile", "macs", "ip"] {
            assert_eq!(before[number][key], after[number][key], "{key}");
        }
        assert_ne!(before[number]["uuid"], after[number]["uuid"]);
    }
    assert_eq!(other.run(&["export", "dnsmasq"]).exits(0).stdout, lines);
    // In the lab that they come from they are there already, derived or not.
    import(&one, &lines, &[]).exits(0).shows(&["0 added, 2 there already\n"]);
    // A list without boards gets the columns that it lacks.
    let third = Lab::with_network("");
    third.write("boards.csv", "hostname,profile,uuid\n");
    import(&third, &lines, &[]).exits(0);
    assert!(third.read("boards.csv").starts_with("hostname,profile,uuid,ip,mac0,mac1\npanda-01,panda,"));
    assert_eq!(third.run(&["export", "dnsmasq"]).exits(0).stdout, lines);
}

#[test]
fn cards_come_with_their_uuids_and_a_derived_address_stays_derived() {
    let lab = Lab::with_network("");
    lab.write("boards.csv", "hostname,profile,uuid,serial,mac0,mac1,var.console\n");
    let card = |name: &str, words: &str| {
        let create = format!("stamp --create 64M {words}");
        Identity::new(create).arg(lab.path(name)).run().exits(0);
    };
    card("a.img", "--profile panda --hostname panda-01 --serial S1");
    card("b.img", "--profile panda --hostname panda-02 --mac 1=02:00:00:00:00:11 --set console=ttyS0");
    card("c.img", "--profile panda");
    card("d.img", "--profile panda");
    Identity::new("erase --force").arg(lab.path("d.img")).run();
    let read = |words: &str, names: &[&str]| {
        let mut read = Identity::new(words);
        for name in names {
            read = read.arg(lab.path(name));
        }
        read.run().stdout
    };
    let all = ["a.img", "b.img", "c.img", "d.img"];
    let uuid = |name: &str| read("read --field uuid", &[name]).trim().to_owned();
    for (text, console) in [
        (read("read --format csv --interfaces 2", &all), ""),
        (read("read --format json", &all), "ttyS0"),
        (read("read --format json", &["a.img"]) + &read("read --format json", &["b.img"]), "ttyS0"),
    ] {
        lab.write("boards.csv", "hostname,profile,uuid,serial,mac0,mac1,var.console\n");
        let answer = import(&lab, &text, &[]).exits(0).shows(&["2 added"]);
        let expected = format!(
            "hostname,profile,uuid,serial,mac0,mac1,var.console\npanda-01,panda,{},S1,,,\npanda-02,panda,{},,,02:00:00:00:00:11,{console}\n",
            uuid("a.img"),
            uuid("b.img")
        );
        assert_eq!(lab.read("boards.csv"), expected, "{text}");
        if text.contains("d.img") {
            answer.shows(&["2 added, 2 left out\n"]).says(&[
                "left out: hostname: it has none, and the list no board with its UUID",
                "d.img has no identity that can be used: its state is blank",
            ]);
        }
    }
    // A card without a hostname is a board that is there, by its UUID.
    lab.write("boards.csv", format!("hostname,profile,uuid,serial\npanda-03,panda,{},S3\n", uuid("c.img")));
    import(&lab, &read("read --format json", &["c.img"]), &[])
        .exits(0)
        .shows(&["0 added, 1 there already\n"]);
    // An address that is not the card's own, and a machine-id that is not.
    let text = read("read --format json", &["a.img"]);
    let document: Value = serde_json::from_str(&text).expect("JSON");
    let mac = document["macs"][0]["address"].as_str().expect("text");
    import(&lab, &text.replace(mac, "02:00:00:00:00:09"), &[])
        .exits(4)
        .says(&["standard input:", "mac0: 02:00:00:00:00:09 is not the derived address of"]);
    let id = document["machine_id"].as_str().expect("text");
    import(&lab, &text.replace(id, &"0".repeat(32)), &[]).exits(6).says(&[
        "machine_id: panda-01 has \"0000",
        id,
        "nothing was added",
    ]);
}

/// What `identity list` has of a card, without a card: rows as it prints them.
#[test]
fn what_identity_list_shows_is_taken() {
    let lab = Lab::new();
    let row = |state: &str, hostname: &str, uuid: &str| {
        json!({ "device": "/dev/sdb", "size": 1, "model": null, "state": state, "uuid": uuid, "profile": "panda",
                "hostname": hostname, "mac": null, "problem": null, "unfinished": null, "same_identity_as": [] })
    };
    let list = json!({ "cards": [row("valid", "panda-01", UUID), row("cloned", "panda-02", OTHER)] });
    import(&lab, &list.to_string(), &[])
        .exits(0)
        .shows(&["1 added, 1 left out\n"])
        .says(&["the card in /dev/sdb has no identity that can be used: its state is cloned"]);
    // Whatever cards this machine has, the program's own output is read.
    let printed = Identity::new("list --loops --format json").run().stdout;
    import(&lab, &printed, &["--dry-run", "--profile", "panda", "--update"]);
    let twice = json!({ "cards": [row("valid", "panda-03", OTHER), row("valid", "panda-04", OTHER)] });
    import(&lab, &twice.to_string(), &[]).exits(6).says(&[
        "standard input:1:",
        "uuid: panda-04 has",
        "so has panda-03 in standard input:1:",
    ]);
}

#[test]
fn a_table_is_taken_with_usual_names_of_its_columns() {
    let lab = Lab::new();
    let table = "\u{feff}Name;MAC Address;IP;Serial Number;Notes;Colour\r\n\
                 b;0200.5E10.0001;192.168.7.12;;x, y;red\r\n\
                 ;;;;;\r\n\
                 a;02-00-5e-10-00-02;;S1;;\r\n";
    import(&lab, table, &["--profile", "panda"])
        .exits(0)
        .shows(&["added a  ", "  02:00:5e:10:00:01\n2 added\n"])
        .says(&["boards.csv has no column for these, so they are left out: Colour"]);
    let list = lab.read("boards.csv");
    let lines: Vec<_> = list.lines().collect();
    assert!(lines[1].starts_with("a,panda,") && lines[1].ends_with(",S1,02:00:5e:10:00:02,,,,"), "{list}");
    assert!(lines[2].ends_with(",,02:00:5e:10:00:01,192.168.7.12,,,\"x, y\""), "{list}");
    // A column of the lab's own is kept.
    let lab = Lab::new();
    lab.write("boards.csv", "hostname,profile,uuid,Colour\n");
    import(
        &lab,
        &format!("host,profile,uuid,Colour\na,panda,{{{UUID}}},red\nb,panda,urn:uuid:{OTHER},\n"),
        &[],
    )
    .exits(0);
    let expected = format!("hostname,profile,uuid,Colour\na,panda,{UUID},red\nb,panda,{OTHER},\n");
    assert_eq!(lab.read("boards.csv"), expected);
}

#[test]
fn a_board_has_the_profile_of_the_file_else_the_one_that_is_given_else_the_labs() {
    let lab = Lab::new();
    lab.write("profiles/beagle-x15.toml", lab.read("profiles/panda.toml"));
    import(&lab, "hostname\na\n", &[])
        .exits(2)
        .says(&["standard input:2:1: profile: a needs one", "--profile NAME"]);
    import(&lab, "hostname\na\n", &["--profile", "lost"]).exits(6).says(&["profiles/lost.toml"]);
    import(&lab, "hostname,profile\na,lost\n", &["--profile", "panda"]).exits(6).says(&[
        "standard input:2:3: profile: there is no",
        "profiles/lost.toml",
        "nothing was added",
    ]);
    lab.write("lab.toml", lab.read("lab.toml").replace("#profile = \"example\"", "profile = \"panda\""));
    import(&lab, "hostname,profile\na,beagle-x15\nb,\n", &[]).exits(0);
    import(&lab, "hostname\nc\n", &["--profile", "beagle-x15"]).exits(0);
    import(&lab, "{\"profile_beagle_x15\": [\"d\"]}", &[]).exits(0);
    let profiles: Vec<_> =
        boards(&lab).as_array().expect("a list").iter().map(|board| board["profile"].clone()).collect();
    assert_eq!(profiles, ["beagle-x15", "panda", "beagle-x15", "beagle-x15"]);
    // The one that is given is no value of a board that is there.
    import(&lab, "hostname\nb\n", &["--profile", "beagle-x15"]).exits(0).shows(&["0 added, 1 there already"]);
}

/// Lines that people have, and what a real dnsmasq gives the clients that they name.
#[test]
fn dnsmasq_takes_each_line_as_import_does() {
    if !crate::serve::can_run() {
        return;
    }
    const LINES: &str = "# boards\n\
        port=0\n\
        dhcp-host=02:00:00:00:00:01,a,192.168.7.11\n\
        dhcp-host = 2:0:0:0:0:2 , set:x,tag:!y, b , 192.168.7.12, 12h # left\n\
        dhcp-host=1-02:00:00:00:00:03,192.168.7.13,\"c\",infinite\n\
        dhcp-host=02:00:00:00:00:04,02:00:00:00:00:14,d,192.168.7.14,[fd00::4]\n\
        dhcp-host=id:*,02:00:00:00:00:05,e,192.168.7.15,5 m\n\
        dhcp-host=02:00:00:00:00:06,f,ignore\n\
        dhcp-host=02:00:00:00:01:*,192.168.7.17\n\
        dhcp-host=06-02:00:00:00:00:08,h,192.168.7.18\n";
    let lab = Lab::with_network("");
    lab.write("boards.csv", "hostname,profile,uuid,mac0,ip\n");
    lab.write("boards.conf", LINES);
    lab.run(&["import", "boards.conf", "--profile", "panda"])
        .exits(0)
        .shows(&["5 added, 3 left out\n"])
        .says(&[
            "boards.conf:8:11: left out: `ignore`",
            "boards.conf:9:11: left out: a MAC address with *",
            "boards.conf:10:11: left out: 06-02:00:00:00:00:08 is no address of Ethernet",
            "left out: IPv6 addresses, client identifiers, lease times, tags of dnsmasq",
        ]);
    // Of those left out none gets the address or the name of its line.
    let list = boards(&lab);
    let mut expected: Vec<(String, String)> = Vec::new();
    for board in list.as_array().expect("a list") {
        let text = |key: &str| board[key].as_str().expect("text").to_owned();
        for mac in board["macs"].as_array().expect("a list") {
            expected.push((
                mac.as_str().expect("text").to_owned(),
                format!("{} {}", text("ip"), text("hostname")),
            ));
        }
    }
    assert_eq!(expected.len(), 6, "{list}");
    for mac in ["06", "08"] {
        expected.push((format!("02:00:00:00:00:{mac}"), "none".into()));
    }
    let ask = |mac: &str| {
        format!(
            "ip link set board down; ip link set board address {mac}; ip link set board up
             busybox udhcpc -i board -f -q -n -t 4 -T 1 -s /bin/true >/dev/null 2>&1 || true
             echo \"{mac} $(awk '$2 == \"{mac}\" {{ print $3, $4 }}' leases)\"\n"
        )
    };
    let asks: String = expected.iter().map(|(mac, _)| ask(mac)).collect();
    let script = format!(
        "dnsmasq --no-daemon --conf-file=boards.conf --interface=server --dhcp-range=192.168.7.200,192.168.7.200,1h \
         --dhcp-ignore=tag:!known --dhcp-leasefile=$PWD/leases --pid-file= >log 2>&1 & pid=$!
         touch leases; sleep 1\n{asks}kill $pid"
    );
    let answer = crate::serve::inside(&lab, &script);
    for (mac, lease) in &expected {
        let lease = if lease == "none" { "" } else { lease };
        assert!(
            answer.stdout.contains(&format!("{mac} {lease}\n")),
            "{mac} {lease}:\n{}\n{}",
            answer.stdout,
            answer.stderr
        );
    }
}

#[test]
fn ansible_inventory_reads_what_is_no_json() {
    let lab = Lab::new();
    let ini = "# boards\n[profile_panda]\npanda-[01:02] ansible_user=root\nx9 ansible_host=192.168.7.19 ethaddr=0200.5e10.0009\n";
    lab.write("hosts", ini);
    let mut ansible = tool("ansible-inventory");
    if run_where_installed(ansible.arg("--version").env("HOME", lab.path(""))).is_none() {
        return;
    }
    lab.run(&["import", "hosts"]).exits(0).shows(&["3 added\n"]).says(&["left out: ansible_user"]);
    let list = boards(&lab);
    assert_eq!(list[2]["macs"][0], "02:00:5e:10:00:09");
    assert_eq!(list[2]["ip"], "192.168.7.19");
    // A place is that of the word in the file itself, not in what Ansible has made of it.
    lab.write("hosts", format!("{ini}a_b\n"));
    lab.run(&["import", "hosts"]).exits(4).says(&["hosts:5:1: hostname: \"a_b\" may not"]);
    lab.write("hosts", ini.replace("0009", "000"));
    lab.run(&["import", "hosts"]).exits(4).says(&["hosts:4:38: ethaddr: \"0200.5e10.000\" is not"]);
    // YAML, on standard input, and with its group's values.
    let yaml = "all:\n  children:\n    profile_panda:\n      hosts:\n        y1:\n      vars:\n        mac: {{ x }}\n";
    import(&lab, &yaml.replace("{{ x }}", "\"02:00:5e:10:00:0a\""), &[]).exits(0).shows(&["1 added\n"]);
    import(&lab, &yaml.replace("{{ x }}", "["), &[])
        .exits(4)
        .says(&["standard input:1: ansible-inventory does not take it"]);
    // What is a template or a script is not run.
    let template = "\"{{ lookup('pipe', 'touch pwned') }}\"";
    import(&lab, &yaml.replace("y1", "y2").replace("{{ x }}", template), &[])
        .exits(4)
        .says(&["mac: \"{{ lookup"]);
    identity_tests::write_program(&lab.path("script"), "#!/bin/sh\ntouch pwned\necho '{}'\n");
    lab.run(&["import", "script"])
        .exits(2)
        .says(&["script is a script, which is not run", "ansible-inventory -i script --list"]);
    lab.run(&["import", "script", "--from", "ansible"]).exits(2);
    assert!(!lab.path("pwned").exists());
}

#[test]
fn without_ansible_the_command_is_named() {
    let lab = Lab::new();
    lab.write("my hosts", "[profile_panda]\na\n");
    let mut command = lab.command();
    Answer::of(command.args(["import", "my hosts"]).env("PATH", lab.path("")))
        .exits(2)
        .says(&["is not installed here", "`ansible-inventory -i 'my hosts' --list > boards.json`"]);
}
