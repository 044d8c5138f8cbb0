// SPDX-License-Identifier: MIT OR Apache-2.0
//! Every packing, and every image that is none.

use super::*;

#[test]
fn every_packing_from_a_file_and_from_a_pipe() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    for packed in all_packings(&path) {
        for from_pipe in [false, true] {
            bench.card.put(0, &vec![0x11; 20 * SECTOR_LEN]).put(9000, &vec![0x22; 2000 * SECTOR_LEN]);
            if from_pipe {
                let mut cat = Command::new("cat").arg(&packed).stdout(Stdio::piped()).spawn().unwrap();
                let mut identity = bench.identity("flash -").arg(bench.card.path());
                identity.command().stdin(cat.stdout.take().unwrap());
                identity.run().exits(0).is_quiet();
                cat.wait().unwrap();
            } else {
                bench.flash("", &packed).exits(0).is_quiet();
            }
            bench.holds(&bytes, UUID, [52, 6607]);
        }
    }
}

#[test]
fn streams_in_a_row_are_one_image() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let (one, other) = bytes.split_at(5_000_000);
    let paths = [bench.file("one.img", one), bench.file("two.img", other)];
    let packings = paths.iter().map(|path| all_packings(path));
    let [one, other] = packings.collect::<Vec<_>>().try_into().unwrap();
    for (one, other) in one.iter().zip(&other).filter(|(one, _)| one.extension().unwrap() != "zip") {
        let both = bench.file("both", &[fs::read(one).unwrap(), fs::read(other).unwrap()].concat());
        bench.card.put(9000, &vec![0x22; 2000 * SECTOR_LEN]);
        bench.flash("", &both).exits(0);
        bench.holds(&bytes, UUID, [52, 6607]);
    }
}

#[test]
fn an_image_with_an_overlapping_gpt() {
    let mut card = Card::new(SECTORS);
    let linux = identity_fixtures::card::LINUX;
    card.gpt(2, &[(linux, 8192, 12000, "a"), (linux, 11000, 13000, "b")]);
    let bench = Bench::stamped();
    bench.refuses("", &bench.file("a.img", card.bytes()), 6, &["overlap"]);
    let bench = Bench::blank();
    bench.flash("", &bench.file("a.img", card.bytes())).exits(0);
}

/// Every tool then takes the backup, which it looks for in the last sector of the card.
#[test]
fn an_image_that_is_read_by_its_backup_gpt_alone_is_refused_on_a_longer_card() {
    let bench = Bench::stamped();
    let sectors = |len: u64| {
        let path = bench.file("a.img", &[]);
        fs::File::options().write(true).open(&path).unwrap().set_len(len * SECTOR_LEN as u64).unwrap();
        let made = tool("sgdisk").args(["-n", "1:8192:+1M"]).arg(&path).output().expect("sgdisk");
        assert!(made.status.success(), "{made:?}");
        let mut bytes = fs::read(&path).unwrap();
        // Its first usable LBA, and so its checksum.
        bytes[512 + 40] ^= 1;
        fs::write(&path, bytes).unwrap();
        path
    };
    let path = sectors(16384);
    let command = format!("`sgdisk -e {}`", path.display());
    bench.refuses("", &path, 6, &["the GPT header's checksum", "its backup GPT", &command]);
    if let Some(gz) = packed(&path, "gzip", &["-1", "-c"]) {
        bench.refuses("", &gz, 6, &["its backup GPT", "unpack and mend it: `gzip -dc"]);
    }
    // What is named mends it.
    let mended = tool("sgdisk").arg("-e").arg(&path).output().expect("sgdisk");
    assert!(mended.status.success(), "{mended:?}");
    bench.flash("", &path).exits(0);
    let listed = tool("sfdisk").arg("--dump").arg(bench.card.path()).output().expect("sfdisk");
    assert!(String::from_utf8_lossy(&listed.stdout).contains("start=        8192"), "{listed:?}");
    // At the end of the card it is found.
    let whole = sectors(bench.card.bytes().len() as u64 / SECTOR_LEN as u64);
    Bench::blank().flash("", &whole).exits(0);
}

