//! Groups.

use kabar_sandbox::multi_device::{Addressing, MemberChange, MultiDevice, MultiDeviceConfig};
use whatsapp_rust::prelude::{Event, Jid};

use crate::bed::{ALICE, BOB, CAROL, PATIENCE, device, pn, server};

async fn texts_go_both_ways(server: MultiDevice) {
    let bob = server.phone(BOB).unwrap();
    let carol = server.phone(CAROL).unwrap();
    let alice = device(&server, ALICE).await;
    let group = bob.create_group("Three", &[ALICE, CAROL]).unwrap();
    let jid: Jid = group.parse().unwrap();
    alice.wait("the group", |it| matches!(it, Event::GroupUpdate(_)).then_some(())).await;

    bob.text(&group, "from the phone").unwrap();
    let got = alice.text("from the phone").await;
    assert!(got.info.source.is_group);
    assert_eq!(got.info.source.chat.to_string(), group);

    for body in ["from the client", "and once more"] {
        let sent = alice.client.send_text(jid.clone(), body).await.unwrap();
        alice.ack(&sent.message_id).await.unwrap();
        for phone in [&bob, &carol] {
            let got = phone.wait_for_text(body, PATIENCE).await.unwrap();
            assert_eq!((got.chat.as_str(), got.sender.as_str(), got.arrivals), (&*group, ALICE, 1));
        }
        alice.receipt(&sent.message_id, "Delivered").await;
        alice.receipt(&sent.message_id, "Read").await;
    }
    carol.text(&group, "carol too").unwrap();
    alice.text("carol too").await;
    bob.wait_for_text("carol too", PATIENCE).await.unwrap();
    for phone in [&bob, &carol] {
        assert!(phone.failures().is_empty(), "{:?}", phone.failures());
    }
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_both_ways_by_lid() {
    texts_go_both_ways(server().await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_both_ways_by_number() {
    let config = MultiDeviceConfig { group_addressing: Addressing::Pn, ..Default::default() };
    texts_go_both_ways(MultiDevice::start(config).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_runs_a_group() {
    let server = server().await;
    let alice = device(&server, ALICE).await;
    let groups = alice.client.groups();
    let member = whatsapp_rust::features::GroupParticipantOptions::builder().jid(pn(BOB)).build();
    let options = whatsapp_rust::features::GroupCreateOptions::builder()
        .subject("Club")
        .participants(vec![member])
        .build();
    let created = groups.create_group(options).await.unwrap();
    let jid = created.metadata.id.clone();
    assert_eq!(created.metadata.subject, "Club");

    let added = groups.add_participants(&jid, &[pn(CAROL)]).await.unwrap();
    assert_eq!(added.len(), 1);
    groups.promote_participants(&jid, &[pn(BOB)]).await.unwrap();
    let metadata = groups.get_metadata(&jid).await.unwrap();
    assert_eq!(metadata.participants.len(), 3);
    assert_eq!(groups.get_participating().await.unwrap().len(), 1);
    groups.remove_participants(&jid, &[pn(CAROL)]).await.unwrap();
    assert_eq!(groups.get_metadata(&jid).await.unwrap().participants.len(), 2);

    let bob = server.phone(BOB).unwrap();
    bob.leave(&jid.to_string()).unwrap();
    let refused = bob.text(&jid.to_string(), "from outside");
    assert!(refused.is_err(), "who left cannot write");
    groups.leave(jid).await.unwrap();
    assert_eq!(server.unhandled(), []);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_comes_later_reads_from_then_on() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    let group = bob.create_group("Open", &[ALICE]).unwrap();
    let jid: Jid = group.parse().unwrap();
    let count = |it: &Event| matches!(it, Event::GroupUpdate(_)).then_some(());
    alice.wait("the group", count).await;
    alice.client.send_text(jid.clone(), "before").await.unwrap();
    bob.wait_for_text("before", PATIENCE).await.unwrap();
    bob.change_group(&group, MemberChange::Add, &[CAROL]).unwrap();
    // The notification is ahead of this text on the same connection.
    bob.text(&group, "carol is here").unwrap();
    alice.text("carol is here").await;
    alice.client.send_text(jid, "after").await.unwrap();
    let carol = server.phone(CAROL).unwrap();
    carol.wait_for_text("after", PATIENCE).await.unwrap();
    assert!(carol.messages().iter().all(|it| it.text() != Some("before")));
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_write_to_each_other_in_a_group() {
    let server = server().await;
    let alice = device(&server, ALICE).await;
    let bob = device(&server, BOB).await;
    let carol = server.phone(CAROL).unwrap();
    let group = carol.create_group("Clients", &[ALICE, BOB]).unwrap();
    let jid: Jid = group.parse().unwrap();
    for device in [&alice, &bob] {
        device.wait("the group", |it| matches!(it, Event::GroupUpdate(_)).then_some(())).await;
    }
    for round in 0..3 {
        alice.client.send_text(jid.clone(), format!("alice {round}")).await.unwrap();
        bob.text(&format!("alice {round}")).await;
        bob.client.send_text(jid.clone(), format!("bob {round}")).await.unwrap();
        alice.text(&format!("bob {round}")).await;
        let got = carol.wait_for_text(&format!("bob {round}"), PATIENCE).await.unwrap();
        assert_eq!(got.arrivals, 1);
    }
    assert!(carol.failures().is_empty(), "{:?}", carol.failures());
    for number in [ALICE, BOB] {
        let phone = server.phone(number).unwrap();
        assert!(phone.failures().is_empty(), "{:?}", phone.failures());
    }
    alice.stop().await;
    bob.stop().await;
}
