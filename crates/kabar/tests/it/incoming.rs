//! What people send is stored once, under the right person, before it is acknowledged.

use bytes::Bytes;
use kabar::contacts::contact::Contact;
use kabar::contacts::{ContactFilter, IdentityKind};
use kabar::core::{MetaAppId, PageRequest, Timestamp};
use kabar::messaging::{Body, Message, Status};
use kabar_sandbox::{
    CustomerPatch, DEFAULT_DISPLAY_PHONE_NUMBER, DEFAULT_PHONE_NUMBER_ID, DEFAULT_WABA_ID, Fault,
    FaultEffect, FaultPoint, Inbound, InboundContent as In, MediaKind, RawWebhook,
};
use kabar_testkit::accounts::grant;
use serde_json::{Value, json};

use crate::town::{CUSTOMER, Town, each_town};

async fn contact(town: &Town, message: &Message) -> Contact {
    let contacts = town.platform.contacts();
    let found = contacts.get(&grant(town.account), message.contact).await;
    found.expect("the sender is a contact")
}

async fn contacts(town: &Town) -> usize {
    let contacts = town.platform.contacts();
    let page = PageRequest::default();
    let read = grant(town.account);
    let list = contacts.list(&read, &ContactFilter::default(), page).await;
    list.unwrap().items.len()
}

