// SPDX-License-Identifier: MIT OR Apache-2.0
//! Facts as sentences: what was found, where, and what to do.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use identity_core::field::kind;
use identity_core::identity::DraftError;
use identity_core::search::Condition;
use identity_core::slot::{COUNT, reading_position};
use identity_core::{Identity, State};
use identity_host::boot_handover::NotBooted;
use identity_host::by_identity::LinkProblem;
use identity_host::default_card::{Candidate, NoDefaultCard, Summary};
use identity_host::device::info::DeviceInfo;
use identity_host::device::safety::TargetProblem;
use identity_host::device::{Cid, plain};
#[cfg(feature = "stamp")]
use identity_host::document::DocumentProblem;
use identity_host::error::{Action, Binding, Error, PlacesProblem, StepProblem};
#[cfg(feature = "flash")]
use identity_host::flash::{FlashProblem, MediumProblem, Note, leftover::Leftover};
#[cfg(feature = "flash")]
use identity_host::image::problem::ImageProblem;
#[cfg(feature = "stamp")]
use identity_host::new_image::NewImageProblem;
#[cfg(feature = "stamp")]
use identity_host::plan::Why;
#[cfg(feature = "stamp")]
use identity_host::record::RecordProblem;
use identity_host::scan::{Reason, Scan, ScannedSector};
use identity_layout::slot_rules::{SlotBusy, SlotVerdict};
use identity_layout::table::TableProblem;

use crate::lines::escaped;
use crate::shell;

#[cfg(feature = "flash")]
mod image;
#[cfg(feature = "flash")]
pub use image::name as image_name;

