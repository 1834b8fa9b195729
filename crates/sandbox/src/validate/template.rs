//! Template messages against the templates of the account.

use serde_json::Value;

use super::Draft;
use super::contents::attachment;
use super::fields::{Checked, Object, object, text};
use crate::graph_error::GraphError;
use crate::inbound::MediaKind;
use crate::templates::{Template, is_kind, variables};

pub(super) fn check(body: &Object, templates: &[Template], draft: &mut Draft) -> Checked {
    let content = object(body, "template", "template")?;
    let name = text(content, "name", "template['name']", 512)?;
    let language = object(content, "language", "template['language']")?;
    let code = text(language, "code", "template['language']['code']", 16)?;
    let template = find(templates, name, code)?;
    let given = content.get("components").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    header(template, given, draft)?;
    draft.text = words(template, given)?;
    buttons(template, given)?;
    draft.template_category = Some(template.category.clone());
    Ok(())
}

fn find<'a>(templates: &'a [Template], name: &str, language: &str) -> Checked<&'a Template> {
    let found = templates.iter().find(|it| it.name == name && it.language == language);
    let missing = || {
        GraphError::detailed(
            132_001,
            format!("template name ({name}) does not exist in {language}"),
        )
    };
    let template = found.ok_or_else(missing)?;
    match template.status.as_str() {
        "APPROVED" | "REINSTATED" | "FLAGGED" => Ok(template),
        "PAUSED" => Err(GraphError::detailed(132_015, format!("Template {name} is paused"))),
        "DISABLED" => Err(GraphError::detailed(132_016, format!("Template {name} is disabled"))),
        _ => Err(missing()),
    }
}

/// The parameters given for a component.
fn parameters<'a>(given: &'a [Value], kind: &str) -> &'a [Value] {
    let component = given.iter().find(|it| is_kind(it, kind));
    list(component)
}

fn list(component: Option<&Value>) -> &[Value] {
    let found = component.and_then(|it| it.get("parameters")).and_then(Value::as_array);
    found.map_or(&[], Vec::as_slice)
}

fn header(template: &Template, given: &[Value], draft: &mut Draft) -> Checked {
    let given = parameters(given, "header");
    let Some(component) = template.component("HEADER") else {
        return count("header", given.len(), 0);
    };
    let format = component.get("format").and_then(Value::as_str).unwrap_or("TEXT").to_uppercase();
    let media = match format.as_str() {
        "TEXT" => {
            let wanted = component.get("text").and_then(Value::as_str).unwrap_or_default();
            return count("header", given.len(), variables(wanted).len());
        }
        "IMAGE" => MediaKind::Image,
        "VIDEO" | "GIF" => MediaKind::Video,
        "DOCUMENT" => MediaKind::Document,
        _ => return Ok(()),
    };
    let kind = format.to_lowercase();
    let received = given.first().and_then(|it| it.get("type")).and_then(Value::as_str);
    let object = given.first().and_then(|it| it.get(&kind)).and_then(Value::as_object);
    match object {
        Some(object) if received.is_some_and(|it| it.eq_ignore_ascii_case(&kind)) => {
            attachment(object, media, "template header", draft)
        }
        _ => Err(GraphError::detailed(
            132_012,
            format!(
                "header: Format mismatch, expected {format}, received {}",
                received.unwrap_or("UNKNOWN").to_uppercase()
            ),
        )),
    }
}

/// Checks the body's parameters and fills them in.
fn words(template: &Template, given: &[Value]) -> Checked<String> {
    let given = parameters(given, "body");
    let pattern = template
        .component("BODY")
        .and_then(|it| it.get("text"))
        .and_then(Value::as_str)
        .unwrap_or_default();
    let wanted = variables(pattern);
    count("body", given.len(), wanted.len())?;
    let mut text = pattern.to_owned();
    for (position, parameter) in given.iter().enumerate() {
        let value = filled(parameter)?;
        let name = if template.named {
            let name = parameter.get("parameter_name").and_then(Value::as_str).unwrap_or_default();
            if !wanted.contains(&name) {
                let text =
                    format!("Parameter name is missing or empty, or not in the template: {name}");
                return Err(GraphError::detailed(100, text));
            }
            name.to_owned()
        } else {
            (position + 1).to_string()
        };
        text = text.replace(&format!("{{{{{name}}}}}"), &value);
    }
    Ok(text)
}

/// The text of a body parameter.
fn filled(parameter: &Value) -> Checked<String> {
    let kind = parameter.get("type").and_then(Value::as_str).unwrap_or_default().to_lowercase();
    let value = match kind.as_str() {
        "text" => parameter.get("text"),
        "currency" | "date_time" => parameter.get(&kind).and_then(|it| it.get("fallback_value")),
        _ => {
            let text = format!("body: Format mismatch, expected TEXT, received {kind}");
            return Err(GraphError::detailed(132_012, text));
        }
    };
    match value {
        Some(Value::String(text)) if !text.is_empty() => Ok(text.clone()),
        Some(Value::Number(number)) => Ok(number.to_string()),
        _ => Err(GraphError::missing("parameters[]['text']")),
    }
}

/// A link with a variable and a copy-code button need their parameter.
fn buttons(template: &Template, given: &[Value]) -> Checked {
    let given: Vec<_> = given.iter().filter(|it| is_kind(it, "button")).collect();
    for (index, button) in template.buttons().iter().enumerate() {
        let address = button.get("url").and_then(Value::as_str).unwrap_or_default();
        let needs = (is_kind(button, "URL") && !variables(address).is_empty())
            || is_kind(button, "COPY_CODE");
        let component = given.iter().copied().find(|it| at(it) == Some(index));
        if needs && list(component).is_empty() {
            let kind = button.get("type").and_then(Value::as_str).unwrap_or_default();
            let text =
                format!("buttons: Button at index {index} of type {kind} requires a parameter");
            return Err(GraphError::detailed(131_008, text));
        }
    }
    match given.iter().find(|it| at(it).is_none_or(|index| index >= template.buttons().len())) {
        None => Ok(()),
        Some(_) => Err(GraphError::detailed(132_018, "buttons: no button at this index")),
    }
}

/// The `index` of a button component: text or number.
fn at(component: &Value) -> Option<usize> {
    match component.get("index")? {
        Value::String(index) => index.parse().ok(),
        index => usize::try_from(index.as_u64()?).ok(),
    }
}

fn count(what: &str, given: usize, wanted: usize) -> Checked {
    if given == wanted {
        return Ok(());
    }
    Err(GraphError::detailed(
        132_000,
        format!(
            "{what}: number of localizable_params ({given}) does not match the expected number of \
             params ({wanted})"
        ),
    ))
}
