// SPDX-License-Identifier: MIT OR Apache-2.0
//! What can go wrong, as facts: what was found, and where. The crate `identity-ui` makes sentences and exit codes of them.

use std::io;
use std::path::{Path, PathBuf};

#[cfg(feature = "stamp")]
use identity_core::Uuid;
use identity_core::identity::DraftError;
use identity_core::{Identity, Mac};
use identity_layout::slot_rules::{SlotBusy, SlotVerdict};

use crate::boot_handover::NotBooted;
use crate::by_identity::LinkProblem;
use crate::default_card::{Candidate, NoDefaultCard};
use crate::device::Cid;
use crate::device::safety::TargetProblem;
#[cfg(feature = "flash")]
use crate::flash::FlashProblem;
#[cfg(feature = "flash")]
use crate::image::digest::SumsProblem;
#[cfg(feature = "flash")]
use crate::image::problem::{BmapProblem, ImageProblem};
#[cfg(feature = "stamp")]
use crate::new_image::NewImageProblem;
#[cfg(feature = "stamp")]
use crate::record::{CardKey, RecordProblem};
use crate::scan::Scan;

/// Result of everything that can fail here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why something was not done.
#[derive(Debug)]
pub enum Error {
    /// The device or file cannot be the target of this.
    Target {
        /// The device or file.
        path: PathBuf,
        /// Why it cannot be the target.
        problem: TargetProblem,
    },
    /// A link by a card's identity may lead to another card than is meant.
    ByIdentity {
        /// The link as it was given.
        path: PathBuf,
        /// Why it is not followed.
        problem: LinkProblem,
    },
    /// A call of the operating system failed.
    Io {
        /// The device or file.
        path: PathBuf,
        /// What was tried with it.
        action: Action,
        /// What the system says.
        error: io::Error,
    },
    /// The state of the card does not allow it.
    State {
        /// Device or image file of the card.
        path: PathBuf,
        /// What is on it.
        scan: Box<Scan>,
    },
    /// The card is blank, or has an identity that nobody has asked to replace, and could not be stamped as it is.
    NotReady {
        /// Device or image file of the card.
        path: PathBuf,
        /// What is on it.
        scan: Box<Scan>,
        /// Why it could not be stamped.
        why: Box<Error>,
    },
    /// The card has an identity, and nobody has asked to replace it.
    IdentityPresent {
        /// Device or image file of the card.
        path: PathBuf,
        /// What is on it.
        scan: Box<Scan>,
    },
    /// An intact copy of a later version would have to be overwritten or cleared.
    NewerCopy {
        /// Device or image file of the card.
        path: PathBuf,
        /// Where the copy is.
        lba: u32,
        /// Whether it lies behind the start of a partition, where it is never cleared.
        in_partition: bool,
        /// Whether force would write over it.
        by_force: bool,
    },
    /// A place that may hold a copy cannot be read, so that what is erased today could come back.
    UnreadablePlace {
        /// Device or image file of the card.
        path: PathBuf,
        /// LBA of the sector.
        lba: u32,
    },
    /// Copies lie behind the start of the first partition; to clear them takes a person's word.
    CopiesInPartition {
        /// Device or image file of the card.
        path: PathBuf,
        /// LBAs of the copies.
        lbas: Vec<u32>,
    },
    /// A valid copy lies outside of the slots, and nobody has named its place.
    CopyElsewhere {
        /// Device or image file of the card.
        path: PathBuf,
        /// LBA of the copy.
        lba: u32,
    },
    /// Only one copy was found: it may be a piece of another card.
    LoneCopy {
        /// Device or image file of the card.
        path: PathBuf,
        /// LBA of the copy.
        lba: u32,
        /// Whether it lies behind the start of the first partition.
        in_partition: bool,
    },
    /// A copy lies beside the pair, and the card is in use.
    CopyBesidePair {
        /// Device or image file of the card.
        path: PathBuf,
        /// LBA of the copy.
        lba: u32,
        /// Whether it lies behind the start of the first partition.
        in_partition: bool,
    },
    /// Two copies fit the UUID or LBA that was named, or none does.
    NothingToKeep {
        /// Device or image file of the card.
        path: PathBuf,
        /// What is on it.
        scan: Box<Scan>,
    },
    /// A value breaks its rule.
    Value(DraftError),
    /// Two interfaces would have one MAC address.
    SameMac {
        /// Their MAC address, an assigned one.
        mac: Mac,
        /// Indexes of the two interfaces.
        interfaces: [u32; 2],
    },
    /// A new identity needs a profile.
    NoProfile,
    /// The identity cannot be written once more.
    Generation(DraftError),
    /// No two slots are free.
    NoSlots {
        /// Device or image file of the card.
        path: PathBuf,
        /// Every slot, and why it is not free.
        verdicts: Vec<SlotVerdict>,
    },
    /// A flash was not finished, so there is no partition table that says which slots are free.
    Unfinished {
        /// Device or image file of the card.
        path: PathBuf,
        /// Name of the image.
        image: String,
    },
    /// Places that were named make no sense.
    Places(PlacesProblem),
    /// A place that was named may not be taken.
    Place {
        /// Device or image file of the card.
        path: PathBuf,
        /// LBA of the sector.
        lba: u32,
        /// The rule that forbids it.
        busy: SlotBusy,
        /// Whether force would take it all the same.
        by_force: bool,
    },
    /// What stands where the second copy belongs is somebody's, and no other slot is free.
    ForeignAtPeer {
        /// Device or image file of the card.
        path: PathBuf,
        /// LBA of the sector.
        lba: u32,
        /// Whether force would take it all the same.
        by_force: bool,
    },
    /// A step of a plan failed; the steps behind it were not begun.
    Step {
        /// Device or image file of the card.
        path: PathBuf,
        /// Where the step writes.
        lba: u32,
        /// Which part of the step failed.
        problem: StepProblem,
    },
    /// After writing, something else is on the card than should be.
    NotProved {
        /// Device or image file of the card.
        path: PathBuf,
        /// What is on it.
        scan: Box<Scan>,
    },
    /// The identity is bound to another card, or another board, than the one it would be written to.
    BoundElsewhere {
        /// Device or image file of the card.
        path: PathBuf,
        /// What it is bound to.
        binding: Binding,
    },
    /// The identity was to be bound to another card, or another board, than the one that is there.
    NotHere {
        /// Device or image file of the card.
        path: PathBuf,
        /// What was named, and what is there.
        binding: Binding,
    },
    /// The identity is bound to something, and only one that is bound to nothing was to be bound.
    BoundAlready {
        /// Device or image file of the card.
        path: PathBuf,
        /// The identity as it is.
        identity: Box<Identity>,
    },
    /// The CID of the card is not known.
    NoCid {
        /// Device or image file of the card.
        path: PathBuf,
        /// Why it is not known.
        reason: &'static str,
    },
    /// No serial number of the board is known.
    NoBoard {
        /// Device or image file of the card.
        path: PathBuf,
    },
    /// The record is of an unfinished flash, whose copies are on a card, and nothing says that it is this one.
    #[cfg(feature = "stamp")]
    OtherFlash {
        /// Device or image file of the card.
        path: PathBuf,
        /// File of the record.
        record: PathBuf,
        /// UUID of the identity.
        uuid: Uuid,
    },
    /// A record is of another card, or may be.
    #[cfg(feature = "stamp")]
    OtherCard {
        /// Device or image file of the card.
        path: PathBuf,
        /// Path of the record on this host.
        record: PathBuf,
        /// The card that it is of.
        card: CardKey,
        /// Length of the card at `path`, in sectors.
        sectors: u64,
    },
    /// Another card of this machine has the identity that this one is to get.
    #[cfg(feature = "stamp")]
    HereToo {
        /// The card that is to get it, as it was given.
        path: PathBuf,
        /// UUID of the identity.
        uuid: Uuid,
        /// The card that has it.
        other: PathBuf,
    },
    /// A card has got this identity from a file on this host before, and may have it yet.
    #[cfg(feature = "stamp")]
    GivenBefore {
        /// Device or image file of the card.
        path: PathBuf,
        /// UUID of the identity.
        uuid: Uuid,
        /// The card that has got it.
        card: CardKey,
    },
    /// Another program is giving the identity of a record to a card now.
    #[cfg(feature = "stamp")]
    RecordInUse {
        /// Device or image file of the card.
        path: PathBuf,
        /// UUID of the identity.
        uuid: Uuid,
    },
    /// A record is not what it was any more: another program has given its identity to a card meanwhile.
    #[cfg(feature = "stamp")]
    RecordUsed {
        /// Device or image file of the card.
        path: PathBuf,
        /// Path of the record on this host.
        record: PathBuf,
        /// UUID of the identity.
        uuid: Uuid,
    },
    /// A record, or the place for it.
    #[cfg(feature = "stamp")]
    Record {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with it.
        problem: RecordProblem,
    },
    /// A new image cannot be made.
    #[cfg(feature = "stamp")]
    NewImage {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with it.
        problem: NewImageProblem,
    },
    /// No card was named, and which is meant is not clear.
    DefaultCard(NoDefaultCard),
    /// No card was named, and what was found is not the card that the bootloader has read.
    NotBooted {
        /// The cards that were found, and what is on them.
        candidates: Vec<Candidate>,
        /// Why it is not.
        problem: NotBooted,
    },
    /// A directory is to be replaced that holds something else.
    NotOurDirectory {
        /// The directory, or what stands in its place.
        path: PathBuf,
    },
    /// A flash is refused or has failed.
    #[cfg(feature = "flash")]
    Flash {
        /// Device or image file of the card.
        path: PathBuf,
        /// What is wrong with it.
        problem: FlashProblem,
    },
    /// An image cannot be taken.
    #[cfg(feature = "flash")]
    Image {
        /// The file, or what stands for standard input.
        path: PathBuf,
        /// What is wrong with it.
        problem: ImageProblem,
    },
    /// A block map cannot be used.
    #[cfg(feature = "flash")]
    Bmap {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with it.
        problem: BmapProblem,
    },
    /// A file of checksums.
    #[cfg(feature = "flash")]
    Sums {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with it.
        problem: SumsProblem,
    },
    /// The system does not let signals be waited for.
    #[cfg(feature = "stamp")]
    Signals(io::Error),
    /// Stopped by a signal.
    #[cfg(feature = "flash")]
    Interrupted,
}

