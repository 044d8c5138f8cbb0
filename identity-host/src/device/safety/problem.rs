// SPDX-License-Identifier: MIT OR Apache-2.0
//! The reasons why a target is not taken.

use std::path::PathBuf;

/// Why a device or file cannot be the target.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetProblem {
    /// It is a directory.
    Directory,
    /// It is neither a block device nor a regular file.
    NoCard,
    /// The reader has no card in it.
    NoMedium,
    /// An attribute of the file forbids to write to it, whoever asks.
    Attributes {
        /// It may not be changed at all.
        immutable: bool,
        /// It may only become longer.
        append_only: bool,
    },
    /// The file is on a file system that is mounted read-only.
    ReadOnlyFileSystem,
    /// The device is read-only.
    ReadOnly,
    /// Another program has it.
    Busy,
    /// `/sys` does not know the device with this number, so nothing tells whether it is in use.
    NotInSysfs(String),
    /// The file is attached to this loop device.
    AttachedToLoop(String),
    /// The file behind this loop device is behind another one, too.
    BehindTwo {
        /// The other loop device's name.
        other: String,
    },
    /// It is a partition.
    Partition {
        /// Device number, as `major:minor`.
        number: String,
        /// The whole device's name.
        whole: String,
    },
    /// It is a hardware partition of an eMMC with this user area.
    HardwarePartition(String),
    /// It has sectors of so many bytes.
    SectorSize(String),
    /// It is a fixed disk; with vendor and model, where they are known.
    FixedDisk(Option<String>),
    /// The running system is on it.
    SystemDisk {
        /// Name of the partition in the kernel.
        name: String,
        /// Where it is mounted.
        point: PathBuf,
    },
    /// It, or a partition of it, is mounted.
    Mounted {
        /// Name of the partition in the kernel.
        name: String,
        /// Where it is mounted.
        point: PathBuf,
    },
    /// This partition or file is swap space in use.
    Swap(PathBuf),
    /// Another device is built upon it or a partition of it.
    Held {
        /// Name of the partition in the kernel.
        name: String,
        /// The other device's name.
        by: String,
    },
}
