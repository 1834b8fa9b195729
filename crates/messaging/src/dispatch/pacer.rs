//! Whether a device may send now. Knows the pauses that the network asked for; quotas, quiet hours
//! and warm-up come with the paced broadcasts.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use kabar_core::{DeviceId, Timestamp};

#[derive(Default)]
struct Pace {
    in_hand: usize,
    paused_until: Option<Timestamp>,
}

/// The pace of each device on this node.
#[derive(Default)]
pub(super) struct Pacer(Mutex<HashMap<DeviceId, Pace>>);

impl Pacer {
    pub(super) fn may_send(&self, device: DeviceId, now: Timestamp) -> bool {
        self.lock().get(&device).and_then(|pace| pace.paused_until).is_none_or(|until| until <= now)
    }

    pub(super) fn pause(&self, device: DeviceId, until: Timestamp) {
        let mut paces = self.lock();
        let pace = paces.entry(device).or_default();
        pace.paused_until = pace.paused_until.max(Some(until));
    }

    pub(super) fn in_hand(&self, device: DeviceId) -> usize {
        self.lock().get(&device).map_or(0, |pace| pace.in_hand)
    }

    pub(super) fn took(&self, device: DeviceId) {
        self.lock().entry(device).or_default().in_hand += 1;
    }

    pub(super) fn gave_back(&self, device: DeviceId) {
        let mut paces = self.lock();
        if let Some(pace) = paces.get_mut(&device) {
            pace.in_hand = pace.in_hand.saturating_sub(1);
            // Nothing to remember: the map stays as small as what is going on.
            if pace.in_hand == 0 && pace.paused_until.is_none() {
                paces.remove(&device);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DeviceId, Pace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