fn media(kind: MediaKind, mime: &str) -> In {
    In::Media {
        kind,
        data: Bytes::from_static(b"bytes"),
        mime_type: mime.to_owned(),
        caption: None,
        filename: None,
        voice: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_type_is_stored_under_its_sender() {
    each_town(|town| async move {
        town.sent("pilih").await;
        let ours = town.arrived(CUSTOMER)[0].wamid.clone();
        let cases = [
            (In::Text { body: "halo".to_owned() }, "text"),
            (media(MediaKind::Image, "image/jpeg"), "image"),
            (media(MediaKind::Video, "video/mp4"), "video"),
            (media(MediaKind::Audio, "audio/ogg"), "audio"),
            (media(MediaKind::Document, "application/pdf"), "document"),
            (media(MediaKind::Sticker, "image/webp"), "sticker"),
            (In::ButtonReply { id: "y".to_owned(), title: "Ya".to_owned() }, "choice"),
            (
                In::ListReply { id: "r".to_owned(), title: "Soto".to_owned(), description: None },
                "choice",
            ),
            (In::TemplateButton { payload: "p".to_owned(), text: "Ok".to_owned() }, "choice"),
            (
                In::Location { latitude: -6.2, longitude: 106.8, name: None, address: None },
                "location",
            ),
            (
                In::Contacts {
                    contacts: json!([{"name": {"formatted_name": "Siti"}, "phones": []}]),
                },
                "contacts",
            ),
            (In::Reaction { message_id: ours.clone(), emoji: Some("👍".to_owned()) }, "reaction"),
        ];
        for (content, kind) in cases {
            let inbound =
                Inbound { name: Some("Siti".to_owned()), ..Inbound::new(CUSTOMER, content) };
            let wamid = town.hears(inbound).await;
            let stored = town.received().await.pop().expect("it is stored");
            assert_eq!(stored.wire_id, Some(wamid));
            assert_eq!((stored.body.kind(), stored.status), (kind, Status::Delivered));
            let Body::In(content) = &stored.body else { panic!("{kind} is not incoming") };
            // Files are fetched at once.
            assert_eq!(content.file().is_some(), stored.media.is_some(), "{kind}");
            if let Some(media) = stored.media {
                let files = town.platform.media();
                let (record, bytes) = files.open(&grant(town.account), media).await.unwrap();
                assert_eq!((record.device, &bytes[..]), (Some(town.device), &b"bytes"[..]));
            }
            if kind == "reaction" {
                assert_eq!(town.get(stored.target_id.unwrap()).await.wire_id, Some(ours.clone()));
            }
            let sender = contact(&town, &stored).await;
            assert_eq!(sender.identity(IdentityKind::Phone), Some("+6281234567890"));
            assert_eq!(sender.profile_name.as_deref(), Some("Siti"));
        }
        assert_eq!(contacts(&town).await, 1);
        let conversations = town.platform.conversations();
        let page = PageRequest::default();
        let list = conversations.list(&grant(town.account), None, page).await;
        let chat = list.unwrap().items.remove(0);
        // Everything but the reaction wants to be read.
        assert_eq!(chat.unread, 11);
        assert!(chat.window_expires_at.is_some());
        let read = conversations.mark_read(&grant(town.account), chat.id, true).await.unwrap();
        assert_eq!(read.unread, 0);
        assert_eq!(town.sandbox.read_marks().len(), 1);
        assert!(town.received().await.iter().all(|message| message.status == Status::Read));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_that_changes_and_an_answer_that_quotes() {
    each_town(|town| async move {
        let ours = town.sent("pilih").await;
        for name in ["Siti", "Siti Aminah"] {
            let inbound = Inbound {
                name: Some(name.to_owned()),
                reply_to: ours.wire_id.clone(),
                ..Inbound::text(CUSTOMER, "satu")
            };
            town.hears(inbound).await;
            let stored = town.received().await.pop().unwrap();
            assert_eq!(stored.reply_to_id, Some(ours.id));
            assert_eq!(stored.contact, ours.contact);
            let sender = contact(&town, &stored).await;
            assert_eq!(sender.profile_name.as_deref(), Some(name));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_customer_without_a_number_is_one_contact_and_gets_answers() {
    each_town(|town| async move {
        let customer = town
            .sandbox
            .put_customer(
                CUSTOMER,
                CustomerPatch { hides_phone: Some(true), ..CustomerPatch::default() },
            )
            .unwrap();
        for body in ["satu", "dua"] {
            town.hears(Inbound::text(CUSTOMER, body)).await;
        }
        let received = town.received().await;
        assert_eq!(received.len(), 2);
        assert_eq!(received[0].contact, received[1].contact);
        let sender = contact(&town, &received[0]).await;
        assert_eq!(sender.identity(IdentityKind::Phone), None);
        assert_eq!(sender.identity(IdentityKind::Bsuid), Some(customer.user_id.as_str()));
        let to = kabar::messaging::To::Contact(sender.id);
        let answer = kabar::messaging::NewMessage::new(
            town.device,
            to,
            kabar::channel::Content::text("halo"),
        );
        let answer = town.queue_one(answer).await;
        town.settle().await;
        let answer = town.get(answer.id).await;
        assert_eq!(answer.status, Status::Read, "{:?}", answer.reason);
        // The same by its scoped id.
        let to = kabar::messaging::To::Bsuid(customer.user_id);
        let again = kabar::messaging::NewMessage::new(
            town.device,
            to,
            kabar::channel::Content::text("halo"),
        );
        let again = town.queue_one(again).await;
        assert_eq!(again.contact, sender.id);
        // It shows its number: the same contact, known better.
        let patch = CustomerPatch { hides_phone: Some(false), ..CustomerPatch::default() };
        town.sandbox.put_customer(CUSTOMER, patch).unwrap();
        town.hears(Inbound::text(CUSTOMER, "tiga")).await;
        let stored = town.received().await.pop().unwrap();
        assert_eq!(stored.contact, sender.id);
        let sender = contact(&town, &stored).await;
        assert!(sender.identity(IdentityKind::Phone).is_some());
        assert_eq!(contacts(&town).await, 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_may_come_twice_in_any_order_or_late() {
    each_town(|town| async move {
        let cases = [
            FaultEffect::Duplicate { copies: 3 },
            FaultEffect::Reorder,
            FaultEffect::Delay { ms: 200 },
        ];
        let mut said = Vec::new();
        for effect in cases {
            let fault = Fault::on(FaultPoint::Inbound, effect).times(0);
            town.sandbox.add_fault(fault).unwrap();
            for body in ["satu", "dua", "tiga"] {
                let receipt = town.sandbox.customer_says(Inbound::text(CUSTOMER, body));
                said.push(receipt.unwrap().wamid);
            }
            town.settle().await;
            town.sandbox.clear_faults();
        }
        let inbound = Inbound { copies: 3, ..Inbound::text(CUSTOMER, "empat") };
        said.push(town.hears(inbound).await);
        let mut stored: Vec<String> =
            town.received().await.into_iter().filter_map(|message| message.wire_id).collect();
        stored.sort();
        said.sort();
        assert_eq!(stored, said);
    })
    .await;
}

/// A webhook of the seeded number.
pub(crate) fn envelope(value: Value) -> Value {
    let mut value = value;
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({
        "display_phone_number": DEFAULT_DISPLAY_PHONE_NUMBER,
        "phone_number_id": DEFAULT_PHONE_NUMBER_ID,
    });
    json!({"object": "whatsapp_business_account", "entry": [
        {"id": DEFAULT_WABA_ID, "changes": [{"field": "messages", "value": value}]}]})
}

/// A text of a customer, as Meta words it.
pub(crate) fn text(from: &str, wamid: &str, body: &str, at: Timestamp) -> Value {
    json!({"from": from, "id": wamid, "timestamp": at.timestamp().to_string(),
        "type": "text", "text": {"body": body}})
}

/// Hands a body to the platform as the receiver does.
pub(crate) async fn accept(town: &Town, body: &[u8]) -> kabar::channel::IntakeReport {
    let now = town.platform.clock().now();
    let app: MetaAppId = kabar::devices::installation_app();
    let batch = kabar::cloud_api::webhook::decode(app, body, now);
    let accepted = town.platform.intake().accept(batch).await;
    accepted.expect("it is stored")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_messages_in_one_post_are_stored_once() {
    each_town(|town| async move {
        let now = town.platform.clock().now();
        let one = |n: u32| {
            // Ten messages from each of a hundred people.
            text(&format!("6281{:08}", n % 100), &format!("wamid.{n}"), "halo", now)
        };
        let messages: Vec<Value> = (0..1_000).map(one).collect();
        let body = envelope(json!({"messages": messages, "contacts": []})).to_string();
        for (new, repeated) in [(1_000, 0), (0, 1_000), (0, 1_000)] {
            let report = accept(&town, body.as_bytes()).await;
            assert_eq!((report.messages, report.repeated), (new, repeated));
        }
        assert_eq!(town.received().await.len(), 1_000);
        let page = PageRequest::new(Some(200), None);
        let conversations = town.platform.conversations();
        let list = conversations.list(&grant(town.account), None, page).await;
        let chats = list.unwrap().items;
        assert_eq!(chats.len(), 100);
        assert!(chats.iter().all(|chat| chat.unread == 10));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strange_bodies_are_kept_once_and_block_nothing() {
    each_town(|town| async move {
        let now = town.platform.clock().now();
        let good = text(CUSTOMER, "wamid.good", "halo", now);
        let odd = [
            json!({"messages": [{"id": 7}, good.clone()]}),
            json!({"messages": [good.clone(), {"from": CUSTOMER, "id": "wamid.odd", "type": "hologram",
                "timestamp": "x", "hologram": {"depth": 3}}]}),
            json!({"messages": "none", "statuses": [{"id": null}]}),
            json!({"statuses": [{"id": "wamid.x", "status": "teleported", "recipient_id": CUSTOMER}]}),
        ];
        for value in odd {
            let body = envelope(value).to_string();
            let first = accept(&town, body.as_bytes()).await;
            let again = accept(&town, body.as_bytes()).await;
            assert_eq!(again.messages, 0, "{first:?} {again:?}");
        }
        for body in [
            &b"no json"[..],
            b"{}",
            b"[]",
            b"\xff\xfe",
            b"{\"entry\":[{\"changes\":[{\"field\":\"f\\u0000\",\"value\":{\"a\":\"\\u0000\"}}]}]}",
            b"",
        ] {
            for _ in 0..3 {
                accept(&town, body).await;
            }
        }
        let stored: Vec<Option<String>> = town
            .received()
            .await
            .into_iter()
            .map(|message| message.wire_id)
            .collect();
        assert!(stored.contains(&Some("wamid.good".to_owned())));
        assert_eq!(
            stored
                .iter()
                .filter(|id| id.as_deref() == Some("wamid.good"))
                .count(),
            1
        );
        // A webhook with a body that is a message of ours all the same.
        town.sandbox
            .post_webhook(RawWebhook {
                text: Some("{\"broken\": ".to_owned()),
                copies: Some(3),
                ..RawWebhook::default()
            })
            .unwrap();
        town.quiet().await;
        assert_eq!(town.sandbox.pending().abandoned, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn characters_that_a_database_may_refuse_do_not_lose_a_message() {
    each_town(|town| async move {
        let now = town.platform.clock().now();
        let bodies = ["a\0b", "\u{ffff}", "🏳️‍🌈", "\u{202e}abc", &"x".repeat(70_000)];
        for (n, body) in bodies.iter().enumerate() {
            let message = text(CUSTOMER, &format!("wamid.{n}"), body, now);
            let contacts = json!([{"wa_id": CUSTOMER, "profile": {"name": body}}]);
            let value = json!({"messages": [message], "contacts": contacts});
            let report = accept(&town, envelope(value).to_string().as_bytes()).await;
            assert_eq!((report.messages, report.quarantined), (1, 0), "{body:?}");
        }
        assert_eq!(town.received().await.len(), bodies.len());
    })
    .await;
}
