// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong in a file of the lab is said with file, line and column: exit 4.

use crate::Lab;

const HEAD: &str = "hostname,profile,uuid,serial,mac0,ip,note\n";
const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";

#[test]
fn a_wrong_cell_is_named_with_line_column_and_header() {
    let lab = Lab::new();
    for (line, place, what) in [
        (format!("ä,panda,{UUID},,,,"), "2:1", "hostname: "),
        (format!(",panda,{UUID},,,,"), "2:1", "hostname: a board needs one"),
        (format!("a,,{UUID},,,,"), "2:3", "profile: a board needs one"),
        (format!("a,/x,{UUID},,,,"), "2:3", "profile: "),
        ("a,panda,x,,,,".into(), "2:9", "uuid: \"x\" is no UUID"),
        ("a,panda,00000000-0000-0000-0000-000000000000,,,,".into(), "2:9", "uuid: "),
        (format!("a,panda,{UUID},s s,,,"), "2:46", "serial: "),
        (format!("a,panda,{UUID},,03:00:00:00:00:01,,"), "2:47", "mac0: "),
        (format!("a,panda,{UUID},,,1.2.3,"), "2:48", "ip: \"1.2.3\" is no IPv4 address"),
        (format!("a,panda,{UUID},,,,=1"), "2:49", "note: a cell may not begin with"),
        (format!("a,panda,{UUID},,,,-"), "2:49", "note: a cell may not begin with"),
        (format!("a,panda,{UUID},,,,\"x"), "2:49", "note: this quote is not closed"),
        (format!("a,panda,{UUID},,,,x\"y\""), "2:50", "note: a quote inside of a cell"),
        (format!("a,panda,{UUID},,,"), "2:48", "the line has 6 cells, and the header 7"),
        (format!("a,panda,{UUID},,,,,"), "2:50", "the line has 8 cells, and the header 7"),
    ] {
        lab.write("boards.csv", format!("{HEAD}{line}\n"));
        lab.run(&["list"]).exits(4).says(&[&format!("boards.csv:{place}: {what}")]);
    }
}

#[test]
fn a_wrong_header_is_named_with_its_column() {
    let lab = Lab::new();
    for (text, place, what) in [
        ("", "1:1", "there are no names of columns"),
        ("name,profile,uuid\n", "1:1", "there is no column `hostname`"),
        ("hostname,uuid\n", "1:1", "there is no column `profile`"),
        ("hostname,profile,uuid,uuid\n", "1:23", "a second column `uuid`"),
        ("hostname,profile,uuid,,x\n", "1:23", "a column without a name"),
        ("hostname,profile,uuid,var.A\n", "1:23", "`var.A`: a variable's key"),
        ("hostname,profile,uuid,@x\n", "1:23", "a cell may not begin"),
    ] {
        lab.write("boards.csv", text);
        lab.run(&["list"]).exits(4).says(&[&format!("boards.csv:{place}: "), what]);
    }
    lab.write("boards.csv", b"hostname,profile,uuid\na,b\xff\n");
    lab.run(&["list"]).exits(4).says(&["boards.csv:2:4: ", "UTF-8"]);
}

#[test]
fn a_wrong_lab_toml_is_named_with_its_line() {
    let lab = Lab::new();
    for (text, line, what) in [
        ("", "1", "name is missing"),
        ("name = \"x", "1:10: ", "invalid basic string"),
        ("name = \"x\"\n[sever]\n", "2", "this file has no key `sever`"),
        (
            "name = \"x\"\n\n[server]\nadress = \"1.2.3.4\"\n",
            "4",
            "[server] has no key `adress`; it has address",
        ),
        ("name = \"x\"\n[server]\naddress = \"1.2.3\"\n", "3", "is no IPv4 address"),
        ("name = \"x\"\n[server]\nroot = \"srv\"\n", "3", "is no absolute path"),
        ("name = \"x\"\n[server]\nnbd_port = 70000\n", "3", "a number from 0 to 65535"),
        ("name = \"x\"\nserver = 3\n", "2", "`server` is not a section"),
        ("name = \"x\"\n[network]\nsubnet = \"10.0.0.1/24\"\n", "3", "is no network"),
        ("name = \"x\"\n[network]\nsubnet = \"10.0.0.0/24\"\n", "2", "range is missing"),
        (
            "name = \"x\"\n[network]\nsubnet = \"10.0.0.0/24\"\nrange = \"10.0.1.1-10.0.1.2\"\n",
            "4",
            "no range in the subnet",
        ),
        ("name = \"x\"\n[rescue]\nkernel = \"../zImage\"\n", "3", "not a path inside of the lab"),
    ] {
        lab.write("lab.toml", text);
        lab.run(&["list"]).exits(4).says(&[&format!("lab.toml:{line}"), what]);
    }
}

