//! Rules answer what they shall, once, and nothing else.

use kabar::automation::{Limitation, Matching, NewRule, Response};
use kabar::channel::Content;
use kabar::devices::DeviceSettings;
use kabar::messaging::{Direction, MessageFilter, Origin, Status};
use kabar::rules::{Folding, MatchKind, Words};
use kabar_sandbox::{DEFAULT_TOKEN, DEFAULT_WABA_ID, Inbound, InboundContent, NewNumber};
use kabar_testkit::accounts::grant;
use serde_json::json;

use crate::incoming::{accept, envelope, text};
use crate::town::{CUSTOMER, Town, each_town};

async fn rule(town: &Town, keyword: &str, answer: &str, change: impl FnOnce(&mut NewRule)) {
    let mut new = NewRule {
        device: town.device,
        name: keyword.replace(['<', '>'], ""),
        active: true,
        priority: 0,
        matching: Matching {
            kind: MatchKind::Begin,
            keywords: vec![keyword.to_owned()],
            folding: Folding::default(),
            words: Words::default(),
        },
        response: Response::Message { content: Content::text(answer), quote: false },
        limitation: None,
    };
    change(&mut new);
    let rules = town.platform.rules();
    let made = rules.create(&grant(town.account), new, None).await;
    made.expect("the rule is good");
}

