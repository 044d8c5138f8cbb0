// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a board has sent, from the capture that QEMU makes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::Path;

use pcap_file::pcap::PcapReader;

/// What a DHCP client says to a server: RFC 2131 section 2, over IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DhcpRequest {
    /// The Ethernet frame's source.
    pub source: [u8; 6],
    /// `chaddr`.
    pub hardware: [u8; 6],
    /// By code, RFC 2132; those of an overloaded `file` or `sname` are not among them.
    pub options: BTreeMap<u8, Vec<u8>>,
}

impl DhcpRequest {
    /// What it calls itself.
    pub fn called(&self) -> Called {
        let text = |value: &Vec<u8>| String::from_utf8_lossy(value).into_owned();
        let value = |code: u8| self.options.get(&code);
        Called {
            client: value(61).map(|id| hex(id)),
            uuid: value(97).map(|uuid| hex(uuid)),
            class: value(60).map(text),
        }
    }
}

/// What a DHCP client calls itself and its machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Called {
    /// Option 61, RFC 2132 section 9.14.
    pub client: Option<String>,
    /// Option 97, RFC 4578 section 2.3.
    pub uuid: Option<String>,
    /// Option 60, RFC 2132 section 9.13.
    pub class: Option<String>,
}

impl Called {
    /// By all of these requests, which are one client's.
    ///
    /// # Panics
    /// If there are none, or they differ.
    #[track_caller]
    pub fn by<'r>(requests: impl IntoIterator<Item = &'r DhcpRequest>) -> Self {
        let all: Vec<_> = requests.into_iter().map(DhcpRequest::called).collect();
        let (first, others) = all.split_first().expect("a request");
        assert!(others.iter().all(|other| other == first), "{all:?}");
        first.clone()
    }

    /// That no server takes one board for the other.
    ///
    /// # Panics
    /// If one could.
    #[track_caller]
    pub fn differs_from(&self, other: &Self) {
        for (one, another) in [(&self.client, &other.client), (&self.uuid, &other.uuid)] {
            assert!(one.is_none() || one != another, "{self:?} {other:?}");
        }
    }
}

/// The requests in a capture.
///
/// # Panics
/// If the capture cannot be read.
pub fn dhcp_requests(capture: &Path) -> Vec<DhcpRequest> {
    let mut requests = Vec::new();
    for_each_frame(capture, |frame| requests.extend(dhcp_request(frame)));
    requests
}

/// The DUID in each DHCPv6 message of a client (RFC 8415 section 21.2), in hexadecimal digits.
///
/// # Panics
/// If the capture cannot be read.
pub fn duids(capture: &Path) -> BTreeSet<String> {
    let mut duids = BTreeSet::new();
    for_each_frame(capture, |frame| duids.extend(duid(frame)));
    duids
}

/// An address as text.
pub fn mac(address: &[u8]) -> String {
    address.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":")
}

/// Bytes as hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Each source address in a capture, as text.
///
/// # Panics
/// If the capture cannot be read.
pub fn sources(capture: &Path) -> BTreeSet<String> {
    let mut sources = BTreeSet::new();
    for_each_frame(capture, |frame| {
        let source = frame.get(6..12).expect("a frame has addresses");
        sources.insert(mac(source));
    });
    sources
}

fn for_each_frame(capture: &Path, mut look: impl FnMut(&[u8])) {
    let file = File::open(capture).expect("QEMU made the capture");
    let mut reader = PcapReader::new(file).expect("a pcap file");
    // The last packet may still be on its way to the file.
    while let Some(Ok(packet)) = reader.next_packet() {
        look(&packet.data);
    }
}

const ETHERNET_LEN: usize = 14;
const UDP: u8 = 17;

fn dhcp_request(frame: &[u8]) -> Option<DhcpRequest> {
    const IPV4: &[u8] = &[0x08, 0x00];
    const SERVER_PORT: &[u8] = &[0, 67];
    /// Behind the fixed part and the magic cookie.
    const OPTIONS_OFFSET: usize = 8 + 240;
    let ip = frame.get(ETHERNET_LEN..)?;
    let udp = ip.get(usize::from(ip.first()? & 0xf) * 4..)?;
    let is_request = frame.get(12..14)? == IPV4 && *ip.get(9)? == UDP && udp.get(2..4)? == SERVER_PORT;
    if !is_request {
        return None;
    }
    let mut options: BTreeMap<u8, Vec<u8>> = BTreeMap::new();
    let mut rest = udp.get(OPTIONS_OFFSET..)?;
    while let [code @ 1..=254, length, tail @ ..] = rest {
        let (value, next) = tail.split_at_checked(usize::from(*length))?;
        options.entry(*code).or_default().extend(value);
        rest = next;
    }
    let hardware = udp.get(8 + 28..8 + 34)?.try_into().ok()?;
    Some(DhcpRequest { source: frame.get(6..12)?.try_into().ok()?, hardware, options })
}

fn duid(frame: &[u8]) -> Option<String> {
    const IPV6: &[u8] = &[0x86, 0xdd];
    const IPV6_LEN: usize = 40;
    const SERVER_PORT: &[u8] = &[2, 35];
    const CLIENT_ID: &[u8] = &[0, 1];
    let ip = frame.get(ETHERNET_LEN..)?;
    let udp = ip.get(IPV6_LEN..)?;
    let is_request = frame.get(12..14)? == IPV6 && *ip.get(6)? == UDP && udp.get(2..4)? == SERVER_PORT;
    // Behind message type and transaction.
    let mut rest = udp.get(8 + 4..).filter(|_| is_request)?;
    while rest.len() >= 4 {
        let (head, tail) = rest.split_at(4);
        let (value, next) = tail.split_at_checked(usize::from(u16::from_be_bytes([head[2], head[3]])))?;
        if &head[..2] == CLIENT_ID {
            return Some(hex(value));
        }
        rest = next;
    }
    None
}
