// SPDX-License-Identifier: MIT OR Apache-2.0
//! What a user gets wrong: one sentence that says what to do, the right exit code, and nothing touched.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use identity_tests::block::is_root;
use identity_tests::cli::{Identity, Outcome, program, tool};
use identity_tests::copy_program;
use identity_tests::image::Image;

use crate::UUID;

/// Every verb that has a target, as it is run on a card that it has not seen before.
const VERBS: [&str; 6] = ["stamp --profile panda", "read", "verify", "repair", "erase", "erase --force"];

#[track_caller]
fn refused(image: &Image, words: &str, code: i32, parts: &[&str]) {
    image.unchanged(words).exits(code).says_one_sentence().says(parts).prints("");
}

/// `stamp --profile panda`, one bad argument, on a blank card.
#[track_caller]
fn bad_value(option: &str, value: &str, parts: &[&str]) {
    let image = Image::mbr();
    let stamp = || image.identity("stamp --profile panda").arg(format!("{option}={value}")).run();
    image.unchanged_by(|| stamp().exits(2).says_one_sentence().says(parts).prints(""));
}

#[track_caller]
fn bad_profile(value: &str, parts: &[&str]) {
    let image = Image::mbr();
    let stamp = || image.identity("stamp").arg(format!("--profile={value}")).run();
    image.unchanged_by(|| stamp().exits(2).says_one_sentence().says(parts).prints(""));
}

#[test]
fn an_empty_file() {
    let image = Image::of(b"");
    refused(
        &image,
        "stamp --profile panda",
        6,
        &["no slot is free", "shorter than one sector", "whole card"],
    );
    for verb in ["read", "verify", "repair", "erase"] {
        image.unchanged(verb).exits(3).says_one_sentence().says(&["blank", "too short"]);
    }
}

#[test]
fn a_truncated_device() {
    let image = Image::zeroed(100 * 512);
    refused(&image, "stamp --profile panda", 6, &["no slot is free", "no partition table", "--at"]);
    for verb in ["read", "verify", "repair", "erase"] {
        image.unchanged(verb).exits(3).says_one_sentence().says(&["blank"]);
    }
}

#[test]
fn a_truncated_card() {
    let whole = Image::stamped("--profile panda").bytes();
    let image = Image::of(&whole[..100 * 512]);
    image.unchanged("read").exits(0).says_one_sentence().says(&["degraded", "LBA 6607", "absent"]);
    image.unchanged("verify").exits(5).says_one_sentence().says(&["LBA 6607", "absent"]);
    let parts = ["no slot is free", "cut off", "100 sectors", "LBA 8192", "whole card"];
    refused(&image, "repair --keep 52", 6, &parts);
    let blank = Image::of(&Image::mbr().bytes()[..100 * 512]);
    refused(&blank, "stamp --profile panda", 6, &parts);
    refused(&blank, "stamp --profile panda --force", 6, &parts);
    blank.run("stamp --profile panda --at 52,54").exits(0);
}

#[test]
fn a_card_cut_in_the_middle_of_a_sector() {
    let mut bytes = Image::stamped("--profile panda").bytes();
    bytes.truncate(6607 * 512 + 100);
    let image = Image::of(&bytes);
    image.unchanged("read").exits(0).says(&["LBA 6607", "absent"]);
    bytes.truncate(52 * 512 + 100);
    Image::of(&bytes).unchanged("read").exits(3).says(&["blank"]);
}

#[test]
fn a_directory() {
    let image = Image::absent();
    fs::create_dir(image.path()).unwrap();
    for verb in VERBS {
        refused(
            &image,
            verb,
            7,
            &["card.img is a directory", "give the card's block device or an image file"],
        );
    }
}

#[test]
fn a_missing_path_is_not_created() {
    let image = Image::absent();
    for verb in VERBS {
        refused(&image, verb, 7, &["card.img", "no such file", "check the name"]);
    }
    let missing = image.dir().join("missing/card.img");
    let create = || Identity::new("stamp --profile panda --create 64M").arg(&missing).run();
    image.unchanged_by(|| create().exits(7).says_one_sentence().says(&["missing/card.img", "no such file"]));
}

