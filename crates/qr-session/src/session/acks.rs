//! Who waits for the server's acknowledgement of what.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// What the server said of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Said {
    /// It took it.
    Taken,
    /// It did not, with its code.
    Refused(String),
}

/// Who waits for the server's acknowledgement of what, by the message's id on the wire.
#[derive(Debug, Default)]
pub(crate) struct Acks(Mutex<HashMap<String, oneshot::Sender<Said>>>);

impl Acks {
    /// Waits for a message from here on: ask before it is sent. The answer is an error when the
    /// connection ended without one, or when somebody asked again for the same message.
    pub(crate) fn expect(&self, wire_id: &str) -> oneshot::Receiver<Said> {
        let (sender, receiver) = oneshot::channel();
        self.lock().insert(wire_id.to_owned(), sender);
        receiver
    }

    /// Nobody waits for a message any more.
    pub(crate) fn give_up(&self, wire_id: &str) {
        self.lock().remove(wire_id);
    }

    /// The server said it.
    pub(crate) fn said(&self, wire_id: &str, said: Said) {
        if let Some(waiting) = self.lock().remove(wire_id) {
            // Who no longer waits needs no answer.
            let _ = waiting.send(said);
        }
    }

    /// The connection ended: nobody gets an answer over it.
    pub(crate) fn lost(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, oneshot::Sender<Said>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn answers_find_who_waits() {
        let acks = Acks::default();
        let (one, other) = (acks.expect("1"), acks.expect("2"));
        acks.said("3", Said::Taken);
        acks.said("1", Said::Refused("463".to_owned()));
        assert_eq!(one.await, Ok(Said::Refused("463".to_owned())));
        acks.lost();
        assert!(other.await.is_err());
    }
}
