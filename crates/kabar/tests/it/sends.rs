//! What we send arrives once, as it was meant, and its statuses come back.

use bytes::Bytes;
use kabar::channel::content::{
    Button, Buttons, ContactCard, List, ListRow, ListSection, Location, Media, MediaRef, Poll,
    Template,
};
use kabar::channel::ports::MediaFile;
use kabar::channel::{Content, Fallback};
use kabar::messaging::{Message, MessageError, NewMessage, Status};
use kabar_sandbox::{Fault, FaultEffect, FaultPoint};
use kabar_testkit::accounts::grant;
use serde_json::{Value, json};

use crate::town::{CUSTOMER, Town, each_town};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_goes_out_once_and_is_read() {
    each_town(|town| async move {
        let message = town.sent("halo").await;
        assert_eq!(message.status, Status::Read, "{:?}", message.reason);
        assert!(!message.queued && message.stage.is_none() && message.prepared.is_none());
        assert_eq!(message.attempts, 1);
        let arrived = town.arrived(CUSTOMER);
        assert_eq!(arrived.len(), 1);
        assert_eq!(message.wire_id.as_deref(), Some(arrived[0].wamid.as_str()));
        assert_eq!(arrived[0].body["biz_opaque_callback_data"], json!(message.id));
        assert_eq!(message.network_id.as_deref(), Some(CUSTOMER));
        let times = [message.sent_at, message.delivered_at, message.read_at];
        assert!(times.iter().all(Option::is_some), "{times:?}");
        assert_eq!((town.waiting().await, town.lanes().await), (0, 0));
    })
    .await;
}

async fn picture(town: &Town) -> MediaRef {
    let file = MediaFile {
        bytes: Bytes::from_static(b"\xff\xd8\xff\xe0 a picture"),
        mime: "image/jpeg".to_owned(),
        filename: Some("a.jpg".to_owned()),
    };
    let files = town.platform.media();
    let stored = files.upload(&grant(town.account), file, None).await;
    MediaRef::Stored(stored.expect("a file").id)
}

