// SPDX-License-Identifier: MIT OR Apache-2.0
//! The card keeps its identity, whatever the image is like.

use super::*;

#[test]
fn a_raw_image_and_the_card_keeps_its_identity() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    let before = bench.card.sector(52);
    bench.flash("", &path).exits(0).is_quiet().shows(&[
        "read back and the same",
        UUID,
        "where the copies are",
    ]);
    bench.holds(&bytes, UUID, [52, 6607]);
    assert_eq!(bench.card.sector(52), before, "nothing had to be written");
}

#[test]
fn the_slots_follow_the_new_layout() {
    for (first_lba, lbas) in [(2048, [52, 1711]), (63, [52, 5]), (8192, [52, 6607])] {
        let (bench, bytes) = (Bench::stamped(), image(first_lba));
        bench.flash("", &bench.file("a.img", &bytes)).exits(0);
        bench.holds(&bytes, UUID, lbas);
        let generation = if first_lba == 8192 { 1 } else { 2 };
        assert_eq!(bench.card.copy(52).generation(), generation);
    }
}

#[test]
fn copies_put_by_hand_stay_where_they_are_named() {
    let (bench, bytes) = (Bench::blank(), image(PARTITION_LBA));
    bench.card.run(format!("stamp --uuid {UUID} --profile panda --at 3000,3100")).exits(0);
    let path = bench.file("a.img", &bytes);
    bench.refuses("", &path, 6, &["LBA 3000", "--at 3000"]);
    bench.flash("--at 3000", &path).exits(0);
    assert_eq!(bench.card.copies(), [3000, 3100]);
    assert_eq!(bench.card.run("read --at 3000 --field uuid").exits(0).stdout.trim(), UUID);
}

/// By force a copy goes over what the image has there: it is shown, and the card is not called the same.
#[test]
fn what_a_copy_leaves_out_of_the_image_is_shown() {
    let (bench, mut bytes) = (Bench::stamped(), image(PARTITION_LBA));
    bytes[3000 * SECTOR_LEN..][..8].copy_from_slice(b"precious");
    let path = bench.file("a.img", &bytes);
    bench.refuses("--at 3000,3100", &path, 6, &["--at 3000", "--force"]);
    let done = bench.flash("--at 3000,3100 --force", &path).exits(0);
    let done = done.says(&["LBA 3000 of the image", "precious"]).shows(&["the same but for LBA 3000"]);
    assert!(!done.stderr.contains("LBA 3100"), "{}", done.stderr);
    assert_eq!(bench.card.copies(), [3000, 3100]);
}

#[test]
fn an_identity_in_the_image_is_never_carried_over() {
    let other = Image::of(&image(PARTITION_LBA));
    other.run(format!("stamp --uuid {OTHER} --profile beagle")).exits(0);
    let clean = image(PARTITION_LBA);
    let bench = Bench::stamped();
    let left_out = "in the image: an identity at LBA 52, 6607, left out";
    bench.flash("", other.path()).exits(0).shows(&[left_out]);
    bench.holds(&clean, UUID, [52, 6607]);

    let bench = Bench::blank();
    // Where there is no identity, nobody is told how to read it.
    let done = bench.flash("--at 3000,3100", other.path()).exits(0).shows(&["no identity"]);
    assert!(!done.stderr.contains("readers look there"), "{}", done.stderr);
    bench.flash("", other.path()).exits(0).shows(&["no identity"]);
    assert!(bench.card.bytes()[..clean.len()] == clean);
    bench.card.run("read").exits(3);
}

#[test]
fn two_cards_from_one_image_never_share_an_identity() {
    let other = Image::of(&image(PARTITION_LBA));
    other.run(format!("stamp --uuid {OTHER} --profile beagle")).exits(0);
    let uuid = |bench: &Bench| {
        let outcome = bench.flash("--profile panda --hostname h --format json", other.path()).exits(0);
        let done: Value = serde_json::from_str(outcome.stdout.lines().last().unwrap()).unwrap();
        assert_eq!((&done["event"], &done["identity"]["profile"]), (&"done".into(), &"panda".into()));
        done["identity"]["uuid"].as_str().unwrap().to_owned()
    };
    let (one, two) = (Bench::blank(), Bench::blank());
    let uuids = [uuid(&one), uuid(&two)];
    assert!(uuids[0] != uuids[1] && !uuids.contains(&OTHER.to_owned()));
    // A card that has one keeps it; another role is not given to it in passing.
    assert_eq!(uuid(&one), uuids[0]);
    one.flash("--profile beagle", other.path()).exits(6).says(&[&uuids[0], "stamp"]);
}

