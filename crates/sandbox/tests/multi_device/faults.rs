//! Trouble on the way of messages.

use std::time::Duration;

use kabar_sandbox::multi_device::{DeviceFault, DeviceFaultEffect, DeviceFaultPoint, PhoneHabits};
use whatsapp_rust::prelude::Event;

use crate::bed::{ALICE, BOB, PATIENCE, device, pn, server};

fn on_send(effect: DeviceFaultEffect) -> DeviceFault {
    DeviceFault::on(DeviceFaultPoint::Send, effect).account(ALICE)
}

fn on_delivery(effect: DeviceFaultEffect) -> DeviceFault {
    DeviceFault::on(DeviceFaultPoint::Deliver, effect).account(ALICE)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_message_is_asked_for_again() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    // A client that cannot read a message asks its own phone as well; here only the sender helps.
    let unhelpful = PhoneHabits { recovers: false, ..Default::default() };
    server.phone(ALICE).unwrap().set_habits(unhelpful).unwrap();
    let alice = device(&server, ALICE).await;
    bob.text(ALICE, "whole").unwrap();
    alice.text("whole").await;
    server.add_fault(on_delivery(DeviceFaultEffect::Corrupt)).unwrap();
    let id = bob.text(ALICE, "damaged").unwrap();
    let got = alice.text("damaged").await;
    assert_eq!(got.info.id.as_str(), id.as_str());
    let asked = bob.wait_for_receipt("a retry", PATIENCE, |it| it.kind == "retry").await;
    assert!(asked.is_ok(), "{:?} {:?}", bob.failures(), bob.receipts());
    assert_eq!(alice.count_texts("damaged"), 1);
    bob.text(ALICE, "after").unwrap();
    alice.text("after").await;
    alice.client.send_text(pn(BOB), "and back").await.unwrap();
    bob.wait_for_text("and back", PATIENCE).await.unwrap();
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_helps_its_companion_to_what_it_could_not_read() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    bob.set_habits(PhoneHabits { retries: false, ..Default::default() }).unwrap();
    let alice = device(&server, ALICE).await;
    server.add_fault(on_delivery(DeviceFaultEffect::Corrupt)).unwrap();
    bob.text(ALICE, "damaged").unwrap();
    let got = alice.text("damaged").await;
    assert!(got.info.unavailable_request_id.is_some(), "recovered from the phone");
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_send_again_what_a_client_could_not_read() {
    let server = server().await;
    let unhelpful = PhoneHabits { recovers: false, ..Default::default() };
    server.phone(ALICE).unwrap().set_habits(unhelpful).unwrap();
    let alice = device(&server, ALICE).await;
    let bob = device(&server, BOB).await;
    bob.client.send_text(pn(ALICE), "whole").await.unwrap();
    alice.text("whole").await;
    server.add_fault(on_delivery(DeviceFaultEffect::Corrupt)).unwrap();
    bob.client.send_text(pn(ALICE), "damaged").await.unwrap();
    alice.text("damaged").await;
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repetition_is_shown_once() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    server.add_fault(on_delivery(DeviceFaultEffect::Duplicate { copies: 3 })).unwrap();
    bob.text(ALICE, "thrice").unwrap();
    bob.text(ALICE, "once").unwrap();
    alice.text("once").await;
    assert_eq!(alice.count_texts("thrice"), 1);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_without_ack_has_arrived_all_the_same() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    server.add_fault(on_send(DeviceFaultEffect::LoseAck)).unwrap();
    let lost = alice.client.send_text(pn(BOB), "no ack").await.unwrap();
    bob.wait_for_text("no ack", PATIENCE).await.unwrap();
    let kept = alice.client.send_text(pn(BOB), "with ack").await.unwrap();
    alice.ack(&kept.message_id).await.unwrap();
    let acked = alice.seen_ack(&lost.message_id);
    assert!(!acked, "the ack was lost");
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_name_their_code() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    for code in [463, 475] {
        let lasts = (code == 463).then_some(3_600);
        server.add_fault(on_send(DeviceFaultEffect::AckError { code, lasts })).unwrap();
        let sent = alice.client.send_text(pn(BOB), format!("refused {code}")).await.unwrap();
        assert_eq!(alice.ack(&sent.message_id).await, Err(code.to_string()));
    }
    let lock = alice.client.mex().fetch_reachout_timelock().await.unwrap();
    assert_eq!(lock.is_active, Some(true));
    let ends: u64 = lock.time_enforcement_ends.unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    assert!(ends.abs_diff(now.as_secs() + 3_600) < 60, "as the fault says");
    assert!(bob.messages().is_empty());
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_acknowledged_comes_again() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    let quiet = |waiting| {
        server.wait_for_companion(ALICE, alice.id, "what waits", PATIENCE, move |it| {
            it.waiting == waiting
        })
    };
    quiet(0).await.unwrap();
    // Written to a connection that no longer carries anything.
    let freeze = DeviceFaultEffect::HalfOpen { accept: true };
    server.add_fault(on_delivery(freeze)).unwrap();
    bob.text(ALICE, "into the void").unwrap();
    quiet(1).await.unwrap();
    alice.client.reconnect().await;
    let got = alice.text("into the void").await;
    assert!(got.info.is_offline);
    assert_eq!(alice.count_texts("into the void"), 1);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_link_is_slow() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    let delay = Duration::from_millis(400);
    server.slow_down(ALICE, None, 400);
    let start = std::time::Instant::now();
    bob.text(ALICE, "slow").unwrap();
    alice.text("slow").await;
    assert!(start.elapsed() >= delay);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_send_can_be_repeated_under_its_id() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    server.add_fault(on_send(DeviceFaultEffect::Drop { accept: true })).unwrap();
    let sent = alice.client.send_text(pn(BOB), "uncertain").await.unwrap();
    bob.wait_for_text("uncertain", PATIENCE).await.unwrap();
    alice.wait("a disconnect", |it| matches!(it, Event::Disconnected(_)).then_some(())).await;
    server.wait_online(ALICE, alice.id, PATIENCE).await.unwrap();
    alice.client.wait_for_connected(PATIENCE).await.unwrap();
    let options = whatsapp_rust::SendOptions::default().with_message_id(sent.message_id.clone());
    let again = whatsapp_rust::prelude::wa::Message {
        conversation: Some("uncertain".to_owned()),
        ..Default::default()
    };
    alice.client.send_message_with_options(pn(BOB), again, options).await.unwrap();
    alice.ack(&sent.message_id).await.unwrap();
    let got = bob.wait_for("both", PATIENCE, |it| it.arrivals == 2).await.unwrap();
    assert_eq!(got.id, sent.message_id);
    assert_eq!(bob.messages().len(), 1, "a phone shows it once");
    alice.stop().await;
}
