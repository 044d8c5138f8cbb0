// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is done for as long as the board runs: wait for a loss, and then for the server.

use std::fs::File;
use std::io::Write;
use std::str::FromStr;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::system::{RebootCommand, reboot};

use crate::device::Device;
use crate::server::{Export, Location};

/// Between two tries to reach the server.
const PAUSE: Duration = Duration::from_secs(2);

/// What a board does when it has lost its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lost {
    /// It waits, and goes on.
    Wait,
    /// It waits, and restarts after a time.
    Reboot {
        /// The time in seconds.
        after: u64,
    },
    /// It restarts as soon as the server is there again, or after a time: the server has forgotten what was written.
    Forgotten {
        /// The time in seconds, if there is one.
        after: Option<u64>,
    },
}

impl FromStr for Lost {
    type Err = String;

    /// From `wait`, `reboot:SECONDS`, `forgotten` or `forgotten:SECONDS`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (word, after) = text.split_once(':').map_or((text, None), |(word, after)| (word, Some(after)));
        let seconds = after.map(|after| after.parse().map_err(|_| ())).transpose();
        match (word, seconds) {
            ("wait", Ok(None)) => Ok(Self::Wait),
            ("reboot", Ok(Some(after))) => Ok(Self::Reboot { after }),
            ("forgotten", Ok(after)) => Ok(Self::Forgotten { after }),
            _ => Err(format!("\"{text}\" is none of wait, reboot:SECONDS, forgotten and forgotten:SECONDS")),
        }
    }
}

impl Lost {
    /// How long the server may be away until the board restarts.
    fn limit(self) -> Option<Duration> {
        let seconds = match self {
            Self::Wait => None,
            Self::Reboot { after } => Some(after),
            Self::Forgotten { after } => after,
        };
        seconds.map(Duration::from_secs)
    }
}

/// Keeps `device` attached to `location`, whose size is that of `export`. What happens goes to `kernel_log`, which shows
/// it on the console.
///
/// # Errors
/// If the kernel announces nothing any more.
pub fn hold(
    device: &Device,
    location: &Location,
    export: Export,
    lost: Lost,
    kernel_log: &mut File,
) -> std::io::Result<()> {
    loop {
        device.wait_for_loss()?;
        let mut outage = Outage { start: Instant::now(), said: String::new(), log: kernel_log };
        outage.say(&format!(
            "{}: the server {} is away; {}",
            device.name(),
            location.address,
            match lost {
                Lost::Wait => "what reads from it waits until it is back".to_owned(),
                Lost::Reboot { after } => format!("this board restarts in {after} s if it stays away"),
                Lost::Forgotten { .. } => "this board restarts when it is back".to_owned(),
            }
        ));
        while let Err(reason) = try_again(device, location, export, lost) {
            outage.say(&format!("{}: {reason}", device.name()));
            if let Some(limit) = lost.limit().filter(|limit| outage.start.elapsed() >= *limit) {
                outage.restart(&format!("no server for {} s", limit.as_secs()));
            }
            sleep(PAUSE);
        }
        if matches!(lost, Lost::Forgotten { .. }) {
            outage.restart("the server is back, without what was written");
        }
        let seconds = outage.start.elapsed().as_secs();
        outage.say(&format!("{}: the server is back after {seconds} s", device.name()));
    }
}

/// Says something in the kernel's log, `/dev/kmsg`, as an error, which the console shows.
pub fn log(kernel_log: &mut File, text: &str) {
    // Each write is a message of its own. With nobody to read it, there is nothing else to be done.
    let _ = kernel_log.write_all(format!("<3>netroot: {text}\n").as_bytes());
}

/// A new connection for the device, if the server gives one to the same bytes.
fn try_again(device: &Device, location: &Location, before: Export, lost: Lost) -> Result<(), String> {
    let (connection, export) = location.connect()?;
    if export.size != before.size {
        let name = &location.export;
        return Err(format!(
            "{name} has {} bytes now, and had {}: it is another image",
            export.size, before.size
        ));
    }
    if matches!(lost, Lost::Forgotten { .. }) {
        return Ok(());
    }
    device.attach_again(&connection).map_err(|error| error.to_string())
}

/// From a loss on.
struct Outage<'a> {
    start: Instant,
    said: String,
    log: &'a mut File,
}

impl Outage<'_> {
    /// What is the same as before is not said again.
    fn say(&mut self, text: &str) {
        if self.said != text {
            text.clone_into(&mut self.said);
            log(self.log, text);
        }
    }

    fn restart(&mut self, why: &str) {
        self.say(&format!("{why}; the board restarts"));
        let error = reboot(RebootCommand::Restart).err();
        self.say(&format!("the board cannot restart: {error:?}"));
    }
}
