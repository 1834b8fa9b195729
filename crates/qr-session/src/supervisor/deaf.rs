//! Sessions that are connected but understand nothing, or never get that far.
//!
//! A message that cannot be decrypted is asked for again, and comes; that is nothing unusual. When one
//! after the other fails, the session's own state is damaged: it is started again on what the vault
//! holds, once, and when that does not help, its owner is told.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use kabar_core::DeviceId;
use kabar_devices::DeviceState;
use kabar_devices::lease::Release;

use super::Inner;
use crate::session::Session;

/// Messages in a row that could not be decrypted, from which on a session counts as deaf. One that has
/// lost its session with one person fails once or twice before the repetition comes.
const DEAF: u64 = 10;

/// How long a login may stand still. What waited at WhatsApp is delivered before it counts as done, which
/// takes a minute where there is much; whatever comes begins the wait anew.
const LOGGED_IN_WITHIN: Duration = Duration::from_secs(45);

/// What its owner is told.
const WHY: &str =
    "it is connected, but what comes in cannot be decrypted; log it out and pair it again";

/// What was done about deaf sessions.
#[derive(Debug, Default)]
pub(super) struct Remedies(Mutex<HashMap<DeviceId, Remedy>>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    StartedAgain,
    Told,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Nothing,
    StartAgain,
    Tell,
    /// It understands again.
    TakeBack,
}

impl Remedies {
    /// What is to be done about a session with so many failures in a row, of which one that is healthy
    /// has understood something since it was started.
    fn next(&self, device: DeviceId, in_a_row: u64, understood: bool) -> Step {
        let mut remedies = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match remedies.get(&device).copied() {
            None if in_a_row >= DEAF => {
                remedies.insert(device, Remedy::StartedAgain);
                Step::StartAgain
            }
            Some(Remedy::StartedAgain) if in_a_row >= DEAF => {
                remedies.insert(device, Remedy::Told);
                Step::Tell
            }
            Some(remedy) if in_a_row == 0 && understood => {
                remedies.remove(&device);
                if remedy == Remedy::Told { Step::TakeBack } else { Step::Nothing }
            }
            _ => Step::Nothing,
        }
    }
}

impl Inner {
    /// Looks for sessions whose login came to nothing: WhatsApp left a question of it unanswered, and
    /// the engine waits.
    pub(super) fn look_for_the_stuck(&self) {
        for session in self.sessions.all() {
            if session.waits_for_login().is_some_and(|waits| waits > LOGGED_IN_WITHIN) {
                tracing::warn!(device = %session.fence().device, "session.stuck");
                session.connect_anew();
            }
        }
    }

    /// Looks for sessions that are connected but deaf.
    pub(super) async fn listen_for_the_deaf(&self) {
        for session in self.sessions.all().into_iter().filter(|session| session.is_connected()) {
            let (device, in_a_row) = (session.fence().device, session.undecryptable_in_a_row());
            match self.remedies.next(device, in_a_row, session.has_understood()) {
                Step::Nothing => {}
                Step::StartAgain => {
                    tracing::warn!(%device, in_a_row, "session.deaf");
                    self.start_again(session).await;
                }
                Step::Tell => self.say(&session, Some(WHY)).await,
                Step::TakeBack => self.say(&session, None).await,
            }
        }
    }

    /// Ends a session so that it is claimed, and started, anew, by a node that has room.
    pub(super) async fn start_again(&self, session: Arc<Session>) {
        let release = Release { fence: session.fence(), from: self.now() };
        self.end(vec![session]).await;
        self.release(&[release]).await;
    }

    async fn say(&self, session: &Session, why: Option<&str>) {
        if let Err(error) = self.state(session, DeviceState::Connected, why).await {
            let device = session.fence().device;
            tracing::warn!(%device, error = &error as &dyn std::error::Error, "session.deaf");
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    #[test]
    fn a_deaf_session_is_started_again_once_then_its_owner_is_told_until_it_understands() {
        let (remedies, device) = (Remedies::default(), DeviceId::from(Uuid::from_u128(1)));
        assert_eq!(remedies.next(device, DEAF - 1, true), Step::Nothing);
        assert_eq!(remedies.next(device, DEAF, true), Step::StartAgain);
        assert_eq!(remedies.next(device, 0, false), Step::Nothing, "it heard nothing yet");
        assert_eq!(remedies.next(device, DEAF, false), Step::Tell);
        assert_eq!(remedies.next(device, DEAF + 5, false), Step::Nothing, "it was told");
        assert_eq!(remedies.next(device, 0, true), Step::TakeBack);
        assert_eq!(remedies.next(device, DEAF, true), Step::StartAgain, "another time");
        assert_eq!(remedies.next(device, 0, true), Step::Nothing);
    }
}
