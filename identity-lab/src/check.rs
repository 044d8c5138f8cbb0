// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is wrong with a lab although each of its files can be read.

use crate::lab::Lab;
use crate::place::Place;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it stands.
    pub place: Place,
    /// What it is, and what to do.
    pub what: String,
}

/// Whether resolvers take a hostname for an address, or for each host itself.
pub fn is_misread(hostname: &str) -> bool {
    let name = hostname.to_ascii_lowercase();
    // inet_aton(3) takes "1", "1.2" and so on for addresses too.
    name == "localhost" || name.split('.').all(|label| label.bytes().all(|byte| byte.is_ascii_digit()))
}

/// All findings, in the order of the lines.
pub fn check(lab: &Lab) -> Vec<Finding> {
    let mut findings: Vec<_> = lab.boards.clashes().map(|(place, what)| Finding { place, what }).collect();
    for board in &lab.boards.all {
        if lab.profile(&board.profile).is_none() {
            let what = format!("profile: {}", lab.no_profile(&board.profile));
            findings.push(Finding { place: board.place("profile"), what });
        }
        if is_misread(&board.hostname) {
            let what = format!(
                "hostname: resolvers take {} for an address, or for each host itself; use another name",
                board.hostname
            );
            findings.push(Finding { place: board.place("hostname"), what });
        }
        if let (Some(network), Some(ip)) = (&lab.settings.network, board.ip)
            && !network.contains(ip)
        {
            let (subnet, prefix) = network.subnet;
            let what = format!("ip: {ip} is not in {subnet}/{prefix}, the subnet of lab.toml, [network]");
            findings.push(Finding { place: board.place("ip"), what });
        }
        if let Err(failure) = board.identity() {
            findings.push(Finding { place: board.place("hostname"), what: failure.to_string() });
        }
    }
    if !lab.boards.is_sorted() {
        let place = Place::line(&lab.dir.join(crate::lab::BOARDS_CSV), 1);
        let what = "the lines are not sorted by hostname; `identity-lab add` sorts them, and so does `sort`";
        findings.push(Finding { place, what: what.into() });
    }
    findings.sort_by_key(|finding| finding.place.line_number());
    findings
}
