//! Filling `{variable}`s.

use std::collections::BTreeMap;

use kabar_channel::{Content, FieldError};
use kabar_contacts::Contact;
use kabar_contacts::contact::IdentityKind;
use kabar_rules::Template;

use crate::message::NewMessage;

/// Fills `{variable}`s: the call's own first, then the contact's, then `name` and `phone`.
pub(super) fn render(new: &NewMessage, contact: &Contact) -> Result<Content, Vec<FieldError>> {
    let Some(variables) = &new.variables else {
        return Ok(new.content.clone());
    };
    let mut own = BTreeMap::new();
    if let Some(name) = contact.display_name() {
        own.insert("name".to_owned(), name.to_owned());
    }
    if let Some(phone) = contact.identity(IdentityKind::Phone) {
        own.insert("phone".to_owned(), phone.to_owned());
    }
    let values = (variables, (&contact.variables, &own));
    let fill = |field: &str, text: &mut String| -> Result<(), Vec<FieldError>> {
        let wrong = |problem: String| vec![FieldError::new(field, problem)];
        let template = Template::parse(text).map_err(|error| wrong(error.to_string()))?;
        *text = template
            .render(&values, new.missing_variables)
            .map_err(|error| wrong(error.to_string()))?;
        Ok(())
    };
    let mut content = new.content.clone();
    match &mut content {
        Content::Text { body, .. } => fill("body", body)?,
        Content::Buttons(buttons) => fill("body", &mut buttons.body)?,
        Content::List(list) => fill("body", &mut list.body)?,
        Content::Poll(poll) => fill("question", &mut poll.question)?,
        Content::Template(template) => {
            for component in &mut template.components {
                fill_json("components", component, &fill)?;
            }
        }
        Content::Image(media) | Content::Video(media) | Content::Document(media) => {
            if let Some(caption) = &mut media.caption {
                fill("caption", caption)?;
            }
        }
        _ => {}
    }
    Ok(content)
}

/// Fills the texts of a template's parameters; names, types and ids are left alone.
fn fill_json(
    field: &str,
    value: &mut serde_json::Value,
    fill: &impl Fn(&str, &mut String) -> Result<(), Vec<FieldError>>,
) -> Result<(), Vec<FieldError>> {
    use serde_json::Value;
    match value {
        Value::String(text) if matches!(field, "text" | "payload" | "coupon_code") => {
            fill("components", text)
        }
        Value::Array(items) => items.iter_mut().try_for_each(|item| fill_json(field, item, fill)),
        Value::Object(fields) => {
            fields.iter_mut().try_for_each(|(name, item)| fill_json(name, item, fill))
        }
        _ => Ok(()),
    }
}