/// An error as a sentence with a way out.
pub fn error(error: &Error) -> String {
    match error {
        Error::Target { path, problem } => target(path, problem),
        Error::ByIdentity { path, problem } => by_identity(path, problem),
        Error::Io { path, action, error } => failed(path, *action, error),
        Error::State { path, scan } => {
            state(scan, path).unwrap_or_else(|| format!("{} is valid", shell::path(path)))
        }
        Error::NotReady { path, scan, why } => not_ready(scan, path, why),
        Error::IdentityPresent { path, scan } => match (scan.state(), scan.latest()) {
            (State::Degraded, Some(identity)) if scan.lone_copy().is_some() => format!(
                "{}, in one copy; {first}complete it with `identity repair{force} --keep {} {card}`, or replace it with `identity \
                 stamp --force --profile NAME {card}`",
                has(path, identity),
                identity.uuid(),
                first = table_first(scan, path),
                card = card(scan, path),
                force = force(scan)
            ),
            (State::Valid | State::Degraded, Some(identity)) => format!(
                "{}; change it with `identity stamp{force} --uuid {} --hostname NAME {card}`, or replace it with `identity \
                 stamp --force --profile NAME {card}`",
                has(path, identity),
                identity.uuid(),
                card = card(scan, path),
                force = force(scan)
            ),
            _ => state(scan, path).unwrap_or_default(),
        },
        Error::NewerCopy { path, lba, in_partition, by_force } => {
            let shown = shell::path(path);
            let way_out = match (in_partition, by_force) {
                (true, _) => {
                    "it lies in a partition, where this program never clears it; update `identity`".into()
                }
                (false, true) => "update `identity`, or give --force to write over it".into(),
                (false, false) => format!(
                    "update `identity`, or replace what is there by a new identity with `identity stamp --force --profile \
                     NAME {shown}`"
                ),
            };
            format!(
                "{shown}: LBA {lba} holds a copy of a later format version, which this program cannot read; {way_out}"
            )
        }
        Error::UnreadablePlace { path, lba } => format!(
            "{}: LBA {lba} cannot be read, and may hold a copy that can be read again later; nothing was written: use \
             another card reader, or give --force",
            shell::path(path)
        ),
        Error::CopiesInPartition { path, lbas } => format!(
            "{}: this would clear {} in a partition (the first partition starts earlier than when the card was stamped); \
             nothing was written: --dry-run lists the steps, --force runs them",
            shell::path(path),
            copies_at(lbas)
        ),
        Error::CopyElsewhere { path, lba } => format!(
            "{}: LBA {lba} is not a slot, but holds a valid copy, which readers find only with --at; give --at {lba}",
            shell::path(path)
        ),
        Error::LoneCopy { path, lba, in_partition } => format!(
            "{0}: LBA {lba} holds the only copy; it may come from another card, and two cards would share one identity; if \
             it belongs to this card, complete it with `identity repair{force} --keep {lba} {1}`, else remove it with `identity \
             erase{force} {1}`",
            shell::path(path),
            card_at(Some(*lba), path),
            force = by_force(*in_partition)
        ),
        Error::CopyBesidePair { path, lba, in_partition } => format!(
            "{0}: LBA {lba} holds a third copy, and bind would have to clear it, which it does not do on a card in use; put \
             the card into a card reader and run `identity repair{1} {0}` there",
            shell::path(path),
            by_force(*in_partition)
        ),
        Error::NothingToKeep { path, scan } => {
            let copies = if has_versions(scan) { versions(scan) } else { valid_copies(scan) };
            format!(
                "{} holds no such identity, or two versions of it ({copies}); give --keep the LBA of the copy to keep",
                shell::path(path)
            )
        }
        Error::Value(error) => value(*error),
        Error::SameMac { mac, interfaces: [one, other] } => format!(
            "interfaces {one} and {other} would have the same MAC address {mac}; give each an address of its own with --mac"
        ),
        Error::NoProfile => "the card does not have this identity; a new one needs --profile NAME".into(),
        Error::Generation(error) => format!(
            "{error}; give the card a new identity: `identity stamp --force --profile NAME CARD`"
        ),
        Error::NoSlots { path, verdicts } => no_slots(path, verdicts),
        Error::Unfinished { path, image } => format!(
            "{0} holds an unfinished flash of {1} (the mark in LBA 0), and has no partition table before that is finished; finish it with `identity \
             flash IMAGE {0}`",
            shell::path(path),
            escaped(image)
        ),
        Error::Places(PlacesProblem::Count) => "--at takes one LBA or two, joined by a comma".into(),
        Error::Places(PlacesProblem::NotTwo) => {
            "--at: the copies need two different sectors, and not LBA 0".into()
        }
        Error::Places(PlacesProblem::Neighbours) => {
            "--at: two neighbours share a page of the flash memory, and one write would take both copies; name two sectors \
             farther apart"
                .into()
        }
        Error::Place { path, lba, busy: why, by_force } => {
            let force = if *by_force { "; --force writes there all the same" } else { "" };
            format!("{}: --at {lba}: {}{force}", shell::path(path), busy(why, path))
        }
        Error::ForeignAtPeer { path, lba, by_force } => {
            let shown = shell::path(path);
            let way_out = if *by_force {
                format!("`identity repair --force {shown}` prints that sector and writes over it")
            } else {
                format!(
                    "--force does not write there either, because of the data around it; `identity map {shown}` shows whose data it is"
                )
            };
            format!(
                "{shown}: LBA {lba}, the place of the second copy, holds other data, and no other slot is free; {way_out}"
            )
        }
        Error::Step { path, lba, problem } => format!(
            "{}; the later steps were not run: run the command again, or replace the card",
            step(path, *lba, problem)
        ),
        Error::NotProved { path, scan } => {
            let found =
                state(scan, path).unwrap_or_else(|| format!("another identity ({})", valid_copies(scan)));
            format!("{}: the card does not hold what was written: {found}", shell::path(path))
        }
        Error::BoundElsewhere { path, binding } => {
            let shown = shell::path(path);
            let own =
                format!("give this card an identity of its own: `identity stamp --force --profile NAME {shown}`");
            match binding {
                Binding::Card { bound, found } => format!(
                    "{shown}: the identity is bound to the card with CID {bound}, but this card has CID {found}; {own}"
                ),
                Binding::Board { bound, found } => {
                    format!(
                        "{shown}: the identity is bound to the board {bound}, but this is the board {found}; {own}"
                    )
                }
            }
        }
        Error::NotHere { path, binding } => {
            let shown = shell::path(path);
            let (what, given, found) = match binding {
                Binding::Card { bound, found } => ("card with CID", bound.to_string(), found.to_string()),
                Binding::Board { bound, found } => ("board", bound.clone(), found.clone()),
            };
            let option = if matches!(binding, Binding::Card { .. }) { "--cid" } else { "--board" };
            format!(
                "{shown}: {option} names the {what} {given}, but this is the {what} {found}, where an identity that is bound so is \
                 not taken; leave the value out to bind it to this one"
            )
        }
        Error::BoundAlready { path, identity } => format!(
            "{}: the identity is bound already, to {}; give --force to bind it anew",
            shell::path(path),
            bindings(identity)
        ),
        Error::NoCid { path, reason } => format!(
            "{}: {reason}; bind the card in a native slot (/dev/mmcblkN), or give --cid HEX, which Linux shows there in \
             /sys/block/mmcblkN/device/cid",
            shell::path(path)
        ),
        Error::NoBoard { path } => format!(
            "{}: this machine does not know the serial number of the card's board; bind the card on the board, or give \
             --board=SERIAL",
            shell::path(path)
        ),
        #[cfg(feature = "stamp")]
        Error::OtherFlash { path, record, uuid } => format!(
            "{} is the record of a flash that was not finished, whose card most likely has the identity {uuid}, and nothing says \
             that {} is that card; if that card will never be used again, give --force",
            shell::path(record),
            shell::path(path)
        ),
        #[cfg(feature = "stamp")]
        Error::OtherCard { path, record, card, sectors } => {
            let cid = card.cid.as_ref().map_or_else(String::new, |cid| format!(", CID {cid}"));
            format!(
                "{} is the record of {} ({} sectors{cid}), but {} ({sectors} sectors) may be another card; if both are \
                 used, two boards share one identity; if the first card will never be used again, give --force",
                shell::path(record),
                shell::path(&card.path),
                card.sectors,
                shell::path(path)
            )
        }
        #[cfg(feature = "stamp")]
        Error::GivenBefore { path, uuid, card } => {
            let cid = card.cid.as_ref().map_or_else(String::new, |cid| format!(", CID {cid}"));
            format!(
                "{}: the identity {uuid} was given to {} ({} sectors{cid}) from a file before, and that card may have it yet; if \
                 both are used, two boards share one identity; if that card is this one, or is erased, or will never be used \
                 again, give --force",
                shell::path(path),
                shell::path(&card.path),
                card.sectors
            )
        }
        #[cfg(feature = "stamp")]
        Error::HereToo { path, uuid, other } => {
            let other = shell::path(other);
            format!(
                "{}: {other} has the identity {uuid}, so two boards would share it; erase that one first (`identity erase {other}`), or, \
                 if it will never be used again, give --force",
                shell::path(path)
            )
        }
        #[cfg(feature = "stamp")]
        Error::RecordInUse { path, uuid } => format!(
            "{}: another `identity` is giving the identity {uuid} to a card now; nothing was written: wait for it to end, or two \
             boards share one identity",
            shell::path(path)
        ),
        #[cfg(feature = "stamp")]
        Error::RecordUsed { path, record, uuid } => format!(
            "{}: the identity {uuid} of {} was given to a card meanwhile, and the record is used up or has changed; nothing was \
             written: run the command again to see what is left",
            shell::path(path),
            shell::path(record)
        ),
        #[cfg(feature = "stamp")]
        Error::Record { path, problem } => record(path, problem),
        #[cfg(feature = "stamp")]
        Error::NewImage { path, problem: NewImageProblem::Exists } => {
            format!("{} exists; leave out --create to stamp it, or remove it", shell::path(path))
        }
        #[cfg(feature = "stamp")]
        Error::NewImage { problem: NewImageProblem::Size(_), .. } => {
            "--create: the size is at least 8M, less than 2048G, and a multiple of 512 bytes".into()
        }
        #[cfg(feature = "stamp")]
        Error::NewImage { path, problem: NewImageProblem::BeforePartition(lba, len) } => format!(
            "{}: {len} bytes from LBA {lba} on do not fit between the table in LBA 0 and the partition at LBA {}",
            shell::path(path),
            identity_host::new_image::PARTITION_LBA
        ),
        Error::DefaultCard(problem) => no_default_card(problem),
        Error::NotBooted { candidates, problem } => not_booted(candidates, problem),
        Error::NotOurDirectory { path } => format!(
            "{} was not written by `identity read --into` and was left as it is; give another name, or remove it",
            shell::path(path)
        ),
        #[cfg(feature = "flash")]
        Error::Flash { path, problem } => flash(path, problem),
        #[cfg(feature = "flash")]
        Error::Image { path, problem } => image::problem(path, problem),
        #[cfg(feature = "flash")]
        Error::Bmap { path, problem } => image::bmap(path, problem),
        #[cfg(feature = "flash")]
        Error::Sums { path, problem } => image::sums(path, problem),
        #[cfg(feature = "stamp")]
        Error::Signals(error) => format!("cannot wait for signals: {}", plain(error)),
        #[cfg(feature = "flash")]
        Error::Interrupted => "interrupted".into(),
        // Another crate of the build may have asked for more of the host library; a program without that never meets its errors.
        #[cfg(not(feature = "flash"))]
        #[allow(unreachable_patterns, reason = "only such a build has more errors")]
        _ => "an error of a part that this program does not use".into(),
    }
}

