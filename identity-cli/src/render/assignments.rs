// SPDX-License-Identifier: MIT OR Apache-2.0
//! For programs that read assignments: a POSIX shell, systemd's `EnvironmentFile=`, U-Boot's `env import -t`, udev.

use identity_host::document::Document;
use identity_ui::Exit;

/// How the names of variables begin.
const VARIABLE: &str = "IDENTITY_VAR_";
/// Unsets what another card may have set, a MAC address of another interface or a variable. It needs no program but the
/// shell, and no name that it uses stays. `set` shows values too, but only a name of ours is printed.
const UNSET: &str = r#"eval "$(set | while IFS='=' read -r name value; do
case $name in (*[!A-Za-z0-9_]*) ;; (IDENTITY_MAC[0-9]*|IDENTITY_VAR_[a-z]*) printf 'unset %s\n' "$name" ;; esac
done)"
"#;

/// `IDENTITY_…='…'`, safe to eval whatever the values hold. Absent fields are empty, so that `set -u` is content
/// and no value of an earlier eval stays. The status of the eval is `exit`.
pub fn shell(document: &Document, exit: Exit) -> String {
    let mut text = UNSET.to_owned();
    for (name, value) in variables(document) {
        text.push_str(&format!("{name}={}\n", quote_shell(&value)));
    }
    if exit != Exit::Done {
        text.push_str(&format!("(exit {})\n", exit as u8));
    }
    text
}

/// `ID_IDENTITY_…=…` as udev's IMPORT{program} reads it: a value is the rest of the line, without blanks at its ends, or
/// what is in quotes. What udev would not take as it is stands as `\\x20`, as in `ID_FS_LABEL_ENC`.
pub fn udev(document: &Document) -> String {
    let set = variables(document).filter(|(_, value)| !value.is_empty());
    set.map(|(name, value)| format!("ID_{name}={}\n", encode_udev(&value))).collect()
}

/// `IDENTITY_…=…` as systemd.exec(5) reads it.
pub fn env(document: &Document) -> String {
    // A field that is not there is left out; of a variable, an empty value is a value.
    let set = variables(document).filter(|(name, value)| !value.is_empty() || name.starts_with(VARIABLE));
    set.map(|(name, value)| format!("{name}={}\n", quote_env(&value))).collect()
}

/// The variables that U-Boot itself sets from the identity. Values end at the line's end; `env import` takes a
/// backslash as a mark that the next character is meant as it is (`himport_r` in U-Boot's lib/hashtable.c).
pub fn uboot(document: &Document) -> String {
    let mut text = String::new();
    let mut add = |name: &str, value: Option<&str>| {
        if let Some(value) = value {
            text.push_str(&format!("{name}={}\n", value.replace('\\', r"\\")));
        }
    };
    for mac in &document.macs {
        let name = if mac.index == 0 { "ethaddr".into() } else { format!("eth{}addr", mac.index) };
        add(&name, Some(&mac.address));
    }
    add("identity_state", Some(&document.state));
    add("identity_uuid", document.uuid.as_deref());
    add("identity_profile", document.profile.as_deref());
    add("identity_hostname", document.hostname.as_deref());
    add("identity_serial", document.serial.as_deref());
    add("identity_machine_id", document.machine_id.as_deref());
    for (key, value) in &document.variables {
        add(&format!("identity_var_{key}"), Some(value));
    }
    add("pxeuuid", document.uuid.as_deref());
    add("serial#", document.serial.as_deref());
    text
}

fn variables(document: &Document) -> impl Iterator<Item = (String, String)> + '_ {
    let fixed = [
        ("STATE", Some(document.state.clone())),
        ("UUID", document.uuid.clone()),
        ("PROFILE", document.profile.clone()),
        ("HOSTNAME", document.hostname.clone()),
        ("SERIAL", document.serial.clone()),
        ("GENERATION", document.generation.map(|generation| generation.to_string())),
        ("MACHINE_ID", document.machine_id.clone()),
    ];
    let fixed =
        fixed.into_iter().map(|(name, value)| (format!("IDENTITY_{name}"), value.unwrap_or_default()));
    let no_mac = document.macs.is_empty().then(|| ("IDENTITY_MAC0".to_owned(), String::new()));
    let macs = document.macs.iter().map(|mac| (format!("IDENTITY_MAC{}", mac.index), mac.address.clone()));
    let own = document.variables.iter().map(|(key, value)| (format!("{VARIABLE}{key}"), value.clone()));
    fixed.chain(no_mac).chain(macs).chain(own)
}

/// `encode_devnode_name` of systemd's src/shared/device-nodes.c.
fn encode_udev(value: &str) -> String {
    let one = |char: char| {
        if !char.is_ascii() || char.is_ascii_alphanumeric() || "#+-.:=@_".contains(char) {
            return char.to_string();
        }
        format!("\\x{:02x}", u32::from(char))
    };
    value.chars().map(one).collect()
}

/// Single quotes keep everything but themselves.
fn quote_shell(value: &str) -> String {
    format!("'{}'", value.replace('\'', r"'\''"))
}

/// Bare where nothing can be misread; else in double quotes with the four characters escaped that mean something there.
fn quote_env(value: &str) -> String {
    if value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._:+-/@".contains(&byte)) {
        return value.to_owned();
    }
    let escaped: String = value
        .chars()
        .flat_map(|char| matches!(char, '"' | '\\' | '$' | '`').then_some('\\').into_iter().chain([char]))
        .collect();
    format!("\"{escaped}\"")
}
