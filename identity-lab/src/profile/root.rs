// SPDX-License-Identifier: MIT OR Apache-2.0
//! The section `[root]` of a profile.

use identity_ui::Result;

use super::{Lost, Root, TRANSPORTS, Transport, WRITES, Writes, built_path};
use crate::place::Placed;
use crate::toml::Section;

/// Reads the section, if it is there.
///
/// # Errors
/// Exit 4 with the line of what cannot be read, is not known, or does not go together.
pub(super) fn root(
    section: &Section,
    is_built_here: bool,
    unbuilt: &mut Option<Placed<&'static str>>,
) -> Result<Option<Root>> {
    section.only(&["image", "transport", "writes", "lost", "lost_after", "keep", "partition"])?;
    if !section.is_there() {
        return Ok(None);
    }
    let image = built_path(section, "image", "[root] image", is_built_here, unbuilt)?;
    let transport = section.one_of("transport", &TRANSPORTS)?;
    let transport = transport.ok_or_else(|| section.place().unreadable("[root] transport is missing"))?;
    let writes =
        section.one_of("writes", &WRITES)?.unwrap_or_else(|| transport.clone().map(|_| Writes::Discard));
    if writes.value == Writes::Server && transport.value != Transport::Nbd {
        return Err(writes.place.unreadable(
            "[root] writes = \"server\" goes with transport = \"nbd\" alone; the others have \"discard\" and \"keep\"",
        ));
    }
    let writes = writes.value;
    let after = section.text("lost_after")?;
    let lost = section.one_of("lost", &[("wait", false), ("reboot", true)])?;
    let lost_place = lost.as_ref().map(|lost| lost.place.clone());
    if let Some(lost) = lost.as_ref().filter(|lost| writes == Writes::Server && !lost.value) {
        return Err(lost.place.unreadable(
            "[root] lost = \"wait\" does not go with writes = \"server\", which forgets what a board wrote when the connection \
             ends; leave it out: the board restarts when the server is back",
        ));
    }
    let lost = match (lost, after) {
        (None, None) => None,
        (Some(lost), None) if !lost.value => Some(Lost::Wait),
        (Some(lost), Some(after)) if lost.value => Some(Lost::Reboot(seconds(&after)?)),
        (Some(lost), _) if lost.value => Some(Lost::Reboot(600)),
        (_, Some(after)) => {
            return Err(after.place.unreadable("[root] lost_after needs lost = \"reboot\""));
        }
        (Some(_), None) => None,
    };
    if let (Some(place), Transport::HttpRam | Transport::Card) = (lost_place, transport.value) {
        return Err(place.unreadable(
            "[root] lost does not go with transport = \"http-ram\" or \"card\", whose boards need no server once they run",
        ));
    }
    let given = section.text("keep")?;
    let keep = device(given.as_ref(), "keep", "/dev/mmcblk0p2")?;
    let named = section.text("partition")?;
    let partition = device(named.as_ref(), "partition", "/dev/mmcblk0p1")?;
    let is_card = transport.value == Transport::Card;
    if let Some(named) = named.as_ref().filter(|_| !is_card) {
        return Err(named.place.unreadable(
            "[root] partition is where the image lies of a root with transport = \"card\"; the partition that keeps what a board \
             writes is `keep`",
        ));
    }
    if is_card && writes == Writes::Keep && keep == partition {
        let place = given.or(named).map_or_else(|| section.place().clone(), |text| text.place);
        return Err(place.unreadable(format!(
            "[root] {keep} has the image, which is only read, and cannot keep what the board writes; name another partition"
        )));
    }
    let Placed { value: transport, place: transport_place } = transport;
    Ok(Some(Root { image, transport, transport_place, writes, lost, keep, partition }))
}

/// A partition as Linux names it, which becomes a kernel argument.
fn device(text: Option<&Placed<String>>, key: &str, default: &str) -> Result<String> {
    let Some(Placed { value, place }) = text else { return Ok(default.to_owned()) };
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "/._:-".contains(char);
    if value.starts_with("/dev/") && value.chars().all(is_plain) {
        return Ok(value.clone());
    }
    Err(place.unreadable(format!("[root] {key}: \"{value}\" is no partition, like {default}")))
}

/// A time such as `90s`, `10m`, `1h`.
fn seconds(text: &Placed<String>) -> Result<u64> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let parsed = units.iter().find_map(|(unit, seconds)| {
        let number: u64 = text.value.strip_suffix(unit)?.parse().ok()?;
        number.checked_mul(*seconds).filter(|seconds| (1..=86_400).contains(seconds))
    });
    parsed.ok_or_else(|| {
        text.place.unreadable(format!(
            "[root] lost_after is \"{}\", no time like 90s, 10m or 1h, up to 24h",
            text.value
        ))
    })
}
