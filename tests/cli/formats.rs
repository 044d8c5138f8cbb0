// SPDX-License-Identifier: MIT OR Apache-2.0
//! Formats for other programs: what they read is what was stamped, whatever it is.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use crc::{CRC_32_ISO_HDLC, Crc};
use identity_tests::cli::{Identity, program, tool};
use identity_tests::image::Image;
use identity_tests::run_where_installed;
use serde_json::Value;

use crate::UUID;

/// Values that somebody's parser gets wrong.
const HOSTILE: [&str; 44] = [
    "plain",
    "",
    " ",
    "  both  ends  ",
    "tail ",
    "$(reboot)",
    "$(touch pwned)",
    "`touch pwned`",
    "'; touch pwned; '",
    "\"; touch pwned; \"",
    "' \" ' \"",
    "'",
    "''",
    "'\\''",
    "\"",
    "\\",
    "\\\\",
    "\\n",
    "tail\\",
    "\\'",
    "\\$HOME",
    "$HOME",
    "${nosuch:?}",
    "$$",
    "%s%n%d",
    "-n",
    "--help",
    "-e \\c",
    "#comment",
    "a # b",
    ";a",
    "a;b|c&d>e<f(g){h}",
    "!!",
    "~",
    "*",
    "[a-z]?",
    "=",
    "a=b=c",
    "a,b",
    "ünï — 漢字 🦀",
    INVISIBLE,
    "x\"y'z`$\\",
    "omap4-panda.dtb",
    "https://lab.example/?a=1&b=2",
];
/// A hard space, a line separator, characters without width, tags, and what turns the direction of writing; and how text output shows them.
const INVISIBLE: &str =
    "\u{a0}\u{2028}\u{202e}\u{ad}\u{200b}\u{2060}\u{feff}\u{115f}\u{3164}x\u{fe0f}\u{e0041}\u{e0100}";
const INVISIBLE_SHOWN: &str =
    r"\u{a0}\u{2028}\u{202e}\u{ad}\u{200b}\u{2060}\u{feff}\u{115f}\u{3164}x\u{fe0f}\u{e0041}\u{e0100}";
/// The same for a serial, which takes no space.
const HOSTILE_SERIAL: &str = "$(reboot)'\"`\\;#!*?~-%s";

/// What fits one sector beside the rest.
const VALUES_PER_CARD: usize = 15;

/// Cards with hostile variables `v0`, `v1` and so on.
fn for_every_value(check: impl Fn(&Image, &[&str])) {
    for values in HOSTILE.chunks(VALUES_PER_CARD) {
        let image = Image::mbr();
        let mut stamp =
            image.identity(format!("stamp --profile panda --uuid {UUID} --serial {HOSTILE_SERIAL}"));
        for (number, value) in values.iter().enumerate() {
            stamp = stamp.arg(format!("--set=v{number}={value}"));
        }
        stamp.run().exits(0);
        check(&image, values);
    }
}

#[test]
fn one_field_is_printed_bare() {
    for_every_value(|image, values| {
        for (number, value) in values.iter().enumerate() {
            let bare = image.run(format!("read --field variables.v{number}")).exits(0);
            bare.prints(&format!("{value}\n"));
        }
        image.run("read --field serial").exits(0).prints(&format!("{HOSTILE_SERIAL}\n"));
    });
}

fn shells() -> Vec<Vec<&'static str>> {
    let all =
        [vec!["sh"], vec!["dash"], vec!["bash", "--posix"], vec!["bash"], vec!["busybox", "sh"], vec!["zsh"]];
    all.into_iter().filter(|shell| identity_tests::is_shell(shell)).collect()
}

