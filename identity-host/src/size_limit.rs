// SPDX-License-Identifier: MIT OR Apache-2.0
//! The limit on the length of files, `ulimit -f`.

use std::sync::Arc;

use signal_hook::consts::SIGXFSZ;
use signal_hook::flag;

use crate::error::{Error, Result};

/// From now on a write beyond the limit fails with `EFBIG`, and can be tidied up after; by itself the kernel would end the
/// process (setrlimit(2)).
///
/// # Errors
/// [`Error::Signals`] if the system does not let.
pub fn fail_beyond() -> Result<()> {
    flag::register(SIGXFSZ, Arc::default()).map(|_| ()).map_err(Error::Signals)
}