#[test]
fn a_dangling_symlink_is_not_followed_into_being() {
    let image = Image::absent();
    std::os::unix::fs::symlink(image.dir().join("nowhere"), image.path()).unwrap();
    for verb in VERBS {
        refused(&image, verb, 7, &["card.img", "no such file"]);
    }
    refused(&image, "stamp --profile panda --create 64M", 6, &["card.img exists"]);
}

#[test]
fn a_fifo_a_terminal_and_other_things_that_are_no_card() {
    let image = Image::absent();
    assert!(tool("mkfifo").arg(image.path()).status().unwrap().success());
    for verb in VERBS {
        refused(&image, verb, 7, &["neither a block device nor a file"]);
    }
    for path in ["/dev/null", "/dev/zero", "/dev/tty"] {
        Identity::new("stamp --profile panda").arg(path).run().exits(7).says_one_sentence().says(&[path]);
        Identity::new("read").arg(path).run().exits(7).says_one_sentence();
    }
}

/// As a user without rights: another one when this is root.
fn unprivileged(image: &Image, words: &str) -> Outcome {
    if !is_root() {
        return image.run(words);
    }
    // The build directory may be closed to others.
    let open = tempfile::tempdir().unwrap();
    fs::set_permissions(open.path(), Permissions::from_mode(0o755)).unwrap();
    let copy = open.path().join("identity");
    copy_program(program(), &copy);
    let mut setpriv = tool("setpriv");
    setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    Identity::prefixed(setpriv, &copy, words).arg(image.path()).run()
}

#[test]
fn no_permission_to_read() {
    let image = Image::stamped("--profile panda");
    fs::set_permissions(image.path(), Permissions::from_mode(0o000)).unwrap();
    for verb in VERBS {
        let outcome = image.unchanged_by(|| unprivileged(&image, verb).exits(7));
        outcome.says_one_sentence().says(&["card.img", "permission denied", "run as root"]).prints("");
    }
}

#[test]
fn no_permission_to_write() {
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    fs::set_permissions(image.path(), Permissions::from_mode(0o444)).unwrap();
    for verb in [&format!("stamp --uuid {UUID}"), "repair", "erase"] {
        let outcome = image.unchanged_by(|| unprivileged(&image, verb).exits(7));
        outcome.says_one_sentence().says(&["card.img", "permission denied"]);
    }
    image.unchanged_by(|| unprivileged(&image, "read").exits(0));
    image.unchanged_by(|| unprivileged(&image, "verify").exits(0));
}

#[test]
fn no_permission_to_create() {
    let image = Image::absent();
    fs::set_permissions(image.dir(), Permissions::from_mode(0o555)).unwrap();
    let create = || unprivileged(&image, "stamp --profile panda --create 64M");
    image.unchanged_by(|| create().exits(7).says_one_sentence().says(&["card.img", "permission denied"]));
}

#[test]
fn a_profile_with_forbidden_characters() {
    for (value, part) in [
        ("lab/panda", "'/' (character 4)"),
        ("pan da", "character 4"),
        (".panda", "'.' (character 1)"),
        ("-panda", "'-' (character 1)"),
        ("pändä", "character 2"),
        ("panda\n", "character 6"),
        ("", "empty"),
    ] {
        bad_profile(value, &["profile", part, "letter or digit"]);
    }
}

#[test]
fn a_hostname_with_forbidden_characters() {
    for (value, part) in [
        ("a_b", "'_' (character 2)"),
        ("-a", "'-' (character 1)"),
        ("a-", "'-' (character 2)"),
        ("a..b", "'.' (character 3)"),
        ("a.", "'.' (character 2)"),
        ("a b", "character 2"),
        ("$(reboot)", "'$' (character 1)"),
        ("", "empty"),
    ] {
        bad_value("--hostname", value, &["hostname", part, "labels"]);
    }
}

