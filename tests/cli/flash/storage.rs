// SPDX-License-Identifier: MIT OR Apache-2.0
//! The image is never what is written to, under whatever name: decided by the inode and device of what is open.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;

/// A directory with a card, and that card as a loop device.
struct Served {
    bench: Bench,
    file: PathBuf,
    device: Loop,
}

impl Served {
    /// `None` where no device can be attached, and the test is skipped.
    fn new(name: &OsStr) -> Option<Self> {
        let bench = Bench::stamped();
        let file = bench.state.path().join(name);
        fs::copy(bench.card.path(), &file).unwrap();
        let device = Loop::attach_whole(&file, &[])?;
        Some(Self { bench, file, device })
    }

    /// `flash --yes IMAGE TARGET`, also with the image on standard input, is refused, and nothing is written.
    #[track_caller]
    fn refuses(&self, image: &Path, target: &Path) {
        self.refuses_for("is the image itself, or shares its storage", image, target);
    }

    #[track_caller]
    fn refuses_for(&self, said: &str, image: &Path, target: &Path) {
        let read = || fs::read(self.device.path()).unwrap();
        let before = read();
        self.bench.identity("flash --yes").arg(image).arg(target).run().exits(6).says(&[said]);
        let mut piped = self.bench.identity("flash --yes -").arg(target);
        piped.command().stdin(File::open(image).unwrap());
        piped.run().exits(6).says(&[said]);
        // Nor is the file written below the device, by any verb.
        let is_file = fs::metadata(image).unwrap().is_file();
        if is_file && target == self.device.path() {
            let served = &["is attached to", &self.device.name()];
            self.bench.identity("stamp --profile other --force").arg(image).run().exits(6).says(served);
        }
        assert!(read() == before, "something was written");
    }
}

#[test]
fn a_loop_device_and_the_file_behind_it_are_one() {
    let Some(served) = Served::new(OsStr::new("card.img")) else { return };
    let device = served.device.path();
    served.refuses(device, device);
    served.refuses(&served.file, device);
    let link = served.bench.path("link");
    fs::hard_link(&served.file, &link).unwrap();
    served.refuses(&link, device);
    let second = Loop::attach_whole(&link, &[]).unwrap();
    served.refuses_for("are made of the same file", second.path(), device);
    drop(second);
    let above = Loop::attach_whole(device, &[]).unwrap();
    served.refuses(device, above.path());
    served.refuses(&served.file, above.path());
    let in_use = format!("is in use by {0}; detach it first: `losetup -d {0}`", above.path().display());
    served.bench.identity("flash --yes").arg(above.path()).arg(device).run().exits(6).says(&[&in_use]);
}

#[test]
fn a_name_that_is_no_utf_8_hides_nothing() {
    let Some(served) = Served::new(OsStr::from_bytes(b"c\xffrd")) else { return };
    served.refuses(&served.file, served.device.path());
}

#[test]
fn a_file_that_has_no_name_any_more_is_still_the_same() {
    let Some(served) = Served::new(OsStr::new("card.img")) else { return };
    let open = File::open(&served.file).unwrap();
    fs::remove_file(&served.file).unwrap();
    let path = format!("/proc/{}/fd/{}", std::process::id(), std::os::fd::AsRawFd::as_raw_fd(&open));
    served.refuses(Path::new(&path), served.device.path());
    // Another file has the name now.
    fs::write(&served.file, [0; 512]).unwrap();
    served.refuses(Path::new(&path), served.device.path());
}

#[test]
fn another_mount_namespace_hides_nothing() {
    let Some(served) = Served::new(OsStr::new("card.img")) else { return };
    let (file, device) = (served.file.display(), served.device.path());
    let before = fs::read(device).unwrap();
    // In the namespace the file has another name, and another one has its name.
    let script = format!(
        "mount -t tmpfs none /mnt && touch /mnt/image /mnt/other && \
         mount --bind '{file}' /mnt/image && mount --bind /mnt/other '{file}' && exec \"$@\""
    );
    let mut unshare = tool("unshare");
    unshare.args(["--mount", "sh", "-c", &script, "sh"]).arg(identity_tests::cli::program());
    unshare
        .args(["flash", "--yes", "/mnt/image"])
        .arg(device)
        .env("XDG_STATE_HOME", served.bench.path("state"));
    let output = unshare.output().unwrap();
    let words = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(6), "{words}");
    assert!(words.contains("is the image itself, or shares its storage"), "{words}");
    assert!(fs::read(device).unwrap() == before);
}

#[test]
fn a_device_as_image_is_measured_first() {
    let bench = Bench::stamped();
    let large = [&image(PARTITION_LBA)[..], &[1; 4096 * SECTOR_LEN]].concat();
    let Some(device) = Loop::attach_whole(&bench.file("large.img", &large), &["--read-only"]) else { return };
    bench.refuses("", device.path(), 6, &["larger card"]);
    let bytes = image(PARTITION_LBA);
    let device = Loop::attach_whole(&bench.file("a.img", &bytes), &[]).unwrap();
    bench.flash("", device.path()).exits(0);
    bench.holds(&bytes, UUID, [52, 6607]);
}

/// Without a record of the identity nothing is written.
#[test]
fn a_full_place_for_records_stops_a_flash_before_it_writes() {
    if !identity_tests::block::is_privileged() {
        return;
    }
    let bench = Bench::stamped();
    let image = bench.file("os.img", &image(PARTITION_LBA));
    let before = fs::read(bench.card.path()).unwrap();
    // No room for bytes, and no room for a file.
    for options in ["size=64k", "nr_inodes=3"] {
        let script = format!(
            "mount -t tmpfs -o {options} none /mnt && mkdir -m 700 /mnt/identity && touch /mnt/a && \
             {{ dd if=/dev/zero of=/mnt/a bs=1k count=128 2>/dev/null; export XDG_STATE_HOME=/mnt; exec \"$@\"; }}"
        );
        let mut unshare = tool("unshare");
        unshare.args(["--mount", "sh", "-c", &script, "sh"]).arg(identity_tests::cli::program());
        let output = unshare.args(["flash", "--yes"]).arg(&image).arg(bench.card.path()).output().unwrap();
        let words = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(7), "{options}: {words}");
        assert!(words.contains("no space left on device; give records another directory"), "{words}");
        assert!(fs::read(bench.card.path()).unwrap() == before, "{options}");
    }
}
