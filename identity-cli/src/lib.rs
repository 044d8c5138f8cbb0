// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `identity`: arguments, verbs, rendering. What is known of cards is in `identity_host`, what is said of it in
//! `identity_ui`.
//!
//! ```text
//! args (clap) ──▶ commands::* (one verb, one file) ──▶ identity_host (prepare, carry out)
//!                      └──▶ render::* (text, JSON, shell, env, U-Boot, SVG) ──▶ identity_ui::output
//! ```
#![forbid(unsafe_code)]

pub mod args;
pub mod commands;
pub mod render;

// The example in the README is a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
