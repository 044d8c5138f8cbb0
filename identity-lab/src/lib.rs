// SPDX-License-Identifier: MIT OR Apache-2.0
//! A lab: its boards and profiles as text files, and what boots them from the network.
//!
//! ```text
//! args (clap) ──▶ commands
//! lab.toml, profiles/*.toml ──▶ toml ──▶ profile ──┐
//! boards.csv ──▶ cells ──▶ boards ─────────────────┴──▶ lab ──▶ commands (one verb, one file)
//!                                                           ├──▶ netboot (a tree of files, planned, then written)
//!                                                           ├──▶ import (other programs' files, held against the list)
//!                                                           ├──▶ export (other programs' files), label, check (findings)
//!                                                           ├──▶ card_image (loader, partition, identity)
//!                                                           ├──▶ root (mmdebstrap, mksquashfs; sets the profile's files)
//!                                                           └──▶ serve (runs dnsmasq and nbdkit)
//! place (file:line:column)    hostlist (names in ranges)    replace (files are replaced whole)    row (a board, shown)
//! ```
#![forbid(unsafe_code)]

pub mod args;
pub mod boards;
pub mod card_image;
mod cells;
pub mod check;
pub mod commands;
pub mod export;
pub mod hostlist;
pub mod import;
pub mod lab;
pub mod label;
pub mod netboot;
mod place;
pub mod profile;
mod replace;
pub mod root;
pub mod row;
pub mod serve;
mod toml;

// The example in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
