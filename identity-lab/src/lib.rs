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
//!                                                           ├──▶ serve (runs dnsmasq and nbdkit)
//!                                                           ├──▶ readers ──▶ batch (who gets which card) ──▶ claims (once) ──▶ identity_program (writes)
//!                                                           └──▶ scan (cards, leases) ──▶ journal (events: database, queue)
//! ansible_groups, ssh_key (of the list, for check and export)    carriers (which cards have an identity, by the journal)
//! place (file:line:column)    hostlist (names in ranges)    replace (files are replaced whole)    row (a board, shown)    state (of this host)    digest (SHA-256)    signals    markup (texts in HTML and SVG)
//! ```
#![forbid(unsafe_code)]

mod ansible_groups;
pub mod args;
pub mod batch;
pub mod boards;
pub mod card_image;
mod carriers;
mod cells;
pub mod check;
mod claims;
pub mod commands;
mod digest;
pub mod export;
pub mod hostlist;
mod identity_program;
pub mod import;
pub mod journal;
pub mod lab;
pub mod label;
mod markup;
pub mod netboot;
mod place;
pub mod profile;
mod readers;
mod replace;
pub mod root;
pub mod row;
pub mod scan;
pub mod serve;
mod signals;
mod ssh_key;
mod state;
mod toml;

// The example in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
