// SPDX-License-Identifier: MIT OR Apache-2.0
//! `IMAGE.sha256` in every form that is published: taken where `sha256sum --check` takes it, else refused in a sentence.

use super::*;

/// Whether `sha256sum` finds the image to be what its file of checksums says.
fn sha256sum(bench: &Bench, sums: &Path) -> bool {
    let mut command = tool("sha256sum");
    command.args(["--check", "--status"]).arg(sums).current_dir(bench.state.path());
    command.status().expect("sha256sum, of coreutils").success()
}

/// What a flash would say of the image.
fn ours(bench: &Bench, image: &Path) -> Outcome {
    bench.flash("--dry-run", image)
}

fn hash(bench: &Bench, image: &Path) -> String {
    let output = tool("sha256sum").arg(image).current_dir(bench.state.path()).output().expect("coreutils");
    let text = String::from_utf8(output.stdout).expect("hex digits");
    text.trim_start_matches('\\').split(' ').next().expect("a sum").to_owned()
}

#[test]
fn every_form_that_sha256sum_takes_is_taken() {
    let bench = Bench::stamped();
    let image = bench.file("a.img", &image(PARTITION_LBA));
    let good = hash(&bench, &image);
    let bad = good.replace(['0', '1'], "2");
    let sums = bench.path("a.img.sha256");
    // Taken here although sha256sum does not: a sum alone, which is published often.
    let more = ["{}", "{}\n"];
    let mut taken = 0;
    for form in more.into_iter().chain([
        "{}  a.img\n",
        "{} *a.img\n",
        "{}\ta.img\n",
        "{} a.img\n",
        "  {}  a.img\n",
        "SHA256 (a.img) = {}\n",
        "SHA256(a.img)= {}\n",
        "SHA256 (a.img)= {}\n",
        "SHA2-256(a.img)= {}\n",
        "SHA512 (a.img) = {}\n",
        "\\{}  a.img\n",
        "{}  a.img\r\n",
        "\u{feff}{}  a.img\n",
        "# made today\n\n{}  a.img\n",
        "{}  b.img\n",
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n{}  a.img\n-----BEGIN PGP SIGNATURE-----\n",
        "a.img: {}\n",
        "{},a.img\n",
        "sha256:{}  a.img\n",
    ]) {
        fs::write(&sums, form.replace("{}", &good)).expect("own directory");
        let theirs = sha256sum(&bench, &sums);
        let outcome = ours(&bench, &image);
        let is_taken = outcome.code == Some(0);
        assert!(is_taken || !theirs, "{form:?}: sha256sum takes it: {outcome:?}");
        assert!(
            !is_taken || theirs || more.contains(&form) || form.ends_with("\r\n"),
            "{form:?}: {outcome:?}"
        );
        if !is_taken {
            outcome.exits(6).says_one_sentence().says(&["a.img.sha256: ", "--sha256"]);
            continue;
        }
        taken += 1;
        // With another sum it is read as well, and the image is not that.
        fs::write(&sums, form.replace("{}", &bad)).expect("own directory");
        assert!(!sha256sum(&bench, &sums));
        ours(&bench, &image).exits(6).says_one_sentence().says(&["has the SHA-256", &good]);
    }
    assert!(taken >= 11, "{taken}");
    // Two sums of one image cannot both be right.
    fs::write(&sums, format!("{good}  a.img\n{bad}  a.img\n")).expect("own directory");
    assert!(!sha256sum(&bench, &sums));
    ours(&bench, &image).exits(6).says(&["two different sums of a.img"]);
}

/// The names that sha256sum escapes, as it writes them itself.
#[test]
fn an_escaped_name_is_read() {
    let bytes = image(PARTITION_LBA);
    for name in ["a\nb.img", "a\\b.img", "a\rb.img", "a\\nb.img", "gr\u{fc}n.img", "a) = b.img"] {
        let bench = Bench::stamped();
        let image = bench.file(name, &bytes);
        for tag in [&[][..], &["--tag"]] {
            let mut command = tool("sha256sum");
            let output = command.args(tag).arg("--").arg(name).current_dir(bench.state.path()).output();
            let line = output.expect("coreutils").stdout;
            let sums = bench.file(&format!("{name}.sha256"), &line);
            assert!(sha256sum(&bench, &sums), "{name:?}");
            ours(&bench, &image).exits(0);
            let other = String::from_utf8(line).expect("text").replace(".img", ".iso");
            fs::write(&sums, other).expect("own directory");
            ours(&bench, &image).exits(6).says_one_sentence().says(&["is about"]);
        }
    }
}
