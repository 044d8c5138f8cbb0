// SPDX-License-Identifier: MIT OR Apache-2.0
//! Cards made at random: tables of every kind, and every fault in them.
