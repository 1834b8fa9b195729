//! The 24-hour window and the clock.

use std::time::Duration;

use kabar_sandbox::{DeliveryStatus, Inbound, Settings, WindowMode};
use serde_json::json;

use crate::bed::{Bed, CUSTOMER, code, wamid};

const DAY: Duration = Duration::from_hours(24);

#[tokio::test]
async fn outside_the_window_messages_fail_by_webhook() {
    let bed = Bed::new().await;
    let (status, answer) = bed.send_text("too late").await;
    assert_eq!(status, 200);
    bed.quiet().await;
    let statuses = bed.receiver.statuses();
    assert_eq!(statuses.len(), 1);
    assert_eq!(statuses[0]["id"], wamid(&answer).as_str());
    assert_eq!(statuses[0]["status"], "failed");
    assert_eq!(statuses[0]["errors"][0]["code"], 131_047);
    assert_eq!(bed.sandbox.message(&wamid(&answer)).unwrap().status, DeliveryStatus::Failed);
}

#[tokio::test]
async fn a_customer_opens_the_window_and_time_closes_it() {
    let settings = Settings { window: WindowMode::Sync, ..Settings::default() };
    let bed = Bed::with(settings).await;
    assert_eq!(code(&bed.send_text("a").await.1), 131_047);
    bed.sandbox.customer_says(Inbound::text(CUSTOMER, "hi")).unwrap();
    assert_eq!(bed.send_text("b").await.0, 200);
    bed.sandbox.advance_clock(DAY);
    let (status, answer) = bed.send_text("c").await;
    assert_eq!((status, code(&answer)), (400, 131_047));
    let template = json!({"name": "hello_world", "language": {"code": "en_US"}});
    assert_eq!(bed.send(json!({"type": "template", "template": template})).await.0, 200);
}

#[tokio::test]
async fn limits_refuse_what_is_too_fast() {
    let bed = Bed::new().await;
    bed.sandbox.change_settings(|it| it.pair_limit = true);
    bed.open_window(CUSTOMER);
    let mut refused = 0;
    for _ in 0..50 {
        let (status, answer) = bed.send_text("again").await;
        if status != 200 {
            assert_eq!(code(&answer), 131_056);
            refused += 1;
        }
    }
    assert!((1..=5).contains(&refused), "{refused}");
    bed.sandbox.change_settings(|it| {
        it.pair_limit = false;
        it.throughput_per_second = Some(0);
    });
    assert_eq!(code(&bed.send_text("again").await.1), 130_429);
}
