// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real block devices, as loop devices: stamped past every cache, and refused for whatever speaks against it.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use identity_core::{SECTOR_LEN, StoredCopy};
use identity_tests::block::{Loop, Mounted, nobody_mounts, skipped};
use identity_tests::cli::{Identity, Outcome, program, tool};
use identity_tests::image::{Image, PARTITION_LBA, SECTORS};
use identity_tests::{copy_program, run_where_installed};
use rustix::fs::OFlags;

use crate::UUID;

/// More than the program's patience, less than a person's.
const BOUND: Duration = Duration::from_secs(20);

/// Every verb that writes, on a card that is stamped.
fn writing() -> [String; 4] {
    [
        format!("stamp --uuid {UUID} --hostname new"),
        "stamp --profile beagle --force".into(),
        "repair".into(),
        "erase".into(),
    ]
}

/// A stamped card with a FAT on its partition, as `stamp --create` makes it.
fn created() -> Image {
    let image = Image::absent();
    image.run(format!("stamp --profile panda --uuid {UUID} --create 16M")).exits(0);
    image
}

/// All that `identity` could write to; behind it, a mounted file system writes as it likes.
fn gap(image: &Image) -> Vec<u8> {
    image.bytes()[..PARTITION_LBA as usize * SECTOR_LEN].to_vec()
}

/// As of a reader whose card was pulled after the device had been opened.
#[test]
fn a_device_without_a_medium_is_not_called_blank() {
    let empty = tempfile::NamedTempFile::new().expect("a file");
    let Some(device) = Loop::attach(empty.path(), &[]) else { return };
    for verb in ["read", "verify", "map", "repair", "erase"] {
        let outcome = Identity::new(verb).arg(device.path()).run();
        outcome.exits(7).says_one_sentence().says(&["has no card in it"]);
    }
}

/// Every verb that writes is refused, a dry run too, for a reason that says all of `parts`; nothing is written.
#[track_caller]
fn refused(image: &Image, device: &Path, parts: &[&str]) {
    let before = gap(image);
    for words in writing() {
        for dry in ["", "--dry-run"] {
            let outcome = Identity::new(format!("{words} {dry}")).arg(device).run();
            outcome.exits(6).says_one_sentence().says(parts).prints("");
        }
    }
    assert!(gap(image) == before);
}

#[test]
fn a_card_is_stamped_read_verified_repaired_and_erased() {
    let image = Image::mbr();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    card.run("read").exits(3).says(&[&card.name(), "blank"]);
    let stamped =
        card.run(format!("stamp --profile panda --uuid {UUID} --format json")).exits(0).is_quiet().json();
    assert_eq!(card.run("read --format json").exits(0).is_quiet().json(), stamped);
    card.run("verify").exits(0).is_quiet();
    card.run("repair").exits(0).shows(&["nothing to repair"]);
    card.run("stamp --profile beagle").exits(6).says(&[UUID]);
    card.run(format!("stamp --uuid {UUID} --hostname new")).exits(0);
    card.run("erase").exits(0).shows(&[UUID, "new"]);
    card.run("read").exits(3);
}

#[test]
fn the_medium_holds_the_bytes_and_not_only_a_cache() {
    let image = Image::mbr();
    let Some(card) = Loop::attach(image.path(), &["--direct-io=on"]) else { return };
    card.run(format!("stamp --profile panda --uuid {UUID}")).exits(0);
    fs::write("/proc/sys/vm/drop_caches", "3").unwrap();
    for lba in [52_u32, 6607] {
        let sector = image.dir().join(lba.to_string());
        let input = format!("if={}", card.path().display());
        let output = format!("of={}", sector.display());
        let range = [format!("skip={lba}"), "count=1".into(), "bs=512".into(), "iflag=direct".into()];
        run_where_installed(tool("dd").args([input, output]).args(range)).expect("dd");
        let bytes: [u8; SECTOR_LEN] = fs::read(&sector).unwrap().try_into().unwrap();
        let copy = StoredCopy::parse(&bytes, lba).unwrap();
        assert_eq!((copy.uuid().to_string(), copy.identity().profile()), (UUID.into(), "panda"));
        assert_eq!(image.sector(lba), bytes, "and so does the file behind it");
    }
}

