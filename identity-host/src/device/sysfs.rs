// SPDX-License-Identifier: MIT OR Apache-2.0
//! What Linux tells of a block device under `/sys` and `/proc`. Facts only; `safety` judges.

use std::ffi::{OsStr, OsString};
use std::fs::{self, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cid::Cid;

/// The root under which `sys` and `proc` lie: `/`, or a copy in tests.
#[derive(Clone, Debug)]
pub struct Host {
    root: PathBuf,
}

/// A block device's directory under `/sys`.
#[derive(Clone, Debug)]
pub struct Device {
    dir: PathBuf,
}

/// What kind of device it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A card in a native slot, or an eMMC's user area.
    Native,
    /// Another area of an eMMC: boot, RPMB, general purpose.
    HardwarePartition,
    /// In a reader, or otherwise removable.
    Removable,
    /// A loop device, backed by a file.
    Loop,
    /// A disk that stays where it is.
    Fixed,
    /// No card and no disk.
    Other,
}

/// Name of the whole device, `mmcblk0` of `mmcblk0boot1`.
pub fn user_area(name: &str) -> &str {
    let prefix = "mmcblk".len();
    let digits = name.bytes().skip(prefix).take_while(u8::is_ascii_digit).count();
    &name[..prefix + digits]
}

/// A line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Device number, as `major:minor`.
    pub device: String,
    /// Directory on which it is mounted.
    pub point: PathBuf,
    /// What was mounted, as it was named then: some file systems have a number of their own, not their device's.
    pub source: String,
}

impl Host {
    /// The system that this program runs on.
    pub fn here() -> Self {
        Self { root: PathBuf::from("/") }
    }

    /// A copy under `root`.
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// The device with this number; `None` where `/sys` does not know it.
    pub fn device(&self, number: &str) -> Option<Device> {
        let dir = fs::canonicalize(self.root.join("sys/dev/block").join(number)).ok()?;
        Some(Device { dir })
    }

    /// All block devices but partitions, by name.
    pub fn devices(&self) -> Vec<Device> {
        Device::children(&self.root.join("sys/block"))
    }

    /// The text of a file under the root, such as a property of the device tree, without the zeros at its end; `None`
    /// if it is absent or empty.
    pub fn text(&self, path: &str) -> Option<String> {
        let text = fs::read_to_string(self.root.join(path)).ok()?;
        let text = text.trim_end_matches(['\0', '\n']);
        (!text.is_empty()).then(|| text.to_owned())
    }

    /// Bytes of a file below the root, if it can be read.
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        fs::read(self.root.join(path)).ok()
    }

    /// Loop devices with a file behind them: the kernel's name, the file's path.
    pub fn loop_devices(&self) -> Vec<(String, PathBuf)> {
        let Ok(entries) = fs::read_dir(self.root.join("sys/block")) else { return Vec::new() };
        entries
            .filter_map(|entry| {
                let entry = entry.ok()?;
                let file = fs::read(entry.path().join("loop/backing_file")).ok()?;
                let file = OsStr::from_bytes(file.strip_suffix(b"\n").unwrap_or(&file));
                Some((entry.file_name().into_string().ok()?, PathBuf::from(file)))
            })
            .collect()
    }

    /// A loop device over a device, as `mount --options offset=` makes one: the kernel does not list it among the holders.
    pub fn loop_over(&self, device: &Device) -> Option<String> {
        let (number, node) = (device.number(), device.path());
        let is_it = |backing: &Path| {
            let found = backing.metadata().ok().and_then(|found| number_of(&found));
            backing == node || found.is_some_and(|found| found == number)
        };
        self.loop_devices().into_iter().find_map(|(name, backing)| is_it(&backing).then_some(name))
    }

    /// All mounts that this process sees, proc_pid_mountinfo(5).
    pub fn mounts(&self) -> Vec<Mount> {
        // A mount point is bytes: one that is no UTF-8 hides no other.
        let bytes = fs::read(self.root.join("proc/self/mountinfo")).unwrap_or_default();
        let text = |word: &[u8]| String::from_utf8_lossy(word).into_owned();
        let mounts = bytes.split(|&byte| byte == b'\n').filter_map(|line| {
            let mut words = line.split(|&byte| byte == b' ');
            let device = text(words.nth(2)?);
            let point = unescaped(words.nth(1)?).into();
            let source = text(words.skip_while(|word| *word != b"-").nth(2).unwrap_or_default());
            Some(Mount { device, point, source })
        });
        mounts.collect()
    }

    /// Paths of devices and files in use as swap space.
    pub fn swaps(&self) -> Vec<PathBuf> {
        let bytes = fs::read(self.root.join("proc/swaps")).unwrap_or_default();
        let lines = bytes.split(|&byte| byte == b'\n').skip(1);
        let paths = lines.filter_map(|line| line.split(u8::is_ascii_whitespace).next());
        paths.filter(|path| !path.is_empty()).map(|path| unescaped(path).into()).collect()
    }
}

