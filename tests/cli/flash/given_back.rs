// SPDX-License-Identifier: MIT OR Apache-2.0
//! What an unfinished flash has left on the host goes back to one card, and to another one by consent alone.

use super::*;

/// A card whose flash was cut, and which has lost both copies; and the image.
fn unfinished() -> (Bench, Vec<u8>, PathBuf) {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    bench.cut_off(&path);
    bench.card.clear(52).clear(6607);
    (bench, bytes, path)
}

/// Another blank card, onto which somebody has copied the mark.
fn marked_as(bench: &Bench) -> Image {
    let other = Image::of(Bench::blank().card.bytes().as_slice());
    other.put(0, &bench.card.sector(0));
    other
}

#[test]
fn a_copied_mark_is_a_reason_to_ask() {
    let (bench, bytes, path) = unfinished();
    let flash = |options: &str, card: &Image| {
        bench.identity(format!("flash {options}")).arg(&path).arg(card.path()).run()
    };
    let other = marked_as(&bench);
    let record = bench.records().pop().unwrap();
    other.unchanged_by(|| flash("", &other)).exits(6).says_one_sentence().says(&[
        &record.display().to_string(),
        &bench.card.path().display().to_string(),
        "two boards share one identity",
        "--force",
        "--no-restore",
    ]);
    // The card that had it gets it without a question; from then on no card does.
    bench.flash("", &path).exits(0).says(&["gets back the identity", UUID]);
    bench.holds(&bytes, UUID, [52, 6607]);
    flash("", &other).exits(0);
    other.run("read").exits(3);
}

#[test]
fn a_copied_mark_is_given_the_identity_by_force_or_a_yes() {
    let (bench, _, path) = unfinished();
    let other = marked_as(&bench);
    bench.identity("flash --force").arg(&path).arg(other.path()).run().exits(0);
    assert_eq!(other.run("read --field uuid").exits(0).stdout.trim(), UUID);
    bench.flash("", &path).exits(0);
    bench.card.run("read").exits(3);

    let (bench, _, path) = unfinished();
    for (answer, code) in [("n", 6), ("y", 0)] {
        let other = marked_as(&bench);
        let Some((exit, shown)) = bench.flash_at_a_terminal(answer, &path, other.path()) else { return };
        assert_eq!(exit, Some(code), "{answer}: {shown}");
        assert!(shown.contains("Give it this identity? [y/N]"), "{shown}");
        other.run("read").exits(if code == 0 { 0 } else { 3 });
    }
}

/// Of a flash that is under way from a pipe: the process, and what the rest of the image goes into.
fn begin(bench: &Bench, bytes: &[u8]) -> (identity_tests::cli::Running, std::process::ChildStdin) {
    let mut identity = bench.identity("flash --format json -").arg(bench.card.path());
    identity.command().stdin(Stdio::piped());
    let mut running = identity.start();
    let mut stdin = running.child().stdin.take().unwrap();
    stdin.write_all(&bytes[..12288 * SECTOR_LEN]).unwrap();
    let mut lines = BufReader::new(running.child().stdout.take().unwrap()).lines();
    let is_begun = |line: &Result<String, std::io::Error>| line.as_ref().unwrap().contains("progress");
    assert!(lines.any(|line| is_begun(&line)), "a flash has begun");
    // Whoever reads the rest of the lines must not stop.
    std::thread::spawn(move || lines.for_each(drop));
    (running, stdin)
}

/// The card is taken out and a clone of it put in: by path and length it is the same.
fn exchange(card: &Image, clone: &[u8]) -> PathBuf {
    let away = card.dir().join("away.img");
    fs::rename(card.path(), &away).unwrap();
    fs::write(card.path(), clone).unwrap();
    away
}

#[test]
fn of_two_clones_flashed_at_once_one_gets_the_identity() {
    let (bench, bytes, path) = unfinished();
    let clone = bench.card.bytes();
    let record = bench.records().pop().unwrap();
    let (first, mut rest) = begin(&bench, &bytes);
    let away = exchange(&bench.card, &clone);
    let refused =
        |outcome: Outcome| outcome.exits(6).says(&[UUID, "another `identity`", "nothing was written"]);
    refused(bench.flash("", &path));
    let other = marked_as(&bench);
    let by_name = |words: &str| bench.identity(words).arg("--restore").arg(&record);
    refused(by_name("flash --force").arg(&path).arg(other.path()).run());
    refused(by_name("stamp --force").arg(Image::mbr().path()).run());
    assert!(bench.card.bytes() == clone, "something was written");
    rest.write_all(&bytes[12288 * SECTOR_LEN..]).unwrap();
    drop(rest);
    first.wait().exits(0);
    Identity::new("read --field uuid").arg(&away).run().exits(0).prints(&format!("{UUID}\n"));
    bench.flash("", &path).exits(0);
    bench.card.run("read").exits(3);
    assert_eq!(bench.records(), [] as [PathBuf; 0]);
}

