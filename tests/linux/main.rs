// SPDX-License-Identifier: MIT OR Apache-2.0
//! What docs/LINUX.md says, as far as it takes no board.

mod apply;
mod readers;
mod recipes;
mod system;
mod udev;
