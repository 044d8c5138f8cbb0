// SPDX-License-Identifier: MIT OR Apache-2.0
//! What fails half-way leaves the identity on the card, a record on the host, and a card that says it is unfinished.

use super::*;

#[test]
fn targets_that_are_none() {
    let bench = Bench::blank();
    let path = bench.file("a.img", &image(PARTITION_LBA));
    let absent = bench.path("absent");
    bench.identity("flash").arg(&path).arg(&absent).run().exits(7).says_one_sentence();
    assert!(!absent.exists());
    bench.identity("flash").arg(&path).arg(bench.state.path()).run().exits(7).says_one_sentence();
    bench.identity("flash").arg(&path).arg("/dev/null").run().exits(7).says_one_sentence();
}

#[test]
fn a_card_that_fails_half_way() {
    let bytes = image(PARTITION_LBA);
    for (fault, lba, part) in [
        ("FAULT_WRITE", "15000", "cannot write"),
        ("FAULT_WRITE", "100", "cannot write"),
        ("FAULT_LIE", "15000", "read back differently"),
        ("FAULT_LIE", "70", "read back differently"),
    ] {
        let bench = Bench::stamped();
        let path = bench.file("a.img", &bytes);
        let outcome = bench.identity("flash").arg(&path).arg(bench.card.path()).fault(fault, lba).run();
        bench.is_unfinished(outcome, 7, &[part]);
        bench.flash("", &path).exits(0);
        bench.holds(&bytes, UUID, [52, 6607]);
    }
    // Nothing is unfinished where nothing could be begun.
    let bench = Bench::stamped();
    let path = bench.file("a.img", &bytes);
    let failed = bench.identity("flash").arg(&path).arg(bench.card.path()).fault("FAULT_WRITE", "0").run();
    failed.exits(7).says_one_sentence().says(&["LBA 0", "is as it was", "run the same command again"]);
    bench.card.run("verify").exits(0).is_quiet();
    assert!(bench.records().is_empty());
    assert_eq!(bench.card.run("read --field uuid").exits(0).stdout.trim(), UUID);
    bench.flash("", &path).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);
}

/// A user may have as many threads as the limit allows already.
#[test]
fn without_a_thread_for_the_image_nothing_is_begun() {
    let bench = Bench::stamped();
    let path = bench.file("a.img", &image(PARTITION_LBA));
    let before = bench.card.bytes();
    for packed in all_packings(&path).iter().chain([&path]) {
        let flash = bench.identity("flash").arg(packed).arg(bench.card.path());
        let failed = flash.fault("FAULT_THREAD", "1").run();
        failed.exits(7).says_one_sentence().says(&["no thread can be started", "nothing was written"]);
        assert!(bench.card.bytes() == before && bench.records().is_empty());
    }
}

/// Whether the card took what could not be flushed or lost it: what is in the host's cache is not taken for the card.
#[test]
fn what_is_said_of_a_card_that_cannot_be_flushed_is_so() {
    let bytes = image(PARTITION_LBA);
    let cards = [(false, ""), (false, "--profile panda"), (true, "")];
    for ((is_stamped, options), fault) in
        cards.into_iter().flat_map(|card| [(card, "FAULT_LOSE"), (card, "FAULT_KEEP")])
    {
        let mut failed = 0;
        loop {
            let bench = if is_stamped { Bench::stamped() } else { Bench::blank() };
            let (before, path) = (bench.card.bytes(), bench.file("a.img", &bytes));
            let flash = bench.identity(format!("flash {options}")).arg(&path).arg(bench.card.path());
            let outcome = flash.fault(fault, (failed + 1).to_string()).run();
            if outcome.code == Some(0) {
                break;
            }
            failed += 1;
            let outcome = outcome.exits(7).says_one_sentence().says(&["run the same command again"]);
            let says = |part: &str| outcome.stderr.contains(part);
            let is_marked = bench.card.sector(0)[64..].starts_with(b"identity flash");
            let has_identity = bench.card.run("read --field uuid").stdout.lines().next().is_some();
            let record = bench.records().pop().map(|record| record.display().to_string());
            let what = format!("{fault} {failed} {options}: {}", outcome.stderr);
            assert_eq!(says("is as it was"), bench.card.bytes() == before, "{what}");
            assert_eq!(says("is unfinished"), !says("is as it was"), "{what}");
            assert_eq!(says("and LBA 0 does not say so"), says("is unfinished") && !is_marked, "{what}");
            assert_eq!(says(" is on it"), says("is unfinished") && has_identity, "{what}");
            assert!(record.is_none_or(|record| outcome.stderr.contains(&record)), "{what}");
            bench.flash(options, &path).exits(0);
            assert!(
                bench.card.bytes()[PARTITION_LBA as usize * SECTOR_LEN..bytes.len()]
                    == bytes[PARTITION_LBA as usize * SECTOR_LEN..]
            );
            assert_eq!(bench.records(), [] as [PathBuf; 0]);
        }
        // The mark, the image, the sectors in front of it, LBA 0; and each copy that is written.
        assert_eq!(failed, if options.is_empty() { 4 } else { 6 }, "{fault} {options}");
    }
}

