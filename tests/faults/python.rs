// SPDX-License-Identifier: MIT OR Apache-2.0
//! The second implementation of a reader, in Python, asked about many sectors at once.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use identity_core::StoredCopy;
use identity_core::search::Condition;
use identity_host::device::Sector;
use identity_tests::{run_where_installed, workspace};
use serde_json::Value;

/// Sectors that readers came across, each with its LBA.
#[derive(Default)]
pub struct Sectors(BTreeSet<(u32, Sector)>);

impl Sectors {
    pub fn add(&mut self, lba: u32, sector: Sector) {
        self.0.insert((lba, sector));
    }

    /// `fixtures/read_sector.py` says the same of each as the core. Returns how many there were.
    pub fn check(&self) -> u64 {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut python = Command::new("python3");
        python.arg(workspace().join("fixtures/read_sector.py"));
        for (number, (lba, sector)) in self.0.iter().enumerate() {
            let file = dir.path().join(number.to_string());
            fs::write(&file, sector).expect("room");
            python.arg(file).arg(lba.to_string());
        }
        let Some(output) = run_where_installed(&mut python) else { return 0 };
        let said: Vec<Value> = output.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        assert_eq!(said.len(), self.0.len());
        for ((lba, sector), said) in self.0.iter().zip(said) {
            match StoredCopy::parse(sector, *lba) {
                Ok(copy) => {
                    let identity = &said["identity"];
                    assert_eq!(identity["uuid"], copy.uuid().to_string());
                    assert_eq!(identity["generation"], copy.generation());
                    assert_eq!(identity["profile"], copy.identity().profile());
                }
                Err(reason) => assert_eq!(said["outcome"], Condition::from(reason).name()),
            }
        }
        self.0.len() as u64
    }
}