#[test]
fn a_wrong_profile_is_named_with_its_line() {
    const BOOT: &str = "[boot]\nkernel = \"boot/zImage\"\n";
    let lab = Lab::new();
    for (text, line, what) in [
        ("", 1, "kernel is missing"),
        ("[boot]\nkernel = 3\n", 2, "[boot] kernel is not a text"),
        ("[boot]\nkernel = \"/zImage\"\n", 2, "not a path inside of the lab"),
        ("[boot]\nkernel = \"a/../b\"\n", 2, "not a path inside of the lab"),
        ("[boot]\nkernel = \"a\"\ninitrd = [\n  \"b\",\n  3,\n]\n", 5, "is not a list of texts"),
        (
            "[boot]\nkernel = \"a\"\nargs = [\"a\",\n \"b;reset\"]\n",
            4,
            "`;` may not stand in a kernel argument",
        ),
        ("[boot]\nkernel = \"a\"\nargs = \"$x\"\n", 3, "`$` may not stand"),
        ("[boot]\nkernel = \"a\"\n[boot.addresses]\nfdt = 1\n", 4, "[boot.addresses] has no key `fdt`"),
        ("[roots]\n", 1, "no key `roots`"),
        (&format!("{BOOT}[root]\nimage = \"a\"\n"), 3, "transport is missing"),
        (
            &format!("{BOOT}[root]\nimage = \"a\"\ntransport = \"ftp\"\n"),
            5,
            "is \"ftp\"; it is one of \"nbd\"",
        ),
        (&format!("{BOOT}[loader]\nfile = \"a\"\nhow = \"go\"\n"), 5, "is \"go\"; it is one of"),
        (&format!("{BOOT}[card]\nlba = 16\n"), 4, "lba is the place of one loader"),
    ] {
        lab.write("profiles/panda.toml", text);
        lab.run(&["list"]).exits(4).says(&[&format!("profiles/panda.toml:{line}: "), what]);
    }
    lab.write("profiles/panda.toml", BOOT);
    lab.write("profiles/a b.toml", BOOT);
    lab.run(&["list"]).exits(4).says(&["profiles/a b.toml:1: "]);
}

/// Of the twelve pairs of transport and writes, nine go together; the others are refused with their line.
#[test]
fn pairs_that_do_not_go_together_are_refused() {
    let lab = Lab::new();
    for transport in ["nbd", "nfs-file", "http-ram", "card"] {
        for writes in ["discard", "server", "keep"] {
            lab.write(
                "profiles/panda.toml",
                format!(
                    "[boot]\nkernel = \"a\"\n[root]\nimage = \"b\"\ntransport = \"{transport}\"\nwrites = \"{writes}\"\n"
                ),
            );
            let answer = lab.run(&["list"]);
            if writes == "server" && transport != "nbd" {
                answer.exits(4).says(&["profiles/panda.toml:6: ", "goes with transport = \"nbd\" alone"]);
            } else {
                answer.exits(0);
            }
        }
    }
    for (lines, line, what) in [
        ("lost_after = \"1m\"", 6, "needs lost = \"reboot\""),
        ("lost = \"wait\"\nlost_after = \"1m\"", 7, "needs lost = \"reboot\""),
        ("lost = \"reboot\"\nlost_after = \"soon\"", 7, "no time like"),
        ("lost = \"weep\"", 6, "one of \"wait\""),
        ("writes = \"server\"\nlost = \"wait\"", 7, "does not go with writes = \"server\""),
    ] {
        let text = format!("[boot]\nkernel = \"a\"\n[root]\nimage = \"b\"\ntransport = \"nbd\"\n{lines}\n");
        lab.write("profiles/panda.toml", text);
        lab.run(&["list"]).exits(4).says(&[&format!("profiles/panda.toml:{line}: "), what]);
    }
}
