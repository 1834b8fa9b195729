//! How many recipients are where.

use std::collections::BTreeMap;

use kabar_events::BroadcastProgress;

use super::recipient::{Recipient, RecipientState};

/// Recipients by state and reason. Also a change of such numbers, which may be negative.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(BTreeMap<(RecipientState, String), i64>);

impl Counts {
    /// Adds so many.
    pub fn add(&mut self, state: RecipientState, reason: Option<&str>, many: i64) {
        let key = (state, reason.unwrap_or_default().to_owned());
        let count = self.0.entry(key.clone()).or_default();
        *count += many;
        if *count == 0 {
            self.0.remove(&key);
        }
    }

    /// Counts a recipient in.
    pub fn enter(&mut self, recipient: &Recipient) {
        self.add(recipient.state, recipient.reason.as_deref(), 1);
    }

    /// Counts a recipient out.
    pub fn leave(&mut self, recipient: &Recipient) {
        self.add(recipient.state, recipient.reason.as_deref(), -1);
    }

    /// Every state and reason with its number; the reason is empty where there is none.
    pub fn iter(&self) -> impl Iterator<Item = (RecipientState, &str, i64)> {
        self.0.iter().map(|((state, reason), many)| (*state, reason.as_str(), *many))
    }

    /// How many are in a state.
    pub fn of(&self, state: RecipientState) -> u64 {
        let counted: i64 =
            self.iter().filter(|(own, ..)| *own == state).map(|(.., many)| many).sum();
        u64::try_from(counted).unwrap_or_default()
    }

    /// How many are in a state for a reason.
    pub fn because(&self, state: RecipientState, reason: &str) -> u64 {
        let counted = self.0.get(&(state, reason.to_owned())).copied().unwrap_or_default();
        u64::try_from(counted).unwrap_or_default()
    }

    /// In a broadcast that was ended early, whoever waits will wait for ever.
    #[must_use]
    pub fn ended_early(mut self) -> Self {
        let waiting = i64::try_from(self.of(RecipientState::Waiting)).unwrap_or(i64::MAX);
        self.0.retain(|(state, _), _| *state != RecipientState::Waiting);
        self.add(RecipientState::Cancelled, Some("broadcast_cancelled"), waiting);
        self
    }

    /// The same in few numbers.
    pub fn progress(&self) -> BroadcastProgress {
        use RecipientState as S;
        let mut progress = BroadcastProgress {
            total: 0,
            waiting: self.of(S::Waiting),
            skipped: self.of(S::Skipped),
            queued: self.of(S::Queued),
            sent: self.of(S::Sent),
            delivered: self.of(S::Delivered),
            read: self.of(S::Read),
            failed: self.of(S::Failed) + self.of(S::Expired),
            uncertain: self.of(S::Uncertain),
            cancelled: self.of(S::Cancelled),
        };
        progress.total = progress.waiting + progress.queued + settled(&progress);
        progress
    }
}

/// Those about whom nothing is left to do.
pub(crate) const fn settled(progress: &BroadcastProgress) -> u64 {
    progress.skipped
        + progress.sent
        + progress.delivered
        + progress.read
        + progress.failed
        + progress.uncertain
        + progress.cancelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_add_up() {
        let mut counts = Counts::default();
        counts.add(RecipientState::Waiting, None, 5);
        counts.add(RecipientState::Skipped, Some("opted_out"), 2);
        counts.add(RecipientState::Waiting, None, -1);
        counts.add(RecipientState::Duplicate, None, 7);
        let progress = counts.progress();
        assert_eq!((progress.total, progress.waiting, progress.skipped), (6, 4, 2));
        let ended = counts.ended_early().progress();
        assert_eq!((ended.total, ended.waiting, ended.cancelled), (6, 0, 4));
    }
}
