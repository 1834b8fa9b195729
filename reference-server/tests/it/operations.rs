//! The operations of the document, and a request for each.

use kabar::core::{Permission, Role};
use kabar_server::openapi_document;
use poem::http::Method;
use serde_json::{Value, json};

use crate::bed::{Call, Tenant, rule};

/// Whose rows an operation is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// The installation's: for the provider.
    Installation,
    /// One account's.
    Account,
    /// One account's, or the provider's own.
    Either,
}

#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    pub needs: Permission,
    pub reach: Reach,
}

impl Operation {
    /// Whether a key with a role's permissions may do it.
    pub fn allows(&self, role: Role) -> bool {
        role.allows(self.needs) && (role.is_provider() || self.reach != Reach::Installation)
    }

    pub fn is_list(&self) -> bool {
        self.method == Method::GET && !self.path.contains('{')
    }
}

/// Every operation of the document; what it needs is what its description says.
pub fn all() -> Vec<Operation> {
    let document: Value = serde_json::from_str(&openapi_document()).unwrap();
    let mut all = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            let description = operation["description"].as_str().unwrap().replace('\n', " ");
            let (_, rest) = description
                .split_once("Needs `")
                .unwrap_or_else(|| panic!("{id} does not say what it needs"));
            let (needs, rest) = rest.split_once('`').unwrap();
            let reach = if rest.contains("for the provider.") {
                Reach::Installation
            } else if ["/users", "/keys", "/events", "/audit"]
                .iter()
                .any(|area| path.starts_with(area))
            {
                Reach::Either
            } else {
                Reach::Account
            };
            all.push(Operation {
                id,
                method: method.to_uppercase().parse().unwrap(),
                path: path.clone(),
                needs: needs.parse().unwrap(),
                reach,
            });
        }
    }
    all
}

/// Ids that nobody has, by the first part of a path.
fn nobodys(area: &str) -> String {
    let prefix = match area {
        "accounts" => "acc",
        "users" => "usr",
        "keys" => "key",
        "devices" => "dev",
        "meta-apps" => "app",
        "contacts" => "con",
        "conversations" => "cnv",
        "messages" => "msg",
        "media" => "med",
        "rules" => "rul",
        other => panic!("no id for {other}"),
    };
    format!("{prefix}_000000000000000000000000000000ff")
}

/// The id of what a tenant has in an area.
fn owned<'a>(area: &str, tenant: &'a Tenant) -> &'a str {
    match area {
        "accounts" => &tenant.account,
        "users" => &tenant.user,
        "keys" => &tenant.key,
        "devices" => &tenant.device,
        "meta-apps" => &tenant.app,
        "contacts" => &tenant.contact,
        "conversations" => &tenant.conversation,
        "messages" => &tenant.message,
        "media" => &tenant.media,
        "rules" => &tenant.rule,
        other => panic!("no id for {other}"),
    }
}

fn filled(operation: &Operation, id: impl Fn(&str) -> String) -> String {
    let area = operation.path.split('/').nth(1).unwrap();
    let path = if operation.path.contains("{id}") {
        operation.path.replace("{id}", &id(area))
    } else {
        operation.path.clone()
    };
    format!("/api/v1{path}")
}

/// A whole request about what a tenant has.
pub fn request(operation: &Operation, tenant: &Tenant) -> Call {
    let path = filled(operation, |area| owned(area, tenant).to_owned());
    with_body(operation, Call::new(operation.method.clone(), path), tenant)
}

/// The same about what nobody has: it changes nothing even where it is allowed.
pub fn about_nobody(operation: &Operation, tenant: &Tenant) -> Call {
    let path = filled(operation, nobodys);
    with_body(operation, Call::new(operation.method.clone(), path), tenant)
}

/// The body of an operation that takes one. A new operation has to be added here.
fn with_body(operation: &Operation, call: Call, tenant: &Tenant) -> Call {
    if operation.method == Method::GET || operation.method == Method::DELETE {
        return call;
    }
    let body = match operation.id.as_str() {
        "activateAccount" | "deactivateAccount" | "rotateDeviceToken" | "checkDevice"
        | "cancelMessage" => return call,
        "uploadMedia" => return call.file("a.txt", "text/plain", "b", b"hello"),
        "createAccount" => json!({ "name": "Another" }),
        "updateAccount" | "updateOwnAccount" | "updateUser" | "updateDevice" | "updateContact"
        | "updateRule" => json!({ "name": "Renamed" }),
        "createUser" => json!({ "email": "new@example.com", "name": "New", "role": "agent" }),
        "createKey" => json!({ "name": "New", "permissions": ["messages:read"] }),
        "registerDevice" => json!({
            "name": "New", "channel": "cloud_api", "address": "1", "parent": "1", "credential": "x",
        }),
        "addMetaApp" => json!({ "name": "New", "app_secret": "s", "verify_token": "v" }),
        "createContact" => json!({ "phone": "+628999888777" }),
        "markConversationRead" => json!({}),
        "sendMessages" => message(&tenant.device, &json!({ "phone": "+628999888777" })),
        "settleMessage" => json!({ "as": "sent" }),
        "createRule" => rule(&tenant.device),
        other => panic!("say in tests/it/operations.rs what a request of {other} holds"),
    };
    call.json(&body)
}

/// One message to send.
pub fn message(device: &str, to: &Value) -> Value {
    json!({ "messages": [{
        "device_id": device,
        "to": to,
        "content": { "type": "text", "body": "hi" },
    }]})
}

/// Bodies of one tenant that name what another has: the operation, the field, the body.
pub fn foreign_bodies(own: &Tenant, other: &Tenant) -> Vec<(&'static str, &'static str, Value)> {
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = message(&own.device, &json!({ "phone": "+628999888777" }));
        change(&mut body["messages"][0]);
        body
    };
    let app = json!({ "app_id": other.app });
    vec![
        (
            "POST /messages",
            "messages[0].device_id",
            with(&|m| m["device_id"] = json!(other.device)),
        ),
        (
            "POST /messages",
            "messages[0].to",
            with(&|m| m["to"] = json!({ "contact_id": other.contact })),
        ),
        ("POST /messages", "messages[0].reply_to", with(&|m| m["reply_to"] = json!(other.message))),
        ("POST /rules", "device_id", rule(&other.device)),
        ("PATCH /devices/{own}", "app_id", app),
    ]
}
