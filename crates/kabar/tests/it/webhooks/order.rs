//! Order in each chat, for endpoints that want it.

use chrono::TimeDelta;
use kabar::core::ConversationId;
use kabar::webhooks::{DeliveryFilter, DeliveryState, EndpointPatch};
use kabar_testkit::accounts::grant;

use super::bed::{Bed, Does, each_bed};

/// The chats of what a receiver got, in the order it got them.
fn numbers(bed: &Bed, name: &str) -> Vec<(String, String)> {
    let got = bed.receiver.all(name);
    let read = got.iter().map(|got| {
        let data = &got.json()["data"];
        let word = |field: &str| data[field].as_str().unwrap().to_owned();
        (word("conversation_id"), word("message_id"))
    });
    read.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_arrives_in_order_and_holds_up_itself_alone() {
    each_bed(|bed| async move {
        let mut settings = bed.settings("a", "message.*");
        settings.ordered = true;
        bed.make(settings).await;
        let (one, two): (ConversationId, ConversationId) = (bed.id(), bed.id());
        bed.receiver.next("a", [Does::Answer(500)]);
        bed.says(one, 1).await;
        bed.drain().await;
        bed.says(one, 5).await;
        bed.says(two, 5).await;
        bed.drain().await;
        let arrived = numbers(&bed, "a");
        let of = |chat: ConversationId| {
            let chat = chat.to_string();
            let own = arrived.iter().filter(|(it, _)| *it == chat);
            own.map(|(_, message)| message.clone()).collect::<Vec<_>>()
        };
        assert_eq!(of(one).len(), 1, "its head failed, the rest waits");
        assert_eq!(of(two).len(), 5, "another chat does not wait");
        assert!(of(two).is_sorted());
        bed.wait(TimeDelta::seconds(7));
        bed.drain().await;
        let arrived = numbers(&bed, "a");
        let own: Vec<&String> =
            arrived.iter().filter(|(it, _)| *it == one.to_string()).map(|(_, m)| m).collect();
        assert_eq!(own.len(), 7, "the head twice");
        assert!(own.is_sorted());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn order_holds_under_way() {
    each_bed(|bed| async move {
        let mut settings = bed.settings("a", "message.*");
        settings.ordered = true;
        settings.concurrency = 20;
        bed.make(settings).await;
        let chats: Vec<ConversationId> = (0..10).map(|_| bed.id()).collect();
        let running = bed.platform.start();
        for _ in 0..10 {
            for chat in &chats {
                bed.says(*chat, 2).await;
            }
        }
        super::bed::until(|| bed.receiver.count("a") >= 200).await;
        running.stop().await;
        let arrived = numbers(&bed, "a");
        assert_eq!(arrived.len(), 200);
        for chat in chats {
            let own = arrived.iter().filter(|(it, _)| *it == chat.to_string());
            assert!(own.map(|(_, message)| message).is_sorted());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_wanting_order_waits_for_nobody() {
    each_bed(|bed| async move {
        let mut settings = bed.settings("a", "message.*");
        settings.ordered = true;
        let id = bed.make(settings).await.endpoint.id;
        bed.receiver.next("a", [Does::Answer(500)]);
        let chat: ConversationId = bed.id();
        bed.says(chat, 5).await;
        bed.drain().await;
        assert_eq!(bed.receiver.count("a"), 1);
        let patch = EndpointPatch { ordered: Some(false), ..Default::default() };
        bed.platform.webhooks().update(&grant(bed.account), id, patch).await.unwrap();
        bed.drain().await;
        assert_eq!(bed.receiver.count("a"), 5);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_head_lets_the_next_go() {
    each_bed(|bed| async move {
        let mut settings = bed.settings("a", "message.*");
        settings.ordered = true;
        bed.make(settings).await;
        bed.receiver.next("a", [Does::Answer(500)]);
        let chat: ConversationId = bed.id();
        bed.says(chat, 3).await;
        bed.drain().await;
        let head = bed.receiver.all("a")[0].id().parse().unwrap();
        let deliveries = bed.platform.deliveries();
        deliveries.cancel(&grant(bed.account), head).await.unwrap();
        bed.drain().await;
        assert_eq!(bed.receiver.count("a"), 3);
        let filter = DeliveryFilter { state: Some(DeliveryState::Cancelled), ..Default::default() };
        assert_eq!(bed.deliveries(filter).await.len(), 1);
    })
    .await;
}
