//! From an event to a receiver: signed, tried again under the same id, given up in the end.

use chrono::TimeDelta;
use kabar::core::{Clock as _, ExposeSecret as _, InstallationScope, PageRequest, Secret, Store};
use kabar::events::EventsWork;
use kabar::webhooks::{DeliveryFilter, DeliveryState, EndpointPatch, EndpointState, NewEndpoint};
use kabar_testkit::accounts::{grant, once};

use super::bed::{Bed, Does, Got, each_bed};
use crate::town::each_town_reaching;

/// What a receiver does with a public library.
#[track_caller]
fn verify(secret: &Secret, got: &Got) {
    let theirs = standardwebhooks::Webhook::new(secret.expose_secret()).unwrap();
    let stamp: i64 = got.header("webhook-timestamp").parse().unwrap();
    let expected = theirs.sign(got.id(), stamp, &got.body).unwrap();
    let signatures: Vec<&str> = got.header("webhook-signature").split(' ').collect();
    assert!(signatures.contains(&expected.as_str()), "{signatures:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_arrives_signed() {
    each_bed(|bed| async move {
        let made = bed.endpoint("a").await;
        bed.happens(3).await;
        bed.drain().await;
        let got = bed.receiver.all("a");
        assert_eq!(got.len(), 3);
        for got in &got {
            verify(made.secret.as_ref().unwrap(), got);
            assert_eq!(got.header("content-type"), "application/json");
            let json = got.json();
            assert_eq!(json["type"], "contact.changed");
            assert_eq!(json["account_id"], bed.account.to_string());
            assert!(json["timestamp"].as_str().unwrap().starts_with("2026-01-01T00:00:00"));
            assert!(json["data"]["contact_id"].as_str().unwrap().starts_with("con_"));
            assert!(got.id().starts_with("del_"));
        }
        let health = bed.get(made.endpoint.id).await.health;
        assert_eq!((health.failures, health.last_success_at.is_some()), (0, true));
        let all = bed.deliveries(DeliveryFilter::default()).await;
        assert!(all.iter().all(|it| it.state == DeliveryState::Delivered && it.attempts == 1));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_receivers_library_takes_it() {
    // Its check wants the present, so this one runs by the system's clock.
    kabar_storage::testing::each_database(|database| async move {
        let bed = Bed::new(database).await;
        bed.clock.set(kabar::core::Clock::now(&kabar::core::SystemClock));
        let made = bed.endpoint("a").await;
        bed.happens(1).await;
        bed.drain().await;
        let got = bed.receiver.all("a").remove(0);
        let theirs = standardwebhooks::Webhook::new(made.secret.unwrap().expose_secret()).unwrap();
        theirs.verify(&got.body, &got.headers).unwrap();
        let mut changed = got.body.to_vec();
        changed[10] ^= 1;
        theirs.verify(&changed, &got.headers).unwrap_err();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_attempt_is_the_same_delivery() {
    each_bed(|bed| async move {
        let made = bed.endpoint("a").await;
        bed.receiver.next("a", [Does::Answer(500), Does::Answer(503), Does::Echo]);
        bed.happens(1).await;
        bed.drain().await;
        assert_eq!(bed.receiver.count("a"), 1);
        let waits = [(5, 1), (300, 1), (1_800, 1)];
        for (index, (seconds, _)) in waits.iter().enumerate() {
            // Four fifths at least, six fifths at most.
            bed.wait(TimeDelta::milliseconds(seconds * 790));
            bed.drain().await;
            assert_eq!(bed.receiver.count("a"), index + 1, "too early");
            bed.wait(TimeDelta::milliseconds(seconds * 420));
            bed.drain().await;
            assert_eq!(bed.receiver.count("a"), index + 2, "too late");
        }
        let got = bed.receiver.all("a");
        assert!(got.iter().all(|it| it.id() == got[0].id() && it.body == got[0].body));
        let stamps: Vec<&str> = got.iter().map(|it| it.header("webhook-timestamp")).collect();
        assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
        let delivery = bed.delivery(got[0].id().parse().unwrap()).await;
        assert_eq!((delivery.state, delivery.attempts), (DeliveryState::Delivered, 4));
        let read = grant(bed.account);
        let page = PageRequest::default();
        let attempts = bed.platform.deliveries().attempts(&read, delivery.id, page).await.unwrap();
        let errors: Vec<Option<&str>> =
            attempts.items.iter().map(|it| it.error.as_deref()).collect();
        assert_eq!(errors, [None, Some("status_400"), Some("status_503"), Some("status_500")]);
        assert!(attempts.items[1].response.as_ref().unwrap().contains("webhook-id"));
        assert_eq!(bed.get(made.endpoint.id).await.health.failures, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_never_arrives_fails_and_is_listed() {
    each_bed(|bed| async move {
        bed.endpoint("a").await;
        bed.receiver.always("a", Does::Answer(404));
        bed.happens(1).await;
        for _ in 0..55 {
            bed.drain().await;
            bed.wait(TimeDelta::hours(2));
        }
        let failed = DeliveryFilter { state: Some(DeliveryState::Failed), ..Default::default() };
        let failed = bed.deliveries(failed).await;
        assert_eq!(failed.len(), 1);
        assert_eq!((failed[0].attempts, failed[0].last_status), (10, Some(404)));
        assert_eq!(bed.receiver.count("a"), 10);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rotated_secret_signs_beside_the_new_one() {
    each_bed(|bed| async move {
        let made = bed.endpoint("a").await;
        let (old, id) = (made.secret.unwrap(), made.endpoint.id);
        let webhooks = bed.platform.webhooks();
        let write = grant(bed.account);
        let rotated = webhooks.rotate_secret(&write, id, None, Some(3_600), None).await.unwrap();
        let new = rotated.secret.unwrap();
        assert_eq!(webhooks.reveal_secrets(&write, id).await.unwrap().len(), 2);
        bed.happens(1).await;
        bed.drain().await;
        let got = bed.receiver.all("a").remove(0);
        verify(&old, &got);
        verify(&new, &got);
        bed.wait(TimeDelta::seconds(3_600));
        bed.happens(1).await;
        bed.drain().await;
        let got = bed.receiver.all("a").remove(1);
        verify(&new, &got);
        assert_eq!(got.header("webhook-signature").split(' ').count(), 1);
        let shown = webhooks.reveal_secrets(&write, id).await.unwrap();
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0].secret.expose_secret(), new.expose_secret());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gone_switches_off_at_once_and_the_others_hear_of_it() {
    each_bed(|bed| async move {
        let dead = bed.endpoint("dead").await.endpoint.id;
        bed.make(bed.settings("other", "webhook.*")).await;
        bed.receiver.always("dead", Does::Answer(410));
        bed.happens(30).await;
        bed.drain().await;
        let endpoint = bed.get(dead).await;
        assert_eq!(endpoint.state, EndpointState::Disabled);
        assert_eq!(endpoint.state_reason.as_deref(), Some("gone"));
        assert!(bed.receiver.count("dead") <= 2, "what was under way");
        let told = bed.receiver.all("other");
        let told = told.iter().map(Got::json).find(|it| it["type"] == "webhook.disabled").unwrap();
        assert_eq!(told["data"]["endpoint_id"], dead.to_string());
        assert_eq!(told["data"]["reason"], "gone");
        // What happens meanwhile is not kept for it; what waited goes out when it is back.
        bed.happens(5).await;
        bed.drain().await;
        bed.receiver.always("dead", Does::Take);
        let patch = EndpointPatch { state: Some(EndpointState::Active), ..Default::default() };
        let webhooks = bed.platform.webhooks();
        webhooks.update(&grant(bed.account), dead, patch).await.unwrap();
        bed.wait(TimeDelta::hours(1));
        bed.drain().await;
        let filter = DeliveryFilter { endpoint: Some(dead), ..Default::default() };
        let all = bed.deliveries(filter).await;
        assert_eq!(all.len(), 30);
        assert!(all.iter().all(|it| it.state == DeliveryState::Delivered));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_for_days_switches_off() {
    each_bed(|bed| async move {
        let id = bed.endpoint("a").await.endpoint.id;
        bed.receiver.always("a", Does::Answer(500));
        bed.happens(200).await;
        for hour in 0..5 * 24 {
            bed.drain().await;
            assert_eq!(bed.get(id).await.state, EndpointState::Active, "after {hour} hours");
            bed.wait(TimeDelta::hours(1));
        }
        bed.drain().await;
        let endpoint = bed.get(id).await;
        assert_eq!(endpoint.state, EndpointState::Disabled);
        assert_eq!(endpoint.state_reason.as_deref(), Some("failing"));
        // It was probed, not hammered.
        assert!(bed.receiver.count("a") < 200, "{}", bed.receiver.count("a"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_keeps_what_happens() {
    each_bed(|bed| async move {
        let id = bed.endpoint("a").await.endpoint.id;
        let set = async |state| {
            let patch = EndpointPatch { state: Some(state), ..Default::default() };
            bed.platform.webhooks().update(&grant(bed.account), id, patch).await.unwrap();
        };
        set(EndpointState::Paused).await;
        bed.happens(4).await;
        bed.drain().await;
        assert_eq!(bed.receiver.count("a"), 0);
        let backlog = bed.platform.webhooks().backlog(&grant(bed.account), id).await.unwrap().1;
        assert_eq!(backlog.waiting, 4);
        set(EndpointState::Active).await;
        bed.drain().await;
        assert_eq!(bed.receiver.count("a"), 4);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retries_of_callers_make_one_endpoint_and_one_test() {
    each_bed(|bed| async move {
        let webhooks = bed.platform.webhooks();
        let write = grant(bed.account);
        let key = once("createWebhook", "k", 1);
        let new = NewEndpoint { settings: bed.settings("a", "*"), secret: None };
        let made = webhooks.create(&write, new.clone(), Some(&key)).await.unwrap();
        let again = webhooks.create(&write, new, Some(&key)).await.unwrap();
        assert_eq!(made.endpoint.id, again.endpoint.id);
        assert!(again.secret.is_none());
        let key = once("testWebhook", "k", 1);
        let one = webhooks.test(&write, made.endpoint.id, Some(&key)).await.unwrap();
        let two = webhooks.test(&write, made.endpoint.id, Some(&key)).await.unwrap();
        assert_eq!(one.id, two.id);
        bed.drain().await;
        let got = bed.receiver.all("a");
        let tests: Vec<&Got> =
            got.iter().filter(|it| it.json()["type"] == "webhook.test").collect();
        assert_eq!(tests.len(), 1);
        assert_eq!(tests[0].id(), one.id.to_string());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_lie_sealed_and_are_never_kept_of_answers() {
    each_bed(|bed| async move {
        let mut settings = bed.settings("a", "contact.*");
        settings.headers.insert("authorization".to_owned(), Secret::from("Bearer hunter2hunter2"));
        let made = bed.make(settings).await;
        bed.receiver.always("a", Does::Echo);
        bed.happens(1).await;
        bed.drain().await;
        let got = bed.receiver.all("a").remove(0);
        assert_eq!(got.header("authorization"), "Bearer hunter2hunter2");
        let id = got.id().parse().unwrap();
        let page = PageRequest::default();
        let attempts = bed.platform.deliveries().attempts(&grant(bed.account), id, page).await;
        let response = attempts.unwrap().items[0].response.clone().unwrap();
        assert!(response.contains("authorization") && !response.contains("hunter2"), "{response}");
        let secret = made.secret.as_ref().unwrap().expose_secret().to_owned();
        assert!(!format!("{made:?}").contains("hunter2") && !format!("{made:?}").contains(&secret));
        if let Some(files) = bed.database.files() {
            let lies = |text: &str| files.windows(text.len()).any(|it| it == text.as_bytes());
            assert!(!lies("hunter2") && !lies(&secret));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_come_with_their_people() {
    each_town_reaching(super::bed::outbound(), |town| async move {
        let receiver = std::sync::Arc::new(super::bed::Receiver::default());
        let address = receiver.start(super::bed::REACHABLE).await;
        for (name, content) in [("full", true), ("thin", false)] {
            let url = format!("{address}/{name}").parse().unwrap();
            let mut settings =
                kabar::webhooks::EndpointSettings::new(url, vec!["message.*".parse().unwrap()]);
            settings.content = content;
            settings.devices = vec![town.device];
            let new = NewEndpoint { settings, secret: None };
            town.platform.webhooks().create(&grant(town.account), new, None).await.unwrap();
        }
        town.hears(kabar_sandbox::Inbound::text(crate::town::CUSTOMER, "rahasia")).await;
        let sent = town.sent("selamat").await;
        let is_read = |got: &Got| got.json()["data"]["status"] == "read";
        // On PostgreSQL the log shows what no running transaction can still come before.
        for _ in 0..200 {
            town.settle().await;
            if ["full", "thin"].iter().all(|name| receiver.all(name).iter().any(is_read)) {
                break;
            }
            super::bed::pause(std::time::Duration::from_millis(50)).await;
        }
        let received = receiver.all("full");
        let received: Vec<_> = received.iter().map(Got::json).collect();
        let one = received.iter().find(|it| it["type"] == "message.received").unwrap();
        assert_eq!(one["data"]["message"]["content"]["body"], "rahasia");
        assert_eq!(one["data"]["device"]["id"], town.device.to_string());
        assert_eq!(one["data"]["contact"]["id"], one["data"]["contact_id"]);
        let identities = one["data"]["contact"]["identities"].as_array().unwrap();
        assert!(identities.iter().any(|it| it["value"] == format!("+{}", crate::town::CUSTOMER)));
        let statuses: Vec<&str> = received
            .iter()
            .filter(|it| it["type"] == "message.status")
            .filter(|it| it["data"]["message_id"] == sent.id.to_string())
            .map(|it| it["data"]["status"].as_str().unwrap())
            .collect();
        assert!(statuses.contains(&"sent") && statuses.contains(&"read"), "{statuses:?}");
        let thin = receiver.all("thin");
        assert!(!thin.is_empty());
        for got in thin {
            let text = String::from_utf8(got.body.to_vec()).unwrap();
            assert!(!text.contains("rahasia") && !text.contains("selamat"), "{text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_waits_until_events_were_read() {
    each_bed(|bed| async move {
        bed.endpoint("shop").await;
        bed.happens(2).await;
        let store: &dyn Store<dyn EventsWork> = bed.platform.database();
        let work = store.begin().await.unwrap();
        let later = bed.clock.now() + TimeDelta::days(365);
        let scope = InstallationScope::system("test");
        work.events().prune(scope, later, 10_000).await.unwrap();
        work.commit().await.unwrap();
        bed.drain().await;
        assert_eq!(bed.receiver.count("shop"), 2);
    })
    .await;
}
