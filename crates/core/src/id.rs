//! Typed ids: a UUID version 7 inside, a prefixed word on the wire (`msg_0192…`).

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// A text that is not an id of the wanted type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a valid id; expected `{prefix}_` followed by 32 lower-case hex digits")]
pub struct ParseIdError {
    text: String,
    prefix: &'static str,
}

fn parse(text: &str, prefix: &'static str) -> Result<Uuid, ParseIdError> {
    let wrong = || ParseIdError { text: text.chars().take(64).collect(), prefix };
    let hex = text
        .strip_prefix(prefix)
        .and_then(|rest| rest.strip_prefix('_'))
        .filter(|hex| {
            hex.len() == 32 && hex.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        })
        .ok_or_else(wrong)?;
    Uuid::try_parse(hex).map_err(|_| wrong())
}

macro_rules! typed_id {
    ($($(#[$doc:meta])* $name:ident = $prefix:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// The word before the underscore on the wire.
            pub const PREFIX: &'static str = $prefix;

            /// The UUID inside, as storage keeps it.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "_{}"), self.0.simple())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                parse(text, $prefix).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}

typed_id! {
    /// A tenant's account.
    AccountId = "acc";
    /// A person who can log in.
    UserId = "usr";
    /// An API key.
    ApiKeyId = "key";
    /// A tenant's WhatsApp number on one channel.
    DeviceId = "dev";
    /// A person or group that a tenant talks with.
    ContactId = "con";
    /// One way a contact is known (number, LID, BSUID, username).
    IdentityId = "idn";
    /// The chat between one device and one contact.
    ConversationId = "cnv";
    /// A message, incoming or outgoing.
    MessageId = "msg";
    /// An autoreply rule.
    RuleId = "rul";
    /// A stored file.
    MediaId = "med";
    /// A Meta app (its secret and verify token).
    MetaAppId = "app";
    /// A durable job.
    JobId = "job";
    /// An entry of the audit log.
    AuditId = "aud";
    /// A login session of a user.
    SessionId = "ses";
    /// A tenant's own group of contacts.
    GroupId = "grp";
    /// An import of contacts from a file.
    ImportId = "imp";
    /// A message template of a tenant's own.
    TemplateId = "tpl";
    /// A broadcast.
    BroadcastId = "brd";
    /// A webhook endpoint.
    EndpointId = "end";
    /// A delivery of one event to one webhook endpoint.
    DeliveryId = "del";
    /// An export of rows to a file.
    ExportId = "exp";
    /// Something unwell that somebody is told about.
    AlertId = "alr";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_form_round_trips() {
        let id = MessageId::from(Uuid::from_u128(0x0192_0000_0000_7000_8000_0000_0000_0001));
        assert_eq!(id.to_string(), "msg_01920000000070008000000000000001");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn other_prefixes_and_sloppy_forms_are_refused() {
        for text in [
            "dev_01920000000070008000000000000001",
            "msg_0192000000007000800000000000000",
            "msg_0192000000007000800000000000000A",
            "msg-01920000000070008000000000000001",
            "msg_01920000-0000-7000-8000-000000000001",
            "01920000000070008000000000000001",
            "",
            "msg_é",
        ] {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
    }
}
