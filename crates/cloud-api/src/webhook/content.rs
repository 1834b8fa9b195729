//! What an incoming message holds, by its type.

use kabar_channel::content::{ContactCard, Location};
use kabar_channel::incoming::IncomingFile;
use kabar_channel::{IncomingContent, MessageKey, Reason};
use serde_json::Value;

use super::json;
use super::people::person_at;
use super::read::{elements, filled, flag, float, id, object, reasons, text};

/// Types whose object is named like the type; a message whose type is unreadable is known by it.
const NAMED: &[&str] = &[
    "text",
    "image",
    "video",
    "audio",
    "voice",
    "document",
    "sticker",
    "location",
    "contacts",
    "reaction",
    "button",
    "interactive",
    "order",
    "system",
    "edit",
    "revoke",
    "unsupported",
];

/// The kind of what bears no name.
const UNNAMED: &str = "unknown";

/// The content of a message. What cannot be read is kept as it came.
pub(super) fn content(message: &Value) -> IncomingContent {
    let kind = kind(message);
    read(message, &kind).unwrap_or_else(|| unknown(&kind, message))
}

fn kind(message: &Value) -> String {
    let present = |name: &&&str| message.get(**name).is_some_and(|value| !value.is_null());
    let named = || NAMED.iter().find(present).map(|name| (*name).to_owned());
    filled(message, "type").or_else(named).unwrap_or_default()
}

fn unknown(kind: &str, message: &Value) -> IncomingContent {
    IncomingContent::Unknown {
        kind: if kind.is_empty() { UNNAMED } else { kind }.to_owned(),
        raw: message.clone(),
    }
}

fn read(message: &Value, kind: &str) -> Option<IncomingContent> {
    match kind {
        // These two are known without an object.
        "request_welcome" => return Some(IncomingContent::Welcome),
        "unsupported" | "unknown" => return Some(unsupported(message)),
        "contacts" => return contacts(message),
        _ => {}
    }
    let body = object(message, kind)?;
    match kind {
        "text" => Some(IncomingContent::Text { body: text(body, "body")? }),
        "image" => file(body).map(IncomingContent::Image),
        "video" => file(body).map(IncomingContent::Video),
        "audio" => file(body).map(IncomingContent::Audio),
        "voice" => voice(body),
        "document" => file(body).map(IncomingContent::Document),
        "sticker" => file(body).map(IncomingContent::Sticker),
        "location" => location(body).map(IncomingContent::Location),
        "reaction" => reaction(body),
        "button" => choice(body, ["payload", "text"]),
        "interactive" => interactive(message, body),
        "order" => Some(IncomingContent::Order { order: body.clone() }),
        "system" => Some(system(body)),
        "edit" => edit(body),
        "revoke" => Some(IncomingContent::Revoke {
            target: MessageKey::id(id(body, "original_message_id")?),
        }),
        _ => None,
    }
}

fn file(body: &Value) -> Option<IncomingFile> {
    Some(IncomingFile {
        wire_media_id: id(body, "id")?,
        mime: filled(body, "mime_type"),
        sha256: filled(body, "sha256"),
        caption: filled(body, "caption"),
        filename: filled(body, "filename"),
        voice: flag(body, "voice") == Some(true),
        animated: flag(body, "animated") == Some(true),
    })
}

/// The older word for a voice note.
fn voice(body: &Value) -> Option<IncomingContent> {
    let file = file(body)?;
    Some(IncomingContent::Audio(IncomingFile { voice: true, ..file }))
}

fn location(body: &Value) -> Option<Location> {
    let degrees = |key, most| float(body, key).filter(|degrees| degrees.abs() <= most);
    Some(Location {
        latitude: degrees("latitude", 90.0)?,
        longitude: degrees("longitude", 180.0)?,
        name: filled(body, "name"),
        address: filled(body, "address"),
    })
}

fn contacts(message: &Value) -> Option<IncomingContent> {
    let cards: Vec<ContactCard> =
        elements(message, "contacts").filter_map(|(_, contact)| card(contact)).collect();
    (!cards.is_empty()).then_some(IncomingContent::Contacts { cards })
}

