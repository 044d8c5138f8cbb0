// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which card is meant when none is named: the one that the system runs from, else the only one with an identity, or
//! of several the one that the bootloader has read. It refuses to guess. What a board takes for itself at start has to be
//! the card that the bootloader has read, if it has.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use identity_core::State;

use crate::attached::{self, Content, Device};
use crate::boot_handover::{FromBootloader, NotBooted};
use crate::by_identity;
use crate::device::sysfs::{Host, Kind};
use crate::device::{Access, Target};
use crate::error::Error;
use crate::scan::Scan;
use crate::surroundings::Surroundings;

/// What matters of a device for the choice.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Path of its device node in /dev.
    pub path: PathBuf,
    /// What kind of device it is.
    pub kind: Kind,
    /// Where the running system has a file system of it.
    pub holds: Option<String>,
    /// What is on it.
    pub content: Summary,
}

/// What is on a candidate.
#[derive(Clone, Debug)]
pub enum Summary {
    /// No slot holds a copy.
    Blank,
    /// Copies, in this state; with the UUID and profile, if there are.
    Copies(State, Option<(String, String)>),
    /// It cannot be read; why, if the device cannot even be opened.
    Unreadable(Option<Arc<Error>>),
}

/// Why no card was found to be meant, with the candidates.
#[derive(Debug)]
pub enum NoDefaultCard {
    /// This machine has no card that could be meant.
    None,
    /// None has an identity.
    Blank(Vec<Candidate>),
    /// None has an identity, and not all can be read.
    Unreadable(Vec<Candidate>),
    /// Several cards have an identity, and nothing tells which is meant.
    Several(Vec<Candidate>),
}

type Result<T, E = NoDefaultCard> = std::result::Result<T, E>;

/// A card that is open and was looked at.
#[derive(Debug)]
pub struct FoundCard {
    /// Its node, or the image file.
    pub path: PathBuf,
    /// The card, open for reading.
    pub target: Target,
    /// What is on it, judged by what is known of card and board.
    pub scan: Scan,
}

/// The path of the card that was named, or else found.
///
/// # Errors
/// [`Error::DefaultCard`].
pub fn target(given: Option<&Path>) -> Result<PathBuf, Error> {
    match given {
        Some(path) => Ok(path.to_owned()),
        None => find(&Host::here(), None, None).map(|found| found.path),
    }
}

/// The card that was named, or else found; with what is on it, from one reading. It is looked for at `hint_lba` first, else
/// where the bootloader has found the copy that it used, if this may be its card.
///
/// # Errors
/// [`Error::DefaultCard`], and those of [`by_identity::open`].
pub fn look(given: Option<&Path>, hint_lba: Option<u32>) -> Result<FoundCard, Error> {
    let host = Host::here();
    let booted = FromBootloader::read(&host);
    match given {
        Some(path) => look_at(path, hint_lba, booted.as_ref()),
        None => find(&host, hint_lba, booted.as_ref()),
    }
}

/// The card whose identity this board takes for its own: the one that was named, which is not questioned, else the one
/// that the bootloader has read.
///
/// # Errors
/// Those of [`look`]; [`Error::NotBooted`] if it is not that one.
pub fn look_for_booted(given: Option<&Path>, hint_lba: Option<u32>) -> Result<FoundCard, Error> {
    let host = Host::here();
    let booted = FromBootloader::read(&host);
    if let Some(path) = given {
        return look_at(path, hint_lba, booted.as_ref());
    }
    let found = find(&host, hint_lba, booted.as_ref());
    let uuid = booted.as_ref().and_then(|booted| booted.uuid.clone());
    match (found, booted, uuid) {
        // The card that has it may still come.
        (Err(Error::DefaultCard(NoDefaultCard::Blank(all))), _, Some(booted)) => {
            Err(Error::NotBooted { candidates: all, problem: NotBooted::Absent { booted } })
        }
        (Ok(found), Some(booted), _) => {
            match booted.check_is_booted(found.scan.state(), found.scan.identity()) {
                Ok(()) => Ok(found),
                Err(problem) => Err(Error::NotBooted { candidates: vec![found.as_candidate()], problem }),
            }
        }
        (found, ..) => found,
    }
}

fn look_at(path: &Path, hint_lba: Option<u32>, booted: Option<&FromBootloader>) -> Result<FoundCard, Error> {
    let target = by_identity::open(path, Access::Read)?;
    // Only a board's own slot tells the CID: a card in a reader is not the one that the board has started from.
    let is_native = target.info().is_some_and(|info| info.cid.is_some());
    let handed_over = booted.filter(|_| is_native).and_then(|booted| booted.lba);
    let scan = Scan::read(&target, hint_lba.or(handed_over)).judged_in(Surroundings::of_target(&target));
    let scan = scan.with_way_out(&target);
    Ok(FoundCard { path: path.to_owned(), target, scan })
}

fn find(host: &Host, hint_lba: Option<u32>, booted: Option<&FromBootloader>) -> Result<FoundCard, Error> {
    let hint_lba = hint_lba.or(booted.and_then(|booted| booted.lba));
    let mut candidates = Vec::new();
    let mut opened = Vec::new();
    for device in attached::devices(host).iter().filter(|device| is_candidate(device)) {
        let (candidate, looked_at) = candidate(device, hint_lba);
        candidates.push(candidate);
        opened.push(looked_at);
    }
    let handed_over = booted.and_then(|booted| booted.uuid.as_deref());
    let chosen = choose(&candidates, handed_over).map_err(Error::DefaultCard)?;
    let looked_at = candidates.iter().zip(opened).find(|(one, _)| one.path == chosen.path);
    match looked_at {
        Some((_, Some((target, scan)))) => Ok(FoundCard { path: chosen.path.clone(), target, scan }),
        // It could not be opened: once more, for the reason.
        _ => look_at(&chosen.path, hint_lba, None),
    }
}

