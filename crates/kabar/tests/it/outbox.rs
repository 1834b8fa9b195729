//! Taking messages: once, many, cancelled, expired, in time.

use chrono::TimeDelta;
use kabar::channel::Content;
use kabar::core::work::OnceError;
use kabar::core::{Clock as _, MessageId};
use kabar::messaging::{MessageError, MessageFilter, NewMessage, Settlement, Status};
use kabar_sandbox::TallyBy;
use kabar_testkit::accounts::{grant, once};

use crate::town::{CUSTOMER, batched, each_town, each_town_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_call_is_the_same_call() {
    each_town(|town| async move {
        let messages = town.platform.messages().clone();
        let write = grant(town.account);
        let call = vec![
            town.message(CUSTOMER, Content::text("one")),
            town.message(CUSTOMER, Content::text("two")),
        ];
        let key = once("messages.send", "k1", 1);
        let first = messages.send_many(&write, call.clone(), Some(&key)).await;
        let first = first.unwrap();
        assert!(!first.repeated);
        town.settle().await;
        let again = messages.send_many(&write, call.clone(), Some(&key)).await;
        let again = again.unwrap();
        assert!(again.repeated);
        let ids = |queued: &kabar::messaging::Queued| -> Vec<MessageId> {
            queued.messages.iter().map(|message| message.id).collect()
        };
        assert_eq!(ids(&first), ids(&again));
        assert_eq!(again.messages[0].status, Status::Read);
        let other = once("messages.send", "k1", 2);
        let refused = messages.send_many(&write, call.clone(), Some(&other)).await;
        assert!(matches!(refused, Err(MessageError::Once(OnceError::OtherBody))), "{refused:?}");
        // Eight at the same time.
        let key = once("messages.send", "k2", 1);
        let mut calls = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (messages, call, key) = (messages.clone(), call.clone(), key.clone());
            calls.spawn(async move { messages.send_many(&write, call, Some(&key)).await });
        }
        let mut made = std::collections::BTreeSet::new();
        while let Some(ended) = calls.join_next().await {
            let queued = ended.unwrap().expect("it is taken or repeated");
            made.insert(ids(&queued));
        }
        assert_eq!(made.len(), 1);
        town.settle().await;
        assert_eq!(town.texts(CUSTOMER), ["one", "two", "one", "two"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_messages_in_one_call_arrive_once_each() {
    each_town_with(batched(), |town| async move {
        // To 400 people, several to some.
        let message = |n: u32| {
            let to = format!("6281{:08}", n % 400);
            town.open_window(&to);
            NewMessage {
                reference: Some(format!("ref-{n}")),
                ..town.message(&to, Content::text(format!("{n}")))
            }
        };
        let queued = town.queue((0..1_000).map(message).collect()).await;
        assert_eq!(queued.len(), 1_000);
        assert_eq!(town.waiting().await, 1_000);
        town.settle().await;
        assert_eq!((town.waiting().await, town.lanes().await), (0, 0));
        let tally = town.sandbox.tally(TallyBy::Reference);
        assert_eq!((tally.total, tally.distinct), (1_000, 1_000));
        for message in town.all(MessageFilter::default()).await {
            assert_eq!(message.status, Status::Read, "{:?}", message.reason);
        }
        for n in 0..400 {
            let texts = town.texts(&format!("6281{n:08}"));
            let numbers: Vec<u32> = texts.iter().map(|text| text.parse().unwrap()).collect();
            assert!(numbers.is_sorted(), "{numbers:?}");
        }
        let too_many = vec![town.message(CUSTOMER, Content::text("x")); 1_001];
        let messages = town.platform.messages();
        let refused = messages.send_many(&grant(town.account), too_many, None).await;
        assert!(matches!(refused, Err(MessageError::BadCall { .. })));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_can_be_cancelled_and_what_is_late_expires() {
    each_town(|town| async move {
        let now = town.clock.now();
        let at = |seconds| now + TimeDelta::seconds(seconds);
        let later =
            NewMessage { due_at: Some(at(100)), ..town.message(CUSTOMER, Content::text("later")) };
        let short = NewMessage {
            due_at: Some(at(50)),
            expires_at: Some(at(60)),
            ..town.message(CUSTOMER, Content::text("short"))
        };
        let cancelled = NewMessage {
            due_at: Some(at(40)),
            ..town.message(CUSTOMER, Content::text("cancelled"))
        };
        let queued = town.queue(vec![later, short, cancelled]).await;
        town.settle().await;
        assert!(town.arrived(CUSTOMER).is_empty());
        let messages = town.platform.messages();
        let write = grant(town.account);
        for _ in 0..2 {
            let cancelled = messages.cancel(&write, queued[2].id).await.unwrap();
            assert_eq!(cancelled.status, Status::Cancelled);
        }
        // What is due now is not held up by what is due later.
        assert_eq!(town.sent("now").await.status, Status::Read);
        town.wait(99);
        town.settle().await;
        assert_eq!(town.get(queued[1].id).await.status, Status::Expired);
        assert_eq!(town.texts(CUSTOMER), ["now"]);
        town.wait(1);
        town.settle().await;
        assert_eq!(town.texts(CUSTOMER), ["now", "later"]);
        assert_eq!((town.waiting().await, town.lanes().await), (0, 0));
        let late = messages.cancel(&write, queued[0].id).await;
        assert!(matches!(late, Err(MessageError::TooLate { .. })));
        let late = messages.settle(&write, queued[0].id, Settlement::Sent).await;
        assert!(matches!(late, Err(MessageError::TooLate { .. })));

        let stranger = kabar_testkit::accounts::new_account("Other");
        let accounts = town.platform.accounts();
        let other = accounts
            .create(kabar_testkit::accounts::provider(), stranger, None)
            .await
            .unwrap()
            .account
            .id;
        let foreign = messages.cancel(&grant(other), queued[0].id).await;
        assert!(matches!(foreign, Err(MessageError::NotFound)));
        let theirs = vec![town.message(CUSTOMER, Content::text("x"))];
        let foreign = messages.send_many(&grant(other), theirs, None).await;
        assert!(matches!(foreign, Err(MessageError::Invalid(_))));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_on_a_removed_device_is_cancelled() {
    each_town(|town| async move {
        let queued = town.queue(vec![town.message(CUSTOMER, Content::text("too late"))]).await;
        town.platform.devices().remove(&grant(town.account), town.device).await.unwrap();
        town.settle().await;
        let message = town.get(queued[0].id).await;
        assert_eq!(message.status, Status::Cancelled);
        assert_eq!(message.reason.unwrap().code, "device_removed");
        assert!(town.arrived(CUSTOMER).is_empty());
        assert_eq!((town.waiting().await, town.lanes().await), (0, 0));
    })
    .await;
}
