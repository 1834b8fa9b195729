//! An endpoint's own limits, and what it asks for.

use chrono::TimeDelta;
use kabar::webhooks::DelivererSettings;
use std::time::Duration;

use super::bed::{Does, each_bed, until};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rate_is_never_exceeded() {
    each_bed(|bed| async move {
        let mut settings = bed.settings("a", "contact.*");
        settings.rate = Some(5);
        bed.make(settings).await;
        bed.happens(17).await;
        for expected in [5, 10, 15, 17] {
            bed.drain().await;
            assert_eq!(bed.receiver.count("a"), expected);
            bed.wait(TimeDelta::milliseconds(990));
            bed.drain().await;
            assert_eq!(bed.receiver.count("a"), expected, "within the second");
            bed.wait(TimeDelta::milliseconds(10));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_are_under_way_than_allowed() {
    each_bed(|bed| async move {
        let mut settings = bed.settings("a", "contact.*");
        settings.concurrency = 3;
        bed.make(settings).await;
        bed.receiver.always("a", Does::Slow(Duration::from_millis(20)));
        bed.happens(40).await;
        let nodes = if bed.database.is_postgres() {
            vec![bed.platform.clone(), bed.another(DelivererSettings::default()).await]
        } else {
            vec![bed.platform.clone()]
        };
        let running: Vec<_> = nodes.iter().map(kabar::Platform::start).collect();
        until(|| bed.receiver.count("a") >= 40).await;
        for running in running {
            running.stop().await;
        }
        assert_eq!(bed.receiver.count("a"), 40);
        assert_eq!(bed.receiver.most("a"), 3);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_says_slow_down_is_left_alone() {
    each_bed(|bed| async move {
        let id = bed.endpoint("a").await.endpoint.id;
        let busy = || Does::AnswerWith(429, "retry-after", "600".to_owned());
        bed.receiver.next("a", [busy(), busy()]);
        bed.happens(10).await;
        bed.drain().await;
        let asked = bed.receiver.count("a");
        assert!(asked <= 2, "what was under way: {asked}");
        assert!(bed.get(id).await.health.hold_until.is_some());
        bed.wait(TimeDelta::seconds(599));
        bed.happens(1).await;
        bed.drain().await;
        assert_eq!(bed.receiver.count("a"), asked);
        bed.wait(TimeDelta::seconds(1));
        bed.drain().await;
        assert_eq!(bed.receiver.count("a"), asked + 11);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_endpoint_is_probed() {
    each_bed(|bed| async move {
        let id = bed.endpoint("a").await.endpoint.id;
        bed.receiver.always("a", Does::Answer(500));
        bed.happens(300).await;
        bed.drain().await;
        let first = bed.receiver.count("a");
        assert!(first <= 7, "{first} attempts until it was known");
        for round in 1..=5 {
            bed.wait(TimeDelta::seconds(301));
            bed.drain().await;
            assert_eq!(bed.receiver.count("a"), first + round, "one probe at a time");
        }
        bed.receiver.always("a", Does::Take);
        bed.wait(TimeDelta::seconds(301));
        bed.drain().await;
        bed.wait(TimeDelta::hours(2));
        bed.drain().await;
        let backlog = bed.platform.webhooks();
        let read = kabar_testkit::accounts::grant(bed.account);
        assert_eq!(backlog.backlog(&read, id).await.unwrap().1.waiting, 0);
    })
    .await;
}