/// A card; one without a name goes by its first number.
fn card(contact: &Value) -> Option<ContactCard> {
    let each = |list: &str, keys: [&str; 2]| -> Vec<String> {
        elements(contact, list)
            .filter_map(|(_, entry)| keys.iter().find_map(|key| filled(entry, key)))
            .collect()
    };
    let phones = each("phones", ["phone", "wa_id"]);
    let emails = each("emails", ["email", "address"]);
    let name = card_name(contact).or_else(|| phones.first().or(emails.first()).cloned())?;
    Some(ContactCard {
        name,
        phones,
        emails,
        organisation: object(contact, "org").and_then(|org| filled(org, "company")),
    })
}

fn card_name(contact: &Value) -> Option<String> {
    let name = object(contact, "name").unwrap_or(&Value::Null);
    let parts = || {
        let parts = ["first_name", "middle_name", "last_name"].map(|key| filled(name, key));
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(" "))
    };
    filled(name, "formatted_name").or_else(parts).or_else(|| vcard_name(&filled(contact, "vcard")?))
}

/// The formatted name of a vCard (RFC 6350, property `FN`).
fn vcard_name(vcard: &str) -> Option<String> {
    vcard.lines().find_map(|line| {
        let (property, name) = line.split_once(':')?;
        let property = property.split(';').next()?;
        let name = name.trim();
        (property.eq_ignore_ascii_case("FN") && !name.is_empty()).then(|| name.to_owned())
    })
}

/// Without an emoji the reaction is taken back.
fn reaction(body: &Value) -> Option<IncomingContent> {
    Some(IncomingContent::Reaction {
        target: MessageKey::id(id(body, "message_id")?),
        emoji: filled(body, "emoji"),
    })
}

/// A tap. Of id and title one may be missing and is then the other.
fn choice(body: &Value, [id_key, title_key]: [&str; 2]) -> Option<IncomingContent> {
    let (id, title) = (filled(body, id_key), filled(body, title_key));
    let title = title.or_else(|| id.clone())?;
    Some(IncomingContent::Choice {
        id: id.unwrap_or_else(|| title.clone()),
        title,
        description: filled(body, "description"),
    })
}

fn interactive(message: &Value, body: &Value) -> Option<IncomingContent> {
    let reply = ["button_reply", "list_reply"].iter().find_map(|key| object(body, key));
    if let Some(reply) = reply {
        return choice(reply, ["id", "title"]);
    }
    if let Some(form) = object(body, "nfm_reply") {
        return Some(IncomingContent::Form {
            name: filled(form, "name").unwrap_or_else(|| "flow".to_owned()),
            answers: answers(form),
        });
    }
    let kind = filled(body, "type").unwrap_or_else(|| "interactive".to_owned());
    Some(unknown(&kind, message))
}

/// A form's answers are JSON inside a string.
fn answers(form: &Value) -> Value {
    match form.get("response_json") {
        Some(Value::String(text)) => {
            json::parse(text.as_bytes()).unwrap_or_else(|_| Value::String(text.clone()))
        }
        Some(other) => other.clone(),
        None => Value::Null,
    }
}

/// The new number stood in `new_wa_id` up to Graph v11.
fn system(body: &Value) -> IncomingContent {
    let number = match id(body, "new_wa_id") {
        Some(_) => "new_wa_id",
        None => "wa_id",
    };
    IncomingContent::System {
        kind: filled(body, "type").unwrap_or_else(|| UNNAMED.to_owned()),
        body: filled(body, "body"),
        new: person_at(body, [number, "user_id", "parent_user_id"]),
    }
}

fn edit(body: &Value) -> Option<IncomingContent> {
    Some(IncomingContent::Edit {
        target: MessageKey::id(id(body, "original_message_id")?),
        content: Box::new(content(object(body, "message")?)),
    })
}

fn unsupported(message: &Value) -> IncomingContent {
    let what = || filled(object(message, "unsupported")?, "type");
    let told = reasons(message).into_iter().next();
    IncomingContent::Unsupported {
        reason: told.or_else(|| what().map(|what| Reason::new("unsupported", what))),
    }
}
