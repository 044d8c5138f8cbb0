// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a board has sent, from the capture that QEMU makes.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use pcap_file::pcap::PcapReader;

/// Hardware addresses in DHCP requests of a capture: (Ethernet source, `chaddr` of the request), RFC 2131 section 2.
///
/// # Panics
/// If the capture cannot be read.
pub fn dhcp_requests(capture: &Path) -> Vec<([u8; 6], [u8; 6])> {
    let mut requests = Vec::new();
    for_each_frame(capture, |frame| requests.extend(dhcp_request(frame)));
    requests
}

/// Each source address in a capture, as text.
///
/// # Panics
/// If the capture cannot be read.
pub fn sources(capture: &Path) -> BTreeSet<String> {
    let mut sources = BTreeSet::new();
    for_each_frame(capture, |frame| {
        let source = frame.get(6..12).expect("a frame has addresses");
        sources.insert(source.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"));
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

fn dhcp_request(frame: &[u8]) -> Option<([u8; 6], [u8; 6])> {
    const ETHERNET_LEN: usize = 14;
    const IPV4: &[u8] = &[0x08, 0x00];
    const UDP: u8 = 17;
    const SERVER_PORT: &[u8] = &[0, 67];
    let ip = frame.get(ETHERNET_LEN..)?;
    let udp = ip.get(usize::from(ip.first()? & 0xf) * 4..)?;
    let is_request = frame.get(12..14)? == IPV4 && *ip.get(9)? == UDP && udp.get(2..4)? == SERVER_PORT;
    let chaddr = udp.get(8 + 28..8 + 34)?;
    is_request.then_some((frame.get(6..12)?.try_into().ok()?, chaddr.try_into().ok()?))
}
