// SPDX-License-Identifier: MIT OR Apache-2.0
//! `linux/60-identity.rules` in the real udevd, in a network and mount namespace of its own: it gets the kernel's events of
//! loop devices, and makes its links where nobody else sees them.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use identity_fixtures::Card;
use identity_tests::block::{Loop, is_privileged};
use identity_tests::cli::{Identity, Outcome, program, tool};
use identity_tests::image::{Image, SECTORS};
use identity_tests::{skipped, workspace, write_program};
use tempfile::TempDir;

/// More than udevd takes for anything here.
const BOUND: Duration = Duration::from_secs(20);

/// What udevd runs instead of the program: it notes that it was, takes its time, and prints something else if that is wanted.
const WRAPPER: &str = "#!/bin/sh
echo \"$4\" >>DIR/log
sleep \"$(cat DIR/delay)\"
[ ! -e DIR/prints ] || exec cat DIR/prints
exec PROGRAM \"$@\"
";
/// Links lie in a file system that this udevd alone has. The first rules are the system's own.
const START: &str = "set -e
mount -t tmpfs none /run
mkdir -p /run/udev/rules.d /dev/disk
mount -t tmpfs none /dev/disk
cp \"$1/60-identity.rules\" /run/udev/rules.d/
exec \"$2\"";

/// A udevd with the rule.
struct Udev {
    child: Child,
    dir: TempDir,
    /// One at a time: they would answer for each other's devices.
    _alone: MutexGuard<'static, ()>,
}

impl Udev {
    /// `None`, and skipped, where this machine cannot run it.
    fn start() -> Option<Self> {
        static ALONE: Mutex<()> = Mutex::new(());
        let udevds = ["/usr/lib/systemd/systemd-udevd", "/lib/systemd/systemd-udevd"];
        let Some(udevd) = udevds.iter().find(|path| Path::new(path).exists()) else {
            skipped("udevd is not installed");
            return None;
        };
        if !is_privileged() {
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let dir = TempDir::new().expect("a directory");
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).expect("room");
        let wrapper = dir.path().join("identity");
        let paths = [("DIR", dir.path()), ("PROGRAM", program())];
        let text = paths
            .iter()
            .fold(WRAPPER.to_owned(), |text, (name, path)| text.replace(name, &path.to_string_lossy()));
        write_program(&wrapper, &text);
        write("delay", "0");
        write("log", "");
        let rules =
            fs::read_to_string(workspace().join("linux/60-identity.rules")).expect("the packaged rules");
        assert!(rules.contains("\"/usr/bin/identity "), "{rules}");
        write("60-identity.rules", &rules.replace("/usr/bin/identity", &wrapper.to_string_lossy()));
        let mut unshare = tool("unshare");
        unshare.args(["--net", "--mount", "sh", "-c", START, "sh"]).arg(dir.path()).arg(udevd);
        let child = unshare.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("unshare");
        let mut udev = Self { child, dir, _alone: alone };
        let mut has_ended = false;
        wait_until("udevd listens", || {
            has_ended = udev.child.try_wait().expect("a child").is_some();
            has_ended || udev.path("run/udev/control").exists()
        });
        if has_ended {
            skipped("udevd does not start in a namespace of its own here");
            return None;
        }
        Some(udev)
    }

    /// A path in its mount namespace.
    fn path(&self, path: &str) -> PathBuf {
        Path::new("/proc").join(self.child.id().to_string()).join("root").join(path)
    }

    /// A command there.
    fn enter(&self) -> Command {
        let mut nsenter = tool("nsenter");
        nsenter.args(["--net", "--mount", "--target"]).arg(self.child.id().to_string());
        nsenter
    }

    /// `identity WORDS...` there.
    fn identity(&self, words: impl AsRef<str>) -> Identity {
        Identity::prefixed(self.enter(), program(), words)
    }