/// Who was to get an identity from a file is noted before the card is written: not of a card that did not get it.
#[test]
fn a_restore_that_could_not_be_begun_is_run_again() {
    let bench = Bench::stamped();
    let (path, backup) =
        (bench.file("a.img", &image(PARTITION_LBA)), bench.card.run("read --format json").stdout);
    let backup = bench.file("backup.json", backup.as_bytes());
    bench.card.run("erase").exits(0);
    let Some(device) = Loop::attach(bench.card.path(), &[]) else { return };
    let flash = || bench.identity("flash --yes --restore").arg(&backup).arg(&path).arg(device.path());
    flash().fault("FAULT_LOSE", "1").run().exits(7).says(&["is as it was", "run the same command again"]);
    flash().run().exits(0);
    // Now it has it, and the next card in this reader is another one.
    bench.identity("erase").arg(device.path()).run().exits(0);
    flash().run().exits(6).says(&["was given to"]);
}

#[test]
fn the_power_goes_at_every_write() {
    let bytes = image(2048);
    let mut cuts = 0;
    let uncut = Bench::stamped();
    let (path, log) = (uncut.file("a.img", &bytes), uncut.path("log"));
    uncut.identity("flash").arg(&path).arg(uncut.card.path()).fault("FAULT_LOG", &log).run().exits(0);
    let log = fs::read_to_string(log).unwrap();
    let writes = log.lines().filter(|line| line.starts_with("write ")).count();
    for number in 1.. {
        let bench = Bench::stamped();
        let path = bench.file("a.img", &bytes);
        let cut = format!("{number}:{}", 512 * (number % 3));
        let outcome = bench.identity("flash").arg(&path).arg(bench.card.path()).fault("FAULT_CUT", cut).run();
        assert_eq!(bench.card.run("read --field uuid").exits(0).stdout.trim(), UUID, "write {number}");
        if outcome.code == Some(0) {
            break;
        }
        assert_eq!(outcome.code, Some(99), "{outcome:?}");
        cuts += 1;
        bench.flash("", &path).exits(0);
        bench.holds(&bytes, UUID, [52, 1711]);
    }
    assert_eq!(cuts, writes, "each write was cut: {log}");
}

#[test]
fn interrupted_by_a_signal() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    for (signal, options) in [("-INT", "--format json"), ("-TERM", "--format json")] {
        // A pipe that stays open: the flash waits for the rest of the image.
        let mut identity = bench.identity(format!("flash {options} -")).arg(bench.card.path());
        identity.command().stdin(Stdio::piped()).process_group(0);
        let mut running = identity.start();
        let mut stdin = running.child().stdin.take().unwrap();
        stdin.write_all(&bytes[..12288 * SECTOR_LEN]).unwrap();
        // Until what has been sent is written.
        let mut lines = BufReader::new(running.child().stdout.take().unwrap()).lines();
        let begun = lines.find(|line| {
            let line: Value = serde_json::from_str(line.as_ref().unwrap()).unwrap();
            line["bytes"].as_u64().unwrap() > 0
        });
        // Where nothing has been shown yet, there is the mark.
        assert!(begun.is_some() || bench.card.sector(0)[64] == b'i');
        let pid = running.child().id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().unwrap().success());
        let outcome = running.wait();
        bench.is_unfinished(outcome, 130, &["interrupted"]);
        drop(stdin);
    }
    bench.flash("", &bench.file("a.img", &bytes)).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);
}

#[test]
fn without_a_record_nothing_is_begun() {
    let bench = Bench::stamped();
    let path = bench.file("a.img", &image(PARTITION_LBA));
    bench.file("state", b"in the way");
    bench.refuses("", &path, 7, &["cannot write the record", "state/identity"]);
}
