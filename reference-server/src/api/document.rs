//! The OpenAPI document: what the library writes, said more exactly.
//!
//! * Objects that callers send are closed: an unknown field is refused.
//! * Every operation takes `Kabar-Account`, every answer has `X-Request-Id`.
//! * A problem that an operation cannot have is not listed there.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::app::REQUEST_ID;
use crate::auth::ACCOUNT_HEADER;

/// What a reader must know first.
pub const INTRODUCTION: &str = "\
Send messages over WhatsApp, receive them, and answer them automatically.

**Credentials.** Send an API key or a device token as `Authorization: Bearer …`. An operation says \
which permission it needs. A provider's key names the account it acts in with the header \
`Kabar-Account`; for users, keys, events and the audit log it may leave the header out and then means \
the provider's own. What belongs to another account does not exist (404).

**Retries.** Operations that make something take the header `Idempotency-Key`. A request that is \
sent again with the same key and body makes nothing new and answers what the first one made, with \
`Idempotency-Replayed: true`; secrets are not shown again. Keys are kept for 24 hours.

**Lists** are newest first. Send `next` of a page as `after` to get the page behind it.

**Mistakes** are answered with `application/problem+json`; `errors` names each field and its remedy. \
Unknown fields are refused.";

/// The document, indented and always the same.
pub fn pretty() -> String {
    // A document is nothing but JSON; `{:#}` indents it.
    format!("{:#}\n", exact(&super::spec()))
}

/// The page that shows the document. It loads nothing from elsewhere.
pub fn page() -> String {
    super::described(super::Described(std::marker::PhantomData)).swagger_ui_html()
}

fn exact(spec: &str) -> Value {
    let mut document: Value = serde_json::from_str(spec).unwrap_or_default();
    let mut sent = BTreeSet::new();
    for (method, operation) in operations(&mut document) {
        if let Some(body) = operation.get("requestBody") {
            references(body, &mut sent);
        }
        take_account(operation);
        prune(&method, operation);
        name_request(operation);
    }
    close(&mut document, sent);
    document
}

fn operations(document: &mut Value) -> impl Iterator<Item = (String, &mut Value)> {
    let paths = document.get_mut("paths").and_then(Value::as_object_mut);
    paths
        .into_iter()
        .flat_map(Map::values_mut)
        .filter_map(Value::as_object_mut)
        .flat_map(|path| path.iter_mut().map(|(method, one)| (method.clone(), one)))
}

fn take_account(operation: &mut Value) {
    let header = json!({
        "name": ACCOUNT_HEADER,
        "in": "header",
        "required": false,
        "deprecated": false,
        "description": "For a provider's credential: the account to act in.",
        "schema": { "type": "string", "pattern": "^acc_[0-9a-f]{32}$" },
    });
    let parameters = operation
        .as_object_mut()
        .map(|fields| fields.entry("parameters").or_insert_with(|| json!([])));
    if let Some(Value::Array(parameters)) = parameters {
        parameters.push(header);
    }
}

/// Takes out the problems that only bodies and changes can have.
fn prune(method: &str, operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let Some(responses) = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut)
    else {
        return;
    };
    if !has_body {
        responses.remove("413");
        responses.remove("415");
    }
    if method == "get" {
        responses.remove("409");
    }
}

fn name_request(operation: &mut Value) {
    let responses = operation
        .get_mut("responses")
        .and_then(Value::as_object_mut);
    for (status, response) in responses.into_iter().flatten() {
        let Some(response) = response.as_object_mut() else {
            continue;
        };
        let headers = response.entry("headers").or_insert_with(|| json!({}));
        let text = |description: &str| json!({ "description": description, "required": true, "schema": { "type": "string" } });
        headers[REQUEST_ID] = text("The request's id, under which it is logged.");
        match status.as_str() {
            "401" => headers["WWW-Authenticate"] = text("`Bearer`"),
            "503" => headers["Retry-After"] = text("Seconds after which to try again."),
            _ => {}
        }
    }
}

/// The schemas that a value speaks of.
fn references(value: &Value, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                if let (true, Some(target)) = (name == "$ref", field.as_str()) {
                    found.extend(target.rsplit('/').next().map(str::to_owned));
                }
                references(field, found);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// Closes the objects that are sent, and those inside them.
fn close(document: &mut Value, sent: BTreeSet<String>) {
    let schemas = document
        .pointer_mut("/components/schemas")
        .and_then(Value::as_object_mut);
    let Some(schemas) = schemas else { return };
    let mut waiting: Vec<String> = sent.into_iter().collect();
    let mut seen = BTreeSet::new();
    while let Some(name) = waiting.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let Some(Value::Object(schema)) = schemas.get_mut(&name) else {
            continue;
        };
        if schema.contains_key("properties") && !schema.contains_key("additionalProperties") {
            schema.insert("additionalProperties".to_owned(), Value::Bool(false));
        }
        let mut further = BTreeSet::new();
        references(&Value::Object(schema.clone()), &mut further);
        waiting.extend(further);
    }
}
