//! The body of `POST /{number}/messages` for each content.

pub(crate) mod file;

mod interactive;

use kabar_channel::content::{ContactCard, Location, Media, Template};
use kabar_channel::{Content, Outgoing, Recipient, SendError};
use serde_json::{Map, Value, json};
use url::Url;

/// A file as a request names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MediaObject {
    /// Uploaded, by Meta's id.
    Id(String),
    /// To be fetched by Meta.
    Link(Url),
}

/// What can be refused before anything is uploaded.
pub(crate) fn check(message: &Outgoing) -> Result<(), SendError> {
    recipient(&message.to)?;
    match &message.content {
        Content::Audio(file) | Content::Sticker(file) => uncaptioned(file),
        _ => Ok(()),
    }
}

/// Dropping the sender's words silently would be worse than refusing.
fn uncaptioned(file: &Media) -> Result<(), SendError> {
    match file.caption.as_deref() {
        None | Some("") => Ok(()),
        Some(_) => Err(SendError::refused(
            "caption",
            "audio and stickers carry no caption; send the words as a text",
        )),
    }
}

/// The whole request. `media` is the file of contents that are one.
pub(crate) fn request(message: &Outgoing, media: Option<MediaObject>) -> Result<Value, SendError> {
    let mut request = recipient(&message.to)?;
    let (kind, body) = content(message, media)?;
    let callback = message.id.to_string();
    request.insert("messaging_product".to_owned(), json!("whatsapp"));
    request.insert("biz_opaque_callback_data".to_owned(), json!(callback));
    request.insert("type".to_owned(), json!(kind));
    request.insert(kind.to_owned(), body);
    let quoted = message.reply_to.as_ref().filter(|_| kind != "reaction");
    if let Some(quoted) = quoted {
        let context = json!({ "message_id": quoted.id });
        request.insert("context".to_owned(), context);
    }
    Ok(Value::Object(request))
}

/// Meta reads a number without `+` as one of the sender's country.
fn recipient(to: &Recipient) -> Result<Map<String, Value>, SendError> {
    let (kind, key, address) = match to {
        Recipient { group: Some(group), .. } => ("group", "to", group.as_str()),
        Recipient { phone: Some(phone), .. } => ("individual", "to", phone.as_str()),
        Recipient { bsuid: Some(bsuid), .. } => ("individual", "recipient", bsuid.as_str()),
        _ => {
            return Err(SendError::refused(
                "recipient",
                "the Cloud API needs a phone number, a business-scoped user id or a group id",
            ));
        }
    };
    let mut request = Map::new();
    request.insert("recipient_type".to_owned(), json!(kind));
    request.insert(key.to_owned(), json!(address));
    Ok(request)
}

/// The request's `type`, and the object named like it.
fn content(
    message: &Outgoing,
    media: Option<MediaObject>,
) -> Result<(&'static str, Value), SendError> {
    Ok(match &message.content {
        Content::Text { body, preview_url } => {
            ("text", json!({ "body": body, "preview_url": preview_url }))
        }
        Content::Image(file) => ("image", media_body(file, media, &[Part::Caption])?),
        Content::Video(file) => ("video", media_body(file, media, &[Part::Caption])?),
        Content::Audio(file) => ("audio", media_body(file, media, &[Part::Voice])?),
        Content::Document(file) => {
            ("document", media_body(file, media, &[Part::Caption, Part::Filename])?)
        }
        Content::Sticker(file) => ("sticker", media_body(file, media, &[])?),
        Content::Location(place) => ("location", location(place)),
        Content::Contacts { cards } => ("contacts", cards.iter().map(card).collect()),
        Content::Reaction { emoji } => ("reaction", reaction(message, emoji)?),
        Content::Buttons(buttons) => ("interactive", interactive::buttons(buttons)?),
        Content::List(list) => ("interactive", interactive::list(list)),
        Content::Template(content) => ("template", template(content)),
        other => {
            let problem = format!("the Cloud API cannot carry `{}`", other.kind());
            return Err(SendError::refused("content", problem));
        }
    })
}

/// What a kind of file may carry beside its address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Caption,
    Filename,
    Voice,
}

fn media_body(
    file: &Media,
    media: Option<MediaObject>,
    parts: &[Part],
) -> Result<Value, SendError> {
    let mut body = Map::new();
    let (key, address) = match media {
        Some(MediaObject::Id(id)) => ("id", id),
        Some(MediaObject::Link(url)) => ("link", url.into()),
        None => return Err(SendError::refused("media", "the file was not uploaded")),
    };
    body.insert(key.to_owned(), json!(address));
    for part in parts {
        match part {
            Part::Caption => put(&mut body, "caption", file.caption.as_deref()),
            Part::Filename => put(&mut body, "filename", file.filename.as_deref()),
            Part::Voice if file.voice => {
                body.insert("voice".to_owned(), json!(true));
            }
            Part::Voice => {}
        }
    }
    Ok(Value::Object(body))
}

/// Adds a field that holds something; Graph refuses empty text.
fn put(object: &mut Map<String, Value>, key: &str, text: Option<&str>) {
    if let Some(text) = text.filter(|text| !text.is_empty()) {
        object.insert(key.to_owned(), json!(text));
    }
}

fn location(place: &Location) -> Value {
    let mut body = Map::new();
    body.insert("latitude".to_owned(), json!(place.latitude));
    body.insert("longitude".to_owned(), json!(place.longitude));
    put(&mut body, "name", place.name.as_deref());
    put(&mut body, "address", place.address.as_deref());
    Value::Object(body)
}

/// Meta wants a formatted name and one more part of it.
fn card(card: &ContactCard) -> Value {
    let name = card.name.trim();
    let (first, last) = name
        .split_once(char::is_whitespace)
        .map_or((name, ""), |(first, rest)| (first, rest.trim()));
    let mut parts = Map::new();
    parts.insert("formatted_name".to_owned(), json!(name));
    parts.insert("first_name".to_owned(), json!(first));
    put(&mut parts, "last_name", Some(last));

    let mut body = Map::new();
    body.insert("name".to_owned(), Value::Object(parts));
    if !card.phones.is_empty() {
        let phones = card.phones.iter().map(|phone| phone_entry(phone));
        body.insert("phones".to_owned(), phones.collect());
    }
    if !card.emails.is_empty() {
        let emails = card.emails.iter().map(|email| json!({ "email": email }));
        body.insert("emails".to_owned(), emails.collect());
    }
    if let Some(company) = &card.organisation {
        body.insert("org".to_owned(), json!({ "company": company }));
    }
    Value::Object(body)
}

/// With `wa_id` the recipient gets a "Message" button instead of "Invite to WhatsApp".
fn phone_entry(phone: &str) -> Value {
    let mut entry = json!({ "phone": phone });
    let number = kabar_core::PhoneNumber::parse(phone, None).ok();
    if let (Some(number), Some(entry)) = (number, entry.as_object_mut()) {
        entry.insert("wa_id".to_owned(), json!(number.digits()));
    }
    entry
}

fn reaction(message: &Outgoing, emoji: &str) -> Result<Value, SendError> {
    let target = message.reply_to.as_ref().ok_or_else(|| {
        SendError::refused("reaction_target", "a reaction needs the message it is for")
    })?;
    Ok(json!({ "message_id": target.id, "emoji": emoji }))
}

fn template(template: &Template) -> Value {
    let mut body = json!({
        "name": template.name,
        "language": { "code": template.language },
    });
    if let Some(body) = body.as_object_mut().filter(|_| !template.components.is_empty()) {
        body.insert("components".to_owned(), json!(template.components));
    }
    body
}
