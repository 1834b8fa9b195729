//! A contact and its identities.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use kabar_channel::Recipient;
use kabar_core::{AccountId, ContactId, IdentityId, PhoneNumber, Timestamp};

use crate::opt_out::{PreferenceSource, StopScope};

/// How a contact is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum IdentityKind {
    /// A business-scoped user id; unique within its portfolio.
    Bsuid,
    /// The parent portfolio's id of the same person.
    ParentBsuid,
    /// A linked id of the multi-device protocol.
    Lid,
    /// A phone number, `+` and digits.
    Phone,
    /// Digits that name the person on the network but are no E.164 number.
    WaId,
    /// A username.
    Username,
    /// A group's id.
    Group,
}

impl IdentityKind {
    /// Every kind, the steadiest first: ids outlive numbers, numbers outlive usernames.
    pub const ALL: &'static [Self] = &[
        Self::Bsuid,
        Self::ParentBsuid,
        Self::Lid,
        Self::Phone,
        Self::WaId,
        Self::Username,
        Self::Group,
    ];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bsuid => "bsuid",
            Self::ParentBsuid => "parent_bsuid",
            Self::Lid => "lid",
            Self::Phone => "phone",
            Self::WaId => "wa_id",
            Self::Username => "username",
            Self::Group => "group",
        }
    }

    /// Whether two people can never share it at the same time, nor one person lose it: another
    /// such id in the same namespace means another person.
    pub const fn is_permanent(self) -> bool {
        matches!(self, Self::Bsuid | Self::Lid)
    }
}

impl fmt::Display for IdentityKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that names no kind of identity or contact.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a known kind")]
pub struct UnknownKind(pub(crate) String);

impl FromStr for IdentityKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let kind = Self::ALL.iter().copied().find(|kind| kind.as_str() == text);
        kind.ok_or_else(|| UnknownKind(text.to_owned()))
    }
}

/// An identity without its owner.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityKey {
    /// How.
    pub kind: IdentityKind,
    /// Where it is unique: empty for numbers, the portfolio for business-scoped ids.
    pub namespace: String,
    /// The id itself.
    pub value: String,
}

impl IdentityKey {
    /// A phone number.
    pub fn phone(number: &PhoneNumber) -> Self {
        let value = number.as_str().to_owned();
        Self { kind: IdentityKind::Phone, namespace: String::new(), value }
    }
}

/// How a contact is known, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Its id.
    pub id: IdentityId,
    /// Whose it is.
    pub contact: ContactId,
    /// How.
    pub key: IdentityKey,
    /// Since when.
    pub valid_from: Timestamp,
    /// Until when; `None` for the present owner.
    pub valid_until: Option<Timestamp>,
}

/// Whether a contact is one person or many.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ContactKind {
    /// A person.
    #[default]
    Person,
    /// A WhatsApp group.
    Group,
}

impl ContactKind {
    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Person => "person",
            Self::Group => "group",
        }
    }
}

impl FromStr for ContactKind {
    type Err = UnknownKind;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "person" => Ok(Self::Person),
            "group" => Ok(Self::Group),
            _ => Err(UnknownKind(text.to_owned())),
        }
    }
}

/// Somebody that a tenant talks with.
#[derive(Debug, Clone, PartialEq)]
pub struct Contact {
    /// Its id.
    pub id: ContactId,
    /// Its account.
    pub account: AccountId,
    /// Whether it is one person or many.
    pub kind: ContactKind,
    /// What the tenant calls it.
    pub name: Option<String>,
    /// What the person calls itself.
    pub profile_name: Option<String>,
    /// The tenant's own facts about it, for `{variable}`s.
    pub variables: BTreeMap<String, String>,
    /// When it stopped messages: marketing, or more.
    pub marketing_stopped_at: Option<Timestamp>,
    /// What it stopped.
    pub stop_scope: Option<StopScope>,
    /// How we know that it stopped messages.
    pub stop_source: Option<PreferenceSource>,
    /// When it agreed to messages, and how.
    pub consented_at: Option<Timestamp>,
    /// Where it agreed.
    pub consent_source: Option<String>,
    /// How it is known now, the steadiest first.
    pub identities: Vec<Identity>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl Contact {
    /// The name to show: the tenant's, else the person's own.
    pub fn display_name(&self) -> Option<&str> {
        self.name.as_deref().or(self.profile_name.as_deref())
    }

    /// What it stopped, if it stopped messages.
    pub fn stop(&self) -> Option<StopScope> {
        self.marketing_stopped_at?;
        Some(self.stop_scope.unwrap_or(StopScope::Marketing))
    }

    /// The present value of a kind of identity.
    pub fn identity(&self, kind: IdentityKind) -> Option<&str> {
        let found = self.identities.iter().find(|identity| identity.key.kind == kind);
        found.map(|identity| identity.key.value.as_str())
    }

    /// How to reach it from a device whose network knows people in `namespace`.
    pub fn recipient(&self, namespace: &str) -> Recipient {
        let scoped = self
            .identities
            .iter()
            .find(|id| id.key.kind == IdentityKind::Bsuid && id.key.namespace == namespace);
        let digits = self.identity(IdentityKind::WaId);
        Recipient {
            phone: self
                .identity(IdentityKind::Phone)
                .or(digits)
                .and_then(|number| PhoneNumber::from_digits(number.trim_start_matches('+')).ok()),
            bsuid: scoped.map(|identity| identity.key.value.clone()),
            lid: self.identity(IdentityKind::Lid).map(str::to_owned),
            group: self.identity(IdentityKind::Group).map(str::to_owned),
        }
    }
}

/// A change of a contact; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ContactPatch {
    /// What the tenant calls it; an empty name takes it away.
    pub name: Option<String>,
    /// Variables to set; an empty value takes one away.
    pub variables: BTreeMap<String, String>,
    /// Whether marketing messages are wanted.
    pub marketing: Option<bool>,
}