#[test]
fn images_of_the_wrong_length() {
    let bytes = image(PARTITION_LBA);
    let bench = Bench::stamped();
    bench.refuses("", &bench.file("empty.img", &[]), 6, &["empty"]);
    let large = [&bytes[..], &[1; 2049 * SECTOR_LEN]].concat();
    bench.refuses("", &bench.file("large.img", &large), 6, &["larger card"]);
    // xz says how long the image is.
    if let Some(xz) = packed(&bench.file("large.img", &large), "xz", &["-c", "-0"]) {
        bench.refuses("", &xz, 6, &["larger card"]);
    }
    // What is no image is named before its length is.
    let tar = tool("tar").args(["-cJf", "large.txz", "large.img"]).current_dir(bench.state.path()).status();
    if tar.is_ok_and(|status| status.success()) {
        bench.refuses("", &bench.path("large.txz"), 6, &["a tar archive"]);
    }
    // gzip does not, and so the card is begun.
    if let Some(gz) = packed(&bench.path("large.img"), "gzip", &["-1", "-c"]) {
        bench.is_unfinished(bench.flash("", &gz), 5, &["larger card"]);
    }
    bench.flash("", &bench.file("a.img", &bytes)).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);
    // Padded with zeros.
    let (ragged, padded) = (&bytes[..bytes.len() - 100], [&bytes[..bytes.len() - 100], &[0; 100]].concat());
    bench.flash("", &bench.file("ragged.img", ragged)).exits(0);
    bench.holds(&padded, UUID, [52, 6607]);
}

#[test]
fn a_packed_image_that_is_cut_off_or_damaged() {
    let bytes = image(PARTITION_LBA);
    let source = Bench::blank();
    for packed in all_packings(&source.file("a.img", &bytes)) {
        let whole = fs::read(&packed).unwrap();
        // In what is read before anything is written.
        let bench = Bench::stamped();
        bench.refuses("", &bench.file("cut", &whole[..40]), 6, &["ends in the middle"]);
        // Late: all of the packings have a checksum, and zip a directory, at the end.
        for cut in [whole.len() * 9 / 10, whole.len() - 1] {
            let bench = Bench::stamped();
            let before = bench.card.bytes();
            let outcome = bench.flash("", &bench.file("cut", &whole[..cut]));
            if outcome.stderr.contains("unfinished") {
                bench.is_unfinished(outcome, 5, &[]);
            } else {
                outcome.exits(6);
                assert!(bench.card.bytes() == before, "6 means that nothing was written");
            }
            bench.flash("", &packed).exits(0);
            bench.holds(&bytes, UUID, [52, 6607]);
        }
        let mut damaged = whole.clone();
        for byte in &mut damaged[whole.len() * 3 / 4..][..64] {
            *byte ^= 0x5a;
        }
        let bench = Bench::stamped();
        bench.is_unfinished(bench.flash("", &bench.file("damaged", &damaged)), 5, &["is damaged"]);
        bench.flash("", &packed).exits(0);
        bench.holds(&bytes, UUID, [52, 6607]);
    }
}

#[test]
fn what_is_no_image() {
    let bench = Bench::stamped();
    let path = bench.file("a.img", &image(PARTITION_LBA));
    bench.refuses("", &bench.path("absent.img"), 7, &["absent.img"]);
    bench.refuses("", bench.state.path(), 7, &["directory"]);
    bench.refuses("", &bench.file("x.7z", b"7z\xbc\xaf\x27\x1c and so on"), 6, &["7z archive"]);
    // What has come from a pipe has no name for a command.
    let mut piped = bench.identity("flash -").arg(bench.card.path());
    piped.command().stdin(File::open(bench.file("x.qcow2", b"QFI\xfb\0\0\0\x03")).unwrap());
    piped
        .run()
        .exits(6)
        .says(&["standard input is a QCOW image", "`qemu-img convert -f qcow2 -O raw FILE FILE.img`"]);
    let mut tar = vec![0; 10240];
    tar[257..262].copy_from_slice(b"ustar");
    let tar = bench.file("x.tar", &tar);
    bench.refuses("", &tar, 6, &["tar archive"]);
    if let Some(gz) = packed(&tar, "gzip", &["-c"]) {
        bench.refuses("", &gz, 6, &["gzip", "tar archive"]);
    }
    if let Some(zip) = zipped(&path, &[&tar]) {
        bench.refuses("", &zip, 6, &["2 files"]);
        let outcome = {
            let mut identity = bench.identity("flash -").arg(bench.card.path());
            identity.command().stdin(File::open(&zip).unwrap());
            identity.run()
        };
        bench.is_unfinished(outcome, 5, &["more than one file"]);
    }
}

#[test]
fn the_image_is_not_its_own_target() {
    let card = Image::of(&image(PARTITION_LBA));
    card.unchanged_by(|| {
        Identity::new("flash").arg(card.path()).arg(card.path()).run().exits(6).says(&["is the image itself"])
    });
}

/// The SHA-256 of a file, by coreutils.
fn sum(path: &Path) -> String {
    let output = Command::new("sha256sum").arg(path).output().unwrap();
    String::from_utf8(output.stdout).unwrap().split(' ').next().unwrap().to_owned()
}