/// What a state means for this card, and what to do about it; `None` for valid.
pub fn state(scan: &Scan, path: &Path) -> Option<String> {
    let (shown, card) = (shell::path(path), card(scan, path));
    Some(match scan.state() {
        State::Valid => return None,
        State::Blank if scan.sectors().iter().all(|sector| sector.condition == Condition::Absent) => {
            format!("{shown} is blank, and too short for any slot; give the whole card or its whole image")
        }
        State::Blank => {
            format!("{}; give it one with `identity stamp --profile NAME {card}`", blank(scan, path))
        }
        State::Degraded => degraded(scan, path),
        State::Corrupt if scan.ours().all(|sector| scan.is_in_partition(sector.lba)) => format!(
            "{shown} holds no identity, but a damaged copy in a partition, for which readers call it corrupt ({}); {}; give \
             the card an identity with `identity stamp --force --profile NAME {card}`",
            sectors(scan, |label| label != "valid"),
            left_in_partition(scan, path)
        ),
        State::Corrupt => format!(
            "{shown} is corrupt: it holds copies, but none is valid ({}); with a record of the identity, or what `identity \
             read --format json` printed of it, give it back with `identity stamp --force --restore FILE {card}`, else \
             replace it by a new one with `identity stamp --force --profile NAME {card}`",
            sectors(scan, |label| label != "valid")
        ),
        State::Conflict => conflict(scan, path),
        State::Newer => format!(
            "{shown} holds a newer identity than this program can read ({}); update `identity`",
            sectors(scan, |label| label == "newer")
        ),
        State::Unreadable => format!("{shown}: {}", unreadable(scan)),
        State::Cloned | State::Moved => format!("{shown} {}", elsewhere(scan, path)?),
    })
}

/// That a card is blank.
fn blank(scan: &Scan, path: &Path) -> String {
    let misplaced: Vec<_> =
        scan.misplaced().map(|(lba, own_lba)| format!("LBA {lba} holds {}", misplaced(own_lba))).collect();
    let seen = if misplaced.is_empty() { String::new() } else { format!(" ({})", misplaced.join("; ")) };
    format!("{} is blank: no slot holds an identity{seen}", shell::path(path))
}

/// Why a blank card cannot be stamped as it is.
pub enum NotReady<'a> {
    /// A flash was not finished; that is said elsewhere.
    Unfinished,
    /// LBA 0 is blank, on a card of so many sectors.
    NoTable(u64),
    /// LBA 0 holds something without the signature of an MBR, and nothing else was looked at.
    Unknown,
    /// No two slots are free.
    NoSlots(&'a [SlotVerdict]),
    /// It is a loop device that begins at this byte of this file.
    Part(&'a Path, u64),
}

/// That a card is blank, and what to do before it can be stamped.
pub fn blank_and_not_ready(scan: &Scan, path: &Path, why: &NotReady<'_>) -> String {
    let (blank, shown) = (blank(scan, path), shell::path(path));
    match why {
        NotReady::Unfinished => blank,
        NotReady::NoTable(sectors) => {
            format!("{blank}, and it has no partition table; {}", make_table(path, *sectors))
        }
        NotReady::Unknown => format!(
            "{blank}, and LBA 0 holds something that does not end in 55 AA, so no MBR; `identity map {shown}` says what is known \
             of it"
        ),
        NotReady::NoSlots(verdicts) => {
            let reason = no_slots(path, verdicts);
            match reason.trim_start_matches(&format!("{shown}: ")) {
                several if several.contains('\n') => format!(
                    "{blank}; no two of the {COUNT} slots are free for one, and `identity map {shown}` shows why"
                ),
                one => format!("{blank}; {one}"),
            }
        }
        NotReady::Part(file, offset) => format!("{blank}; {}", part(path, file, *offset)),
    }
}

/// That a card is blank, or has an identity, and the error that a stamp would end with.
fn not_ready(scan: &Scan, path: &Path, why: &Error) -> String {
    if let Some(identity) = scan.latest() {
        return format!("{}; {}", has(path, identity), error(why));
    }
    match why {
        Error::NoSlots { verdicts, .. } => blank_and_not_ready(scan, path, &NotReady::NoSlots(verdicts)),
        why => format!("{}; {}", blank(scan, path), error(why)),
    }
}

/// A loop device that begins at this byte of its file, and what to do about it.
pub fn part(path: &Path, file: &Path, offset: u64) -> String {
    let (shown, file) = (shell::path(path), shell::path(file));
    format!(
        "{shown} is only the part of {file} from byte {offset} on; detach it with `losetup -d {shown}`, and give the whole \
         image, {file}"
    )
}

/// What gives a card of so many sectors, without a table, one.
fn make_table(path: &Path, sectors: u64) -> String {
    format!("if it is a whole card and empty, {}", table_or_image(path, sectors))
}

fn table_or_image(path: &Path, sectors: u64) -> String {
    let image = format!("write an image with `identity flash IMAGE {}`", shell::path(path));
    match sectors {
        ..=PARTITION_LBA => {
            format!("{image} (its {sectors} sectors are too few for a partition behind all slots)")
        }
        _ => format!("make a table with {} and stamp it, or {image}", sfdisk(path)),
    }
}

/// Where the partition begins in a new table: all slots are in front of it.
const PARTITION_LBA: u64 = 8192;

/// The command that makes a table of one partition.
fn sfdisk(path: &Path) -> String {
    format!("`echo 'start={PARTITION_LBA}' | sfdisk --label dos {}`", shell::path(path))
}

/// The card in a command, with the place of a copy which no reader finds by itself.
pub fn card(scan: &Scan, path: &Path) -> String {
    card_at(scan.named_place(), path)
}

/// The same, where a copy is at `place`.
pub fn card_at(place: Option<u32>, path: &Path) -> String {
    let shown = shell::path(path);
    let place = place.filter(|lba| reading_position(*lba) == COUNT);
    place.map_or_else(|| shown.clone(), |lba| format!("--at {lba} {shown}"))
}

/// That a valid copy lies outside of the slots: what the slots alone say of the card is not the whole answer, and nothing is
/// written before that copy is named.
pub fn copy_elsewhere(scan: &Scan, path: &Path, lba: u32) -> String {
    format!(
        "{0} is {1} by its slots, but LBA {lba}, which is not a slot, holds a valid copy: readers find it only with --at, and \
         without it nothing is written to the card: `identity verify --at {lba} {0}`",
        shell::path(path),
        scan.state()
    )
}

/// The option that a verb needs which moves or clears the copies: they lie in a partition, or one of a later version is
/// among them.
fn force(scan: &Scan) -> &'static str {
    let needs_force = scan.in_partition(Condition::Valid).chain(scan.lbas(Condition::Newer)).next().is_some();
    by_force(needs_force)
}

fn by_force(is_needed: bool) -> &'static str {
    if is_needed { " --force" } else { "" }
}

