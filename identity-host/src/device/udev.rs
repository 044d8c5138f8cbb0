// SPDX-License-Identifier: MIT OR Apache-2.0
//! The daemon that names devices, where it runs.

use std::path::Path;
use std::process::{Command, Stdio};

/// The socket at which udevd listens, where it runs.
const CONTROL: &str = "/run/udev/control";
/// Longer is waited for no event: one of another device may hang.
const PATIENCE: &str = "--timeout=30";

/// Waits until udevd has seen what was written to a device that is closed by now: its partitions, its links. While the device is
/// locked, udevd waits itself, and this would not return. Without udevd, or without `udevadm`, there is nothing to wait for.
pub fn settle() {
    if Path::new(CONTROL).exists() {
        let mut udevadm = Command::new("udevadm");
        udevadm.args(["settle", PATIENCE]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        // The card is finished, whatever udevd makes of it.
        let _ = udevadm.status();
    }
}
