// SPDX-License-Identifier: MIT OR Apache-2.0
//! Devices that are never written to, and the ones that are by order.
