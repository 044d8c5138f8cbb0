// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is not the image of a card, by its bytes: packed, wrapped, or made for another purpose. Such a file is never
//! written, for no board could read it.
//!
//! Sources: the magic numbers of file(1) 5.44 and of each format's own tool or specification.

use std::io::Read;

/// Something that is not the image of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// What it is, with its article.
    pub name: &'static str,
    /// What can be done with it.
    pub kind: ForeignKind,
}

/// What can be done with a file that is not the image of a card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForeignKind {
    /// Unpack it by this command line, in which `FILE` stands for its name.
    Packed(&'static str),
    /// Take the image out of it.
    Archive,
    /// Convert it by `qemu-img`, which calls the format so.
    VirtualDisk(&'static str),
    /// One of the files of a virtual disk: convert the disk, by the file that describes it.
    DiskExtent,
    /// Convert it by `simg2img`.
    AndroidSparse,
    /// A vendor's own tool writes it.
    Firmware,
    /// It belongs into a partition, or is loaded by a boot loader.
    Part,
    /// It is a document, such as the page of a failed download.
    Document,
}

use ForeignKind::{AndroidSparse, Archive, DiskExtent, Document, Firmware, Packed, Part, VirtualDisk};

/// Offset, magic, name, kind. Nothing here can be LBA 0 of a card: where a magic is short, [`is_more`] looks further.
const MAGICS: [(usize, &[u8], &str, ForeignKind); 63] = [
    (0, b"\x04\x22\x4d\x18", "an lz4 file", Packed("lz4 -dc FILE > FILE.img")),
    (0, b"\x02\x21\x4c\x18", "an lz4 file in the legacy format", Packed("lz4 -dc FILE > FILE.img")),
    (0, b"LZIP", "an lzip file", Packed("lzip -dc FILE > FILE.img")),
    (0, b"\x89LZO\0\r\n\x1a\n", "an lzop file", Packed("lzop -dc FILE > FILE.img")),
    (0, b"\x1f\x9d", "a file of compress", Packed("gzip -dc FILE > FILE.img")),
    (0, b"LRZI", "an lrzip file", Packed("lrzip -d -o FILE.img FILE")),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7z archive", Archive),
    (0, b"Rar!\x1a\x07", "a rar archive", Archive),
    (0, b"MSCF\0\0\0\0", "a cabinet archive", Archive),
    (0, b"xar!", "a xar archive", Archive),
    (0, b"PK\x05\x06", "an empty zip archive", Archive),
    (0, b"PK\x07\x08", "a split zip archive", Archive),
    (257, b"ustar", "a tar archive", Archive),
    (0, b"070701", "a cpio archive", Archive),
    (0, b"070702", "a cpio archive (SWUpdate's SWU files are such)", Archive),
    (0, b"070707", "a cpio archive", Archive),
    (0, b"\xc7\x71", "a cpio archive", Archive),
    (0, b"\x71\xc7", "a cpio archive", Archive),
    (0, b"!<arch>\n", "an ar archive or Debian package", Archive),
    (0, b"\xed\xab\xee\xdb", "an RPM package", Archive),
    (0, b"MSWIM\0\0\0", "a WIM image", Archive),
    (0, b"partclone-image", "a partclone image of one partition", Part),
    (0, b"\x3a\xff\x26\xed", "an Android sparse image", AndroidSparse),
    (0, b"QFI\xfb\0\0\0\x01", "a QCOW image", VirtualDisk("qcow")),
    (0, b"QFI\xfb", "a QCOW image", VirtualDisk("qcow2")),
    (0, b"QED\0", "a QED image", VirtualDisk("qed")),
    (0, b"KDMV", "a VMDK image", VirtualDisk("vmdk")),
    (0, b"COWD", "a part of a VMDK image", DiskExtent),
    (0, b"# Disk DescriptorFile", "the description of a VMDK image", VirtualDisk("vmdk")),
    (0, b"vhdxfile", "a VHDX image", VirtualDisk("vhdx")),
    (0, b"conectix", "a VHD image", VirtualDisk("vpc")),
    (64, b"\x7f\x10\xda\xbe", "a VDI image", VirtualDisk("vdi")),
    (0, b"WithoutFreeSpace", "a Parallels image", VirtualDisk("parallels")),
    (0, b"WithouFreSpacExt", "a Parallels image", VirtualDisk("parallels")),
    (0, b"Bochs Virtual HD Image", "a Bochs image", VirtualDisk("bochs")),
    (0, b"OOOM", "a User-mode Linux COW image", Packed("uml_moo FILE FILE.img")),
    (0, b"MComprHD", "a CHD image", Packed("chdman extractraw -i FILE -o FILE.img")),
    (0, b"EVF\x09\x0d\x0a\xff\0", "an EWF image", Packed("ewfexport -u -f raw -t - FILE > FILE.img")),
    (0, b"RKFW", "a Rockchip firmware package (RKFW)", Firmware),
    (0, b"RKAF", "a Rockchip firmware package (RKAF)", Firmware),
    (0, b"IMAGEWTY", "an Allwinner firmware package (PhoenixSuit, LiveSuit)", Firmware),
    (8, b"\x56\x19\xb5\x27", "an Amlogic firmware package (USB Burning Tool)", Firmware),
    (0, b"UF2\nWQ]\x9e", "a UF2 file", Firmware),
    (0, b"CrAU", "an Android update payload", Firmware),
    (0, b"SBOOT\0", "a Samsung boot image", Firmware),
    (0, b"DfuSe", "a DFU file", Firmware),
    (0, b"ANDROID!", "an Android boot image", Part),
    (0, b"VNDRBOOT", "an Android vendor boot image", Part),
    (0, b"hsqs", "a squashfs file system", Part),
    (0, b"sqsh", "a squashfs file system", Part),
    (1024, b"\xe2\xe1\xf5\xe0", "an EROFS file system", Part),
    (0, b"\x45\x3d\xcd\x28", "a cramfs file system", Part),
    (0, b"-rom1fs-", "a romfs file system", Part),
    (0, b"UBI#", "a UBI image for raw flash", Part),
    (0, b"\x31\x18\x10\x06", "a UBIFS image for raw flash", Part),
    (0, b"\x85\x19\x03\x20", "a JFFS2 image for raw flash", Part),
    (0, b"\x27\x05\x19\x56", "a U-Boot image", Part),
    (0, b"\xd0\x0d\xfe\xed", "a device tree or FIT image", Part),
    (0, b"\x7fELF", "an ELF program", Part),
    (0, b"%PDF-", "a PDF document", Document),
    (0, b"<?xml", "an XML document", Document),
    (0, b"version https://git-lfs", "a Git LFS pointer", Document),
    (0, b"-----BEGIN PGP", "a signature or encrypted message", Document),
];

/// What a file is that begins with `lead`, at least 2 KiB of it unless it is shorter; `None` if it may be the image of a
/// card.
pub fn recognise(lead: &[u8]) -> Option<Foreign> {
    let has = |at: usize, magic: &[u8]| lead.get(at..).is_some_and(|rest| rest.starts_with(magic));
    // A table of partitions, and a signature that only it has: whatever else is in LBA 0 is a boot program.
    let has_signature = has(510, &[0x55, 0xaa]);
    let is_it = |&&(at, magic, ..): &&(usize, &[u8], &str, ForeignKind)| {
        // A short magic, or one that may be left over behind LBA 0 of a card, proves nothing beside a boot signature.
        has(at, magic) && !(has_signature && (at > 510 || magic.len() < 4))
    };
    if let Some((_, _, name, kind)) = MAGICS.iter().find(is_it) {
        if is_vmdk_extent(lead) {
            return Some(Foreign { name: "a part of a VMDK image", kind: DiskExtent });
        }
        return Some(Foreign { name, kind: *kind });
    }
    if has_signature {
        return None;
    }
    if is_lzma(lead) {
        return Some(Foreign { name: "an lzma file", kind: Packed("xz -dc --format=lzma FILE > FILE.img") });
    }
    if is_zlib(lead) {
        return Some(Foreign { name: "a zlib stream", kind: Packed("pigz -dc < FILE > FILE.img") });
    }
    if is_old_tar(lead) {
        return Some(Foreign { name: "a tar archive", kind: Archive });
    }
    if is_html(lead) {
        return Some(Foreign { name: "a web page", kind: Document });
    }
    None
}

/// What an image is by its last sector: a VHD of fixed length is a raw image with a footer, of 512 bytes or, from early
/// versions, 511.
pub fn recognise_end(tail: &[u8]) -> Option<Foreign> {
    let footers = [512, 511].into_iter().filter_map(|len| tail.get(tail.len().checked_sub(len)?..));
    if footers.into_iter().any(|footer| footer.starts_with(b"conectix")) {
        return Some(Foreign { name: "a VHD image", kind: VirtualDisk("vpc") });
    }
    let is_dmg = tail.len().checked_sub(512).is_some_and(|at| tail[at..].starts_with(b"koly\0\0\0\x04"));
    is_dmg.then_some(Foreign { name: "an Apple disk image", kind: Packed("dmg2img FILE FILE.img") })
}

/// A sparse VMDK file without a description in it: one of several, and another file describes the disk. Source: VMware,
/// "Virtual Disk Format 5.0", `SparseExtentHeader`.
fn is_vmdk_extent(lead: &[u8]) -> bool {
    let sector =
        lead.get(28..).and_then(|rest| rest.first_chunk()).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    let at = sector.checked_mul(512).and_then(|at| usize::try_from(at).ok());
    // What lies farther behind is not known.
    let description = at.map(|at| (at, lead.get(at..).unwrap_or_default()));
    let has_none = description.is_none_or(|(at, text)| at == 0 || text.first() == Some(&0));
    lead.starts_with(b"KDMV") && has_none
}

/// The header of "LZMA_Alone": properties, dictionary (2^n or 2^n + 2^(n-1) as all encoders write it), length or -1, and the
/// range coder's first byte, which is zero. Source: xz, `src/liblzma/common/alone_decoder.c`.
fn is_lzma(lead: &[u8]) -> bool {
    let Some((&[properties, d0, d1, d2, d3, ref length @ .., 0], _)) = lead.split_first_chunk::<14>() else {
        return false;
    };
    let dictionary = u32::from_le_bytes([d0, d1, d2, d3]);
    let is_dictionary = dictionary >= 4096
        && (dictionary.count_ones() == 1
            || dictionary.count_ones() == 2 && (dictionary >> dictionary.trailing_zeros()) == 3);
    let length = length.iter().rev().fold(0_u64, |sum, &byte| sum << 8 | u64::from(byte));
    // (pb * 5 + lp) * 9 + lc, of which liblzma takes lc + lp up to 4.
    let (lc, lp, pb) = (properties % 9, properties / 9 % 5, properties / 45);
    pb <= 4 && lc + lp <= 4 && is_dictionary && (length == u64::MAX || (1..1 << 38).contains(&length))
}

/// The header of a zlib stream with the window that all encoders write (RFC 1950, section 2.2), and data that can be unpacked.
fn is_zlib(lead: &[u8]) -> bool {
    let is_header = matches!(lead, [0x78, 0x01 | 0x5e | 0x9c | 0xda, ..]);
    let mut unpacked = [0; 512];
    is_header && flate2::read::ZlibDecoder::new(lead).read(&mut unpacked).is_ok_and(|len| len > 0)
}

/// The header of a tar archive of Unix v7, which has no magic: its checksum is right, and its name is a text.
fn is_old_tar(lead: &[u8]) -> bool {
    let Some(header) = lead.first_chunk::<512>() else { return false };
    let octal = |field: &[u8]| {
        let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
        u32::from_str_radix(text, 8).ok()
    };
    let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
    let field: u32 = header[148..156].iter().map(|&byte| u32::from(byte)).sum();
    let is_name = header[0].is_ascii_graphic() && octal(&header[124..136]).is_some();
    is_name && octal(&header[148..156]) == Some(sum - field + 8 * u32::from(b' '))
}

fn is_html(lead: &[u8]) -> bool {
    let text = lead.trim_ascii_start();
    let starts = |with: &[u8]| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with));
    starts(b"<!doctype html") || starts(b"<html")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_signature_beats_a_short_magic() {
        for (at, magic, name, _) in MAGICS {
            let mut lead = vec![0; 4096];
            lead[at..at + magic.len()].copy_from_slice(magic);
            if magic == b"KDMV" {
                // Its description follows.
                lead[28] = 1;
                lead[512] = b'#';
            }
            assert_eq!(recognise(&lead).map(|foreign| foreign.name), Some(name));
            lead[510..512].copy_from_slice(&[0x55, 0xaa]);
            assert_eq!(recognise(&lead).is_some(), at < 510 && magic.len() >= 4, "{name}");
        }
        for len in 0..20 {
            assert_eq!(recognise(&vec![0; len]), None);
            assert_eq!(recognise_end(&vec![0; len]), None);
        }
    }

    #[test]
    fn lzma_of_every_preset() {
        for preset in 0..=9 {
            let options = liblzma::stream::LzmaOptions::new_preset(preset).unwrap();
            let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
            let mut packed = Vec::new();
            let mut encoder = liblzma::read::XzEncoder::new_stream(&[7_u8; 1000][..], stream);
            std::io::Read::read_to_end(&mut encoder, &mut packed).unwrap();
            assert_eq!(recognise(&packed).map(|foreign| foreign.name), Some("an lzma file"), "{preset}");
        }
        let mut options = liblzma::stream::LzmaOptions::new_preset(0).unwrap();
        options.literal_context_bits(0).literal_position_bits(2);
        let stream = liblzma::stream::Stream::new_lzma_encoder(&options).unwrap();
        let mut packed = Vec::new();
        let mut encoder = liblzma::read::XzEncoder::new_stream(&[7_u8; 1000][..], stream);
        std::io::Read::read_to_end(&mut encoder, &mut packed).unwrap();
        assert_eq!(recognise(&packed).map(|foreign| foreign.name), Some("an lzma file"));
        assert_eq!(recognise(&[0; 512]), None);
        assert_eq!(recognise(&[0x5d; 512]), None);
    }

    #[test]
    fn zlib_of_every_level() {
        for level in 0..=9 {
            let mut encoder =
                flate2::read::ZlibEncoder::new(&[7_u8; 100_000][..], flate2::Compression::new(level));
            let mut packed = Vec::new();
            encoder.read_to_end(&mut packed).unwrap();
            packed.truncate(2048);
            assert_eq!(recognise(&packed).map(|foreign| foreign.name), Some("a zlib stream"), "{level}");
            packed[2..].fill(0xff);
            assert_eq!(recognise(&packed), None);
        }
    }
}
