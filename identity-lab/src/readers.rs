// SPDX-License-Identifier: MIT OR Apache-2.0
//! Card readers, and the cards that come and go in them.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use identity_core::{State, Uuid};
use identity_host::attached::{self, Content, Device};
use identity_host::device::sysfs::{Host, Kind};
use identity_host::error::Error;
use identity_ui::{Exit, Failure, Result, lines, shell, size::Size};

use crate::place::cannot;

/// What tells a card in a reader from the next one: the kernel counts them.
pub type Medium = Option<(u64, Option<String>)>;

/// The readers that are meant: those that are named, else the only one of this machine.
///
/// # Errors
/// Exit 2 if none or several could be meant; 6 for what is no reader; 7 for what is not there.
pub fn chosen(named: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut readers: Vec<PathBuf> = Vec::new();
    for name in named {
        let path = std::fs::canonicalize(name).map_err(|error| cannot("open", name, &error, Exit::Device))?;
        if device(&path).is_none() && !is_empty_loop(&path) {
            return Err(Failure::refused(format!(
                "{} is no card reader and no disk of this machine",
                shell::path(name)
            )));
        }
        if readers.contains(&path) {
            return Err(Failure::usage(format!("{} is named twice", shell::path(name))));
        }
        readers.push(path);
    }
    if !named.is_empty() {
        return Ok(readers);
    }
    let all = attached::devices(&Host::here());
    let mut all = all
        .into_iter()
        .filter(|one| matches!(one.kind, Kind::Native | Kind::Removable) && one.holds.is_none());
    match (all.next(), all.next()) {
        (Some(one), None) => Ok(vec![one.path]),
        (None, _) => Err(Failure::usage(
            "this machine has no card reader; give the device: `identity-lab stamp BOARD… /dev/sdb`",
        )),
        (Some(one), Some(other)) => Err(Failure::usage(format!(
            "this machine has several card readers ({}, {}, …); give the device, or --devices a,b",
            one.path.display(),
            other.path.display()
        ))),
    }
}

/// A loop device without a file, which the kernel does not list with a size.
fn is_empty_loop(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("loop"))
}

/// What is in the reader now, as the kernel sees it.
pub fn device(path: &Path) -> Option<Device> {
    attached::devices(&Host::here()).into_iter().find(|device| device.path == path)
}

/// The card in a reader, if there is one.
pub fn medium(path: &Path) -> Medium {
    let device = Host::here().devices().into_iter().find(|device| device.path() == path)?;
    let sectors = device.sectors();
    (sectors > 0).then(|| (sectors, device.attribute("diskseq")))
}

/// A card in one line.
pub fn facts(device: &Device) -> String {
    let info = &device.info;
    let mut words = vec![shell::path(&device.path), Size(info.sectors.saturating_mul(512)).to_string()];
    words.extend(info.model.as_deref().map(lines::escaped));
    words.extend(info.cid.map(|cid| format!("CID {cid}")));
    let partitions: Vec<_> = info
        .partitions
        .iter()
        .map(|(name, sectors)| format!("{name} {}", Size(sectors.saturating_mul(512))))
        .collect();
    words.push(if partitions.is_empty() { "no partitions".to_owned() } else { partitions.join(", ") });
    words.join(", ")
}

/// State of the card in a reader after writing to it failed, if it may have this identity: a copy that was written is one, and a
/// card that was taken out may have it, unless it `is_refused`, before anything was written.
pub fn may_have(path: &Path, uuid: Uuid, is_refused: bool) -> Option<State> {
    match device(path).map(|device| device.look(None)) {
        Some(Content::Seen(_, scan)) => {
            scan.valid().any(|(_, identity, _)| identity.uuid() == uuid).then_some(scan.state())
        }
        _ => (!is_refused).then_some(State::Unreadable),
    }
}

/// Whether a reader may not be opened: any other card in it would fare likewise.
pub fn is_denied(error: &Error) -> bool {
    matches!(error, Error::Io { error, .. } if error.kind() == ErrorKind::PermissionDenied)
}
