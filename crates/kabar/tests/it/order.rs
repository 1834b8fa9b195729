//! Who goes first.

use kabar::channel::Content;
use kabar::messaging::{NewMessage, Purpose, Status};
use kabar_sandbox::{DEFAULT_TOKEN, DEFAULT_WABA_ID, Fault, FaultEffect, NewNumber};

use crate::town::{CUSTOMER, each_town};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_chat_stays_in_order_through_retries() {
    each_town(|town| async move {
        // Every third send is thrown back.
        let fault = Fault::next_send(FaultEffect::Error { code: 131_000, status: None })
            .times(0)
            .probability(0.3);
        town.sandbox.add_fault(fault).unwrap();
        let people = ["6281000000001", "6281000000002", "6281000000003"];
        for to in people {
            town.open_window(to);
        }
        let bodies: Vec<String> = (0..20).map(|n| format!("{n:02}")).collect();
        let messages =
            bodies.iter().flat_map(|body| people.map(|to| town.message(to, Content::text(body))));
        town.queue(messages.collect()).await;
        for _ in 0..500 {
            town.settle().await;
            if town.waiting().await == 0 {
                break;
            }
            town.wait(60);
        }
        for to in people {
            assert_eq!(town.texts(to), bodies, "{to}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn replies_overtake_what_can_wait() {
    each_town(|town| async move {
        let marketing = (0..300).map(|n| {
            let to = format!("6281{n:08}");
            town.open_window(&to);
            NewMessage { purpose: Purpose::Marketing, ..town.message(&to, Content::text("promo")) }
        });
        town.queue(marketing.collect()).await;
        let reply =
            NewMessage { purpose: Purpose::Reply, ..town.message(CUSTOMER, Content::text("halo")) };
        town.queue_one(reply).await;
        town.settle().await;
        let all = town.sandbox.messages(&Default::default());
        assert_eq!(all.len(), 301);
        let place = all.iter().position(|message| message.to.ends_with(CUSTOMER));
        // It is among the first that are in hand.
        assert!(place.unwrap() < 80, "{place:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_devices_share() {
    each_town(|town| async move {
        let number = town.sandbox.add_number(DEFAULT_WABA_ID, NewNumber::default()).unwrap();
        let second = town.register(&number.id, DEFAULT_WABA_ID, DEFAULT_TOKEN).await;
        let mut messages = Vec::new();
        for n in 0..400 {
            let to = format!("6281{n:08}");
            let first = town.message(&to, template());
            messages.push(if n < 40 { NewMessage { device: second, ..first } } else { first });
        }
        // The big one was there first.
        messages.reverse();
        town.queue(messages).await;
        town.settle().await;
        let all = town.sandbox.messages(&Default::default());
        assert_eq!(all.len(), 400);
        let last = all.iter().rposition(|message| message.phone_number_id == number.id);
        assert!(last.unwrap() < 200, "{last:?}");
        for message in town.all(Default::default()).await {
            assert_eq!(message.status, Status::Read, "{:?}", message.reason);
        }
    })
    .await;
}

fn template() -> Content {
    Content::Template(kabar::channel::content::Template {
        name: "hello_world".to_owned(),
        language: "en_US".to_owned(),
        components: Vec::new(),
    })
}
