//! So many in a second: exact, because an endpoint's lane belongs to one node at a time.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use chrono::TimeDelta;
use kabar_core::{EndpointId, Timestamp};

const SECOND: TimeDelta = TimeDelta::seconds(1);

/// When this node began its last attempts at endpoints with a limit. Outlives claims.
#[derive(Debug, Default)]
pub(super) struct Pace(Mutex<HashMap<EndpointId, VecDeque<Timestamp>>>);

impl Pace {
    /// Takes one of the `rate` attempts of the second that ends now; or says when one is free.
    pub(super) fn take(
        &self,
        endpoint: EndpointId,
        rate: u32,
        now: Timestamp,
    ) -> Result<(), Timestamp> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let begun = all.entry(endpoint).or_default();
        let most = usize::try_from(rate.max(1)).unwrap_or(usize::MAX);
        while begun.len() > most {
            begun.pop_front();
        }
        if begun.len() == most
            && let Some(first) = begun.front().copied()
        {
            if first + SECOND > now {
                return Err(first + SECOND);
            }
            begun.pop_front();
        }
        begun.push_back(now);
        Ok(())
    }

    /// Forgets what no longer matters.
    pub(super) fn forget(&self, now: Timestamp) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, begun| begun.back().is_some_and(|last| *last + SECOND > now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_second_holds_more_than_the_rate() {
        let (pace, endpoint) = (Pace::default(), EndpointId::from(uuid::Uuid::nil()));
        let mut now = Timestamp::UNIX_EPOCH;
        let mut taken = Vec::new();
        for _ in 0..1_000 {
            match pace.take(endpoint, 7, now) {
                Ok(()) => {
                    taken.push(now);
                    now += TimeDelta::milliseconds(13);
                }
                Err(free) => now = free,
            }
        }
        for (index, at) in taken.iter().enumerate() {
            let within = taken.iter().skip(index).take_while(|other| **other < *at + SECOND);
            assert!(within.count() <= 7);
        }
    }
}
