// SPDX-License-Identifier: MIT OR Apache-2.0
//! Standard output that fails: the exit code says so, whatever was to be printed.

use std::fs::File;
use std::process::Stdio;

use identity_tests::cli::{Identity, Outcome};
use identity_tests::image::Image;

fn into_full(mut identity: Identity) -> Outcome {
    // `Outcome` wants an output that can be read; the shell gives the program another one.
    let full = File::options().write(true).open("/dev/full").expect("Linux");
    identity.command().stdout(Stdio::from(full)).stderr(Stdio::piped());
    let output = identity.command().output().expect("identity runs");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    Outcome::of_output("identity > /dev/full", output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_version_and_every_result_into_a_full_file() {
    for words in [
        "--help",
        "-h",
        "--version",
        "help",
        "help stamp",
        "stamp --help",
        "flash -h",
        "completions bash",
        "man",
    ] {
        let outcome = into_full(Identity::new(words)).exits(7);
        outcome.says(&["cannot write to standard output"]).says_one_sentence();
        Identity::new(words).run().exits(0).is_quiet();
    }
    let card = Image::stamped("--profile panda");
    for words in ["read", "read --format csv", "verify", "map", "map --format svg", "derive"] {
        into_full(card.identity(words)).exits(7).says(&["cannot write to standard output"]);
    }
    into_full(Identity::new("list")).exits(7).says(&["cannot write to standard output"]);
    // Wrong usage stays what it is.
    into_full(Identity::new("--nonsense")).exits(2);
    into_full(Identity::new("")).exits(2);
}
