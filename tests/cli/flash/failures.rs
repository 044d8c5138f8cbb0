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
