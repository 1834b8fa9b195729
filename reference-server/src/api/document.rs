//! The OpenAPI document: what the library writes, said more exactly.
//!
//! * Objects that callers send are closed: an unknown field is refused. What is optional may also be
//!   null. In objects that are only answered every field is there.
//! * Numbers have the bounds of their format. A reference stands alone, so that makers of clients follow it.
//! * Every operation takes `Kabar-Account`, every answer has `X-Request-Id`.
//! * Problems are written once, and a problem that an operation cannot have is not listed there.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::app::REQUEST_ID;
use crate::auth::ACCOUNT_HEADER;
use crate::problem::CONTENT_TYPE;

/// What a reader must know first.
pub const INTRODUCTION: &str = "\
Send messages over WhatsApp, receive them, and answer them automatically.

**Credentials.** Send an API key, a device token, or the access token of a session as \
`Authorization: Bearer …`. People log in at `/auth/login` (customers and their agents) or \
`/auth/provider/login`; an access token works for 15 minutes and is renewed at `/auth/refresh`. An operation says \
which permission it needs. A provider's key names the account it acts in with the header \
`Kabar-Account`; for users, keys, events and the audit log it may leave the header out and then means \
the provider's own. What belongs to another account does not exist (404).

**Retries.** Operations that make something take the header `Idempotency-Key`. A request that is \
sent again with the same key and body makes nothing new and answers what the first one made, with \
`Idempotency-Replayed: true`; secrets are not shown again. Keys are kept for 24 hours.

**Lists** are newest first. Send `next` of a page as `after` to get the page behind it.

**Mistakes** are answered with `application/problem+json`; `errors` names each field and its remedy. \
Unknown fields are refused.";

/// What is read and may still conflict: the file of an export is there only while it is done.
const EXPORT_FILES: [&str; 3] =
    ["downloadContactExport", "downloadMessageExport", "downloadPersonalData"];

/// The document, indented and always the same.
pub fn pretty() -> String {
    // A document is nothing but JSON; `{:#}` indents it.
    format!("{:#}\n", exact(&super::spec()))
}

/// The same, written when somebody asks for it first: a start is quicker and smaller without.
pub fn bytes() -> Bytes {
    static DOCUMENT: OnceLock<Bytes> = OnceLock::new();
    DOCUMENT.get_or_init(|| pretty().into()).clone()
}

/// The page that shows the document. It loads nothing from elsewhere.
pub fn page() -> Bytes {
    static PAGE: OnceLock<Bytes> = OnceLock::new();
    let write = || super::described(super::Described(std::marker::PhantomData)).swagger_ui_html();
    PAGE.get_or_init(|| write().into()).clone()
}

