// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whether two open files are the same storage: the same file or device, or one made of the other, such as a loop device and
//! the file behind it. Decided by device and inode numbers of what is open; names only help to find what is below.

use std::fs::{self, File, Metadata};
use std::os::unix::fs::{FileTypeExt, MetadataExt};

use super::sysfs::{Device, Host, Kind, as_text, backing_files, number};

/// Devices below one another that are followed.
const DEPTH_MAX: usize = 16;

/// Something that bytes are stored in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// A file, or a device's node: numbers of its file system and its inode.
    Inode(u64, u64),
    /// A block device's number.
    Device(u64),
}

/// Whether writing to one changes what is read from the other.
pub fn share_storage(one: &File, other: &File) -> bool {
    let (one, other) = (all(one), all(other));
    one.iter().any(|layer| other.contains(layer))
}

fn all(file: &File) -> Vec<Layer> {
    let mut layers = Vec::new();
    if let Ok(metadata) = file.metadata() {
        add(&Host::here(), &metadata, &mut layers, 0);
    }
    layers
}

fn add(host: &Host, metadata: &Metadata, layers: &mut Vec<Layer>, depth: usize) {
    let kind = metadata.file_type();
    if kind.is_file() || kind.is_block_device() {
        layers.push(Layer::Inode(metadata.dev(), metadata.ino()));
    }
    if kind.is_block_device() {
        layers.push(Layer::Device(metadata.rdev()));
        if let Some(device) = host.device(&as_text(metadata.rdev())) {
            add_below(host, &device, layers, depth);
        }
    }
}

/// What a device is made of: the whole one of a partition, those that a mapping uses, the file behind a loop device.
fn add_below(host: &Host, device: &Device, layers: &mut Vec<Layer>, depth: usize) {
    if depth > DEPTH_MAX {
        return;
    }
    for below in device.whole().into_iter().chain(device.slaves()) {
        layers.extend(number(&below.number()).map(Layer::Device));
        add_below(host, &below, layers, depth + 1);
    }
    if device.kind() != Kind::Loop || device.whole().is_some() {
        return;
    }
    let node = device.path();
    let backing = backing_files().into_iter().filter(|backing| std::path::Path::new(&backing.node) == node);
    layers.extend(backing.map(|backing| Layer::Inode(backing.device, backing.inode)));
    // The name may be of another mount namespace, or gone: the numbers above are what counts.
    if let Some(metadata) = device.attribute("loop/backing_file").and_then(|path| fs::metadata(path).ok()) {
        add(host, &metadata, layers, depth + 1);
    }
}
