// SPDX-License-Identifier: MIT OR Apache-2.0
//! Texas Instruments: MLO with a configuration header (OMAP, AM335x and later), certificates of K3, and the
//! descriptors of DaVinci's UBL.

use super::{Extent, Find, Format, plausible};
use crate::bytes::{Bytes, SECTOR};

/// SPL, as the boot ROM takes it from a raw card.
pub const CHSETTINGS: Format = Format {
    name: "MLO (CHSETTINGS)",
    family: "TI OMAP/Sitara",
    magic: &[(0x14, b"CHSETTINGS")],
    source: "U-Boot tools/omapimage.c, tools/gpheader.h",
    find: Find::Anywhere(find_chsettings),
};

/// tiboot3.bin: a certificate, and what it signs.
pub const K3: Format = Format {
    name: "tiboot3 (X.509)",
    family: "TI K3",
    magic: &[(0, &[0x30, 0x82])],
    source: "U-Boot tools/binman/btool/openssl.py: extensions 1.3.6.1.4.1.294.1.{1,9,34}",
    find: Find::Anywhere(find_k3),
};

/// Says where the user boot loader is.
pub const UBL: Format = Format {
    name: "UBL descriptor",
    family: "TI DaVinci",
    magic: &[(1, &[0xed, 0xac, 0xa1])],
    source: "U-Boot tools/ublimage.h",
    find: Find::Anywhere(find_ubl),
};

fn find_chsettings(bytes: &[u8]) -> Option<Extent> {
    let (len, load) = (u64::from(bytes.u32_le(SECTOR)?), bytes.u32_le(SECTOR.checked_add(4)?)?);
    Some(match plausible(len).filter(|_| load != 0) {
        Some(len) => Extent::new(len.checked_add(SECTOR)?, ""),
        None => Extent::new(SECTOR, format!("its length field is {len:#x}")),
    })
}

/// Version 3 of a certificate that starts behind two sequences of two length bytes.
const X509_V3: &[u8] = &[0xa0, 0x03, 0x02, 0x01, 0x02];
/// Object identifier 1.3.6.1.4.1.294.1, Texas Instruments; one more number follows.
const TI_OID: &[u8] = &[0x06, 0x09, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x82, 0x26, 0x01];
const INTEGER: u8 = 0x02;
const SEQUENCE: u8 = 0x30;

fn find_k3(bytes: &[u8]) -> Option<Extent> {
    let certificate_len = u64::from(bytes.u16_be(2)?).checked_add(4)?;
    (bytes.has(4, &[0x30, 0x82]) && bytes.has(8, X509_V3)).then_some(())?;
    let certificate = bytes.span(0, certificate_len)?;
    let extensions = (0..).zip(certificate.windows(TI_OID.len())).filter(|(_, window)| *window == TI_OID);
    let (mut any, mut signed_len) = (false, 0);
    for (at, _) in extensions {
        any = true;
        let extension = Bytes::from(certificate, len_after(at, TI_OID)?);
        signed_len = signed(extension).unwrap_or(0).max(signed_len);
    }
    any.then(|| Extent::new(certificate_len.saturating_add(signed_len), "certificate and what it signs"))
}

fn len_after(at: u64, bytes: &[u8]) -> Option<u64> {
    at.checked_add(crate::bytes::len(bytes))
}

/// The length that an extension states of the signed image, by the extension's number, its first byte.
fn signed(extension: &[u8]) -> Option<u64> {
    // Which integer of the sequence is the image's length.
    let wanted = match extension.byte(0)? {
        // boot_seq: kind, core, options, address (no integer), length.
        1 => 3,
        // ext_boot_info, sysfw_image_integrity: the only or the first one.
        9 | 34 => 0,
        _ => return None,
    };
    let (_, octets, _) = element(Bytes::from(extension, 1))?;
    let (tag, mut rest, _) = element(octets)?;
    (tag == SEQUENCE).then_some(())?;
    let mut integers = 0_u32;
    loop {
        let (tag, content, behind) = element(rest)?;
        if tag == INTEGER {
            if integers == wanted {
                let value = content
                    .iter()
                    .try_fold(0_u64, |value, &byte| value.checked_mul(256)?.checked_add(byte.into()));
                return plausible(value?);
            }
            integers = integers.checked_add(1)?;
        }
        rest = behind;
    }
}

/// One DER element: tag, content, and what follows.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, first) = (der.byte(0)?, der.byte(1)?);
    let (len, at) = match first {
        0..=0x7f => (u64::from(first), 2_u64),
        0x81 => (der.byte(2)?.into(), 3),
        0x82 => (der.u16_be(2)?.into(), 4),
        _ => return None,
    };
    Some((tag, der.span(at, len)?, Bytes::from(der, at.checked_add(len)?)))
}

const UBL_KINDS: [u32; 6] = [0x00, 0x11, 0x22, 0x33, 0x44, 0x55];

fn find_ubl(bytes: &[u8]) -> Option<Extent> {
    let (magic, blocks, start) = (bytes.u32_le(0)?, bytes.u32_le(8)?, bytes.u32_le(12)?);
    let good = UBL_KINDS.contains(&(magic & 0xff)) && (1..=0x4000).contains(&blocks) && start < 0x10_0000;
    good.then(|| Extent::new(SECTOR, ""))
}
