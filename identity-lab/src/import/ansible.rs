// SPDX-License-Identifier: MIT OR Apache-2.0
//! An Ansible inventory as JSON: what `ansible-inventory --list` or an inventory script prints, `export ansible` among them.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use identity_ui::{Failure, Result};

use super::json::{Key, Node};
use super::{Fault, Found, Incoming, Input, MACHINE_ID, column};

/// Variables of hosts and the columns that they mean.
const VARIABLES: [(&str, &str); 6] = [
    ("identity_uuid", "uuid"),
    ("identity_profile", "profile"),
    ("identity_mac", "mac0"),
    ("identity_machine_id", MACHINE_ID),
    ("identity_serial", "serial"),
    ("identity_location", "location"),
];
/// Before the key of a variable of the identity.
const OF_IDENTITY: &str = "identity_var_";
/// Before a profile's name, as `export ansible` calls groups.
const GROUP: &str = "profile_";

/// Whether the keys of an object are those of an inventory.
pub fn is_inventory(keys: &[&str]) -> bool {
    keys.contains(&"_meta") || keys.contains(&"all") || keys.contains(&"ungrouped")
}

/// The hosts of an inventory. A group `profile_x` means the profile whose name Ansible would write so.
///
/// # Errors
/// Exit 4 with line and column of what is no inventory; what cannot be taken of a host is a fault of the list.
pub fn read(input: &Input<'_>, profiles: &[&str]) -> Result<Found> {
    let documents = Node::all(input)?;
    let no_inventory = |at: usize| -> Failure {
        input.place(at).unreadable("this is no inventory as `ansible-inventory --list` prints it")
    };
    let [document] = documents[..] else {
        return Err(no_inventory(documents.get(1).map_or(0, |second| second.at)));
    };
    let (mut hosts, mut found) = (Hosts::default(), Found::default());
    for (name, value) in document.object().ok_or_else(|| no_inventory(document.at))? {
        if name.text == "_meta" {
            for (key, node) in value.object().unwrap_or_default() {
                let vars = if key.text == "hostvars" { node.object() } else { Some(Vec::new()) };
                for (host, values) in vars.ok_or_else(|| no_inventory(node.at))? {
                    let values = values.object().ok_or_else(|| no_inventory(values.at))?;
                    hosts.of(&host.text, host.at).values = values;
                }
            }
            continue;
        }
        let profile = name.text.strip_prefix(GROUP).map(|name| profile_of(name, profiles));
        for member in members(&value) {
            let host = match member.text(input, "hosts") {
                Ok(host) => hosts.of(&host.unwrap_or_default(), member.at),
                Err(fault) => {
                    found.faults.push(fault);
                    continue;
                }
            };
            host.profile = host.profile.take().or_else(|| profile.clone().map(|name| (name, member.at)));
        }
    }
    for host in hosts.all {
        // Many inventories have it for tasks of the machine that Ansible runs on.
        if host.name.eq_ignore_ascii_case("localhost") {
            found.left_out.push((host.at, "localhost is no board".into()));
            continue;
        }
        if host.name.is_empty() {
            found.faults.push(Fault::unreadable(input.place(host.at), "hostname: a board needs one"));
            continue;
        }
        let board = read_host(input, host, &mut found);
        found.boards.push(board);
    }
    Ok(found)
}

/// A host, as it is put together from groups and its values.
struct Host<'a> {
    name: String,
    at: usize,
    values: Vec<(Key<'a>, Node<'a>)>,
    profile: Option<(String, usize)>,
}

/// Hosts in the order in which they are named.
#[derive(Default)]
struct Hosts<'a> {
    all: Vec<Host<'a>>,
    by_name: BTreeMap<String, usize>,
}

impl<'a> Hosts<'a> {
    fn of(&mut self, name: &str, at: usize) -> &mut Host<'a> {
        let index = *self.by_name.entry(name.to_owned()).or_insert(self.all.len());
        if index == self.all.len() {
            self.all.push(Host { name: name.to_owned(), at, values: Vec::new(), profile: None });
        }
        &mut self.all[index]
    }
}

/// The hosts of a group: a list, or an object with the list `hosts`.
fn members<'a>(group: &Node<'a>) -> Vec<Node<'a>> {
    let hosts = || group.object()?.into_iter().find(|(key, _)| key.text == "hosts")?.1.list();
    group.list().or_else(hosts).unwrap_or_default()
}

/// The profile of a group: Ansible's names have letters, digits and underscores alone.
fn profile_of(group: &str, profiles: &[&str]) -> String {
    let plain = |name: &str| -> String {
        name.chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect()
    };
    let profile = profiles.iter().find(|profile| plain(profile) == group);
    profile.map_or_else(|| group.to_owned(), |profile| (*profile).to_owned())
}