/// Whether a copy of a later version is where no verb of this program clears it.
fn has_newer_in_partition(scan: &Scan) -> bool {
    scan.in_partition(Condition::Newer).next().is_some()
}

fn degraded(scan: &Scan, path: &Path) -> String {
    let (shown, card, force) = (shell::path(path), card(scan, path), force(scan));
    let what = sectors(scan, |label| label != "valid");
    let first = table_first(scan, path);
    if has_newer_in_partition(scan) {
        return format!(
            "{shown} is degraded ({what}); a copy of a later version lies in a partition, where this program never clears it: \
             update `identity`"
        );
    }
    if scan.is_whole_beside_partition() && scan.in_partition(Condition::Corrupt).next().is_some() {
        return format!(
            "{shown} has its identity twice, and readers call it degraded for a damaged copy in a partition ({what}); {}",
            left_in_partition(scan, path)
        );
    }
    if let Some(lba) = scan.lone_copy() {
        return format!(
            "{shown} is degraded (LBA {lba} holds the only copy, which may come from another card; {what}); if it belongs to \
             this card, {first}complete it with `identity repair{force} --keep {lba} {card}`, else remove it with `identity \
             erase{force} {card}`"
        );
    }
    match scan.lbas(Condition::Newer).next() {
        Some(lba) => format!(
            "{shown} is degraded ({what}); update `identity`, or {first}write over what LBA {lba} holds, of which a record is kept, \
             with `identity repair --force {card}`"
        ),
        None => {
            format!("{shown} is degraded ({what}); {first}make it whole with `identity repair{force} {card}`")
        }
    }
}

/// What can be done about damaged copies behind the start of a partition, which no verb clears.
fn left_in_partition(scan: &Scan, path: &Path) -> String {
    let lbas: Vec<_> = scan.in_partition(Condition::Corrupt).collect();
    let clear = |lba: &u32| {
        format!("`dd if=/dev/zero of={} bs=512 seek={lba} count=1 conv=notrunc`", shell::path(path))
    };
    format!(
        "it may be part of a file, so `identity` leaves it where it is, and the file system overwrites it one day; if no file \
         is there, clear it with {}",
        lbas.iter().map(clear).collect::<Vec<_>>().join(" and ")
    )
}

/// Two identities, or two versions of one that cannot both be right: which can be kept, and how.
fn conflict(scan: &Scan, path: &Path) -> String {
    let (shown, card) = (shell::path(path), card(scan, path));
    let uuid = scan.valid().next().map(|(_, identity, _)| identity.uuid()).filter(|_| has_versions(scan));
    // Of one of the identities, two versions: its UUID does not tell which.
    let is_told = scan.valid().all(|(_, identity, _)| scan.version(identity.uuid()).is_some());
    let (what, copies, keep) = match uuid {
        Some(uuid) => (format!("two versions of one identity {uuid}"), versions(scan), "LBA"),
        None if is_told => ("two identities".to_owned(), valid_copies(scan), "UUID"),
        None => ("two identities, and two versions of one of them".to_owned(), versions(scan), "LBA"),
    };
    if has_newer_in_partition(scan) {
        return format!(
            "{shown} is in conflict: it holds {what} ({}), and a copy of a later version in a partition, where this program \
             never clears it: update `identity`",
            valid_copies(scan)
        );
    }
    format!(
        "{shown} is in conflict: it holds {what} ({copies}); {}keep one with `identity repair{} --keep {keep} {card}`, or replace \
         all with `identity stamp --force --profile NAME {card}`",
        table_first(scan, path),
        force(scan)
    )
}

/// What has to be done about the partition table before a verb takes the card, if anything.
fn table_first(scan: &Scan, path: &Path) -> String {
    let shown = shell::path(path);
    match scan.table_problem() {
        // What it is said of already.
        None | Some(TableProblem::UnfinishedFlash) => String::new(),
        Some(problem) if problem.is_absence() => format!(
            "it has no partition table, without which nothing is written to it: make one with {}, which leaves LBA 1 and all behind \
             it as they are; then ",
            sfdisk(path)
        ),
        Some(problem) => {
            let problem = problem.to_string().replace("DEVICE", &shown);
            format!("nothing is written to it before its partition table is right: {problem}; then ")
        }
    }
}

/// Whether all valid copies have one UUID.
fn has_versions(scan: &Scan) -> bool {
    let mut uuids = scan.valid().map(|(_, identity, _)| identity.uuid());
    let first = uuids.next();
    first.is_some() && uuids.all(|uuid| Some(uuid) == first)
}

