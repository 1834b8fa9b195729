//! The JSON inside webhooks.

use serde_json::{Map, Value, json};

use crate::accounts::Number;
use crate::customers::Customer;
use crate::messages::DeliveryStatus;

/// Wraps changes of one or more accounts into a body.
pub(super) fn wrap(changes: Vec<(String, Value)>, now_secs: u64) -> Value {
    let mut entries: Vec<(String, Vec<Value>)> = Vec::new();
    for (waba_id, change) in changes {
        match entries.iter_mut().find(|(id, _)| *id == waba_id) {
            Some((_, siblings)) => siblings.push(change),
            None => entries.push((waba_id, vec![change])),
        }
    }
    let entries: Vec<_> = entries
        .into_iter()
        .map(|(id, changes)| json!({"id": id, "time": now_secs, "changes": changes}))
        .collect();
    json!({"object": "whatsapp_business_account", "entry": entries})
}

fn change(number: &Number, rest: Vec<(&str, Value)>) -> Value {
    let mut value = Map::new();
    value.insert("messaging_product".to_owned(), "whatsapp".into());
    let metadata = json!({
        "display_phone_number": number.display_phone_number,
        "phone_number_id": number.id,
    });
    value.insert("metadata".to_owned(), metadata);
    value.extend(rest.into_iter().map(|(key, part)| (key.to_owned(), part)));
    json!({"field": "messages", "value": value})
}

/// Puts a value in unless it is null.
fn put(map: &mut Map<String, Value>, key: &str, value: impl Into<Value>) {
    let value = value.into();
    if !value.is_null() {
        map.insert(key.to_owned(), value);
    }
}

/// The `contacts[]` entry of a customer.
fn contact(customer: &Customer) -> Value {
    let mut profile = Map::new();
    put(&mut profile, "name", customer.name.as_str());
    put(&mut profile, "username", customer.username.clone());
    let mut contact = Map::new();
    put(&mut contact, "profile", profile);
    put(&mut contact, "wa_id", shown(customer));
    put(&mut contact, "user_id", customer.user_id.as_str());
    Value::Object(contact)
}

fn shown(customer: &Customer) -> Option<String> {
    (!customer.hides_phone).then(|| customer.wa_id.clone())
}

/// A customer's message. `message` holds `type` and what belongs to it.
pub(crate) fn inbound(
    number: &Number,
    customer: &Customer,
    wamid: &str,
    now_secs: u64,
    message: Map<String, Value>,
) -> Value {
    let mut full = Map::new();
    put(&mut full, "from", shown(customer));
    put(&mut full, "from_user_id", customer.user_id.as_str());
    put(&mut full, "id", wamid);
    put(&mut full, "timestamp", now_secs.to_string());
    full.extend(message);
    change(number, vec![("contacts", json!([contact(customer)])), ("messages", json!([full]))])
}

/// What a status says.
pub(crate) struct StatusReport<'a> {
    pub(crate) wamid: &'a str,
    pub(crate) status: DeliveryStatus,
    pub(crate) now_secs: u64,
    pub(crate) reference: Option<&'a str>,
    pub(crate) pricing: Option<Value>,
    pub(crate) error: Option<Value>,
}

/// A status of a message the business sent.
pub(crate) fn status(number: &Number, customer: &Customer, report: StatusReport<'_>) -> Value {
    let mut status = Map::new();
    put(&mut status, "id", report.wamid);
    put(&mut status, "status", report.status.name());
    put(&mut status, "timestamp", report.now_secs.to_string());
    put(&mut status, "recipient_id", shown(customer));
    put(&mut status, "recipient_user_id", customer.user_id.as_str());
    put(&mut status, "biz_opaque_callback_data", report.reference);
    put(&mut status, "pricing", report.pricing.unwrap_or_default());
    put(&mut status, "errors", report.error.map_or(Value::Null, |error| json!([error])));
    let mut rest = vec![("statuses", json!([status]))];
    // Since BSUIDs, contacts come along, but never with a failure.
    if report.status != DeliveryStatus::Failed {
        rest.insert(0, ("contacts", json!([contact(customer)])));
    }
    change(number, rest)
}

/// The `pricing` object: per-message pricing, category in lower case.
pub(crate) fn pricing(template_category: Option<&str>, window_open: bool) -> Value {
    let (billable, kind, category) = match template_category {
        None => (false, "free_customer_service", "service".to_owned()),
        Some(category) => {
            let category = category.to_lowercase();
            let free = category == "utility" && window_open;
            (!free, if free { "free_customer_service" } else { "regular" }, category)
        }
    };
    json!({"billable": billable, "pricing_model": "PMP", "type": kind, "category": category})
}
