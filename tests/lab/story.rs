// SPDX-License-Identifier: MIT OR Apache-2.0
//! The commands and the files in docs/NETBOOT.md and docs/LAB.md.

use std::fs;

use identity_tests::cli::Identity;
use identity_tests::lab::program;
use identity_tests::workspace;

use crate::{Answer, Lab, squashfs, zimage};

/// The blocks of a document that are marked so.
fn blocks(text: &str, mark: &str) -> Vec<String> {
    let start = format!("```{mark}\n");
    text.split(&start).skip(1).map(|rest| rest.split("```").next().expect("an end").to_owned()).collect()
}

#[test]
fn the_document_of_network_boot_does_what_it_says() {
    let text = fs::read_to_string(workspace().join("docs/NETBOOT.md")).expect("the document");
    let files = blocks(&text, "toml");
    let lab = Lab::nothing();
    let mut count = 0;
    for command in blocks(&text, "sh").iter().flat_map(|block| block.lines()) {
        // What serves for ever, or writes to a device, has tests of its own.
        if command.starts_with("identity-lab serve ") {
            continue;
        }
        if let Some(words) = command.strip_prefix("identity flash --restore ") {
            let image = lab.path("desk").join(words.split(' ').next().expect("an image"));
            let uuid = Identity::new("read --field uuid").arg(&image).run().exits(0).stdout;
            let card = lab.path("card");
            fs::write(&card, vec![0; 32 << 20]).expect("room");
            let mut flash = Identity::new("flash --yes --restore").arg(&image).arg(&image).arg(&card);
            flash.command().env("XDG_STATE_HOME", lab.path("state"));
            flash.run().exits(0);
            Identity::new("read --field uuid").arg(&card).run().exits(0).prints(&uuid);
            continue;
        }
        let words =
            command.strip_prefix("identity-lab ").unwrap_or_else(|| panic!("no test runs `{command}`"));
        let out = lab.path("out").to_string_lossy().into_owned();
        let words: Vec<_> =
            words.split(' ').map(|word| word.trim_matches('\'').replace("/srv/netboot", &out)).collect();
        if words[0] == "root" {
            // That roots are built has tests of its own (tests/board/root_images.rs); here, that each could be.
            lab.write("desk/profiles/panda.toml", &files[2]);
            lab.write("desk/debs/sd-card-identity_0.1.0_armhf.deb", "a package");
            lab.write("desk/rootfs.tar.xz", "a root");
            let dry =
                words.iter().filter(|word| *word != "--dry-run").map(String::as_str).chain(["--dry-run"]);
            let dry: Vec<_> = dry.collect();
            Answer::of(lab.command().current_dir(lab.path("desk")).args(dry))
                .exits(0)
                .shows(&["images/panda-HASH/"]);
            continue;
        }
        let dir = if words[0] == "init" { lab.dir.path().to_owned() } else { lab.path("desk") };
        Answer::of(lab.command().current_dir(dir).args(&words)).exits(0);
        count += 1;
        if words[0] == "init" {
            fs::remove_file(lab.path("desk/profiles/example.toml")).expect("the example");
            lab.write("desk/profiles/panda.toml", &files[0]);
            lab.write("desk/lab.toml", lab.read("desk/lab.toml").replace("[server]\n", "") + &files[1]);
            for (name, bytes) in [
                ("boot/zImage", zimage("a kernel")),
                ("boot/initrd.gz", b"an initrd".to_vec()),
                ("boot/board.dtb", b"a tree".to_vec()),
                ("images/panda.squashfs", squashfs("a root")),
                ("boot/u-boot-sunxi-with-spl.bin", crate::card::sunxi(600 << 10)),
            ] {
                lab.write(&format!("desk/{name}"), bytes);
            }
        }
    }
    assert!(count > 5, "only {count} commands");
    assert!(lab.path("out/server/dnsmasq.conf").exists());
}

#[test]
fn the_document_of_the_lab_does_what_it_says() {
    let text = fs::read_to_string(workspace().join("docs/LAB.md")).expect("the document");
    let lab = Lab::nothing();
    let (mut formats, blocks) = (Vec::new(), blocks(&text, "sh"));
    for command in blocks.iter().flat_map(|block| block.lines()) {
        let words =
            command.strip_prefix("identity-lab ").unwrap_or_else(|| panic!("no test runs `{command}`"));
        let dir = if words.starts_with("init ") { lab.dir.path().to_owned() } else { lab.path("desk") };
        let mut shell = lab.command_of("sh");
        Answer::of(shell.current_dir(dir).arg("-c").arg(format!("{} {words}", program().display()))).exits(0);
        formats.extend(words.strip_prefix("export ").and_then(|rest| rest.split(' ').next()));
    }
    // Every format has its row; kea needs a network, and has a test of its own.
    let help = lab.run(&["export", "--help"]).exits(0).stdout;
    let named = help.lines().filter_map(|line| line.trim().strip_prefix("- ")?.split_once(':'));
    for (format, _) in named.filter(|(format, _)| *format != "kea") {
        assert!(formats.contains(&format), "{format} is in no command of the document");
        assert!(text.contains(&format!("`{format}`")), "{format} has no row");
    }
    assert!(formats.len() > 8, "{formats:?}");
}
