//! The kinds of events that can be subscribed to, and patterns over them.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Every kind of event, with what it tells.
pub const KINDS: &[(&str, &str)] = &[
    ("account.changed", "The account's own data changed."),
    ("alert.cleared", "What an alert told of is well again."),
    ("alert.raised", "A device or queue became unwell."),
    ("broadcast.cancelled", "A broadcast was ended early."),
    ("broadcast.changed", "What a broadcast is to do was changed."),
    ("broadcast.completed", "Every recipient of a broadcast has its message."),
    ("broadcast.created", "A broadcast was made."),
    ("broadcast.failed", "A broadcast cannot be carried out."),
    ("broadcast.paused", "A broadcast stopped for a while."),
    ("broadcast.prepared", "A broadcast's recipients are known and checked."),
    ("broadcast.progress", "A broadcast got a tenth further."),
    ("broadcast.removed", "A broadcast was removed."),
    ("broadcast.resumed", "A paused broadcast goes on."),
    ("broadcast.retried", "A broadcast's failed recipients are sent to again."),
    ("broadcast.scheduled", "A broadcast is to start at a time."),
    ("broadcast.started", "A broadcast began to send."),
    ("contact.changed", "A contact was changed."),
    ("contact.created", "A contact was made, by hand or by its first message."),
    ("contact.erased", "Everything personal about a contact was erased."),
    ("contact.merged", "Two contacts became one."),
    ("contact.preference", "A person stopped or resumed marketing messages."),
    ("contact.removed", "A contact was removed."),
    ("contact_group.changed", "A group of contacts, or who is in it, was changed."),
    ("contact_import.state", "An import of contacts came to a new state."),
    ("device.added", "A device was registered."),
    ("device.changed", "A device's settings or credentials changed."),
    ("device.health", "How likely a paired device is to be banned changed."),
    ("device.notice", "The network told something about a device or its account."),
    ("device.pairing", "There is a new code that pairs a device; read it where it is shown."),
    ("device.removed", "A device was removed."),
    ("device.state", "A device can send now, or cannot any more."),
    ("key.changed", "An API key was created or revoked."),
    ("message.answered", "An incoming message was answered automatically."),
    ("message.queued", "A message was taken into the outbox."),
    ("message.received", "A message came in."),
    ("message.status", "A message's status changed."),
    ("meta_app.changed", "A Meta app was added or removed."),
    ("rule.changed", "A rule was created, changed or removed."),
    ("template.changed", "A message template was created, changed or removed."),
    ("user.changed", "A user was created or changed."),
    ("webhook.changed", "A webhook endpoint was made, changed or removed, or its secret rotated."),
    (
        "webhook.disabled",
        "A webhook endpoint was switched off: it failed for too long, or said 410.",
    ),
    ("webhook.test", "Nothing happened: somebody wanted to see an event arrive."),
];

/// What an endpoint wants to hear of: a kind, all kinds of an area (`message.*`), or all (`*`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct EventPattern(String);

/// A text that no kind of event fits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` fits no kind of event; use a kind like message.received, an area like message.*, or *"
)]
pub struct UnknownEvent(String);

impl EventPattern {
    /// Everything.
    pub fn all() -> Self {
        Self("*".to_owned())
    }

    /// Whether a kind fits.
    pub fn fits(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(start) => kind.starts_with(start),
            None => self.0 == kind,
        }
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for EventPattern {
    type Err = UnknownEvent;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pattern = Self(text.to_owned());
        let formed = text == "*" || text.strip_suffix('*').is_none_or(|area| area.ends_with('.'));
        if formed && KINDS.iter().any(|(kind, _)| pattern.fits(kind)) {
            Ok(pattern)
        } else {
            Err(UnknownEvent(text.chars().take(64).collect()))
        }
    }
}

/// Stored patterns outlive their kinds.
impl From<String> for EventPattern {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl From<EventPattern> for String {
    fn from(pattern: EventPattern) -> Self {
        pattern.0
    }
}

impl fmt::Display for EventPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_what_they_say() {
        let fits = |pattern: &str, kind: &str| {
            pattern.parse::<EventPattern>().expect("a pattern").fits(kind)
        };
        assert!(fits("*", "contact.created"));
        assert!(fits("message.*", "message.received") && !fits("message.*", "contact.created"));
        assert!(fits("message.status", "message.status"));
        assert!(!fits("message.status", "message.received"));
    }

    #[test]
    fn patterns_that_fit_nothing_are_refused() {
        for text in
            ["", "message", "message.", "mess*", "message.*.x", "nothing.*", "**", "message.gone"]
        {
            assert!(text.parse::<EventPattern>().is_err(), "{text}");
        }
    }

    #[test]
    fn kinds_are_sorted_and_formed() {
        assert!(KINDS.is_sorted_by(|a, b| a.0 < b.0));
        for (kind, _) in KINDS {
            let letters =
                kind.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_'));
            assert!(letters, "{kind}: Standard Webhooks allows letters, digits, `_` and dots");
        }
    }
}
