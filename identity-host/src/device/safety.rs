// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which targets are never written to, and why.

mod problem;

use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub use problem::TargetProblem;

use super::sysfs::{BackingFile, Device, Host, Kind, Mount, backing_files, number_of, user_area};

/// Where a running system lives: a disk with one of these mounted is the system disk.
const SYSTEM_MOUNTS: [&str; 7] = ["/", "/boot", "/boot/efi", "/boot/firmware", "/usr", "/var", "/home"];
/// The sector size that the format is made for.
const SECTOR_SIZE: &str = "512";

/// What a person lets a verb write to.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allowed {
    /// A disk that is neither removable nor SD/MMC nor a loop device.
    pub fixed_disk: bool,
    /// A card in use.
    pub in_use: InUse,
}

/// What to do about a card that is mounted, or used in another way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum InUse {
    /// A device in use is refused.
    #[default]
    Refuse,
    /// A device in use is opened for writing.
    Write,
}

/// Refuses a part of a card, in which no slot is where it should be, and a device with other sectors than a card.
///
/// # Errors
/// Why.
pub fn check_to_read(metadata: &Metadata) -> Result<(), TargetProblem> {
    match block_device(&Host::here(), metadata) {
        Some((_, Some(device))) => check_whole(&device).and_then(|()| check_sector_size(&device)),
        // Without /sys, as in a small initramfs, reading does no harm.
        _ => Ok(()),
    }
}

/// Refuses what is no card, or is in use.
///
/// # Errors
/// Why.
pub fn check_to_write(metadata: &Metadata, allowed: Allowed) -> Result<(), TargetProblem> {
    let host = Host::here();
    match block_device(&host, metadata) {
        None => check_image(&host, metadata),
        Some((_, Some(device))) => {
            check_device(&host, &device, allowed)?;
            if allowed.in_use == InUse::Refuse { check_alone(&host, &device) } else { Ok(()) }
        }
        Some((number, None)) => Err(TargetProblem::NotInSysfs(number)),
    }
}

/// A block device's number, and what `/sys` knows of it.
fn block_device(host: &Host, metadata: &Metadata) -> Option<(String, Option<Device>)> {
    let number = number_of(metadata)?;
    let device = host.device(&number);
    Some((number, device))
}

/// Refuses an image that the kernel serves as a disk: what it has cached of it would hide, or undo, the stamp.
fn check_image(host: &Host, metadata: &Metadata) -> Result<(), TargetProblem> {
    let is_it = |backing: &Path| {
        let found = backing.metadata();
        found.is_ok_and(|found| (found.dev(), found.ino()) == (metadata.dev(), metadata.ino()))
    };
    let loop_devices = host.loop_devices();
    if let Some((name, _)) = loop_devices.iter().find(|(_, backing)| is_it(backing)) {
        return Err(TargetProblem::AttachedToLoop(name.clone()));
    }
    if let Some(swap) = host.swaps().into_iter().find(|swap| is_it(swap)) {
        return Err(TargetProblem::Swap(swap));
    }
    if loop_devices.is_empty() {
        return Ok(());
    }
    let numbers = (metadata.dev(), metadata.ino());
    match backing_files().into_iter().find(|backing| (backing.device, backing.inode) == numbers) {
        Some(backing) => {
            let name = backing.node.trim_start_matches("/dev/").to_owned();
            Err(TargetProblem::AttachedToLoop(name))
        }
        None => Ok(()),
    }
}

