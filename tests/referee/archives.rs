// SPDX-License-Identifier: MIT OR Apache-2.0
//! Packed images, judged by each format's own tool: what it unpacks is taken, byte for byte, and only what it refuses is called
//! damaged or cut off.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use identity_host::error::Error;
use identity_host::image::source::Source;
use identity_tests::cli::tool;
use identity_tests::random::Random;
use identity_tests::{figure, thorough};
use identity_ui::wording;
use sha2::{Digest, Sha256};

/// As much as the own tools take without being asked.
const MEMORY: u64 = 4 << 30;

/// An archive, and the tool that judges it.
struct Archive {
    bytes: Vec<u8>,
    /// The packing's usual extension.
    kind: &'static str,
    how: String,
}

fn shell(directory: &Path, line: &str) -> Vec<u8> {
    let output = Command::new("sh").args(["-c", line]).current_dir(directory).output().expect("a shell");
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Every packing, as different as its tool makes it.
fn archives(directory: &Path) -> Vec<Archive> {
    let mut random = Random::new(1);
    let mut image = vec![0; 600_100];
    for (number, word) in image.chunks_mut(8).enumerate().filter(|(number, _)| number / 500 % 3 == 0) {
        word.copy_from_slice(&(random.draw() >> (number % 4 * 16)).to_le_bytes()[..word.len()]);
    }
    fs::write(directory.join("a.img"), &image).expect("own directory");
    let (one, other) = image.split_at(200_000);
    fs::write(directory.join("one"), one).expect("own directory");
    fs::write(directory.join("other"), other).expect("own directory");
    let packers = [
        ("gz", "gzip -1 -c"),
        ("gz", "gzip -9 -c"),
        ("bz2", "bzip2 -c"),
        ("bz2", "bzip2 -1 -c"),
        ("xz", "xz -T1 -c"),
        ("xz", "xz -T2 -0 --block-size=100KiB -c"),
        ("xz", "xz -0 --check=none -c"),
        ("xz", "xz -0 --check=crc32 -c"),
        ("xz", "xz -0 --check=sha256 -c"),
        ("xz", "xz --x86 --lzma2=preset=1 -c"),
        ("zst", "zstd -q -c"),
        ("zst", "zstd -q --no-check -19 -c"),
        ("zst", "zstd -q --no-check -1 --long=27 -c"),
    ];
    let mut archives = Vec::new();
    for (kind, packer) in packers {
        let mut add =
            |line: String| archives.push(Archive { bytes: shell(directory, &line), kind, how: line });
        add(format!("{packer} a.img"));
        add(format!("{packer} one; {packer} other"));
        add(format!("{packer} < a.img"));
    }
    for line in [
        "zip -q -X - a.img",
        "zip -q -0 - a.img | cat",
        "rm -f x.zip; zip -q x.zip a.img; cat x.zip",
        "rm -f x.zip; zip -q -0 x.zip a.img; cat x.zip",
        "cat a.img | zip -q - -",
        "rm -f x.zip; cat a.img | zip -q x.zip -; cat x.zip",
    ] {
        archives.push(Archive { bytes: shell(directory, line), kind: "zip", how: line.into() });
    }
    // Data that the directory does not name: a file that was replaced, a marker in front, padding behind; offsets without the marker.
    for python in [
        "z.write('one', 'a.img'); z.filelist.clear(); z.NameToInfo.clear(); z.write('a.img')",
        "z.write('one'); z.filelist.clear(); z.write('a.img')",
        "z.fp.write(b'PK00'); z.write('a.img')",
        "z.write('a.img'); z.fp.write(bytes(64)); z.start_dir += 64",
        "z.write('a.img'); z.fp.write(b'behind' * 100); z.start_dir += 600",
        "z.write('a.img'); z.close(); b = open('x.zip', 'rb').read(); open('x.zip', 'wb').write(b'PK00' + b)",
    ] {
        let write = "import zipfile; z = zipfile.ZipFile('x.zip', 'w', zipfile.ZIP_DEFLATED)";
        let line = format!("rm -f x.zip; python3 -c \"{write}; {python}; z.close()\"; cat x.zip");
        archives.push(Archive { bytes: shell(directory, &line), kind: "zip", how: line });
    }
    archives
}

/// An archive with up to two changes, and what they are.
fn change(archives: &[Archive], random: &mut Random) -> (Vec<u8>, &'static str, String) {
    let archive = &archives[random.below(archives.len() as u64) as usize];
    // Without a checksum a version of zstd may see damage that another one unpacks as garbage.
    let has_checksum = !archive.how.contains("--no-check");
    let mut bytes = archive.bytes.clone();
    let mut story = archive.how.clone();
    for _ in 0..[0, 1, 1, 1, 2][random.below(5) as usize] {
        let len = bytes.len() as u64;
        let at = match random.below(10) {
            0..3 => random.below(len.min(64)),
            3..6 => len - 1 - random.below(len.min(200)),
            _ => random.below(len),
        } as usize;
        let change = match if has_checksum { random.below(10) } else { 5 + random.below(3) } {
            0..4 => {
                bytes[at] ^= 1 << random.below(8);
                format!("bit of {at}")
            }
            4 => {
                bytes[at] = random.below(256) as u8;
                format!("byte {at}")
            }
            5 => {
                let cut = [1, 2, 4, 8, at][random.below(5) as usize].min(bytes.len() - 1);
                bytes.truncate(bytes.len() - cut);
                format!("cut by {cut}")
            }
            6 if random.below(2) == 0 => {
                let other = &archives[random.below(archives.len() as u64) as usize];
                bytes.extend(&other.bytes);
                format!("behind it {}", other.how)
            }
            6 | 7 => {
                let start = bytes[..9.min(bytes.len())].to_vec();
                let tails: [&[u8]; 9] = [
                    &[0],
                    &[0; 4],
                    &[0; 512],
                    b"x",
                    b"FWx0\0\0\0\0",
                    &[0x1f, 0x8b],
                    &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3],
                    b"BZh9",
                    &start,
                ];
                let tail = tails[random.below(9) as usize];
                bytes.extend(tail);
                format!("tail {tail:02x?}")
            }
            8 => {
                bytes.remove(at);
                format!("without {at}")
            }
            _ => {
                bytes.insert(at, random.below(256) as u8);
                format!("one more at {at}")
            }
        };
        story = format!("{story}; {change}");
        if bytes.is_empty() {
            break;
        }
    }
    (bytes, archive.kind, story)
}

