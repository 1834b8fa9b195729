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

/// What a caller needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// A permission.
    Permission(Permission),
    /// To be a person who is logged in: it is about oneself.
    Session,
    /// Nothing: it leads to being logged in.
    Nothing,
}

impl std::fmt::Display for Needs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Permission(permission) => write!(f, "`{permission}`"),
            Self::Session => f.write_str("a session"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
}

#[derive(Debug, Clone)]
pub struct Operation {
    pub id: String,
    pub method: Method,
    pub path: String,
    pub needs: Needs,
    pub reach: Reach,
}

impl Operation {
    /// Whether a person of a role may do it.
    pub fn allows(&self, role: Role) -> bool {
        match self.needs {
            Needs::Permission(needs) => {
                role.allows(needs) && (role.is_provider() || self.reach != Reach::Installation)
            }
            Needs::Session | Needs::Nothing => true,
        }
    }

    /// Whether somebody must be known at all.
    pub fn is_public(&self) -> bool {
        self.needs == Needs::Nothing
    }

    /// Whether it is about the person who asks: keys are no persons.
    pub fn is_own(&self) -> bool {
        self.needs == Needs::Session
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
            let (needs, rest) = needed(&id, &description);
            let reach = if rest.contains("for the provider.") {
                Reach::Installation
            } else if ["/users", "/keys", "/events", "/audit", "/statistics"]
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
                needs,
                reach,
            });
        }
    }
    all
}

