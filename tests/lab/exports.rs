// SPDX-License-Identifier: MIT OR Apache-2.0
//! `export`: the programs that the files are for read them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use identity_tests::cli::tool;
use identity_tests::lab::program;
use identity_tests::{run_where_installed, skipped, workspace};
use serde_json::{Value, json};

use crate::{Lab, OTHER, UUID};

const FORMATS: [&str; 9] =
    ["dnsmasq", "kea", "hosts", "ansible", "labgrid", "labgrid-places", "ssh-known-hosts", "csv", "json"];
/// A public key, whose other half nobody has.
const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPqSJ0wDQo2mRZV9bB2kq6QnSZJ7P5vT0j0cX3sX7q9d";

/// Two boards, one with everything.
fn lab() -> Lab {
    let lab = Lab::with_network("");
    lab.write(
        "boards.csv",
        format!(
            "hostname,profile,uuid,mac0,mac1,ip,location,tags,sshkey,var.lava_device_type\n\
             panda-01,panda,{UUID},,02:00:00:00:00:11,192.168.7.11,\"R3, left\",poe spare,{KEY} root@panda-01,vexpress\n\
             panda-02,panda,{OTHER},02:00:00:00:00:02,,,,,,\n"
        ),
    );
    lab
}

/// What a script prints, as JSON; `None`, and skipped, where that Python is not to be had.
pub fn python(python: &Path, script: &str, lab: &Lab) -> Option<Value> {
    let printed = run_where_installed(tool(python.to_str()?).arg("-c").arg(script).arg(lab.dir.path()))?;
    Some(serde_json::from_str(printed.lines().last().unwrap_or_default()).expect("JSON in the last line"))
}

/// labgrid, zebrafy, LAVA's templates.
pub fn lab_tools() -> Option<&'static Path> {
    static TOOLS: OnceLock<Option<PathBuf>> = OnceLock::new();
    let make = || {
        let output = Command::new(workspace().join("tests/lib/lab-tools")).output().ok()?;
        let path = String::from_utf8(output.stdout).ok()?;
        output.status.success().then(|| path.trim().into())
    };
    let tools = TOOLS.get_or_init(make).as_deref();
    if tools.is_none() {
        skipped("labgrid, zebrafy and LAVA's templates cannot be fetched (tests/lib/lab-tools)");
    }
    tools
}

/// The first MAC address of the first board, as `list` shows it.
fn first_mac(lab: &Lab) -> String {
    let list = lab.run(&["list", "--format", "json"]).exits(0).json();
    list[0]["macs"][0].as_str().expect("text").to_owned()
}

#[test]
fn the_same_lab_gives_the_same_bytes_in_any_order_of_its_lines() {
    let (one, other) = (lab(), lab());
    let text = other.read("boards.csv");
    let lines: Vec<_> = text.lines().collect();
    other.write("boards.csv", format!("{}\n{}\n{}\n", lines[0], lines[2], lines[1]));
    for format in FORMATS {
        let [one, other] = [&one, &other].map(|lab| lab.run(&["export", format]).exits(0).stdout);
        // The line in the file is shown as it is.
        let plain = |text: &str| text.replace("\"line\": 2", "").replace("\"line\": 3", "");
        assert_eq!(plain(&one), plain(&other), "{format}");
        assert!(one.ends_with('\n'), "{one}");
    }
}

#[test]
fn a_file_is_written_whole_and_checked_later() {
    let lab = lab();
    lab.run(&["export", "hosts", "--check", "hosts"]).exits(5).says(&["hosts is not up to date"]);
    lab.run(&["export", "hosts", "--output", "hosts"]).exits(0);
    assert!(lab.read("hosts").ends_with("\n192.168.7.11\tpanda-01\n"));
    lab.run(&["export", "hosts", "--check", "hosts"]).exits(0);
    lab.write("boards.csv", lab.read("boards.csv").replace("7.11,", "7.12,"));
    lab.run(&["export", "hosts", "--check", "hosts"]).exits(5);
    lab.run(&["export", "hosts"]).exits(0).says(&["panda-02 is left out: no ip"]);
    lab.run(&["export", "hosts", "panda-01"]).exits(2).says(&["export lava"]);
    lab.run(&["export", "hosts", "--output", "none/hosts"]).exits(7).says(&["none/hosts"]);
}

