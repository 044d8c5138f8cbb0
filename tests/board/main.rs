// SPDX-License-Identifier: MIT OR Apache-2.0
//! What needs boards, or what is built for them; `tests/run` says where it is in variables.

mod behaviour;
mod called;
#[path = "../referee/card.rs"]
mod card;
mod debian_13;
mod dhcp_stages;
mod efi;
mod handover;
mod linked;
mod linux_debian;
mod linux_initramfs;
mod loaders;
#[path = "../referee/made.rs"]
mod made;
mod netboot;
mod netboot_cards;
mod netboot_root;
mod netboot_transports;
mod netroot;
mod object;
mod orangepi;
mod packages;
mod published;
mod published_machine_id;
mod published_system;
mod published_ways;
mod releases;
mod root_images;
mod sandbox_cards;
mod sandbox_unit;
mod search;
mod series;
mod tables;
mod vexpress;
mod which_card;
