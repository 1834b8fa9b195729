//! What the listeners, the connections and the handle share: one lock around the state, and a way
//! to wait until the state looks as wanted.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::error::{MultiDeviceError, Outcome};
use super::keys::ServerKeys;
use super::media::MediaStore;
use super::state::State;

pub(crate) struct Shared {
    pub(crate) keys: ServerKeys,
    pub(crate) media: Arc<MediaStore>,
    /// Cancelled when the server stops.
    pub(crate) closing: CancellationToken,
    pub(crate) tasks: TaskTracker,
    state: Mutex<State>,
    /// Counts changes of the state.
    changes: watch::Sender<u64>,
}

impl Shared {
    pub(crate) fn new(
        keys: ServerKeys,
        media: Arc<MediaStore>,
        state: State,
        closing: CancellationToken,
    ) -> Self {
        Self {
            keys,
            media,
            closing,
            tasks: TaskTracker::new(),
            state: Mutex::new(state),
            changes: watch::Sender::new(0),
        }
    }

    /// Looks at the state.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the state, lets the phones react and wakes whoever waits.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let outcome = {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let outcome = change(&mut state);
            state.run_phones();
            outcome
        };
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
        outcome
    }

    /// Waits until `look` finds something.
    ///
    /// # Errors
    /// [`MultiDeviceError::TimedOut`] when the patience ran out.
    pub(crate) async fn wait_until<T>(
        &self,
        what: &str,
        patience: Duration,
        mut look: impl FnMut(&State) -> Option<T>,
    ) -> Outcome<T> {
        let mut changes = self.changes.subscribe();
        let search = async {
            loop {
                changes.mark_unchanged();
                if let Some(found) = self.look(&mut look) {
                    return found;
                }
                if changes.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(patience, search)
            .await
            .map_err(|_| MultiDeviceError::TimedOut(what.to_owned()))
    }
}
