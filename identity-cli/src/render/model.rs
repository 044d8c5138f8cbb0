// SPDX-License-Identifier: MIT OR Apache-2.0
//! What is shown, before it is text, JSON or a picture.

pub mod map;
