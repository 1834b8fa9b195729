//! The people on the other side.

use serde::{Deserialize, Serialize};

/// A customer as the sandbox knows it. Unknown numbers come to life when first met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Customer {
    /// Phone number in digits: the customer's key.
    pub number: String,
    /// The id WhatsApp answers with; usually the number, but not in Brazil or Mexico.
    pub wa_id: String,
    /// Business-scoped user id (BSUID).
    pub user_id: String,
    /// Username, if one was adopted.
    pub username: Option<String>,
    /// Whether webhooks keep the number back: no `wa_id`, `from` or `recipient_id`.
    pub hides_phone: bool,
    /// Profile name.
    pub name: String,
    /// Whether messages get read; none = as the settings say.
    pub reads: Option<bool>,
    /// Whether the number is on WhatsApp; otherwise messages fail with 131026.
    pub on_whatsapp: bool,
    /// Texts the customer answers with, one per message received, in turns. `{text}` stands for
    /// the text received, `{name}` for the profile name. An empty text is a turn without an answer;
    /// no text at all means that the customer never answers.
    pub replies_with: Vec<String>,
    /// Wait before an answer, in milliseconds.
    pub reply_delay_ms: u64,
}

/// What `PUT /control/customers/{number}` may set; what is left out stays.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CustomerPatch {
    /// See [`Customer::wa_id`].
    pub wa_id: Option<String>,
    /// See [`Customer::user_id`].
    pub user_id: Option<String>,
    /// See [`Customer::username`].
    pub username: Option<String>,
    /// See [`Customer::hides_phone`].
    pub hides_phone: Option<bool>,
    /// See [`Customer::name`].
    pub name: Option<String>,
    /// See [`Customer::reads`].
    pub reads: Option<bool>,
    /// See [`Customer::on_whatsapp`].
    pub on_whatsapp: Option<bool>,
    /// See [`Customer::replies_with`].
    pub replies_with: Option<Vec<String>>,
    /// See [`Customer::reply_delay_ms`].
    pub reply_delay_ms: Option<u64>,
    /// Opens (true) or closes (false) the 24-hour window without a message, on every number.
    pub window_open: Option<bool>,
}
