//! Filling `{variable}`s.

use std::collections::BTreeMap;

use kabar_channel::{Content, FieldError};
use kabar_contacts::Contact;
use kabar_contacts::contact::IdentityKind;
use kabar_rules::{Missing, Template, Values};

use crate::message::NewMessage;

/// Fills `{variable}`s: the call's own first, then the contact's, then `name` and `phone`.
pub(super) fn render(new: &NewMessage, contact: &Contact) -> Result<Content, Vec<FieldError>> {
    let Some(variables) = &new.variables else {
        return Ok(new.content.clone());
    };
    render_with(&new.content, variables, Some(contact), new.missing_variables)
}

/// The same for a content that is no message yet; the recipient may be no contact yet.
pub(crate) fn render_with(
    content: &Content,
    variables: &BTreeMap<String, String>,
    contact: Option<&Contact>,
    missing: Missing,
) -> Result<Content, Vec<FieldError>> {
    let own = own_variables(contact);
    let none = BTreeMap::new();
    let theirs = contact.map_or(&none, |contact| &contact.variables);
    let values = (variables, (theirs, &own));
    let mut content = content.clone();
    each_text(&mut content, &mut |field, text| fill(field, text, &values, missing))?;
    Ok(content)
}

/// What every contact has without being told.
fn own_variables(contact: Option<&Contact>) -> BTreeMap<String, String> {
    let mut own = BTreeMap::new();
    if let Some(name) = contact.and_then(Contact::display_name) {
        own.insert("name".to_owned(), name.to_owned());
    }
    if let Some(phone) = contact.and_then(|contact| contact.identity(IdentityKind::Phone)) {
        own.insert("phone".to_owned(), phone.to_owned());
    }
    own
}

fn fill(
    field: &str,
    text: &mut String,
    values: &impl Values,
    missing: Missing,
) -> Result<(), Vec<FieldError>> {
    let wrong = |problem: String| vec![FieldError::new(field, problem)];
    let template = Template::parse(text).map_err(|error| wrong(error.to_string()))?;
    *text = template.render(values, missing).map_err(|error| wrong(error.to_string()))?;
    Ok(())
}

/// Is given the name of a field, and its text.
type Visit<'a> = dyn FnMut(&str, &mut String) -> Result<(), Vec<FieldError>> + 'a;

/// Visits the texts of a content that may hold `{variable}`s.
pub(crate) fn each_text(
    content: &mut Content,
    visit: &mut Visit<'_>,
) -> Result<(), Vec<FieldError>> {
    match content {
        Content::Text { body, .. } => visit("body", body),
        Content::Buttons(buttons) => visit("body", &mut buttons.body),
        Content::List(list) => visit("body", &mut list.body),
        Content::Poll(poll) => visit("question", &mut poll.question),
        Content::Template(template) => {
            let mut components = template.components.iter_mut();
            components.try_for_each(|component| each_parameter("components", component, visit))
        }
        Content::Image(media) | Content::Video(media) | Content::Document(media) => {
            media.caption.as_mut().map_or(Ok(()), |caption| visit("caption", caption))
        }
        _ => Ok(()),
    }
}

/// Visits the texts of a template's parameters; names, types and ids are left alone.
fn each_parameter(
    field: &str,
    value: &mut serde_json::Value,
    visit: &mut Visit<'_>,
) -> Result<(), Vec<FieldError>> {
    use serde_json::Value;
    match value {
        Value::String(text) if matches!(field, "text" | "payload" | "coupon_code") => {
            visit("components", text)
        }
        Value::Array(items) => {
            items.iter_mut().try_for_each(|item| each_parameter(field, item, visit))
        }
        Value::Object(fields) => {
            fields.iter_mut().try_for_each(|(name, item)| each_parameter(name, item, visit))
        }
        _ => Ok(()),
    }
}