/// What the format's own tool unpacks; `None` if it refuses. A warning is no refusal.
fn own_tool(path: &Path, kind: &str) -> Option<Vec<u8>> {
    let (program, arguments, warning): (_, &[&str], _) = match kind {
        "gz" => ("gzip", &["-dc"], 2),
        "bz2" => ("bzip2", &["-dc"], 0),
        "xz" => ("xz", &["-dc"], 2),
        "zst" => ("zstd", &["-dqc", "--long=31"], 0),
        _ => ("unzip", &["-p"], 1),
    };
    let mut tool = tool(program);
    tool.args(arguments);
    if kind == "zip" {
        tool.arg(path);
    } else {
        tool.stdin(File::open(path).expect("own file"));
    }
    let output = tool.output().expect("the format's tool");
    let code = output.status.code()?;
    // unzip passes over a file that it cannot unpack with a warning.
    let is_taken = code == 0 || code == warning && !output.stdout.is_empty();
    is_taken.then_some(output.stdout)
}

fn ours(path: &Path) -> Result<Vec<u8>, Error> {
    let mut source = Source::open(path, None, MEMORY)?;
    let mut bytes = Vec::new();
    loop {
        let mut chunk = vec![0; 1 << 16];
        let len = source.fill(&mut chunk)?;
        if len == 0 {
            source.finish()?;
            return Ok(bytes);
        }
        bytes.extend(&chunk[..len]);
    }
}

