//! The sandbox's only source of randomness: seedable, free of locks.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::DelayRange;
use crate::error::SandboxError;

/// Step of the `SplitMix64` sequence (Steele, Lea and Flood 2014).
const STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// A `SplitMix64` generator. One sequence never repeats a value within 2^64 draws, which is what
/// makes ids drawn from it unique.
#[derive(Debug)]
pub(crate) struct Dice {
    state: AtomicU64,
}

impl Dice {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self { state: AtomicU64::new(seed) }
    }

    pub(crate) fn next(&self) -> u64 {
        mix(self.state.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP))
    }

    /// True with the given probability (0 never, 1 always).
    pub(crate) fn chance(&self, probability: f64) -> bool {
        #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double exactly")]
        let draw = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        draw < probability
    }

    /// A wait within the range, in milliseconds.
    pub(crate) fn delay(&self, range: DelayRange) -> u64 {
        let span = range.max.saturating_sub(range.min);
        range.min + if span == 0 { 0 } else { self.next() % span.saturating_add(1) }
    }

    /// A decimal id of 15 or 16 digits, the look of Graph ids.
    pub(crate) fn graph_id(&self) -> String {
        (100_000_000_000_000 + self.next() % 8_900_000_000_000_000).to_string()
    }
}

/// A seed from the operating system.
pub(crate) fn system_seed() -> Result<u64, SandboxError> {
    getrandom::u64().map_err(SandboxError::Seed)
}

/// Spreads a number over all 64 bits, one to one.
pub(crate) fn mix(value: u64) -> u64 {
    let mut z = value;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// A stable number for a text (FNV-1a, then mixed): BSUIDs and worker choice.
pub(crate) fn fingerprint(text: &str) -> u64 {
    let folded = text.bytes().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01B3)
    });
    mix(folded)
}
