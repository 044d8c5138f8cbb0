// SPDX-License-Identifier: MIT OR Apache-2.0
//! Other programs' files from the list of boards: sorted, and the same bytes for the same lab.

use identity_ui::{Failure, Result};

use crate::lab::Lab;

mod dhcp;
mod html;
mod inventory;
mod known;
mod known_hosts;
mod lab_controllers;

pub use known::Known;
pub use lab_controllers::{LAVA_END, lava, lava_name};

/// What the first line says, in the format's own comment.
pub(crate) const MADE: &str = "Made by identity-lab: change the lab, not this file.";

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// dnsmasq's `dhcp-host` lines, for a server that exists.
    Dnsmasq,
    /// A whole configuration of Kea's DHCPv4 server.
    Kea,
    /// hosts(5).
    Hosts,
    /// What an inventory script prints for Ansible.
    Ansible,
    /// The configuration of labgrid's exporter.
    Labgrid,
    /// The places of labgrid's coordinator.
    LabgridPlaces,
    /// The SSH host keys of the boards, as ssh's `known_hosts`.
    SshKnownHosts,
    /// All columns, derived values filled in.
    Csv,
    /// All boards as a JSON list.
    Json,
    /// A page with the boards and what `check` finds.
    Html,
}

/// A file for another program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Export {
    /// Its text.
    pub text: String,
    /// What a person should know of it: boards that are left out, and why.
    pub notes: Vec<String>,
}

impl From<String> for Export {
    fn from(text: String) -> Self {
        Self { text, notes: Vec::new() }
    }
}

/// Makes a file; `known` is what the journal knows, for the page.
///
/// # Errors
/// Exit 4 if a file of the lab that it needs cannot be read or lacks something; 6 if two names clash in the format.
pub fn export(lab: &Lab, kind: Kind, known: Option<&Known>) -> Result<Export> {
    // The page shows what clashes.
    if kind != Kind::Html {
        lab.boards.check_clashes()?;
    }
    match kind {
        Kind::Dnsmasq => Ok(dhcp::dnsmasq(lab).into()),
        Kind::Kea => dhcp::kea(lab).map(Export::from),
        Kind::Hosts => Ok(inventory::hosts(lab)),
        Kind::Ansible => inventory::ansible(lab).map(Export::from),
        Kind::Labgrid => Ok(lab_controllers::labgrid(lab).into()),
        Kind::LabgridPlaces => Ok(lab_controllers::labgrid_places(lab).into()),
        Kind::SshKnownHosts => known_hosts::known_hosts(lab),
        Kind::Csv => Ok(inventory::csv(lab).into()),
        Kind::Json => Ok(inventory::json(lab).into()),
        Kind::Html => Ok(html::html(lab, known)),
    }
}

/// `value` as pretty JSON with a final newline.
fn pretty(value: &impl serde::Serialize) -> String {
    identity_ui::output::json(value)
}

/// A text as a YAML scalar: JSON's strings are YAML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// That the lab lacks something that the format needs.
fn lacks(lab: &Lab, what: &str) -> Failure {
    let file = lab.dir.join(crate::lab::LAB_TOML);
    Failure::new(identity_ui::Exit::Corrupt, format!("{}: {what}", file.display()))
}