/// Refuses a loop device whose file another one serves as well: neither sees what the other has in its cache, or in use.
fn check_alone(host: &Host, device: &Device) -> Result<(), TargetProblem> {
    if device.kind() != Kind::Loop {
        return Ok(());
    }
    let (all, node) = (backing_files(), device.path());
    let (own, others): (Vec<_>, Vec<_>) = all.iter().partition(|backing| Path::new(&backing.node) == node);
    let is_same =
        |other: &&&BackingFile| own.iter().any(|own| (own.device, own.inode) == (other.device, other.inode));
    let Some(other) = others.iter().find(is_same) else { return Ok(()) };
    let other = other.node.trim_start_matches("/dev/").to_owned();
    let mounts = host.mounts();
    let mounted = host.devices().iter().find(|device| device.name() == other).map(|it| it.mounts(&mounts));
    Err(match mounted.unwrap_or_default().into_iter().next() {
        Some((name, mount)) => TargetProblem::Mounted { name, point: mount.point },
        None => TargetProblem::BehindTwo { other },
    })
}

fn check_whole(device: &Device) -> Result<(), TargetProblem> {
    if let Some(whole) = device.whole() {
        let number = device.attribute("partition").unwrap_or_default();
        return Err(TargetProblem::Partition { number, whole: whole.name() });
    }
    if device.kind() == Kind::HardwarePartition {
        return Err(TargetProblem::HardwarePartition(user_area(&device.name()).to_owned()));
    }
    Ok(())
}

fn check_device(host: &Host, device: &Device, allowed: Allowed) -> Result<(), TargetProblem> {
    check_whole(device)?;
    if allowed.in_use == InUse::Refuse {
        check_use(host, device)?;
    }
    if device.attribute("ro").as_deref() == Some("1") {
        return Err(TargetProblem::ReadOnly);
    }
    check_sector_size(device)?;
    if !is_card(device) && !allowed.fixed_disk {
        return Err(TargetProblem::FixedDisk(model(device)));
    }
    Ok(())
}

fn check_sector_size(device: &Device) -> Result<(), TargetProblem> {
    match device.attribute("queue/logical_block_size").filter(|size| size != SECTOR_SIZE) {
        Some(size) => Err(TargetProblem::SectorSize(size)),
        None => Ok(()),
    }
}

fn is_card(device: &Device) -> bool {
    matches!(device.kind(), Kind::Native | Kind::Removable | Kind::Loop)
}