/// What a description says is needed, and what it says behind that.
fn needed<'a>(id: &str, description: &'a str) -> (Needs, &'a str) {
    if let Some((_, rest)) = description.split_once("Needs nothing.") {
        return (Needs::Nothing, rest);
    }
    if let Some((_, rest)) = description.split_once("Needs a session.") {
        return (Needs::Session, rest);
    }
    let (_, rest) = description
        .split_once("Needs `")
        .unwrap_or_else(|| panic!("{id} does not say what it needs"));
    let (needs, rest) = rest.split_once('`').unwrap();
    (Needs::Permission(needs.parse().unwrap()), rest)
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
        "templates" => "tpl",
        "broadcasts" => "brd",
        "bulk-actions" => "job",
        "webhooks" => "end",
        "deliveries" => "del",
        "resends" => "job",
        "exports" => "exp",
        "auth" => "ses",
        "groups" => "grp",
        "opt-outs" => "con",
        "contact-imports" => "imp",
        "contact-exports" | "personal-data" => "exp",
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
        "templates" => &tenant.template,
        "broadcasts" => &tenant.broadcast,
        "bulk-actions" => &tenant.bulk,
        "webhooks" => &tenant.webhook,
        "deliveries" => &tenant.delivery,
        "resends" => &tenant.resend,
        "exports" => &tenant.export,
        "auth" => &tenant.session,
        "groups" => &tenant.group,
        "opt-outs" => &tenant.contact,
        "contact-imports" => &tenant.import,
        "contact-exports" => &tenant.export,
        "personal-data" => &tenant.personal,
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
    // What is asked for in the query, where an operation cannot do without.
    let query = match operation.id.as_str() {
        "getProfilePicture" => "?phone=%2B6281234567890",
        _ => "",
    };
    format!("/api/v1{path}{query}")
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

/// Whether an operation that changes something takes no body.
fn has_no_body(operation: &str) -> bool {
    matches!(
        operation,
        "activateAccount"
            | "deactivateAccount"
            | "rotateDeviceToken"
            | "checkDevice"
            | "connectDevice"
            | "logOutDevice"
            | "disconnectDevice"
            | "cancelMessage"
            | "confirmContactImport"
            | "cancelContactImport"
            | "exportContact"
            | "eraseContact"
            | "retryMessage"
            | "stopBulkAction"
            | "prepareBroadcast"
            | "startBroadcast"
            | "pauseBroadcast"
            | "resumeBroadcast"
            | "cancelBroadcast"
            | "retryBroadcast"
            | "testWebhook"
            | "retryDelivery"
            | "cancelDelivery"
            | "cancelResend"
            | "rotateAccountToken"
            | "logOut"
            | "logOutEverywhere"
    )
}

/// The body of an operation that takes one. A new operation has to be added here.
fn with_body(operation: &Operation, call: Call, tenant: &Tenant) -> Call {
    let reads = operation.method == Method::GET || operation.method == Method::DELETE;
    if reads || has_no_body(operation.id.as_str()) {
        return call;
    }
    let body = match operation.id.as_str() {
        "register" => json!({
            "name": "New", "email": "register@example.com", "password": "a good password",
            "account_name": "New",
        }),
        "resendVerification" | "forgotPassword" | "forgotProviderPassword" => {
            json!({ "email": "nobody@example.com" })
        }
        "verifyAddress" | "resetPassword" => {
            json!({ "token": "kbt_x", "password": "a good password" })
        }
        "logIn" | "logInProvider" => json!({ "email": "nobody@example.com", "password": "x" }),
        "refreshSession" => json!({ "refresh_token": "kbf_x" }),
        "updateMe" => json!({ "name": "Renamed" }),
        "changePassword" => json!({ "password": "x", "new_password": "a good password" }),
        "enrolTotp" | "renewRecoveryCodes" | "disableTotp" => json!({ "password": "x" }),
        "confirmTotp" => json!({ "code": "000000" }),
        "uploadMedia" => return call.file("a.txt", "text/plain", "b", b"hello"),
        "createAccount" => json!({ "name": "Another" }),
        "updateAccount" | "updateOwnAccount" | "updateUser" | "updateDevice" | "updateContact"
        | "updateRule" | "updateGroup" | "updateTemplate" | "updateBroadcast" => {
            json!({ "name": "Renamed" })
        }
        "startContactImport" => {
            return call.file("a.csv", "text/csv", "b", b"phone\n+628999888777");
        }
        "createGroup" => json!({ "name": "Another" }),
        "addGroupMembers" | "removeGroupMembers" => json!({ "contact_ids": [tenant.contact] }),
        "addTags" | "removeTags" => json!({ "tags": ["vip"], "contact_ids": [tenant.contact] }),
        "addOptOuts" => json!({ "phones": ["+628999888777"] }),
        "updateOptOutSettings" => json!({ "scope": "everything" }),
        "startContactExport" => json!({ "format": "csv" }),
        "mergeContact" => json!({ "contact_id": tenant.contact }),
        "setContactConsent" => json!({ "given": true, "source": "form" }),
        "createUser" => json!({ "email": "new@example.com", "name": "New", "role": "agent" }),
        "createKey" => json!({ "name": "New", "permissions": ["messages:read"] }),
        "registerDevice" => json!({
            "name": "New", "channel": "cloud_api", "address": "1", "parent": "1", "credential": "x",
        }),
        "checkNumbers" => json!({ "numbers": ["+6281234567890"] }),
        "pairDevice" => json!({ "number": "+6281234567890" }),
        "importSession" => json!({ "format": "kabar-session", "version": 1 }),
        "addMetaApp" => json!({ "name": "New", "app_secret": "s", "verify_token": "v" }),
        "createContact" => json!({ "phone": "+628999888777" }),
        "markConversationRead" => json!({}),
        "sendMessages" => message(&tenant.device, &json!({ "phone": "+628999888777" })),
        "exportMessages" => json!({ "format": "csv" }),
        "setRetention" => json!({ "message_bodies": 0, "raw_bodies": 7, "events": 30,
            "quarantine": 30, "parked_statuses": 30 }),
        "setAccountRetention" => json!({ "message_bodies": 90 }),
        "settleMessage" => json!({ "as": "sent" }),
        "createRule" => rule(&tenant.device),
        "rescheduleMessage" => json!({ "due_at": "2100-01-01T00:00:00Z" }),
        "createBulkAction" => json!({ "action": "cancel", "filter": { "reference": "none" } }),
        "createTemplate" => template("new"),
        "previewTemplate" => json!({}),
        "createBroadcast" => broadcast(&tenant.device),
        "addBroadcastRecipients" => json!({ "recipients": [{ "phone": "+628999888777" }] }),
        "scheduleBroadcast" => json!({ "local_time": "2100-01-01T00:00" }),
        "setAccountPacing" => json!({ "frequency_cap": { "most": 3, "per_seconds": 86400 } }),
        "setProviderAlerts" => json!({
            "mail": true, "emails": [], "jobs_minutes": 15, "quarantine_per_hour": 20,
            "disk_percent": 10,
        }),
        "setAccountAlerts" => json!({
            "mail": true, "emails": [], "device_minutes": 5, "queue_minutes": 10,
            "uncertain_per_hour": 10,
        }),
        "createWebhook" => json!({ "url": "https://hooks.example.com/new", "events": ["*"] }),
        "updateWebhook" => json!({ "description": "Renamed" }),
        "rotateWebhookSecret" | "createResend" => json!({}),
        other => panic!("say in tests/it/operations.rs what a request of {other} holds"),
    };
    call.json(&body)
}

/// A template to make.
pub fn template(name: &str) -> Value {
    json!({ "name": name, "language": "id", "content": { "type": "text", "body": "hi {name}" } })
}

/// A broadcast to make.
pub fn broadcast(device: &str) -> Value {
    json!({
        "name": "Sale",
        "senders": [{ "device_id": device }],
        "content": { "type": "text", "body": "hi" },
        "recipients": [{ "phone": "+628999888777" }],
    })
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
        ("POST /broadcasts", "senders[0].device_id", broadcast(&other.device)),
        ("POST /broadcasts", "template_id", {
            let mut body = broadcast(&own.device);
            body.as_object_mut().unwrap().remove("content");
            body["template_id"] = json!(other.template);
            body
        }),
        ("POST /broadcasts", "audience.contacts", {
            let mut body = broadcast(&own.device);
            body["audience"] = json!({ "contacts": [other.contact] });
            body
        }),
        ("POST /broadcasts", "audience.file.media_id", {
            let mut body = broadcast(&own.device);
            body["audience"] = json!({ "file": { "media_id": other.media } });
            body
        }),
        ("POST /broadcasts", "recipients[0].contact_id", {
            let mut body = broadcast(&own.device);
            body["recipients"] = json!([{ "contact_id": other.contact }]);
            body
        }),
        (
            "POST /bulk-actions",
            "filter.device_id",
            json!({ "action": "cancel", "filter": { "device_id": other.device } }),
        ),
        (
            "POST /bulk-actions",
            "filter.broadcast_id",
            json!({ "action": "cancel", "filter": { "broadcast_id": other.broadcast } }),
        ),
        (
            "POST /bulk-actions",
            "filter.contact_id",
            json!({ "action": "retry", "filter": { "contact_id": other.contact } }),
        ),
        (
            "POST /webhooks",
            "devices[0]",
            json!({ "url": "https://a.example", "events": ["*"], "devices": [other.device] }),
        ),
        ("POST /resends", "endpoint_id", json!({ "endpoint_id": other.webhook })),
        (
            "POST /tags/add",
            "contact_ids[0]",
            json!({ "tags": ["vip"], "contact_ids": [other.contact] }),
        ),
        ("POST /opt-outs", "contact_ids[0]", json!({ "contact_ids": [other.contact] })),
        ("POST /contact-exports", "group_id", json!({ "format": "csv", "group_id": other.group })),
        ("PATCH /devices/{own}", "app_id", app),
    ]
}
