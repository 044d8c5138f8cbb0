// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which card is meant when none is named: the one that the system runs from, else the only one with an identity, or
//! of several the one that the bootloader has read. Never a guess among two.

use std::path::{Path, PathBuf};

use identity_core::State;

use crate::device::handed_over::HandedOver;
use crate::device::sysfs::{Host, Kind};
use crate::error::{Error, Exit, Result};
use crate::inventory::{self, Content, Device};

/// What matters of a device for the choice.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its node.
    pub path: PathBuf,
    /// What kind of device it is.
    pub kind: Kind,
    /// Where the running system has a file system of it.
    pub holds: Option<String>,
    /// What is on it.
    pub content: Summary,
}

/// What is on a candidate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Summary {
    /// Nothing of ours.
    Blank,
    /// Copies, in this state; with the UUID and profile, if there are.
    Copies(State, Option<(String, String)>),
    /// It cannot be read.
    Unreadable(String),
}

/// The card that was named, or else found.
///
/// # Errors
/// Exit 3 if every card that may be meant is blank; 5 if several may be; 7 if there is none, or none can be read.
pub fn target(given: Option<&Path>) -> Result<PathBuf> {
    if let Some(path) = given {
        return Ok(path.to_owned());
    }
    let host = Host::here();
    let devices = inventory::devices(&host);
    let candidates: Vec<_> = devices.iter().filter(|device| is_candidate(device)).map(candidate).collect();
    let handed_over = HandedOver::of(&host).and_then(|identity| identity.uuid);
    choose(&candidates, handed_over.as_deref()).map(|one| one.path.clone())
}

/// Whether the running system has its root or boot file system there.
pub fn is_system(path: &Path) -> bool {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    inventory::devices(&Host::here()).iter().any(|device| device.path == real && device.holds.is_some())
}

fn is_candidate(device: &Device) -> bool {
    device.facts.sectors > 0 && (device.holds.is_some() || device.kind == Kind::Native)
}

fn candidate(device: &Device) -> Candidate {
    let content = match device.look() {
        Content::Empty => Summary::Blank,
        Content::Failed(reason) => Summary::Unreadable(reason),
        Content::Seen(survey) => match survey.state() {
            State::Blank => Summary::Blank,
            State::Unreadable => Summary::Unreadable(format!("{} cannot be read", device.path.display())),
            state => {
                let named = |identity: &identity_core::Identity| {
                    (identity.uuid().to_string(), identity.profile().to_owned())
                };
                Summary::Copies(state, survey.identity().map(named))
            }
        },
    };
    Candidate { path: device.path.clone(), kind: device.kind, holds: device.holds.clone(), content }
}

/// The card that is meant: the system's own, whatever is on it; a fixed disk of the system, if it has an identity; the
/// only card in a native slot that has one. Of several with an identity, the only one that has what the bootloader
/// `handed_over`, a UUID.
///
/// # Errors
/// As with [`target`].
pub fn choose<'a>(candidates: &'a [Candidate], handed_over: Option<&str>) -> Result<&'a Candidate> {
    let only_stamped = |among: &[&'a Candidate]| only_stamped(among, handed_over);
    let is_system = |one: &&Candidate| one.holds.is_some();
    let is_card = |one: &&Candidate| one.kind != Kind::Fixed;
    let system: Vec<_> = candidates.iter().filter(is_system).filter(is_card).collect();
    if let [only] = system[..] {
        return Ok(only);
    }
    if !system.is_empty() {
        return only_stamped(&system);
    }
    let disks: Vec<_> = candidates.iter().filter(is_system).filter(|one| one.is_stamped()).collect();
    if !disks.is_empty() {
        return only_stamped(&disks);
    }
    only_stamped(&candidates.iter().filter(|one| one.kind == Kind::Native).collect::<Vec<_>>())
        .map_err(|error| if candidates.is_empty() { none() } else { error })
}

