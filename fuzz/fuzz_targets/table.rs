// SPDX-License-Identifier: MIT OR Apache-2.0
//! Partition tables: the card's length in sectors (four bytes), and its first bytes.
#![no_main]

use identity_fuzz::number;
use identity_layout::table;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (sectors, bytes) = number(data);
    let found = table::read(&identity_layout::Gap::new(bytes, sectors.into()));
    assert!(found.partitions.is_sorted_by_key(|partition| partition.start_lba));
    for partition in &found.partitions {
        assert!(partition.end_lba() >= partition.start_lba);
    }
    assert_eq!(found.first_partition_lba(), found.partitions.first().map(|partition| partition.start_lba));
    for problem in &found.problems {
        assert!(!problem.to_string().is_empty());
    }
});
