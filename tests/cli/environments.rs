// SPDX-License-Identifier: MIT OR Apache-2.0
//! What `fw_printenv` prints of a card's U-Boot environments stays as it is, whatever bytes are in them, through `stamp` and
//! `flash`.

use std::fs;
use std::path::Path;
use std::process::Output;

use identity_tests::cli::tool;
use identity_tests::image::Image;
use identity_tests::random::Random;

/// Where boards have environments before their first partition: `kind = "env"` of the list of regions in `families.rs`. LBA
/// and length in sectors; the second copy of a redundant one lies right behind.
const PLACES: [(u32, u32); 39] = [
    (1, 8),
    (16, 8),
    (16, 16),
    (32, 32),
    (33, 32),
    (34, 16),
    (34, 32),
    (40, 24),
    (50, 16),
    (52, 2),
    (56, 8),
    (56, 16),
    (256, 16),
    (258, 32),
    (512, 32),
    (768, 16),
    (1024, 16),
    (1073, 32),
    (1088, 256),
    (1280, 128),
    (1536, 16),
    (1700, 128),
    (1792, 16),
    (1920, 128),
    (2048, 8),
    (2048, 16),
    (2560, 32),
    (2700, 512),
    (3072, 128),
    (3840, 128),
    (4096, 32),
    (4864, 512),
    (5120, 32),
    (6144, 16),
    (6144, 1024),
    (6272, 32),
    (6600, 21),
    (6600, 512),
    (6900, 65),
];
const PARTITION_LBA: u32 = 12288;
const SECTORS: usize = 16384;

/// A value with any byte but NUL, and for one in two a name with any but NUL and `=`.
fn variable(random: &mut Random, number: u64) -> Vec<u8> {
    let mut any = |least: u64, most: u64, mut not: Vec<u8>| {
        not.push(0);
        let len = least + random.below(most - least);
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < len {
            let byte = random.draw() as u8;
            if !not.contains(&byte) {
                bytes.push(byte);
            }
        }
        bytes
    };
    let mut name = format!("v{number}").into_bytes();
    // The tool cuts names at a newline; a byte in front keeps it from taking one for a comment.
    name.extend(any(0, 12, b"=\n\r".to_vec()));
    name.push(b'=');
    name.extend(any(1, 200, b"\n\r".to_vec()));
    name
}

/// As U-Boot writes it, with `len` bytes and its flag, if it is one of two.
fn environment(random: &mut Random, len: usize, flag: Option<u8>) -> Vec<u8> {
    let fill = [0, 0xff][random.below(2) as usize];
    let mut data = Vec::new();
    let kept = [
        &b"bootmenu_title=\x1b[0;34m( ( ( OpenWrt ) ) )\x1b[0m"[..],
        b"label=caf\xe9",
        b"two words=\t1",
        b"ff=\xff\xff",
        b"bootcmd=run distro_bootcmd",
    ];
    let count = random.below(6);
    for number in 0..=count {
        let more = if random.below(2) == 0 {
            kept[random.below(5) as usize].to_vec()
        } else {
            variable(random, number)
        };
        if data.len() + more.len() + 8 > len.min(2000) {
            break;
        }
        data.extend(more);
        data.push(0);
    }
    data.extend([0, 0]);
    let at = 4 + usize::from(flag.is_some());
    data.resize(len - at, fill);
    let crc = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&data);
    [&crc.to_le_bytes()[..], flag.as_slice(), &data].concat()
}

/// What the tool says of the environments of a card.
fn fw_printenv(image: &Path, environments: &[(u32, usize)]) -> Output {
    let config = image.with_extension("config");
    let line = |(lba, len): &(u32, usize)| format!("{} {:#x} {len:#x}\n", image.display(), lba * 512);
    fs::write(&config, environments.iter().map(line).collect::<String>()).expect("own directory");
    let output =
        tool("fw_printenv").arg("-c").arg(&config).output().expect("fw_printenv, of libubootenv-tool");
    fs::remove_file(&config).expect("own file");
    output
}

/// Stamps a card with an environment, flashes it to a stamped card, and has `fw_printenv` compare. Says whether it was
/// stamped, or refused because no two slots were left.
fn check(random: &mut Random, lba: u32, sectors: u32) -> bool {
    let redundant = random.below(2) == 1;
    let len = sectors as usize * 512;
    let second = lba + sectors;
    let image = Image::sfdisk(SECTORS as u64, &format!("start={PARTITION_LBA}, type=83\n"));
    let mut places = vec![(lba, len)];
    if redundant {
        image.put(lba, &environment(random, len, Some(1)));
        image.put(second, &environment(random, len, Some(2)));
        places.push((second, len));
    } else {
        image.put(lba, &environment(random, len, None));
    }
    let before = fw_printenv(image.path(), &places);
    assert!(before.status.success() && !before.stdout.is_empty(), "LBA {lba}, {sectors} sectors: {before:?}");
    let original = image.bytes();
    let stamped = image.run("stamp --profile panda");
    assert_eq!(
        before,
        fw_printenv(image.path(), &places),
        "stamp; LBA {lba}, {sectors} sectors, {redundant}"
    );
    let whole = lba..lba + sectors * (1 + u32::from(redundant));
    let changed = image.changed_since(&original);
    assert!(changed.iter().all(|lba| !whole.contains(&(*lba as u32))), "{changed:?} in {whole:?}");

    // The same as an image, onto a card that has an identity: one of a few.
    if std::env::var_os("IDENTITY_PROOF").is_none() && !random.below(8).eq(&0) {
        return stamped.code == Some(0);
    }
    let card = Image::mbr();
    card.run("stamp --profile panda").exits(0);
    let source = Image::of(&original);
    let flashed = source.identity("flash").arg(card.path()).run();
    if flashed.code == Some(0) {
        assert_eq!(
            before.stdout,
            fw_printenv(card.path(), &places).stdout,
            "flash; LBA {lba}, {sectors} sectors"
        );
    }
    assert_eq!(flashed.code, stamped.code, "{flashed:?}");
    stamped.code == Some(0)
}

#[test]
fn fw_printenv_prints_the_same_after_stamp_and_flash_whatever_bytes_are_in_a_value() {
    let (mut random, seed) = Random::seeded();
    println!("IDENTITY_SEED={seed}");
    let rounds = if std::env::var_os("IDENTITY_PROOF").is_some() { 20 } else { 1 };
    let (mut stamped, mut tried) = (0, 0);
    for _ in 0..rounds {
        for (lba, sectors) in PLACES {
            stamped += u32::from(check(&mut random, lba, sectors));
            tried += 1;
        }
        // Where and as long as no list says.
        for _ in 0..if rounds == 1 { 5 } else { 100 } {
            let sectors = 1 + random.below(300) as u32;
            let lba = 1 + random.below(u64::from(PARTITION_LBA - 2 * sectors - 1)) as u32;
            stamped += u32::from(check(&mut random, lba, sectors.max(2)));
            tried += 1;
        }
    }
    println!(
        "FIGURE: {tried} environments of any bytes, {stamped} cards stamped, fw_printenv prints the same of all"
    );
    assert!(stamped > tried / 2, "{stamped} of {tried} were stamped: too few to say anything");
}
