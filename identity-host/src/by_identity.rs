// SPDX-License-Identifier: MIT OR Apache-2.0
//! Links of the udev rule, `/dev/disk/by-identity/UUID` and `/HOSTNAME`. Of two cards with one identity udev gives the link to
//! one, and says nothing; and it learns of a card that was changed later than the reader does, or never.

use std::fs;
use std::path::{Path, PathBuf};

use identity_core::Identity;

use crate::attached::{self, Content, Device};
use crate::device::sysfs::{Host, Kind};
use crate::device::{Access, Target};
use crate::error::{Error, Result};

/// Where the rule makes its links.
const DIRECTORY: &str = "/dev/disk/by-identity";
/// Links that lead to one another, at most.
const LINKS_MAX: usize = 40;

/// Why a link is not followed.
#[derive(Debug)]
pub enum LinkProblem {
    /// These cards have the identity that it names.
    Several(Vec<PathBuf>),
    /// It leads to this card, which does not have the identity that it names.
    Stale(PathBuf),
}

/// Opens a card as [`Target::open`]; by such a link, only if no other attached card could be meant.
///
/// # Errors
/// Those of [`Target::open`]; [`Error::ByIdentity`] if another card could be meant, or the card is another one.
pub fn open(path: &Path, access: Access) -> Result<Target> {
    let target = Target::open(path, access)?;
    // Afterwards: what was opened stays, whatever becomes of the link.
    let (Some(name), Some(info)) = (name_in(Path::new(DIRECTORY), path), target.info()) else {
        return Ok(target);
    };
    let is_it = |device: &Device| device.info.name == info.name;
    let devices = attached::devices(&Host::here());
    let candidates = devices
        .iter()
        .filter(|device| is_it(device) || matches!(device.kind, Kind::Native | Kind::Removable | Kind::Loop));
    let meant: Vec<_> = candidates.filter(|device| is_named(device, &name)).collect();
    let problem = match &meant[..] {
        [one] if is_it(one) => return Ok(target),
        [] | [_] => LinkProblem::Stale(Path::new("/dev").join(&info.name)),
        several => LinkProblem::Several(several.iter().map(|device| device.path.clone()).collect()),
    };
    Err(Error::ByIdentity { path: path.to_owned(), problem })
}

/// Whether the rule would give this device the link.
fn is_named(device: &Device, name: &str) -> bool {
    let Content::Seen(_, scan) = device.look(None) else { return false };
    let has_it =
        |identity: &Identity| identity.uuid().to_string() == name || identity.hostname() == Some(name);
    scan.state().is_usable() && scan.identity().is_some_and(has_it)
}

/// The name of the link in `directory` that a path is, or leads to.
fn name_in(directory: &Path, path: &Path) -> Option<String> {
    let mut path = path.to_owned();
    for _ in 0..LINKS_MAX {
        let parent = match path.parent()? {
            here if here.as_os_str().is_empty() => Path::new("."),
            parent => parent,
        };
        let parent = fs::canonicalize(parent).ok()?;
        if parent == fs::canonicalize(directory).ok()? {
            return path.file_name()?.to_str().map(str::to_owned);
        }
        path = parent.join(fs::read_link(parent.join(path.file_name()?)).ok()?);
    }
    None
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_link_of_the_rule_is_known_by_any_way_to_it() {
        let dir = tempfile::tempdir().unwrap();
        let (links, at) = (dir.path().join("links"), |name: &str| dir.path().join(name));
        fs::create_dir(&links).unwrap();
        fs::write(at("card"), "").unwrap();
        symlink("../card", links.join("panda-03")).unwrap();
        symlink("links/panda-03", at("mine")).unwrap();
        symlink("mine", at("again")).unwrap();
        symlink("links", at("other-links")).unwrap();
        symlink("card", at("direct")).unwrap();
        symlink("round", at("round")).unwrap();
        for (path, name) in [
            ("links/panda-03", Some("panda-03")),
            ("links/../links/panda-03", Some("panda-03")),
            ("other-links/panda-03", Some("panda-03")),
            ("mine", Some("panda-03")),
            ("again", Some("panda-03")),
            ("direct", None),
            ("card", None),
            ("round", None),
            ("absent", None),
            ("none/absent", None),
        ] {
            assert_eq!(name_in(&links, &at(path)).as_deref(), name, "{path}");
        }
        assert_eq!(name_in(&at("no-links"), &at("direct")), None);
        assert_eq!(name_in(Path::new(DIRECTORY), Path::new("/")), None);
        assert_eq!(name_in(Path::new(DIRECTORY), Path::new("card")), None);
    }
}
