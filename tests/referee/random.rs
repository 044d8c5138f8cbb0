// SPDX-License-Identifier: MIT OR Apache-2.0
//! Whatever table a card has, no slot is taken that another reader gives to a partition.
