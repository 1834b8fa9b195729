//! Sending again: one, many, all; and taking it back.

use chrono::TimeDelta;
use kabar::core::{Clock as _, JobId};
use kabar::webhooks::{DeliveryError, DeliveryFilter, DeliveryState, Resend, ResendState};
use kabar_testkit::accounts::grant;

use super::bed::{Bed, Does, each_bed};

/// Deliveries that fail for good.
async fn failed(bed: &Bed, name: &str, count: usize) {
    bed.receiver.always(name, Does::Answer(500));
    bed.happens(count).await;
    // A dead endpoint is probed, so this takes its time.
    for _ in 0..count * 12 {
        bed.drain().await;
        bed.wait(TimeDelta::hours(30));
    }
}

async fn ended(bed: &Bed, id: JobId) -> Resend {
    bed.platform.deliveries().get_resend(&grant(bed.account), id).await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_failed_goes_out_again_under_its_id() {
    each_bed(|bed| async move {
        let settings = kabar::webhooks::DelivererSettings {
            disable_after: std::time::Duration::from_hours(24 * 10_000),
            keep_others: std::time::Duration::from_hours(24 * 10_000),
            ..Default::default()
        };
        let bed = Bed { platform: bed.another(settings).await, ..bed };
        let id = bed.endpoint("a").await.endpoint.id;
        failed(&bed, "a", 3).await;
        let filter = DeliveryFilter { state: Some(DeliveryState::Failed), ..Default::default() };
        let before = bed.deliveries(filter.clone()).await;
        assert_eq!(before.len(), 3);
        bed.receiver.always("a", Does::Take);
        let deliveries = bed.platform.deliveries();
        let one = deliveries.retry(&grant(bed.account), before[0].id).await.unwrap();
        assert_eq!((one.state, one.attempts), (DeliveryState::Pending, 0));
        bed.wait(TimeDelta::minutes(6));
        bed.drain().await;
        assert_eq!(bed.delivery(one.id).await.state, DeliveryState::Delivered);
        assert_eq!(bed.receiver.all("a").last().unwrap().id(), one.id.to_string());
        // The others, by a filter that fits no more than them.
        let wanted = DeliveryFilter {
            endpoint: Some(id),
            kind: Some("contact.changed".to_owned()),
            ..Default::default()
        };
        let resend = deliveries.resend(&grant(bed.account), wanted, None).await.unwrap();
        assert_eq!(resend.state, ResendState::Running);
        bed.drain().await;
        let resend = ended(&bed, resend.id).await;
        assert_eq!((resend.state, resend.looked_at, resend.resent), (ResendState::Done, 2, 2));
        assert!(bed.deliveries(filter).await.is_empty());
        // Everything, also what arrived.
        let all = DeliveryFilter { state: Some(DeliveryState::Delivered), ..Default::default() };
        let resend = deliveries.resend(&grant(bed.account), all, None).await.unwrap();
        let seen = bed.receiver.count("a");
        bed.drain().await;
        assert_eq!(ended(&bed, resend.id).await.resent, 3);
        assert_eq!(bed.receiver.count("a"), seen + 3);
        let other = DeliveryFilter { kind: Some("device.added".to_owned()), ..Default::default() };
        let resend = deliveries.resend(&grant(bed.account), other, None).await.unwrap();
        bed.drain().await;
        assert_eq!(ended(&bed, resend.id).await.looked_at, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_resend_goes_on_and_can_be_stopped() {
    each_bed(|bed| async move {
        bed.endpoint("a").await;
        bed.happens(1_200).await;
        bed.drain().await;
        assert_eq!(bed.receiver.count("a"), 1_200);
        bed.wait(TimeDelta::seconds(1));
        let deliveries = bed.platform.deliveries();
        let all = DeliveryFilter { state: Some(DeliveryState::Delivered), ..Default::default() };
        let stopped = deliveries.resend(&grant(bed.account), all.clone(), None).await.unwrap();
        deliveries.cancel_resend(&grant(bed.account), stopped.id).await.unwrap();
        let again = deliveries.cancel_resend(&grant(bed.account), stopped.id).await;
        assert!(matches!(again, Err(DeliveryError::Ended)));
        let whole = deliveries.resend(&grant(bed.account), all, None).await.unwrap();
        bed.drain().await;
        assert_eq!(ended(&bed, stopped.id).await.resent, 0);
        assert_eq!(ended(&bed, whole.id).await.resent, 1_200);
        assert_eq!(bed.receiver.count("a"), 2_400);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_goes() {
    each_bed(|bed| async move {
        let id = bed.endpoint("a").await.endpoint.id;
        bed.happens(3).await;
        bed.drain().await;
        let (count, now) = (bed.deliveries(DeliveryFilter::default()).await.len(), bed.clock.now());
        assert_eq!(count, 3);
        let pruned = bed.platform.prune_webhooks().await.unwrap();
        assert_eq!(pruned, 0);
        bed.clock.set(now + TimeDelta::days(8));
        assert_eq!(bed.platform.prune_webhooks().await.unwrap(), 3);
        bed.receiver.always("a", Does::Answer(500));
        bed.happens(2).await;
        bed.drain().await;
        bed.platform.webhooks().remove(&grant(bed.account), id).await.unwrap();
        bed.wait(TimeDelta::hours(1));
        bed.drain().await;
        assert_eq!(bed.platform.prune_webhooks().await.unwrap(), 2);
        assert!(bed.deliveries(DeliveryFilter::default()).await.is_empty());
    })
    .await;
}
