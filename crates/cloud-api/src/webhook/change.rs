//! One change: a field and its value.

use chrono::TimeDelta;
use kabar_channel::{ChannelEvent, ChannelKind, DeviceAddress, EventBody, PersonIds};
use kabar_core::Timestamp;
use serde_json::{Map, Value};

use super::decode::unknown;
use super::people::{People, person_at, tells_more};
use super::read::{elements, id, object, text};
use super::{history, message, status};

/// How far a sender's clock may be ahead of ours.
const AHEAD: TimeDelta = TimeDelta::days(1);

/// Fields whose value is made of messages, statuses and the like.
const CARRIERS: &[&str] = &[
    "messages",
    "message_echoes",
    "smb_message_echoes",
    "history",
    "user_preferences",
    "user_id_update",
];

/// Fields that are news of an account or a device, handed on whole. `standby` is what another
/// business partner's bot handles: nobody here may answer it.
const NOTICES: &[&str] = &[
    "account_alerts",
    "account_review_update",
    "account_settings_update",
    "account_update",
    "automatic_events",
    "business_capability_update",
    "business_status_update",
    "business_username_update",
    "business_username_updates",
    "calls",
    "flows",
    "group_lifecycle_update",
    "group_participants_update",
    "group_settings_update",
    "group_status_update",
    "message_template_components_update",
    "message_template_quality_update",
    "message_template_status_update",
    "messaging_handovers",
    "partner_solutions",
    "payment_configuration_update",
    "phone_number_name_update",
    "phone_number_quality_update",
    "security",
    "smb_app_state_sync",
    "standby",
    "template_category_update",
    "template_correct_category_detection",
    "tracking_events",
];

/// Keys of a carrier's value that say something about its other keys.
const FRAME: &[&str] = &["messaging_product", "metadata", "contacts"];

/// Lists of a carrier's value that we read.
const LISTS: &[&str] = &[
    "messages",
    "message_echoes",
    "history",
    "statuses",
    "user_preferences",
    "user_id_update",
    "errors",
];

/// Lists of a carrier's value that are handed on as notices.
const NOTICE_LISTS: &[&str] = &["calls", "groups", "state_sync", "user_actions"];

/// Where a change stands.
pub(super) struct Envelope {
    /// Like `entry[0].changes[2]`.
    pub(super) place: String,
    /// The entry's id: the WhatsApp business account.
    pub(super) account: Option<String>,
    /// When the body came.
    pub(super) received_at: Timestamp,
}

/// What the elements of a value share.
pub(super) struct Scene<'a> {
    pub(super) envelope: &'a Envelope,
    pub(super) device: DeviceAddress,
    /// The business's own number, digits, for telling our own messages apart. Devices are never
    /// found by it.
    pub(super) business: Option<String>,
    pub(super) people: People,
}

impl Scene<'_> {
    pub(super) fn place(&self, below: &str) -> String {
        format!("{}.value.{below}", self.envelope.place)
    }

    pub(super) fn event(&self, body: EventBody, raw: &Value) -> ChannelEvent {
        ChannelEvent { device: Some(self.device.clone()), body, raw: raw.clone() }
    }

    /// What cannot be read, of a device that is known.
    pub(super) fn unknown(&self, below: &str, problem: &str, raw: &Value) -> ChannelEvent {
        ChannelEvent {
            device: Some(self.device.clone()),
            ..unknown(&self.place(below), problem, raw)
        }
    }

    /// The latest time that can be true.
    pub(super) fn latest(&self) -> Timestamp {
        let received_at = self.envelope.received_at;
        received_at.checked_add_signed(AHEAD).unwrap_or(received_at)
    }

    fn notice(&self, field: &str, value: &Value) -> ChannelEvent {
        let body = EventBody::Notice {
            field: field.to_owned(),
            account: self.envelope.account.clone(),
            value: value.clone(),
        };
        self.event(body, value)
    }
}

