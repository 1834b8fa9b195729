//! Messages between two people.

use std::time::Duration;

use kabar_sandbox::multi_device::{Addressing, Content, Ending, PhoneHabits, Typing};
use whatsapp_rust::prelude::{Event, MessageField, wa};

use crate::bed::{ALICE, BOB, PATIENCE, device, pn, server};

#[tokio::test(flavor = "multi_thread")]
async fn a_client_and_a_phone_write_to_each_other() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;

    let sent = alice.client.send_text(pn(BOB), "hello phone").await.unwrap();
    let got = bob.wait_for_text("hello phone", PATIENCE).await.unwrap();
    assert_eq!((got.id.as_str(), got.arrivals), (sent.message_id.as_str(), 1));
    assert_eq!((got.chat.as_str(), got.sender.as_str(), got.from_me), (ALICE, ALICE, false));
    alice.ack(&sent.message_id).await.unwrap();
    alice.receipt(&sent.message_id, "Delivered").await;
    alice.receipt(&sent.message_id, "Read").await;
    // One's own phone gets a copy.
    let copy = server.phone(ALICE).unwrap().wait_for_text("hello phone", PATIENCE).await.unwrap();
    assert_eq!((copy.chat.as_str(), copy.from_me), (BOB, true));

    let id = bob.text(ALICE, "hello client").unwrap();
    let got = alice.text("hello client").await;
    assert_eq!(got.info.id.as_str(), id.as_str());
    bob.wait_for_receipt("delivery", PATIENCE, |it| it.ids.contains(&id)).await.unwrap();
    assert!(bob.failures().is_empty(), "{:?}", bob.failures());

    // The ratchet turns on.
    for number in 0..5 {
        alice.client.send_text(pn(BOB), format!("ping {number}")).await.unwrap();
        bob.wait_for_text(&format!("ping {number}"), PATIENCE).await.unwrap();
        bob.text(ALICE, &format!("pong {number}")).unwrap();
        alice.text(&format!("pong {number}")).await;
    }
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_clients_write_to_each_other() {
    let server = server().await;
    let alice = device(&server, ALICE).await;
    let bob = device(&server, BOB).await;
    let sent = alice.client.send_text(pn(BOB), "to a client").await.unwrap();
    let got = bob.text("to a client").await;
    alice.receipt(&sent.message_id, "Delivered").await;
    bob.client.mark_as_read(&got.info.source.chat, None, &[got.info.id.as_str()]).await.unwrap();
    bob.client.send_text(pn(ALICE), "back").await.unwrap();
    alice.text("back").await;
    let phone = server.phone(BOB).unwrap();
    assert_eq!(phone.wait_for_text("to a client", PATIENCE).await.unwrap().arrivals, 1);
    for number in [ALICE, BOB] {
        assert!(server.phone(number).unwrap().failures().is_empty());
    }
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_phone_writes_shows_on_its_companion() {
    let server = server().await;
    let alice = device(&server, ALICE).await;
    server.phone(ALICE).unwrap().text(BOB, "typed on the phone").unwrap();
    let echo = alice.text("typed on the phone").await;
    assert!(echo.info.source.is_from_me);
    assert_eq!(echo.info.source.chat.user.as_str(), BOB);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn kinds_of_content_arrive() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    let id = bob.text(ALICE, "first").unwrap();
    alice.text("first").await;

    let place = Content::Location { latitude: -6.2, longitude: 106.8, name: Some("Monas".into()) };
    bob.send(ALICE, place).unwrap();
    let place = alice.message("a place", |it| it.message.location_message.is_set()).await;
    assert_eq!(place.message.location_message.name.as_deref(), Some("Monas"));

    bob.send(ALICE, Content::Reaction { to: id.clone(), emoji: "👍".into() }).unwrap();
    let reaction = alice.message("a reaction", |it| it.message.reaction_message.is_set()).await;
    assert_eq!(reaction.message.reaction_message.key.id.as_deref(), Some(id.as_str()));

    bob.send(ALICE, Content::Edit { of: id.clone(), body: "second".into() }).unwrap();
    let edit =
        alice.message("an edit", |it| it.message.protocol_message.edited_message.is_set()).await;
    let text = edit.message.protocol_message.edited_message.conversation.as_deref();
    assert_eq!(text, Some("second"));

    bob.send(ALICE, Content::Revoke { of: id }).unwrap();
    let revoke = wa::message::protocol_message::Type::REVOKE;
    alice.message("a revoke", |it| it.message.protocol_message.r#type == Some(revoke)).await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_votes_in_a_clients_poll() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    let options = ["tea".to_owned(), "coffee".to_owned()];
    let polls = alice.client.polls();
    let (sent, secret) = polls.create(pn(BOB), "Drink?", &options, 1).await.unwrap();
    let id = sent.message_id.clone();
    bob.wait_for("the poll", PATIENCE, |it| it.id == id).await.unwrap();
    bob.send(ALICE, Content::PollVote { poll: id.clone(), options: vec!["tea".into()] }).unwrap();
    let vote = alice.message("a vote", |it| it.message.poll_update_message.is_set()).await;
    let update = &vote.message.poll_update_message;
    let open = |creator: String, voter: String| {
        wacore::poll::decrypt_poll_vote_with_secret(
            wacore::poll::PollVoteCiphertext {
                enc_payload: update.vote.enc_payload.as_deref().unwrap(),
                enc_iv: update.vote.enc_iv.as_deref().unwrap(),
            },
            &secret,
            &id,
            &creator,
            &voter,
        )
    };
    let chosen = open(pn(ALICE).to_string(), pn(BOB).to_string()).unwrap();
    assert_eq!(chosen, [wacore::poll::compute_option_hash("tea").to_vec()]);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_does_only_what_it_is_told() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    bob.set_habits(PhoneHabits { delivered: false, read: false, ..Default::default() }).unwrap();
    let alice = device(&server, ALICE).await;
    let sent = alice.client.send_text(pn(BOB), "quiet").await.unwrap();
    bob.wait_for_text("quiet", PATIENCE).await.unwrap();
    bob.read(&sent.message_id).unwrap();
    alice.receipt(&sent.message_id, "Read").await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn typing_and_presence_go_both_ways() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    alice.client.chatstate().send_composing(&pn(BOB)).await.unwrap();
    bob.type_in(ALICE, Typing::Composing).unwrap();
    alice.wait("typing", |it| matches!(it, Event::ChatPresence(_)).then_some(())).await;
    alice.client.presence().subscribe(pn(BOB)).await.unwrap();
    bob.set_online(true).unwrap();
    alice.wait("presence", |it| matches!(it, Event::Presence(_)).then_some(())).await;
    // The client's own typing came before the rest, on the same connection.
    assert_eq!(bob.typing(), [(ALICE.to_owned(), "composing".to_owned())]);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_chat_goes_on_when_the_other_moves_to_lids() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    bob.text(ALICE, "by number").unwrap();
    let before = alice.text("by number").await;
    assert!(before.info.source.sender.is_pn());
    bob.migrate_to_lid().unwrap();
    bob.text(ALICE, "by lid").unwrap();
    let after = alice.text("by lid").await;
    assert!(after.info.source.sender.is_lid());
    assert_eq!(after.info.source.sender_alt.as_ref().map(|it| it.user.as_str()), Some(BOB));
    alice.client.send_text(pn(BOB), "still there").await.unwrap();
    bob.wait_for_text("still there", PATIENCE).await.unwrap();
    assert!(bob.failures().is_empty(), "{:?}", bob.failures());
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_writes_by_lid_once_its_own_account_has_moved() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    alice.client.send_text(pn(BOB), "by number").await.unwrap();
    let before = bob.wait_for_text("by number", PATIENCE).await.unwrap();
    assert_eq!(before.addressing, Addressing::Pn);
    server.phone(ALICE).unwrap().migrate_to_lid().unwrap();
    // The client learns of it with its next login.
    assert_eq!(server.end(ALICE, None, Ending::Close), 1);
    let told = async {
        while !alice.client.is_lid_migrated().await {
            tokio::time::sleep_until(tokio::time::Instant::now() + Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.unwrap();
    alice.client.send_text(pn(BOB), "by lid").await.unwrap();
    let after = bob.wait_for_text("by lid", PATIENCE).await.unwrap();
    assert_eq!(after.addressing, Addressing::Lid);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reaction_of_a_client_arrives() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    let id = bob.text(ALICE, "react to me").unwrap();
    alice.text("react to me").await;
    let key = wa::MessageKey {
        remote_jid: Some(pn(BOB).to_string()),
        from_me: Some(false),
        id: Some(id.clone()),
        participant: None,
    };
    alice.client.send_reaction(pn(BOB), key, "🙏").await.unwrap();
    let got = bob
        .wait_for("a reaction", PATIENCE, |it| it.message.reaction_message.is_set())
        .await
        .unwrap();
    let reaction = MessageField::as_option(&got.message.reaction_message).unwrap();
    assert_eq!(reaction.text.as_deref(), Some("🙏"));
    assert_eq!(reaction.key.id.as_deref(), Some(id.as_str()));
    alice.stop().await;
}
