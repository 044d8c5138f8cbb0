// SPDX-License-Identifier: MIT OR Apache-2.0
//! Runs the script that makes a root, as root or in a user namespace, and watches it.

use std::collections::VecDeque;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use identity_host::device::plain;
use identity_ui::{Exit, Failure, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use super::plan::{Plan, Source};
use crate::replace::failure;
use crate::signals;

const SCRIPT: &str = include_str!("build.sh");
/// What the script puts into the root.
const FILES: [(&str, &str); 7] = [
    ("05-netroot.network", include_str!("files/05-netroot.network")),
    ("functions", include_str!("files/functions")),
    ("nbd", include_str!("files/nbd")),
    ("netroot", include_str!("files/netroot")),
    ("overlay", include_str!("files/overlay")),
    ("hook", include_str!("files/hook")),
    ("modules", include_str!("files/modules")),
];
/// The script's exit code where it has said why it refuses.
const REFUSED: i32 = 6;
/// Lines of the log that are shown of a failure.
const LINES: usize = 15;
const TICK: Duration = Duration::from_millis(50);
/// After such a time without a word it is told that the work goes on.
const SECOND: Duration = Duration::from_secs(1);
/// How long programs may take to clean up after a signal.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the script tells of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// It begins a part of its work.
    Step(String),
    /// Within the step, another program begins a part of its own.
    Part(String),
    /// So many packages are unpacked, and so many of them set up.
    Packages(u64, u64),
    /// Nothing for a while: it still works.
    Nothing,
    /// Something that was found out: a name, and its value.
    Fact(String, String),
    /// Why it refuses.
    Refused(String),
}

/// A line of the script's standard output.
fn told(line: &str) -> Option<Told> {
    let (word, text) = line.split_once(' ')?;
    let (name, value) = text.split_once(' ').unwrap_or((text, ""));
    match word {
        "step" => Some(Told::Step(text.to_owned())),
        "packages" => Some(Told::Packages(name.parse().ok()?, value.parse().ok()?)),
        "fact" => Some(Told::Fact(name.to_owned(), value.to_owned())),
        "refused" => Some(Told::Refused(text.to_owned())),
        _ => None,
    }
}

/// A line of the log, if it says what mmdebstrap does.
fn part(line: &str) -> Option<Told> {
    let text = line.strip_prefix("I: ")?.trim_end().trim_end_matches('.');
    Some(Told::Part(text.to_owned()))
}