#[test]
fn eval_of_shell_output_gives_the_values_and_runs_nothing() {
    let shells = shells();
    assert!(!shells.is_empty(), "there is sh");
    for_every_value(|image, values| {
        let shown: String = (0..values.len()).map(|number| format!(" \"$IDENTITY_VAR_v{number}\"")).collect();
        let script = format!(
            "eval \"$(\"$1\" read --format shell \"$2\")\"
            printf '%s\\0' \"$IDENTITY_STATE\" \"$IDENTITY_SERIAL\" \"$IDENTITY_HOSTNAME\"{shown}"
        );
        let expected = [&["valid", HOSTILE_SERIAL, ""], values].concat();
        for shell in &shells {
            let mut command = Command::new(shell[0]);
            command.args(&shell[1..]).args(["-eu", "-c", &script, "sh"]).arg(program()).arg(image.path());
            // What comes must not depend on what is there.
            let output = command.current_dir(image.dir()).env("IDENTITY_HOSTNAME", "stale").output().unwrap();
            let shown = String::from_utf8(output.stdout).unwrap();
            let errors = String::from_utf8_lossy(&output.stderr);
            assert_eq!(shown.split_terminator('\0').collect::<Vec<_>>(), expected, "{shell:?}: {errors}");
            assert!(!image.dir().join("pwned").exists(), "{shell:?} ran a value");
        }
    });
}

#[test]
fn eval_names_every_value() {
    const ALL: &str = "eval \"$(\"$1\" read --format shell \"$2\")\"; set | grep ^IDENTITY_";
    let options = "--hostname h --serial S --mac 2=02:00:5e:10:00:01 --set a=1 --set b_2=x";
    let image = Image::stamped(format!("--profile panda --uuid {UUID} {options}"));
    let mut shell = Command::new("sh");
    shell.args(["-eu", "-c", ALL, "sh"]).arg(program()).arg(image.path());
    // IDENTITY_CACHE, IDENTITY_BIN and their like are for the tests.
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("IDENTITY_") {
            shell.env_remove(name);
        }
    }
    let shown = String::from_utf8(shell.output().unwrap().stdout).unwrap().replace('\'', "");
    let found: BTreeMap<_, _> = shown.lines().filter_map(|line| line.split_once('=')).collect();
    let expected = BTreeMap::from([
        ("IDENTITY_STATE", "valid"),
        ("IDENTITY_UUID", UUID),
        ("IDENTITY_PROFILE", "panda"),
        ("IDENTITY_HOSTNAME", "h"),
        ("IDENTITY_SERIAL", "S"),
        ("IDENTITY_GENERATION", "1"),
        ("IDENTITY_MACHINE_ID", "6e1d70a56f8e5583897607b199c862c6"),
        ("IDENTITY_MAC0", "ea:41:68:40:f4:c0"),
        ("IDENTITY_MAC2", "02:00:5e:10:00:01"),
        ("IDENTITY_VAR_a", "1"),
        ("IDENTITY_VAR_b_2", "x"),
    ]);
    assert_eq!(found, expected);
}

#[test]
fn eval_on_a_card_that_is_not_usable_gives_its_state_and_no_value() {
    const SCRIPT: &str = "IDENTITY_UUID=stale IDENTITY_MAC0=stale IDENTITY_STATE=stale
        eval \"$(\"$1\" read --format shell \"$2\" 2>/dev/null)\" || :
        printf '%s/%s/%s' \"$IDENTITY_STATE\" \"$IDENTITY_UUID\" \"$IDENTITY_MAC0\"";
    let corrupt = Image::stamped("--profile panda");
    corrupt.damage(52).damage(6607);
    let conflict = Image::stamped("--profile panda");
    conflict.put(6607, &Image::stamped("--profile panda").sector(6607));
    for (image, state) in [(Image::mbr(), "blank"), (corrupt, "corrupt"), (conflict, "conflict")] {
        let mut shell = Command::new("sh");
        shell.args(["-eu", "-c", SCRIPT, "sh"]).arg(program()).arg(image.path());
        let output = shell.output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{state}//"));
        for format in ["env", "uboot"] {
            let outcome = image.run(format!("read --format {format}"));
            assert!(matches!(outcome.code, Some(3..=5)));
            assert!(outcome.stdout.lines().all(|line| line.to_lowercase().contains("state=")), "{outcome:?}");
        }
    }
}

/// `EnvironmentFile=` by systemd.exec(5) and systemd's tests of its parser: comments, quoting and line continuation as
/// in a POSIX shell, without any expansion.
fn systemd(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.next_if(|char| char.is_ascii_whitespace()).is_some() {}
        let Some(&first) = rest.peek() else { return found };
        if matches!(first, '#' | ';') {
            while rest.next_if(|&char| char != '\n').is_some() {}
            continue;
        }
        let mut key = String::new();
        while let Some(char) = rest.next_if(|&char| char != '=' && char != '\n') {
            key.push(char);
        }
        assert_eq!(rest.next(), Some('='), "no assignment: {key:?}");
        found.insert(key.trim().to_owned(), systemd_value(&mut rest));
    }
}