#[test]
fn no_free_slot_is_refused_before_the_first_byte() {
    let (bench, bytes) = (Bench::stamped(), image(4));
    let path = bench.file("a.img", &bytes);
    bench.refuses("", &path, 6, &["slot is free", "--force"]);
    bench.flash("--force", &path).exits(0).says(&["will have no identity"]).shows(&["kept in"]);
    assert!(bench.card.bytes()[..bytes.len()] == bytes);
    bench.card.run("read").exits(3);
    // It is not gone for good.
    let record = bench.records().pop().unwrap();
    let back = Image::mbr();
    let mut stamp = bench.identity("stamp --force --restore");
    stamp = stamp.arg(&record).arg(back.path());
    stamp.run().exits(0).shows(&[UUID, "generation  2"]);
    assert_eq!(bench.records(), [record], "what was replaced once can be asked for again");
}

#[test]
fn a_lost_identity_comes_back() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    let fail = |bench: &Bench| {
        bench.cut_off(&path);
        bench.card.clear(52).clear(6607);
    };
    fail(&bench);
    bench.flash("", &path).exits(0).says(&["gets back the identity", UUID]);
    bench.holds(&bytes, UUID, [52, 6607]);

    // By hand.
    fail(&bench);
    let record = bench.records().pop().unwrap();
    bench.card.put(0, &image(PARTITION_LBA)[..SECTOR_LEN]);
    let restore = |options: &str| {
        bench.identity(format!("stamp {options} --restore")).arg(&record).arg(bench.card.path()).run()
    };
    restore("").exits(6).says(&["a flash that was not finished"]);
    restore("--force").exits(0).shows(&[UUID]);
    assert_eq!(bench.records(), [] as [PathBuf; 0]);

    // Without the mark it may be another card: a person says.
    fail(&bench);
    let record = bench.records().pop().unwrap();
    bench.card.clear(0);
    let shown = record.display().to_string();
    let outcome = bench.flash("", &path).exits(6);
    outcome.says(&["--no-restore", "--restore", &shown]);
    bench.flash(&format!("--restore {shown}"), &path).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);

    let file = bench.file("bad.json", b"{}");
    bench.flash(&format!("--restore {}", file.display()), &path).exits(6).says(&["is neither a record nor"]);
}

#[test]
fn a_dry_run_writes_nothing() {
    let (bench, bytes) = (Bench::stamped(), image(2048));
    let path = bench.file("a.img", &bytes);
    let before = bench.card.bytes();
    bench.flash("--dry-run", &path).exits(0).shows(&[
        "kept, moved, at LBA 52, 1711",
        "LBA 0",
        "nothing was written",
    ]);
    let plan = bench.flash("--dry-run --format json", &path).exits(0).json();
    assert_eq!((&plan["action"], &plan["places"]), (&"keep".into(), &serde_json::json!([52, 1711])));
    assert_eq!(plan["image_bytes"], bytes.len());
    assert!(before == bench.card.bytes());
    assert_eq!(bench.records(), [] as [PathBuf; 0]);
}

