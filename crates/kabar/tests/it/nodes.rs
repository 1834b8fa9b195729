//! Several nodes, and many things at the same time.

use std::collections::BTreeMap;
use std::time::Duration;

use kabar::Platform;
use kabar::channel::{Batch, Content};
use kabar::core::StoreError;
use kabar::messaging::repo::{LaneClaim, Line};
use kabar::messaging::{Message, MessageFilter, NewMessage, Status, To};
use kabar_sandbox::{Fault, FaultEffect, TallyBy};
use kabar_testkit::accounts::grant;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::incoming::{envelope, text};
use crate::town::{CUSTOMER, SCOPE, Town, batched, each_town, each_town_with, phone};

fn people(town: &Town, count: u32) -> Vec<String> {
    let people: Vec<String> = (0..count).map(|n| format!("6281{n:08}")).collect();
    for to in &people {
        town.open_window(to);
    }
    people
}

/// Waits until every message of the outbox has left it.
async fn emptied(town: &Town) {
    for _ in 0..600 {
        town.quiet().await;
        if town.waiting().await == 0 && town.lanes().await == 0 {
            return;
        }
        pause(Duration::from_millis(100)).await;
    }
    let left = town.all(MessageFilter::default()).await;
    let left: Vec<&Message> = left.iter().filter(|message| message.queued).collect();
    panic!("{} messages never leave: {:?}", left.len(), left.first());
}