/// Decodes a change. A field that cannot be read is guessed from the value's keys.
pub(super) fn change(events: &mut Vec<ChannelEvent>, envelope: &Envelope, change: &Value) {
    let Some(value) = change.get("value").and_then(Value::as_object) else {
        events.push(unknown(&envelope.place, "the change has no value", change));
        return;
    };
    let field = text(change, "field");
    match field.as_deref() {
        Some(field) if NOTICES.contains(&field) => {
            let notice = notice(envelope, field, change);
            let reach = reach(envelope, &notice, change);
            events.push(notice);
            events.extend(reach);
        }
        Some(field) if !CARRIERS.contains(&field) => {
            let problem = format!("the field `{field}` is not known");
            events.push(unknown(&envelope.place, problem, change));
        }
        field => carrier(events, envelope, field, change, value),
    }
}

/// The device that a value is about.
fn device(value: &Value) -> Option<DeviceAddress> {
    let metadata = object(value, "metadata")?;
    Some(DeviceAddress {
        channel: ChannelKind::CLOUD_API,
        address: id(metadata, "phone_number_id")?,
    })
}

/// News of an account. What partners get about a customer's account stands in an entry of their
/// own portfolio and names the account inside.
fn notice(envelope: &Envelope, field: &str, change: &Value) -> ChannelEvent {
    let value = change.get("value").unwrap_or(&Value::Null);
    let named = object(value, "waba_info").and_then(|info| id(info, "waba_id"));
    let settings = object(value, "phone_number_settings").and_then(|settings| {
        Some(DeviceAddress {
            channel: ChannelKind::CLOUD_API,
            address: id(settings, "phone_number_id")?,
        })
    });
    ChannelEvent {
        device: device(value).or(settings),
        body: EventBody::Notice {
            field: field.to_owned(),
            account: named.or_else(|| envelope.account.clone()),
            value: value.clone(),
        },
        raw: change.clone(),
    }
}

/// The portfolio's messaging limit, where a notice tells it.
fn reach(envelope: &Envelope, notice: &ChannelEvent, change: &Value) -> Option<ChannelEvent> {
    let value = object(change, "value")?;
    let limit = messaging_limit(value.get("max_daily_conversations_per_business")?)?;
    let most = match limit {
        MessagingLimit::People(most) => Some(most),
        MessagingLimit::None => None,
    };
    let account = match &notice.body {
        EventBody::Notice { account, .. } => account.clone(),
        _ => envelope.account.clone(),
    };
    let body = EventBody::Reach { account, most };
    Some(ChannelEvent { device: notice.device.clone(), body, raw: change.clone() })
}

/// How many people a portfolio may write to in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum MessagingLimit {
    People(u32),
    None,
}

/// A limit as a number (-1: none) or as a tier (`TIER_2K`, `TIER_UNLIMITED`); `None` for what is
/// neither.
fn messaging_limit(value: &Value) -> Option<MessagingLimit> {
    if let Some(number) = value.as_i64() {
        return Some(u32::try_from(number).map_or(MessagingLimit::None, MessagingLimit::People));
    }
    let tier = value.as_str()?;
    let tier = tier.strip_prefix("TIER_").unwrap_or(tier);
    if tier == "UNLIMITED" {
        return Some(MessagingLimit::None);
    }
    let people = match tier.strip_suffix('K') {
        Some(thousands) => thousands.parse::<u32>().ok()?.checked_mul(1_000)?,
        None => tier.parse().ok()?,
    };
    Some(MessagingLimit::People(people))
}

fn carrier(
    events: &mut Vec<ChannelEvent>,
    envelope: &Envelope,
    field: Option<&str>,
    change: &Value,
    keys: &Map<String, Value>,
) {
    let value = change.get("value").unwrap_or(&Value::Null);
    let Some(device) = device(value) else {
        let problem = "the value has no metadata.phone_number_id";
        events.push(unknown(&envelope.place, problem, change));
        return;
    };
    let scene =
        Scene { envelope, device, business: business_number(value), people: People::of(value) };
    let before = events.len();
    lists(events, &scene, field, value);
    others(events, &scene, keys);
    if events.len() == before {
        let problem = "the value says nothing that is known";
        events.push(ChannelEvent {
            device: Some(scene.device),
            ..unknown(&envelope.place, problem, change)
        });
    }
}

fn business_number(value: &Value) -> Option<String> {
    let shown = text(value.get("metadata")?, "display_phone_number")?;
    let digits: String = shown.chars().filter(char::is_ascii_digit).collect();
    (!digits.is_empty()).then_some(digits)
}

