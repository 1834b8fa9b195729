//! WhatsApp Business Accounts, their numbers, tokens and apps, as the control API shows them.

use serde::{Deserialize, Serialize};

/// A WhatsApp Business Account of the sandbox.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// WABA id.
    pub waba_id: String,
    /// Display name.
    pub name: String,
    /// Business portfolio id.
    pub business_id: String,
    /// App whose secret signs this account's webhooks.
    pub app_id: String,
    /// Whether the app is subscribed to the account: without it no webhook goes out.
    pub subscribed: bool,
    /// Callback of this account alone, set through `subscribed_apps`.
    pub override_callback_uri: Option<String>,
    /// Phone numbers in order of creation.
    pub numbers: Vec<Number>,
    /// Valid access tokens that reach this account.
    pub tokens: Vec<String>,
}

/// A business phone number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Number {
    /// Phone number id.
    pub id: String,
    /// The number in digits, as webhooks show it.
    pub display_phone_number: String,
    /// Display name that customers see.
    pub verified_name: String,
    /// Whether it is registered for the Cloud API; only then can it send (133010).
    pub registered: bool,
    /// Callback of this number alone, set through `POST /P` `webhook_configuration`.
    pub override_callback_uri: Option<String>,
}

/// An account to create; everything left out is invented.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewAccount {
    /// WABA id.
    pub waba_id: Option<String>,
    /// Display name.
    pub name: Option<String>,
    /// Business portfolio id.
    pub business_id: Option<String>,
    /// App that gets its webhooks. Default: the seeded app. An unknown id creates the app.
    pub app_id: Option<String>,
    /// Secret of a created app. Default: the seeded app's.
    pub app_secret: Option<String>,
    /// Access token. Default: an invented one.
    pub token: Option<String>,
    /// Numbers. Default: one invented number.
    pub numbers: Vec<NewNumber>,
    /// Whether the account starts without a subscribed app, as at Meta. Default false.
    pub unsubscribed: bool,
}

/// A number to create; everything left out is invented.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct NewNumber {
    /// Phone number id.
    pub phone_number_id: Option<String>,
    /// The number in digits.
    pub display_phone_number: Option<String>,
    /// Display name.
    pub verified_name: Option<String>,
    /// Whether it still has to be registered. Default false.
    pub unregistered: bool,
}