#[test]
fn a_serial_with_forbidden_characters() {
    for (value, part) in
        [("a b", "character 2"), ("s\u{e9}", "character 2"), ("a\tb", "character 2"), ("", "empty")]
    {
        bad_value("--serial", value, &["serial", part, "printable ASCII"]);
    }
}

#[test]
fn a_variable_that_is_none() {
    for (value, part) in [
        ("novalue", "KEY=VALUE"),
        ("=x", "key is empty"),
        ("2a=x", "key may not have '2'"),
        ("A=x", "key may not have 'A'"),
        ("a-b=x", "key may not have '-'"),
        ("a b=x", "key may not have"),
        ("a=x\ny", "value may not have byte 0x0a"),
        ("a=\x1b[31m", "value may not have byte 0x1b"),
        ("a=\u{85}", "value may not have byte"),
        ("", "KEY=VALUE"),
    ] {
        bad_value("--set", value, &["--set", part]);
    }
}

#[test]
fn values_that_are_too_long() {
    let (long, value) = ("x".repeat(64), "x".repeat(192));
    bad_profile(&long, &["profile is 64 bytes long", "63"]);
    bad_profile(&"x".repeat(5000), &["profile is 5000 bytes long"]);
    bad_value("--hostname", &long, &["hostname is 64 bytes long", "63"]);
    bad_value("--serial", &long, &["serial is 64 bytes long", "63"]);
    bad_value("--set", &format!("{long}=x"), &["key is 64 bytes long", "63"]);
    bad_value("--set", &format!("a={value}"), &["value is 192 bytes long", "191"]);
}

#[test]
fn too_many_fields_say_how_many_bytes_over() {
    let image = Image::mbr();
    let sets: Vec<_> = (0..20).map(|number| format!("--set k{number:02}={}", "x".repeat(100))).collect();
    // Two of header, four of key and '=', the value; and seven of the profile.
    let over = 7 + 20 * (2 + 4 + 100) - 462;
    refused(
        &image,
        &format!("stamp --profile panda {}", sets.join(" ")),
        2,
        &[&format!("{over} bytes over"), "shorten or leave out"],
    );
}

#[test]
fn far_too_many_fields_say_how_many_bytes_over() {
    let image = Image::mbr();
    let sets: Vec<_> = (0..200).map(|number| format!("--set k{number:03}={}", "x".repeat(180))).collect();
    let over = 7 + 200 * (2 + 5 + 180) - 462;
    refused(
        &image,
        &format!("stamp --profile panda {}", sets.join(" ")),
        2,
        &[&format!("{over} bytes over"), "shorten or leave out"],
    );
}

#[test]
fn duplicate_keys() {
    let image = Image::mbr();
    for (twice, part) in [
        ("--set a=1 --set a=2", "--set a="),
        ("--set a=1 --set a=1", "--set a="),
        ("--mac 02:00:00:00:00:01 --mac 02:00:00:00:00:02", "--mac 0="),
        ("--mac 02:00:00:00:00:01 --mac 0=02:00:00:00:00:02", "--mac 0="),
    ] {
        refused(&image, &format!("stamp --profile panda {twice}"), 2, &[part, "twice", "once"]);
    }
    for twice in ["--hostname a --hostname b", "--profile beagle", "--serial a --serial b"] {
        refused(&image, &format!("stamp --profile panda {twice}"), 2, &["multiple times"]);
    }
}

#[test]
fn a_mac_address_that_no_interface_can_have() {
    for (value, part) in [
        ("01:00:5e:00:00:01", "multicast"),
        ("ff:ff:ff:ff:ff:ff", "multicast"),
        ("00:00:00:00:00:00", "all zero"),
        ("02:00:00:00:00", "six pairs of hex digits"),
        ("02:00:00:00:00:01:02", "six pairs of hex digits"),
        ("2:0:0:0:0:1", "six pairs of hex digits"),
        ("02:00:00:00:00:0g", "six pairs of hex digits"),
        ("256=02:00:00:00:00:01", "256"),
        ("-1=02:00:00:00:00:01", "-1"),
        ("eth0=02:00:00:00:00:01", "eth0"),
        ("", "six pairs"),
    ] {
        bad_value("--mac", value, &["--mac", part]);
    }
}