#[test]
fn each_copy_is_read_past_the_cache_before_the_next_is_written() {
    let image = Image::mbr();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let log = tempfile::NamedTempFile::new().unwrap();
    card.identity("stamp --profile panda").fault("FAULT_LOG", log.path()).run().exits(0);
    let log = fs::read_to_string(log.path()).unwrap();
    let events: Vec<_> = log.lines().skip_while(|event| !event.starts_with("write")).take(6).collect();
    // Direct reads are of aligned blocks of eight sectors.
    assert_eq!(events, ["write 6607", "flush", "direct 6600", "write 52", "flush", "direct 48"]);
}

#[test]
fn a_device_node_by_another_name_is_the_same_device() {
    let image = Image::mbr();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let link = image.dir().join("by-id");
    std::os::unix::fs::symlink(card.path(), &link).unwrap();
    Identity::new("stamp --profile panda").arg(&link).run().exits(0);
    Identity::new("verify").arg(&link).run().exits(0);
    card.run("verify").exits(0);
}

#[test]
fn a_partition_is_refused_and_the_whole_card_named() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let whole = format!("give the whole card, {}", card.path().display());
    let partition = card.partition(1);
    refused(&image, &partition, &["partition 1", &whole]);
    for words in ["read", "verify", "read --format json", "read --field uuid"] {
        Identity::new(words).arg(&partition).run().exits(6).says_one_sentence().says(&[&whole]).prints("");
    }
}

#[test]
fn a_read_only_device_is_refused() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &["--read-only"]) else { return };
    refused(&image, card.path(), &[&card.name(), "read-only"]);
    card.run("read").exits(0);
    card.run("verify").exits(0);
}

#[test]
fn a_device_with_sectors_of_4096_bytes_is_refused() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &["--sector-size=4096"]) else { return };
    refused(&image, card.path(), &[&card.name(), "4096", "512"]);
}

/// Mounts the card's partition: its FAT, or an ext4 where the kernel knows no FAT.
pub fn mount(image: &Image, card: &Loop) -> Option<Mounted> {
    let partition = card.partition(1);
    let point = image.dir().join("mounted here");
    if let Some(mounted) = Mounted::at(&partition, &point) {
        return Some(mounted);
    }
    let mut mkfs = tool("mkfs.ext4");
    run_where_installed(mkfs.args(["-q", "-F"]).arg(&partition))?;
    let mounted = Mounted::at(&partition, &point);
    if mounted.is_none() {
        skipped("this kernel mounts neither FAT nor ext4");
    }
    mounted
}

#[test]
fn a_card_with_a_mounted_partition_is_refused_until_it_is_unmounted() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let Some(mounted) = mount(&image, &card) else { return };
    refused(&image, card.path(), &[&format!("{}p1 is mounted on", card.name()), "mounted here", "umount"]);
    card.run("read").exits(0).is_quiet();
    card.run("verify").exits(0).is_quiet();
    drop(mounted);
    card.run(format!("stamp --uuid {UUID} --hostname new")).exits(0);
}

/// The command that the message names unmounts it, whatever the place is called.
#[test]
fn a_mount_point_is_named_as_a_shell_takes_it() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    for name in [&b"my card"[..], b"$(touch pwned)", b"a\tb\nc\\040'd", b"-x", b"\x1b[31m", b"\xfc\x80"] {
        let Some(mounted) = mount(&image, &card) else { return };
        drop(mounted);
        let point = image.dir().join(OsStr::from_bytes(name));
        let Some(_mounted) = Mounted::at(&card.partition(1), &point) else { return };
        let said = card.run(format!("stamp --uuid {UUID} --hostname new")).exits(6).says_one_sentence();
        let command = said.stderr.split('`').nth(1).expect("a command").to_owned();
        assert!(!command.contains('\u{1b}'), "{command:?}");
        let done = tool("sh").args(["-c", &command]).current_dir(image.dir()).status().expect("a shell");
        assert!(done.success() && !image.dir().join("pwned").exists(), "{command}");
        nobody_mounts(&card.partition(1));
        card.run(format!("stamp --uuid {UUID} --hostname new")).exits(0);
    }
}

