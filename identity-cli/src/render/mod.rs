// SPDX-License-Identifier: MIT OR Apache-2.0
//! How things are shown: one file per format, none decides anything.

pub mod assignments;
pub mod csv;
#[cfg(feature = "flash")]
pub mod flash;
#[cfg(feature = "stamp")]
pub mod hexdump;
#[cfg(feature = "stamp")]
pub mod map_svg;
#[cfg(feature = "stamp")]
pub mod map_text;
#[cfg(feature = "stamp")]
pub mod model;
pub mod text;