async fn says(town: &Town, body: &str) {
    town.hears(Inbound::text(CUSTOMER, body)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_best_rule_answers_with_what_it_captured() {
    each_town(|town| async move {
        rule(&town, "order <item> <qty>", "{qty} x {item} for {sender}, {name}", |_| ()).await;
        rule(&town, "order", "what?", |_| ()).await;
        rule(&town, "harga", "murah", |new| {
            new.response = Response::Message { content: Content::text("murah"), quote: true };
        })
        .await;
        rule(&town, "mati", "no", |new| new.active = false).await;
        let order =
            Inbound { name: Some("Siti".to_owned()), ..Inbound::text(CUSTOMER, "Order soto 2") };
        town.hears(order).await;
        says(&town, "ORDER").await;
        let asked = town.hears(Inbound::text(CUSTOMER, "harga?")).await;
        says(&town, "mati").await;
        says(&town, "hm").await;
        assert_eq!(
            town.texts(CUSTOMER),
            [format!("2 x soto for +{CUSTOMER}, Siti"), "what?".to_owned(), "murah".to_owned()]
        );
        let quoting = town.arrived(CUSTOMER).pop().unwrap();
        assert_eq!(quoting.body["context"]["message_id"], json!(asked));
        for answer in town
            .all(MessageFilter { direction: Some(Direction::Out), ..MessageFilter::default() })
            .await
        {
            assert_eq!((answer.status, answer.origin), (Status::Read, Origin::Rule));
            assert!(answer.origin_ref.is_some());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_body_three_times_is_one_message_and_one_answer() {
    each_town(|town| async move {
        rule(&town, "halo", "halo juga", |_| ()).await;
        let now = town.platform.clock().now();
        let message = text(CUSTOMER, "wamid.1", "halo", now);
        let body = envelope(json!({"messages": [message]})).to_string();
        let mut posts = tokio::task::JoinSet::new();
        for _ in 0..3 {
            let (town, body) = (town.clone(), body.clone());
            posts.spawn(async move { accept(&town, body.as_bytes()).await.messages });
        }
        let stored: usize = posts.join_all().await.into_iter().sum();
        assert_eq!(stored, 1);
        town.settle().await;
        accept(&town, body.as_bytes()).await;
        town.settle().await;
        assert_eq!(town.received().await.len(), 1);
        assert_eq!(town.texts(CUSTOMER), ["halo juga"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_no_rule_matches_gets_the_default_reply_now_and_then() {
    each_town(|town| async move {
        town.settings(|settings| {
            settings.default_reply = Some("sebentar, {name}{missing}".to_owned());
            settings.default_reply_every_seconds = 600;
        })
        .await;
        rule(&town, "harga", "murah", |_| ()).await;
        for body in ["a", "b", "harga"] {
            says(&town, body).await;
        }
        town.wait(599);
        says(&town, "c").await;
        assert_eq!(town.texts(CUSTOMER).len(), 2);
        town.wait(1);
        says(&town, "d").await;
        let texts = town.texts(CUSTOMER);
        assert_eq!(texts.len(), 3, "{texts:?}");
        assert_eq!(texts[0], texts[2]);
        assert!(texts[0].starts_with("sebentar, "), "{texts:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_gets_only_so_many_answers() {
    each_town(|town| async move {
        rule(&town, "satu", "1", |new| {
            new.limitation = Some(Limitation { times: 1, seconds: 60 });
        })
        .await;
        rule(&town, "satu dua", "2", |new| new.priority = -1).await;
        let other = "6281000000009";
        town.open_window(other);
        for from in [CUSTOMER, other] {
            for body in ["satu", "satu", "satu dua"] {
                town.hears(Inbound::text(from, body)).await;
            }
            // Limited, so the next rule answers.
            assert_eq!(town.texts(from), ["1", "2"]);
        }
        town.wait(60);
        says(&town, "satu").await;
        assert_eq!(town.texts(CUSTOMER), ["1", "2", "1"]);

        town.settings(|settings| settings.answers_per_contact_hour = 4).await;
        says(&town, "satu dua").await;
        town.wait(61);
        says(&town, "satu").await;
        assert_eq!(town.texts(CUSTOMER).len(), 4);
        town.wait(3_600);
        says(&town, "satu").await;
        assert_eq!(town.texts(CUSTOMER).len(), 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_answers_machines_echoes_and_reactions() {
    each_town(|town| async move {
        town.settings(|settings| {
            settings.default_reply = Some("halo".to_owned());
            settings.default_reply_every_seconds = 0;
        })
        .await;
        let now = town.platform.clock().now();
        // Another number of this installation writes: two machines would never stop.
        let number = town
            .sandbox
            .add_number(
                DEFAULT_WABA_ID,
                NewNumber {
                    display_phone_number: Some("15550783999".to_owned()),
                    ..NewNumber::default()
                },
            )
            .unwrap();
        town.register(&number.id, DEFAULT_WABA_ID, DEFAULT_TOKEN).await;
        let machine = text("15550783999", "wamid.machine", "halo", now);
        let body = envelope(json!({"messages": [machine]})).to_string();
        assert_eq!(accept(&town, body.as_bytes()).await.messages, 1);
        let echo = json!({"from": "15550783881", "to": CUSTOMER, "id": "wamid.echo",
            "timestamp": now.timestamp().to_string(), "type": "text", "text": {"body": "halo"}});
        let mut body = envelope(json!({"message_echoes": [echo]}));
        body["entry"][0]["changes"][0]["field"] = json!("smb_message_echoes");
        assert_eq!(accept(&town, body.to_string().as_bytes()).await.messages, 1);
        town.settle().await;
        let reaction = InboundContent::Reaction {
            message_id: "wamid.echo".to_owned(),
            emoji: Some("👍".to_owned()),
        };
        town.hears(Inbound::new(CUSTOMER, reaction)).await;
        let odd = InboundContent::Raw { message: json!({"type": "hologram", "hologram": {}}) };
        town.hears(Inbound::new(CUSTOMER, odd)).await;
        assert!(town.sandbox.messages(&Default::default()).is_empty());
        says(&town, "halo").await;
        assert_eq!(town.texts(CUSTOMER), ["halo"]);
        town.settings(|settings| {
            *settings = DeviceSettings {
                autoreply: false,
                default_reply: Some("halo".to_owned()),
                ..DeviceSettings::default()
            };
        })
        .await;
        says(&town, "halo").await;
        assert_eq!(town.texts(CUSTOMER), ["halo"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_cannot_be_sent_is_noted_and_not_retried() {
    each_town(|town| async move {
        rule(&town, "ulang <all>", "{all}", |_| ()).await;
        // Nothing is left of the answer.
        rule(&town, "kosong", "{nothing}", |_| ()).await;
        says(&town, "kosong").await;
        says(&town, "ulang a b").await;
        assert_eq!(town.texts(CUSTOMER), ["a b"]);
        let work = town.road().await;
        let due = work.jobs().next_due(crate::town::SCOPE).await.unwrap();
        assert_eq!(due, None, "a job is left");
    })
    .await;
}
