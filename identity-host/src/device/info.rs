// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a person needs to see of a block device before it is overwritten, and what tells one card from another.

use std::path::PathBuf;

use super::cid::Cid;
use super::sysfs::{Device, Host, as_text};

/// A block device as the kernel sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeviceInfo {
    /// Name in the kernel, such as `mmcblk0`.
    pub name: String,
    /// Vendor and model, where sysfs has them.
    pub model: Option<String>,
    /// Whether the kernel calls it removable.
    pub removable: bool,
    /// Length in sectors of 512 bytes.
    pub sectors: u64,
    /// Name and length in sectors of each partition.
    pub partitions: Vec<(String, u64)>,
    /// The card's CID, where the reader shows it.
    pub cid: Option<Cid>,
    /// Of a loop device that does not begin where its file begins: the file, and the byte where it begins.
    pub part_of: Option<(PathBuf, u64)>,
}

impl DeviceInfo {
    /// Of the device with this number; `None` where `/sys` does not know it.
    pub fn find(number: u64) -> Option<Self> {
        Host::here().device(&as_text(number)).map(|device| Self::new(&device))
    }

    /// Of a device under `/sys`.
    pub fn new(device: &Device) -> Self {
        let partitions = device.partitions();
        Self {
            name: device.name(),
            model: device.model(),
            removable: device.attribute("removable").as_deref() == Some("1"),
            sectors: device.sectors(),
            partitions: partitions.iter().map(|part| (part.name(), part.sectors())).collect(),
            cid: device.cid(),
            part_of: device.part_of(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn a_native_card() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("sys/dev/block/179:0");
        fs::create_dir_all(dir.join("mmcblk0p1")).unwrap();
        fs::create_dir_all(dir.join("device")).unwrap();
        for (name, text) in [
            ("size", "62333952\n"),
            ("removable", "0\n"),
            ("device/type", "SD\n"),
            ("device/name", "SL32G\n"),
            ("device/cid", "035344534C33324780AABBCCDD0155E7\n"),
            ("mmcblk0p1/partition", "1\n"),
            ("mmcblk0p1/size", "524288\n"),
        ] {
            fs::write(dir.join(name), text).unwrap();
        }
        let info = DeviceInfo::new(&Host::at(root.path()).device("179:0").unwrap());
        assert_eq!(info.model.as_deref(), Some("SD SL32G"));
        assert_eq!(info.sectors, 62_333_952);
        assert_eq!(info.partitions, [("mmcblk0p1".to_owned(), 524_288)]);
        assert_eq!(info.cid.unwrap().to_string(), "035344534c33324780aabbccdd015500");
    }
}
