// SPDX-License-Identifier: MIT OR Apache-2.0
//! Power cuts and damage on simulated cards: what every reader finds afterwards, and that the work can be finished.
//!
//! `tests/proof` runs all of it; an ordinary run leaves out what takes minutes, see [`identity_tests::thorough`].

#[allow(dead_code, reason = "tests/agreement asks for more")]
mod abi;
mod algebra;
mod card;
mod copies;
mod cut;
mod flashes;
mod flips;
mod jobs;
mod python;
mod readers;
mod stamps;