/// Whether this process is root, also of files of every user.
fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Checks that the programs are there before anything is begun.
///
/// # Errors
/// Exit 6 with the packages to install.
pub fn check_programs(plan: &Plan<'_>) -> Result<()> {
    let mut wanted = vec![("unshare", "util-linux"), ("mksquashfs", "squashfs-tools"), ("zstd", "zstd")];
    if matches!(plan.source, Source::Suite { .. }) {
        wanted.push(("mmdebstrap", "mmdebstrap"));
    }
    if !is_root() {
        wanted.push(("newuidmap", "uidmap"));
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let is_there = |name: &str| std::env::split_paths(&path).any(|dir| dir.join(name).is_file());
    let mut packages: Vec<_> =
        wanted.iter().filter(|(name, _)| !is_there(name)).map(|(_, package)| *package).collect();
    if plan.arch.is_foreign()
        && !Path::new(&format!("/usr/lib/binfmt.d/qemu-{}.conf", plan.arch.cpu)).exists()
    {
        packages.push("qemu-user-static");
    }
    if packages.is_empty() {
        return Ok(());
    }
    Err(Failure::refused(format!(
        "programs are missing to build a root; install them: on Debian `apt install {}`",
        packages.join(" ")
    )))
}

/// Runs the script in a directory that is empty. What it made is in `out` below.
///
/// # Errors
/// Exit 6 if it refuses; 7 if one of its programs fails; 130 after a signal. Then the directory may have anything in it.
pub fn run(plan: &Plan<'_>, work: &Path, epoch: Option<&str>, mut tell: impl FnMut(&Told)) -> Result<()> {
    let ended = signals::ended()?;
    let debs = prepare(plan, work).map_err(|error| failure("write", work, &error))?;
    let mut child = command(plan, work, epoch, &debs)
        .spawn()
        .map_err(|error| Failure::refused(format!("unshare cannot be started: {}", plain(&error))))?;
    let (sender, lines) = mpsc::channel();
    let log = child.stderr.take().map(|stream| keep_log(stream, sender.clone()));
    // A signal ends the script, and with it this stream.
    let watcher = watch(&child, Arc::clone(&ended));
    let output = child.stdout.take().map(|stream| {
        thread::spawn(move || {
            let lines = BufReader::new(stream).lines().map_while(std::io::Result::ok);
            lines.filter_map(|line| told(&line)).for_each(|told| drop(sender.send(told)));
        })
    });
    let mut refused = None;
    loop {
        match lines.recv_timeout(SECOND) {
            Ok(Told::Refused(text)) => refused = Some(text),
            Ok(told) => tell(&told),
            Err(RecvTimeoutError::Timeout) => tell(&Told::Nothing),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let _ = output.map(thread::JoinHandle::join);
    let status = child.wait().map_err(|error| Failure::new(Exit::Device, plain(&error)))?;
    let was_interrupted = ended.swap(true, Ordering::Relaxed);
    let _ = watcher.join();
    let log = log.and_then(|log| log.join().ok()).unwrap_or_default();
    if status.success() {
        return Ok(());
    }
    if !is_root() {
        // Some of it belongs to users that only the namespace has.
        let _ = namespace().args(["rm", "-rf"]).arg(work.join("tree")).stdin(Stdio::null()).status();
    }
    if was_interrupted {
        return Err(Failure::new(Exit::Interrupted, "interrupted; nothing was changed"));
    }
    let shown: String = log.iter().map(|line| format!("\n  | {line}")).collect();
    Err(match (status.code(), refused) {
        (Some(REFUSED), Some(text)) => Failure::refused(format!("{text}; nothing was changed{shown}")),
        _ if log
            .iter()
            .any(|line| line.contains("No space left on device") || line.contains("Wrote only")) =>
        {
            Failure::new(
                Exit::Device,
                format!(
                    "no space left beside {}; a root needs about six times its image's size; nothing was changed{shown}",
                    work.display()
                ),
            )
        }
        _ => Failure::new(
            Exit::Device,
            format!("the root was not built ({status}); nothing was changed{shown}"),
        ),
    })
}

/// Keeps the last lines of the log, and sends on what they say of a part of the work.
fn keep_log(stream: ChildStderr, sender: Sender<Told>) -> thread::JoinHandle<VecDeque<String>> {
    thread::spawn(move || {
        let mut last = VecDeque::new();
        for line in BufReader::new(stream).split(b'\n').map_while(std::io::Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            if let Some(part) = part(&line) {
                let _ = sender.send(part);
            }
            if last.len() == LINES {
                last.pop_front();
            }
            last.push_back(line);
        }
        last
    })
}

/// Ends the script's programs after a signal: it leads a group of its own, which a terminal's Ctrl-C does not reach.
fn watch(child: &Child, ended: Arc<AtomicBool>) -> thread::JoinHandle<()> {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let stat = format!("/proc/{}/stat", child.id());
    thread::spawn(move || {
        while !ended.load(Ordering::Relaxed) {
            thread::sleep(TICK);
        }
        let runs = || fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z "));
        let Some(group) = group.filter(|_| runs()) else { return };
        let _ = kill_process_group(group, Signal::TERM);
        let start = Instant::now();
        while start.elapsed() < PATIENCE && runs() {
            thread::sleep(TICK);
        }
        if runs() {
            let _ = kill_process_group(group, Signal::KILL);
        }
    })
}

/// `unshare` with what the script needs: mounts and processes of its own, which end with it, as it does with this process.
fn namespace() -> Command {
    let mut unshare = Command::new("setpriv");
    unshare.args(["--pdeathsig", "KILL", "unshare"]);
    if !is_root() {
        unshare.args(["--map-auto", "--map-root-user"]);
    }
    unshare.args(["--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]);
    unshare
}

fn command(plan: &Plan<'_>, work: &Path, epoch: Option<&str>, debs: &str) -> Command {
    let mut command = namespace();
    command.args(["sh", "-c", SCRIPT, "build"]).env("work", work).env("debs", debs);
    command.env("arch", plan.arch.name).env("cpu", if plan.arch.is_foreign() { plan.arch.cpu } else { "" });
    command.env(
        "from",
        match &plan.source {
            Source::From(path) => path.as_os_str(),
            Source::Suite { .. } => "".as_ref(),
        },
    );
    let text = |text: &Option<String>| text.clone().unwrap_or_default();
    command.env("suite", text(&plan.suite)).env("mirror", text(&plan.mirror)).env("fdt", text(&plan.fdt));
    command.env("packages", plan.packages.join(" "));
    command
        .env("kernel_package", plan.kernel_package.unwrap_or_default())
        .env("pack", plan.pack.as_deref().unwrap_or(Path::new("")));
    command.env("epoch", epoch.unwrap_or_default()).env_remove("SOURCE_DATE_EPOCH");
    if !is_root() {
        command.env("rootless", "yes");
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command
}

/// Puts what the root gets where the script finds it; returns the names of package files.
fn prepare(plan: &Plan<'_>, work: &Path) -> std::io::Result<String> {
    let dir = work.join("in");
    fs::create_dir(&dir)?;
    for (name, text) in FILES {
        fs::write(dir.join(name), text)?;
    }
    let mut names = Vec::new();
    for deb in &plan.debs {
        let name = deb.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        fs::copy(deb, dir.join(&name))?;
        names.push(name);
    }
    Ok(names.join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_script_and_of_mmdebstrap_are_told() {
        for (line, expected) in [
            ("step pack the image", Some(Told::Step("pack the image".into()))),
            ("packages 143 57", Some(Told::Packages(143, 57))),
            ("packages 143", None),
            ("fact kernel 6.1", Some(Told::Fact("kernel".into(), "6.1".into()))),
            ("refused no suite x", Some(Told::Refused("no suite x".into()))),
            ("else", None),
        ] {
            assert_eq!(told(line), expected, "{line}");
        }
        let what = "I: installing essential packages...\r";
        assert_eq!(part(what), Some(Told::Part("installing essential packages".into())));
        assert_eq!(part("E: it failed"), None);
    }
}