fn systemd_value(rest: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let (mut value, mut kept) = (String::new(), 0);
    let mut quote = None;
    while rest.next_if(|&char| char == ' ' || char == '\t').is_some() {}
    while let Some(char) = rest.next_if(|&char| quote.is_some() || char != '\n') {
        match (quote, char) {
            (None, '\'' | '"') => quote = Some(char),
            (Some(mark), _) if mark == char => quote = None,
            (None, '\\') => match rest.next() {
                Some('\n') | None => (),
                Some(escaped) => value.push(escaped),
            },
            (Some('"'), '\\') => match rest.next() {
                Some('\n') | None => (),
                Some(escaped @ ('"' | '\\' | '`' | '$')) => value.push(escaped),
                Some(other) => value.extend(['\\', other]),
            },
            _ => value.push(char),
        }
        // Blanks at the end count only if they are quoted.
        if quote.is_some() || !char.is_ascii_whitespace() {
            kept = value.len();
        }
    }
    assert_eq!(quote, None, "an open quote: {value:?}");
    value.truncate(kept);
    value
}

#[test]
fn the_parser_of_environment_files_is_right_itself() {
    let text = "# c\n; c\na=b c \nd=\"e \\\" \\n $x\"\nf='g \\'h\ni=j\\\nk\n l = m\nn=\n";
    let expected = [("a", "b c"), ("d", "e \" \\n $x"), ("f", "g \\h"), ("i", "jk"), ("l", "m"), ("n", "")];
    assert_eq!(systemd(text), expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
}

#[test]
fn systemd_reads_env_output_as_it_was_stamped() {
    for_every_value(|image, values| {
        let text = image.run("read --format env").exits(0).stdout;
        let found = systemd(&text);
        for (number, value) in values.iter().enumerate() {
            let found = found.get(&format!("IDENTITY_VAR_v{number}"));
            assert_eq!(found.map_or("", String::as_str), *value, "{text}");
        }
        assert_eq!(
            (found["IDENTITY_SERIAL"].as_str(), found["IDENTITY_UUID"].as_str()),
            (HOSTILE_SERIAL, UUID)
        );
        assert!(!found.contains_key("IDENTITY_HOSTNAME"), "absent, not empty");
    });
}

/// `env import -t` as U-Boot does it: `himport_r` in lib/hashtable.c.
fn uboot_import(text: &str) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for line in text.split('\n') {
        let line = line.trim_start_matches([' ', '\t']);
        // A name without a value removes the variable.
        let Some((name, raw)) = line.split_once('=').filter(|(_, raw)| !raw.is_empty()) else { continue };
        if line.starts_with('#') {
            continue;
        }
        let mut value = String::new();
        let mut chars = raw.chars();
        while let Some(char) = chars.next() {
            value.push(if char == '\\' { chars.next().unwrap_or('\\') } else { char });
        }
        found.insert(name.to_owned(), value);
    }
    found
}

#[test]
fn u_boot_imports_uboot_output_as_it_was_stamped() {
    for_every_value(|image, values| {
        let text = image.run("read --format uboot").exits(0).stdout;
        let found = uboot_import(&text);
        for (number, value) in values.iter().enumerate() {
            let found = found.get(&format!("identity_var_v{number}"));
            assert_eq!(found.map_or("", String::as_str), *value, "{text}");
        }
        assert_eq!(
            (found["serial#"].as_str(), found["identity_serial"].as_str()),
            (HOSTILE_SERIAL, HOSTILE_SERIAL)
        );
    });
}

#[test]
fn uboot_output_has_the_variables_of_the_contract() {
    let options = "--hostname h --serial S --mac 1=02:00:5e:10:00:01 --set a=1";
    let image = Image::stamped(format!("--profile panda --uuid {UUID} {options}"));
    let found = uboot_import(&image.run("read --format uboot").exits(0).stdout);
    let expected = [
        ("ethaddr", "ea:41:68:40:f4:c0"),
        ("eth1addr", "02:00:5e:10:00:01"),
        ("identity_state", "valid"),
        ("identity_uuid", UUID),
        ("identity_profile", "panda"),
        ("identity_hostname", "h"),
        ("identity_serial", "S"),
        ("identity_machine_id", "6e1d70a56f8e5583897607b199c862c6"),
        ("identity_var_a", "1"),
        ("pxeuuid", UUID),
        ("serial#", "S"),
    ];
    assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
}

