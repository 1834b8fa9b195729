//! Meta's rate limits, for those who switch them on.

use std::collections::HashMap;

/// One message to the same customer per this many milliseconds.
const PAIR_INTERVAL_MS: u64 = 6_000;
/// Messages that may be borrowed from the future.
const PAIR_BURST: u64 = 45;

/// What was used so far.
#[derive(Debug, Default)]
pub(crate) struct Limits {
    /// Per business number: the running second and the messages in it.
    seconds: HashMap<String, (u64, u32)>,
    /// Per business number and customer: when the allowance is used up (GCRA's arrival time).
    pairs: HashMap<(String, String), u64>,
}

impl Limits {
    /// Counts a send; false above the throughput (130429).
    pub(crate) fn within_throughput(&mut self, number: &str, now_ms: u64, limit: u32) -> bool {
        let second = now_ms / 1_000;
        let (at, used) = self.seconds.entry(number.to_owned()).or_insert((second, 0));
        if *at != second {
            (*at, *used) = (second, 0);
        }
        *used = used.saturating_add(1);
        *used <= limit
    }

    /// Counts a send to a customer; false above the pair limit (131056).
    pub(crate) fn within_pair_limit(&mut self, number: &str, customer: &str, now_ms: u64) -> bool {
        let key = (number.to_owned(), customer.to_owned());
        let used_until = self.pairs.entry(key).or_insert(now_ms);
        let next = (*used_until).max(now_ms) + PAIR_INTERVAL_MS;
        if next - now_ms > PAIR_BURST * PAIR_INTERVAL_MS {
            return false;
        }
        *used_until = next;
        true
    }
}
