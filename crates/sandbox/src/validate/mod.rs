//! What Meta checks before it accepts a message: fields, lengths, counts. Limits: Meta, "Messages
//! API reference".

mod contents;
mod fields;
mod interactive;
mod template;

pub(crate) use fields::Object;
use fields::{Checked, object, optional_text};

use crate::graph_error::GraphError;
use crate::inbound::MediaKind;
use crate::templates::Template;

/// Longest `biz_opaque_callback_data`.
const REFERENCE_MAX: usize = 512;

/// What a checked message leads to.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Type of the message.
    pub(crate) kind: String,
    /// What the customer would read: text, caption or title.
    pub(crate) text: String,
    /// Uploaded media it shows, which must exist.
    pub(crate) media: Vec<(MediaKind, String)>,
    /// Category, for templates.
    pub(crate) template_category: Option<String>,
    /// `biz_opaque_callback_data`.
    pub(crate) reference: Option<String>,
}

/// Whom a message is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Recipient {
    /// As written in the request.
    pub(crate) input: String,
    /// Whether it is a BSUID (`recipient`) rather than a number (`to`).
    pub(crate) by_user_id: bool,
}

/// Checks `messaging_product`, which every call of the messages edge needs.
pub(crate) fn product(body: &Object) -> Checked {
    match body.get("messaging_product").and_then(|it| it.as_str()) {
        Some("whatsapp") => Ok(()),
        Some(_) => Err(GraphError::parameter("Param messaging_product must be one of {WHATSAPP}")),
        None => Err(GraphError::parameter("The parameter messaging_product is required.")),
    }
}

/// Reads `to` (wins) or `recipient`.
pub(crate) fn recipient(body: &Object) -> Checked<Recipient> {
    match body.get("recipient_type").and_then(|it| it.as_str()) {
        None | Some("individual") => {}
        Some("group") => return Err(GraphError::value("Groups are not served by the sandbox")),
        Some(_) => {
            let text = "Param recipient_type must be one of {INDIVIDUAL, GROUP}";
            return Err(GraphError::parameter(text));
        }
    }
    let written = |key: &str| match body.get(key)? {
        serde_json::Value::String(text) => Some(text.clone()),
        serde_json::Value::Number(number) => Some(number.to_string()),
        _ => None,
    };
    if let Some(input) = written("to") {
        let key = crate::people::customer_key(&input);
        return if crate::people::is_number(&key) {
            Ok(Recipient { input, by_user_id: false })
        } else {
            Err(GraphError::value("Recipient phone number is not valid"))
        };
    }
    match written("recipient") {
        Some(input) if input.contains('.') => Ok(Recipient { input, by_user_id: true }),
        Some(_) => Err(GraphError::value("recipient is not a business-scoped user id")),
        None => Err(GraphError::parameter("The parameter to is required.")),
    }
}

/// Checks a message of any type against the account's templates.
pub(crate) fn message(body: &Object, templates: &[Template]) -> Checked<Draft> {
    let mut draft = Draft {
        reference: optional_text(
            body,
            "biz_opaque_callback_data",
            "biz_opaque_callback_data",
            REFERENCE_MAX,
        )?
        .map(ToOwned::to_owned),
        ..Draft::default()
    };
    if body.contains_key("context") {
        let context = object(body, "context", "context")?;
        fields::text(context, "message_id", "context['message_id']", 512)?;
    }
    let kind = match body.get("type") {
        None | Some(serde_json::Value::Null) => "text",
        Some(serde_json::Value::String(kind)) => kind,
        Some(_) => return Err(GraphError::parameter("Param type must be a string.")),
    };
    kind.clone_into(&mut draft.kind);
    match kind {
        "text" => contents::text(body, &mut draft)?,
        "image" => contents::media(body, MediaKind::Image, &mut draft)?,
        "video" => contents::media(body, MediaKind::Video, &mut draft)?,
        "audio" => contents::media(body, MediaKind::Audio, &mut draft)?,
        "document" => contents::media(body, MediaKind::Document, &mut draft)?,
        "sticker" => contents::media(body, MediaKind::Sticker, &mut draft)?,
        "location" => contents::location(body)?,
        "contacts" => contents::contacts(body)?,
        "reaction" => contents::reaction(body)?,
        "interactive" => interactive::check(body, &mut draft)?,
        "template" => template::check(body, templates, &mut draft)?,
        other => {
            return Err(GraphError::detailed(
                131_051,
                format!(
                    "Message type {other} is not supported. Param type must be one of {{AUDIO, \
                     CONTACTS, DOCUMENT, IMAGE, INTERACTIVE, LOCATION, REACTION, STICKER, \
                     TEMPLATE, TEXT, VIDEO}}"
                ),
            ));
        }
    }
    Ok(draft)
}
