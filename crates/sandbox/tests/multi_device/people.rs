//! Who is on WhatsApp, with which picture.

use crate::bed::{ALICE, BOB, CAROL, device, http_client, pn, server};

#[tokio::test(flavor = "multi_thread")]
async fn numbers_can_be_checked() {
    let server = server().await;
    server.set_absent(CAROL);
    let alice = device(&server, ALICE).await;
    let found = alice.client.contacts().is_on_whatsapp(&[pn(BOB), pn(CAROL)]).await.unwrap();
    let registered = |number: &str| {
        found.iter().find(|it| it.jid.user.as_str() == number).map(|it| it.is_registered)
    };
    assert_eq!(registered(BOB), Some(true));
    assert_eq!(registered(CAROL), Some(false));
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_have_an_address() {
    let server = server().await;
    let alice = device(&server, ALICE).await;
    let contacts = alice.client.contacts();
    assert!(contacts.get_profile_picture(&pn(BOB), false).await.unwrap().is_none());
    server.phone(BOB).unwrap().set_picture(Some(b"a picture".to_vec())).unwrap();
    let picture = contacts.get_profile_picture(&pn(BOB), false).await.unwrap().unwrap();
    let url = picture.url.replace("https://", "http://");
    let client = http_client();
    let body = client.get(url).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(&body[..], b"a picture");
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_blocked_is_not_heard() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    bob.set_blocked(ALICE, true).unwrap();
    let sent = alice.client.send_text(pn(BOB), "anyone?").await.unwrap();
    alice.ack(&sent.message_id).await.unwrap();
    assert!(bob.messages().is_empty());
    alice.stop().await;
}