fn exact(spec: &str) -> Value {
    let mut document: Value = serde_json::from_str(spec).unwrap_or_default();
    let mut sent = BTreeSet::new();
    let mut problems = Map::new();
    for (method, operation) in operations(&mut document) {
        if let Some(body) = operation.get("requestBody") {
            references(body, &mut sent);
        }
        take_account(operation);
        prune(&method, operation);
        name_request(operation);
        share_problems(operation, &mut problems);
    }
    let schemas = document.pointer_mut("/components/schemas");
    if let Some(schemas) = schemas.and_then(Value::as_object_mut) {
        let sent = reachable(schemas, sent);
        for (name, schema) in schemas.iter_mut() {
            describe(schema, sent.contains(name));
        }
    }
    bound(&mut document);
    refer(&mut document);
    if let Some(components) = document.get_mut("components").and_then(Value::as_object_mut) {
        components.insert("responses".to_owned(), Value::Object(problems));
    }
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

fn responses(operation: &mut Value) -> Option<&mut Map<String, Value>> {
    operation.get_mut("responses")?.as_object_mut()
}

/// Takes out the problems that only bodies and changes can have.
fn prune(method: &str, operation: &mut Value) {
    let has_body = operation.get("requestBody").is_some();
    let conflicts = method != "get"
        || operation["operationId"].as_str().is_some_and(|id| EXPORT_FILES.contains(&id));
    let Some(responses) = responses(operation) else {
        return;
    };
    if !has_body {
        responses.remove("413");
        responses.remove("415");
    }
    if !conflicts {
        responses.remove("409");
    }
}

fn name_request(operation: &mut Value) {
    for (status, response) in responses(operation).into_iter().flatten() {
        let Some(response) = response.as_object_mut() else {
            continue;
        };
        let headers = response.entry("headers").or_insert_with(|| json!({}));
        let text = |description: &str| json!({ "description": description, "required": true, "schema": { "type": "string" } });
        headers[REQUEST_ID] = text("The request's id, under which it is logged.");
        match status.as_str() {
            "401" => headers["WWW-Authenticate"] = text("`Bearer`"),
            "429" | "503" => headers["Retry-After"] = text("Seconds after which to try again."),
            _ => {}
        }
        if let Some(Value::Object(content)) = response.get_mut("content")
            && let Some(shape) = content.remove("application/json; charset=utf-8")
        {
            content.insert("application/json".to_owned(), shape);
        }
    }
}

/// Writes each problem once and refers to it.
fn share_problems(operation: &mut Value, shared: &mut Map<String, Value>) {
    for (status, response) in responses(operation).into_iter().flatten() {
        let content = response.get("content").and_then(Value::as_object);
        if content.is_some_and(|content| content.contains_key(CONTENT_TYPE)) {
            let name = format!("Problem{status}");
            let place = json!({ "$ref": format!("#/components/responses/{name}") });
            shared.insert(name, std::mem::replace(response, place));
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

/// These schemas and those inside them.
fn reachable(schemas: &Map<String, Value>, from: BTreeSet<String>) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let mut waiting: Vec<String> = from.into_iter().collect();
    while let Some(name) = waiting.pop() {
        if let Some(schema) = schemas.get(&name)
            && seen.insert(name)
        {
            let mut further = BTreeSet::new();
            references(schema, &mut further);
            waiting.extend(further);
        }
    }
    seen
}

/// Says of an object which fields may be null, which are always there, and that there are no others.
fn describe(schema: &mut Value, sent: bool) {
    let required: BTreeSet<String> = schema["required"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|name| name.as_str().map(str::to_owned))
        .collect();
    let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) else {
        return;
    };
    for (name, property) in properties.iter_mut() {
        let given = property.get("default").is_some_and(|default| !default.is_null());
        if !required.contains(name) && !given {
            nullable(property);
        }
    }
    let names = |wanted: &dyn Fn(&str, &Value) -> bool| {
        let wanted = properties.iter().filter(|(name, property)| wanted(name, property));
        Value::Array(wanted.map(|(name, _)| Value::from(name.clone())).collect())
    };
    if sent {
        // What has a default may be left out.
        let needed = |name: &str, property: &Value| {
            required.contains(name) && property.get("default").is_none()
        };
        schema["required"] = names(&needed);
        schema["additionalProperties"] = Value::Bool(false);
    } else {
        schema["required"] = names(&|_, _| true);
    }
    // An empty list is none.
    if schema["required"].as_array().is_some_and(Vec::is_empty)
        && let Some(fields) = schema.as_object_mut()
    {
        fields.remove("required");
    }
}

fn nullable(property: &mut Value) {
    if property.get("$ref").is_some() {
        let reference = std::mem::take(property);
        *property = json!({ "allOf": [reference], "nullable": true });
    } else if let Some(fields) = property.as_object_mut() {
        fields.remove("default");
        fields.insert("nullable".to_owned(), Value::Bool(true));
        // Null is none of the words, so they stand apart: `nullable` beside them would not let it in.
        if let Some(words) = fields.remove("enum") {
            let kind = fields.remove("type");
            fields.insert("oneOf".to_owned(), json!([{ "type": kind, "enum": words }]));
        }
    }
}

/// Lets a reference be one: the library writes `allOf` of it and of what is said beside it, and makers
/// of clients take that for a new object. What may be null, or has a default, is `oneOf` the reference.
fn refer(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.values_mut().for_each(refer);
            let Some(reference) = referred(fields) else { return };
            fields.remove("allOf");
            // That of an object is what its own fields say.
            if fields.get("default").is_some_and(Value::is_object) {
                fields.remove("default");
            }
            if fields.contains_key("nullable") || fields.contains_key("default") {
                fields.insert("oneOf".to_owned(), json!([reference]));
            } else {
                *value = reference;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(refer),
        _ => {}
    }
}

/// The only reference of an `allOf`, where nothing else in it restricts.
fn referred(fields: &Map<String, Value>) -> Option<Value> {
    let parts = fields.get("allOf")?.as_array()?;
    let restricts = |part: &&Value| {
        let mut names = part.as_object().into_iter().flat_map(Map::keys);
        !names.all(|name| matches!(name.as_str(), "description" | "default"))
    };
    let mut parts = parts.iter().filter(restricts);
    let reference = parts.next().filter(|part| part.get("$ref").is_some())?;
    parts.next().is_none().then(|| reference.clone())
}

/// Gives numbers the bounds of their format.
fn bound(value: &mut Value) {
    if let Value::Array(items) = value {
        items.iter_mut().for_each(bound);
    }
    let Value::Object(fields) = value else { return };
    fields.values_mut().for_each(bound);
    let (format, least, most) = match fields.get("format").and_then(Value::as_str) {
        Some("uint8") => ("int32", 0, i64::from(u8::MAX)),
        Some("uint16") => ("int32", 0, i64::from(u16::MAX)),
        Some("uint32") => ("int64", 0, i64::from(u32::MAX)),
        Some("uint64") => ("int64", 0, i64::MAX),
        Some("int16") => ("int32", i64::from(i16::MIN), i64::from(i16::MAX)),
        Some("int32") => ("int32", i64::from(i32::MIN), i64::from(i32::MAX)),
        _ => return,
    };
    if fields.get("type").and_then(Value::as_str) == Some("integer") {
        fields.insert("format".to_owned(), Value::from(format));
        fields.entry("minimum").or_insert(Value::from(least));
        fields.entry("maximum").or_insert(Value::from(most));
    }
}
