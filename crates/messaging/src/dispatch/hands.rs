//! What a node has in hand, and for how long it may begin a send.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::message::Lane;

/// A claim of a lane, with its fence.
pub(super) type Claim = (Lane, i64);

/// The claims whose messages are in hand, and until when each holds, by a clock that never jumps.
/// Only these are renewed: a claim that nobody works on runs out, and its chat goes on.
#[derive(Default)]
pub(super) struct Hands(Mutex<HashMap<Claim, Instant>>);

impl Hands {
    pub(super) fn take(&self, claim: Claim, until: Instant) {
        self.lock().insert(claim, until);
    }

    pub(super) fn put_down(&self, claim: Claim) {
        self.lock().remove(&claim);
    }

    /// Prolongs what is still in hand.
    pub(super) fn renewed(&self, claims: &[Claim], until: Instant) {
        let mut hands = self.lock();
        for claim in claims {
            if let Some(known) = hands.get_mut(claim) {
                *known = until.max(*known);
            }
        }
    }

    /// Whether the claim holds for so much longer.
    pub(super) fn holds(&self, claim: Claim, spare: Duration) -> bool {
        let until = self.lock().get(&claim).copied();
        until.is_some_and(|until| Instant::now() + spare < until)
    }

    pub(super) fn claims(&self) -> Vec<Claim> {
        self.lock().keys().copied().collect()
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Claim, Instant>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
