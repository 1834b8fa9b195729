//! The port for ids and randomness.

use uuid::{ContextV7, Timestamp, Uuid};

/// Where ids and random bytes come from; tests hand in a sequence.
pub trait IdSource: Send + Sync + std::fmt::Debug {
    /// The next id. Ids of one source never repeat and sort in the order they were made.
    fn next(&self) -> Uuid;

    /// Fills `bytes` with unpredictable bytes, for keys and tokens.
    fn fill(&self, bytes: &mut [u8]);
}

impl dyn IdSource + '_ {
    /// A typed id: `let id: MessageId = ids.id();`.
    pub fn id<T: From<Uuid>>(&self) -> T {
        T::from(self.next())
    }
}

/// UUID version 7 from the system clock with a per-process counter, randomness from the operating
/// system.
#[derive(Debug, Default)]
pub struct SystemIds {
    context: std::sync::Mutex<ContextV7>,
}

impl IdSource for SystemIds {
    fn next(&self) -> Uuid {
        // A poisoned counter is still a counter.
        let context = self.context.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Uuid::new_v7(Timestamp::now(&*context))
    }

    fn fill(&self, bytes: &mut [u8]) {
        #[expect(clippy::expect_used, reason = "without system randomness no secret can be made")]
        getrandom::fill(bytes).expect("the operating system gives random bytes");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_sort_in_the_order_they_were_made() {
        let ids = SystemIds::default();
        let made: Vec<Uuid> = (0..10_000).map(|_| ids.next()).collect();
        assert!(made.is_sorted());
    }
}
