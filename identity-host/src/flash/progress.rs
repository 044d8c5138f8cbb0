// SPDX-License-Identifier: MIT OR Apache-2.0
//! How far a flash is: events to whoever shows them.

use serde::Serialize;

/// What is being done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The image is written.
    Write,
    /// It is read back.
    Verify,
}

/// Takes the events of a flash.
pub trait Progress {
    /// A phase begins; its count of bytes starts at 0.
    fn begin(&mut self, phase: Phase);

    /// So many bytes are done, of so many; the total may be an estimate.
    fn at(&mut self, bytes: u64, total: Option<u64>);

    /// The phase ends, with so many bytes done.
    fn end(&mut self, bytes: u64);
}

/// Progress that is shown to nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Quiet;

impl Progress for Quiet {
    fn begin(&mut self, _phase: Phase) {}

    fn at(&mut self, _bytes: u64, _total: Option<u64>) {}

    fn end(&mut self, _bytes: u64) {}
}
