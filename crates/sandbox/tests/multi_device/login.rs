//! Logging in, and what waits meanwhile.

use kabar_sandbox::multi_device::{MultiDevice, MultiDeviceConfig, Pattern};

use crate::bed::{ALICE, BOB, PATIENCE, device, server, start, store, unconnected};

#[tokio::test(flavor = "multi_thread")]
async fn a_minted_session_logs_in_by_ik() {
    let server = server().await;
    let device = device(&server, ALICE).await;
    let connections = server.connections();
    assert_eq!(connections.len(), 1);
    assert_eq!((connections[0].number.as_str(), connections[0].device), (ALICE, device.id));
    assert_eq!(connections[0].pattern, Pattern::Ik);
    assert_eq!(server.unhandled(), [], "a client asked something the server does not know");
    device.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_outlast_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let config =
        || MultiDeviceConfig { key_folder: Some(folder.path().join("keys")), ..Default::default() };
    let first = MultiDevice::start(config()).await.unwrap();
    let second = MultiDevice::start(config()).await.unwrap();
    assert_eq!(first.root_key(), second.root_key());
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_static_key_is_refused() {
    let server = server().await;
    let session = server.mint(ALICE).unwrap();
    let other = server.mint(BOB).unwrap();
    let mut device = session.to_device().unwrap();
    device.noise_key = other.to_device().unwrap().noise_key;
    let backend = store(&session).await;
    wacore::store::traits::DeviceStore::save(&*backend, &device).await.unwrap();
    let client = start(&server, ALICE, 1, backend).await;
    client
        .wait("the refusal", |event| {
            matches!(event, whatsapp_rust::prelude::Event::LoggedOut(it) if it.on_connect)
                .then_some(())
        })
        .await;
    client.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_comes_with_the_next_login() {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let alice = device(&server, ALICE).await;
    bob.text(ALICE, "while you are here").unwrap();
    alice.text("while you are here").await;
    let (id, backend) = (alice.id, alice.stop().await);
    for number in 0..3 {
        bob.text(ALICE, &format!("missed {number}")).unwrap();
    }
    let alice = start(&server, ALICE, id, backend).await;
    for number in 0..3 {
        let got = alice.text(&format!("missed {number}")).await;
        assert!(got.info.is_offline);
    }
    // Receipts of a backlog go out together, some time after the last message.
    let settled =
        server.wait_for_companion(ALICE, id, "no backlog", PATIENCE, |it| it.waiting == 0);
    settled.await.unwrap();
    assert_eq!(alice.count_texts("missed 1"), 1);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newer_connection_replaces_the_older() {
    let server = server().await;
    let first = unconnected(&server, ALICE).await;
    server.wait_online(ALICE, first.id, PATIENCE).await.unwrap();
    let session_store = first.backend.clone();
    let second = start(&server, ALICE, first.id, session_store).await;
    first
        .wait("stream replaced", |event| {
            matches!(event, whatsapp_rust::prelude::Event::StreamReplaced(_)).then_some(())
        })
        .await;
    server.wait_online(ALICE, second.id, PATIENCE).await.unwrap();
    assert_eq!(server.connections().len(), 1);
    first.stop().await;
    second.stop().await;
}