fn ours_from_pipe(bytes: &[u8]) -> Result<Vec<u8>, Error> {
    let (read, mut write) = io::pipe().expect("a pipe");
    thread::scope(|scope| {
        scope.spawn(move || {
            // Whoever has read enough closes it.
            let _ = write.write_all(bytes);
        });
        let path = PathBuf::from(format!("/proc/self/fd/{}", read.as_raw_fd()));
        let result = ours(&path);
        drop(read);
        result
    })
}

/// What is wrong with our answer. unzip looks for an archive anywhere in a file; where it does not start as one it is a raw
/// image to us, and `flash` refuses an image without a partition table.
fn judge(archive: &[u8], own: Option<&[u8]>, ours: Result<Vec<u8>, Error>) -> Option<String> {
    let has_table = archive.get(510..512) == Some(&[0x55, 0xaa]);
    match (own, ours) {
        (_, Ok(ours)) if ours == archive && !has_table => None,
        (Some(own), Ok(ours)) if own != ours => Some(format!("{} bytes, ours {}", own.len(), ours.len())),
        (_, Ok(_)) => None,
        (own, Err(error)) => {
            let text = wording::error(&error);
            let accuses =
                ["damaged", "ends in the middle", "fetch it again"].iter().any(|word| text.contains(word));
            (own.is_some() && accuses).then(|| format!("its own tool takes it: {text}"))
        }
    }
}