#[test]
fn the_sum_of_the_file_as_distributed() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    let packed = packed(&path, "gzip", &["-c"]).expect("gzip, which is essential");
    let (good, bad) = (sum(&packed), sum(&path));
    bench.refuses(
        &format!("--sha256 {bad}"),
        &packed,
        6,
        &[&good, &bad, "; check that sum, or fetch the image again"],
    );
    bench.flash(&format!("--sha256 {good}"), &packed).exits(0).shows(&["SHA-256 as given"]);

    let beside = bench.path("a.gzip.sha256");
    for (text, code) in [
        (format!("{good}\n"), 0),
        (format!("{good}  a.gzip\n"), 0),
        (format!("{bad}  a.gzip\n"), 6),
        (format!("{bad}  a.img\n"), 6),
        ("nonsense".to_owned(), 6),
    ] {
        fs::write(&beside, &text).unwrap();
        if code == 0 {
            bench.flash("", &packed).exits(0).shows(&["SHA-256 as in", "a.gzip.sha256"]);
            bench.holds(&bytes, UUID, [52, 6607]);
        } else {
            bench.refuses("", &packed, code, &["a.gzip.sha256"]);
        }
    }
    // Given on the command line, it is what counts.
    bench.flash(&format!("--sha256 {good}"), &packed).exits(0);

    // From a pipe it is known only at the end.
    for (sum, code) in [(&bad, 5), (&good, 0)] {
        let mut identity = bench.identity(format!("flash --sha256 {sum} -")).arg(bench.card.path());
        identity.command().stdin(File::open(&packed).unwrap());
        let outcome = identity.run();
        if code == 0 {
            outcome.exits(0);
            bench.holds(&bytes, UUID, [52, 6607]);
        } else {
            bench.is_unfinished(outcome, code, &["SHA-256", "check that sum"]);
        }
    }
}

#[test]
fn block_maps_as_bmaptool_writes_them() {
    let mut bytes = image(PARTITION_LBA);
    bytes[6_000_000..9_000_000].fill(0);
    let bench = Bench::stamped();
    let path = bench.file("a.img", &bytes);
    let map = bench.path("a.img.bmap");
    fs::OpenOptions::new().write(true).open(&path).unwrap().sync_all().unwrap();
    let dug = tool("fallocate").arg("--dig-holes").arg(&path).status();
    let made = tool("bmaptool").args(["create", "--output"]).args([&map, &path]).output();
    if !dug.is_ok_and(|status| status.success()) || !made.is_ok_and(|output| output.status.success()) {
        skipped("a test needs bmaptool and a file system with holes");
        return;
    }
    bench.card.put(13000, &[0x77; 512]);
    bench.flash("", &path).exits(0).is_quiet().shows(&["by the block map", "a.img.bmap"]);
    assert_eq!(bench.card.sector(13000), [0x77; 512], "a hole is not written");
    bench.card.clear(13000);
    bench.holds(&bytes, UUID, [52, 6607]);

    let text = fs::read_to_string(&map).unwrap();
    fs::write(&map, text.replace("<BlockSize> 4096", "<BlockSize> 8192")).unwrap();
    bench.refuses("", &path, 6, &["checksum", "--no-bmap"]);
    bench.flash("--no-bmap", &path).exits(0);
    // The image was changed since: a map that nobody named would leave out what is new.
    let mut changed = bytes.clone();
    changed[6_500_000] = 1;
    fs::write(&map, &text).unwrap();
    fs::write(&path, &changed).unwrap();
    let later = fs::metadata(&map).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
    fs::OpenOptions::new().write(true).open(&path).unwrap().set_modified(later).unwrap();
    bench.flash("", &path).exits(0).says(&["is older than the image, so it is not used"]);
    bench.holds(&changed, UUID, [52, 6607]);
    bench.flash(&format!("--bmap {}", map.display()), &path).exits(0).is_quiet();
    // The map of another image: behind the head, so found on the way, with a packed one.
    fs::write(&map, &text).unwrap();
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    let other = packed(&bench.file("b.img", &other), "gzip", &["-c"]).expect("gzip");
    let outcome = bench.flash(&format!("--bmap {}", map.display()), &other);
    bench.is_unfinished(outcome, 5, &["block map"]);
    // Of an image of another length: found before.
    let short = Bench::stamped();
    let cut = short.file("c.img", &bytes[..bytes.len() - 4096]);
    short.refuses(&format!("--bmap {}", map.display()), &cut, 6, &["block map"]);
}