    fn udevadm(&self, words: &[&str]) -> String {
        let output = self.enter().arg("udevadm").args(words).output().expect("udevadm, of udev");
        assert!(output.status.success(), "udevadm {words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn settle(&self) {
        self.udevadm(&["settle", "--timeout=20"]);
    }

    /// The properties of a device that the rule gives it.
    fn properties(&self, device: &Path) -> Vec<String> {
        let device = device.to_string_lossy();
        let all = self.udevadm(&["info", "--query=property", "--name", &device]);
        all.lines().filter(|line| line.starts_with("ID_IDENTITY_")).map(str::to_owned).collect()
    }

    /// The links to a device and its partitions: their names, sorted.
    fn links(&self, card: &Loop) -> Vec<String> {
        let entries = fs::read_dir(self.path("dev/disk/by-identity")).into_iter().flatten();
        let leads_there = |path: &Path| {
            let target = fs::read_link(path).expect("a link");
            let name = target.to_string_lossy().rsplit('/').next().expect("a name").to_owned();
            name == card.name() || name.starts_with(&format!("{}p", card.name()))
        };
        let paths = entries.map(|entry| entry.expect("an entry").path()).filter(|path| leads_there(path));
        let mut names: Vec<_> =
            paths.map(|path| path.file_name().expect("a name").to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// How often the rule has read this device.
    fn reads(&self, card: &Loop) -> usize {
        let log = fs::read_to_string(self.dir.path().join("log")).expect("own file");
        log.lines().filter(|line| Path::new(line) == card.path()).count()
    }

    /// From now on, reading a card takes so many seconds.
    fn delay(&self, seconds: &str) {
        fs::write(self.dir.path().join("delay"), seconds).expect("own file");
    }

    /// `identity WORDS... /dev/disk/by-identity/NAME` there.
    fn by_name(&self, words: &str, name: &str) -> Outcome {
        self.identity(words).arg(Path::new("/dev/disk/by-identity").join(name)).run()
    }
}

impl Drop for Udev {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // Where links are mounted; only if it was not there, it is empty.
        let _ = fs::remove_dir("/dev/disk");
    }
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < BOUND, "{what}: not after {BOUND:?}");
        sleep(Duration::from_millis(20));
    }
}

/// A UUID and a hostname that no card of another test has: all of this machine's loop devices count.
struct Names {
    uuid: String,
    host: String,
}

impl Names {
    fn new() -> Self {
        let uuid = fs::read_to_string("/proc/sys/kernel/random/uuid").expect("Linux").trim().to_owned();
        let host = format!("panda-{}", &uuid[..8]);
        Self { uuid, host }
    }

    /// A card with both.
    fn card(&self) -> Image {
        let Self { uuid, host } = self;
        Image::stamped(format!("--uuid {uuid} --profile panda --hostname {host}"))
    }

    /// Its links, sorted.
    fn links(&self) -> [String; 2] {
        [&self.uuid, &self.host].map(Clone::clone)
    }
}

/// A system image, with a partition table and nothing of ours.
fn system() -> Image {
    Image::of(Card::new(SECTORS).mbr(1, 0x0c, 8192, 4096).bytes())
}

