// SPDX-License-Identifier: MIT OR Apache-2.0
//! Numbers that look random and are the same for the same seed: splitmix64.

use std::time::SystemTime;

/// A source of numbers.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// One that always gives the same numbers.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// By `IDENTITY_SEED`, else by the clock; and the seed, to be printed.
    ///
    /// # Panics
    /// If the variable is no number.
    pub fn seeded() -> (Self, u64) {
        let seed = match std::env::var("IDENTITY_SEED") {
            Ok(seed) => seed.parse().expect("IDENTITY_SEED is a number"),
            Err(_) => {
                let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
                now.map_or(1, |now| now.as_nanos() as u64 >> 10)
            }
        };
        (Self(seed), seed)
    }

    /// The next one.
    pub fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    /// One below `limit`, which is not 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.draw() % limit
    }
}
