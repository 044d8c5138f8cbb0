// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a scan finds: how a card differs from the list, and which boards are in a DHCP server's leases.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;

use identity_core::Mac;
use identity_ui::{Result, lines};

use crate::boards::Board;
use crate::journal::{Event, event};
use crate::place::Place;

/// What a card says, as an event has it.
#[derive(Clone, Copy, Debug)]
pub struct Held<'a> {
    /// The identity's profile.
    pub profile: Option<&'a str>,
    /// Its hostname.
    pub hostname: Option<&'a str>,
    /// All its other fields, as [`event::fields`] has them.
    pub fields: Option<&'a str>,
}

/// The first column in which a card differs from its board's line, and how.
pub fn difference(board: &Board, held: Held) -> Option<(String, String)> {
    let differs = |name: &str, list: Option<&str>, card: Option<&str>| {
        let shown = |value: Option<&str>| value.map_or("none".to_owned(), |value| format!("\"{value}\""));
        let what = format!("{name}: the list has {}, the card {}", shown(list), shown(card));
        (list != card).then(|| (name.to_owned(), what))
    };
    // A board whose line gives no identity is found by `check` without a card.
    let identity = board.identity().ok()?;
    let listed = parsed(event::fields(&identity).as_deref());
    let fields = parsed(held.fields);
    let names = listed.keys().chain(fields.keys());
    let value = |of: &BTreeMap<String, String>, name: &str| of.get(name).cloned();
    differs("hostname", Some(&board.hostname), held.hostname)
        .or_else(|| differs("profile", Some(&board.profile), held.profile))
        .or_else(|| {
            let mut names = names;
            names.find_map(|name| {
                differs(name, value(&listed, name).as_deref(), value(&fields, name).as_deref())
            })
        })
}

/// That two cards had one identity at once, in readers that show no CID: nobody can tell by a later reading which one is left.
pub fn doubled(board: Option<&Board>, double: &Event) -> String {
    let [host, at] = [&double.host, &double.at].map(|text| lines::escaped(text));
    let uuid = double.uuid.as_deref().unwrap_or_default();
    match board {
        Some(Board { hostname, .. }) => format!(
            "two cards had the identity of {hostname} at once, on {host} at {at}, and one is a copy: erase that one, then \
             `identity-lab stamp --again {hostname}` with the other one in the reader says that it is the board's"
        ),
        None => format!(
            "two cards had {} at once, on {host} at {at}: erase them, or say by `identity-lab remove --lost {}` that they are lost, or another \
             lab's",
            lines::escaped(uuid),
            event::in_command(uuid)
        ),
    }
}

fn parsed(fields: Option<&str>) -> BTreeMap<String, String> {
    fields.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default()
}

/// An address that a DHCP server has given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// Who has it.
    pub mac: Mac,
    /// The address.
    pub ip: Ipv4Addr,
    /// The name that the client gave, or the server knows.
    pub name: Option<String>,
    /// When it ends, in seconds of Unix time; 0 if never.
    pub expires: u64,
}

/// The leases of dnsmasq's file, or of Kea's memfile: an IPv4 address each, the last line of it.
///
/// # Errors
/// Exit 4 with the line that is neither.
pub fn leases(path: &Path, text: &str) -> Result<Vec<Lease>> {
    let is_kea = text.starts_with("address,hwaddr,");
    let mut by_address: BTreeMap<Ipv4Addr, Option<Lease>> = BTreeMap::new();
    for (index, line) in text.lines().enumerate().skip(usize::from(is_kea)) {
        let read = if is_kea { kea(line) } else { dnsmasq(line) };
        match read {
            Read::Lease(lease) => by_address.insert(lease.ip, Some(lease)),
            Read::Gone(ip) => by_address.insert(ip, None),
            Read::Other => None,
            Read::Wrong => {
                return Err(Place::line(path, index + 1)
                    .unreadable("this is neither a lease of dnsmasq nor one of Kea's memfile"));
            }
        };
    }
    Ok(by_address.into_values().flatten().collect())
}

