//! Many at once: nothing is lost, nothing doubled.

use std::sync::Arc;

use kabar_sandbox::TallyBy;
use serde_json::json;

use crate::bed::Bed;

const SENDERS: usize = 16;
const EACH: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn every_message_is_counted_once_and_reported_thrice() {
    let bed = Arc::new(Bed::new().await);
    bed.sandbox.change_settings(|it| it.window = kabar_sandbox::WindowMode::Off);
    let senders = (0..SENDERS).map(|sender| {
        let bed = Arc::clone(&bed);
        tokio::spawn(async move {
            for i in 0..EACH {
                let reference = format!("{sender}-{i}");
                let to = format!("62811{:06}", sender * EACH + i);
                let content = json!({
                    "to": to, "text": {"body": "hi"}, "biz_opaque_callback_data": reference,
                });
                assert_eq!(bed.send(content).await.0, 200);
            }
        })
    });
    for sender in senders.collect::<Vec<_>>() {
        sender.await.unwrap();
    }
    bed.quiet().await;
    let all = (SENDERS * EACH) as u64;
    let tally = bed.sandbox.tally(TallyBy::Reference);
    assert_eq!((tally.total, tally.distinct), (all, all));
    let names = bed.receiver.status_names();
    for name in ["sent", "delivered", "read"] {
        assert_eq!(names.iter().filter(|it| *it == name).count() as u64, all);
    }
}