#[test]
fn two_boards_with_one_address_go_into_no_file() {
    let lab = lab();
    lab.write("boards.csv", lab.read("boards.csv").replace("00:00:02", "00:00:11"));
    for format in FORMATS {
        lab.run(&["export", format]).exits(6).says(&["boards.csv:3:", "02:00:00:00:00:11"]);
    }
    lab.run(&["export", "lava", "--output", "lava"]).exits(6);
    assert!(!lab.path("lava").exists());
}

#[test]
fn dnsmasq_takes_its_lines() {
    let lab = lab();
    lab.run(&["export", "dnsmasq", "--output", "boards.conf"]).exits(0);
    let mut dnsmasq = tool("dnsmasq");
    dnsmasq.arg("--test").arg(format!("--conf-file={}", lab.path("boards.conf").display()));
    if run_where_installed(&mut dnsmasq).is_none() {
        return;
    }
    let text = lab.read("boards.conf");
    let line = format!(
        "\ndhcp-host={},02:00:00:00:00:11,set:profile-panda,set:board-panda-01,panda-01,192.168.7.11\n",
        first_mac(&lab)
    );
    assert!(text.contains(&line), "{text}");
    assert!(text.contains("\ndhcp-range=192.168.7.100,192.168.7.200,255.255.255.0,12h\n"), "{text}");
}

#[test]
fn kea_takes_its_configuration() {
    let lab = lab();
    lab.run(&["export", "kea", "--output", "kea.json"]).exits(0);
    let mut kea = tool("kea-dhcp4");
    kea.env("KEA_PIDFILE_DIR", lab.path("")).env("KEA_LOCKFILE_DIR", "none");
    if run_where_installed(kea.arg("-t").arg(lab.path("kea.json"))).is_none() {
        return;
    }
    let text: Value = serde_json::from_str(&lab.read("kea.json")).expect("JSON");
    // Both interfaces of the board have its address: it uses one of them at a time.
    let reservations = text["Dhcp4"]["subnet4"][0]["reservations"].as_array().expect("a list");
    let mut macs: Vec<_> = reservations
        .iter()
        .map(|one| (one["hw-address"].as_str().expect("text"), &one["ip-address"]))
        .collect();
    macs.sort_unstable_by_key(|(mac, _)| *mac);
    let first = first_mac(&lab);
    assert_eq!(macs, [("02:00:00:00:00:11", &json!("192.168.7.11")), (&first, &json!("192.168.7.11"))]);
    let anywhere = json!([{ "hostname": "panda-02", "hw-address": "02:00:00:00:00:02" }]);
    assert_eq!(text["Dhcp4"]["reservations"][0], anywhere[0]);
    lab.write("lab.toml", "name = \"desk\"\n");
    lab.run(&["export", "kea"]).exits(4).says(&["lab.toml", "[network]", "subnet"]);
}