#[test]
fn a_uuid_that_is_nobody_s() {
    for uuid in ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"] {
        bad_value("--uuid", uuid, &["--uuid", "nil", "random"]);
        Identity::new("derive").arg(uuid).run().exits(2).says_one_sentence().says(&["nil"]).prints("");
    }
}

#[test]
fn a_malformed_uuid() {
    for uuid in ["", "x", "9e3c1d40", "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7fg", &format!("{UUID}0")] {
        bad_value("--uuid", uuid, &["--uuid", "32 hex digits"]);
        Identity::new("derive")
            .arg(uuid)
            .run()
            .exits(2)
            .says_one_sentence()
            .says(&["32 hex digits"])
            .prints("");
    }
}

#[test]
fn unknown_options_and_words() {
    let image = Image::mbr();
    for verb in VERBS {
        refused(&image, &format!("{verb} --nosuch"), 2, &["--nosuch"]);
        refused(&image, &format!("{verb} --format xml"), 2, &["xml", "json"]);
        if verb != "read" {
            refused(&image, &format!("{verb} surplus"), 2, &["unexpected argument"]);
        }
    }
    refused(&image, "nosuch", 2, &["nosuch"]);
    refused(&image, "stamp --profile panda --create x", 2, &["--create", "64M"]);
    refused(&image, "read --at x", 2, &["--at"]);
    refused(&image, "read --field uuid --format json", 2, &["--field", "--format"]);
    Identity::new("stamp --profile panda").run().exits(2).says(&["TARGET"]);
    Identity::new("").run().exits(2);
    Identity::new("--help").run().exits(0).shows(&["stamp", "verify", "Exit codes"]);
    Identity::new("--version").run().exits(0).shows(&["identity"]);
}

#[test]
fn an_unknown_or_absent_field_prints_nothing() {
    let image = Image::stamped("--profile panda");
    for field in ["nosuch", "", "mac.x", "mac.-1", "variable.a", "UUID"] {
        let read = || image.identity("read").arg(format!("--field={field}")).run();
        image
            .unchanged_by(|| read().exits(2).says_one_sentence().says(&["no such field", "uuid"]).prints(""));
    }
    for field in ["hostname", "serial", "variables.a", "variables."] {
        refused(&image, &format!("read --field {field}"), 2, &["card.img", field, "identity read"]);
    }
}

#[test]
fn random_bytes() {
    // xorshift64: the same bytes in every run.
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut bytes: Vec<u8> = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    })
    .take(1 << 20)
    .flatten()
    .collect();
    let image = Image::of(&bytes);
    refused(&image, "stamp --profile panda", 6, &["no partition table", "--at"]);
    refused(&image, "stamp --profile panda --force", 6, &["no partition table", "--at"]);
    for verb in ["read", "verify", "repair", "erase", "erase --force"] {
        image.unchanged(verb).exits(3).says_one_sentence().says(&["blank"]);
    }
    // With the mark of a boot sector.
    bytes[510..512].copy_from_slice(&[0x55, 0xaa]);
    Image::of(&bytes).unchanged("stamp --profile panda").exits(6);
}

fn gpt() -> Image {
    Image::sgdisk(32768, &["--set-alignment=1", "--new=1:8192:0"])
}

#[test]
fn a_gpt_with_a_broken_crc() {
    for (lba, byte, part) in [(1, 40, "header"), (1, 16, "header"), (2, 60, "entries"), (33, 5, "entries")] {
        let image = gpt();
        let mut sector = image.sector(lba);
        sector[byte] ^= 1;
        image.put(lba, &sector);
        refused(&image, "stamp --profile panda", 6, &["GPT", part, "checksum", "sgdisk -v"]);
        image.unchanged("read").exits(3);
    }
}

