// SPDX-License-Identifier: MIT OR Apache-2.0
//! Reading and unpacking in a thread of its own, a few chunks ahead of the writer.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, SyncSender, channel, sync_channel};
use std::thread;
use std::time::Duration;

use super::interrupt::Stop;
use super::{CHUNK_LEN, FlashProblem};
use crate::device::{Buffer, SECTOR_LEN};
use crate::error::{Error, Result};
use crate::image::bmap::Checker;
use crate::image::foreign;
use crate::image::problem::ImageProblem;
use crate::image::source::Source;

/// Chunks in memory: one is written, one is filled, and the others even out what a slow card or a busy unpacker does.
const CHUNKS: usize = 6;
/// How long to wait before looking whether somebody wants to stop.
const WAIT: Duration = Duration::from_millis(100);

/// A part of the image.
pub struct Chunk {
    /// Where it starts, in bytes; a multiple of [`CHUNK_LEN`].
    pub at: u64,
    /// The chunk's bytes, `len` of which count.
    pub buffer: Buffer,
    /// How many of them count: whole sectors, the last one padded with zeros; less than all only at the image's end.
    pub len: usize,
}

/// What the thread hands over.
pub enum Delivery {
    /// The next part of the unpacked image.
    Chunk(Chunk),
    /// The image has ended, and is what it should be.
    End(Ended),
}

/// An image that has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended {
    /// Its length in bytes, without what was padded.
    pub image_len: u64,
    /// Bytes behind the packed image that are no part of it.
    pub ignored_len: u64,
}

/// A thread that reads an image.
pub struct Pipeline {
    full: Receiver<Result<Delivery>>,
    empty: Sender<Buffer>,
    taken: Arc<AtomicU64>,
    file_len: Option<u64>,
    stated_len: Option<u64>,
}

impl Pipeline {
    /// Starts reading behind the first `at` bytes, which are a whole number of sectors unless they are all. With a block map,
    /// what is in none of its ranges is left out. `path` is for messages.
    ///
    /// # Errors
    /// [`FlashProblem::NoThread`].
    pub fn start(source: Source, checker: Option<Checker>, at: u64, path: &Path) -> Result<Self> {
        let (taken, file_len, stated_len) = (source.taken.clone(), source.file_len, source.stated_len);
        let (empty, to_fill) = channel();
        let (to_write, full) = sync_channel(CHUNKS);
        for _ in 0..CHUNKS {
            // The receiver is in the next line but one.
            let _ = empty.send(Buffer::new(CHUNK_LEN));
        }
        let started = thread::Builder::new().spawn(move || {
            let result = produce(source, checker, at, &to_fill, &to_write);
            // Nobody listens any more when the writer has failed first.
            let _ = to_write.send(result.map(Delivery::End));
        });
        match started {
            Ok(_) => Ok(Self { full, empty, taken, file_len, stated_len }),
            Err(error) => Err(Error::Flash { path: path.to_owned(), problem: FlashProblem::NoThread(error) }),
        }
    }

    /// The next part, or the end. `path` is for messages.
    ///
    /// # Errors
    /// What the image's file, or its content, has wrong; [`Error::Interrupted`].
    pub fn next(&self, stop: &Stop, path: &Path) -> Result<Delivery> {
        loop {
            stop.check()?;
            match self.full.recv_timeout(WAIT) {
                Ok(delivery) => return delivery,
                Err(RecvTimeoutError::Timeout) => (),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Flash { path: path.to_owned(), problem: FlashProblem::ReaderGone });
                }
            }
        }
    }

    /// Hands a buffer back.
    pub fn reuse(&self, buffer: Buffer) {
        // The thread may have ended already.
        let _ = self.empty.send(buffer);
    }

    /// The image's length, as far as that is known or can be guessed when `at` bytes of it have been unpacked.
    pub fn total(&self, at: u64) -> Option<u64> {
        let guess = || {
            let taken = self.taken.load(Ordering::Relaxed).max(1);
            u64::try_from(u128::from(at) * u128::from(self.file_len?) / u128::from(taken)).ok()
        };
        self.stated_len.filter(|&len| len >= at).or_else(guess)
    }
}

fn produce(
    mut source: Source,
    mut checker: Option<Checker>,
    mut at: u64,
    empty: &Receiver<Buffer>,
    full: &SyncSender<Result<Delivery>>,
) -> Result<Ended> {
    let given_up = |at| Ok(Ended { image_len: at, ignored_len: 0 });
    let mut spare = None;
    // What the image is by the end of the chunk before, if it ends there.
    let mut by_end = None;
    loop {
        if let Some(checker) = &checker {
            at += skip_unmapped(&mut source, checker, at)?;
        }
        // Without a receiver or sender the writer has given up.
        let Some(mut buffer) = spare.take().or_else(|| empty.recv().ok()) else { return given_up(at) };
        let len = source.fill(&mut buffer)?;
        if len > 0 {
            by_end = foreign::recognise_end(&buffer[..len]);
        }
        if let Some(what) = by_end.filter(|_| len < CHUNK_LEN) {
            return Err(source.problem(ImageProblem::ForeignInside { outer: source.format, inside: what }));
        }
        if let Some(checker) = &mut checker {
            let given = checker.give(at, &buffer[..len]);
            given.map_err(|mismatch| source.problem(ImageProblem::BlockMap(mismatch)))?;
        }
        let is_wanted = |checker: &Checker| checker.bmap().parts(at..at + len as u64).next().is_some();
        if len > 0 && checker.as_ref().is_none_or(is_wanted) {
            let padded_len = len.next_multiple_of(SECTOR_LEN);
            buffer[len..padded_len].fill(0);
            if full.send(Ok(Delivery::Chunk(Chunk { at, buffer, len: padded_len }))).is_err() {
                return given_up(at);
            }
        } else {
            spare = Some(buffer);
        }
        at += len as u64;
        if len < CHUNK_LEN {
            break;
        }
    }
    if let Some(checker) = checker {
        let finished = checker.finish(at);
        finished.map_err(|mismatch| source.problem(ImageProblem::BlockMap(mismatch)))?;
    }
    Ok(Ended { image_len: at, ignored_len: source.finish()? })
}

/// Passes over whole chunks in which a block map has nothing, where that saves reading them; returns how far.
fn skip_unmapped(source: &mut Source, checker: &Checker, at: u64) -> Result<u64> {
    let bmap = checker.bmap();
    let chunk = CHUNK_LEN as u64;
    // The last chunk is always read, so that the image's end is seen.
    let last = bmap.image_len.saturating_sub(1) / chunk * chunk;
    let next = bmap.next_part(at).map_or(last, |next| next / chunk * chunk).min(last);
    let len = next.saturating_sub(at);
    Ok(if len > 0 && source.try_skip(len)? { len } else { 0 })
}