/// The only one of these with copies of an identity, or with the one that was handed over.
fn only_stamped<'a>(among: &[&'a Candidate], handed_over: Option<&str>) -> Result<&'a Candidate> {
    let stamped: Vec<_> = among.iter().filter(|one| one.is_stamped()).copied().collect();
    match stamped[..] {
        [only] => return Ok(only),
        [] => return Err(no_identity(among)),
        _ => {}
    }
    let started: Vec<_> =
        stamped.iter().filter(|one| handed_over.is_some() && one.uuid() == handed_over).collect();
    if let [only] = started[..] { Ok(only) } else { Err(several(&stamped)) }
}

impl Candidate {
    fn is_stamped(&self) -> bool {
        matches!(self.content, Summary::Copies(..))
    }

    fn uuid(&self) -> Option<&str> {
        let Summary::Copies(_, Some((uuid, _))) = &self.content else { return None };
        Some(uuid)
    }

    fn described(&self) -> String {
        let content = match &self.content {
            Summary::Blank => "blank".into(),
            Summary::Unreadable(reason) => reason.clone(),
            Summary::Copies(state, None) => state.to_string(),
            Summary::Copies(state, Some((uuid, profile))) => format!("{state} {uuid} {profile}"),
        };
        let holds = self.holds.as_ref().map_or(String::new(), |point| format!(", holds {point}"));
        format!("{} ({content}{holds})", self.path.display())
    }
}

fn none() -> Error {
    Error::device(
        "there is no card: no SD or MMC device, and the system runs from no disk of this machine; give the device",
    )
}

fn no_identity(among: &[&Candidate]) -> Error {
    let all = list(among);
    if among.is_empty() {
        return none();
    }
    if among.iter().any(|one| matches!(one.content, Summary::Unreadable(_))) {
        return Error::device(format!("no identity was found, and not all could be read: {all}"));
    }
    Error::state(Exit::Blank, format!("no identity was found: {all}; give one with `identity stamp`"))
}

fn several(stamped: &[&Candidate]) -> Error {
    let all = list(stamped);
    Error::state(Exit::Doubtful, format!("several cards have an identity, give the one that is meant: {all}"))
}

