// SPDX-License-Identifier: MIT OR Apache-2.0
//! What the command `identity` promises, tried on the built program: one file per topic, one test per promise.

mod advice;
mod bad_input;
mod bindings;
mod block_device;
mod concurrent;
mod create;
mod derive;
mod environments;
mod erase;
mod families;
mod find;
mod flash;
mod formats;
mod kill;
mod map;
mod output;
mod places;
mod power;
mod questions;
mod read;
mod records;
mod repair;
mod restore;
mod safety;
mod stamp;
mod states;
mod unreadable;
mod words;

/// A UUID for identities that are looked at closely, and what other tools derive from it.
const UUID: &str = "9e3c1d40-5a37-4c8e-9f0b-6d2a81e4c7f5";
/// Another.
const OTHER: &str = "0b9ad1c6-3a4b-4f3e-8d55-1f0e6f1a7c02";
