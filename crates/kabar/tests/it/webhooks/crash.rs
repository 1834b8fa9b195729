//! A node that dies: every event arrives, always under the same id.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use kabar::webhooks::{DelivererSettings, DeliveryFilter, DeliveryState};

use super::bed::{Bed, Does, each_bed, pause, until};

/// The ids under which each contact's event arrived.
fn arrivals(bed: &Bed, name: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut arrived: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for got in bed.receiver.all(name) {
        let contact = got.json()["data"]["contact_id"].as_str().unwrap().to_owned();
        arrived.entry(contact).or_default().insert(got.id().to_owned());
    }
    arrived
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_dies_is_taken_over() {
    each_bed(|bed| async move {
        bed.endpoint("a").await;
        bed.receiver.always("a", Does::Slow(Duration::from_millis(3)));
        let mut happened = 0;
        for _ in 0..6 {
            // Dropped in the middle, as a crash does: nothing is finished, nothing given back.
            let node = bed.another(DelivererSettings::default()).await;
            let store: kabar::Database = node.database().clone();
            let running = tokio::spawn(async move {
                let running = node.start();
                std::future::pending::<()>().await;
                drop(running);
            });
            bed.happens(120).await;
            happened += 120;
            pause(Duration::from_millis(40)).await;
            running.abort();
            let _ = running.await;
            store.close().await;
            // Leases run out by the clock.
            bed.wait(TimeDelta::seconds(10));
        }
        let node = bed.another(DelivererSettings::default()).await;
        let running = node.start();
        until(|| arrivals(&bed, "a").len() == happened).await;
        running.stop().await;
        bed.wait(TimeDelta::minutes(10));
        bed.drain().await;
        let arrived = arrivals(&bed, "a");
        assert_eq!(arrived.len(), happened);
        assert!(arrived.values().all(|ids| ids.len() == 1), "an event has one id");
        let all = bed.deliveries(DeliveryFilter::default()).await;
        assert_eq!(all.len(), happened);
        assert!(all.iter().all(|it| it.state == DeliveryState::Delivered));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_share_the_work_and_deliver_once() {
    each_bed(|bed| async move {
        if !bed.database.is_postgres() {
            return;
        }
        for name in ["a", "b", "c", "d"] {
            bed.endpoint(name).await;
        }
        let other = bed.another(DelivererSettings::default()).await;
        let running = [bed.platform.start(), other.start()];
        for _ in 0..20 {
            bed.happens(25).await;
        }
        let names = ["a", "b", "c", "d"];
        until(|| names.iter().all(|name| bed.receiver.count(name) >= 500)).await;
        for running in running {
            running.stop().await;
        }
        for name in names {
            assert_eq!(bed.receiver.count(name), 500, "each once");
            let arrived = arrivals(&bed, name);
            assert_eq!(arrived.len(), 500);
            assert!(arrived.values().all(|ids| ids.len() == 1));
        }
    })
    .await;
}