#[test]
fn a_gpt_that_was_wiped_behind_its_protective_mbr() {
    let image = gpt();
    image.clear(1).unchanged("stamp --profile panda").exits(6).says(&["GPT header"]);
    let image = gpt();
    image.clear(0).unchanged("stamp --profile panda").exits(6);
}

#[test]
fn file_systems_without_a_table() {
    let make: [(&str, &[&str]); 2] = [("mkfs.vfat", &[]), ("mkfs.ext4", &["-q", "-F"])];
    for (mkfs, options) in make {
        let image = Image::zeroed(16 << 20);
        let mut command = tool(mkfs);
        if identity_tests::run_where_installed(command.args(options).arg(image.path())).is_none() {
            continue;
        }
        image.unchanged("stamp --profile panda").exits(6).says(&["uses the whole device", "LBA"]);
        image.unchanged("stamp --profile panda --force").exits(6);
    }
}

#[test]
fn an_iso_image() {
    let image = Image::mbr();
    image.put(64, b"\x01CD001\x01\x00");
    image.unchanged("stamp --profile panda").exits(6).says(&["ISO 9660"]);
}

#[test]
fn an_odd_name_is_only_a_name() {
    let image = Image::stamped("--profile panda");
    for name in ["-card.img", "a b", "$(reboot)", "'", "card\u{fc}.img"] {
        let path = image.dir().join(name);
        fs::copy(image.path(), &path).unwrap();
        Identity::new("read --field profile").arg(&path).run().exits(0).prints("panda\n");
    }
    let bytes = image.dir().join(std::ffi::OsStr::from_bytes(b"\xff\xfe.img"));
    fs::copy(image.path(), &bytes).unwrap();
    Identity::new("read --field profile").arg(&bytes).run().exits(0).prints("panda\n");
    let mut dashed = Identity::new("read --field profile -- -card.img");
    dashed.command().current_dir(image.dir());
    dashed.run().exits(0).prints("panda\n");
}

#[test]
fn arguments_that_are_no_text() {
    let image = Image::mbr();
    for option in ["--profile", "--hostname", "--set"] {
        let value = std::ffi::OsStr::from_bytes(b"a=\xff");
        let option = [option.as_bytes(), b"=", value.as_bytes()].concat();
        let option = std::ffi::OsStr::from_bytes(&option);
        let stamp = || image.identity("stamp --profile panda").arg(option).run();
        image.unchanged_by(|| stamp().exits(2));
    }
}

#[test]
fn a_file_system_that_is_read_only() {
    if !identity_tests::block::is_privileged() {
        return;
    }
    let image = Image::stamped(format!("--profile panda --uuid {UUID}"));
    let run = |verb: &str| {
        let mut unshare = tool("unshare");
        // In a mount namespace of its own, so that nothing is left mounted.
        let script =
            "mount --bind -o ro \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\" && shift && exec \"$@\"";
        unshare.args(["--mount", "sh", "-c", script, "sh"]).arg(image.dir());
        Identity::prefixed(unshare, program(), verb).arg(image.path()).run()
    };
    for verb in [&format!("stamp --uuid {UUID}"), "erase"] {
        let outcome = image.unchanged_by(|| run(verb).exits(6));
        outcome.says_one_sentence().says(&["card.img", "read-only", "file system"]);
    }
    run("read").exits(0);
}

#[test]
fn no_message_is_a_panic() {
    for path in ["/", "/proc/self/mem", "/proc/self/maps", "/proc/version"] {
        for verb in ["read", "verify", "repair", "erase"] {
            let outcome = Identity::new(verb).arg(Path::new(path)).run();
            assert!(!outcome.stderr.contains("panicked"), "{outcome:?}");
            assert!(matches!(outcome.code, Some(3 | 6 | 7)), "{outcome:?}");
        }
    }
}
