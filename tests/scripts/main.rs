// SPDX-License-Identifier: MIT OR Apache-2.0
//! The scripts that a person calls: what they say of themselves, and what `uboot-patch/apply` makes of trees.

mod apply;
mod help;
