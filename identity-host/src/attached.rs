// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every disk and card of this machine, and what is on it. `default_card` chooses among them.

use std::path::PathBuf;

#[cfg(feature = "stamp")]
use identity_core::Uuid;

use crate::device::info::DeviceInfo;
use crate::device::sysfs::{Host, Kind, Mount};
use crate::device::{Access, Target};
use crate::error::Error;
use crate::scan::Scan;
use crate::surroundings::Surroundings;

/// Where the running system was started from: file systems that are on the card, if the system is.
const SYSTEM_POINTS: [&str; 4] = ["/", "/boot", "/boot/firmware", "/boot/efi"];

/// A whole disk or card, or an empty reader.
#[derive(Clone, Debug)]
pub struct Device {
    /// Path of its device node in /dev.
    pub path: PathBuf,
    /// What kind of device it is.
    pub kind: Kind,
    /// Where the running system has a file system of it: the root before the boot file system.
    pub holds: Option<String>,
    /// What the kernel knows of it.
    pub info: DeviceInfo,
}

/// What is in it.
#[derive(Debug)]
pub enum Content {
    /// A reader without a card in it.
    Empty,
    /// It cannot be read, and why.
    Failed(Error),
    /// It was looked at, and is still open.
    Seen(Box<Target>, Box<Scan>),
}

/// All whole devices, by name; no other areas of an eMMC, and nothing that is neither disk nor card.
pub fn devices(host: &Host) -> Vec<Device> {
    let mounts = host.mounts();
    let known = host.devices().into_iter().filter(|device| {
        !matches!(device.kind(), Kind::HardwarePartition | Kind::Other) && device.whole().is_none()
    });
    known
        .map(|device| Device {
            path: device.path(),
            kind: device.kind(),
            holds: system_point(&device.mounts(&mounts)),
            info: DeviceInfo::new(&device),
        })
        .collect()
}

/// The card of this machine, but for the device of this name, that has this identity. Fixed disks and loop devices are not asked.
#[cfg(feature = "stamp")]
pub fn card_with(uuid: Uuid, except: Option<&str>) -> Option<PathBuf> {
    let is_card = |device: &Device| matches!(device.kind, Kind::Native | Kind::Removable);
    let others = devices(&Host::here()).into_iter();
    let mut others = others.filter(|device| is_card(device) && Some(&*device.info.name) != except);
    let has = |device: &Device| match device.look(None) {
        Content::Seen(_, scan) => scan.valid().any(|(_, identity, _)| identity.uuid() == uuid),
        Content::Empty | Content::Failed(_) => false,
    };
    others.find(has).map(|device| device.path)
}

fn system_point(mounts: &[(String, Mount)]) -> Option<String> {
    let is_mounted = |point: &&&str| mounts.iter().any(|(_, mount)| mount.point.as_os_str() == **point);
    SYSTEM_POINTS.iter().find(is_mounted).map(|point| (*point).to_owned())
}

impl Device {
    /// Opens it and looks for an identity, first at `hint_lba`, if there is one.
    pub fn look(&self, hint_lba: Option<u32>) -> Content {
        if self.info.sectors == 0 {
            return Content::Empty;
        }
        match Target::open(&self.path, Access::Read) {
            Ok(target) => {
                let surroundings = Surroundings::new(&Host::here(), &self.info);
                let scan = Scan::read(&target, hint_lba).judged_in(surroundings).with_way_out(&target);
                Content::Seen(Box::new(target), Box::new(scan))
            }
            Err(error) => Content::Failed(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    fn machine(devices: &[(&str, &str)], mountinfo: &str) -> Vec<Device> {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &Path, text: &str| {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        for (dir, number) in devices {
            let dir = root.path().join("sys/block").join(dir);
            write(&dir.join("dev"), number);
            write(&dir.join("size"), "1000");
            if dir.parent().unwrap().file_name().unwrap() != "block" {
                write(&dir.join("partition"), "1");
            }
            if dir.file_name().unwrap() == "sdb" {
                write(&dir.join("removable"), "1\n");
            }
        }
        write(&root.path().join("proc/self/mountinfo"), mountinfo);
        super::devices(&Host::at(root.path()))
    }

    #[test]
    fn cards_and_disks_and_what_the_system_has_of_them() {
        let found = machine(
            &[
                ("mmcblk0", "179:0"),
                ("mmcblk0/mmcblk0p2", "179:2"),
                ("mmcblk0boot0", "179:8"),
                ("mmcblk0rpmb", "179:16"),
                ("nvme0n1", "259:0"),
                ("sdb", "8:16"),
                ("sr0", "11:0"),
                ("zram0", "252:0"),
            ],
            "22 27 179:2 / / rw - ext4 /dev/root rw\n23 27 259:0 / /boot rw - ext4 /dev/nvme0n1 rw\n",
        );
        let seen: Vec<_> =
            found.iter().map(|one| (one.path.to_str().unwrap(), one.kind, one.holds.as_deref())).collect();
        assert_eq!(
            seen,
            [
                ("/dev/mmcblk0", Kind::Native, Some("/")),
                ("/dev/nvme0n1", Kind::Fixed, Some("/boot")),
                ("/dev/sdb", Kind::Removable, None),
            ]
        );
    }

    #[test]
    fn a_file_system_with_a_number_of_its_own() {
        let devices = [("mmcblk1", "179:0"), ("mmcblk1/mmcblk1p2", "179:2"), ("sdb", "8:16")];
        let found = machine(&devices, "22 27 0:30 /@ / rw,relatime - btrfs /dev/mmcblk1p2 rw\n");
        assert_eq!(found[0].holds.as_deref(), Some("/"));
        assert_eq!(found[1].holds, None);
    }
}
