// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the host does not let happen, and what the message says to do about it.

use super::*;

/// What `chattr` has set, root cannot write to either.
#[test]
fn an_image_with_an_attribute() {
    for (attribute, what) in
        [("+i", "immutable"), ("+a", "append-only"), ("+ia", "immutable and append-only")]
    {
        let make = || {
            let card = stamped();
            let set = Command::new("chattr").arg(attribute).arg(card.path()).status();
            set.is_ok_and(|status| status.success()).then_some(card)
        };
        for verb in ["stamp --force --profile beagle", "stamp --force --profile beagle --dry-run", "erase"] {
            let Some(card) = make() else {
                identity_tests::skipped("a file system without attributes, or no right to set them");
                return;
            };
            let said = run(&card, verb).exits(6).says_one_sentence().says(&[&format!("is {what} (")]);
            let named = commands(&said);
            for command in &named {
                follow(&card, command, &[]);
            }
            assert!(named.len() == 2 && !said.stderr.contains("root"), "{}", said.stderr);
            run(&card, verb).exits(0);
        }
    }
}

/// A flash writes nothing without a record; what the message says makes room for one.
#[test]
fn no_place_for_records() {
    let (_dir, image) = os();
    let card = stamped();
    let flash = |state: &Path| {
        let mut identity = card.identity(format!("flash --yes {image}"));
        identity.command().env("XDG_STATE_HOME", state);
        identity.run()
    };
    let said = card.unchanged_by(|| flash(Path::new("/proc/nowhere"))).exits(7).says_one_sentence();
    said.says(&["cannot write the record of the identity", "XDG_STATE_HOME=DIR", "absolute path"]);
    flash(&states(&card)).exits(0);
    is_whole(&card);
}

/// What makes a new file names it by /proc.
#[test]
fn without_proc() {
    if !identity_tests::block::is_privileged() {
        return;
    }
    let card = stamped();
    let path = card.dir().join("new.img");
    let mut unshare = identity_tests::cli::tool("unshare");
    unshare.args(["--mount", "sh", "-c", "mount -t tmpfs none /proc; exec \"$@\"", "sh"]);
    let stamp =
        identity_tests::cli::Identity::prefixed(unshare, program(), "stamp --create 16M --profile panda")
            .arg(&path);
    stamp
        .run()
        .exits(7)
        .says_one_sentence()
        .says(&["/proc is not there: mount it, `mount -t proc proc /proc`"]);
    assert!(!path.exists());
}