#[test]
fn a_card_and_its_partitions_have_properties_and_links_until_it_goes() {
    let Some(udev) = Udev::start() else { return };
    let names = Names::new();
    let Names { uuid, host } = &names;
    let image = names.card();
    let Some(card) = Loop::attach(image.path(), &[]) else { return };
    udev.settle();
    for device in [card.path(), &card.partition(1)] {
        let properties = udev.properties(device);
        for (name, value) in [("STATE", "valid"), ("UUID", uuid), ("PROFILE", "panda"), ("HOSTNAME", host)] {
            let wanted = format!("ID_IDENTITY_{name}={value}");
            assert!(properties.contains(&wanted), "{wanted}: {properties:?}");
        }
    }
    let links = [uuid.clone(), format!("{uuid}-part1"), host.clone(), format!("{host}-part1")];
    assert_eq!(udev.links(&card), links);
    // The kernel may tell of the card twice; partitions inherit.
    assert!(udev.reads(&card) >= 1);
    let log = fs::read_to_string(udev.dir.path().join("log")).expect("own file");
    assert!(!log.contains(&format!("{}p", card.path().display())), "{log}");

    // What changes on the card is known without a word to udevd: it sees that the writer has closed the device.
    udev.identity(format!("stamp --uuid {uuid} --hostname {host}x")).arg(card.path()).run().exits(0);
    udev.settle();
    let links = udev.links(&card);
    assert!(links.contains(&format!("{host}x")) && !links.contains(host), "{links:?}");
    udev.identity("erase").arg(card.path()).run().exits(0);
    udev.settle();
    assert_eq!(udev.links(&card), [""; 0]);
    assert_eq!(udev.properties(card.path()), ["ID_IDENTITY_STATE=blank"]);

    udev.identity(format!("stamp --uuid {uuid} --profile panda")).arg(card.path()).run().exits(0);
    udev.settle();
    assert!(udev.links(&card).contains(uuid));
    let name = card.name();
    drop(card);
    udev.settle();
    for entry in fs::read_dir(udev.path("dev/disk/by-identity")).into_iter().flatten() {
        let target = fs::read_link(entry.expect("an entry").path()).expect("a link");
        assert!(!target.ends_with(&name), "{target:?}");
    }
}

/// What nobody may take has its state, and nothing else.
#[test]
fn a_card_in_doubt_has_a_state_and_no_link() {
    let Some(udev) = Udev::start() else { return };
    let names = Names::new();
    let conflict = names.card();
    let other = Image::stamped("--profile panda --at 54,6959");
    for lba in [54, 6959] {
        conflict.put(lba, &other.sector(lba));
    }
    let corrupt = names.card();
    corrupt.damage(52).damage(6607);
    // A hostname that no verb takes, in a sector whose checksum is right: it is no identity, and no link leaves the directory.
    let hostile = names.card();
    for lba in [52, 6607] {
        let (mut sector, host) = (hostile.sector(lba), names.host.as_bytes());
        let at = sector.windows(host.len()).position(|bytes| bytes == host).expect("the hostname");
        sector[at..at + 8].copy_from_slice(b"../../x ");
        let bytes: Vec<u8> = sector[..8].iter().chain(&sector[12..]).copied().collect();
        let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&bytes);
        sector[8..12].copy_from_slice(&sum.to_le_bytes());
        hostile.put(lba, &sector);
    }
    let blank = Image::mbr();
    for (image, state) in
        [(&blank, "blank"), (&conflict, "conflict"), (&corrupt, "corrupt"), (&hostile, "corrupt")]
    {
        let Some(card) = Loop::attach(image.path(), &[]) else { return };
        udev.settle();
        let expected = format!("ID_IDENTITY_STATE={state}");
        for device in [card.path(), &card.partition(1)] {
            assert_eq!(udev.properties(device), [&expected[..]]);
        }
        assert_eq!(udev.links(&card), [""; 0], "{state}");
    }
    // A degraded identity is used by boards; so it has its links.
    let degraded = names.card();
    degraded.damage(6607);
    let Some(card) = Loop::attach_whole(degraded.path(), &[]) else { return };
    udev.settle();
    assert_eq!(udev.links(&card), names.links());
}