/// A bmap 1.3 by hand.
#[test]
fn hostile_block_maps() {
    let bench = Bench::stamped();
    let path = bench.file("a.img", &image(PARTITION_LBA));
    let len = SECTORS * SECTOR_LEN;
    let map = |range: &str| {
        format!(
            "<bmap version=\"1.2\"><ImageSize>{len}</ImageSize><BlockSize>4096</BlockSize>\
             <BlockMap><Range>{range}</Range></BlockMap></bmap>"
        )
    };
    for (text, part) in [
        (map("0-2560"), "beyond the image"),
        (map("5-3"), "backwards"),
        (map("0-1</Range><Range>1-2"), "overlaps"),
        (map("-"), "number"),
        (map("&lt;"), "entity"),
        ("<!DOCTYPE a [<!ENTITY b \"bb\"><!ENTITY c \"&b;&b;\">]>".to_owned() + &map("&c;"), "document type"),
        (String::new(), "version"),
        ("<bmap version=\"2.0\">".to_owned(), "BmapFileChecksum"),
        ("<".repeat(1 << 20), "block map"),
    ] {
        let file = bench.file("x.bmap", text.as_bytes());
        bench.refuses(&format!("--bmap {}", file.display()), &path, 6, &[part]);
    }
    bench.refuses("--bmap absent.bmap", &path, 7, &["absent.bmap"]);
}

/// A clear-signed map is taken as bmaptool takes it; asked to, with a good signature alone.
#[test]
fn signed_block_maps() {
    let bytes = image(PARTITION_LBA);
    let bench = Bench::stamped();
    let path = bench.file("a.img", &bytes);
    let (map, home) = (bench.path("a.img.bmap"), bench.path("gnupg"));
    fs::create_dir(&home).unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o700)).unwrap();
    let gpg = |home: &Path, args: &[&str]| {
        let output = tool("gpg").env("GNUPGHOME", home).args(["--batch", "--yes"]).args(args).output();
        let output = output.expect("gpg, of gnupg");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    let signer = "Signer <signer@example.org>";
    gpg(&home, &["--passphrase", "", "--quick-generate-key", signer, "ed25519", "sign", "never"]);
    let made = tool("bmaptool").args(["create", "--output"]).args([&map, &path]).output().unwrap();
    assert!(made.status.success());
    let plain = fs::read(&map).unwrap();
    let name = map.to_str().unwrap();
    let signed = gpg(&home, &["--output", "-", "--clearsign", name]);
    let flash = |home: &Path, options: &str, map: &[u8]| {
        fs::write(name, map).unwrap();
        let mut identity = bench.identity(format!("flash {options}"));
        identity.command().env("GNUPGHOME", home);
        identity.arg(&path).arg(bench.card.path()).run()
    };
    for options in ["", "--bmap-signed"] {
        flash(&home, options, &signed).exits(0).is_quiet();
        bench.holds(&bytes, UUID, [52, 6607]);
    }
    // What is outside of the signed part is not taken for the map.
    let around = [&b"\n"[..], &signed, b"\n<bmap version=\"9\">"].concat();
    flash(&home, "--bmap-signed", &around).exits(0);
    flash(&home, "--bmap-signed", &plain).exits(6).says(&["not clear-signed"]);
    let text = String::from_utf8(signed.clone()).unwrap();
    // Nothing that a map needs.
    let changed = text.replacen("This file", "That file", 1);
    assert_ne!(text, changed);
    flash(&home, "--bmap-signed", changed.as_bytes()).exits(6).says(&["no good signature", "BAD signature"]);
    let other = bench.path("other");
    fs::create_dir(&other).unwrap();
    fs::set_permissions(&other, fs::Permissions::from_mode(0o700)).unwrap();
    flash(&other, "--bmap-signed", &signed).exits(6).says(&["No public key", "gpg --import"]);
    // A signature of a key that was revoked.
    let fingerprint = gpg(&home, &["--with-colons", "--list-keys"]);
    let fingerprint = String::from_utf8(fingerprint).unwrap();
    let fingerprint = fingerprint.lines().find_map(|line| line.strip_prefix("fpr:::::::::")).unwrap();
    let fingerprint = fingerprint.trim_end_matches(':');
    let revocation = home.join(format!("openpgp-revocs.d/{fingerprint}.rev"));
    let armour = fs::read_to_string(&revocation).unwrap().replace(":-----BEGIN", "-----BEGIN");
    fs::write(&revocation, armour).unwrap();
    gpg(&home, &["--import", revocation.to_str().unwrap()]);
    flash(&home, "--bmap-signed", &signed).exits(6).says(&["no good signature", "revoked"]);
    fs::remove_file(&map).unwrap();
    bench.refuses("--bmap-signed", &path, 6, &["no block map"]);
    let _ = tool("gpgconf").env("GNUPGHOME", &home).args(["--kill", "all"]).status();
    let _ = tool("gpgconf").env("GNUPGHOME", &other).args(["--kill", "all"]).status();
}
