// SPDX-License-Identifier: MIT OR Apache-2.0
//! The C ABI as a static library for the machine that builds it, with the standard library's panic handler: for C programs
//! that test it. Bootloaders get theirs from `build-object`.

pub use identity_uboot::*;