/// Ten thousand hosts with addresses: nothing is found, and both servers take them.
#[test]
fn servers_take_ten_thousand_hosts() {
    let lab = Lab::with_network("");
    let toml =
        lab.read("lab.toml").replace("192.168.7.1\"", "10.0.0.1\"").replace("192.168.7.0/24", "10.0.0.0/16");
    lab.write("lab.toml", toml.replace("192.168.7.100-192.168.7.200", "10.0.200.0-10.0.250.0"));
    lab.write("boards.csv", "hostname,profile,uuid,ip\n");
    lab.run(&["add", "p-[00001-10000]", "--profile", "panda"]).exits(0);
    let list = lab.read("boards.csv");
    let with_ip = |(number, line): (usize, &str)| match number {
        0 => format!("{line}\n"),
        _ => format!("{line}10.0.{}.{}\n", 1 + number / 250, 1 + number % 250),
    };
    lab.write("boards.csv", list.lines().enumerate().map(with_ip).collect::<String>());
    let checked = lab.run(&["check"]).exits(0);
    assert_eq!((checked.stdout.as_str(), checked.stderr.as_str()), ("", ""));
    lab.run(&["export", "dnsmasq", "--output", "boards.conf"]).exits(0);
    assert_eq!(lab.read("boards.conf").matches("\ndhcp-host=").count(), 10_000);
    let mut dnsmasq = tool("dnsmasq");
    dnsmasq.arg("--test").arg(format!("--conf-file={}", lab.path("boards.conf").display()));
    if run_where_installed(&mut dnsmasq).is_none() {
        return;
    }
    lab.run(&["export", "kea", "--output", "kea.json"]).exits(0);
    let mut kea = tool("kea-dhcp4");
    kea.env("KEA_PIDFILE_DIR", lab.path("")).env("KEA_LOCKFILE_DIR", "none");
    let _ = run_where_installed(kea.arg("-t").arg(lab.path("kea.json")));
}

#[test]
fn ansible_takes_the_script_that_init_makes() {
    let lab = lab();
    let bin = lab.path("bin");
    std::fs::create_dir(&bin).expect("a directory");
    std::os::unix::fs::symlink(program(), bin.join("identity-lab")).expect("a link");
    let mut ansible = tool("ansible-inventory");
    let path = std::env::var("PATH").unwrap_or_default();
    ansible.env("PATH", format!("{}:{path}", bin.display())).env("HOME", lab.path(""));
    ansible.env("ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED", "true");
    let Some(printed) = run_where_installed(ansible.arg("--list").arg("-i").arg(lab.path("inventory")))
    else {
        return;
    };
    let list: Value = serde_json::from_str(&printed).expect("JSON");
    let board = &list["_meta"]["hostvars"]["panda-01"];
    assert_eq!(board["ansible_host"], "192.168.7.11");
    assert_eq!(board["identity_uuid"], UUID);
    assert_eq!(board["identity_location"], "R3, left");
    assert_eq!(board["identity_var_lava_device_type"], "vexpress");
    assert_eq!(list["profile_panda"]["hosts"], json!(["panda-01", "panda-02"]));
    assert_eq!(list["location_R3__left"]["hosts"], json!(["panda-01"]));
    assert_eq!(list["tag_poe"]["hosts"], json!(["panda-01"]));
    // Two names that would become one group.
    lab.write("boards.csv", lab.read("boards.csv").replace(":02,,,,,,", ":02,,,R3; left,,,"));
    let reasons = ["boards.csv:3:", "location", "location_R3__left", "\"R3, left\""];
    lab.run(&["export", "ansible"]).exits(6).says(&reasons);
}

/// As labgrid's exporter and coordinator read their files (labgrid/remote/{exporter,coordinator}.py).
const LABGRID: &str = "
import json, os, sys
os.chdir(sys.argv[1])
from labgrid.remote.config import ResourceConfig
from labgrid.remote.common import Place, ResourceMatch
from labgrid.util.yaml import load
resources = ResourceConfig('exporter.yaml').data
places = {}
for name, place in load(open('places.yaml')).items():
    place['matches'] = [ResourceMatch(**match) for match in place['matches']]
    places[name] = Place(name=name, **place)
has = lambda group: {name: place.hasmatch(['any', group or name, 'USBMassStorage', 'x']) for name, place in places.items()}
print(json.dumps({
    'resources': resources,
    'tags': {name: dict(place.tags) for name, place in places.items()},
    'own': has(None),
    'other': has('other'),
}))";

