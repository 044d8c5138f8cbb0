// SPDX-License-Identifier: MIT OR Apache-2.0
//! U-Boot's image formats: the legacy uImage, FIT with data inside or behind it, and bare device trees.

use super::{Extent, Find, Format, checked, plausible};
use crate::bytes::{Bytes, CRC32, SECTOR, len};

const FAMILY: &str = "U-Boot";

/// U-Boot proper or a kernel behind a legacy header.
pub const UIMAGE: Format = Format {
    name: "uImage",
    family: FAMILY,
    magic: &[(0, &[0x27, 0x05, 0x19, 0x56])],
    source: "U-Boot include/image.h legacy_img_hdr",
    find: Find::Anywhere(find_uimage),
};

/// A device tree of images.
pub const FIT: Format = Format {
    name: "FIT",
    family: FAMILY,
    magic: FDT_MAGIC,
    source: "Devicetree specification 5; U-Boot tools/fit_image.c (data-size, data-offset, data-position)",
    find: Find::Anywhere(|bytes| find_tree(bytes, true)),
};

/// A device tree of hardware.
pub const DEVICE_TREE: Format = Format {
    name: "device tree",
    family: FAMILY,
    magic: FDT_MAGIC,
    source: "Devicetree specification 5",
    find: Find::Anywhere(|bytes| find_tree(bytes, false)),
};

const FDT_MAGIC: &[(u64, &[u8])] = &[(0, &[0xd0, 0x0d, 0xfe, 0xed])];

const UIMAGE_HEADER_LEN: u64 = 64;

fn find_uimage(bytes: &[u8]) -> Option<Extent> {
    let header = bytes.span(0, UIMAGE_HEADER_LEN)?;
    let mut digest = CRC32.digest();
    digest.update(header.span(0, 4)?);
    digest.update(&[0; 4]);
    digest.update(Bytes::from(header, 8));
    (digest.finalize() == header.u32_be(4)?).then_some(())?;
    let (data_len, stored) = (u64::from(header.u32_be(12)?), header.u32_be(24)?);
    let name = header.span(32, 32)?.iter().take_while(|&&byte| byte != 0);
    let name: String = name.map(|&byte| char::from(byte)).filter(|char| !char.is_control()).collect();
    let good = checked(bytes.span(UIMAGE_HEADER_LEN, data_len).map(|data| CRC32.checksum(data) == stored));
    Some(match plausible(data_len) {
        Some(data_len) => Extent::new(data_len.checked_add(UIMAGE_HEADER_LEN)?, format!("{name}, {good}")),
        None => Extent::new(SECTOR, format!("{name}, its length field is {data_len:#x}")),
    })
}

const FDT_HEADER_LEN: u64 = 40;

/// The tree, if it is a FIT or is none, as `fit` says.
fn find_tree(bytes: &[u8], fit: bool) -> Option<Extent> {
    let (total, version) = (u64::from(bytes.u32_be(4)?), bytes.u32_be(20)?);
    let (tree_at, strings_at) = (bytes.u32_be(8)?, bytes.u32_be(12)?);
    let compatible = bytes.u32_be(24)?;
    let good = (16..=17).contains(&version)
        // mkimage writes 2 where dtc writes 16.
        && (1..=version).contains(&compatible)
        && [tree_at, strings_at].into_iter().all(|at| (FDT_HEADER_LEN..=total).contains(&at.into()));
    good.then_some(())?;
    let total = plausible(total)?;
    let blob = bytes.span(0, total).unwrap_or(bytes);
    let tree = walk(Bytes::from(blob, tree_at.into()), Bytes::from(blob, strings_at.into()));
    if !fit {
        return (!tree.has_images).then(|| Extent::new(total, ""));
    }
    tree.has_images.then_some(())?;
    let base = total.checked_next_multiple_of(4)?;
    let behind = tree.offset_end.and_then(|end| base.checked_add(end));
    let end = [behind, tree.position_end].into_iter().flatten().filter_map(plausible).fold(total, u64::max);
    let detail = if tree.whole { String::new() } else { "cut off: it may be longer".into() };
    Some(Extent::new(end, detail))
}

/// What matters of a tree.
#[derive(Default)]
struct Tree {
    /// Whether there is a node `/images`.
    has_images: bool,
    /// End of the data behind the tree, counted from its aligned end.
    offset_end: Option<u64>,
    /// The same, counted from the tree's start.
    position_end: Option<u64>,
    /// Whether the walk came to the end.
    whole: bool,
}

const BEGIN_NODE: u32 = 1;
const END_NODE: u32 = 2;
const PROPERTY: u32 = 3;
const NOP: u32 = 4;
const END: u32 = 9;

fn walk(structure: &[u8], strings: &[u8]) -> Tree {
    let mut tree = Tree::default();
    let whole = walk_into(structure, strings, &mut tree);
    tree.whole = whole.is_some();
    tree
}

/// `Some` at the end mark, `None` where the tree stops making sense.
fn walk_into(structure: &[u8], strings: &[u8], tree: &mut Tree) -> Option<()> {
    let mut at = 0_u64;
    let mut depth = 0_u32;
    // Of the node that is open; properties come before its children.
    let (mut size, mut offset, mut position) = (None, None, None);
    loop {
        let token = structure.u32_be(at)?;
        at = at.checked_add(4)?;
        match token {
            BEGIN_NODE => {
                let name = Bytes::from(structure, at);
                let name = name.split(|&byte| byte == 0).next()?;
                at = at.checked_add(len(name))?.checked_add(1)?.checked_next_multiple_of(4)?;
                depth = depth.checked_add(1)?;
                tree.has_images |= depth == 2 && name == b"images";
                (size, offset, position) = (None, None, None);
            }
            END_NODE => depth = depth.checked_sub(1)?,
            PROPERTY => {
                let (value_len, name_at) = (structure.u32_be(at)?, structure.u32_be(at.checked_add(4)?)?);
                let value_at = at.checked_add(8)?;
                let name = Bytes::from(strings, name_at.into());
                let value = || structure.u32_be(value_at).filter(|_| value_len == 4).map(u64::from);
                if name.starts_with(b"data-size\0") {
                    size = value();
                } else if name.starts_with(b"data-offset\0") {
                    offset = value();
                } else if name.starts_with(b"data-position\0") {
                    position = value();
                }
                let end = |start: Option<u64>| start?.checked_add(size?);
                tree.offset_end = tree.offset_end.max(end(offset));
                tree.position_end = tree.position_end.max(end(position));
                at = value_at.checked_add(value_len.into())?.checked_next_multiple_of(4)?;
            }
            NOP => {}
            END => return Some(()),
            _ => return None,
        }
    }
}