#[test]
fn a_record_that_is_used_up_meanwhile_is_not_given_twice() {
    let (bench, bytes, path) = unfinished();
    let clone = bench.card.bytes();
    let (first, mut rest) = begin(&bench, &bytes);
    exchange(&bench.card, &clone);
    let mut second =
        bench.identity("flash").arg(&path).arg(bench.card.path()).fault("FAULT_WAITING", "1").start();
    let mut lines = BufReader::new(second.child().stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "waiting"), "the second flash waits for the first");
    rest.write_all(&bytes[12288 * SECTOR_LEN..]).unwrap();
    drop(rest);
    first.wait().exits(0);
    let said = lines.map(Result::unwrap).collect::<Vec<_>>().join("\n");
    assert_eq!(second.child().wait().unwrap().code(), Some(6), "{said}");
    assert!(
        said.contains(UUID) && said.contains("meanwhile") && said.contains("nothing was written"),
        "{said}"
    );
    assert!(bench.card.bytes() == clone, "something was written");
}

/// On a card that is unfinished nothing is stamped: what `erase` names is a flash.
#[test]
fn what_is_erased_from_an_unfinished_card_comes_back_by_the_command_that_is_named() {
    let (bench, bytes) = (Bench::stamped(), image(PARTITION_LBA));
    let path = bench.file("a.img", &bytes);
    bench.cut_off(&path);
    let erased = bench.identity("erase --force").arg(bench.card.path()).run().exits(0);
    let named = erased.stderr.split("undo with `identity ").nth(1).and_then(|rest| rest.split('`').next());
    let words = named.expect("a way back").replace("IMAGE", &path.display().to_string());
    assert!(words.starts_with("flash --restore "), "{words}");
    bench.identity(words).run().exits(0);
    bench.card.run("verify").exits(0);
    assert_eq!(bench.card.run("read --field uuid").exits(0).stdout.trim(), UUID);
    assert_eq!(bench.card.bytes()[9000 * 512..9008 * 512], bytes[9000 * 512..9008 * 512]);
}

/// The copies are written first, so the card of an unfinished flash has them: its record is for no other card, whatever reader
/// both have been in.
#[test]
fn the_record_of_an_unfinished_flash_is_for_another_card_by_consent_alone() {
    let begun = || {
        let bench = Bench::stamped();
        let path = bench.file("a.img", &image(PARTITION_LBA));
        bench.cut_off(&path);
        bench
    };
    // The next card in the same reader.
    let bench = begun();
    let record = bench.records().pop().expect("a record");
    fs::rename(bench.card.path(), bench.path("first.img")).expect("own directory");
    fs::copy(Bench::blank().card.path(), bench.card.path()).expect("room");
    let restore = |options: &str| {
        bench.identity(format!("stamp {options} --restore")).arg(&record).arg(bench.card.path()).run()
    };
    let refused = bench.card.unchanged_by(|| restore("")).exits(6).says_one_sentence();
    refused.says(&["a flash that was not finished", UUID, "give --force"]);
    restore("--force").exits(0);
    assert_eq!(bench.card.run("read --field uuid").exits(0).stdout.trim(), UUID);

    // What proves that the identity is on its card makes the record needless.
    let bench = begun();
    bench.card.put(0, &image(PARTITION_LBA)[..SECTOR_LEN]).clear(6607);
    bench.identity("repair --force").arg(bench.card.path()).run().exits(0);
    assert!(bench.records().is_empty(), "{:?}", bench.records());
    let bench = begun();
    bench.card.put(0, &image(PARTITION_LBA)[..SECTOR_LEN]);
    bench.identity(format!("stamp --uuid {UUID} --serial S")).arg(bench.card.path()).run().exits(0);
    assert!(bench.records().is_empty(), "{:?}", bench.records());
    let bench = begun();
    bench.card.put(0, &image(PARTITION_LBA)[..SECTOR_LEN]);
    bench.identity("bind --board=SN7").arg(bench.card.path()).run().exits(0);
    assert!(bench.records().is_empty(), "{:?}", bench.records());

    // Its own card says so by the mark.
    let bench = begun();
    let record = bench.records().pop().expect("a record");
    bench.card.clear(52).clear(6607);
    let restore = bench.identity("stamp --at 52,6607 --restore").arg(&record).arg(bench.card.path()).run();
    restore.exits(0).shows(&[UUID]);
    assert!(bench.records().is_empty(), "{:?}", bench.records());
}
