//! Text, media, places, contact cards, reactions.

use serde_json::Value;

use super::Draft;
use super::fields::{
    Checked, Object, array, item, number, object, optional_text, text as required,
};
use crate::graph_error::GraphError;
use crate::inbound::MediaKind;

const TEXT_MAX: usize = 4_096;
const CAPTION_MAX: usize = 1_024;
const FILENAME_MAX: usize = 240;

pub(super) fn text(body: &Object, draft: &mut Draft) -> Checked {
    let Some(content) = body.get("text") else {
        return Err(GraphError::parameter("The parameter text is required."));
    };
    let content = item(content, "text")?;
    let Some(words) = content.get("body") else {
        return Err(GraphError::parameter("The parameter text['body'] is required."));
    };
    let Some(words) = words.as_str() else {
        return Err(GraphError::parameter("Param text['body'] must be a string."));
    };
    if words.trim().is_empty() {
        return Err(GraphError::parameter("The parameter text['body'] is required."));
    }
    if words.chars().count() > TEXT_MAX {
        return Err(GraphError::parameter(format!(
            "Param text['body'] must be at most {TEXT_MAX} characters long."
        )));
    }
    if content.get("preview_url").is_some_and(|it| !it.is_boolean() && !it.is_string()) {
        return Err(GraphError::parameter("Param text['preview_url'] must be a boolean."));
    }
    words.clone_into(&mut draft.text);
    Ok(())
}

pub(super) fn media(body: &Object, kind: MediaKind, draft: &mut Draft) -> Checked {
    let name = kind.name();
    let content = object(body, name, name)?;
    attachment(content, kind, name, draft)?;
    let caption = optional_text(content, "caption", &format!("{name}['caption']"), CAPTION_MAX)?;
    if let Some(caption) = caption {
        if matches!(kind, MediaKind::Audio | MediaKind::Sticker) {
            let text = format!("Unexpected key \"caption\" on param \"{name}\".");
            return Err(GraphError::parameter(text));
        }
        caption.clone_into(&mut draft.text);
    }
    if content.contains_key("filename") {
        if kind != MediaKind::Document {
            let text = format!("Unexpected key \"filename\" on param \"{name}\".");
            return Err(GraphError::parameter(text));
        }
        required(content, "filename", "document['filename']", FILENAME_MAX)?;
    }
    Ok(())
}

/// A media object: exactly one of `id` and `link`.
pub(super) fn attachment(
    content: &Object,
    kind: MediaKind,
    path: &str,
    draft: &mut Draft,
) -> Checked {
    match (content.get("id"), content.get("link")) {
        (Some(_), Some(_)) => {
            Err(GraphError::parameter(format!("Only one of id and link is allowed on {path}.")))
        }
        (None, None) => Err(GraphError::parameter(format!(
            "The parameter {path}['link'] or {path}['id'] is required."
        ))),
        (Some(id), None) => {
            let id = match id {
                Value::String(id) => id.clone(),
                other => other.to_string(),
            };
            draft.media.push((kind, id));
            Ok(())
        }
        (None, Some(link)) => super::fields::web_address(
            link.as_str().unwrap_or_default(),
            &format!("{path}['link']"),
        ),
    }
}

pub(super) fn location(body: &Object) -> Checked {
    let place = object(body, "location", "location")?;
    number(place, "latitude", "location['latitude']", 90.0)?;
    number(place, "longitude", "location['longitude']", 180.0)?;
    optional_text(place, "name", "location['name']", 1_000)?;
    optional_text(place, "address", "location['address']", 1_000)?;
    Ok(())
}

pub(super) fn contacts(body: &Object) -> Checked {
    for card in array(body, "contacts", "contacts", (1, 257))? {
        let card = item(card, "contacts[]")?;
        let name = object(card, "name", "contacts['name']")?;
        required(name, "formatted_name", "contacts['name']['formatted_name']", 1_024)?;
        let parts = ["first_name", "last_name", "middle_name", "suffix", "prefix"];
        if !parts.iter().any(|part| name.get(*part).is_some_and(Value::is_string)) {
            return Err(GraphError::detailed(
                131_009,
                "contacts['name'] needs formatted_name and at least one more part",
            ));
        }
        for list in ["phones", "emails", "addresses", "urls"] {
            if card.get(list).is_some_and(|it| !it.is_array()) {
                let text = format!("Param contacts['{list}'] must be an array.");
                return Err(GraphError::parameter(text));
            }
        }
        birthday(card)?;
    }
    Ok(())
}

fn birthday(card: &Object) -> Checked {
    let Some(day) = optional_text(card, "birthday", "contacts['birthday']", 10)? else {
        return Ok(());
    };
    let parts: Vec<_> = day.split('-').map(|part| (part.len(), part.parse::<u16>())).collect();
    if matches!(parts.as_slice(), [(4, Ok(_)), (2, Ok(1..=12)), (2, Ok(1..=31))]) {
        Ok(())
    } else {
        Err(GraphError::value("contacts['birthday'] must be YYYY-MM-DD"))
    }
}

pub(super) fn reaction(body: &Object) -> Checked {
    let reaction = object(body, "reaction", "reaction")?;
    let target = required(reaction, "message_id", "reaction['message_id']", 512)?;
    if !target.starts_with("wamid.") {
        return Err(GraphError::value("reaction['message_id'] is not a message id"));
    }
    match reaction.get("emoji") {
        Some(Value::String(emoji)) if emoji.chars().any(|c| c.is_ascii_alphabetic()) => {
            Err(GraphError::value("reaction['emoji'] is not an emoji"))
        }
        Some(Value::String(_)) => Ok(()),
        _ => Err(GraphError::missing("reaction['emoji']")),
    }
}
