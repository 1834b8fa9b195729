//! Every field and type of the webhooks, decoded.

use std::fmt::Write as _;

use kabar_channel::{Batch, ChannelEvent};
use kabar_cloud_api::webhook::decode;
use kabar_core::{MetaAppId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::support::{NUMBER, WABA};

pub fn received_at() -> Timestamp {
    Timestamp::from_timestamp(1_780_000_000, 0).unwrap()
}

pub fn app() -> MetaAppId {
    MetaAppId::from(Uuid::from_u128(9))
}

pub fn read(body: &[u8]) -> Batch {
    decode(app(), body, received_at())
}

pub fn read_json(body: &Value) -> Vec<ChannelEvent> {
    read(body.to_string().as_bytes()).events
}

/// What an event says, without the raw form.
pub fn view(events: &[ChannelEvent]) -> String {
    let mut view = String::new();
    for event in events {
        let device = event.device.as_ref().map_or("-", |device| &device.address);
        writeln!(view, "[{device}] {:#?}", event.body).unwrap();
    }
    view
}

pub fn envelope(changes: &Value) -> Value {
    json!({
        "object": "whatsapp_business_account",
        "entry": [{ "id": WABA, "time": 1_779_999_999, "changes": changes }],
    })
}

pub fn change(field: &str, value: &Value) -> Value {
    envelope(&json!([{ "field": field, "value": value }]))
}

pub fn metadata() -> Value {
    json!({ "display_phone_number": "15550783881", "phone_number_id": NUMBER })
}

pub fn contact() -> Value {
    json!({ "profile": { "name": "Sheena", "username": "sheena.n" }, "wa_id": "16505551234", "user_id": "US.1349" })
}

/// A value of the field `messages` with the message's own keys.
fn message(own: Value) -> Value {
    let mut message = json!({ "from": "16505551234", "id": "wamid.IN", "timestamp": "1779999990" });
    message.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    json!({
        "messaging_product": "whatsapp",
        "metadata": metadata(),
        "contacts": [contact()],
        "messages": [message],
    })
}

fn status(own: Value) -> Value {
    let mut status = json!({
        "id": "wamid.OUT",
        "status": "sent",
        "timestamp": "1779999990",
        "recipient_id": "16505551234",
    });
    status.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    json!({ "messaging_product": "whatsapp", "metadata": metadata(), "statuses": [status] })
}

fn check(samples: Vec<(&str, &str, Value)>) {
    for (name, field, value) in samples {
        let events = read_json(&change(field, &value));
        insta::assert_snapshot!(format!("webhook_{name}"), view(&events));
    }
}

fn media(own: Value) -> Value {
    let mut media =
        json!({ "id": "7788", "mime_type": "image/jpeg", "sha256": "q1w2", "url": "https://x" });
    media.as_object_mut().unwrap().extend(own.as_object().unwrap().clone());
    media
}

#[test]
fn plain_messages() {
    check(vec![
        (
            "text",
            "messages",
            message(json!({
                "type": "text",
                "text": { "body": "Halo é 👋" },
                "context": { "from": "15550783881", "id": "wamid.Q" },
            })),
        ),
        (
            "forwarded",
            "messages",
            message(json!({
                "type": "text",
                "text": { "body": "" },
                "context": { "frequently_forwarded": true },
            })),
        ),
        (
            "referral",
            "messages",
            message(json!({
                "type": "text",
                "text": { "body": "Hi" },
                "referral": { "source_id": "120", "source_type": "ad", "ctwa_clid": "Aff", "welcome_message": { "text": "Hi" } },
            })),
        ),
        (
            "group",
            "messages",
            message(json!({ "type": "text", "text": { "body": "all" }, "group_id": "Y2Fw" })),
        ),
        (
            "image",
            "messages",
            message(json!({ "type": "image", "image": media(json!({ "caption": "look" })) })),
        ),
        ("video", "messages", message(json!({ "type": "video", "video": media(json!({})) }))),
        (
            "audio",
            "messages",
            message(json!({ "type": "audio", "audio": media(json!({ "voice": true })) })),
        ),
        ("voice_old", "messages", message(json!({ "type": "voice", "voice": media(json!({})) }))),
        (
            "document",
            "messages",
            message(
                json!({ "type": "document", "document": media(json!({ "filename": "a.pdf" })) }),
            ),
        ),
        (
            "sticker",
            "messages",
            message(json!({ "type": "sticker", "sticker": media(json!({ "animated": true })) })),
        ),
        (
            "location",
            "messages",
            message(json!({
                "type": "location",
                "location": { "latitude": -6.17, "longitude": "106.82", "name": "Monas", "url": "https://x" },
            })),
        ),
        (
            "contacts",
            "messages",
            message(json!({ "type": "contacts", "contacts": [
            { "name": { "formatted_name": "Budi S" }, "phones": [{ "phone": "+62 812", "wa_id": "62812", "type": "CELL" }], "org": { "company": "PT" }, "emails": [{ "email": "b@x.id" }] },
            { "vcard": "BEGIN:VCARD\r\nVERSION:3.0\r\nFN;CHARSET=UTF-8:Siti Aminah\r\nEND:VCARD", "phones": [{ "wa_id": "628111" }] },
            { "phones": [] },
            "garbage",
        ], "origin": "contact_request/other" })),
        ),
        (
            "reaction",
            "messages",
            message(
                json!({ "type": "reaction", "reaction": { "message_id": "wamid.T", "emoji": "👍" } }),
            ),
        ),
        (
            "reaction_removed",
            "messages",
            message(json!({ "type": "reaction", "reaction": { "message_id": "wamid.T" } })),
        ),
        (
            "edit",
            "messages",
            message(json!({ "type": "edit", "edit": {
            "original_message_id": "wamid.T",
            "message": { "type": "image", "image": media(json!({ "caption": "new" })) },
        } })),
        ),
        (
            "revoke",
            "messages",
            message(json!({ "type": "revoke", "revoke": { "original_message_id": "wamid.T" } })),
        ),
        ("request_welcome", "messages", message(json!({ "type": "request_welcome" }))),
    ]);
}

#[test]
fn choices_forms_and_orders() {
    let interactive = |body: Value| message(json!({ "type": "interactive", "interactive": body }));
    check(vec![
        (
            "button",
            "messages",
            message(json!({
                "type": "button",
                "button": { "payload": "PAY", "text": "Pay now" },
                "context": { "from": "15550783881", "id": "wamid.Q" },
            })),
        ),
        (
            "button_reply",
            "messages",
            interactive(
                json!({ "type": "button_reply", "button_reply": { "id": "y", "title": "Yes" } }),
            ),
        ),
        (
            "list_reply",
            "messages",
            interactive(
                json!({ "type": "list_reply", "list_reply": { "id": "1", "title": "Soto", "description": "hot" } }),
            ),
        ),
        (
            "nfm_reply",
            "messages",
            interactive(json!({ "type": "nfm_reply", "nfm_reply": {
            "name": "flow", "body": "Sent", "response_json": "{\"flow_token\":\"t\",\"n\":1,\"bad\":\"\\ud800\\u0000\"}",
        } })),
        ),
        (
            "nfm_reply_broken",
            "messages",
            interactive(
                json!({ "type": "nfm_reply", "nfm_reply": { "name": "address_message", "response_json": "{\"a\":" } }),
            ),
        ),
        (
            "call_permission",
            "messages",
            interactive(
                json!({ "type": "call_permission_reply", "call_permission_reply": { "response": "accept" } }),
            ),
        ),
        ("interactive_absent", "messages", {
            let mut value = message(json!({ "type": "interactive" }));
            value["errors"] = json!([{ "code": 131_000, "title": "Something went wrong" }]);
            value
        }),
        (
            "order",
            "messages",
            message(json!({ "type": "order", "order": {
            "catalog_id": "1", "text": "please", "product_items": [{ "product_retailer_id": "sku", "quantity": 2, "item_price": 9.5, "currency": "USD" }],
        } })),
        ),
        (
            "unsupported",
            "messages",
            message(json!({
                "type": "unsupported",
                "errors": [{ "code": 131_051, "title": "Unsupported", "error_data": { "details": "Message type is not supported" } }],
                "unsupported": { "type": "poll" },
            })),
        ),
        (
            "unsupported_untold",
            "messages",
            message(json!({ "type": "unknown", "unsupported": { "type": "event" } })),
        ),
        ("new_type", "messages", message(json!({ "type": "hologram", "hologram": { "beam": 1 } }))),
    ]);
}

#[test]
fn persons() {
    let bsuid_only = json!({
        "metadata": metadata(),
        "contacts": [
            { "profile": { "name": "Wrong" }, "wa_id": "16505550000" },
            { "profile": { "name": "Right", "username": "right" }, "user_id": "US.77", "parent_user_id": "US.ENT.7" },
        ],
        "messages": [
            { "id": "wamid.B", "from_user_id": "US.77", "type": "text", "text": { "body": "no phone" } },
            { "id": "wamid.C", "from": "16505550000", "type": "text", "text": { "body": "phone" } },
            { "id": "wamid.D", "from": "16505559999", "type": "text", "text": { "body": "no contact" } },
        ],
    });
    let untold = json!({
        "metadata": metadata(),
        "contacts": [contact()],
        "messages": [{ "id": "wamid.E", "type": "text", "text": { "body": "who" } }],
    });
    let odd = json!({
        "metadata": { "phone_number_id": 106_540_352_242_922_u64 },
        "messages": [
            { "id": 12_345, "from": 16_505_551_234_u64, "type": "text", "text": { "body": 5 } },
            { "id": "wamid.F", "from": "0012", "type": "text", "text": { "body": "no E.164" } },
            { "id": "wamid.G", "from": "US.1349", "type": "text", "text": { "body": "a BSUID" } },
            { "id": "wamid.H", "from": "US.ENT.1349", "type": "text", "text": { "body": "a parent" } },
        ],
    });
    check(vec![
        ("persons_by_id", "messages", bsuid_only),
        ("persons_only_contact", "messages", untold),
        ("persons_odd_ids", "messages", odd),
    ]);
}

#[test]
fn changes_of_persons() {
    let system = |body: Value| {
        json!({
            "metadata": metadata(),
            "messages": [{ "from": "16505551234", "from_user_id": "US.NEW", "id": "wamid.S", "timestamp": "1779999990", "type": "system", "system": body }],
        })
    };
    check(vec![
        (
            "system_number",
            "messages",
            system(
                json!({ "body": "changed", "wa_id": "12195555358", "type": "user_changed_number", "user_id": "US.NEW", "previous_user_id": "US.OLD" }),
            ),
        ),
        (
            "system_number_old",
            "messages",
            system(
                json!({ "body": "changed", "new_wa_id": "12195555358", "type": "customer_changed_number" }),
            ),
        ),
        (
            "system_user_id",
            "messages",
            system(
                json!({ "type": "user_changed_user_id", "user_id": "US.NEW", "parent_user_id": "US.ENT.N", "previous_user_id": "US.OLD" }),
            ),
        ),
        (
            "system_key",
            "messages",
            system(
                json!({ "type": "customer_identity_changed", "wa_id": "16505551234", "identity": "h" }),
            ),
        ),
        (
            "user_id_update",
            "user_id_update",
            json!({
                "metadata": metadata(),
                "contacts": [{ "profile": { "name": "S", "username": "s" }, "user_id": "US.NEW" }],
                "user_id_update": [
                    { "wa_id": "16505551234", "user_id": { "previous": "US.OLD", "current": "US.NEW" }, "parent_user_id": { "previous": "US.ENT.O", "current": "US.ENT.N" } },
                    { "previous_user_id": "US.OLD2", "user_id": "US.NEW2" },
                    { "user_id": "US.ALONE" },
                ],
            }),
        ),
        (
            "user_preferences",
            "user_preferences",
            json!({
                "metadata": metadata(),
                "contacts": [contact()],
                "user_preferences": [
                    { "wa_id": "16505551234", "detail": "stop", "category": "marketing_messages", "value": "stop", "timestamp": 1_779_999_990 },
                    { "user_id": "US.5", "category": "marketing_messages", "value": "resume" },
                    { "wa_id": "16505551234", "category": "marketing_messages", "value": "perhaps" },
                    { "wa_id": "16505551234", "category": "carrier_pigeons", "value": "stop" },
                    { "value": "stop", "category": "marketing_messages", "wa_id": { } },
                ],
            }),
        ),
    ]);
}

#[test]
fn statuses() {
    let free = json!({ "id": "c1", "origin": { "type": "referral_conversion" }, "expiration_timestamp": "1780250000" });
    check(vec![
        (
            "status_sent",
            "messages",
            status(json!({
                "biz_opaque_callback_data": "msg_01920000000070008000000000000001",
                "recipient_user_id": "US.1349",
                "recipient_parent_user_id": "US.ENT.1",
                "pricing": { "billable": true, "pricing_model": "PMP", "category": "marketing", "type": "regular" },
            })),
        ),
        (
            "status_free_entry_point",
            "messages",
            status(json!({
                "status": "delivered",
                "conversation": free,
                "pricing": { "billable": false, "pricing_model": "PMP", "category": "referral_conversion", "type": "free_entry_point" },
            })),
        ),
        (
            "status_old_conversation",
            "messages",
            status(json!({
                "conversation": { "id": "c", "origin": { "type": "utility" }, "expiration_timestamp": 1_780_000_100 },
                "pricing": { "billable": "true", "pricing_model": "CBP", "category": "utility" },
            })),
        ),
        (
            "status_group",
            "messages",
            status(json!({
                "status": "read",
                "recipient_id": "Y2Fw",
                "recipient_type": "group",
                "participant_recipient_id": "16505557777",
                "recipient_participant_user_id": "US.7",
                "conversation": { "pricing": { "billable": true, "category": "group_service" } },
            })),
        ),
        (
            "status_played",
            "messages",
            status(
                json!({ "status": "played", "recipient_id": null, "recipient_user_id": "US.1" }),
            ),
        ),
        (
            "status_failed",
            "messages",
            status(json!({
                "status": "failed",
                "errors": [
                    { "code": 131_026, "title": "Message undeliverable", "message": "Message undeliverable", "error_data": { "details": "Not on WhatsApp" } },
                    { "code": 1 },
                ],
            })),
        ),
        ("status_failed_untold", "messages", status(json!({ "status": "failed" }))),
        ("status_new_word", "messages", status(json!({ "status": "teleported" }))),
        ("unknown_field", "brand_new", status(json!({}))),
        ("status_of_call", "messages", status(json!({ "type": "call", "status": "RINGING" }))),
        ("status_with_contacts", "messages", {
            let mut value = status(
                json!({ "recipient_id": null, "recipient_user_id": "US.1349", "status": "delivered" }),
            );
            value["contacts"] = json!([contact()]);
            value
        }),
        ("mixed", "messages", {
            let mut value = message(json!({ "type": "text", "text": { "body": "mixed" } }));
            value["statuses"] = status(json!({}))["statuses"].clone();
            value["errors"] = json!([{ "code": 130_429, "title": "Rate limit hit" }]);
            value["user_actions"] = json!([{ "action_type": "marketing_messages_link_click" }]);
            value["novelty"] = json!({ "new": true });
            value
        }),
    ]);
}

#[test]
fn coexistence() {
    let thread = json!({ "id": "16505551234", "messages": [
        { "from": "16505551234", "id": "wamid.1", "timestamp": "1739230955", "type": "text", "text": { "body": "them" }, "history_context": { "status": "READ" } },
        { "from": "15550783881", "to": "16505551234", "id": "wamid.2", "timestamp": "1739230970", "type": "text", "text": { "body": "us" }, "history_context": { "status": "DELIVERED" } },
        { "id": "wamid.3", "type": "media_placeholder", "history_context": { "status": "READ", "from_me": "true" } },
        { "from": "16505551234", "type": "text", "text": { "body": "no id" } },
    ] });
    check(vec![
        (
            "echo",
            "smb_message_echoes",
            json!({
                "metadata": metadata(),
                "contacts": [contact()],
                "message_echoes": [
                    { "from": "15550783881", "to": "16505551234", "id": "wamid.E1", "timestamp": "1779999990", "type": "text", "text": { "body": "from the phone" } },
                    { "from": "15550783881", "to_user_id": "US.1349", "id": "wamid.E2", "type": "revoke", "revoke": { "original_message_id": "wamid.E1" } },
                    { "from": "15550783881", "id": "wamid.E3", "type": "edit", "edit": { "original_message_id": "wamid.E1", "message": { "type": "text", "text": { "body": "new" } } } },
                ],
            }),
        ),
        (
            "history",
            "history",
            json!({
                "metadata": metadata(),
                "history": [{ "metadata": { "phase": 0, "chunk_order": 1, "progress": 55 }, "threads": [thread, { "id": "1" }] }],
            }),
        ),
        (
            "history_declined",
            "history",
            json!({
                "metadata": metadata(),
                "history": [{ "errors": [{ "code": 2_593_109, "title": "declined" }] }],
            }),
        ),
        (
            "history_media",
            "history",
            json!({
                "metadata": metadata(),
                "messages": [{ "from": "16505551234", "id": "wamid.3", "timestamp": "1739230955", "type": "image", "image": media(json!({})) }],
            }),
        ),
        (
            "state_sync",
            "smb_app_state_sync",
            json!({
                "metadata": metadata(),
                "state_sync": [{ "type": "contact", "contact": { "full_name": "P", "phone_number": "16505551234" }, "action": "add" }],
            }),
        ),
    ]);
}

/// Fields that are handed on whole.
#[test]
fn notices() {
    let samples = [
        (
            "account_update",
            json!({ "event": "PARTNER_ADDED", "waba_info": { "waba_id": "999", "owner_business_id": "1" } }),
        ),
        (
            "account_update",
            json!({ "event": "DISABLED_UPDATE", "ban_info": { "waba_ban_state": "DISABLE" } }),
        ),
        ("account_review_update", json!({ "decision": "APPROVED" })),
        ("account_alerts", json!({ "entity_type": "WABA", "alert_info": { "alert_type": "X" } })),
        (
            "account_settings_update",
            json!({ "type": "phone_number_settings", "phone_number_settings": { "phone_number_id": "55", "calling": {} } }),
        ),
        (
            "business_capability_update",
            json!({ "max_daily_conversations_per_business": "TIER_2K" }),
        ),
        (
            "phone_number_quality_update",
            json!({ "display_phone_number": "15550783881", "event": "THROUGHPUT_UPGRADE" }),
        ),
        (
            "phone_number_name_update",
            json!({ "display_phone_number": "15550783881", "decision": "APPROVED", "rejection_reason": null }),
        ),
        (
            "message_template_status_update",
            json!({ "event": "APPROVED", "message_template_id": 9_007_199_254_740_993_u64, "reason": null }),
        ),
        ("message_template_quality_update", json!({ "new_quality_score": "GREEN" })),
        ("message_template_components_update", json!({ "message_template_title": "x" })),
        ("template_category_update", json!({ "new_category": "MARKETING" })),
        ("template_correct_category_detection", json!({ "correct_category": "MARKETING" })),
        (
            "business_username_updates",
            json!({ "display_phone_number": "1", "username": "u", "status": "approved" }),
        ),
        ("business_username_update", json!({ "status": "deleted" })),
        (
            "calls",
            json!({ "metadata": metadata(), "calls": [{ "id": "wacid.1", "event": "connect" }] }),
        ),
        ("flows", json!({ "event": "FLOW_STATUS_CHANGE" })),
        ("group_lifecycle_update", json!({ "metadata": metadata(), "groups": [] })),
        ("group_participants_update", json!({ "groups": [] })),
        ("group_settings_update", json!({ "groups": [] })),
        ("group_status_update", json!({ "groups": [] })),
        ("security", json!({ "event": "PIN_CHANGED" })),
        ("partner_solutions", json!({})),
        ("payment_configuration_update", json!({})),
        ("automatic_events", json!({})),
        ("messaging_handovers", json!({})),
        (
            "standby",
            json!({ "metadata": metadata(), "messages": [{ "id": "wamid.X", "type": "text" }] }),
        ),
    ];
    let changes: Vec<Value> =
        samples.iter().map(|(field, value)| json!({ "field": field, "value": value })).collect();
    let events = read_json(&envelope(&json!(changes)));
    // The messaging limit is told twice: as it came, and as what it means.
    assert_eq!(events.len(), samples.len() + 1);
    insta::assert_snapshot!("webhook_notices", view(&events));
}
