// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever a file is called: a shell takes the commands that messages name as they are, and they run nothing else.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use identity_tests::cli::Identity;

use super::*;

/// Names that a shell or a terminal gets wrong; `touch pwned` would leave a file.
const NAMES: [&[u8]; 9] = [
    b"my card.img",
    b"$(touch pwned).img",
    b"`touch pwned`.img",
    b"a'; touch pwned; '.img",
    b"a\";touch pwned;\"\\!!.img",
    b"a\nidentity: all is well.img",
    b"\x1b[2J\x1b[31mcard.img",
    b"\xff\x80.img",
    "\u{202e}gmi.\u{200b}card".as_bytes(),
];

fn names() -> impl Iterator<Item = &'static OsStr> {
    NAMES.into_iter().map(OsStr::from_bytes)
}

/// In the state that `make` gives, and under every name: the command that `verb` names, by a part of it, is followed, and
/// `check` looks at what has come of it.
fn each_name(make: impl Fn() -> Image, verb: &str, part: &str, words: &[(&str, &str)], check: fn(&Image)) {
    for name in names() {
        let card = make().named(name);
        let outcome = run(&card, verb);
        assert!(!outcome.stderr.contains('\x1b') && !outcome.stdout.contains('\x1b'), "{outcome:?}");
        assert!(outcome.stderr.lines().all(|line| !line.starts_with("identity: all is well")), "{outcome:?}");
        let named = quoted(&(outcome.stdout + &outcome.stderr));
        let command = named.iter().find(|command| command.contains(part));
        follow(&card, command.unwrap_or_else(|| panic!("{verb}: no `{part}` in {named:?}")), words);
        check(&card);
        assert!(!card.dir().join("pwned").exists() && !Path::new("pwned").exists(), "{name:?}");
    }
}

#[test]
fn of_the_card() {
    each_name(Image::mbr, "read", "identity stamp --profile NAME", &[], is_new);
    each_name(|| Image::zeroed(SECTORS as u64 * 512), "read", "sfdisk --label dos", &[], can_be_stamped);
    let damaged = || {
        let card = stamped();
        card.damage(SECOND);
        card
    };
    each_name(damaged, "verify", "identity repair", &[], is_whole);
    let lone = || {
        let card = stamped();
        card.clear(SECOND);
        card
    };
    each_name(lone, "repair", "identity erase", &[], is_blank);
    let two = || {
        let card = stamped();
        card.put(SECOND, &Image::stamped(format!("--profile beagle --uuid {OTHER}")).sector(SECOND));
        card
    };
    each_name(two, "verify", "identity repair --keep", &[("UUID", UUID)], is_whole);
    each_name(stamped, "stamp --profile x", "identity stamp --uuid", &[], is_changed);
    let covered = || {
        let card = stamped();
        card.damage(SECOND);
        card.put(0, Card::new(SECTORS).mbr(1, 0x0c, 2048, 4096).bytes().get(..512).expect("LBA 0"));
        card
    };
    each_name(covered, "repair", "dd if=/dev/zero", &[], |_| ());
    let unfinished = || {
        let card = stamped();
        card.put(0, &Mark::new("os\u{202e}.img", Some(5)).encode());
        card
    };
    let (_dir, image) = os();
    each_name(unfinished, "read", "identity flash IMAGE", &[("IMAGE", &image)], is_whole);
}

/// Tools of others, to which the messages send.
#[test]
fn of_a_card_in_the_commands_of_other_tools() {
    let swap = || {
        let card = Image::mbr();
        card.put(2, &[1, 0, 0, 0, 0xff, 7, 0, 0]);
        let mut sector = [0; 512];
        sector[502..].copy_from_slice(b"SWAPSPACE2");
        card.put(7, &sector);
        card
    };
    for verb in ["stamp --profile x", "map"] {
        each_name(swap, verb, "dd if=/dev/zero", &[], can_be_stamped);
    }
    let cut = || {
        let card = Image::sgdisk(2 * SECTORS as u64, &["-n", "1:8192:+1M"]);
        let file = fs::File::options().write(true).open(card.path()).expect("own file");
        file.set_len(SECTORS as u64 * 512).expect("own file");
        card
    };
    each_name(cut, "stamp --profile x", "sgdisk -e", &[], can_be_stamped);
}

/// The undo names two files: the record, in a directory with such a name, and the card.
#[test]
fn of_the_directory_for_records() {
    for name in names() {
        let card = stamped().named(name);
        let states: PathBuf = states(&card).join(name);
        let mut erase = card.identity("erase");
        erase.command().env("XDG_STATE_HOME", &states);
        let named = commands(&erase.run().exits(0));
        assert_eq!(named.len(), 1, "{named:?}");
        follow(&card, &named[0], &[]);
        is_whole(&card);
    }
}

#[test]
fn of_an_image() {
    for name in names() {
        let (dir, image) = os();
        let odd = dir.path().join(name);
        for _ in 0..2 {
            assert!(Command::new("gzip").args(["-kf", &image]).status().expect("gzip").success());
            fs::rename(format!("{image}.gz"), &image).expect("own directory");
        }
        fs::rename(&image, &odd).expect("own directory");
        let card = stamped();
        let flash = || Identity::new("flash --yes").arg(&odd).arg(card.path()).run();
        let named = commands(&flash().exits(6));
        assert_eq!(named.len(), 1, "{named:?}");
        follow(&card, &format!("{} ", named[0]), &[("TARGET", &card.path().display().to_string())]);
        is_whole(&card);
        // What is no image, too, is told without obeying its name.
        fs::write(&odd, "<!doctype html>").expect("own directory");
        flash().exits(6).says(&["a web page"]).says_one_sentence();
    }
}

/// A name that begins like an option, given as clap wants it.
#[test]
fn that_begin_with_a_minus() {
    for name in ["-rf.img", "--help", "-"] {
        let card = stamped().named(name);
        card.damage(SECOND);
        let mut verify = Identity::new("verify --").arg(name);
        verify.command().current_dir(card.dir()).env("XDG_STATE_HOME", states(&card));
        let named = commands(&verify.run().exits(5));
        assert_eq!(named, [format!("identity repair ./{name}")]);
        follow(&card, &format!("cd {} && {}", card.dir().display(), named[0]), &[]);
        is_whole(&card);
    }
}

/// The board's serial comes from a card that anybody may have written.
#[test]
fn a_value_from_a_card_runs_nothing() {
    const BOARD: &str = "$(touch${IFS}pwned)';`touch${IFS}pwned`";
    let image = stamped();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let machine = |serial: &str| {
        let machine =
            Machine::new().card("mmcblk0", &card, &[("device/cid", "035344534C33324780AABBCCDD0155E7")]);
        machine.tree("chosen/identity/board-serial", format!("{serial}\0").as_bytes())
    };
    machine("SN7").identity("bind --board /dev/mmcblk0").run().exits(0);
    let other = machine(BOARD);
    let named = commands(&other.identity("read /dev/mmcblk0").run().exits(5));
    let bind = named.iter().find(|command| command.starts_with("identity bind")).expect("the way out");
    let words = Command::new("sh").args(["-c", &format!("printf '%s\\n' {bind}")]).output().expect("a shell");
    let words = String::from_utf8_lossy(&words.stdout).into_owned();
    assert!(words.lines().any(|word| word == format!("--board={BOARD}")), "{words}");
    assert!(!Path::new("pwned").exists());
}
