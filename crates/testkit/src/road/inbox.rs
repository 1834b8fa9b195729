//! What could not be placed yet, or at all.

use bytes::Bytes;
use chrono::TimeDelta;
use kabar_channel::StatusUpdate;
use kabar_channel::incoming::{Delivery, PersonIds};
use kabar_messaging::repo::{ParkedStatus, QuarantineRow, RawRow, Receipt};

use super::Road;
use crate::accounts::provider;

pub(super) async fn contract(road: &Road) {
    statuses_are_parked_and_taken_once(road).await;
    raw_bodies_are_kept_once(road).await;
    receipts_never_go_backwards(road).await;
}

async fn statuses_are_parked_and_taken_once(road: &Road) {
    let status = |wire_id: &str, delivery| ParkedStatus {
        id: road.id(),
        device: road.device,
        status: StatusUpdate {
            wire_id: wire_id.to_owned(),
            callback: None,
            delivery,
            at: Some(road.now()),
            recipient: PersonIds::default(),
            participant: None,
            pricing: None,
            entry_point_expires_at: None,
        },
        at: road.now(),
    };
    let parked = [
        status("parked.1", Delivery::Sent),
        status("parked.1", Delivery::Read),
        status("parked.2", Delivery::Sent),
    ];
    let work = road.begin().await;
    let mut inbox = work.inbox(provider());
    inbox.park(&parked).await.unwrap();
    assert!(inbox.parked_with_message(10).await.unwrap().is_empty());
    drop(inbox);
    let mut message = road.waiting(road.lane());
    message.wire_id = Some("parked.1".to_owned());
    work.messages(road.scope()).insert(&[message]).await.unwrap();
    let mut inbox = work.inbox(provider());
    let known = [(road.device, "parked.1".to_owned())];
    assert_eq!(inbox.parked_with_message(10).await.unwrap(), known);
    assert!(inbox.take_parked(&[]).await.unwrap().is_empty());
    let elsewhere = [(road.second, "parked.1".to_owned())];
    assert!(inbox.take_parked(&elsewhere).await.unwrap().is_empty());
    assert_eq!(inbox.take_parked(&known).await.unwrap(), parked[..2]);
    assert!(inbox.take_parked(&known).await.unwrap().is_empty());
}

async fn raw_bodies_are_kept_once(road: &Road) {
    let app = road.id();
    let raw = |hash, at| RawRow {
        id: road.id(),
        app,
        hash: [hash; 32],
        bytes: Bytes::from_static(b"\xff\0"),
        at,
    };
    let odd = |hash, problem: &str| QuarantineRow {
        id: road.id(),
        account: None,
        device: None,
        hash: [hash; 32],
        problem: problem.to_owned(),
        raw: "{}".to_owned(),
        at: road.now(),
    };
    let old = road.now() - TimeDelta::days(3);
    let work = road.begin().await;
    let mut inbox = work.inbox(provider());
    for body in [raw(1, old), raw(1, old), raw(2, road.now())] {
        inbox.keep_raw(std::slice::from_ref(&body)).await.unwrap();
    }
    inbox.quarantine(&[odd(1, "a"), odd(1, "a"), odd(2, "b")]).await.unwrap();
    inbox.quarantine(&[odd(1, "c")]).await.unwrap();
}

async fn receipts_never_go_backwards(road: &Road) {
    let message = road.waiting(road.lane());
    let receipt = |participant: &str, status: &str| Receipt {
        message: message.id,
        participant: participant.to_owned(),
        status: status.to_owned(),
        at: road.now(),
    };
    let work = road.begin().await;
    work.messages(road.scope()).insert(std::slice::from_ref(&message)).await.unwrap();
    let mut inbox = work.inbox(provider());
    inbox.receipts(&[]).await.unwrap();
    let batch = [receipt("a", "read"), receipt("a", "delivered"), receipt("b", "sent")];
    inbox.receipts(&batch).await.unwrap();
    inbox.receipts(&[receipt("a", "sent"), receipt("b", "read")]).await.unwrap();
    let mut receipts = inbox.receipts_of(message.id).await.unwrap();
    receipts.sort_by(|a, b| a.participant.cmp(&b.participant));
    assert_eq!(receipts, [receipt("a", "read"), receipt("b", "read")]);
}
