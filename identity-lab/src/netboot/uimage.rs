// SPDX-License-Identifier: MIT OR Apache-2.0
//! U-Boot's legacy images, as `mkimage` makes them; the header is U-Boot's `include/image.h`, `struct legacy_img_hdr`.

use crc::{CRC_32_ISO_HDLC, Crc};

const MAGIC: u32 = 0x2705_1956;
const HEADER_LEN: usize = 64;
/// Bytes of the name; one that is longer is cut off.
const NAME_LEN: usize = 32;
const OS_LINUX: u8 = 5;
const TYPE_KERNEL: u8 = 2;
const TYPE_SCRIPT: u8 = 6;
const NOT_COMPRESSED: u8 = 0;
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISO_HDLC);

/// A processor's architecture, by its number in an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arch {
    /// 32-bit Arm.
    Arm = 2,
    /// AArch64, in U-Boot's words arm64.
    Arm64 = 22,
    /// RISC-V, of either width.
    Riscv = 26,
}

/// `mkimage -A arm -T script -n NAME`, at time 0.
pub fn script(name: &str, text: &str) -> Vec<u8> {
    let len = u32::try_from(text.len()).unwrap_or(u32::MAX);
    // A list of lengths that a zero ends, as of an image with several parts.
    let data = [&len.to_be_bytes()[..], &[0; 4], text.as_bytes()].concat();
    image(Arch::Arm, TYPE_SCRIPT, 0, name, &data)
}

/// `mkimage -A ARCH -O linux -T kernel -C none -a ADDRESS -e ADDRESS -n NAME`, at time 0.
pub fn kernel(arch: Arch, address: u32, name: &str, bytes: &[u8]) -> Vec<u8> {
    image(arch, TYPE_KERNEL, address, name, bytes)
}

fn image(arch: Arch, kind: u8, address: u32, name: &str, data: &[u8]) -> Vec<u8> {
    let len = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let mut image = Vec::with_capacity(HEADER_LEN + data.len());
    for word in [MAGIC, 0, 0, len, address, address, CRC.checksum(data)] {
        image.extend(word.to_be_bytes());
    }
    image.extend([OS_LINUX, arch as u8, kind, NOT_COMPRESSED]);
    let name = &name.as_bytes()[..name.len().min(NAME_LEN)];
    image.extend(name);
    image.resize(HEADER_LEN, 0);
    let crc = CRC.checksum(&image).to_be_bytes();
    image[4..8].copy_from_slice(&crc);
    image.extend(data);
    image
}

/// A program for AArch64 behind the header that `booti` wants: Linux' `Documentation/arch/arm64/booting.rst`.
pub fn with_linux_header(bytes: &[u8]) -> Vec<u8> {
    /// The program begins behind a page: `b #0x1000` leads there.
    const HEADER_LEN: usize = 4096;
    const BRANCH: u32 = 0x1400_0400;
    /// Little-endian, pages of 4 KiB, at any address.
    const FLAGS: u64 = 0xa;
    let size = (HEADER_LEN + bytes.len()) as u64;
    let mut image = Vec::with_capacity(HEADER_LEN + bytes.len());
    image.extend(BRANCH.to_le_bytes());
    image.extend([0; 4]);
    for field in [0, size, FLAGS, 0, 0, 0] {
        image.extend(field.to_le_bytes());
    }
    image.extend(*b"ARM\x64");
    image.resize(HEADER_LEN, 0);
    image.extend(bytes);
    image
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::process::Command;

    use identity_fixtures::skipped;

    /// What mkimage makes of these arguments and data.
    fn mkimage(args: &[&str], data: &[u8]) -> Option<Vec<u8>> {
        let dir = tempfile::tempdir().unwrap();
        let (from, to) = (dir.path().join("in"), dir.path().join("out"));
        fs::write(&from, data).unwrap();
        let mut mkimage = Command::new("mkimage");
        mkimage.args(args).arg("-d").arg(&from).arg(&to).env("SOURCE_DATE_EPOCH", "0");
        let Ok(output) = mkimage.output() else {
            skipped("mkimage is not installed");
            return None;
        };
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Some(fs::read(to).unwrap())
    }

    #[test]
    fn a_script_is_mkimages_byte_for_byte() {
        for (name, text) in
            [("lab", "echo hello\n"), ("", "#\n"), ("a name of more than thirty-two bytes", "a\nbc")]
        {
            let args = ["-A", "arm", "-O", "linux", "-T", "script", "-C", "none", "-n", name];
            if let Some(theirs) = mkimage(&args, text.as_bytes()) {
                assert_eq!(script(name, text), theirs, "{name}");
            }
        }
    }

    #[test]
    fn a_kernel_is_mkimages_byte_for_byte() {
        for (arch, word) in [(Arch::Arm, "arm"), (Arch::Arm64, "arm64"), (Arch::Riscv, "riscv")] {
            let args = [
                "-A",
                word,
                "-O",
                "linux",
                "-T",
                "kernel",
                "-C",
                "none",
                "-a",
                "0x60800000",
                "-e",
                "0x60800000",
                "-n",
                "u",
            ];
            let data: Vec<u8> = (0..=255).cycle().take(5001).collect();
            if let Some(theirs) = mkimage(&args, &data) {
                assert_eq!(kernel(arch, 0x6080_0000, "u", &data), theirs, "{word}");
            }
        }
    }

    #[test]
    fn the_header_for_booti_is_that_of_the_kernels_document() {
        let image = with_linux_header(b"code");
        assert_eq!(&image[..4], &0x1400_0400_u32.to_le_bytes());
        assert_eq!(&image[16..24], &4100_u64.to_le_bytes());
        assert_eq!(&image[24..32], &0xa_u64.to_le_bytes());
        assert_eq!((&image[56..60], &image[4096..]), (&b"ARM\x64"[..], &b"code"[..]));
    }
}
