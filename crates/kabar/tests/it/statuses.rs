//! Statuses without their message, in any order, in any number.

use kabar::channel::Content;
use kabar::messaging::Status;
use kabar_sandbox::{Fault, FaultEffect, FaultPoint};
use serde_json::{Value, json};

use crate::incoming::{accept, envelope};
use crate::town::{CUSTOMER, Town, each_town};

fn status(wamid: &str, word: &str, at: i64) -> Value {
    json!({"id": wamid, "status": word, "timestamp": at.to_string(), "recipient_id": CUSTOMER})
}

async fn post(town: &Town, statuses: Vec<Value>) -> kabar::channel::IntakeReport {
    let body = envelope(json!({"statuses": statuses})).to_string();
    accept(town, body.as_bytes()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_status_waits_for_its_message() {
    each_town(|town| async move {
        let at = town.platform.clock().now().timestamp();
        let statuses = vec![status("wamid.echo", "read", at), status("wamid.echo", "sent", at)];
        let report = post(&town, statuses).await;
        assert_eq!((report.statuses, report.parked), (0, 2));
        town.platform.drain().await.unwrap();
        // The business wrote it on its phone; that comes later than what became of it.
        let echo = json!({"from": "15550783881", "to": CUSTOMER, "id": "wamid.echo",
            "timestamp": at.to_string(), "type": "text", "text": {"body": "halo"}});
        let mut body = envelope(json!({"message_echoes": [echo]}));
        body["entry"][0]["changes"][0]["field"] = json!("smb_message_echoes");
        let report = accept(&town, body.to_string().as_bytes()).await;
        assert_eq!(report.messages, 1);
        town.platform.drain().await.unwrap();
        let stored = town.all(Default::default()).await.remove(0);
        assert_eq!(stored.status, Status::Read);
        assert_eq!(stored.origin, kabar::messaging::Origin::PhoneEcho);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_statuses_in_one_post() {
    each_town(|town| async move {
        let lost = Fault::on(FaultPoint::Statuses, FaultEffect::Lose).times(0);
        town.sandbox.add_fault(lost).unwrap();
        let messages = (0..250).map(|n| {
            let to = format!("6281{n:08}");
            town.open_window(&to);
            town.message(&to, Content::text("halo"))
        });
        town.queue(messages.collect()).await;
        town.settle().await;
        let at = town.platform.clock().now().timestamp();
        let mut statuses = Vec::new();
        for message in town.all(Default::default()).await {
            assert_eq!(message.status, Status::Sent, "{:?}", message.reason);
            let wamid = message.wire_id.unwrap();
            for word in ["read", "delivered", "failed", "sent"] {
                statuses.push(status(&wamid, word, at));
            }
        }
        assert_eq!(statuses.len(), 1_000);
        let report = post(&town, statuses.clone()).await;
        assert_eq!((report.parked, report.quarantined), (0, 0), "{report:?}");
        let report = post(&town, statuses).await;
        assert_eq!((report.statuses, report.parked), (0, 0), "{report:?}");
        for message in town.all(Default::default()).await {
            assert_eq!(message.status, Status::Read);
        }
    })
    .await;
}
