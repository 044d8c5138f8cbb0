// SPDX-License-Identifier: MIT OR Apache-2.0
//! What other programs have made of an image: the command that the message names makes the image again, and that is
//! flashed.

use identity_tests::cli::{Identity, tool};
use identity_tests::skipped;

use super::*;

/// An image, the files of others beside it, and a card.
struct Bench {
    dir: tempfile::TempDir,
    image: Vec<u8>,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        let mut card = Card::new(SECTORS);
        card.mbr(1, 0x0c, 8192, 4096).put(9000, b"here is something to find again");
        let image = card.into_bytes();
        fs::write(dir.path().join("os.img"), &image).expect("own directory");
        Self { dir, image }
    }

    /// Runs a program of others in the directory; `false`, said aloud, where it is not installed.
    fn made_by(&self, line: &str) -> bool {
        let mut words = line.split(' ');
        let program = words.next().unwrap_or_default();
        let Ok(output) = tool(program).args(words).current_dir(self.dir.path()).output() else {
            skipped(&format!("{program} is not installed"));
            return false;
        };
        assert!(output.status.success(), "{line}: {output:?}");
        true
    }

    /// The file is refused, what the message names is followed, and the image that comes of it is flashed.
    fn leads_to_the_image(&self, file: &str, code: i32, part: &str, words: &[(&str, &str)]) {
        // A converter that counts in cylinders makes the image a bit longer.
        let card = Image::of(Card::new(SECTORS + 2048).mbr(1, 0x0c, 8192, 4096).bytes());
        run(&card, &format!("stamp --profile panda --uuid {UUID}")).exits(0);
        let refused =
            Identity::new("flash").arg(self.dir.path().join(file)).arg(card.path()).run().exits(code);
        let named = commands(&refused);
        let command = named.first().unwrap_or_else(|| panic!("{file}: {}", refused.stderr));
        assert!(command.contains(part), "{file}: {command}");
        let made = [".img", ".unpacked.img"].map(|end| self.dir.path().join(format!("{file}{end}")));
        let made = [&made[..], &[self.dir.path().join("FILE.img")]].concat();
        made.iter().for_each(|path| drop(fs::remove_file(path)));
        // A user's own card, by the name that all examples have.
        fs::write(self.dir.path().join("card.img"), "mine").expect("own directory");
        follow(&card, &format!("cd {} && {command}", self.dir.path().display()), words);
        assert_eq!(fs::read(self.dir.path().join("card.img")).expect("own file"), b"mine", "{command}");
        let made = made.iter().find(|path| path.exists()).expect("what was made");
        Identity::new("flash --yes").arg(made).arg(card.path()).run().exits(0);
        is_whole(&card);
        let mut bytes = card.bytes();
        bytes.truncate(self.image.len());
        for lba in [FIRST, SECOND] {
            bytes[lba as usize * 512..][..512].fill(0);
        }
        assert!(bytes == self.image, "{file}: the card is not the image");
    }
}

