//! Ids that tests can foresee.

use std::sync::atomic::{AtomicU64, Ordering};

use kabar_core::IdSource;
use uuid::Uuid;

/// Milliseconds since 1970 of the first id, somewhere in 2024.
const BASE: u128 = 0x0190_0000_0000;

/// Increasing ids in the shape of UUID version 7, and "random" bytes that differ with every call but
/// are the same in every run.
#[derive(Debug, Default)]
pub struct SeqIds {
    last: AtomicU64,
    fills: AtomicU64,
}

impl SeqIds {
    /// Ids that begin after the `skip`-th, for two sources on one database.
    pub const fn after(skip: u64) -> Self {
        Self { last: AtomicU64::new(skip), fills: AtomicU64::new(skip) }
    }
}

impl IdSource for SeqIds {
    fn next(&self) -> Uuid {
        let number = u128::from(self.last.fetch_add(1, Ordering::Relaxed)) + 1;
        let (version, variant) = (7 << 76, 2 << 62);
        Uuid::from_u128((BASE + number) << 80 | version | variant | number)
    }

    fn fill(&self, bytes: &mut [u8]) {
        let mut state = self.fills.fetch_add(1, Ordering::Relaxed);
        for byte in bytes {
            // SplitMix64: far apart for neighbouring starts.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            *byte = mixed.to_le_bytes()[7];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_increase_and_have_the_shape_of_version_7() {
        let ids = SeqIds::default();
        let made: Vec<Uuid> = (0..5_000).map(|_| ids.next()).collect();
        assert!(made.is_sorted_by(|a, b| a < b));
        assert!(made.iter().all(|id| id.get_version_num() == 7));
    }

    #[test]
    fn fills_differ_and_repeat_in_every_run() {
        let fill = |ids: &SeqIds| {
            let mut bytes = [0; 32];
            ids.fill(&mut bytes);
            bytes
        };
        let ids = SeqIds::default();
        let (one, two) = (fill(&ids), fill(&ids));
        assert_ne!(one, two);
        assert_eq!(one, fill(&SeqIds::default()));
    }
}
