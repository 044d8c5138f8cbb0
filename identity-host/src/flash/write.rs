// SPDX-License-Identifier: MIT OR Apache-2.0
//! Writes an image to a card, in an order by which the power may go at any moment.
//!
//! 1. LBA 0 gets the mark of an unfinished card. From here on nobody takes the card for what it was, or for finished.
//!    One sector, so it is there or not; neither a partition table nor a boot sector, so nothing mounts or starts
//!    the mixture of two systems that follows.
//! 2. Both copies of the identity are written to where they will stay, each proved before the next, then what is left
//!    of old ones is cleared: the same steps in the same order as `identity stamp`, and nothing at all where the
//!    copies already are where they can stay. At every moment a good copy is on the card.
//! 3. The image from LBA 2048 on, around the copies, which are never written again. Then all of it is read back.
//! 4. What would outlive the old system at the card's end is cleared, where the image does not reach it. The first 2048
//!    sectors but LBA 0: where GPTs and most loaders are. Read back.
//! 5. LBA 0, which makes the card one with a partition table, in one sector again. Read back.
//!
//! A copy is in danger only by what a failing power supply does to its neighbours in the flash chip; for that the two
//! are in different groups, and there is the record on the host.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use super::interrupt::Stop;
use super::leftover::Leftover;
use super::pipeline::{Delivery, Ended, Pipeline};
use super::plan::{FlashPlan, LAST_SECTORS};
use super::progress::{Phase, Progress, Quiet};
use super::read_back::{self, Written};
use super::{CHUNK_LEN, FlashProblem, MediumProblem};
use crate::device::{Buffer, SECTOR_LEN, Sector, WritableCard};
use crate::error::{Error, Result};
use crate::execute;
use crate::image::bmap::Bmap;
use identity_layout::mark::Mark;

/// What to write, and how.
pub struct Job<'a> {
    /// What becomes of the identity.
    pub plan: &'a FlashPlan,
    /// The card that is written.
    pub card: &'a mut dyn WritableCard,
    /// Path of the target, for messages.
    pub path: &'a Path,
    /// What stands in LBA 0 until the end.
    pub mark: &'a Mark,
    /// The image's first bytes, without the copies that were in it.
    pub head: Vec<u8>,
    /// The rest of the image.
    pub rest: Pipeline,
    /// The block map of the image.
    pub bmap: Option<Arc<Bmap>>,
    /// Whether to read everything back.
    pub verify: bool,
    /// Where progress is shown.
    pub progress: &'a mut dyn Progress,
    /// Whether somebody wants to stop.
    pub stop: Stop,
}

/// Lengths and time of a finished flash.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Length of the image in bytes.
    #[serde(rename = "image_bytes")]
    pub image_len: u64,
    /// Bytes that were sent to the card.
    #[serde(rename = "written_bytes")]
    pub written_len: u64,
    /// Bytes that are zero on the card without having been sent to it.
    #[serde(rename = "zero_bytes")]
    pub zero_len: u64,
    /// What of an earlier system was cleared behind the image.
    pub cleared: Vec<Leftover>,
    /// Bytes behind the packed image that are no part of it.
    #[serde(rename = "ignored_bytes")]
    pub ignored_len: u64,
    /// Time for writing, without reading back.
    #[serde(rename = "seconds", serialize_with = "seconds")]
    pub write_time: Duration,
}

fn seconds<S: serde::Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

/// Puts the mark into LBA 0, the first step of the order above.
///
/// # Errors
/// [`FlashProblem::NotBegun`] if LBA 0 certainly holds something else yet; else [`FlashProblem::Medium`] or
/// [`FlashProblem::Flush`].
pub fn begin(card: &mut dyn WritableCard, mark: &Mark, path: &Path) -> Result<()> {
    let sector = mark.encode();
    write_proved(card, 0, &sector, path).map_err(|cause| match card.read_back(0) {
        Ok(lba0) if Mark::parse(&lba0).is_none() => {
            Error::Flash { path: path.to_owned(), problem: FlashProblem::NotBegun(Box::new(cause)) }
        }
        _ => cause,
    })
}

