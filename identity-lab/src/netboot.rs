// SPDX-License-Identifier: MIT OR Apache-2.0
//! What boots the boards from the network: a tree that any TFTP, HTTP and NBD server can serve.
//!
//! ```text
//! Lab ──▶ sources (files, hashes; overlays) ──▶ plan (pure) ──▶ tree_on_disk (compares; the one place that writes)
//!                                      ├── script, uimage   arguments
//!                                      └── servers
//! ```

pub mod arguments;
pub mod overlays;
pub mod plan;
pub mod script;
pub mod servers;
pub mod sources;
pub mod tree_on_disk;
pub mod uimage;