/// A path as the kernel's tables have it, with three octal digits for blanks, line breaks and backslashes.
fn unescaped(word: &[u8]) -> OsString {
    let mut path = Vec::with_capacity(word.len());
    let mut rest = word;
    while let Some((&byte, behind)) = rest.split_first() {
        let is_octal =
            |digits: &&[u8]| byte == b'\\' && digits.iter().all(|digit| matches!(digit, b'0'..=b'7'));
        let digits = behind.get(..3).filter(is_octal).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(escaped) => {
                path.push(escaped);
                rest = &behind[3..];
            }
            None => {
                path.push(byte);
                rest = behind;
            }
        }
    }
    OsString::from_vec(path)
}

impl Device {
    /// The kernel's name, such as `sdb` or `mmcblk0p1`.
    pub fn name(&self) -> String {
        self.dir.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// An attribute's text without the final newline; `None` if it is absent.
    pub fn attribute(&self, name: &str) -> Option<String> {
        let text = fs::read_to_string(self.dir.join(name)).ok()?;
        Some(text.trim().to_owned())
    }

    /// Length in sectors of 512 bytes, whatever the device's own are.
    pub fn sectors(&self) -> u64 {
        self.attribute("size").and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Vendor and model as far as the device tells: `device/{vendor,model}` of SCSI and USB, `device/{type,name}`
    /// of SD and MMC.
    pub fn model(&self) -> Option<String> {
        let names = ["device/vendor", "device/model", "device/type", "device/name"];
        let is_words = |text: &String| !text.is_empty() && !text.bytes().all(|byte| byte.is_ascii_digit());
        let words: Vec<_> = names.iter().filter_map(|name| self.attribute(name)).filter(is_words).collect();
        (!words.is_empty()).then(|| words.join(" "))
    }

    /// The card's CID; only native SD/MMC hosts tell.
    pub fn cid(&self) -> Option<Cid> {
        self.attribute("device/cid")?.parse().ok()
    }

    /// Of a loop device that does not begin where its file begins: the file, and the byte where it begins.
    pub fn part_of(&self) -> Option<(PathBuf, u64)> {
        let offset = self.attribute("loop/offset")?.parse().ok()?;
        let file = self.attribute("loop/backing_file")?;
        (offset > 0).then(|| (PathBuf::from(file), offset))
    }

    /// Path of its device node in /dev.
    pub fn path(&self) -> PathBuf {
        // The kernel's names have '!' where the node's path has '/'.
        Path::new("/dev").join(self.name().replace('!', "/"))
    }

    /// What kind of device it is.
    pub fn kind(&self) -> Kind {
        let name = self.name();
        let is = |prefix| name.starts_with(prefix);
        if is("mmcblk") {
            if name == user_area(&name) { Kind::Native } else { Kind::HardwarePartition }
        } else if is("loop") {
            Kind::Loop
        } else if is("sr") || is("fd") || is("zram") || is("ram") {
            Kind::Other
        } else if self.attribute("removable").as_deref() == Some("1") {
            Kind::Removable
        } else {
            Kind::Fixed
        }
    }

    /// What is mounted from it, from its partitions, and from everything built on them, with the name of what is.
    pub fn mounts(&self, all: &[Mount]) -> Vec<(String, Mount)> {
        let (number, node) = (self.number(), self.path());
        let is_own = |mount: &&Mount| mount.device == number || Path::new(&mount.source) == node;
        let own = all.iter().filter(is_own).map(|mount| (self.name(), mount.clone()));
        let below = self.partitions().into_iter().chain(self.holders());
        own.chain(below.flat_map(|device| device.mounts(all))).collect()
    }

    /// Device number, as `major:minor`.
    pub fn number(&self) -> String {
        self.attribute("dev").unwrap_or_default()
    }

    /// The whole device, if this is one of its partitions.
    pub fn whole(&self) -> Option<Self> {
        self.attribute("partition")?;
        Some(Self { dir: self.dir.parent()?.to_owned() })
    }

    /// Partitions of this device that the kernel knows.
    pub fn partitions(&self) -> Vec<Self> {
        Self::children(&self.dir).into_iter().filter(|child| child.attribute("partition").is_some()).collect()
    }

    /// Devices built on this one: device mapper, RAID.
    pub fn holders(&self) -> Vec<Self> {
        Self::children(&self.dir.join("holders"))
    }

    /// Devices that this one is built on: device mapper, RAID.
    pub fn slaves(&self) -> Vec<Self> {
        Self::children(&self.dir.join("slaves"))
    }

    fn children(dir: &Path) -> Vec<Self> {
        let Ok(entries) = fs::read_dir(dir) else { return Vec::new() };
        let mut children: Vec<_> = entries
            .filter_map(|entry| fs::canonicalize(entry.ok()?.path()).ok())
            .filter(|dir| dir.is_dir())
            .map(|dir| Self { dir })
            .collect();
        children.sort_by_key(Self::name);
        children
    }
}

/// The file behind a loop device.
pub struct BackingFile {
    /// The loop device's node.
    pub node: String,
    /// Number of the device that the file's file system is on.
    pub device: u64,
    /// Number of its inode.
    pub inode: u64,
}

/// The files behind all loop devices, by `LOOP_GET_STATUS64`, which `losetup` of util-linux asks: this crate has no unsafe code.
/// A name in `/sys` may be of another mount namespace, or be another file's by now.
pub fn backing_files() -> Vec<BackingFile> {
    let mut losetup = Command::new("losetup");
    losetup.args(["--list", "--noheadings", "--raw", "--output", "NAME,BACK-INO,BACK-MAJ:MIN"]);
    if let Some(path) = std::env::var_os("PATH") {
        let mut path = path;
        path.push(":/usr/sbin:/sbin");
        losetup.env("PATH", path);
    }
    let text = losetup.output().map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    // util-linux 2.38 pads its columns with blanks, and writes each as `\x20`.
    let text = text.unwrap_or_default().replace("\\x20", " ");
    let parse = |line: &str| {
        let mut words = line.split_whitespace();
        let (node, inode, device) = (words.next()?, words.next()?, words.next()?);
        Some(BackingFile { node: node.to_owned(), device: number(device)?, inode: inode.parse().ok()? })
    };
    text.lines().filter_map(parse).collect()
}

/// A block device's number, as `major:minor`.
pub fn number_of(metadata: &Metadata) -> Option<String> {
    metadata.file_type().is_block_device().then(|| as_text(metadata.rdev()))
}

/// A device number as `major:minor`.
pub fn as_text(number: u64) -> String {
    format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number))
}

/// The device number that `major:minor` names.
pub fn number(text: &str) -> Option<u64> {
    let (major, minor) = text.split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}