/// Writes the image behind the mark, in the order above.
///
/// # Errors
/// [`FlashProblem::Medium`] when the card fails, [`Error::Image`] when the image turns out to be wrong,
/// [`Error::Interrupted`]. The card is unfinished then, and says so.
pub fn run(mut job: Job<'_>) -> Result<Summary> {
    let started = Instant::now();
    let head = std::mem::take(&mut job.head);
    let last_len = head.len().min(LAST_SECTORS as usize * SECTOR_LEN);
    let mut last = Buffer::new(CHUNK_LEN.max(last_len));
    last[..last_len].copy_from_slice(&head[..last_len]);

    let mut writer = Writer {
        path: job.path,
        kept: kept(job.plan),
        written: job.verify.then(Vec::new),
        discards: Discards::Untried,
        written_len: 0,
        zero_len: 0,
    };
    let card = &mut *job.card;
    execute::run(&job.plan.copies, card, job.path)?;

    job.progress.begin(Phase::Write);
    let mapped_len = job.bmap.as_ref().map(|bmap| {
        let rest: u64 = bmap.parts(head.len() as u64..u64::MAX).map(|part| part.end - part.start).sum();
        head.len() as u64 + rest
    });
    writer.write_head(card, &head, last_len, &job.stop)?;
    drop(head);
    let Ended { image_len, ignored_len } = loop {
        match job.rest.next(&job.stop, job.path)? {
            Delivery::End(ended) => break ended,
            Delivery::Chunk(chunk) => {
                let end = chunk.at + chunk.len as u64;
                check_len(end, card.sectors(), job.path)?;
                let whole = chunk.at..end;
                let parts: Vec<_> = match &job.bmap {
                    // The last block is cut by the image's end, which is padded.
                    Some(bmap) => bmap.parts(whole).map(whole_sectors).collect(),
                    None => vec![whole],
                };
                for part in parts {
                    let bytes =
                        &chunk.buffer[(part.start - chunk.at) as usize..(part.end - chunk.at) as usize];
                    writer.write(card, part.start / SECTOR_LEN as u64, bytes)?;
                }
                let done = writer.written_len + writer.zero_len;
                // An estimate by what is unpacked so far; a longer image than the card is refused.
                let card_len = card.sectors() * SECTOR_LEN as u64;
                let total = mapped_len.or_else(|| job.rest.total(end).map(|total| total.min(card_len)));
                job.progress.at(done, total);
                job.rest.reuse(chunk.buffer);
            }
        }
    };
    flush(card, writer.path)?;
    job.progress.end(writer.written_len + writer.zero_len);
    let mut write_time = started.elapsed();
    if let Some(written) = &writer.written {
        read_back::check(written, card, job.path, job.progress, &job.stop)?;
    }
    job.stop.check()?;

    // From here on it is a matter of moments: no more stopping.
    let started = Instant::now();
    let cleared = writer.clear(card, &job.plan.leftovers, image_len, job.bmap.as_deref())?;
    writer.write_last(card, &last[..last_len])?;
    write_time += started.elapsed();
    let (written_len, zero_len) = (writer.written_len, writer.zero_len);
    Ok(Summary { image_len, written_len, zero_len, cleared, ignored_len, write_time })
}

fn kept(plan: &FlashPlan) -> Vec<u64> {
    let mut kept: Vec<u64> = plan.kept.iter().map(|&lba| lba.into()).collect();
    kept.sort_unstable();
    kept
}

/// The same bytes, up to the end of their last sector.
fn whole_sectors(bytes: Range<u64>) -> Range<u64> {
    bytes.start..bytes.end.next_multiple_of(SECTOR_LEN as u64)
}

