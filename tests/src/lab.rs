// SPDX-License-Identifier: MIT OR Apache-2.0
//! The command `identity-lab`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::workspace;

/// The program: `IDENTITY_LAB_BIN`, else built here and now.
pub fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        if let Some(given) = std::env::var_os("IDENTITY_LAB_BIN") {
            return given.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["build", "--quiet", "--workspace", "--bin", "identity-lab"])
            .arg("--message-format=json-render-diagnostics")
            .current_dir(workspace())
            .stderr(Stdio::inherit())
            .output()
            .expect("cargo starts");
        let messages = String::from_utf8(output.stdout).expect("cargo speaks UTF-8");
        let mut messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let is_it = |message: &Value| {
            message["target"]["name"] == "identity-lab" && message["executable"].is_string()
        };
        let program = messages.find(is_it).expect("identity-lab builds");
        program["executable"].as_str().expect("a path").into()
    })
}
