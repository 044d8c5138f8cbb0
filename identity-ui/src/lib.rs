// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the two programs share with people: sentences, exit codes, questions, progress.
//!
//! ```text
//!  identity_host::Error ──▶ wording (a sentence with a way out), exit (a code) ──▶ failure ──┐
//!  identity_host::flash::progress ──▶ progress (a bar, or lines of JSON; size in words) ─────┼─▶ output (standard output, error)
//!  an identity, a table ──▶ lines (aligned, coloured), shell (a file's name) ────────────────┘
//!                           confirm (a question before harm, at a terminal)     manual (pages out of a command line)
//! ```
#![forbid(unsafe_code)]

pub mod confirm;
pub mod exit;
pub mod failure;
pub mod lines;
#[cfg(feature = "manual")]
pub mod manual;
pub mod output;
#[cfg(feature = "flash")]
pub mod progress;
pub mod shell;
pub mod size;
pub mod wording;

pub use exit::Exit;
pub use failure::{Failure, Result};

// The example in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