/// Whether so many bytes fit.
///
/// # Errors
/// [`FlashProblem::TooLong`].
pub fn check_len(len: u64, sectors: u64, path: &Path) -> Result<()> {
    let card_len = sectors * SECTOR_LEN as u64;
    if len <= card_len {
        return Ok(());
    }
    let problem = FlashProblem::TooLong { image_len: len, card_len };
    Err(Error::Flash { path: path.to_owned(), problem })
}

enum Discards {
    Untried,
    Work,
    DoNot,
}

struct Writer<'a> {
    path: &'a Path,
    /// LBAs of the copies in ascending order, which the image does not overwrite.
    kept: Vec<u64>,
    /// What is to be read back; `None` if nothing is.
    written: Option<Vec<Written>>,
    discards: Discards,
    written_len: u64,
    zero_len: u64,
}

impl Writer<'_> {
    fn error(&self, lba: u64, len: usize, problem: MediumProblem) -> Error {
        let last = lba + (len.div_ceil(SECTOR_LEN) as u64).saturating_sub(1);
        FlashProblem::medium(self.path, lba..=last, problem)
    }

    /// Clears what the image has not been written over. To be called while LBA 0 holds the mark, so that no cut leaves the
    /// new table with what is left of the old system. Returns what was cleared.
    fn clear(
        &mut self,
        card: &mut dyn WritableCard,
        leftovers: &[Leftover],
        image_len: u64,
        bmap: Option<&Bmap>,
    ) -> Result<Vec<Leftover>> {
        let mut cleared = Vec::new();
        for leftover in leftovers {
            let is_written = |lba: &u64| {
                let bytes = lba * SECTOR_LEN as u64..(lba + 1) * SECTOR_LEN as u64;
                let is_mapped = |bmap: &Bmap| bmap.parts(bytes.clone()).next().is_some();
                bytes.start < image_len && bmap.is_none_or(is_mapped)
            };
            let Some(start) = leftover.sectors.clone().find(|lba| !is_written(lba)) else { continue };
            let end = (start..leftover.sectors.end).find(is_written).unwrap_or(leftover.sectors.end);
            let sectors = start..end;
            let zeros = Buffer::new((sectors.end - sectors.start) as usize * SECTOR_LEN);
            self.write_checked(card, start, &zeros)?;
            cleared.push(Leftover { sectors, ..leftover.clone() });
        }
        Ok(cleared)
    }

    /// Writes sectors but for the copies among them, without discarding any, and reads them back.
    fn write_checked(&mut self, card: &mut dyn WritableCard, lba: u64, bytes: &[u8]) -> Result<()> {
        self.written = Some(Vec::new());
        self.discards = Discards::DoNot;
        self.write(card, lba, bytes)?;
        flush(card, self.path)?;
        let written = self.written.as_deref().unwrap_or_default();
        read_back::check(written, card, self.path, &mut Quiet, &Stop::default())
    }

    /// The head behind the last sectors, in chunks from aligned memory.
    fn write_head(
        &mut self,
        card: &mut dyn WritableCard,
        head: &[u8],
        last_len: usize,
        stop: &Stop,
    ) -> Result<()> {
        let mut buffer = Buffer::new(CHUNK_LEN);
        for (number, bytes) in head.chunks(CHUNK_LEN).enumerate() {
            stop.check()?;
            buffer[..bytes.len()].copy_from_slice(bytes);
            let at = number * CHUNK_LEN;
            let from = last_len.saturating_sub(at).min(bytes.len());
            self.write(card, ((at + from) / SECTOR_LEN) as u64, &buffer[from..bytes.len()])?;
        }
        Ok(())
    }

    /// Writes sectors from `lba` on, but for the copies among them.
    fn write(&mut self, card: &mut dyn WritableCard, lba: u64, bytes: &[u8]) -> Result<()> {
        let end = lba + (bytes.len() / SECTOR_LEN) as u64;
        let inside: Vec<u64> = self.kept.iter().copied().filter(|kept| (lba..end).contains(kept)).collect();
        let mut from = lba;
        for stop in inside.into_iter().chain([end]) {
            let span = (from - lba) as usize * SECTOR_LEN..(stop - lba) as usize * SECTOR_LEN;
            if !span.is_empty() {
                self.write_piece(card, from, &bytes[span])?;
            }
            from = stop + 1;
        }
        Ok(())
    }

    fn write_piece(&mut self, card: &mut dyn WritableCard, lba: u64, bytes: &[u8]) -> Result<()> {
        if let Some(written) = &mut self.written {
            written.push(Written::new(lba, bytes));
        }
        if is_zero(bytes) && self.discard(card, lba, bytes.len())? {
            self.zero_len += bytes.len() as u64;
            return Ok(());
        }
        self.written_len += bytes.len() as u64;
        card.write_run(lba, bytes).map_err(|error| self.error(lba, bytes.len(), MediumProblem::Write(error)))
    }

    /// Whether sectors are zero without having been written: because the card made them so, having shown once that
    /// it does; or, until it has, because they were.
    fn discard(&mut self, card: &mut dyn WritableCard, lba: u64, len: usize) -> Result<bool> {
        if matches!(self.discards, Discards::DoNot) {
            return Ok(false);
        }
        let is_untried = matches!(self.discards, Discards::Untried);
        if is_untried && self.reads_zero(card, lba, len)? {
            return Ok(true);
        }
        let done = card.discard(lba, (len / SECTOR_LEN) as u64);
        let done = done.map_err(|error| self.error(lba, len, MediumProblem::Discard(error)))?;
        if is_untried {
            let works = done && self.reads_zero(card, lba, len)?;
            self.discards = if works { Discards::Work } else { Discards::DoNot };
        } else if !done {
            self.discards = Discards::DoNot;
        }
        Ok(matches!(self.discards, Discards::Work))
    }

    fn reads_zero(&self, card: &dyn WritableCard, lba: u64, len: usize) -> Result<bool> {
        let mut back = Buffer::new(len);
        card.read_back_run(lba, &mut back)
            .map_err(|error| self.error(lba, len, MediumProblem::ReadBack(error)))?;
        Ok(is_zero(&back))
    }

    /// The first sectors, LBA 0 at the very end; each part proved, whatever else is not.
    fn write_last(&mut self, card: &mut dyn WritableCard, bytes: &[u8]) -> Result<()> {
        let Some((lba0, rest)) = bytes.split_first_chunk::<SECTOR_LEN>() else { return Ok(()) };
        // Not `rest`: that is not aligned.
        let mut buffer = Buffer::new(CHUNK_LEN);
        buffer[..rest.len()].copy_from_slice(rest);
        self.write_checked(card, 1, &buffer[..rest.len()])?;
        self.written_len += SECTOR_LEN as u64;
        write_proved(card, 0, lba0, self.path)
    }
}

fn write_proved(card: &mut dyn WritableCard, lba: u64, sector: &Sector, path: &Path) -> Result<()> {
    let failed = |problem| FlashProblem::medium(path, lba..=lba, problem);
    card.write(lba, sector).map_err(|error| failed(MediumProblem::Write(error)))?;
    flush(card, path)?;
    let back = card.read_back(lba).map_err(|error| failed(MediumProblem::ReadBack(error)))?;
    if back == *sector { Ok(()) } else { Err(failed(MediumProblem::Differs)) }
}

fn flush(card: &mut dyn WritableCard, path: &Path) -> Result<()> {
    let failed = |error| Error::Flash { path: path.to_owned(), problem: FlashProblem::Flush(error) };
    card.flush().map_err(failed)
}

/// By words of 16 bytes, which compilers turn into vector instructions.
fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<16>();
    words.iter().all(|word| u128::from_ne_bytes(*word) == 0) && rest.iter().all(|&byte| byte == 0)
}