fn read_host(input: &Input<'_>, host: Host<'_>, found: &mut Found) -> Incoming {
    let mut board = Incoming::at(host.at);
    board.set(input, "hostname", "hostname", &host.name, host.at);
    let mut macs = Vec::new();
    for (key, node) in host.values {
        let name = &*key.text;
        let text = || node.text(input, name);
        let known = VARIABLES.iter().find(|(variable, _)| *variable == name).map(|(_, column)| *column);
        if let Some(column) = known {
            board.set_text(input, column, name, text(), node.at);
        } else if let Some(key) = name.strip_prefix(OF_IDENTITY) {
            board.set_text(input, &format!("var.{key}"), name, text(), node.at);
        } else if name == "identity_tags" {
            board.set_text(input, "tags", name, tags(input, &node), node.at);
        } else if name == "ansible_host" {
            match text() {
                Ok(Some(text)) if text.parse::<Ipv4Addr>().is_err() => {
                    if text != host.name {
                        found.ignored.insert("ansible_host that is no IPv4 address".into());
                    }
                }
                text => board.set_text(input, "ip", name, text, node.at),
            }
        } else if let Some(column) =
            column(name).filter(|column| column.starts_with("mac") && column != MACHINE_ID)
        {
            macs.push((column, key, node));
        } else {
            found.ignored.insert(name.to_owned());
        }
    }
    // What our own export says goes before what somebody has called so.
    for (column, key, node) in
        macs.into_iter().filter(|(column, ..)| board.text(column).is_none()).collect::<Vec<_>>()
    {
        board.set_text(input, &column, &key.text, node.text(input, &key.text), node.at);
    }
    if let Some((profile, at)) =
        host.profile.filter(|_| board.text("profile").is_none() && !board.is_wrong("profile"))
    {
        board.set(input, "profile", "profile", &profile, at);
    }
    board
}

/// The tags of a list, with blanks between them.
fn tags(input: &Input<'_>, node: &Node<'_>) -> Result<Option<String>, Fault> {
    let name = "identity_tags";
    let none = || Fault::unreadable(input.place(node.at), format!("{name}: this is no list"));
    let tags = node.list().ok_or_else(none)?;
    let tags = tags.iter().map(|tag| tag.text(input, name)).collect::<Result<Vec<_>, _>>()?;
    Ok(Some(tags.into_iter().flatten().collect::<Vec<_>>().join(" ")))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(text: &str) -> Result<Found> {
        let input = Input::new(Path::new("x"), text);
        super::read(&input, &["beaglebone-black", "panda"])?.whole()
    }

    #[test]
    fn hosts_come_from_groups_and_from_their_values() {
        let text = "{\"_meta\":{\"hostvars\":{\"a\":{\"ansible_host\":\"10.0.0.1\",\"mac\":\"0200.0000.0001\",\"ansible_user\":\"x\",\
            \"identity_location\":{\"__ansible_unsafe\":\"{{R}}\"},\"identity_tags\":[\"t\",\"u\"],\"identity_var_k\":3},\
            \"localhost\":{},\"c\":{\"ansible_host\":\"c.lan\"}}},\"profile_beaglebone_black\":[\"b\"],\"all\":{\"children\":[\"g\"]},\
            \"profile_panda\":{\"hosts\":[\"a\"]}}";
        let found = read(text).unwrap();
        let shown: Vec<_> = found
            .boards
            .iter()
            .map(|board| {
                let value = |(name, value): (&String, &super::super::Value)| format!("{name}={}", value.text);
                board.values.iter().map(value).collect::<Vec<_>>().join(" ")
            })
            .collect();
        assert_eq!(
            shown,
            [
                "hostname=a ip=10.0.0.1 location={{R}} mac0=02:00:00:00:00:01 profile=panda tags=t u var.k=3",
                "hostname=c",
                "hostname=b profile=beaglebone-black",
            ]
        );
        assert_eq!(found.left_out.len(), 1, "{:?}", found.left_out);
        let ignored: Vec<_> = found.ignored.iter().map(String::as_str).collect();
        assert_eq!(ignored, ["ansible_host that is no IPv4 address", "ansible_user"]);
    }

    #[test]
    fn what_is_no_inventory_or_no_value_is_refused_with_its_place() {
        for (text, said) in [
            ("[]", "x:1:1: this is no inventory"),
            ("{}{}", "x:1:3: this is no inventory"),
            ("{\"_meta\":{\"hostvars\":[]}}", "x:1:22: this is no inventory"),
            ("{\"_meta\":{\n\"hostvars\":{\"a_b\":{}}}}", "x:2:13: hostname: \"a_b\""),
            ("{\"all\":[\"10.0.0.1\"]}", "x:1:9: hostname: resolvers take 10.0.0.1"),
            ("{\"all\":[{}]}", "x:1:9: hosts: this is no text"),
            ("{\"all\":[\"\"]}", "x:1:9: hostname: a board needs one"),
            ("{\"_meta\":{\"hostvars\":{\"a\":{\"mac\":\"x\"}}}}", "x:1:34: mac: \"x\" is not six"),
            (
                "{\"_meta\":{\"hostvars\":{\"a\":{\"identity_tags\":3}}}}",
                "x:1:44: identity_tags: this is no list",
            ),
        ] {
            let failure = read(text).expect_err(text).to_string();
            assert!(failure.starts_with(said), "{failure}");
        }
    }

    #[test]
    fn a_place_in_an_inventory_is_that_of_the_word() {
        let text = "{\"_meta\": {\"hostvars\": {\"a_b\": {}}}}";
        let input = Input::made_of(Path::new("x"), "[g]\nxa_b\n a_b\n", text);
        let failure = super::read(&input, &[]).and_then(Found::whole).expect_err("no hostname").to_string();
        assert!(failure.starts_with("x:3:2: hostname: "), "{failure}");
    }
}