fn lists(events: &mut Vec<ChannelEvent>, scene: &Scene<'_>, field: Option<&str>, value: &Value) {
    for (place, item) in elements(value, "messages") {
        match field {
            Some("history") => events.push(history::message(scene, &place, None, item)),
            _ => message::incoming(events, scene, &place, item),
        }
    }
    for (place, item) in elements(value, "message_echoes") {
        events.push(message::echo(scene, &place, item));
    }
    for (place, item) in elements(value, "history") {
        history::chunk(events, scene, &place, item);
    }
    for (place, item) in elements(value, "statuses") {
        events.push(match text(item, "type").as_deref() {
            Some("call") => scene.notice("calls", item),
            _ => status::status(scene, &place, item),
        });
    }
    for (place, item) in elements(value, "user_preferences") {
        events.push(preference(scene, &place, item));
    }
    for (place, item) in elements(value, "user_id_update") {
        events.push(new_ids(scene, &place, item));
    }
    for (_, item) in elements(value, "errors") {
        events.push(scene.notice("errors", item));
    }
}

/// Keys beside the lists that we read.
fn others(events: &mut Vec<ChannelEvent>, scene: &Scene<'_>, keys: &Map<String, Value>) {
    for (key, value) in keys.iter().filter(|(_, value)| !value.is_null()) {
        let key = key.as_str();
        if NOTICE_LISTS.contains(&key) {
            events.push(scene.notice(key, value));
        } else if !FRAME.contains(&key) && !LISTS.contains(&key) {
            events.push(scene.unknown(key, "the key is not known", value));
        }
    }
}

/// Opt-out of marketing, or its end.
fn preference(scene: &Scene<'_>, place: &str, item: &Value) -> ChannelEvent {
    let mut person = person_at(item, ["wa_id", "user_id", "parent_user_id"]);
    scene.people.complete_or_only(&mut person);
    let wanted = match text(item, "value").as_deref() {
        Some("stop") => Some(false),
        Some("resume") => Some(true),
        _ => None,
    };
    let marketing = text(item, "category").is_none_or(|word| word == "marketing_messages");
    match wanted.filter(|_| marketing && !person.is_empty()) {
        Some(wanted) => scene.event(EventBody::Preference { person, wanted }, item),
        None => scene.unknown(place, "the preference names no person or no known choice", item),
    }
}

/// A person's business-scoped id changed. Each id is `{previous, current}`, or stands plainly
/// beside its `previous_…`.
fn new_ids(scene: &Scene<'_>, place: &str, item: &Value) -> ChannelEvent {
    let [mut old, mut new] = [PersonIds::default(), PersonIds::default()];
    let pair = |key: &str| match object(item, key) {
        Some(pair) => (id(pair, "previous"), id(pair, "current")),
        None => (id(item, &format!("previous_{key}")), id(item, key)),
    };
    (old.bsuid, new.bsuid) = pair("user_id");
    (old.parent_bsuid, new.parent_bsuid) = pair("parent_user_id");
    let named = person_at(item, ["wa_id", "", ""]);
    for side in [&mut old, &mut new] {
        side.phone.clone_from(&named.phone);
        side.wa_id.clone_from(&named.wa_id);
    }
    scene.people.complete(&mut new);
    if old.is_empty() || !tells_more(&new, &old) {
        return scene.unknown(place, "the update does not tell old and new ids", item);
    }
    scene.event(EventBody::Identity { old, new }, item)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn messaging_limits_are_numbers_and_tiers() {
        let people = |count| Some(MessagingLimit::People(count));
        let none = Some(MessagingLimit::None);
        for (value, limit) in [
            (json!(250), people(250)),
            (json!(-1), none),
            (json!("TIER_250"), people(250)),
            (json!("TIER_2K"), people(2_000)),
            (json!("TIER_100K"), people(100_000)),
            (json!("TIER_UNLIMITED"), none),
            (json!("TIER_NEW"), None),
            (json!(null), None),
        ] {
            assert_eq!(messaging_limit(&value), limit, "{value}");
        }
    }
}