/// Cloned and moved take a card in a native slot, which this machine has none of: the rule gets each state in the program's words,
/// and with a UUID and a hostname that the program would not print.
#[test]
fn the_states_with_a_link_are_those_that_a_board_uses() {
    let Some(udev) = Udev::start() else { return };
    let (names, blank) = (Names::new(), Image::mbr());
    let Some(card) = Loop::attach_whole(blank.path(), &[]) else { return };
    for state in identity_core::State::ALL {
        let Names { uuid, host } = &names;
        let text =
            format!("ID_IDENTITY_STATE={state}\nID_IDENTITY_UUID={uuid}\nID_IDENTITY_HOSTNAME={host}\n");
        fs::write(udev.dir.path().join("prints"), text).expect("own file");
        udev.udevadm(&["trigger", "--action=change", "--settle", &card.path().to_string_lossy()]);
        assert_eq!(udev.properties(card.path()).len(), 3, "{state}");
        let expected: &[String] = if state.is_usable() { &names.links() } else { &[] };
        assert_eq!(udev.links(&card), expected, "{state}");
    }
}

/// Values with quotes, blanks, dollars and what else means something in rules or shells.
#[test]
fn hostile_values_are_no_more_than_values() {
    let Some(udev) = Udev::start() else { return };
    let uuid = Names::new().uuid;
    let image = Image::mbr();
    let values = ["--serial", "\"a$b\\c%k`id`", "--set", "note= 'a' $(id) ID_IDENTITY_UUID=x \u{e9}"];
    image.identity(format!("stamp --uuid {uuid} --profile panda+1.x")).args(values).run().exits(0);
    let Some(card) = Loop::attach_whole(image.path(), &[]) else { return };
    udev.settle();
    let properties = udev.properties(card.path());
    for wanted in [
        format!("ID_IDENTITY_UUID={uuid}"),
        "ID_IDENTITY_PROFILE=panda+1.x".into(),
        "ID_IDENTITY_SERIAL=\\x22a\\x24b\\x5cc\\x25k\\x60id\\x60".into(),
        "ID_IDENTITY_VAR_note=\\x20\\x27a\\x27\\x20\\x24\\x28id\\x29\\x20ID_IDENTITY_UUID=x\\x20\u{e9}"
            .into(),
    ] {
        assert!(properties.contains(&wanted), "{wanted}: {properties:?}");
    }
    assert_eq!(udev.links(&card), [uuid]);
}

/// labgrid's exporter once read cards that were being written (labgrid#1539).
#[test]
fn nothing_is_read_while_a_flash_holds_the_card_and_all_is_known_when_it_returns() {
    let Some(udev) = Udev::start() else { return };
    let names = Names::new();
    let (image, bytes) = (names.card(), system().bytes());
    let Some(card) = Loop::attach_whole(image.path(), &[]) else { return };
    udev.settle();
    assert_eq!(udev.reads(&card), 1);
    let mut flash = udev.identity("flash --yes -").arg(card.path());
    flash.command().stdin(Stdio::piped());
    let mut running = flash.start();
    let mut stdin = running.child().stdin.take().expect("piped");
    let (first, rest) = bytes.split_at(4 << 20);
    stdin.write_all(first).expect("it reads");
    wait_until("LBA 0 says that the card is unfinished", || image.sector(0)[510..] != [0x55, 0xaa]);
    udev.udevadm(&["trigger", "--action=change", &card.path().to_string_lossy()]);
    sleep(Duration::from_secs(2));
    assert_eq!(udev.reads(&card), 1, "not while it is written");
    assert_eq!(udev.links(&card), names.links(), "what was known stays");
    // However long udevd takes.
    udev.delay("1");
    stdin.write_all(rest).expect("it reads");
    drop(stdin);
    running.wait().exits(0);
    assert!(udev.reads(&card) > 1, "it was read afterwards");
    assert_eq!(udev.links(&card), names.links());
    udev.by_name("verify", &names.host).exits(0);
}

