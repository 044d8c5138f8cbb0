// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which program a text is of.

use std::path::Path;

use identity_ui::Result;

use super::json::Node;
use super::{Found, Input, ansible, cards, csv, dnsmasq};

/// What can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A table with a header.
    Csv,
    /// dnsmasq's `dhcp-host` lines.
    Dnsmasq,
    /// An Ansible inventory as JSON.
    Ansible,
    /// An Ansible inventory as INI or YAML, which `ansible-inventory` makes JSON of.
    AnsibleText,
    /// Cards as the command `identity` shows them in JSON.
    Identity,
}

impl Format {
    /// The format of a text; `None` if it looks like none of them.
    pub fn of(text: &str) -> Option<Self> {
        let start = text.trim_start();
        let first = start.lines().next().unwrap_or_default();
        if start.starts_with('{') || start.starts_with('[') && !is_ini(first) {
            return Some(Self::of_json(text));
        }
        if dnsmasq::is_config(text) {
            return Some(Self::Dnsmasq);
        }
        if csv::is_header(text.lines().next().unwrap_or_default()) {
            return Some(Self::Csv);
        }
        if dnsmasq::is_hosts_file(text) {
            return Some(Self::Dnsmasq);
        }
        let is_yaml = |line: &str| line == "---" || ["all:", "ungrouped:"].contains(&line.trim_end());
        let mut lines = text.lines().filter(|line| !line.trim().is_empty() && !line.starts_with(['#', ';']));
        let is_ansible = lines.any(|line| is_ini(line) || line.contains(" ansible_") || is_yaml(line));
        is_ansible.then_some(Self::AnsibleText)
    }

    fn of_json(text: &str) -> Self {
        let input = Input::new(Path::new(""), text);
        // One broken document behind the first is told by the reader.
        let first = Node::all(&input).ok().and_then(|all| all.first().copied());
        let pairs = first.and_then(|first| first.object()).unwrap_or_default();
        let keys: Vec<_> = pairs.iter().map(|(key, _)| &*key.text).collect();
        if cards::is_cards(&keys) || !ansible::is_inventory(&keys) && start_is_list(text) {
            return Self::Identity;
        }
        Self::Ansible
    }

    /// The boards of a text in this format; the names of profiles are for groups of Ansible.
    ///
    /// # Errors
    /// Exit 4 with line and column where it is not in this format; what cannot be taken of a board is in [`Found::faults`].
    pub fn read(self, input: &Input<'_>, profiles: &[&str]) -> Result<Found> {
        match self {
            Self::Csv => csv::read(input),
            Self::Dnsmasq => Ok(dnsmasq::read(input)),
            Self::Ansible | Self::AnsibleText => ansible::read(input, profiles),
            Self::Identity => cards::read(input),
        }
    }
}

fn start_is_list(text: &str) -> bool {
    text.trim_start().starts_with('[')
}

/// Whether a line is the name of a group, as `[panda]` or `[panda:vars]`.
fn is_ini(line: &str) -> bool {
    let name = line.trim_end().strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let is_part = |char: char| char.is_alphanumeric() || "_-.:".contains(char);
    name.is_some_and(|name| name.starts_with(char::is_alphabetic) && name.chars().all(is_part))
}

#[cfg(test)]
mod tests {
    use super::Format;

    #[test]
    fn a_text_tells_its_format() {
        for (text, format) in [
            ("hostname,mac\n", Some(Format::Csv)),
            ("Name;IP\r\na;10.0.0.1\r\n", Some(Format::Csv)),
            ("target,state,uuid\n", Some(Format::Csv)),
            ("# x\nport=0\ndhcp-host=02:00:00:00:00:01,a\n", Some(Format::Dnsmasq)),
            ("02:00:00:00:00:01,a\n", Some(Format::Dnsmasq)),
            ("a,10.0.0.1\n", Some(Format::Dnsmasq)),
            ("{\"_meta\": {}}", Some(Format::Ansible)),
            ("{\"g\": [\"a\"]}", Some(Format::Ansible)),
            ("\n[g]\na\n", Some(Format::AnsibleText)),
            ("[g:children]\na\n", Some(Format::AnsibleText)),
            ("a ansible_host=10.0.0.1\n", Some(Format::AnsibleText)),
            ("---\nall:\n  hosts:\n", Some(Format::AnsibleText)),
            ("{\"cards\": []}", Some(Format::Identity)),
            ("{\"state\": \"valid\", \"uuid\": \"\"}\n{}", Some(Format::Identity)),
            ("[]", Some(Format::Identity)),
            ("", None),
            ("hello\n", None),
            ("127.0.0.1 localhost\n", None),
        ] {
            assert_eq!(Format::of(text), format, "{text}");
        }
    }
}