#[test]
fn only_what_its_own_tool_refuses_is_called_damaged() {
    let (mut random, seed) = if thorough() { Random::seeded() } else { (Random::new(3), 3) };
    println!("IDENTITY_SEED={seed}");
    let count = if thorough() { 4000 } else { 90 };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let archives = archives(directory.path());
    // Whatever else is there is none of the archive's.
    let (mut taken, mut refused, mut faults) = (0, 0, Vec::new());
    for number in 0..count {
        let (bytes, kind, story) = change(&archives, &mut random);
        let path = directory.path().join(format!("x.{kind}"));
        fs::write(&path, &bytes).expect("own directory");
        let own = own_tool(&path, kind);
        *(if own.is_some() { &mut taken } else { &mut refused }) += 1;
        for (way, ours) in [("file", ours(&path)), ("pipe", ours_from_pipe(&bytes))] {
            if let Some(fault) = judge(&bytes, own.as_deref(), ours) {
                faults.push(format!("seed {seed}, {number}, from a {way}: {story}: {fault}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    assert!(taken > count / 8 && refused > count / 8, "{taken} taken, {refused} refused, of {count}");
    figure(count, "changed archives, each unpacked by its own tool as well");
    figure(taken, "of them taken by their own tool, and by flash or refused for another reason than damage");
}

#[test]
fn what_its_own_tool_has_packed_is_unpacked() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for archive in archives(directory.path()) {
        let path = directory.path().join(format!("x.{}", archive.kind));
        fs::write(&path, &archive.bytes).expect("own directory");
        let own = own_tool(&path, archive.kind);
        assert!(own.is_some(), "{}", archive.how);
        match ours(&path) {
            Ok(ours) => assert!(Some(ours) == own, "{}: other bytes", archive.how),
            Err(error) => panic!("{}: {}", archive.how, wording::error(&error)),
        }
        let from_pipe = ours_from_pipe(&archive.bytes);
        assert_eq!(judge(&archive.bytes, own.as_deref(), from_pipe), None, "{}, from a pipe", archive.how);
    }
}

/// By name, what the test above has found once.
#[test]
fn damage_that_its_own_tool_does_not_mind_is_none() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let archives = archives(directory.path());
    let find =
        |how: &str| archives.iter().find(|archive| archive.how == how).expect("made above").bytes.clone();
    let piped = find("cat a.img | zip -q - -");
    let central = piped.windows(4).rposition(|window| window == b"PK\x01\x02").expect("a directory");
    let flipped = |at: usize| {
        let mut bytes = piped.clone();
        bytes[at] ^= 4;
        bytes
    };
    let gzip = find("gzip -9 -c a.img");
    let cases = [
        ("zip", "the checksum behind the file", flipped(central - 24 + 4)),
        ("zip", "a length behind the file", flipped(central - 8)),
        ("zip", "the length in the directory", flipped(central + 24)),
        ("zip", "the checksum in the directory", {
            let mut bytes = find("rm -f x.zip; zip -q x.zip a.img; cat x.zip");
            let central = bytes.windows(4).rposition(|window| window == b"PK\x01\x02").expect("a directory");
            bytes[central + 16] ^= 4;
            bytes
        }),
        ("zst", "a gzip file behind it", [find("zstd -q -c a.img"), gzip.clone()].concat()),
        ("gz", "an xz file behind it", [gzip, find("xz -T1 -c a.img")].concat()),
    ];
    for (kind, what, bytes) in cases {
        let path = directory.path().join(format!("x.{kind}"));
        fs::write(&path, &bytes).expect("own directory");
        let own = own_tool(&path, kind);
        assert!(own.is_some(), "{kind}, {what}: taken by its own tool");
        for (way, ours) in [("file", ours(&path)), ("pipe", ours_from_pipe(&bytes))] {
            assert_eq!(judge(&bytes, own.as_deref(), ours), None, "{kind}, {what}, from a {way}");
        }
    }
}

/// Archives of one file with folders around it, as 7z and Python's zipfile write them: the folder's body may be what a packer
/// makes of nothing.
const ZIPS_WITH_FOLDERS: &str = r#"
import io, sys, zipfile
def archive(names):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as made:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            with made.open(info, "w") as member:
                if not name.endswith("/"):
                    member.write(open("a.img", "rb").read())
    return out.getvalue()
names = {"before": ["d/", "d/a.img"], "behind": ["d/a.img", "d/", "e/"]}[sys.argv[1]]
sys.stdout.buffer.write(archive(names))
"#;

/// What its own tool takes is taken, and what it refuses is not.
#[test]
fn odd_archives_are_taken_or_refused_as_by_their_own_tool() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let archives = archives(directory.path());
    let find =
        |how: &str| archives.iter().find(|archive| archive.how == how).expect("made above").bytes.clone();
    fs::write(directory.path().join("folders.py"), ZIPS_WITH_FOLDERS).expect("own directory");
    let gzip = find("gzip -9 -c a.img");
    let bzip2 = find("bzip2 -c a.img");
    let zip = find("rm -f x.zip; zip -q x.zip a.img; cat x.zip");
    // FLG.FNAME, RFC 1952, section 2.3.1: after ten bytes a name that ends with a zero.
    assert!(gzip[3] == 8 && gzip[10..16] == *b"a.img\0");
    let long_name = [&gzip[..10], &[b'n'; 100_000], &gzip[15..]].concat();
    let cases = [
        ("zip", "a folder before it", shell(directory.path(), "python3 folders.py before"), true, true),
        ("zip", "folders behind it", shell(directory.path(), "python3 folders.py behind"), true, true),
        ("zip", "no end of its directory", zip[..zip.len() - 22].to_vec(), false, false),
        ("gz", "the first byte of another member", [gzip.clone(), vec![0x1f]].concat(), false, false),
        ("gz", "a name longer than any", long_name, true, false),
        ("gz", "a member of compress behind it", [&gzip[..], b"\x1f\x9d\x90\x61\0"].concat(), true, false),
        ("bz2", "a stream cut off behind it", [&bzip2[..], b"B"].concat(), false, false),
        ("bz2", "a stream cut off behind it", [&bzip2[..], b"BZh"].concat(), false, false),
        ("bz2", "something else behind it", [&bzip2[..], b"BZx"].concat(), true, true),
    ];
    for (kind, what, bytes, own_takes, ours_takes) in cases {
        let path = directory.path().join(format!("x.{kind}"));
        fs::write(&path, &bytes).expect("own directory");
        let own = own_tool(&path, kind);
        assert_eq!(own.is_some(), own_takes, "{kind}, {what}: by its own tool");
        for (way, answer) in [("file", ours(&path)), ("pipe", ours_from_pipe(&bytes))] {
            // From a pipe an archive ends where its file does, as for funzip.
            let is_cut = what.starts_with("no end") && way == "pipe";
            assert_eq!(
                answer.is_ok(),
                ours_takes || is_cut,
                "{kind}, {what}, from a {way}: {:?}",
                answer.as_ref().err()
            );
            assert_eq!(judge(&bytes, own.as_deref(), answer), None, "{kind}, {what}, from a {way}");
        }
    }
}

/// As Go's archive/zip and Java's ZipOutputStream write a file whose length they do not know: no zip64 field in the header, yet
/// lengths of eight bytes behind the data, once one of them does not fit four.
const STREAMED_ZIP: &str = r#"
import struct, sys, zlib
path, mebibytes = sys.argv[1], int(sys.argv[2])
packer, crc, packed, block = zlib.compressobj(1, zlib.DEFLATED, -15), 0, 0, bytes(1 << 20)
with open(path, "wb") as out:
    out.write(struct.pack("<IHHHHHIIIHH", 0x04034b50, 20, 8, 8, 0, 33, 0, 0, 0, 5, 0) + b"a.img")
    for number in range(mebibytes):
        data = struct.pack("<Q", number) + block[8:]
        crc = zlib.crc32(data, crc)
        packed += out.write(packer.compress(data))
    packed += out.write(packer.flush())
    length = mebibytes << 20
    out.write(struct.pack("<IIQQ", 0x08074b50, crc, packed, length))
    directory = out.tell()
    extra = struct.pack("<HHQQQ", 1, 24, length, packed, 0)
    out.write(struct.pack("<IHHHHHHIIIHHHHHII", 0x02014b50, 45, 45, 8, 8, 0, 33, crc, 0xffffffff, 0xffffffff, 5,
              len(extra), 0, 0, 0, 0, 0xffffffff) + b"a.img" + extra)
    end = out.tell()
    out.write(struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, 1, 1, end - directory, directory))
    out.write(struct.pack("<IIQI", 0x07064b50, 0, end, 1))
    out.write(struct.pack("<IHHHHIIH", 0x06054b50, 0, 0, 1, 1, 0xffffffff, 0xffffffff, 0))
"#;

/// The length of what our reader makes of it, and its SHA-256.
fn digest(path: &Path) -> Result<(u64, String), Error> {
    let mut source = Source::open(path, None, MEMORY)?;
    let (mut len, mut hash) = (0, Sha256::new());
    let mut chunk = vec![0; 1 << 20];
    loop {
        let filled = source.fill(&mut chunk)?;
        if filled == 0 {
            source.finish()?;
            return Ok((len, hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()));
        }
        len += filled as u64;
        hash.update(&chunk[..filled]);
    }
}

#[test]
fn a_zip_file_of_an_image_over_4_gib_from_a_stream() {
    // Over 4 GiB takes a minute: in tests/proof.
    let mebibytes: u64 = if thorough() { 4097 } else { 3 };
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("x.zip");
    let made = tool("python3").args(["-c", STREAMED_ZIP]).arg(&path).arg(mebibytes.to_string()).status();
    assert!(made.expect("python3").success());
    let own = String::from_utf8(shell(directory.path(), "unzip -p x.zip | sha256sum")).expect("text");
    let own = (mebibytes << 20, own[..64].to_owned());
    assert_eq!(digest(&path).map_err(|error| wording::error(&error)), Ok(own.clone()), "from a file");
    let mut cat = tool("cat").arg(&path).stdout(Stdio::piped()).spawn().expect("cat");
    let pipe = cat.stdout.take().expect("a pipe");
    let from_pipe = digest(&PathBuf::from(format!("/proc/self/fd/{}", pipe.as_raw_fd())));
    assert_eq!(from_pipe.map_err(|error| wording::error(&error)), Ok(own), "from a pipe");
    cat.wait().expect("cat ends");
    figure(mebibytes, "MiB out of a zip file from a stream");
}