fn contents(picture: &MediaRef) -> Vec<(Content, &'static str, &'static str, Value)> {
    let media = Media { caption: Some("lihat".to_owned()), ..Media::new(picture.clone()) };
    let link = Media::new(MediaRef::Link("https://files.example/a.pdf".parse().unwrap()));
    let reply =
        |id: &str, title: &str| Button::Reply { id: id.to_owned(), title: title.to_owned() };
    let row = ListRow { id: "r1".to_owned(), title: "Soto".to_owned(), description: None };
    vec![
        (Content::text("halo"), "text", "/text/body", json!("halo")),
        (Content::Image(media), "image", "/image/caption", json!("lihat")),
        (
            Content::Document(link),
            "document",
            "/document/link",
            json!("https://files.example/a.pdf"),
        ),
        (
            Content::Location(Location {
                latitude: -6.2,
                longitude: 106.8,
                name: Some("Toko".to_owned()),
                address: None,
            }),
            "location",
            "/location/name",
            json!("Toko"),
        ),
        (
            Content::Contacts {
                cards: vec![ContactCard {
                    name: "Siti".to_owned(),
                    phones: vec!["+6281111111111".to_owned()],
                    emails: Vec::new(),
                    organisation: None,
                }],
            },
            "contacts",
            "/contacts/0/name/formatted_name",
            json!("Siti"),
        ),
        (
            Content::Buttons(Buttons {
                header: None,
                body: "Lanjut?".to_owned(),
                footer: None,
                buttons: vec![reply("y", "Ya"), reply("n", "Tidak")],
            }),
            "interactive",
            "/interactive/action/buttons/1/reply/id",
            json!("n"),
        ),
        (
            Content::List(List {
                header: None,
                body: "Pilih".to_owned(),
                footer: None,
                button: "Menu".to_owned(),
                sections: vec![ListSection { title: None, rows: vec![row] }],
            }),
            "interactive",
            "/interactive/action/sections/0/rows/0/title",
            json!("Soto"),
        ),
        (
            // A poll has no form on this channel.
            Content::Poll(Poll {
                question: "Makan?".to_owned(),
                options: vec!["Soto".to_owned(), "Rawon".to_owned()],
                selectable: 1,
            }),
            "text",
            "/text/body",
            json!("Makan?\n\n1. Soto\n2. Rawon"),
        ),
        (
            Content::Template(Template {
                name: "order_confirmation".to_owned(),
                language: "en_US".to_owned(),
                components: vec![json!({"type": "body", "parameters": [
                    {"type": "text", "text": "Siti"}, {"type": "text", "text": "A-1"}]})],
            }),
            "template",
            "/template/name",
            json!("order_confirmation"),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_content_arrives_as_it_was_meant() {
    each_town(|town| async move {
        let picture = picture(&town).await;
        let contents = contents(&picture);
        for (content, ..) in &contents {
            town.queue_one(town.message(CUSTOMER, content.clone())).await;
        }
        town.settle().await;
        let arrived = town.arrived(CUSTOMER);
        assert_eq!(arrived.len(), contents.len());
        for (message, (content, kind, place, value)) in arrived.iter().zip(&contents) {
            assert_eq!(&message.kind, kind, "{content:?}");
            assert_eq!(message.body.pointer(place), Some(value), "{}", message.body);
        }
        for message in town.all(Default::default()).await {
            assert_eq!(message.status, Status::Read, "{:?}", message.reason);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_file_is_uploaded_once_and_again_after_thirty_days() {
    each_town(|town| async move {
        let picture = Content::Image(Media::new(picture(&town).await));
        // Whoever uploads twice meets this.
        let ids = |town: &Town| -> Vec<String> {
            let arrived = town.arrived(CUSTOMER);
            let id = |body: &Value| body["image"]["id"].as_str().unwrap().to_owned();
            arrived.iter().map(|message| id(&message.body)).collect()
        };
        for _ in 0..3 {
            town.queue_one(town.message(CUSTOMER, picture.clone())).await;
        }
        town.settle().await;
        let first = ids(&town);
        assert_eq!(first.len(), 3);
        assert!(first.iter().all(|id| *id == first[0]), "{first:?}");
        town.wait(31 * 24 * 3600);
        town.queue_one(town.message(CUSTOMER, picture.clone())).await;
        town.settle().await;
        let again = ids(&town);
        assert_eq!(again.len(), 4);
        assert_ne!(again[3], first[0]);

        // An upload that fails is tried again; nothing was sent meanwhile.
        let other = Content::Image(Media::new(self::picture(&town).await));
        let fault = Fault::on(FaultPoint::Media, FaultEffect::Http { status: 500, graph: false });
        town.sandbox.add_fault(fault).unwrap();
        let message = town.queue_one(town.message(CUSTOMER, other)).await;
        town.settle().await;
        assert_eq!(town.get(message.id).await.status, Status::Pending);
        assert_eq!(ids(&town).len(), 4);
        town.wait(2);
        town.settle().await;
        assert_eq!(town.get(message.id).await.status, Status::Read);
        assert_eq!(ids(&town).len(), 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_and_reactions_name_their_target() {
    each_town(|town| async move {
        let wamid = town.hears(kabar_sandbox::Inbound::text(CUSTOMER, "halo")).await;
        let incoming = town.received().await.remove(0);
        let answer = NewMessage {
            reply_to: Some(incoming.id),
            ..town.message(CUSTOMER, Content::text("halo juga"))
        };
        let emoji = "👍".to_owned();
        let reaction = NewMessage {
            reply_to: Some(incoming.id),
            ..town.message(CUSTOMER, Content::Reaction { emoji })
        };
        let queued = town.queue(vec![answer, reaction]).await;
        assert_eq!(queued[0].reply_to_id, Some(incoming.id));
        assert_eq!(queued[1].target_id, Some(incoming.id));
        assert_eq!(queued[0].contact, incoming.contact);
        assert_eq!(queued[0].conversation, incoming.conversation);
        town.settle().await;
        let arrived = town.arrived(CUSTOMER);
        assert_eq!(arrived[0].body["context"]["message_id"], json!(wamid));
        assert_eq!(arrived[1].body["reaction"]["message_id"], json!(wamid));
        assert!(arrived[1].body.get("context").is_none());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_is_refused_and_nothing_is_taken() {
    each_town(|town| async move {
        let good = || town.message(CUSTOMER, Content::text("halo"));
        let emoji = "👍".to_owned();
        let now = kabar::core::Clock::now(&*town.clock);
        let cases: Vec<(&str, NewMessage)> = vec![
            ("body", town.message(CUSTOMER, Content::text(""))),
            ("body", town.message(CUSTOMER, Content::text("a\0b"))),
            ("reply_to", town.message(CUSTOMER, Content::Reaction { emoji })),
            ("reference", NewMessage { reference: Some(String::new()), ..good() }),
            ("reference", NewMessage { reference: Some("a\0b".to_owned()), ..good() }),
            ("expires_at", NewMessage { expires_at: Some(now), ..good() }),
            (
                "body",
                NewMessage {
                    variables: Some(Default::default()),
                    ..town.message(CUSTOMER, Content::text("{nothing}"))
                },
            ),
            (
                "type",
                NewMessage {
                    fallback: Fallback::Refuse,
                    ..town.message(
                        CUSTOMER,
                        Content::Poll(Poll {
                            question: "?".to_owned(),
                            options: vec!["a".to_owned(), "b".to_owned()],
                            selectable: 1,
                        }),
                    )
                },
            ),
        ];
        for (field, case) in cases {
            let messages = town.platform.messages();
            let refused =
                messages.send_many(&grant(town.account), vec![good(), case.clone()], None).await;
            let Err(MessageError::Invalid(problems)) = &refused else {
                panic!("{field}: {refused:?}");
            };
            assert_eq!(problems.len(), 1);
            assert_eq!(problems[0].index, 1);
            assert_eq!(problems[0].fields[0].field, field, "{problems:?}");
        }
        assert!(town.all(Default::default()).await.is_empty());
        assert_eq!(town.waiting().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn variables_are_filled_in() {
    each_town(|town| async move {
        let message = NewMessage {
            variables: Some([("item".to_owned(), "soto".to_owned())].into()),
            ..town.message(CUSTOMER, Content::text("{item} for {phone}"))
        };
        let message: Message = town.queue_one(message).await;
        town.settle().await;
        assert_eq!(town.texts(CUSTOMER), [format!("soto for +{CUSTOMER}")]);
        assert_eq!(town.get(message.id).await.status, Status::Read);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_the_window_a_message_fails_with_the_reason() {
    each_town(|town| async move {
        let stranger = "6281999999999";
        let message = town.message(stranger, Content::text("halo"));
        let message = town.queue_one(message).await;
        town.settle().await;
        let failed = town.get(message.id).await;
        assert_eq!(failed.status, Status::Failed);
        assert_eq!(failed.reason.unwrap().code, "131047");
        assert!(failed.failed_at.is_some() && failed.wire_id.is_some());
        // A template opens the door.
        let template = Content::Template(Template {
            name: "hello_world".to_owned(),
            language: "en_US".to_owned(),
            components: Vec::new(),
        });
        let message = town.queue_one(town.message(stranger, template)).await;
        town.settle().await;
        assert_eq!(town.get(message.id).await.status, Status::Read);
    })
    .await;
}