#[test]
fn a_disk_of_a_virtual_machine() {
    let bench = Bench::new();
    for (format, options, file) in [
        ("qcow2", "", "a.qcow2"),
        ("qcow", "", "a.qcow"),
        ("qed", "", "a.qed"),
        ("vdi", "", "a.vdi"),
        ("vhdx", "", "a.vhdx"),
        ("parallels", "", "a.hdd"),
        ("vpc", "", "dynamic.vhd"),
        ("vpc", " -o subformat=fixed,force_size=on", "fixed.vhd"),
        ("vpc", " -o subformat=fixed", "cylinders.vhd"),
        ("vmdk", "", "a.vmdk"),
        ("vmdk", " -o subformat=streamOptimized", "stream.vmdk"),
        ("vmdk", " -o subformat=monolithicFlat", "flat.vmdk"),
    ] {
        if !bench.made_by(&format!("qemu-img convert -q -O {format}{options} os.img {file}")) {
            return;
        }
        bench.leads_to_the_image(file, 6, &format!("qemu-img convert -f {format} -O raw"), &[]);
    }
    // What qemu-img would take for a protocol, in the directory of the file.
    for name in ["x:y.qcow2", "file:os.img"] {
        bench.made_by("qemu-img convert -q -O qcow2 os.img tmp.qcow2");
        fs::rename(bench.dir.path().join("tmp.qcow2"), bench.dir.path().join(name)).expect("own directory");
        let card = stamped();
        let mut flash = Identity::new("flash").arg(name).arg(card.path());
        flash.command().current_dir(bench.dir.path());
        let named = commands(&flash.run().exits(6));
        assert!(named[0].contains(&format!(" ./{name} ")), "{named:?}");
        follow(&card, &format!("cd {} && {}", bench.dir.path().display(), named[0]), &[]);
        let made = fs::read(bench.dir.path().join(format!("{name}.img"))).expect("what was made");
        assert!(made == bench.image, "{name}");
    }
    // Inside a packed file the footer is met late.
    bench.made_by("gzip -k fixed.vhd");
    bench.leads_to_the_image("fixed.vhd.gz", 5, "qemu-img convert -f vpc -O raw", &[]);
    // A disk in several files: the one without the data describes it.
    bench.made_by("qemu-img convert -q -O vmdk -o subformat=twoGbMaxExtentSparse os.img several.vmdk");
    let words = [("FILE", "several.vmdk")];
    bench.leads_to_the_image("several-s001.vmdk", 6, "qemu-img convert -f vmdk -O raw FILE", &words);
    bench.leads_to_the_image("several.vmdk", 6, "qemu-img convert -f vmdk -O raw", &[]);
}

#[test]
fn a_file_of_a_packer_that_is_not_unpacked_here() {
    let bench = Bench::new();
    for (line, file) in [
        ("lz4 -q os.img os.img.lz4", "os.img.lz4"),
        ("lz4 -q -l os.img legacy", "legacy"),
        ("lzip -k os.img", "os.img.lz"),
        ("lzop -k os.img", "os.img.lzo"),
        ("xz -k --format=lzma os.img", "os.img.lzma"),
        ("compress -f copy.img", "copy.img.Z"),
        ("pigz -kz os.img", "os.img.zz"),
        ("lrzip -q -o os.lrz os.img", "os.lrz"),
        ("img2simg os.img os.simg", "os.simg"),
        ("chdman createraw -i os.img -o os.chd -us 512 -hs 4096", "os.chd"),
    ] {
        fs::write(bench.dir.path().join("copy.img"), &bench.image).expect("own directory");
        if bench.made_by(line) {
            let part = match file {
                "os.img.lzma" => "xz -dc",
                "copy.img.Z" => "gzip -dc",
                "os.simg" => "simg2img",
                _ => line.split(' ').next().unwrap_or_default(),
            };
            bench.leads_to_the_image(file, 6, part, &[]);
            // Packed once more, by what is unpacked here.
            bench.made_by(&format!("gzip -kf {file}"));
            bench.leads_to_the_image(&format!("{file}.gz"), 6, "gzip -dc", &[]);
        }
    }
}

/// What `unzip` does not unpack either.
#[test]
fn a_zip_file_of_7z() {
    let bench = Bench::new();
    for method in ["LZMA", "PPMd"] {
        let file = format!("{method}.zip");
        if !bench.made_by(&format!("7z a -bso0 -bsp0 -mm={method} {file} os.img")) {
            return;
        }
        let card = stamped();
        let path = bench.dir.path().join(&file);
        let refused = Identity::new("flash").arg(&path).arg(card.path()).run().exits(6);
        let named = commands(&refused.says(&[method]));
        assert!(named.len() == 1 && named[0].starts_with("7z e -so "), "{named:?}");
        follow(&card, &format!("{} ", named[0]), &[("TARGET", &card.path().display().to_string())]);
        is_whole(&card);
        assert_eq!(card.sector(9000)[..12], b"here is some"[..]);
    }
}
