// SPDX-License-Identifier: MIT OR Apache-2.0
//! `netroot`: see the crate's README.
#![forbid(unsafe_code)]

use std::env;
use std::fs::File;
use std::io::{Read, Write, stdout};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};

use identity_netroot::{Device, Export, Location, Lost, hold, log};
use rustix::process::setsid;
use rustix::stdio::dup2_stdout;

const USAGE: &str = "Usage: netroot ADDRESS:PORT/NAME nbdN wait|reboot:SECONDS|forgotten[:SECONDS]
Attaches the export NAME of an NBD server as /dev/nbdN, and stays in memory to attach it again when the server was away: until
then, what reads from it waits. With reboot:SECONDS the board restarts if the server is away for longer; with
forgotten it restarts when the server is back, too.
";

/// By this name systemd knows what belongs to the root, and does not end it (systemd.io/ROOT_STORAGE_DAEMONS).
const HOLDER: &str = "@netroot";
const READY: &str = "attached";

/// What is to be attached, and what is done when it is lost.
struct Order {
    location: Location,
    index: u32,
    lost: Lost,
}

fn main() -> ExitCode {
    let words: Vec<_> = env::args().collect();
    let is_holder = words.first().is_some_and(|name| name == HOLDER);
    let order = match read(&words) {
        Ok(order) => order,
        Err(reason) => {
            eprint!("netroot: {reason}\n{USAGE}");
            return ExitCode::from(2);
        }
    };
    if is_holder {
        return be_the_holder(&order);
    }
    match start_the_holder(&words[1..]) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("netroot: {reason}");
            ExitCode::from(7)
        }
    }
}

fn read(words: &[String]) -> Result<Order, String> {
    let [_, location, device, lost] = words else { return Err("three words are needed".to_owned()) };
    let index = device.strip_prefix("nbd").and_then(|index| index.parse().ok());
    let index = index.ok_or_else(|| format!("\"{device}\" is not nbd0, nbd1 or the like"))?;
    Ok(Order { location: location.parse()?, index, lost: lost.parse()? })
}

/// Returns when the device is attached.
fn start_the_holder(words: &[String]) -> Result<(), String> {
    let program = env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new(program);
    command.arg0(HOLDER).args(words).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut holder = command.spawn().map_err(|error| error.to_string())?;
    let mut said = String::new();
    if let Some(mut stdout) = holder.stdout.take() {
        stdout.read_to_string(&mut said).map_err(|error| error.to_string())?;
    }
    if said == READY { Ok(()) } else { Err(said) }
}

/// Says on standard output how it went, and then nothing there.
fn be_the_holder(order: &Order) -> ExitCode {
    let held = attach(order).and_then(|held| {
        // Opened now: the root takes /dev along.
        let log = File::options().write(true).open("/dev/kmsg");
        let null = File::options().write(true).open("/dev/null");
        let (log, null) = log.and_then(|log| Ok((log, null?))).map_err(|error| format!("/dev: {error}"))?;
        Ok((held, log, null))
    });
    let (said, held) = match held {
        Ok(held) => (READY.to_owned(), Some(held)),
        Err(reason) => (reason, None),
    };
    // Whoever asked may be gone.
    let _ = stdout().write_all(said.as_bytes()).and_then(|()| stdout().flush());
    let Some(((device, export), mut kernel_log, null)) = held else { return ExitCode::from(7) };
    let _ = dup2_stdout(&null);
    match hold(&device, &order.location, export, order.lost, &mut kernel_log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log(
                &mut kernel_log,
                &format!("{}: {error}; it is not attached again if it is lost", device.name()),
            );
            ExitCode::from(7)
        }
    }
}

fn attach(order: &Order) -> Result<(Device, Export), String> {
    // A terminal that ends takes nothing with it.
    let _ = setsid();
    let device = Device::open(order.index).map_err(|error| format!("nbd{}: {error}", order.index))?;
    let (connection, export) = order.location.connect()?;
    device.attach(&connection, export).map_err(|error| format!("{}: {error}", device.name()))?;
    Ok((device, export))
}
