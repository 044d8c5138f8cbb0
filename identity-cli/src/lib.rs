// SPDX-License-Identifier: MIT OR Apache-2.0
//! Everything behind the command `identity`: reading and stamping cards, safely.
//!
//! ```text
//! args ──▶ commands::* ──▶ device (open, refuse) ──▶ survey, layout (what is there) ──▶ plan (pure) ──▶ execute
//!                                                                                                  (writes, proves)
//!                     └──▶ render::* (text, JSON, shell, env, U-Boot)
//! ```
#![forbid(unsafe_code)]

pub mod args;
#[cfg(feature = "write")]
pub mod chart;
pub mod commands;
#[cfg(feature = "write")]
pub mod create;
pub mod device;
pub mod error;
#[cfg(feature = "write")]
pub mod execute;
pub mod find;
#[cfg(feature = "write")]
pub mod flash;
pub mod ground;
pub mod inventory;
pub mod plan;
pub mod render;
pub mod survey;
pub mod view;