#[expect(clippy::disallowed_methods, reason = "what runs in the background is waited for")]
pub(crate) async fn pause(time: Duration) {
    tokio::time::sleep(time).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_send_each_message_once_and_in_order() {
    each_town_with(batched(), |town| async move {
        let people = people(&town, 150);
        let slow = Fault::next_send(FaultEffect::Error { code: 131_000, status: None });
        town.sandbox.add_fault(slow.times(0).probability(0.02)).unwrap();
        let nodes = if town.database.is_postgres() {
            vec![town.platform.clone(), town.second_node().await]
        } else {
            vec![town.platform.clone()]
        };
        let running: Vec<_> = nodes.iter().map(Platform::start).collect();
        let message = |n: u32| {
            let to = &people[n as usize % people.len()];
            NewMessage {
                reference: Some(format!("ref-{n}")),
                ..town.message(to, Content::text(format!("{n}")))
            }
        };
        for hundred in 0..10 {
            let call = (hundred * 100..(hundred + 1) * 100).map(message);
            town.queue(call.collect()).await;
        }
        // Retries wait by the clock.
        for _ in 0..600 {
            if town.waiting().await == 0 {
                break;
            }
            pause(Duration::from_millis(100)).await;
            town.clock.advance(chrono::TimeDelta::milliseconds(100));
        }
        emptied(&town).await;
        for running in running {
            running.stop().await;
        }
        let tally = town.sandbox.tally(TallyBy::Reference);
        assert_eq!((tally.total, tally.distinct), (1_000, 1_000), "{:?}", tally.repeated);
        for to in &people {
            let texts = town.texts(to);
            let numbers: Vec<u32> = texts.iter().map(|text| text.parse().unwrap()).collect();
            assert!(numbers.is_sorted(), "{to}: {numbers:?}");
        }
        town.quiet().await;
        for message in town.all(MessageFilter::default()).await {
            assert_eq!(message.status, Status::Read, "{:?}", message.reason);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_same_batch_from_eight_tasks_is_stored_once() {
    each_town(|town| async move {
        let now = town.platform.clock().now();
        let messages: Vec<Value> = (0..200)
            .map(|n| {
                let from = format!("6281{:08}", n % 40);
                text(&from, &format!("wamid.{n}"), "halo", now)
            })
            .collect();
        let contacts: Vec<Value> = (0..40)
            .map(|n| json!({"wa_id": format!("6281{n:08}"), "profile": {"name": format!("P{n}")}}))
            .collect();
        let mut tasks = JoinSet::new();
        for task in 0..8 {
            let platform = town.platform.clone();
            let mut messages = messages.clone();
            let mut contacts = contacts.clone();
            // Each in an order of its own.
            messages.rotate_left(task * 25);
            contacts.rotate_left(task * 5);
            if task % 2 == 0 {
                messages.reverse();
            }
            let value = json!({"messages": messages, "contacts": contacts});
            let body = envelope(value).to_string();
            tasks.spawn(async move {
                let app = kabar::devices::installation_app();
                let batch: Batch = kabar::cloud_api::webhook::decode(app, body.as_bytes(), now);
                platform.intake().accept(batch).await
            });
        }
        let mut stored = 0;
        for report in tasks.join_all().await {
            let report = report.expect("no batch is refused");
            assert_eq!(report.quarantined, 0);
            assert_eq!(report.messages + report.repeated, 200);
            stored += report.messages;
        }
        assert_eq!(stored, 200);
        let received = town.received().await;
        assert_eq!(received.len(), 200);
        let mut chats: BTreeMap<_, usize> = BTreeMap::new();
        for message in &received {
            *chats.entry((message.contact, message.conversation)).or_default() += 1;
        }
        assert_eq!(chats.len(), 40);
        assert!(chats.values().all(|count| *count == 5));
        let page = kabar::core::PageRequest::new(Some(200), None);
        let all = town.platform.contacts();
        let all = all.list(&grant(town.account), &Default::default(), page).await.unwrap();
        assert_eq!(all.items.len(), 40);
    })
    .await;
}

/// How often each task does it.
const ROUNDS: u32 = 6;

/// What goes on at the same time for a few seconds.
async fn load(platform: Platform, town: Town, task: u32, people: Vec<String>) -> usize {
    let mut sent = 0;
    for round in 0..ROUNDS {
        // Overlapping people in another order for each task.
        let mut people = people.clone();
        let turn = (task * 13 + round * 7) as usize % people.len();
        people.rotate_left(turn);
        if task % 2 == 1 {
            people.reverse();
        }
        let messages: Vec<NewMessage> = people
            .iter()
            .take(30)
            .map(|to| NewMessage {
                reference: Some(format!("{task}-{round}-{to}")),
                ..NewMessage::new(town.device, To::Phone(phone(to)), Content::text("halo"))
            })
            .collect();
        sent += messages.len();
        let queued = platform.messages().send_many(&grant(town.account), messages, None).await;
        queued.unwrap_or_else(|error| panic!("task {task}: {error:?}"));
        let inbound = people.iter().take(20).enumerate().map(|(n, from)| {
            text(from, &format!("wamid.in.{task}.{round}.{n}"), "halo", platform.clock().now())
        });
        let names = people
            .iter()
            .take(20)
            .map(|from| json!({"wa_id": from, "profile": {"name": format!("{task}.{round}")}}));
        let value = json!({"messages": inbound.collect::<Vec<_>>(),
            "contacts": names.collect::<Vec<_>>()});
        let body = envelope(value).to_string();
        let app = kabar::devices::installation_app();
        let now = platform.clock().now();
        let batch = kabar::cloud_api::webhook::decode(app, body.as_bytes(), now);
        let report = platform.intake().accept(batch).await;
        let report = report.unwrap_or_else(|error| panic!("task {task}: {error:?}"));
        assert_eq!((report.messages, report.quarantined), (20, 0));
    }
    sent
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn under_load_nothing_is_lost_doubled_or_stuck() {
    each_town_with(batched(), |town| async move {
        let people = people(&town, 60);
        let mut nodes = vec![town.platform.clone()];
        if town.database.is_postgres() {
            nodes.push(town.second_node().await);
        }
        let running: Vec<_> = nodes.iter().map(Platform::start).collect();
        let mut tasks = JoinSet::new();
        for task in 0..6_u32 {
            let platform = nodes[task as usize % nodes.len()].clone();
            tasks.spawn(load(platform, town.clone(), task, people.clone()));
        }
        let sent: usize = tasks.join_all().await.into_iter().sum();
        emptied(&town).await;
        for running in running {
            running.stop().await;
        }
        town.quiet().await;
        let tally = town.sandbox.tally(TallyBy::Reference);
        assert_eq!(
            (tally.total, tally.distinct),
            (sent as u64, sent as u64),
            "{:?}",
            tally.repeated
        );
        assert_eq!(town.received().await.len(), 6 * ROUNDS as usize * 20);
        town.settle().await;
        let out = MessageFilter {
            direction: Some(kabar::messaging::Direction::Out),
            ..MessageFilter::default()
        };
        for message in town.all(out).await {
            assert_eq!(message.status, Status::Read, "{:?}", message.reason);
        }
        let page = kabar::core::PageRequest::new(Some(200), None);
        let contacts = town.platform.contacts();
        let contacts =
            contacts.list(&grant(town.account), &Default::default(), page).await.unwrap();
        assert_eq!(contacts.items.len(), 60);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_node_had_in_hand_is_taken_over() {
    each_town(|town| async move {
        // A node that claims and dies: it never begins the send.
        let claimed = town.text("claimed").await;
        let other = town.message("6281000000001", Content::text("sending"));
        town.open_window("6281000000001");
        let sending = town.queue_one(other).await;
        let dead = claimed.id.uuid();
        let now = town.platform.clock().now();
        let until = now + chrono::TimeDelta::seconds(8);
        let work = town.road().await;
        let mut outbox = work.outbox(SCOPE);
        let claim = LaneClaim { device: town.device, owner: dead, now, until };
        let lanes = outbox.claim(claim, Line::ALL, 10).await.unwrap();
        assert_eq!(lanes.len(), 2);
        let mut heads = outbox.lock(&[claimed.id, sending.id]).await.unwrap();
        for head in &mut heads {
            head.status = Status::Processing;
            head.attempts = 1;
            head.stage = Some(if head.id == claimed.id {
                kabar::messaging::Stage::Claimed
            } else {
                kabar::messaging::Stage::Sending
            });
        }
        outbox.save(&heads).await.unwrap();
        drop(outbox);
        let committed: Result<(), StoreError> = work.commit().await;
        committed.unwrap();
        town.settle().await;
        assert!(town.sandbox.messages(&Default::default()).is_empty());
        town.wait(9);
        town.settle().await;
        assert_eq!(town.get(claimed.id).await.status, Status::Read);
        let uncertain = town.get(sending.id).await;
        assert_eq!(uncertain.status, Status::Uncertain);
        assert_eq!(uncertain.reason.unwrap().code, "interrupted");
        assert_eq!(town.texts(CUSTOMER), ["claimed"]);
        town.wait(31);
        town.settle().await;
        assert_eq!((town.waiting().await, town.lanes().await), (0, 0));
        assert_eq!(town.sandbox.messages(&Default::default()).len(), 1);
    })
    .await;
}
