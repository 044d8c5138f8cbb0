// SPDX-License-Identifier: MIT OR Apache-2.0
//! Environments as boards have them, and the two ways to compute one checksum.

use super::*;
use identity_fixtures::loader;
use proptest::prelude::*;

/// As U-Boot stores it, with data that are at least as long as `data`.
fn whole(bytes: &[u8]) -> Gap<'_> {
    Gap::new(bytes, len(bytes) / SECTOR)
}

fn registers_of(bytes: &[u8]) -> Registers {
    Registers::new(bytes, bytes.chunks(512).map(|sector| sector == [0; 512]).collect())
}

fn env(len: usize, flag: Option<u8>, data: &[u8], fill: u8) -> Vec<u8> {
    let mut bytes = vec![fill; len];
    let at = 4 + usize::from(flag.is_some());
    if let Some(flag) = flag {
        bytes[4] = flag;
    }
    bytes[at..at + data.len()].copy_from_slice(data);
    let checksum = CRC32.checksum(&bytes[at..]);
    bytes[..4].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn find(gap: &[u8]) -> Vec<(u64, u64)> {
    let found = find_all(&whole(gap), len(gap) / SECTOR, &mut Budget::FULL.clone());
    let places = found.into_iter().filter(|extent| extent.detail != OTHER_COPY);
    places.map(|extent| (extent.at, extent.len)).collect()
}

#[test]
fn the_place_of_a_second_copy_that_was_never_written_is_not_free() {
    let copy = env(0x2000, Some(1), b"a=b\0\0", 0);
    let mut gap = vec![0; 256 * 512];
    let places = |gap: &[u8]| {
        let found = find_all(&whole(gap), len(gap) / SECTOR, &mut Budget::FULL.clone());
        let places = found.into_iter().filter(|extent| extent.detail == OTHER_COPY);
        places.map(|extent| (extent.at / SECTOR, extent.len / SECTOR)).collect::<Vec<_>>()
    };
    gap[32 * 512..][..0x2000].copy_from_slice(&copy);
    assert_eq!(places(&gap), [(16, 16), (48, 16)]);
    gap[48 * 512..][..0x2000].copy_from_slice(&copy);
    assert_eq!(places(&gap), []);
    // At the gap's ends.
    for (lba, expected) in [(8, [(0, 8), (24, 16)].as_slice()), (240, &[(224, 16)])] {
        let mut gap = vec![0; 256 * 512];
        gap[lba * 512..][..0x2000].copy_from_slice(&copy);
        assert_eq!(places(&gap), expected);
    }
    let single = env(0x2000, None, b"a=b\0\0", 0);
    gap[32 * 512..][..0x2000].copy_from_slice(&single);
    gap[48 * 512..][..0x2000].copy_from_slice(&single);
    assert_eq!(places(&gap), []);
}

/// Values as boards have them that the text alone does not show to be variables.
const ODD_DATA: [&[u8]; 12] = [
    b"bootmenu_title=\x1b[0;34m( ( ( OpenWrt ) ) )\x1b[0m\0\0",
    b"a=\xff\0\0",
    b"label=caf\xe9\0\0",
    b"two words=\t1\0\0",
    b"#=1\0a=\x01\x02\x7f\xfe\0\0",
    b"\xff\xfe=\x80\0\0",
    b"long name=\0last=\0\0",
    // U-Boot and fw_printenv pass over what is no variable.
    b"a=1\0saved\0b=2\0\0",
    b"saved\0a=1\0\0",
    b"a=1\0=2\0\0",
    b"",
    b"\0",
];

#[test]
fn any_byte_but_nul_may_be_in_a_variable() {
    for data in ODD_DATA {
        for flag in [None, Some(0), Some(1), Some(0xff)] {
            for (lba, env_len) in
                [(0, 0x2000), (1, 0x1000), (33, 0x4000), (300, 21 * 512), (40, 0x3f00), (40, 0x2002)]
            {
                let env = env(env_len, flag, data, 0);
                let mut gap = loader::noise(3, 384 * 512);
                gap[lba * 512..][..env_len].copy_from_slice(&env);
                // Zeros behind a flag of zero are also one environment without flag, a byte shorter.
                let is_zeros = data.iter().all(|&byte| byte == 0) && flag == Some(0);
                let found_len = env_len as u64 - u64::from(is_zeros && env_len % 512 != 0);
                assert_eq!(find(&gap), [(lba as u64 * 512, found_len)], "{data:x?} {flag:?} {env_len:#x}");
                gap[lba * 512] ^= 1;
                assert_eq!(find(&gap), [], "{data:x?} {flag:?} {env_len:#x}");
            }
        }
    }
}

/// What `fw_setenv` leaves when the last variable goes: two NULs, and behind them what its memory held.
#[test]
fn no_variable_and_noise_further_on() {
    for env_len in [0x2000, 0x2002, 0x3f00, 21 * 512 + 8] {
        let mut data = vec![0; 4096];
        data.extend(loader::noise(7, 8));
        let env = env(env_len, None, &data, 0);
        let mut gap = vec![0; 384 * 512];
        gap[33 * 512..][..env_len].copy_from_slice(&env);
        assert_eq!(find(&gap), [(33 * 512, env_len as u64)], "{env_len:#x}");
    }
}

/// At the usual lengths the checksum alone decides, whatever the data are.
#[test]
fn no_text_is_needed_at_a_usual_length() {
    for sectors in [2, 4, 8, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048] {
        for flag in [None, Some(1)] {
            let env = env(sectors * 512, flag, &loader::noise(5, sectors * 512 - 5), 0xff);
            let mut gap = vec![0; 3000 * 512];
            gap[700 * 512..][..env.len()].copy_from_slice(&env);
            assert_eq!(find(&gap), [(700 * 512, env.len() as u64)], "{sectors} {flag:?}");
        }
    }
}

#[test]
fn what_the_budget_does_not_reach_is_not_free() {
    let mut gap = vec![0; 256 * 512];
    for lba in 20..200 {
        gap[lba * 512..][..9].copy_from_slice(b"\x01\x02\x03\x04a=b\0\0");
    }
    let mut budget = Budget(1000);
    let found = find_all(&whole(&gap), 256, &mut budget);
    let last = found.last().unwrap();
    assert_eq!((last.at + last.len, &*last.detail), (256 * 512, UNJUDGED));
    assert!(last.at < 30 * 512, "{last:?}");
}

/// [`text_ends`] by its definition, from the front.
fn text_end(gap: &[u8], lba: usize, data_at: usize) -> Option<u64> {
    let sector = &gap[lba * 512..][..512];
    let mut at = data_at;
    if sector[at..].iter().all(|&byte| byte == 0) {
        return sector.iter().any(|&byte| byte != 0).then_some(at as u64 + 1);
    }
    let bytes = &gap[lba * 512..];
    let (mut count, mut others) = (0, 0);
    loop {
        let string_len = bytes[at..].iter().position(|&byte| byte == 0)?;
        let string = &bytes[at..][..string_len];
        at += string_len + 1;
        match string {
            [] => return (0 < count && others < count && others <= 1 + count / 8).then_some(at as u64),
            [_, rest @ ..] if rest.contains(&b'=') => {}
            _ => others += 1,
        }
        count += 1;
    }
}

/// Sectors of zeros, of 0xFF, of text and of noise.
fn mixed(seed: u64, kinds: &[u8]) -> Vec<u8> {
    let mut gap = loader::noise(seed, kinds.len() * 512);
    for (kind, sector) in kinds.iter().zip(gap.chunks_mut(512)) {
        match kind {
            0 => sector.fill(0),
            1 => sector.fill(0xff),
            2 => sector.iter_mut().for_each(|byte| *byte = b"a=\0bc=d==\0\xff"[usize::from(*byte) % 11]),
            // Whole strings, of which the last may go on in the next sector.
            3 => sector.iter_mut().zip(b"a==\0".iter().cycle()).for_each(|(byte, text)| *byte = *text),
            4 => sector[seed as usize % 512..].fill(0),
            _ => {}
        }
    }
    gap
}

proptest! {
    /// The registers and the plain checksum agree on every length.
    #[test]
    fn registers_are_the_checksum(
        seed: u64,
        kinds in prop::collection::vec(0_u8..6, 64),
        lba in 0_u64..20,
        sectors in 1_u64..40,
        redundant: bool,
    ) {
        let gap = mixed(seed, &kinds);
        let registers = registers_of(&gap);
        let mut start = registers.start(&gap, lba, if redundant { 5 } else { 4 }).unwrap();
        let (from, to) = (lba * 512 + start.data_at, (lba + sectors) * 512);
        start.stored = CRC32.checksum(&gap[from as usize..to as usize]);
        let register = (0..sectors).fold(start.register, |register, _| ONE_SECTOR.apply(register));
        prop_assert!(start.has_len(&registers, sectors, register));
        if let Some((_, zeros)) = USUAL.iter().find(|(usual, _)| *usual == sectors) {
            prop_assert_eq!(zeros.apply(start.register), register);
        }
        start.stored ^= 1;
        prop_assert!(!start.has_len(&registers, sectors, register));
    }

    #[test]
    fn variables_end_where_they_end_from_the_front(
        seed: u64,
        kinds in prop::collection::vec(0_u8..6, 1..24),
    ) {
        let gap = mixed(seed, &kinds);
        for (lba, ends) in text_ends(&gap, &registers_of(&gap).is_zero).into_iter().enumerate() {
            prop_assert_eq!(ends, [text_end(&gap, lba, 4), text_end(&gap, lba, 5)], "sector {} of {:?}", lba, kinds);
        }
    }
}