/// Whether the running system has its root or boot file system there.
pub fn is_system(path: &Path) -> bool {
    let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    attached::devices(&Host::here()).iter().any(|device| device.path == real && device.holds.is_some())
}

fn is_candidate(device: &Device) -> bool {
    device.info.sectors > 0 && (device.holds.is_some() || device.kind == Kind::Native)
}

fn candidate(device: &Device, hint_lba: Option<u32>) -> (Candidate, Option<(Target, Scan)>) {
    let (content, looked_at) = match device.look(hint_lba) {
        Content::Empty => (Summary::Blank, None),
        Content::Failed(error) => (Summary::Unreadable(Some(Arc::new(error))), None),
        Content::Seen(target, scan) => (Summary::of(&scan), Some((*target, *scan))),
    };
    (
        Candidate { path: device.path.clone(), kind: device.kind, holds: device.holds.clone(), content },
        looked_at,
    )
}

impl Summary {
    fn of(scan: &Scan) -> Self {
        match scan.state() {
            State::Blank => Self::Blank,
            State::Unreadable => Self::Unreadable(None),
            state => {
                let named = |identity: &identity_core::Identity| {
                    (identity.uuid().to_string(), identity.profile().to_owned())
                };
                Self::Copies(state, scan.identity().map(named))
            }
        }
    }
}

impl FoundCard {
    fn as_candidate(&self) -> Candidate {
        let content = Summary::of(&self.scan);
        Candidate { path: self.path.clone(), kind: Kind::Native, holds: None, content }
    }
}

/// The card that is meant: the system's own, whatever is on it; a fixed disk of the system, if it has an identity; the
/// only card in a native slot that has one. Of several with an identity, the only one that has what the bootloader
/// `handed_over`, a UUID.
///
/// # Errors
/// Why none is.
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
}

/// The only one of these with copies of an identity, or with the one that was handed over.
fn only_stamped<'a>(among: &[&'a Candidate], handed_over: Option<&str>) -> Result<&'a Candidate> {
    let stamped: Vec<_> = among.iter().filter(|one| one.is_stamped()).copied().collect();
    match stamped[..] {
        [only] => return Ok(only),
        [] if among.is_empty() => return Err(NoDefaultCard::None),
        [] if among.iter().any(|one| matches!(one.content, Summary::Unreadable(_))) => {
            return Err(NoDefaultCard::Unreadable(owned(among)));
        }
        [] => return Err(NoDefaultCard::Blank(owned(among))),
        _ => {}
    }
    let started: Vec<_> =
        stamped.iter().filter(|one| handed_over.is_some() && one.uuid() == handed_over).collect();
    if let [only] = started[..] { Ok(only) } else { Err(NoDefaultCard::Several(owned(&stamped))) }
}

impl Candidate {
    fn is_stamped(&self) -> bool {
        matches!(self.content, Summary::Copies(..))
    }

    fn uuid(&self) -> Option<&str> {
        let Summary::Copies(_, Some((uuid, _))) = &self.content else { return None };
        Some(uuid)
    }
}

fn owned(among: &[&Candidate]) -> Vec<Candidate> {
    among.iter().map(|one| (*one).clone()).collect()
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

    /// Why none was chosen, with the nodes that are named.
    #[derive(Debug, PartialEq)]
    enum Why {
        None,
        Blank(Vec<String>),
        Unreadable(Vec<String>),
        Several(Vec<String>),
    }

    fn chosen(candidates: &[Candidate]) -> Result<&str, Why> {
        chosen_after(candidates, None)
    }

    fn chosen_after<'a>(candidates: &'a [Candidate], handed_over: Option<&str>) -> Result<&'a str, Why> {
        let nodes = |all: Vec<Candidate>| all.iter().map(|one| one.path.display().to_string()).collect();
        choose(candidates, handed_over).map(|one| one.path.to_str().unwrap()).map_err(|error| match error {
            NoDefaultCard::None => Why::None,
            NoDefaultCard::Blank(all) => Why::Blank(nodes(all)),
            NoDefaultCard::Unreadable(all) => Why::Unreadable(nodes(all)),
            NoDefaultCard::Several(all) => Why::Several(nodes(all)),
        })
    }

    fn both() -> Why {
        Why::Several(vec!["/dev/mmcblk0".into(), "/dev/mmcblk1".into()])
    }

    #[test]
    fn the_card_that_the_system_runs_from_before_all_others() {
        for content in [stamped(), Summary::Blank, Summary::Unreadable(None)] {
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
        assert_eq!(chosen(&[card, disk(Summary::Unreadable(None))]), Ok("/dev/mmcblk0"));
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
            assert_eq!(chosen(&cards), Err(both()));
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
                assert_eq!(chosen_after(&different, handed_over), Err(both()));
                let nameless = cards([corrupt.clone(), corrupt.clone()]);
                assert_eq!(chosen_after(&nameless, handed_over), Err(both()));
            }
            let same = cards([with("uuid-1"), with("uuid-1")]);
            assert_eq!(chosen_after(&same, Some("uuid-1")), Err(both()));
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
        assert_eq!(chosen(&[]), Err(Why::None));
        let blank = one("mmcblk0", Kind::Native, None, Summary::Blank);
        assert_eq!(chosen(std::slice::from_ref(&blank)), Err(Why::Blank(vec!["/dev/mmcblk0".into()])));
        let broken = one("mmcblk1", Kind::Native, None, Summary::Unreadable(None));
        let all = vec!["/dev/mmcblk0".into(), "/dev/mmcblk1".into()];
        assert_eq!(chosen(&[blank, broken]), Err(Why::Unreadable(all)));
    }
}
