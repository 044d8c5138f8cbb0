// SPDX-License-Identifier: MIT OR Apache-2.0
//! Exit codes, for scripts; the same for every verb of both programs. The one place where they are defined: README's table
//! is compared with it by a test.

use std::process::ExitCode;

use identity_core::State;
use identity_host::boot_handover::NotBooted;
use identity_host::default_card::NoDefaultCard;
use identity_host::device::safety::TargetProblem;
use identity_host::error::Error;
#[cfg(feature = "flash")]
use identity_host::flash::FlashProblem;
#[cfg(feature = "flash")]
use identity_host::image::problem::ImageProblem;
#[cfg(feature = "stamp")]
use identity_host::new_image::NewImageProblem;
#[cfg(feature = "stamp")]
use identity_host::record::RecordProblem;

/// An exit code of the program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Done; a valid identity.
    Done = 0,
    /// The command line is wrong.
    Usage = 2,
    /// The card is blank: it has no identity.
    Blank = 3,
    /// Corrupt, or newer than this program.
    Corrupt = 4,
    /// Valid but degraded, or conflict, or cloned, or moved.
    Doubtful = 5,
    /// Refused: unsafe target, identity present, no free slot.
    Refused = 6,
    /// The device failed: not found, not readable, not writable, read-back differs.
    Device = 7,
    /// Stopped by a signal: 128 and SIGINT's number, as shells have it.
    Interrupted = 130,
}

impl Exit {
    /// Every code with its meaning, as documents and `--help` have it.
    pub const ALL: [(Self, &'static str); 8] = [
        (Self::Done, "done; a valid identity"),
        (Self::Usage, "wrong usage"),
        (Self::Blank, "blank: no identity"),
        (Self::Corrupt, "corrupt, or newer than this program"),
        (
            Self::Doubtful,
            "conflict, cloned, moved; `verify`: not in order; `flash`: unfinished; `list`: two alike",
        ),
        (Self::Refused, "refused: unsafe target, identity present, no free slot"),
        (Self::Device, "the device failed: not found, not readable, not writable, read-back differs"),
        (Self::Interrupted, "interrupted"),
    ];

    /// For `verify`, which looks at everything: anything but valid is worth an exit code.
    pub fn of_verified(state: State) -> Self {
        match state {
            State::Valid => Self::Done,
            State::Degraded | State::Conflict | State::Cloned | State::Moved => Self::Doubtful,
            State::Blank => Self::Blank,
            State::Corrupt | State::Newer => Self::Corrupt,
            State::Unreadable => Self::Device,
        }
    }

    /// For `read`: a degraded identity is still the identity.
    pub fn of_read(state: State) -> Self {
        if state == State::Degraded { Self::Done } else { Self::of_verified(state) }
    }

    /// Of several targets, the code of the one that most needs to be seen: 7, 4, 5, 3, 0.
    pub fn worst(self, other: Self) -> Self {
        let rank = |exit| match exit {
            Self::Device | Self::Interrupted => 0,
            Self::Refused | Self::Usage => 1,
            Self::Corrupt => 2,
            Self::Doubtful => 3,
            Self::Blank => 4,
            Self::Done => 5,
        };
        if rank(other) < rank(self) { other } else { self }
    }

    /// The exit code of this error.
    pub fn of_error(error: &Error) -> Self {
        match error {
            Error::Target {
                problem: TargetProblem::Directory | TargetProblem::NoCard | TargetProblem::NoMedium,
                ..
            } => Self::Device,
            Error::Target { .. } => Self::Refused,
            Error::Io { .. }
            | Error::Step { .. }
            | Error::NotProved { .. }
            | Error::UnreadablePlace { .. } => Self::Device,
            Error::State { scan, .. } => Self::of_verified(scan.state()),
            Error::NotReady { scan, .. } if scan.state() == State::Blank => Self::Blank,
            Error::NotReady { .. } => Self::Refused,
            Error::NewerCopy { .. } => Self::Corrupt,
            Error::NothingToKeep { .. } => Self::Usage,
            Error::Value(_) | Error::SameMac { .. } | Error::NoProfile | Error::Places(_) => Self::Usage,
            Error::ByIdentity { .. }
            | Error::IdentityPresent { .. }
            | Error::CopiesInPartition { .. }
            | Error::CopyElsewhere { .. }
            | Error::LoneCopy { .. }
            | Error::CopyBesidePair { .. }
            | Error::Generation(_)
            | Error::NoSlots { .. }
            | Error::Unfinished { .. }
            | Error::Place { .. }
            | Error::ForeignAtPeer { .. }
            | Error::BoundElsewhere { .. }
            | Error::BoundAlready { .. }
            | Error::NotHere { .. }
            | Error::NoCid { .. }
            | Error::NoBoard { .. }
            | Error::NotOurDirectory { .. } => Self::Refused,
            #[cfg(feature = "stamp")]
            Error::OtherCard { .. }
            | Error::OtherFlash { .. }
            | Error::GivenBefore { .. }
            | Error::HereToo { .. }
            | Error::RecordInUse { .. }
            | Error::RecordUsed { .. } => Self::Refused,
            #[cfg(feature = "stamp")]
            Error::Record { problem: RecordProblem::NoPlace, .. } => Self::Device,
            #[cfg(feature = "stamp")]
            Error::Record { .. } => Self::Refused,
            #[cfg(feature = "stamp")]
            Error::NewImage { problem: NewImageProblem::Size(_), .. } => Self::Usage,
            #[cfg(feature = "stamp")]
            Error::NewImage { .. } => Self::Refused,
            Error::DefaultCard(problem) => match problem {
                NoDefaultCard::None | NoDefaultCard::Unreadable(_) => Self::Device,
                NoDefaultCard::Blank(_) => Self::Blank,
                NoDefaultCard::Several(_) => Self::Doubtful,
            },
            Error::NotBooted { problem: NotBooted::Absent { .. }, .. } => Self::Device,
            Error::NotBooted { problem: NotBooted::Doubtful { .. }, .. } => Self::Doubtful,
            #[cfg(feature = "flash")]
            // The card was written to, and holds the mark: as `verify` says it.
            Error::Flash { problem: FlashProblem::Unfinished { cause, .. }, .. } => {
                match Self::of_error(cause) {
                    failed @ (Self::Device | Self::Interrupted) => failed,
                    _ => Self::Doubtful,
                }
            }
            #[cfg(feature = "flash")]
            Error::Flash { problem: FlashProblem::NoPlace { cause, .. }, .. } => Self::of_error(cause),
            #[cfg(feature = "flash")]
            Error::Flash {
                problem:
                    FlashProblem::Medium { .. }
                    | FlashProblem::Flush(_)
                    | FlashProblem::NotBegun(_)
                    | FlashProblem::NoThread(_)
                    | FlashProblem::ReaderGone,
                ..
            } => Self::Device,
            #[cfg(feature = "flash")]
            Error::Image { problem: ImageProblem::Directory, .. } => Self::Device,
            #[cfg(feature = "flash")]
            Error::Flash { .. } | Error::Image { .. } | Error::Bmap { .. } | Error::Sums { .. } => {
                Self::Refused
            }
            #[cfg(feature = "stamp")]
            Error::Signals(_) => Self::Device,
            #[cfg(feature = "flash")]
            Error::Interrupted => Self::Interrupted,
            // As in the wording: of a build whose host library has more than this program uses.
            #[cfg(not(feature = "flash"))]
            #[allow(unreachable_patterns, reason = "only such a build has more errors")]
            _ => Self::Refused,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
