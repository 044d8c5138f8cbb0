// SPDX-License-Identifier: MIT OR Apache-2.0
//! Real block devices, as loop devices: stamped past every cache, and refused for whatever speaks against it.