fn list(candidates: &[&Candidate]) -> String {
    candidates.iter().map(|one| one.described()).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, kind: Kind, holds: Option<&str>, content: Summary) -> Candidate {
        let path = Path::new("/dev").join(name);
        Candidate { path, kind, holds: holds.map(str::to_owned), content }
    }

    fn stamped() -> Summary {
        Summary::Copies(State::Valid, Some(("uuid-1".into(), "panda".into())))
    }

    /// The node chosen, or the exit code and the message.
    fn chosen(candidates: &[Candidate]) -> Result<&str, (Exit, String)> {
        chosen_after(candidates, None)
    }

    fn chosen_after<'a>(
        candidates: &'a [Candidate],
        handed_over: Option<&str>,
    ) -> Result<&'a str, (Exit, String)> {
        match choose(candidates, handed_over) {
            Ok(one) => Ok(one.path.to_str().unwrap()),
            Err(error) => Err((error.exit(), error.to_string())),
        }
    }

    #[test]
    fn the_card_that_the_system_runs_from_before_all_others() {
        for content in [stamped(), Summary::Blank, Summary::Unreadable("broken".into())] {
            let cards = [
                one("mmcblk0", Kind::Native, None, stamped()),
                one("mmcblk1", Kind::Native, Some("/"), content),
            ];
            assert_eq!(chosen(&cards), Ok("/dev/mmcblk1"), "another's identity is not taken instead");
        }
        assert_eq!(chosen(&[one("sda", Kind::Removable, Some("/"), stamped())]), Ok("/dev/sda"));
    }

    #[test]
    fn a_systems_fixed_disk_only_with_an_identity() {
        let card = one("mmcblk0", Kind::Native, None, stamped());
        let disk = |content| one("nvme0n1", Kind::Fixed, Some("/"), content);
        assert_eq!(chosen(&[card.clone(), disk(stamped())]), Ok("/dev/nvme0n1"));
        assert_eq!(chosen(&[card.clone(), disk(Summary::Blank)]), Ok("/dev/mmcblk0"));
        assert_eq!(chosen(&[card, disk(Summary::Unreadable("broken".into()))]), Ok("/dev/mmcblk0"));
    }

    #[test]
    fn the_only_native_card_with_an_identity() {
        let blank = one("mmcblk0", Kind::Native, None, Summary::Blank);
        let corrupt = one("mmcblk1", Kind::Native, None, Summary::Copies(State::Corrupt, None));
        assert_eq!(chosen(&[blank, corrupt]), Ok("/dev/mmcblk1"));
    }

    #[test]
    fn never_a_guess_among_two() {
        for holds in [[None, None], [Some("/"), Some("/boot")]] {
            let cards = [
                one("mmcblk0", Kind::Native, holds[0], stamped()),
                one("mmcblk1", Kind::Native, holds[1], stamped()),
            ];
            let (exit, message) = chosen(&cards).unwrap_err();
            assert_eq!(exit, Exit::Doubtful);
            for part in ["/dev/mmcblk0", "/dev/mmcblk1", "uuid-1", "panda"] {
                assert!(message.contains(part), "{part} in {message}");
            }
        }
    }

    #[test]
    fn of_several_the_one_that_the_bootloader_has_read() {
        let with = |uuid: &str| Summary::Copies(State::Valid, Some((uuid.into(), "panda".into())));
        let corrupt = Summary::Copies(State::Corrupt, None);
        for holds in [[None, None], [Some("/"), Some("/boot")]] {
            let cards = |content: [Summary; 2]| {
                let [first, second] = content;
                [
                    one("mmcblk0", Kind::Native, holds[0], first),
                    one("mmcblk1", Kind::Native, holds[1], second),
                ]
            };
            let different = cards([with("uuid-1"), with("uuid-2")]);
            assert_eq!(chosen_after(&different, Some("uuid-1")), Ok("/dev/mmcblk0"));
            assert_eq!(chosen_after(&different, Some("uuid-2")), Ok("/dev/mmcblk1"));
            assert_eq!(
                chosen_after(&cards([corrupt.clone(), with("uuid-2")]), Some("uuid-2")),
                Ok("/dev/mmcblk1")
            );
            // A fact of no card, of both, or none.
            for handed_over in [Some("uuid-3"), None] {
                assert_eq!(chosen_after(&different, handed_over).unwrap_err().0, Exit::Doubtful);
                let nameless = cards([corrupt.clone(), corrupt.clone()]);
                assert_eq!(chosen_after(&nameless, handed_over).unwrap_err().0, Exit::Doubtful);
            }
            let same = cards([with("uuid-1"), with("uuid-1")]);
            assert_eq!(chosen_after(&same, Some("uuid-1")).unwrap_err().0, Exit::Doubtful);
        }
        // Where the system's card is known, it is that one.
        let cards = [
            one("mmcblk0", Kind::Native, None, with("uuid-1")),
            one("mmcblk1", Kind::Native, Some("/"), with("uuid-2")),
        ];
        assert_eq!(chosen_after(&cards, Some("uuid-1")), Ok("/dev/mmcblk1"));
    }

    #[test]
    fn nothing_to_choose() {
        let (exit, message) = chosen(&[]).unwrap_err();
        assert_eq!(exit, Exit::Device);
        assert!(message.contains("no card"), "{message}");
        let blank = one("mmcblk0", Kind::Native, None, Summary::Blank);
        let (exit, message) = chosen(std::slice::from_ref(&blank)).unwrap_err();
        assert_eq!(exit, Exit::Blank);
        assert!(message.contains("/dev/mmcblk0 (blank)"), "{message}");
        let broken = one("mmcblk1", Kind::Native, None, Summary::Unreadable("broken".into()));
        let (exit, message) = chosen(&[blank, broken]).unwrap_err();
        assert_eq!(exit, Exit::Device);
        assert!(message.contains("/dev/mmcblk1 (broken)"), "{message}");
    }
}
