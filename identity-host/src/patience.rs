// SPDX-License-Identifier: MIT OR Apache-2.0
//! Waiting for what another program holds, in bounded time.

use std::io;
use std::thread;
use std::time::{Duration, Instant};

/// How long a device, an image file or a record that another program holds is waited for.
const LIMIT: Duration = Duration::from_secs(3);

/// When waiting that begins now ends.
pub fn deadline() -> Instant {
    Instant::now() + LIMIT
}

/// Tries until it works, fails for good, or the time is over.
///
/// # Errors
/// That of the last attempt.
pub fn retry<T>(
    deadline: Instant,
    mut attempt: impl FnMut() -> io::Result<T>,
    is_transient: impl Fn(&io::Error) -> bool,
) -> io::Result<T> {
    loop {
        match attempt() {
            Err(error) if is_transient(&error) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(50));
            }
            result => return result,
        }
    }
}