#[test]
fn labgrid_takes_its_resources_and_places() {
    let Some(tools) = lab_tools() else { return };
    let lab = lab();
    lab.run(&["export", "labgrid", "--output", "exporter.yaml"]).exits(0);
    lab.run(&["export", "labgrid-places", "--output", "places.yaml"]).exits(0);
    let Some(read) = python(&tools.join("labgrid/bin/python"), LABGRID, &lab) else { return };
    let matched = json!({ "USBMassStorage": { "match": { "ID_IDENTITY_UUID": UUID } } });
    assert_eq!(read["resources"]["panda-01"], matched);
    let tags = json!({ "profile": "panda", "location": "R3, left", "poe": "yes", "spare": "yes" });
    assert_eq!(read["tags"]["panda-01"], tags);
    assert_eq!(read["own"], json!({ "panda-01": true, "panda-02": true }));
    assert_eq!(read["other"], json!({ "panda-01": false, "panda-02": false }));
}

/// As LAVA's server renders a device dictionary (lava_scheduler_app/models.py, lava_server/files.py).
const LAVA: &str = r#"
import jinja2, json, sys, yaml
lab = sys.argv[1]
loader = jinja2.FileSystemLoader([lab + '/lava', open(lab + '/types').read()])
environment = jinja2.Environment(loader=loader, trim_blocks=True, autoescape=False)
names = 'device_mac, environment, flasher_deploy_commands'
dictionary = "{% extends 'vexpress.jinja2' %}{% from 'panda-01.identity.jinja2' import " + names + " %}"
text = environment.from_string(dictionary).render()
device = yaml.safe_load(text)
fragment = environment.get_template('panda-01.identity.jinja2').module
print(json.dumps({
    'environment': device['environment'],
    'commands': device['actions']['deploy']['methods']['flasher']['commands'],
    'mac': "mac: '" + fragment.device_mac + "'" in text,
    'sync': fragment.sync_to_lava,
}))"#;

#[test]
fn lavas_templates_take_a_boards_fragment() {
    let Some(tools) = lab_tools() else { return };
    let lab = lab();
    lab.run(&["export", "lava", "--output", "lava"]).exits(0);
    lab.run(&["export", "lava", "--check", "lava"]).exits(0);
    let printed = lab.run(&["export", "lava", "panda-01"]).exits(0).stdout;
    assert_eq!(printed, lab.read("lava/panda-01.identity.jinja2"));
    lab.run(&["export", "lava"]).exits(2).says(&["BOARD", "--output DIR"]);
    lab.run(&["export", "lava", "nobody"]).exits(2).says(&["nobody"]);
    lab.write("types", tools.join("lava").display().to_string());
    let Some(read) = python(Path::new("python3"), LAVA, &lab) else { return };
    let expected =
        json!({ "IDENTITY_UUID": UUID, "IDENTITY_PROFILE": "panda", "IDENTITY_HOSTNAME": "panda-01" });
    assert_eq!(read["environment"], expected);
    assert_eq!(read["commands"], json!(["identity flash --yes {IMAGE} /dev/disk/by-identity/panda-01"]));
    assert_eq!(read["mac"], true);
    assert_eq!(read["sync"], json!({ "device_type": "vexpress", "tags": ["poe", "spare"] }));
}

#[test]
fn ssh_finds_the_keys_of_the_list_and_of_the_overlays() {
    let lab = lab();
    let file = "overlays/board/panda-02/etc/ssh/ssh_host_ed25519_key.pub";
    lab.write(file, format!("{KEY} root@panda-02\n"));
    lab.run(&["export", "ssh-known-hosts", "--output", "known"]).exits(0);
    for name in ["panda-01", "192.168.7.11", "panda-02"] {
        let mut keygen = tool("ssh-keygen");
        let found = run_where_installed(keygen.args(["-F", name, "-f"]).arg(lab.path("known")));
        let Some(found) = found else { return };
        assert!(found.contains(KEY), "{name}: {found}");
    }
    lab.write(file, "no key\n");
    lab.run(&["export", "ssh-known-hosts"]).exits(4).says(&["ssh_host_ed25519_key.pub:1"]);
    std::fs::remove_dir_all(lab.path("overlays/board/panda-02")).expect("it is there");
    lab.run(&["export", "ssh-known-hosts"]).exits(0).says(&["panda-02 is left out: no host key"]);
}
