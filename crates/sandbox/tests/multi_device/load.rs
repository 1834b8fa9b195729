//! Many clients at once.

use kabar_sandbox::multi_device::MultiDevice;

use crate::bed::{BOB, Device, PATIENCE, pn, server, unconnected};

const CLIENTS: usize = 40;
const MANY_CLIENTS: usize = 1_000;

async fn crowd(server: &MultiDevice, clients: usize) -> Vec<Device> {
    let mut devices = Vec::new();
    for index in 0..clients {
        devices.push(unconnected(server, &format!("62813{index:08}")).await);
    }
    for device in &devices {
        server.wait_online(&device.number, device.id, PATIENCE).await.unwrap();
    }
    devices
}

#[tokio::test(flavor = "multi_thread")]
async fn each_of_many_is_heard_and_answered_once() {
    heard_and_answered_once(CLIENTS).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a minute and a half, and a gigabyte"]
async fn each_of_a_thousand_is_heard_and_answered_once() {
    heard_and_answered_once(MANY_CLIENTS).await;
}

async fn heard_and_answered_once(clients: usize) {
    let server = server().await;
    let bob = server.phone(BOB).unwrap();
    let devices = crowd(&server, clients).await;
    assert_eq!(server.connections().len(), clients);
    for device in &devices {
        device.client.wait_for_connected(PATIENCE).await.unwrap();
        device.client.send_text(pn(BOB), format!("I am {}", device.number)).await.unwrap();
    }
    for device in &devices {
        let body = format!("I am {}", device.number);
        assert_eq!(bob.wait_for_text(&body, PATIENCE).await.unwrap().arrivals, 1);
        bob.text(&device.number, &format!("You are {}", device.number)).unwrap();
    }
    for device in &devices {
        device.text(&format!("You are {}", device.number)).await;
    }
    assert_eq!(bob.messages().len(), clients);
    for device in devices {
        device.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_correspondents_hear_of_new_devices() {
    let server = server().await;
    let stranger = crate::bed::device(&server, "6281399999999").await;
    let friend = crate::bed::device(&server, BOB).await;
    friend.client.send_text(pn("6281388888888"), "hello").await.unwrap();
    let other = server.phone("6281388888888").unwrap();
    other.wait_for_text("hello", PATIENCE).await.unwrap();
    other.mint().unwrap();
    let told = |event: &whatsapp_rust::prelude::Event| {
        matches!(event, whatsapp_rust::prelude::Event::DeviceListUpdate(_)).then_some(())
    };
    friend.wait("news of the device", told).await;
    // Later on the same connection: whatever came before has been seen.
    other.text("6281399999999", "are you told?").unwrap();
    stranger.text("are you told?").await;
    assert!(!stranger.has_seen(told));
    stranger.stop().await;
    friend.stop().await;
}