/// An environment image as U-Boot and `mkenvimage` write it: CRC-32, then `name=value` with zero bytes between.
fn environment(text: &str, len: usize) -> Vec<u8> {
    let mut data: Vec<u8> = text.trim_end_matches('\n').replace('\n', "\0").into_bytes();
    data.resize(len - 4, 0);
    let crc = Crc::<u32>::new(&CRC_32_ISO_HDLC).checksum(&data);
    [&crc.to_le_bytes()[..], &data].concat()
}

#[test]
fn fw_printenv_and_mkenvimage_take_uboot_output() {
    const LEN: usize = 0x2000;
    let image = Image::stamped(format!("--profile panda --uuid {UUID} --serial S --set a=b=c"));
    let text = image.run("read --format uboot").exits(0).stdout;
    let (env, config) = (image.dir().join("env"), image.dir().join("fw_env.config"));
    fs::write(&env, environment(&text, LEN)).unwrap();
    fs::write(&config, format!("{} 0x0 {LEN:#x}\n", env.display())).unwrap();
    for (name, value) in uboot_import(&text) {
        let mut command = tool("fw_printenv");
        command.arg("-c").arg(&config).arg("-n").arg(&name);
        let Some(shown) = run_where_installed(&mut command) else { break };
        assert_eq!(shown.trim_end_matches('\n'), value, "{name}");
    }
    let (input, made) = (image.dir().join("env.txt"), image.dir().join("made"));
    fs::write(&input, &text).unwrap();
    let mut mkenvimage = tool("mkenvimage");
    mkenvimage.arg("-s").arg(LEN.to_string()).arg("-p0").arg("-o").arg(&made).arg(&input);
    if run_where_installed(&mut mkenvimage).is_some() {
        assert!(fs::read(made).unwrap() == fs::read(env).unwrap());
    }
}

#[test]
fn json_and_text_carry_every_value() {
    for_every_value(|image, values| {
        let json = image.run("read --format json").exits(0).json();
        let text = image.run("read").exits(0).stdout;
        assert_eq!(json["serial"], HOSTILE_SERIAL);
        for (number, value) in values.iter().enumerate() {
            assert_eq!(json["variables"][format!("v{number}")], *value);
            let line = text.lines().find(|line| line.starts_with(&format!("v{number}=")));
            // On a terminal nothing may be invisible, or turn the direction of what follows.
            let shown = if *value == INVISIBLE { INVISIBLE_SHOWN } else { value };
            assert!(line.is_some_and(|line| line.ends_with(&format!("  {shown}"))), "{text}");
        }
    });
}

/// Keys of all objects in a value, but for those of variables.
fn keys(value: &Value, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (key, value) in object {
                all.insert(key.clone());
                if key != "variables" {
                    keys(value, all);
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| keys(value, all)),
        _ => {}
    }
}

#[test]
fn the_document_of_json_names_the_keys_that_are_printed() {
    let document = fs::read_to_string(identity_tests::workspace().join("docs/JSON.md")).unwrap();
    let image = Image::stamped("--profile panda --set a=b");
    let second = image.dir().join("second.img");
    fs::copy(image.path(), &second).unwrap();
    let mut printed = BTreeSet::new();
    for verb in ["read", "verify", "list"] {
        let outcome = match verb {
            "list" => Identity::new("list --loops --format json").run(),
            verb => image.run(format!("{verb} --format json")).exits(0),
        };
        keys(&outcome.json(), &mut printed);
    }
    let flashed = Identity::new("flash --yes --format json").arg(image.path()).arg(&second).run().exits(0);
    for line in flashed.stdout.lines() {
        keys(&serde_json::from_str(line).unwrap(), &mut printed);
    }
    let several = Identity::new("read --format json").arg(image.path()).arg(&second).run().exits(5);
    keys(&serde_json::from_str(several.stdout.lines().next().unwrap()).unwrap(), &mut printed);
    let missing: Vec<_> = printed.iter().filter(|key| !document.contains(&format!("`{key}`"))).collect();
    assert!(missing.is_empty(), "not in docs/JSON.md: {missing:?}");
}
