// SPDX-License-Identifier: MIT OR Apache-2.0
//! Partition tables, judged by their other readers: sfdisk (libfdisk), partx and blkid (libblkid), parted, Linux. And what
//! other programs do to the sectors that are ours.

mod archives;
mod card;
mod flashed;
mod gap;
mod made;
mod random;
mod referees;
mod small_inputs;