fn model(device: &Device) -> Option<String> {
    let words: Vec<_> =
        ["device/vendor", "device/model"].iter().filter_map(|name| device.attribute(name)).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Refuses a device that, or a part of which, is mounted, swapped to, or built upon.
fn check_use(host: &Host, device: &Device) -> Result<(), TargetProblem> {
    let (mounts, swaps) = (host.mounts(), host.swaps());
    let parts: Vec<_> = std::iter::once(device.clone()).chain(device.partitions()).collect();

    let mounted: Vec<(String, Mount)> = device.mounts(&mounts);
    let system =
        mounted.iter().find(|(_, mount)| SYSTEM_MOUNTS.iter().any(|point| mount.point == Path::new(point)));
    if let Some((name, mount)) = system {
        return Err(TargetProblem::SystemDisk { name: name.clone(), point: mount.point.clone() });
    }
    if let Some((name, mount)) = mounted.first() {
        return Err(TargetProblem::Mounted { name: name.clone(), point: mount.point.clone() });
    }
    for part in &parts {
        let name = part.name();
        if swaps.iter().any(|swap| swap.ends_with(&name)) {
            return Err(TargetProblem::Swap(Path::new("/dev").join(name)));
        }
        if let Some(holder) = part.holders().first() {
            return Err(TargetProblem::Held { name, by: holder.name() });
        }
        if let Some(by) = host.loop_over(part) {
            let mounted = host.devices().iter().find(|other| other.name() == by).map(|by| by.mounts(&mounts));
            return Err(match mounted.unwrap_or_default().into_iter().next() {
                Some((name, mount)) => TargetProblem::Mounted { name, point: mount.point },
                None => TargetProblem::Held { name, by },
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::fs;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    const ALLOWED: Allowed = Allowed { fixed_disk: true, in_use: InUse::Refuse };
    const NOT_ALLOWED: Allowed = Allowed { fixed_disk: false, in_use: InUse::Refuse };

    /// A `/sys` and `/proc` made of files.
    struct Fake {
        root: TempDir,
    }

    impl Fake {
        fn new() -> Self {
            let fake = Self { root: TempDir::new().unwrap() };
            fake.file("proc/self/mountinfo", "22 1 0:21 / /proc rw shared:1 - proc proc rw\n");
            fake.file("proc/swaps", "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n");
            fake
        }

        fn file(&self, path: &str, text: &str) -> &Self {
            let path = self.root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn append(&self, path: &str, line: &str) -> &Self {
            let old = fs::read_to_string(self.root.path().join(path)).unwrap();
            self.file(path, &format!("{old}{line}\n"))
        }

        fn device(&self, dir: &str, number: &str, attributes: &[(&str, &str)]) -> &Self {
            let plain = [("dev", number), ("ro", "0")];
            for (name, value) in plain.iter().chain(attributes) {
                self.file(&format!("sys/devices/{dir}/{name}"), &format!("{value}\n"));
            }
            let links = self.root.path().join("sys/dev/block");
            fs::create_dir_all(&links).unwrap();
            symlink(self.root.path().join("sys/devices").join(dir), links.join(number)).unwrap();
            self
        }

        /// A whole disk, fixed unless `attributes` say otherwise.
        fn disk(&self, name: &str, number: &str, attributes: &[(&str, &str)]) -> &Self {
            let plain = [("removable", "0"), ("queue/logical_block_size", "512")];
            self.device(name, number, &[&plain, attributes].concat())
        }

        fn card() -> Self {
            let fake = Self::new();
            fake.disk("mmcblk0", "179:0", &[]);
            fake.device("mmcblk0/mmcblk0p1", "179:1", &[("partition", "1")]);
            fake.device("mmcblk0/mmcblk0p2", "179:2", &[("partition", "2")]);
            fake
        }

        /// Something built on the card's second partition.
        fn holder(&self) -> &Self {
            self.disk("dm-0", "254:0", &[]);
            let holders = self.root.path().join("sys/devices/mmcblk0/mmcblk0p2/holders");
            fs::create_dir_all(&holders).unwrap();
            symlink(self.root.path().join("sys/devices/dm-0"), holders.join("dm-0")).unwrap();
            self
        }

        fn mounted(&self, number: &str, point: &str) -> &Self {
            self.append(
                "proc/self/mountinfo",
                &format!("30 22 {number} / {point} rw,relatime - ext4 /dev/x rw"),
            )
        }

        fn check(&self, number: &str, allowed: Allowed) -> Result<(), TargetProblem> {
            let host = Host::at(self.root.path());
            let device = host.device(number).expect("a device of this test");
            check_device(&host, &device, allowed)
        }

        /// Refused, with or without the permission, for this reason.
        #[track_caller]
        fn refuses(&self, number: &str, problem: TargetProblem) {
            for allowed in [NOT_ALLOWED, ALLOWED] {
                assert_eq!(self.check(number, allowed), Err(problem.clone()));
            }
        }
    }

    #[test]
    fn cards_by_whatever_reader_are_accepted() {
        assert!(Fake::card().check("179:0", NOT_ALLOWED).is_ok());
        let fake = Fake::new();
        fake.disk("sdb", "8:16", &[("removable", "1")]).disk("loop3", "7:3", &[]);
        for number in ["8:16", "7:3"] {
            assert!(fake.check(number, NOT_ALLOWED).is_ok());
        }
    }

    #[test]
    fn a_file_that_is_swap_space_is_refused() {
        let fake = Fake::new();
        let file = fake.root.path().join("swap file");
        fs::write(&file, "").unwrap();
        let check = || check_image(&Host::at(fake.root.path()), &file.metadata().unwrap());
        assert_eq!(check(), Ok(()));
        let shown = file.display().to_string().replace(' ', "\\040");
        fake.append("proc/swaps", &format!("{shown}                file\t\t1020\t\t0\t\t-2"));
        assert_eq!(check(), Err(TargetProblem::Swap(file.clone())));
        // A name that is no UTF-8, which hides no other; and one with all that the kernel escapes.
        let odd = fake.root.path().join(OsStr::from_bytes(b"\xff\t\n\\040"));
        fs::write(&odd, "").unwrap();
        let mut table = b"Filename\n".to_vec();
        table.extend_from_slice(fake.root.path().as_os_str().as_bytes());
        table.extend_from_slice(b"/\xff\\011\\012\\134040   file\t\t1020\t\t0\t\t-2\n");
        table.extend_from_slice(format!("{shown}   file\t\t1020\t\t0\t\t-2\n").as_bytes());
        fs::write(fake.root.path().join("proc/swaps"), table).unwrap();
        for file in [&file, &odd] {
            let found = check_image(&Host::at(fake.root.path()), &file.metadata().unwrap());
            assert_eq!(found, Err(TargetProblem::Swap(file.clone())));
        }
    }

    #[test]
    fn fixed_disks_only_by_order() {
        let fake = Fake::new();
        fake.disk("sda", "8:0", &[("device/vendor", "ATA     "), ("device/model", "Big Disk 4000")]);
        fake.disk("nvme0n1", "259:0", &[("device/model", "Fast One")]).disk("vda", "254:16", &[]);
        for (number, model) in
            [("8:0", Some("ATA Big Disk 4000")), ("259:0", Some("Fast One")), ("254:16", None)]
        {
            let refused = Err(TargetProblem::FixedDisk(model.map(str::to_owned)));
            assert_eq!(fake.check(number, NOT_ALLOWED), refused);
            assert!(fake.check(number, ALLOWED).is_ok());
        }
    }

    #[test]
    fn a_part_of_a_card_is_not_the_card() {
        let fake = Fake::card();
        fake.disk("mmcblk0boot0", "179:8", &[]).disk("mmcblk12rpmb", "179:16", &[]);
        let partition = TargetProblem::Partition { number: "1".into(), whole: "mmcblk0".into() };
        for (number, problem) in [
            ("179:1", partition),
            ("179:8", TargetProblem::HardwarePartition("mmcblk0".into())),
            ("179:16", TargetProblem::HardwarePartition("mmcblk12".into())),
        ] {
            fake.refuses(number, problem);
            let device = Host::at(fake.root.path()).device(number).unwrap();
            assert!(check_whole(&device).is_err(), "not even to read");
        }
    }

    #[test]
    fn a_lock_tab_and_large_sectors() {
        let fake = Fake::new();
        fake.disk("mmcblk0", "179:0", &[("ro", "1")]);
        fake.disk("sdb", "8:16", &[("removable", "1"), ("queue/logical_block_size", "4096")]);
        fake.refuses("179:0", TargetProblem::ReadOnly);
        fake.refuses("8:16", TargetProblem::SectorSize("4096".into()));
    }

    #[test]
    fn a_mounted_partition_or_disk() {
        let fake = Fake::card();
        fake.mounted("179:2", "/media/me/my\\040card");
        fake.refuses(
            "179:0",
            TargetProblem::Mounted { name: "mmcblk0p2".into(), point: "/media/me/my card".into() },
        );
        // Somebody else's mount point need not be UTF-8.
        let table = fake.root.path().join("proc/self/mountinfo");
        let other = b"23 1 8:1 / /media/me/\xfc\x80 rw - vfat /dev/sda1 rw\n".to_vec();
        fs::write(&table, [other, fs::read(&table).unwrap()].concat()).unwrap();
        fake.refuses(
            "179:0",
            TargetProblem::Mounted { name: "mmcblk0p2".into(), point: "/media/me/my card".into() },
        );
        // Nor need the card's own.
        let fake = Fake::card();
        fs::write(
            fake.root.path().join("proc/self/mountinfo"),
            b"23 1 179:2 / /media/\xfc\x80 rw - vfat /dev/sda1 rw\n",
        )
        .unwrap();
        let point = OsStr::from_bytes(b"/media/\xfc\x80").into();
        fake.refuses("179:0", TargetProblem::Mounted { name: "mmcblk0p2".into(), point });
        let fake = Fake::card();
        fake.mounted("179:2", "/media/a\\011b\\012c\\134040d");
        let point = "/media/a\tb\nc\\040d".into();
        fake.refuses("179:0", TargetProblem::Mounted { name: "mmcblk0p2".into(), point });
        let fake = Fake::card();
        fake.mounted("179:0", "/mnt");
        fake.refuses("179:0", TargetProblem::Mounted { name: "mmcblk0".into(), point: "/mnt".into() });
        // Another disk's mount is nobody's business.
        let fake = Fake::card();
        fake.mounted("179:10", "/mnt").mounted("8:1", "/");
        assert!(fake.check("179:0", NOT_ALLOWED).is_ok());
    }

    #[test]
    fn the_system_disk() {
        for point in ["/", "/boot", "/boot/firmware", "/usr", "/home"] {
            let fake = Fake::card();
            fake.mounted("179:1", "/mnt").mounted("179:2", point);
            let problem = TargetProblem::SystemDisk { name: "mmcblk0p2".into(), point: point.into() };
            fake.refuses("179:0", problem);
        }
    }

    #[test]
    fn the_system_disk_below_a_mapping() {
        let fake = Fake::card();
        fake.holder().mounted("254:0", "/");
        fake.refuses("179:0", TargetProblem::SystemDisk { name: "dm-0".into(), point: "/".into() });
    }

    #[test]
    fn something_is_built_on_it() {
        let fake = Fake::card();
        fake.holder();
        fake.refuses("179:0", TargetProblem::Held { name: "mmcblk0p2".into(), by: "dm-0".into() });
        fake.mounted("254:0", "/mnt");
        fake.refuses("179:0", TargetProblem::Mounted { name: "dm-0".into(), point: "/mnt".into() });
    }

    #[test]
    fn a_loop_device_is_over_it_or_over_a_part() {
        for (backing, name) in [("/dev/mmcblk0", "mmcblk0"), ("/dev/mmcblk0p2", "mmcblk0p2")] {
            let fake = Fake::card();
            fake.file("sys/block/loop0/loop/backing_file", "/dev/mmcblk0p22\n");
            assert!(fake.check("179:0", NOT_ALLOWED).is_ok());
            fake.file("sys/block/loop1/loop/backing_file", &format!("{backing}\n"));
            fake.refuses("179:0", TargetProblem::Held { name: name.into(), by: "loop1".into() });
        }
    }

    #[test]
    fn swap_space() {
        let fake = Fake::card();
        fake.append("proc/swaps", "/dev/mmcblk0p1                          partition\t4091900\t\t0\t\t-2");
        fake.refuses("179:0", TargetProblem::Swap("/dev/mmcblk0p1".into()));
        let fake = Fake::card();
        fake.append("proc/swaps", "/dev/mmcblk0p11                         partition\t4091900\t\t0\t\t-2");
        assert!(fake.check("179:0", NOT_ALLOWED).is_ok(), "another device whose name starts the same");
    }

    #[test]
    fn an_image_that_a_loop_device_serves() {
        let fake = Fake::new();
        let image = fake.root.path().join("card.img");
        fs::write(&image, [0; 512]).unwrap();
        let host = Host::at(fake.root.path());
        let check = || check_image(&host, &image.metadata().unwrap());
        fake.file("sys/block/loop0/loop/backing_file", "/elsewhere/card.img\n");
        assert!(check().is_ok());
        fake.file("sys/block/loop1/loop/backing_file", &format!("{}\n", image.display()));
        assert_eq!(check(), Err(TargetProblem::AttachedToLoop("loop1".into())));
    }
}
