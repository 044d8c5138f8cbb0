// SPDX-License-Identifier: MIT OR Apache-2.0
//! A machine with other cards than this one: `identity` in a mount namespace where `/sys`, `/dev` and its list of mounts
//! know only what a test put there, with loop devices behind.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

use crate::block::Loop;
use crate::cli::{Identity, program, tool};
use crate::workspace;

const SCRIPT: &str = r#"
set -e
mount --bind "$1/block" /sys/block
mount --bind "$1/numbers" /sys/dev/block
mount --bind "$1/firmware" /sys/firmware
mount --bind "$1/mountinfo" /proc/$$/mountinfo
mount -t tmpfs none /dev
while read -r name major minor; do mknod "/dev/$name" b "$major" "$minor"; done < "$1/nodes"
shift
exec "$@"
"#;

/// `linux/apply` there, with the program in `$1`, the settings in `$2`, a hostname of its own and no interfaces. It
/// speaks as to the journal; what has come of it is printed.
const APPLY: &str = r#"
mount -t tmpfs none /run
mount -t tmpfs none /etc/default
mount -t tmpfs none /sys/class/net
mknod -m 666 /dev/null c 1 3
echo "$2" >/etc/default/identity
echo image >/proc/sys/kernel/hostname
PATH=${1%/*}:$PATH JOURNAL_STREAM=1 sh "$0"
status=$?
echo "hostname=$(cat /proc/sys/kernel/hostname)"
echo "run=$(echo /run/identity*)"
echo "files=$(ls /run/identity 2>/dev/null | tr '\n' ' ' | sed 's/ $//')"
if [ -e /run/identity/identity.env ]; then cat /run/identity/identity.env; fi
exit $status
"#;

/// The same for each of the cards in `$2`, which are named as the ones that are meant; one line for each before its values.
const APPLY_EACH: &str = r#"
mount -t tmpfs none /run
mount -t tmpfs none /etc/default
mount -t tmpfs none /sys/class/net
mknod -m 666 /dev/null c 1 3
PATH=${1%/*}:$PATH
export PATH JOURNAL_STREAM=1
for card in $2; do
    rm -rf /run/identity*
    echo "CARD=/dev/$card CARD_WAIT=0" >/etc/default/identity
    said=$(sh "$0" 2>&1)
    printf 'card=%s\nstatus=%s\nsaid=%s\n' "$card" $? "$said"
    if [ -e /run/identity ]; then cat /run/identity/identity.env; fi
done
"#;

/// A script in `$2` there, by the shell in `$1`, with `linux/apply` as `$apply`; a program `ip` that does no more than writing
/// an address, and no settings.
const SCRIPT_THERE: &str = r#"
mount -t tmpfs none /run
mount -t tmpfs none /etc/default
mount -t tmpfs none /sys/class/net
mknod -m 666 /dev/null c 1 3
mkdir /run/bin
printf '#!/bin/sh\necho "$6" >"/sys/class/net/$4/address"\n' >/run/bin/ip
chmod +x /run/bin/ip
export apply="$1 $0" PATH=/run/bin:${3%/*}:$PATH JOURNAL_STREAM=1
# The shell is words.
exec $1 -c "$2"
"#;

/// A machine.
#[derive(Debug)]
pub struct Machine {
    dir: TempDir,
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl Machine {
    /// Without any card.
    pub fn new() -> Self {
        let machine = Self { dir: tempfile::tempdir().expect("a temporary directory") };
        for name in ["block", "numbers", "firmware"] {
            fs::create_dir(machine.path(name)).expect("own directory");
        }
        machine.file("mountinfo", "22 1 0:21 / /proc rw - proc proc rw\n").file("nodes", "")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file: `firmware/...` is what `/sys/firmware` has.
    #[must_use]
    pub fn file(self, name: &str, content: impl AsRef<[u8]>) -> Self {
        let path = self.path(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("own directory");
        fs::write(path, content).expect("own directory");
        self
    }

    fn append(self, name: &str, line: &str) -> Self {
        let old = fs::read_to_string(self.path(name)).expect("made by new()");
        self.file(name, format!("{old}{line}\n"))
    }

    /// A loop device under another name, with these attributes.
    #[must_use]
    pub fn card(self, name: &str, card: &Loop, attributes: &[(&str, &str)]) -> Self {
        let metadata = card.path().metadata().expect("attached");
        let (major, minor) = (rustix::fs::major(metadata.rdev()), rustix::fs::minor(metadata.rdev()));
        let number = format!("{major}:{minor}");
        symlink(self.path("block").join(name), self.path("numbers").join(&number)).expect("once");
        let usual = [("dev", number.as_str()), ("ro", "0"), ("size", "16384"), ("removable", "0")];
        let with = |machine: Self, (key, value): &(&str, &str)| {
            machine.file(&format!("block/{name}/{key}"), format!("{value}\n"))
        };
        let machine = usual.iter().chain(attributes).fold(self, with);
        machine.append("nodes", &format!("{name} {major} {minor}"))
    }

    /// A reader without card.
    #[must_use]
    pub fn empty_reader(self, name: &str) -> Self {
        let usual = [("dev", "8:240"), ("size", "0"), ("removable", "1"), ("device/model", "Card Reader")];
        usual.iter().fold(self, |machine, (key, value)| {
            machine.file(&format!("block/{name}/{key}"), format!("{value}\n"))
        })
    }

    /// A device is mounted.
    #[must_use]
    pub fn mounted(self, card: &Loop, point: &str) -> Self {
        let number = card.path().metadata().expect("attached").rdev();
        let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
        self.append("mountinfo", &format!("30 1 {major}:{minor} / {point} rw - ext4 /dev/root rw"))
    }

    /// A property of the device tree that Linux got.
    #[must_use]
    pub fn tree(self, property: &str, value: &[u8]) -> Self {
        self.file(&format!("firmware/devicetree/base/{property}"), value)
    }

    /// `identity WORDS...` there.
    pub fn identity(&self, words: impl AsRef<str>) -> Identity {
        Identity::prefixed(self.enter(), program(), words)
    }

    /// `linux/apply` there, with this in its `/etc/default/identity`: what it says, the hostname and `/run` after it.
    pub fn apply(&self, settings: &str) -> Identity {
        let mut shell = self.enter();
        shell.args(["sh", "-c", APPLY]).arg(workspace().join("linux/apply"));
        Identity::prefixed(shell, program(), "").arg(settings)
    }

    /// `linux/apply` for each of these cards, named as the one that is meant: what it says, and `/run` after it.
    pub fn apply_each(&self, names: &[String]) -> Identity {
        let mut shell = self.enter();
        shell.args(["sh", "-c", APPLY_EACH]).arg(workspace().join("linux/apply"));
        Identity::prefixed(shell, program(), "").arg(names.join(" "))
    }

    /// A script there, by this shell: `$apply` is `linux/apply`.
    pub fn script(&self, by: &str, script: &str) -> Identity {
        let mut shell = self.enter();
        shell.args(["sh", "-c", SCRIPT_THERE]).arg(workspace().join("linux/apply")).args([by, script]);
        Identity::prefixed(shell, program(), "")
    }

    /// Runs there what is added to its arguments.
    pub fn enter(&self) -> Command {
        let mut unshare = tool("unshare");
        unshare.args(["--mount", "--uts", "sh", "-c", SCRIPT, "sh"]).arg(self.dir.path());
        unshare
    }
}