#[test]
fn a_mount_that_only_another_namespace_sees_is_refused_too() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    // Leaves the partition formatted for whatever this kernel can mount.
    let Some(mounted) = mount(&image, &card) else { return };
    drop(mounted);
    let script = "mount \"$1\" \"$2\" && echo mounted && read -r _";
    let mut other = tool("unshare");
    other
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(card.partition(1))
        .arg(image.dir().join("mounted here"));
    let mut other =
        other.stdin(std::process::Stdio::piped()).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(other.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert_eq!(line, "mounted\n");
    let before = gap(&image);
    let start = Instant::now();
    card.run(format!("stamp --uuid {UUID} --hostname new")).exits(6).says_one_sentence().says(&["in use"]);
    assert!(start.elapsed() < BOUND);
    assert!(gap(&image) == before);
    drop(other.stdin.take());
    other.wait().unwrap();
}

#[test]
fn a_card_with_swap_space_in_use_is_refused() {
    let image = Image::sfdisk(SECTORS as u64, "start=8192, type=82\n");
    image.run(format!("stamp --profile panda --uuid {UUID}")).exits(0);
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let partition = card.partition(1);
    if run_where_installed(tool("mkswap").arg(&partition)).is_none() {
        return;
    }
    if !tool("swapon").arg(&partition).status().unwrap().success() {
        skipped("this kernel takes no swap space");
        return;
    }
    let refusals: Vec<_> = writing().iter().map(|words| card.run(words)).collect();
    assert!(tool("swapoff").arg(&partition).status().unwrap().success());
    for outcome in refusals {
        outcome.exits(6).says_one_sentence().says(&[&format!("{}p1", card.name()), "swap", "swapoff"]);
    }
    card.run(format!("stamp --uuid {UUID} --hostname new")).exits(0);
}

/// Holds a device, as soon as nobody else does: who looks for partitions on a new one holds it, too.
fn hold(path: &Path) -> File {
    let exclusive = i32::try_from(OFlags::EXCL.bits()).unwrap();
    let open = || OpenOptions::new().read(true).custom_flags(exclusive).open(path);
    let mut tries = std::iter::repeat_with(open).inspect(|_| sleep(Duration::from_millis(20))).take(250);
    tries.find_map(Result::ok).expect("nobody else holds it for five seconds")
}

#[test]
fn a_device_that_another_program_holds_is_refused_in_bounded_time() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    for path in [card.path().to_owned(), card.partition(1)] {
        let holder = hold(&path);
        let before = image.bytes();
        let start = Instant::now();
        let running: Vec<_> = writing().iter().map(|words| card.identity(words).start()).collect();
        for running in running {
            running.wait().exits(6).says_one_sentence().says(&[&card.name(), "in use", "fuser"]);
        }
        assert!(start.elapsed() < BOUND);
        assert!(image.bytes() == before);
        card.run("read").exits(0);
        drop(holder);
    }
}

#[test]
fn a_device_that_is_released_in_time_is_stamped() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let holder = hold(card.path());
    let update = format!("stamp --uuid {UUID} --hostname new");
    let mut running = card.identity(update).fault("FAULT_WAITING", "1").start();
    let mut stderr = BufReader::new(running.child().stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert_eq!(line, "waiting\n");
    drop(holder);
    running.wait().exits(0);
    card.run("verify").exits(0);
}

#[test]
fn of_several_stamps_at_once_one_wins_and_the_others_are_refused() {
    let image = Image::mbr();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let start = |number| card.identity(format!("stamp --profile panda --hostname h{number}")).start();
    let running: Vec<_> = (0..4).map(start).collect();
    let outcomes: Vec<Outcome> = running.into_iter().map(|running| running.wait()).collect();
    assert_eq!(outcomes.iter().filter(|outcome| outcome.code == Some(0)).count(), 1, "{outcomes:?}");
    for outcome in outcomes.into_iter().filter(|outcome| outcome.code != Some(0)) {
        outcome.exits(6).says_one_sentence();
    }
    card.run("verify").exits(0).is_quiet();
}

