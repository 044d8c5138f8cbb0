// SPDX-License-Identifier: MIT OR Apache-2.0
//! For programs that read assignments: a POSIX shell, systemd's `EnvironmentFile=`, U-Boot's `env import -t`.

use identity_host::document::Document;

/// `IDENTITY_…='…'`, safe to eval whatever the values hold. Absent fields are empty, so that `set -u` is content
/// and no value of an earlier eval stays.
pub fn shell(document: &Document) -> String {
    variables(document).map(|(name, value)| format!("{name}={}\n", quote_shell(&value))).collect()
}

/// `IDENTITY_…=…` as systemd.exec(5) reads it.
pub fn env(document: &Document) -> String {
    let set = variables(document).filter(|(_, value)| !value.is_empty());
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
    let own = document.variables.iter().map(|(key, value)| (format!("IDENTITY_VAR_{key}"), value.clone()));
    fixed.chain(no_mac).chain(macs).chain(own)
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
