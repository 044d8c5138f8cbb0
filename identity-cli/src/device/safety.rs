// SPDX-License-Identifier: MIT OR Apache-2.0
//! Which targets are never written to, and why.

use std::fs::Metadata;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::sysfs::{Device, Host, Mount};
use crate::args::SafetyArgs;
use crate::error::{Error, Result};

/// Where a running system lives: a disk with one of these mounted is the system disk.
const SYSTEM_MOUNTS: [&str; 7] = ["/", "/boot", "/boot/efi", "/boot/firmware", "/usr", "/var", "/home"];
/// The sector size that the format is made for.
const SECTOR_SIZE: &str = "512";

/// Refuses a part of a card, in which no slot is where it should be.
///
/// # Errors
/// Exit 6 with the reason.
pub fn check_to_read(path: &Path, metadata: &Metadata) -> Result<()> {
    match block_device(&Host::here(), metadata) {
        Some((_, Some(device))) => check_whole(path, &device),
        // Without /sys, as in a small initramfs, reading does no harm.
        _ => Ok(()),
    }
}

/// Refuses what is no card, or is in use.
///
/// # Errors
/// Exit 6 with the reason.
pub fn check_to_write(path: &Path, metadata: &Metadata, allowed: SafetyArgs) -> Result<()> {
    let host = Host::here();
    match block_device(&host, metadata) {
        None => check_image(&host, path, metadata),
        Some((_, Some(device))) => check_device(&host, path, &device, allowed),
        Some((number, None)) => Err(Error::refused(format!(
            "{} (device {number}) is not under /sys, so nothing tells whether it is in use; mount sysfs",
            path.display()
        ))),
    }
}

/// A block device's number, and what `/sys` knows of it.
fn block_device(host: &Host, metadata: &Metadata) -> Option<(String, Option<Device>)> {
    let number = metadata.file_type().is_block_device().then(|| metadata.rdev())?;
    let number = format!("{}:{}", rustix::fs::major(number), rustix::fs::minor(number));
    let device = host.device(&number);
    Some((number, device))
}

/// Refuses an image that the kernel serves as a disk: what it has cached of it would hide, or undo, the stamp.
fn check_image(host: &Host, path: &Path, metadata: &Metadata) -> Result<()> {
    let is_it = |backing: &Path| {
        let found = backing.metadata();
        found.is_ok_and(|found| (found.dev(), found.ino()) == (metadata.dev(), metadata.ino()))
    };
    match host.loop_devices().iter().find(|(_, backing)| is_it(backing)) {
        Some((name, _)) => Err(Error::refused(format!(
            "{} is attached to /dev/{name}; give that, or detach it: losetup -d /dev/{name}",
            path.display()
        ))),
        None => Ok(()),
    }
}

fn check_whole(path: &Path, device: &Device) -> Result<()> {
    let (shown, name) = (path.display(), device.name());
    if let Some(whole) = device.whole() {
        let partition = device.attribute("partition").unwrap_or_default();
        return Err(Error::refused(format!(
            "{shown} is partition {partition} of /dev/{0}; give the whole card, /dev/{0}",
            whole.name()
        )));
    }
    if name.starts_with("mmcblk") && name != user_area(&name) {
        return Err(Error::refused(format!(
            "{shown} is a hardware partition of an eMMC, not its user area; give /dev/{}",
            user_area(&name)
        )));
    }
    Ok(())
}

fn check_device(host: &Host, path: &Path, device: &Device, allowed: SafetyArgs) -> Result<()> {
    check_whole(path, device)?;
    let shown = path.display();
    check_use(host, path, device)?;
    if device.attribute("ro").as_deref() == Some("1") {
        return Err(Error::refused(format!(
            "{shown} is read-only; slide the card's lock tab back, or use another reader"
        )));
    }
    if let Some(size) = device.attribute("queue/logical_block_size").filter(|size| size != SECTOR_SIZE) {
        return Err(Error::refused(format!(
            "{shown} has sectors of {size} bytes; the format is made for cards with 512"
        )));
    }
    if !is_card(device) && !allowed.allow_fixed_disk {
        return Err(Error::refused(format!(
            "{shown} is a fixed disk{}, neither removable nor SD/MMC nor a loop device; \
             check the name, or say --allow-fixed-disk",
            model(device)
        )));
    }
    Ok(())
}

/// `mmcblk0` of `mmcblk0boot1`.
fn user_area(name: &str) -> &str {
    let prefix = "mmcblk".len();
    let digits = name.bytes().skip(prefix).take_while(u8::is_ascii_digit).count();
    &name[..prefix + digits]
}

fn is_card(device: &Device) -> bool {
    let name = device.name();
    device.attribute("removable").as_deref() == Some("1")
        || name.starts_with("mmcblk")
        || name.starts_with("loop")
}

/// `" (ATA Samsung SSD)"`, or nothing.
fn model(device: &Device) -> String {
    let words: Vec<_> =
        ["device/vendor", "device/model"].iter().filter_map(|name| device.attribute(name)).collect();
    if words.is_empty() { String::new() } else { format!(" ({})", words.join(" ")) }
}

/// Refuses a device that, or a part of which, is mounted, swapped to, or built upon.
fn check_use(host: &Host, path: &Path, device: &Device) -> Result<()> {
    let shown = path.display();
    let (mounts, swaps) = (host.mounts(), host.swaps());
    let parts: Vec<_> = std::iter::once(device.clone()).chain(device.partitions()).collect();

    let mounted: Vec<(String, Mount)> = parts.iter().flat_map(|part| mounts_of(part, &mounts)).collect();
    if let Some((name, mount)) =
        mounted.iter().find(|(_, mount)| SYSTEM_MOUNTS.contains(&mount.point.as_str()))
    {
        return Err(Error::refused(format!(
            "{shown} is the system disk ({} is on /dev/{name}); it is never written to",
            mount.point
        )));
    }
    if let Some((name, mount)) = mounted.first() {
        return Err(Error::refused(format!(
            "/dev/{name} is mounted on {0}; unmount it first: umount {0}",
            mount.point
        )));
    }
    for part in &parts {
        let name = part.name();
        if swaps.iter().any(|swap| swap.ends_with(&name)) {
            return Err(Error::refused(format!("/dev/{name} is swap space; swapoff /dev/{name} first")));
        }
        if let Some(holder) = part.holders().first() {
            return Err(Error::refused(format!(
                "/dev/{name} is used by /dev/{}; take that down first",
                holder.name()
            )));
        }
    }
    Ok(())
}

/// Mounts of a device and of everything built on it, with the name of what is mounted.
fn mounts_of(device: &Device, mounts: &[Mount]) -> Vec<(String, Mount)> {
    let number = device.number();
    let own = mounts.iter().filter(|mount| mount.device == number);
    let mut found: Vec<_> = own.map(|mount| (device.name(), mount.clone())).collect();
    for holder in device.holders() {
        found.extend(mounts_of(&holder, mounts));
    }
    found
}