#[test]
fn an_image_behind_a_loop_device_is_refused_and_the_device_named() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    refused(&image, image.path(), &["card.img is attached to", &card.name(), "losetup -d"]);
    let link = image.dir().join("hard-link");
    fs::hard_link(image.path(), &link).unwrap();
    refused(&image, &link, &[&card.name()]);
    image.run("read").exits(0);
    card.run(format!("stamp --uuid {UUID} --hostname new")).exits(0);
    image.run("read --field hostname").exits(0).prints("new\n");
    drop(card);
    image.run(format!("stamp --uuid {UUID} --hostname newer")).exits(0);
}

/// Two stamps at once, each through a device of its own, would both believe that they have won.
#[test]
fn a_device_whose_file_another_one_serves_is_refused() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let other = Loop::attach(image.path(), &[]).unwrap();
    let detach = format!("`losetup -d {}`", other.path().display());
    refused(&image, card.path(), &["are made of the same file", &detach]);
    card.run("read --field uuid").exits(0).prints(&format!("{UUID}\n"));
    drop(other);
    card.run(format!("stamp --uuid {UUID} --hostname new")).exits(0);
}

/// `mount --options offset=` puts a loop device of its own over the card.
#[test]
fn a_card_of_which_a_part_is_mounted_by_its_offset_is_refused() {
    let image = created();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let point = image.dir().join("point");
    fs::create_dir(&point).unwrap();
    let script = "set -e
        mkfs.ext4 -q -E offset=4194304 \"$1\" 8M
        mount -o offset=4194304,sizelimit=8388608 \"$1\" \"$2\"
        trap 'umount \"$2\"' EXIT
        \"$3\" stamp --profile other --force \"$1\"";
    let mut shell = tool("sh");
    shell.args(["-c", script, "sh"]).arg(card.path()).arg(&point).arg(program());
    let output = shell.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{errors}");
    assert!(errors.contains(&format!("is mounted on {}", point.display())), "{errors}");
    card.run("read --field uuid").exits(0).prints(&format!("{UUID}\n"));
}

#[test]
fn a_device_that_fails_to_write_is_an_error_of_the_device() {
    // A sparse image on a full file system: the loop device takes the write, and fails to store it.
    if !identity_tests::block::is_privileged() {
        return;
    }
    let image = Image::absent();
    let script = "set -e
        mount -t tmpfs -o size=256k none \"$1\"
        truncate -s 8M \"$1/card.img\"
        printf 'start=8192, type=c\\n' | sfdisk --quiet \"$1/card.img\" >/dev/null
        loop=$(losetup --find --show \"$1/card.img\")
        trap 'losetup --detach \"$loop\"' EXIT
        dd if=/dev/zero of=\"$1/full\" 2>/dev/null || true
        \"$2\" stamp --profile panda \"$loop\"";
    let mut unshare = tool("unshare");
    unshare.args(["--mount", "sh", "-c", script, "sh"]).arg(image.dir()).arg(program());
    let output = unshare.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(7), "{errors}");
    assert!(errors.contains("LBA 6607 cannot be"), "{errors}");
    assert!(errors.contains("replace the card"), "{errors}");
}

#[test]
fn without_permission_a_device_is_left_alone() {
    let image = Image::mbr();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    let open = tempfile::tempdir().unwrap();
    tool("chmod").arg("755").arg(open.path()).status().unwrap();
    let copy = open.path().join("identity");
    copy_program(program(), &copy);
    for words in ["read", "stamp --profile panda", "erase"] {
        let mut setpriv = tool("setpriv");
        setpriv.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        let outcome = Identity::prefixed(setpriv, &copy, words).arg(card.path()).run();
        outcome.exits(7).says_one_sentence().says(&[&card.name(), "permission denied", "group"]);
    }
}

#[test]
fn a_device_with_other_sectors_than_a_card_is_refused_by_every_verb() {
    let image = Image::stamped("--profile panda");
    let Some(card) = Loop::attach_whole(image.path(), &["--sector-size", "4096"]) else { return };
    for words in ["read", "verify", "map", "stamp --profile panda", "repair", "erase", "bind", "derive"] {
        let refused = card.identity(words).run();
        refused.exits(6).says_one_sentence().says(&["sectors of 4096 bytes", "512"]).prints("");
    }
    let name = card.path().display().to_string();
    let listed = Identity::new("list --loops").run();
    assert!(listed.stdout.contains(&name) && listed.stdout.contains("4096"), "{listed:?}");
}