#[test]
fn a_plan_says_that_it_finishes_a_flash() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let long = format!("{}.img", "n".repeat(70));
    let stop = |image: &Path| bench.cut_off(image);
    let planned = |image: &Path, name: &str, is_same: bool| {
        let which = if is_same { "an image of the same name" } else { "another image" };
        let line = format!(
            "unfinished  a flash of {name} was not finished; this one finishes the card, with {which}\n"
        );
        bench.flash("--dry-run", image).exits(0).shows(&[&line]);
        let plan = bench.flash("--dry-run --format json", image).exits(0).json();
        assert_eq!((&plan["unfinished"], &plan["same_name"]), (&name.into(), &is_same.into()));
    };
    let (path, other, long) =
        (bench.file("a.img", &bytes), bench.file("b.img", &bytes), bench.file(&long, &bytes));
    let plan = bench.flash("--dry-run --format json", &path).exits(0).json();
    assert_eq!((&plan["unfinished"], &plan["same_name"]), (&Value::Null, &Value::Null));
    stop(&path);
    planned(&path, "a.img", true);
    planned(&other, "a.img", false);
    stop(&long);
    planned(&long, &"n".repeat(64), true);
    planned(&path, &"n".repeat(64), false);
}

#[test]
fn progress_in_lines_of_json() {
    let bench = Bench::stamped();
    let path = bench.file("a.img", &image(PARTITION_LBA));
    let outcome = bench.flash("--format json", &path).exits(0);
    let lines: Vec<Value> = outcome.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let of = |phase: &str| lines.iter().filter(|line| line["phase"] == phase).count();
    assert!(of("write") >= 1 && of("verify") >= 1, "{}", outcome.stdout);
    for line in &lines[..lines.len() - 1] {
        assert!(line["event"] == "progress" && line["bytes"].is_u64() && line["bytes_per_second"].is_u64());
    }
    let done = lines.last().unwrap();
    assert_eq!((&done["event"], &done["verified"]), (&"done".into(), &true.into()));
    assert_eq!(
        (&done["identity"]["uuid"], &done["image_bytes"]),
        (&UUID.into(), &(SECTORS * SECTOR_LEN).into())
    );
}

#[test]
fn a_block_device() {
    let (bench, bytes) = (Bench::stamped(), image(2048));
    let path = bench.file("a.img", &bytes);
    let Some(device) = Loop::attach(bench.card.path(), &[]) else { return };
    let before = bench.card.bytes();
    let flash =
        |options: &str| bench.identity(format!("flash {options}")).arg(&path).arg(device.path()).run();
    flash("").exits(6).says(&["--yes"]);
    flash("--dry-run").exits(0).shows(&["partitions", "device"]);
    assert!(before == bench.card.bytes());
    flash("--yes").exits(0).is_quiet();
    drop(device);
    bench.holds(&bytes, UUID, [52, 1711]);
}

