//! Which events a reader wants.

use std::fmt;
use std::str::FromStr;

use kabar_core::DeviceId;

use crate::StoredEvent;

/// The kinds that a filter names: one, like `message.status`, or a family, like `message.*`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind(String);

/// A text that is no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write a kind of event like `message.received`, or a family like `message.*`")]
pub struct ParseKindError;

impl Kind {
    /// Whether a kind of event is among them.
    pub fn holds(&self, kind: &str) -> bool {
        match self.0.strip_suffix('*') {
            Some(family) => kind.starts_with(family),
            None => kind == self.0,
        }
    }
}

impl FromStr for Kind {
    type Err = ParseKindError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = |part: &str| {
            let letter = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
            !part.is_empty() && part.bytes().all(letter)
        };
        match text.split_once('.') {
            Some((family, one)) if word(family) && (one == "*" || word(one)) => {
                Ok(Self(text.to_owned()))
            }
            _ => Err(ParseKindError),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Which events a reader wants; all when it says nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// Only these kinds; all when empty.
    pub kinds: Vec<Kind>,
    /// Only what is about this device.
    pub device: Option<DeviceId>,
}

impl EventFilter {
    /// Whether the filter lets an event through.
    pub fn lets(&self, event: &StoredEvent) -> bool {
        let kind = self.kinds.is_empty() || self.kinds.iter().any(|kind| kind.holds(&event.kind));
        kind && self.device.is_none_or(|device| {
            let named = event.data.get("device_id").and_then(serde_json::Value::as_str);
            named.is_some_and(|id| id.parse() == Ok(device))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_one_or_a_family() {
        for (text, kind, holds) in [
            ("message.status", "message.status", true),
            ("message.status", "message.received", false),
            ("message.*", "message.received", true),
            ("message.*", "meta_app.changed", false),
            ("meta_app.*", "meta_app.changed", true),
        ] {
            assert_eq!(text.parse::<Kind>().unwrap().holds(kind), holds, "{text} {kind}");
        }
        for text in ["", "*", "message", ".*", "message.", "Message.status", "a.b.c", "m.s*"] {
            assert_eq!(text.parse::<Kind>(), Err(ParseKindError), "{text}");
        }
    }
}