#[test]
fn a_card_that_gets_its_identity_by_a_flash_has_its_links_when_the_flash_returns() {
    let Some(udev) = Udev::start() else { return };
    let (image, system, host) = (Image::mbr(), system(), Names::new().host);
    let Some(card) = Loop::attach_whole(image.path(), &[]) else { return };
    udev.settle();
    udev.delay("1");
    let words = format!("flash --yes --profile panda --hostname {host}");
    udev.identity(words).args([system.path(), card.path()]).run().exits(0);
    assert!(udev.links(&card).contains(&host), "{:?}", udev.links(&card));
    udev.delay("0");
    // What a LAVA flasher or a labgrid driver calls.
    let link = Path::new("/dev/disk/by-identity").join(&host);
    udev.identity("flash --yes").args([system.path(), &link]).run().exits(0);
    udev.by_name("verify", &host).exits(0);
    // Without udevadm it is the same, but for the waiting.
    let mut env = udev.enter();
    env.args(["env", "PATH=/nonexistent"]);
    let flash = Identity::prefixed(env, program(), "flash --yes");
    flash.args([system.path(), card.path()]).run().exits(0);
    udev.settle();
    udev.by_name("verify", &host).exits(0);
}

/// udev gives the link to one of two, and says nothing.
#[test]
fn a_link_that_two_attached_cards_could_mean_is_refused_and_both_are_named() {
    let Some(udev) = Udev::start() else { return };
    let names = Names::new();
    let Names { uuid, host } = &names;
    let (image, system) = (names.card(), system());
    let copy = Image::of(&image.bytes());
    // The same hostname with another UUID is as bad.
    let namesake = Image::stamped(format!("--profile panda --hostname {host}"));
    let Some(card) = Loop::attach_whole(image.path(), &[]) else { return };
    udev.settle();
    udev.by_name("read --field uuid", host).exits(0).prints(&format!("{uuid}\n"));
    for (other, links) in [(&copy, &[uuid, host][..]), (&namesake, &[host])] {
        let Some(second) = Loop::attach_whole(other.path(), &[]) else { return };
        udev.settle();
        let both = [&card.path().to_string_lossy()[..], &second.path().to_string_lossy()];
        let before = [image.bytes(), other.bytes()];
        for link in links {
            for words in [
                "read",
                "verify",
                "map",
                "repair",
                "erase",
                "bind --card",
                &format!("stamp --uuid {uuid} --set a=b"),
            ] {
                udev.by_name(words, link).exits(6).says_one_sentence().says(&both);
            }
            let link = Path::new("/dev/disk/by-identity").join(link);
            for words in ["flash --yes --force", "flash --yes --dry-run"] {
                let flash = udev.identity(words).args([system.path(), &link]);
                flash.run().exits(6).says_one_sentence().says(&both);
            }
        }
        assert!(before == [image.bytes(), other.bytes()], "nothing is written");
        // By its device each is meant.
        udev.identity("verify").arg(second.path()).run().exits(0);
    }
    udev.settle();
    udev.by_name("verify", host).exits(0);
}

/// A reader that tells nobody of a changed card: the link leads to the new one.
#[test]
fn a_link_to_a_card_that_was_changed_behind_udevs_back_is_refused() {
    let Some(udev) = Udev::start() else { return };
    let (names, other) = (Names::new(), Names::new());
    let (image, system, next) = (names.card(), system(), other.card());
    let Some(card) = Loop::attach_whole(image.path(), &[]) else { return };
    udev.settle();
    for lba in [52, 6607] {
        image.put(lba, &next.sector(lba));
    }
    fs::write("/proc/sys/vm/drop_caches", "3").expect("root");
    let device = udev.identity("read --field hostname").arg(card.path());
    device.run().exits(0).prints(&format!("{}\n", other.host));
    let before = image.bytes();
    let link = Path::new("/dev/disk/by-identity").join(&names.host);
    let named = [&card.path().to_string_lossy()[..], "put it in again"];
    udev.identity("flash --yes").args([system.path(), &link]).run().exits(6).says_one_sentence().says(&named);
    udev.by_name("read", &names.uuid).exits(6).says(&named);
    assert!(before == image.bytes(), "nothing is written");
}