/// What a person sees on a terminal, and what the answer does.
#[test]
fn a_block_device_is_confirmed_on_a_terminal() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    let Some(device) = Loop::attach(bench.card.path(), &[]) else { return };
    let answer = |answer: &str| {
        let [program, path, device] =
            [identity_tests::cli::program(), &path, device.path()].map(Path::display);
        let mut script = tool("script");
        script.args(["-qec", &format!("{program} flash {path} {device}"), "/dev/null"]);
        script.env("XDG_STATE_HOME", bench.path("state")).env("TERM", "xterm");
        script.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = script.spawn().expect("script, of util-linux");
        child.stdin.take().unwrap().write_all(answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let before = bench.card.bytes();
    for no in ["n\n", "\n", "nay\n"] {
        let (code, shown) = answer(no);
        assert_eq!(code, Some(6), "{shown}");
        for part in ["device", "size", "partitions", UUID, "Overwrite everything", "nothing was written"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
    let map = bench.path("a.img.bmap");
    let made = tool("bmaptool").args(["create", "--output"]).args([&map, &path]).status();
    assert!(made.expect("bmaptool, of bmap-tools").success());
    let (code, shown) = answer("n\n");
    assert!(code == Some(6) && shown.contains("Overwrite all that the block map lists on"), "{shown}");
    fs::remove_file(map).expect("own file");
    assert!(before == bench.card.bytes());
    let (code, shown) = answer("y\n");
    assert_eq!(code, Some(0), "{shown}");
    assert!(shown.contains("verifying") && shown.contains("/s"), "{shown}");
    drop(device);
    bench.holds(&bytes, UUID, [52, 6607]);
}

/// The memory that a process had at its largest, in KiB.
fn peak_kib(identity: Identity) -> u64 {
    let mut running = identity.start();
    let status = PathBuf::from(format!("/proc/{}/status", running.child().id()));
    let mut peak = 0;
    while running.child().try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().split(' ').next()?.parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        sleep(Duration::from_millis(5));
    }
    running.wait().exits(0);
    peak
}

#[test]
fn memory_does_not_depend_on_the_image() {
    let bench = Bench::blank();
    let target = Image::zeroed(130 << 20);
    for (first_lba, sectors) in [(8192, 50 << 11), (8192, 120 << 11), (100_000, 120 << 11)] {
        let mut card = Card::new(sectors);
        card.mbr(1, 0x83, first_lba, sectors as u32 - first_lba);
        let start = first_lba as usize * SECTOR_LEN;
        card.bytes_mut()[start..].fill(0x5a);
        let path = bench.file("a.img", card.bytes());
        let image = packed(&path, "gzip", &["-1", "-c"]).expect("gzip");
        let peak = peak_kib(bench.identity("flash").arg(image).arg(target.path()));
        assert!((1..64 << 10).contains(&peak), "{first_lba} {sectors}: {peak} KiB");
    }
}

/// It may be a piece of another card, and two cards would share it.
#[test]
fn a_lone_copy_is_completed_by_consent_alone() {
    let bytes = image(PARTITION_LBA);
    let lone = || {
        let bench = Bench::stamped();
        bench.card.clear(6607);
        let path = bench.file("a.img", &bytes);
        (bench, path)
    };
    let (bench, path) = lone();
    bench.refuses("", &path, 6, &["LBA 52 holds the only copy", "identity repair --keep 52", "--force"]);
    bench.card.run("repair --keep 52").exits(0);
    bench.flash("", &path).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);

    let (bench, path) = lone();
    let flashed = bench.flash("--force", &path);
    // It does what is else advised.
    let flashed = flashed.exits(0).says(&["is degraded (LBA 6607 is blank); the flash makes it whole"]);
    assert!(!flashed.stderr.contains("repair"), "{}", flashed.stderr);
    bench.holds(&bytes, UUID, [52, 6607]);

    for (answer, code) in [("n", 6), ("y", 0)] {
        let (bench, path) = lone();
        let Some((exit, shown)) = bench.flash_at_a_terminal(answer, &path, bench.card.path()) else { return };
        assert_eq!(exit, Some(code), "{shown}");
        assert!(shown.contains("Does it belong to this card? [y/N]"), "{shown}");
        assert_eq!(bench.card.copies().len(), if code == 0 { 2 } else { 1 });
    }
}

/// A flash that was cut between the two copies: the record says that the copy is this card's.
#[test]
fn a_lone_copy_of_an_unfinished_flash_is_this_card_s() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    bench.cut_off(&path);
    bench.card.clear(6607);
    bench.flash("", &path).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);
}

#[test]
fn a_newer_copy_is_flashed_over_by_force_alone() {
    let newer = fs::read(identity_tests::workspace().join("fixtures/sectors/newer-version-2.bin")).unwrap();
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    for lba in [2703, 6607] {
        bench.card.put(lba, &newer);
        bench.refuses("", &path, 4, &[&format!("LBA {lba}"), "later format version", "--force"]);
    }
    bench.flash("--force", &path).exits(0);
    bench.card.run("verify").exits(0);
}

/// A file in the partition may hold a damaged copy, or begin as one does: it is the image's.
#[test]
fn what_begins_like_a_copy_in_the_image_s_partition_is_written_as_it_is() {
    let mut bytes = image(2048);
    bytes[2703 * SECTOR_LEN..][..SECTOR_LEN].fill(0x5a);
    bytes[2703 * SECTOR_LEN..][..8].copy_from_slice(&identity_core::sector::MAGIC);
    for bench in [Bench::stamped(), Bench::blank()] {
        bench.flash("", &bench.file("a.img", &bytes)).exits(0);
        assert!(bench.card.sector(2703) == bytes[2703 * SECTOR_LEN..][..SECTOR_LEN]);
        assert!(bench.card.sector(0) == bytes[..SECTOR_LEN], "it is finished");
    }
}
