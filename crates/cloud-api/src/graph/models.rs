//! What Graph answers, as far as we read it. Every field but the id may be absent.

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Ids are decimal text, but some calls answer with numbers.
pub(super) fn id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::String(text) if !text.is_empty() => Ok(text),
        Value::Number(number) => Ok(number.to_string()),
        _ => Err(serde::de::Error::custom("an id must be text or a number")),
    }
}

/// A number of a WhatsApp business account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct NumberInfo {
    /// The phone number id.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// The number as it is shown, like `+1 555-0100`.
    #[serde(default)]
    pub display_phone_number: Option<String>,
    /// The verified business name.
    #[serde(default)]
    pub verified_name: Option<String>,
    /// `GREEN`, `YELLOW`, `RED`, `NA` or `UNKNOWN`.
    #[serde(default)]
    pub quality_rating: Option<String>,
    /// `CONNECTED`, `PENDING`, `BANNED` … as Meta writes it.
    #[serde(default)]
    pub status: Option<String>,
    /// `CLOUD_API`, `ON_PREMISE` or `NOT_APPLICABLE`.
    #[serde(default)]
    pub platform_type: Option<String>,
    /// `LIVE` or `SANDBOX`.
    #[serde(default)]
    pub account_mode: Option<String>,
    /// The portfolio's messaging limit, like `TIER_2K`.
    #[serde(default)]
    pub whatsapp_business_manager_messaging_limit: Option<String>,
}

/// A WhatsApp business account.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct WabaInfo {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
    /// The portfolio that owns it.
    #[serde(default)]
    pub owner_business_info: Option<Owner>,
}

impl WabaInfo {
    /// The id of the portfolio that owns it; the namespace of business-scoped user ids.
    pub fn portfolio(&self) -> Option<&str> {
        self.owner_business_info.as_ref().map(|owner| &*owner.id)
    }
}

/// A business portfolio.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct Owner {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
}

/// An app that gets a business account's webhooks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct SubscribedApp {
    /// The app.
    pub whatsapp_business_api_data: AppInfo,
    /// The address that overrides the app's own.
    #[serde(default)]
    pub override_callback_uri: Option<String>,
}

/// A Meta app.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct AppInfo {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: Option<String>,
}

/// A file at Meta.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct MediaInfo {
    /// Its id.
    #[serde(deserialize_with = "id")]
    pub id: String,
    /// Where its bytes are, for 5 minutes, and only with the token.
    pub url: String,
    /// Its media type.
    #[serde(default)]
    pub mime_type: Option<String>,
    /// SHA-256 of the bytes, as Meta writes it.
    #[serde(default)]
    pub sha256: Option<String>,
}