enum Read {
    Lease(Lease),
    /// The address is nobody's any more.
    Gone(Ipv4Addr),
    /// Of IPv6, or of a network without MAC addresses.
    Other,
    Wrong,
}

/// `EXPIRES MAC ADDRESS NAME CLIENT-ID`. Source: dnsmasq 2.89, lease.c; behind a line `duid …`, an IAID stands for the MAC.
fn dnsmasq(line: &str) -> Read {
    let words: Vec<_> = line.split(' ').collect();
    let [expires, mac, ip, name, _] = words[..] else {
        return if line.is_empty() || line.starts_with("duid ") { Read::Other } else { Read::Wrong };
    };
    let (Ok(expires), Ok(ip)) = (expires.parse(), ip.parse()) else {
        return if ip.contains(':') { Read::Other } else { Read::Wrong };
    };
    let Ok(mac) = mac.parse() else { return Read::Other };
    Read::Lease(Lease { mac, ip, name: Some(name.to_owned()).filter(|name| name != "*"), expires })
}

/// `address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,…`. Source: Kea's manual,
/// "Memfile"; commas in a value are `&#x2c`.
fn kea(line: &str) -> Read {
    let cells: Vec<_> = line.split(',').collect();
    let [ip, mac, _, lifetime, expires, _, _, _, name, state, ..] = cells[..] else {
        return if line.is_empty() { Read::Other } else { Read::Wrong };
    };
    let (Ok(ip), Ok(expires)) = (ip.parse(), expires.parse()) else { return Read::Wrong };
    // Declined, or taken back; a released one has no time left.
    if state != "0" || lifetime == "0" {
        return Read::Gone(ip);
    }
    let Ok(mac) = mac.parse() else { return Read::Other };
    Read::Lease(Lease { mac, ip, name: Some(name.to_owned()).filter(|name| !name.is_empty()), expires })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Vec<(String, String)> {
        let leases = leases(Path::new("leases"), text).unwrap();
        leases.into_iter().map(|lease| (lease.mac.to_string(), lease.ip.to_string())).collect()
    }

    #[test]
    fn leases_of_dnsmasq() {
        let text = "1700000000 62:b1:ae:5a:3f:ef 192.168.7.130 panda-03 01:62:b1:ae:5a:3f:ef\n\
                    0 06-00:11:22:33:44:55:66 192.168.7.131 * *\n\
                    duid 00:01:00:01:2c\n\
                    1700000000 12345 fd00::1 x 00:01\n";
        assert_eq!(read(text), [("62:b1:ae:5a:3f:ef".to_owned(), "192.168.7.130".to_owned())]);
    }

    #[test]
    fn the_last_line_of_kea_counts() {
        let head = "address,hwaddr,client_id,valid_lifetime,expire,subnet_id,fqdn_fwd,fqdn_rev,hostname,state,user_context,pool_id\n";
        let line = |ip: &str, mac: &str, lifetime: &str, state: &str| {
            format!("{ip},{mac},01:{mac},{lifetime},1700000000,1,0,0,panda&#x2c3,{state},,0\n")
        };
        let text = [
            head.to_owned(),
            line("10.0.0.1", "62:b1:ae:5a:3f:ef", "3600", "0"),
            line("10.0.0.2", "62:b1:ae:5a:3f:e0", "3600", "0"),
            line("10.0.0.1", "62:b1:ae:5a:3f:e1", "3600", "0"),
            line("10.0.0.2", "62:b1:ae:5a:3f:e0", "0", "0"),
            line("10.0.0.3", "62:b1:ae:5a:3f:e3", "3600", "1"),
        ]
        .concat();
        assert_eq!(read(&text), [("62:b1:ae:5a:3f:e1".to_owned(), "10.0.0.1".to_owned())]);
    }

    #[test]
    fn what_is_no_lease_has_its_line() {
        for text in ["1 2 3\n", "soon 62:b1:ae:5a:3f:ef 10.0.0.1 * *\n", "address,hwaddr,x\n10.0.0.1,2\n"] {
            let error = leases(Path::new("leases"), text).unwrap_err().to_string();
            assert!(error.starts_with("leases:"), "{error}");
        }
    }
}
