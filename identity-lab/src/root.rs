// SPDX-License-Identifier: MIT OR Apache-2.0
//! The root of a profile: made from a suite, or adapted from one that is there. The work is mmdebstrap's, initramfs-tools' and
//! mksquashfs', in a script that runs as root or in a user namespace; what is here decides, watches and publishes.
//!
//! ```text
//! Profile ──▶ plan (what is made of what) ──▶ run (the script, in a directory that goes if it fails) ──▶ publish
//!                                                                     the profile names the files ◀── profile_file
//! ```

pub mod plan;
pub mod profile_file;
pub mod publish;
pub mod run;
