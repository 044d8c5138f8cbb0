// SPDX-License-Identifier: MIT OR Apache-2.0
//! Block maps as bmap-tools writes them, and damaged ones.

use super::*;

/// A block map as bmap-tools writes it, for an image of 4096-byte blocks.
pub fn xml(image: &[u8], ranges: &[(usize, usize)]) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let mapped: usize = ranges.iter().map(|(first, last)| last - first + 1).sum();
    let lines: String = ranges
        .iter()
        .map(|&(first, last)| {
            let part = &image[first * 4096..((last + 1) * 4096).min(image.len())];
            let blocks = if first == last { first.to_string() } else { format!("{first}-{last}") };
            format!("        <Range chksum=\"{}\"> {blocks} </Range>\n", hex(&Sha256::digest(part)))
        })
        .collect();
    let zeros = "0".repeat(64);
    let text = format!(
        "<?xml version=\"1.0\" ?>\n<!-- A comment -->\n<bmap version=\"2.0\">\n\
         <ImageSize> {} </ImageSize>\n<BlockSize> 4096 </BlockSize>\n<BlocksCount> {} </BlocksCount>\n\
         <MappedBlocksCount> {mapped} </MappedBlocksCount>\n<ChecksumType> sha256 </ChecksumType>\n\
         <BmapFileChecksum> {zeros} </BmapFileChecksum>\n<BlockMap>\n{lines}</BlockMap>\n</bmap>\n",
        image.len(),
        image.len().div_ceil(4096)
    );
    let sum = hex(&Sha256::digest(&text));
    text.replace(&zeros, &sum)
}

/// Makes the file's own checksum right again.
fn sealed(text: &str) -> String {
    let start = text.find("<BmapFileChecksum> ").unwrap() + 19;
    let zeros = format!("{}{}{}", &text[..start], "0".repeat(64), &text[start + 64..]);
    let sum: String = Sha256::digest(&zeros).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}{sum}{}", &text[..start], &text[start + 64..])
}

fn image() -> Vec<u8> {
    (0..10 * 4096 + 512).map(|at| (at / 512) as u8).collect()
}

#[test]
fn reads_what_bmaptool_writes() {
    let bmap = Arc::new(parse(xml(&image(), &[(0, 1), (4, 4), (10, 10)]).as_bytes()).unwrap());
    let ranges: Vec<_> = bmap.ranges.iter().map(|range| range.bytes.clone()).collect();
    assert_eq!(ranges, [0..8192, 16384..20480, 40960..41472]);
    assert_eq!(bmap.mapped_len(), 8192 + 4096 + 512);
    assert_eq!(bmap.parts(4096..20000).collect::<Vec<_>>(), [4096..8192, 16384..20000]);
    assert_eq!(bmap.next_part(8192), Some(16384));
    assert_eq!(bmap.next_part(41472), None);
    for step in [512, 1000, 41472] {
        let mut checker = Checker::new(bmap.clone());
        let image = image();
        for (number, part) in image.chunks(step).enumerate() {
            checker.give((number * step) as u64, part).unwrap();
        }
        checker.finish(image.len() as u64).unwrap();
    }
}

#[test]
fn an_old_one() {
    let text = "<bmap version=\"1.2\"><ImageSize>8192</ImageSize><BlockSize>4096</BlockSize>\
                <BlockMap><Range>1</Range></BlockMap></bmap>";
    assert_eq!(parse(text.as_bytes()).unwrap().ranges, [Mapped { bytes: 4096..8192, sum: None }]);
}

#[test]
fn another_image() {
    let bmap = Arc::new(parse(xml(&image(), &[(0, 1), (4, 4)]).as_bytes()).unwrap());
    let mut other = image();
    other[17000] ^= 1;
    let error = Checker::new(bmap.clone()).give(0, &other).unwrap_err();
    assert_eq!(error, MapMismatch::Range(16384..20480));
    assert!(Checker::new(bmap.clone()).finish(4096).is_err());
}

#[test]
fn wrong_ones() {
    let good = xml(&image(), &[(0, 1), (4, 4)]);
    for (from, to, reason) in [
        ("> 4 <", "> 4-11 <", "Beyond"),
        ("> 4 <", "> 4-18446744073709551615 <", "Beyond"),
        ("> 4 <", "> 1-4 <", "Overlap"),
        ("> 4 <", "> 5-4 <", "Overlap"),
        ("> 4 <", "> x <", "NoNumber"),
        ("> 4 <", "> 4-5 <", "MappedCount"),
        ("<BlockSize> 4096", "<BlockSize> 0", "BlockLen"),
        ("<BlockSize> 4096", "<BlockSize> 1000", "BlockLen"),
        ("<BlocksCount> 11", "<BlocksCount> 12", "BlockCount"),
        ("<ImageSize> 41472", "<ImageSize> 18446744073709551615", "BlockCount"),
        ("version=\"2.0\"", "version=\"3.0\"", "Version"),
        (" sha256 ", " md5 ", "Algorithm"),
        ("<!-- A comment -->", "<!DOCTYPE bmap [<!ENTITY a \"b\">]>", "Entities"),
        ("<bmap ", "<xmap ", "Syntax"),
        ("</bmap>", "", ""),
    ] {
        let bad = good.replace(from, to);
        assert_ne!(bad, good);
        match parse(sealed(&bad).as_bytes()) {
            Ok(_) => assert_eq!(reason, ""),
            Err(error) => assert!(format!("{error:?}").contains(reason), "{reason}: {error:?}"),
        }
        let unsealed = parse(bad.as_bytes());
        assert!(unsealed.is_err(), "{from}");
    }
    for cut in 0..good.len() {
        assert!(parse(&good.as_bytes()[..cut]).is_err(), "cut at {cut}");
    }
}
