//! Who is who: numbers, LIDs and devices.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use wacore_binary::Jid;

/// A phone number in digits, country code first. The key of an account.
pub(crate) type Number = Arc<str>;

/// One device of one account; device 0 is the phone itself.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Endpoint {
    pub(crate) number: Number,
    pub(crate) device: u16,
}

impl Endpoint {
    pub(crate) fn new(number: &Number, device: u16) -> Self {
        Self { number: Arc::clone(number), device }
    }

    pub(crate) fn phone(number: &Number) -> Self {
        Self::new(number, 0)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.number, self.device)
    }
}

/// By which of its two names an account is addressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Addressing {
    /// By phone number: `…@s.whatsapp.net`.
    #[default]
    Pn,
    /// By LID, the name that hides the number: `…@lid`.
    Lid,
}

impl Addressing {
    /// Of an address of a user.
    pub(crate) fn of(jid: &Jid) -> Self {
        if jid.is_lid() { Self::Lid } else { Self::Pn }
    }

    /// As in `addressing_mode`.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Pn => "pn",
            Self::Lid => "lid",
        }
    }

    pub(crate) fn other(self) -> Self {
        match self {
            Self::Pn => Self::Lid,
            Self::Lid => Self::Pn,
        }
    }
}