/// Where the versions of one identity are, and the fields in which they differ.
fn versions(scan: &Scan) -> String {
    let copies: Vec<_> = scan.valid().map(|(lba, identity, _)| (lba, fields(identity))).collect();
    let is_same = |name: &String| {
        let mut values = copies.iter().map(|(_, fields)| fields.get(name));
        let first = values.next();
        values.all(|value| Some(value) == first)
    };
    let names: BTreeSet<_> =
        copies.iter().flat_map(|(_, fields)| fields.keys()).filter(|name| !is_same(name)).collect();
    let value = |fields: &BTreeMap<String, String>, name: &String| match fields.get(name) {
        Some(value) => format!("{name} {value}"),
        None => format!("no {name}"),
    };
    let line = |(lba, fields): &(u32, BTreeMap<String, String>)| {
        let values: Vec<_> = names.iter().map(|name| value(fields, name)).collect();
        format!("LBA {lba}: {}", values.join(", "))
    };
    copies.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// Every field of an identity, and its generation, by a name that a person knows.
fn fields(identity: &Identity) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::from([
        ("generation".to_owned(), identity.generation().to_string()),
        ("uuid".to_owned(), identity.uuid().to_string()),
    ]);
    for field in identity.fields().iter() {
        let text = || escaped(&String::from_utf8_lossy(field.value));
        let (name, value) = match (field.kind, field.value) {
            (kind::MAC, [index, ..]) => {
                (format!("mac {index}"), identity.mac(u32::from(*index)).0.to_string())
            }
            (kind::VARIABLE, _) => {
                let text = text();
                let (key, value) = text.split_once('=').unwrap_or((&text, ""));
                (format!("variable {key}"), value.to_owned())
            }
            (kind::CARD, _) => {
                let cid = identity.fields().card().map(Cid::new);
                ("card".to_owned(), cid.map_or_else(String::new, |cid| cid.to_string()))
            }
            (kind, _) => match identity_core::field::name(kind) {
                Some(name) => (name.to_owned(), text()),
                None => (format!("field {kind:#04x}"), hex(field.value)),
            },
        };
        fields.insert(name, value);
    }
    fields
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What an identity is bound to.
fn bindings(identity: &Identity) -> String {
    let fields = identity.fields();
    let card = fields.card().map(|cid| format!("the card with CID {}", Cid::new(cid)));
    let board = fields.text(kind::BOARD).map(|board| format!("the board {}", escaped(board)));
    card.into_iter().chain(board).collect::<Vec<_>>().join(" and ")
}

/// `/dev/sdb has the identity UUID (PROFILE)`.
fn has(path: &Path, identity: &Identity) -> String {
    format!("{} has the identity {}", shell::path(path), named(identity))
}

/// An identity in a sentence.
pub fn named(identity: &Identity) -> String {
    format!("{} ({})", identity.uuid(), identity.profile())
}

/// What went wrong with one step of a plan.
pub fn step(path: &Path, lba: u32, problem: &StepProblem) -> String {
    format!("{}: LBA {lba} {}", shell::path(path), step_problem(problem))
}

/// Where valid copies are, and of which identity.
fn valid_copies(scan: &Scan) -> String {
    let copies = scan.valid().map(|(lba, identity, _)| {
        format!("LBA {lba} {} generation {}", named(identity), identity.generation())
    });
    copies.collect::<Vec<_>>().join(", ")
}

fn copies_at(lbas: &[u32]) -> String {
    match lbas {
        [lba] => format!("a copy at LBA {lba}"),
        _ => format!("copies at LBA {}", lbas.iter().map(u32::to_string).collect::<Vec<_>>().join(", ")),
    }
}

/// Why a sector that is not blank is no valid copy.
pub fn reason(sector: &ScannedSector) -> Option<String> {
    Some(match sector.reason.as_ref()? {
        Reason::Foreign => "data of another program".into(),
        Reason::Misplaced { own_lba } => format!("data of another program: {}", misplaced(*own_lba)),
        Reason::Corrupt(defect) => defect.to_string(),
        Reason::Newer(newer) => newer.to_string(),
        Reason::Unreadable(error) => error.clone(),
    })
}

/// An intact copy that was written for another LBA.
fn misplaced(own_lba: u32) -> String {
    format!("a copy that was written for LBA {own_lba}: part of an image of a card")
}

/// Sectors of ours, and the pair's, whose label is wanted.
fn sectors(scan: &Scan, wanted: impl Fn(&str) -> bool) -> String {
    let ours = scan.ours().chain(scan.pair());
    let mut lines: Vec<(u32, String)> = ours
        .filter(|sector| wanted(scan.label(sector)))
        .map(|sector| {
            let label = scan.label(sector);
            let line = match reason(sector) {
                None => format!("LBA {} is {label}", sector.lba),
                Some(reason) => format!("LBA {} is {label}: {reason}", sector.lba),
            };
            (sector.lba, line)
        })
        .collect();
    lines.sort();
    lines.dedup();
    if lines.is_empty() {
        return "it holds a third copy".into();
    }
    lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("; ")
}

fn unreadable(scan: &Scan) -> String {
    let bad = scan.sectors().iter().find(|sector| sector.condition == Condition::Unreadable);
    bad.map_or_else(String::new, |sector| {
        format!(
            "LBA {} cannot be read ({}); use another card reader, or replace the card",
            sector.lba,
            reason(sector).unwrap_or_default()
        )
    })
}

/// What the identity is bound to, what was found, and what to do.
fn elsewhere(scan: &Scan, path: &Path) -> Option<String> {
    let (card_here, identity) = (card(scan, path), scan.identity()?);
    let name = named(identity);
    let own = format!("give it an identity of its own: `identity stamp --force --profile NAME {card_here}`");
    if scan.state() == State::Cloned {
        let (bound, card) = (Cid::new(identity.fields().card()?), scan.surroundings().card.ok()?);
        return Some(format!(
            "is cloned: its identity {name} is bound to the card with CID {bound}, but this card has CID {card}; {own}"
        ));
    }
    let (bound, board) = (identity.fields().text(kind::BOARD)?, scan.surroundings().board(identity)?);
    Some(format!(
        "is moved: its identity {name} is bound to the board {bound}, but this is the board {board}; put the card back into \
         its board, or bind it to this one: `identity bind --force --board={} {card_here}`, or {own}",
        shell::value(board)
    ))
}

fn by_identity(path: &Path, problem: &LinkProblem) -> String {
    let shown = shell::path(path);
    match problem {
        LinkProblem::Several(cards) => {
            let cards: Vec<_> = cards.iter().map(|card| shell::path(card)).collect();
            format!(
                "{shown} may be any of {}, for each has the identity of this name; give the device, or take the other card out",
                cards.join(" and ")
            )
        }
        LinkProblem::Stale(card) => {
            let card = shell::path(card);
            format!(
                "{shown} leads to {card}, which does not have the identity of this name; if the card was changed, take it out and \
                 put it in again, or give {card}"
            )
        }
    }
}

fn target(path: &Path, problem: &TargetProblem) -> String {
    let shown = shell::path(path);
    match problem {
        TargetProblem::Directory => {
            format!("{shown} is a directory; give the card's block device or an image file")
        }
        TargetProblem::NoCard => {
            format!(
                "{shown} is neither a block device nor a file; give the card's block device or an image file"
            )
        }
        TargetProblem::NoMedium => format!("{shown} has no card in it; insert one"),
        TargetProblem::Attributes { immutable, append_only } => {
            let (what, letters) = match (immutable, append_only) {
                (true, true) => ("immutable and append-only", "ia"),
                (true, false) => ("immutable", "i"),
                (false, _) => ("append-only", "a"),
            };
            format!(
                "{shown} is {what} (`lsattr {shown}`), so nobody can write to it; `chattr -{letters} {shown}` changes that"
            )
        }
        TargetProblem::ReadOnlyFileSystem => {
            format!("{shown} is on a file system that is mounted read-only; remount that, or copy the image")
        }
        TargetProblem::ReadOnly => {
            format!("{shown} is read-only; slide the card's lock tab back, or use another reader")
        }
        TargetProblem::Busy => format!(
            "{shown} is in use by another program; wait for it, or stop it (`fuser -v {shown}` shows it)"
        ),
        TargetProblem::NotInSysfs(number) => format!(
            "{shown} (device {number}) is not in /sys, which tells whether it is in use; mount sysfs: `mount -t sysfs sysfs \
             /sys`"
        ),
        TargetProblem::AttachedToLoop(name) => {
            format!(
                "{shown} is attached to /dev/{name}; give /dev/{name}, or detach it: `losetup -d /dev/{name}`"
            )
        }
        TargetProblem::BehindTwo { other } => format!(
            "{shown} and /dev/{other} are made of the same file, and neither sees what the other has written; detach one of \
             them: `losetup -d /dev/{other}`"
        ),
        TargetProblem::Partition { number, whole } => {
            format!("{shown} is partition {number} of /dev/{whole}; give the whole card, /dev/{whole}")
        }
        TargetProblem::HardwarePartition(user_area) => {
            format!("{shown} is a hardware partition of an eMMC, not its user area; give /dev/{user_area}")
        }
        TargetProblem::SectorSize(size) => {
            format!("{shown} has sectors of {size} bytes; an identity needs a card with sectors of 512 bytes")
        }
        TargetProblem::FixedDisk(model) => {
            let model = model.as_ref().map_or_else(String::new, |model| format!(" ({model})"));
            format!(
                "{shown} is a fixed disk{model}, neither removable nor SD/MMC nor a loop device; check the name, or give \
                 --allow-fixed-disk"
            )
        }
        TargetProblem::SystemDisk { name, point } => {
            let point = shell::path(point);
            format!(
                "{shown} is the system disk ({point} is on /dev/{name}), which `identity` never writes; check the name"
            )
        }
        TargetProblem::Mounted { name, point } => {
            let point = shell::path(point);
            format!("/dev/{name} is mounted on {point}; unmount it first: `umount {point}`")
        }
        TargetProblem::Swap(path) => {
            let path = shell::path(path);
            format!("{path} is swap space in use; switch it off first: `swapoff {path}`")
        }
        TargetProblem::Held { name, by } if by.starts_with("loop") => {
            format!("/dev/{name} is in use by /dev/{by}; detach it first: `losetup -d /dev/{by}`")
        }
        TargetProblem::Held { name, by } => {
            format!("/dev/{name} is in use by /dev/{by}; stop /dev/{by} first")
        }
    }
}

fn failed(path: &Path, action: Action, error: &io::Error) -> String {
    let doing = match action {
        Action::Open => "open",
        Action::Measure => "find the size of",
        Action::Read => "read",
        Action::ReadFirstSectors => "read LBA 0 of",
        Action::Create => "create",
        Action::Remove => "remove",
        Action::WriteRecord => "write the record of the identity",
    };
    let hint = match (action, error.kind()) {
        // The names of open files.
        (_, io::ErrorKind::NotFound) if !Path::new("/proc/self").exists() => {
            "; /proc is not there: mount it, `mount -t proc proc /proc`"
        }
        (Action::WriteRecord, _) => {
            "; give records another directory with XDG_STATE_HOME=DIR in front of the command, DIR being an absolute path"
        }
        (_, io::ErrorKind::NotFound) => "; check the name",
        (_, io::ErrorKind::PermissionDenied) if rustix::process::geteuid().is_root() => {
            "; even root may not: a container or a sandbox forbids it, or an attribute that chattr has set"
        }
        (_, io::ErrorKind::PermissionDenied) => "; run as root or as a member of the device's group",
        _ => "",
    };
    #[cfg(feature = "flash")]
    let name = image::name(path);
    #[cfg(not(feature = "flash"))]
    let name = shell::path(path);
    format!("cannot {doing} {name}: {}{hint}", plain(error))
}

fn step_problem(problem: &StepProblem) -> String {
    match problem {
        StepProblem::BehindEnd => "is behind the end of the card".into(),
        StepProblem::Changed => "has changed since it was read".into(),
        StepProblem::Read(error) => format!("cannot be read ({})", plain(error)),
        StepProblem::Write(error) => format!("cannot be written ({})", plain(error)),
        StepProblem::Flush(error) => format!("cannot be flushed ({})", plain(error)),
        StepProblem::ReadBack(error) => format!("cannot be read back ({})", plain(error)),
        StepProblem::Differs(at) => format!("reads back differently from byte {at} on"),
    }
}

/// What is wrong with a value, and the rule for its field.
fn value(error: DraftError) -> String {
    let rule = match error {
        DraftError::Value { kind: kind::PROFILE, .. } => {
            "; it has 1 to 63 characters of A-Z a-z 0-9 . _ + - and starts with a letter or digit"
        }
        DraftError::Value { kind: kind::HOSTNAME, .. } => {
            "; it has at most 63 characters: labels of A-Z a-z 0-9 and inner hyphens, joined by dots"
        }
        DraftError::Value { kind: kind::SERIAL, .. } => {
            "; it has 1 to 63 printable ASCII characters and no space"
        }
        _ => "",
    };
    format!("{error}{rule}")
}

/// Why a slot cannot be taken; the device's name stands in the commands.
fn busy(why: &SlotBusy, path: &Path) -> String {
    why.to_string().replace("DEVICE", &shell::path(path))
}

/// Of a loop device that does not begin where its file begins: the file, and the byte where it begins.
fn part_of(path: &Path) -> Option<(PathBuf, u64)> {
    DeviceInfo::find(path.metadata().ok()?.rdev())?.part_of
}

fn no_slots(path: &Path, verdicts: &[SlotVerdict]) -> String {
    let shown = shell::path(path);
    if let Some((file, offset)) = part_of(path) {
        return format!("{shown}: no slot is free: {}", part(path, &file, offset));
    }
    let reason =
        |slot: &SlotVerdict| slot.verdict.as_ref().map_or_else(|why| busy(why, path), |()| "free".into());
    let reasons: Vec<_> = verdicts.iter().map(reason).collect();
    if let Some(one) = reasons.first().filter(|one| reasons.iter().all(|reason| reason == *one)) {
        let way_out = match verdicts.first().and_then(|slot| slot.verdict.as_ref().err()) {
            Some(SlotBusy::Table(Some(TableProblem::TooShort))) => {
                "; give the whole card or its whole image".into()
            }
            Some(SlotBusy::Table(Some(TableProblem::UnfinishedFlash))) => {
                format!("; finish it with `identity flash IMAGE {shown}`")
            }
            Some(SlotBusy::Table(Some(TableProblem::NoSignature { is_blank: false, sectors }))) => format!(
                ", and holds something else: if it is a packed image, write it to a card with `identity flash {shown} DEVICE`; \
                 if it is a card of which nothing is needed any more, {}; or name two sectors with --at",
                table_or_image(path, *sectors)
            ),
            Some(SlotBusy::Table(Some(TableProblem::NoSignature { sectors, .. }))) => {
                format!("; {}; or name two sectors with --at", make_table(path, *sectors))
            }
            Some(SlotBusy::Table(Some(TableProblem::WholeDevice(_)))) => {
                "; if this is the image of one partition, give the image of the whole card".into()
            }
            // The problem names what mends it.
            Some(SlotBusy::Table(_)) if one.contains('`') => String::new(),
            Some(SlotBusy::Table(_)) => format!("; if nothing on it is needed, write another image with `identity flash IMAGE {shown}`"),
            Some(SlotBusy::CutOff { .. }) => "; give the whole card or its whole image".into(),
            _ => "; a card with its first partition at 4 MiB and nothing before it has free slots, or name two sectors with \
                  --at"
                .into(),
        };
        return format!("{shown}: no slot is free: {one}{way_out}");
    }
    let mut message = format!("{shown}: no two of the {COUNT} slots are free:");
    for (slot, reason) in verdicts.iter().zip(reasons) {
        message.push_str(&format!("\n  LBA {:<5} {reason}", slot.lba));
    }
    message.push_str(
        "\nmove the first partition up (4 MiB leaves most slots free), or name two sectors with --at",
    );
    message
}

fn no_default_card(problem: &NoDefaultCard) -> String {
    let list = |all: &[Candidate]| all.iter().map(candidate).collect::<Vec<_>>().join(", ");
    match problem {
        NoDefaultCard::None => {
            "there is no card: this machine has no SD or MMC device, and no disk that its root is on has an identity; give the \
             card's block device"
                .into()
        }
        NoDefaultCard::Blank(all) => {
            format!(
                "no card has an identity: {}; give it one with `identity stamp --profile NAME DEVICE`",
                list(all)
            )
        }
        NoDefaultCard::Unreadable(all) => {
            format!("no identity was found, and not every card could be read: {}", list(all))
        }
        NoDefaultCard::Several(all) => {
            format!("several cards have an identity; give the block device of one: {}", list(all))
        }
    }
}

fn not_booted(candidates: &[Candidate], problem: &NotBooted) -> String {
    let found = candidates.iter().map(candidate).collect::<Vec<_>>().join(", ");
    match problem {
        NotBooted::Absent { booted } => format!(
            "the bootloader has read the card {booted}, but Linux finds only {found}; put that card back and restart, or set \
             CARD in /etc/default/identity"
        ),
        NotBooted::Doubtful { state } => format!(
            "the bootloader has found its card {state}, but Linux finds {found}; restart, or set CARD in /etc/default/identity"
        ),
    }
}

fn candidate(one: &Candidate) -> String {
    let content = match &one.content {
        Summary::Blank => "blank".into(),
        Summary::Unreadable(None) => "cannot be read".into(),
        Summary::Unreadable(Some(reason)) => error(reason),
        Summary::Copies(state, None) => state.to_string(),
        Summary::Copies(state, Some((uuid, profile))) => format!("{state} {uuid} {profile}"),
    };
    let holds = one.holds.as_ref().map_or(String::new(), |point| format!(", holds {point}"));
    format!("{} ({content}{holds})", shell::path(&one.path))
}

/// Why the copies go where they go.
#[cfg(feature = "stamp")]
pub fn why(why: Why) -> String {
    match why {
        Why::InPlace => "where the copies are".into(),
        Why::Belongs => "where the copies belong".into(),
        Why::TwoGroups(one, other) => format!(
            "the first two free ones in different groups ({} and {}), so that one tool cannot wipe both",
            one.letter(),
            other.letter()
        ),
        Why::OneGroup(group) => format!("the only two free ones, both of group {}", group.letter()),
        Why::Named => "as named with --at".into(),
    }
}

#[cfg(feature = "stamp")]
fn record(path: &Path, problem: &RecordProblem) -> String {
    let shown = shell::path(path);
    let what = match problem {
        RecordProblem::NoPlace => {
            return "there is no place for a record of the identity, because neither XDG_STATE_HOME nor HOME is set; set one".into();
        }
        RecordProblem::Syntax(error) => error.clone(),
        RecordProblem::Version(version) => {
            format!("its version is {version}, which this program does not know")
        }
        RecordProblem::Sector => "a sector is not 512 bytes in hex".into(),
        RecordProblem::NoCopy => {
            return format!(
                "{shown} is a record without a valid copy of an identity; what was on the card is in its `sectors`, in hex"
            );
        }
        RecordProblem::NoFile => "it is not a regular file".into(),
        RecordProblem::Shared => {
            return format!(
                "{shown} is the place for records, and others can write there: they could put one there, or take one away; if it \
                 is yours, `chmod go-w {shown}`; else name a directory of your own with XDG_STATE_HOME=DIR"
            );
        }
        RecordProblem::Note(error) => {
            return format!(
                "{shown} says which card has got this identity from a file, and cannot be read ({error}); if no other card has it, \
                 give --force"
            );
        }
        RecordProblem::Link => {
            return format!(
                "{shown} is a symbolic link, which is not followed; give the file itself, which `readlink -f {shown}` names"
            );
        }
        RecordProblem::Document(problem @ (DocumentProblem::Derived(_) | DocumentProblem::State(_))) => {
            return format!("{shown}: {problem}");
        }
        RecordProblem::Document(problem) => problem.to_string(),
    };
    format!("{shown} is neither a record nor what `identity read --format json` prints: {what}")
}

#[cfg(feature = "flash")]
fn flash(path: &Path, problem: &FlashProblem) -> String {
    let shown = shell::path(path);
    let list = |records: &[(std::path::PathBuf, Identity)]| -> String {
        let line = |(file, identity): &(std::path::PathBuf, Identity)| {
            format!("\n  {} ({})", shell::path(file), identity.profile())
        };
        records.iter().map(line).collect()
    };
    match problem {
        FlashProblem::Doubtful(scan) => format!(
            "{}; or write the image and give up what is there: `identity flash --force IMAGE {shown}`",
            state(scan, path).unwrap_or_else(|| format!("{shown} is in doubt"))
        ),
        FlashProblem::OtherRecord { present, record } => format!(
            "{}, and the record has the identity {record}; leave out --restore to keep the card's, or give --force to replace \
             it",
            has(path, present)
        ),
        FlashProblem::IdentityPresent(scan) => scan.latest().map_or_else(String::new, |present| {
            let is_unfinished = scan.table_problem() == Some(&TableProblem::UnfinishedFlash);
            format!(
                "{}; leave out --profile, --hostname and --serial to keep it; {}change it with `identity stamp{} --uuid {} \
                 --hostname NAME {}`; or give --force to replace it with a new one",
                has(path, present),
                if is_unfinished { "when the flash is done, " } else { "" },
                force(scan),
                present.uuid(),
                card(scan, path)
            )
        }),
        FlashProblem::SeveralRecords(records) => format!(
            "{shown} has no identity, and this host has {} records of it; choose one with --restore FILE, or ignore them with \
             --no-restore:{}",
            records.len(),
            list(records)
        ),
        FlashProblem::PossibleRecords(records) => format!(
            "{shown} has no identity, and this host has records of unfinished flashes of this card or another one; if it is \
             this card, give its identity back with --restore FILE, else ignore the records with --no-restore:{}",
            list(records)
        ),
        FlashProblem::NoPlace { cause, is_new } => {
            let way_out = if *is_new {
                "leave out --profile to write it without an identity"
            } else {
                "give --force to write it all the same: the card loses its identity, and this host keeps a record of it"
            };
            format!("{}; name two sectors with --at, or {way_out}", no_place(cause))
        }
        FlashProblem::TooLong { image_len, card_len } => {
            format!(
                "the image has at least {image_len} bytes, but {shown} has only {card_len}; use a larger card, or a smaller \
                 image"
            )
        }
        FlashProblem::SameStorage => {
            format!("{shown} is the image itself, or shares its storage; give another target")
        }
        FlashProblem::Medium { lbas, problem } => medium(path, lbas, problem),
        FlashProblem::Flush(error) => format!("{shown}: cannot be flushed: {}", plain(error)),
        FlashProblem::NotBegun(cause) => {
            format!("{}; {shown} is as it was: run the same command again, or replace the card", error(cause))
        }
        FlashProblem::NoThread(error) => format!(
            "no thread can be started to read the image: {}; nothing was written: raise the limit (`ulimit -u`, `ulimit -v`)",
            plain(error)
        ),
        FlashProblem::ReaderGone => "the thread that reads the image ended unexpectedly".into(),
        FlashProblem::Unfinished { cause, is_marked, identity, on_card, record } => {
            let what = match is_marked {
                Some(true) => format!("{shown} is unfinished"),
                // The image's own first sector is there, but not proved.
                Some(false) => format!("{shown} is unfinished, and LBA 0 does not say so"),
                None => format!("{shown} is unfinished, and LBA 0 cannot be read back"),
            };
            let place = match (identity, on_card, record) {
                (None, ..) => String::new(),
                (Some(uuid), true, Some(file)) => {
                    format!("; its identity {uuid} is on it, and in {}", shell::path(file))
                }
                (Some(uuid), true, None) => format!("; its identity {uuid} is on it"),
                (Some(uuid), false, Some(file)) => {
                    format!("; its identity {uuid} is in {}", shell::path(file))
                }
                (Some(_), false, None) => "; it has no identity".into(),
            };
            let way_out = if is_final(cause) {
                format!("then write an image to it with `identity flash IMAGE {shown}`")
            } else {
                "run the same command again".to_owned()
            };
            format!("{}; {what}{place}; {way_out}", error(cause))
        }
    }
}

/// Whether the same command would end in the same way: it is the image's fault, and another download changes nothing.
#[cfg(feature = "flash")]
fn is_final(cause: &Error) -> bool {
    match cause {
        Error::Flash { problem: FlashProblem::TooLong { .. }, .. } => true,
        Error::Image { problem, .. } => matches!(
            problem,
            ImageProblem::Foreign(_)
                | ImageProblem::WrongSum { .. }
                | ImageProblem::ForeignInside { .. }
                | ImageProblem::PackedTwice { .. }
                | ImageProblem::Unsupported(..)
                | ImageProblem::Memory { .. }
                | ImageProblem::Archive(_)
        ),
        _ => false,
    }
}

/// Why the layout of an image has no place for an identity.
#[cfg(feature = "flash")]
fn no_place(cause: &Error) -> String {
    let Error::NoSlots { verdicts, .. } = cause else { return error(cause) };
    // What is to be mended is the image, before it is packed; the target is sound.
    let path = Path::new("IMAGE");
    let reasons: Vec<_> = verdicts.iter().filter_map(|slot| slot.verdict.as_ref().err()).collect();
    match reasons.first() {
        Some(first) if reasons.len() == verdicts.len() && reasons.iter().all(|reason| reason == first) => {
            format!("no slot is free in the image: {}", busy(first, path))
        }
        _ => {
            let reason = |slot: &SlotVerdict| match &slot.verdict {
                Ok(()) => "free".to_owned(),
                Err(why) => busy(why, path),
            };
            let lines = verdicts.iter().map(|slot| format!("\n  LBA {:<5} {}", slot.lba, reason(slot)));
            format!("no two of the {COUNT} slots are free in the image:{}\n", lines.collect::<String>())
        }
    }
}

#[cfg(feature = "flash")]
fn medium(path: &Path, lbas: &std::ops::RangeInclusive<u64>, problem: &MediumProblem) -> String {
    let (first, last) = (lbas.start(), lbas.end());
    let lbas = if first == last { format!("LBA {first}") } else { format!("LBA {first} to {last}") };
    let what = match problem {
        MediumProblem::Write(error) => format!("cannot write {lbas}: {}", plain(error)),
        MediumProblem::Discard(error) => format!("cannot discard {lbas}: {}", plain(error)),
        MediumProblem::ReadBack(error) => format!("cannot read {lbas} back: {}", plain(error)),
        MediumProblem::Differs => format!("{lbas} read back differently than written; replace the card"),
    };
    format!("{}: {what}", shell::path(path))
}

/// What a person should know of a flash.
#[cfg(feature = "flash")]
pub fn note(note: &Note, path: &Path) -> String {
    let shown = shell::path(path);
    match note {
        Note::Degraded(scan) => format!(
            "{shown} is degraded ({}); the flash makes it whole",
            sectors(scan, |label| label != "valid")
        ),
        Note::Restored(identity, file) => {
            format!("{shown} gets back the identity {} from {}", named(identity), shell::path(file))
        }
        Note::BrokenRecord(cause) | Note::RecordStays(cause) => error(cause),
        Note::GivenUp(cause) => format!("{shown} will have no identity: {}", no_place(cause)),
        Note::Ignored { format, len } => format!(
            "the image is complete; {len} bytes after its {} data were ignored, as {} does",
            format.name(),
            format.name()
        ),
        Note::EndsBeforePartition { image_len, number, partition_end } => format!(
            "the image ends at byte {image_len}, before the end of its own partition {number} at byte {partition_end}: either \
             that partition is meant to be filled later, or the image was cut off before it was packed"
        ),
        Note::BackupGptNotAtEnd { backup_lba, last_lba } if backup_lba < last_lba => format!(
            "{shown}: the image's backup GPT is at LBA {backup_lba}, not at the card's end (LBA {last_lba}); when the flash \
             is done, `sgdisk -e {shown}` moves it"
        ),
        Note::BackupGptNotAtEnd { backup_lba, last_lba } => format!(
            "{shown}: the image's GPT was made for a larger card: its backup is at LBA {backup_lba}, but this card ends at LBA \
             {last_lba}; Linux and fdisk may refuse that table: use a larger card"
        ),
        Note::UnreadableEnd(lba) => format!(
            "{shown}: LBA {lba}, the card's last, cannot be read: if an old system's backup GPT is there, tools will find it when it \
             can; `wipefs {shown}` shows it then"
        ),
        Note::Cleared(leftover) => format!(
            "{shown}: cleared {} at LBA {}, which the image does not reach",
            self::leftover(leftover),
            leftover.sectors.start
        ),
    }
}

/// What an earlier system has left behind an image.
#[cfg(feature = "flash")]
pub fn leftover(leftover: &Leftover) -> String {
    match (leftover.user, leftover.partition) {
        (Some(user), _) => format!("a superblock of an earlier {user}"),
        (None, Some(number)) => format!("an earlier system's table inside partition {number}"),
        (None, None) => "a header of an earlier GPT".to_owned(),
    }
}