/// What was tried with a file or device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Open a file or device.
    Open,
    /// Find the length of a file or device.
    Measure,
    /// Read a file or device.
    Read,
    /// Read its first sectors.
    ReadFirstSectors,
    /// Create a file or directory.
    Create,
    /// Remove a file or directory.
    Remove,
    /// Write the record of an identity.
    WriteRecord,
}

/// What is wrong with places for the copies that a person names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlacesProblem {
    /// Neither one nor two.
    Count,
    /// Twice the same sector, or LBA 0.
    NotTwo,
    /// Two neighbours, which one page of the flash memory holds.
    Neighbours,
}

/// Why a step of a plan failed.
#[derive(Debug)]
pub enum StepProblem {
    /// The card ends before the sector.
    BehindEnd,
    /// The sector that was to be cleared is not what it was when it was looked at.
    Changed,
    /// The sector cannot be read before it is cleared.
    Read(io::Error),
    /// The sector cannot be written.
    Write(io::Error),
    /// The card cannot be flushed.
    Flush(io::Error),
    /// The sector cannot be read back.
    ReadBack(io::Error),
    /// The sector reads back differently, from this byte on.
    Differs(usize),
}

/// What an identity is bound to, and what was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The binding to a card.
    Card {
        /// The one it is bound to.
        bound: Cid,
        /// The one that is there.
        found: Cid,
    },
    /// The binding to a board.
    Board {
        /// The one it is bound to.
        bound: String,
        /// The one that is there.
        found: String,
    },
}

impl Error {
    /// The system failed at `action` with `path`.
    pub fn io(path: &Path, action: Action, error: io::Error) -> Self {
        Self::Io { path: path.to_owned(), action, error }
    }
}
