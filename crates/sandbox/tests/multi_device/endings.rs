//! Each way in which a connection can end, as the client reports it.

use kabar_sandbox::multi_device::{
    DeviceFault, DeviceFaultEffect, DeviceFaultPoint, Ending, MultiDevice,
};
use whatsapp_rust::prelude::Event;

use crate::bed::{ALICE, BOB, Device, PATIENCE, device, server, unconnected};

fn at_login(server: &MultiDevice, reason: u16, code: Option<u16>, expire: Option<u64>) {
    let effect = DeviceFaultEffect::Failure { reason, code, expire };
    server.add_fault(DeviceFault::on(DeviceFaultPoint::Login, effect)).unwrap();
}

/// Ends the connection and waits until the client is back.
async fn comes_back(server: &MultiDevice, device: &Device, ending: Ending) {
    let before = server.phone(ALICE).unwrap().companions()[0].logins;
    assert_eq!(server.end(ALICE, None, ending), 1);
    let what = format!("a login after {ending:?}");
    server
        .wait_for_companion(ALICE, device.id, &what, PATIENCE, |it| it.online && it.logins > before)
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn clients_come_back_after_passing_trouble() {
    let server = server().await;
    let alice = device(&server, ALICE).await;
    comes_back(&server, &alice, Ending::StreamError { code: 515 }).await;
    comes_back(&server, &alice, Ending::StreamError { code: 503 }).await;
    comes_back(&server, &alice, Ending::StreamError { code: 500 }).await;
    alice.wait("a stream error", |it| matches!(it, Event::StreamError(_)).then_some(())).await;
    comes_back(&server, &alice, Ending::Drop).await;
    alice.wait("a disconnect", |it| matches!(it, Event::Disconnected(_)).then_some(())).await;
    let bob = server.phone(BOB).unwrap();
    bob.text(ALICE, "still here?").unwrap();
    alice.text("still here?").await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_requests_slow_a_client_down() {
    let server = server().await;
    let alice = device(&server, ALICE).await;
    server.end(ALICE, None, Ending::StreamError { code: 429 });
    alice.wait("a disconnect", |it| matches!(it, Event::Disconnected(_)).then_some(())).await;
    server
        .wait_for_companion(ALICE, alice.id, "it to be gone", PATIENCE, |it| !it.online)
        .await
        .unwrap();
    assert_eq!(server.connections(), []);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn replaced_and_removed_clients_stay_away() {
    let server = server().await;
    let alice = device(&server, ALICE).await;
    server.end(ALICE, None, Ending::Replaced);
    alice.wait("replaced", |it| matches!(it, Event::StreamReplaced(_)).then_some(())).await;

    let bob = device(&server, BOB).await;
    server.phone(BOB).unwrap().log_out(bob.id).unwrap();
    bob.wait("logged out", |it| matches!(it, Event::LoggedOut(_)).then_some(())).await;
    assert!(server.phone(BOB).unwrap().companions().is_empty());
    alice.stop().await;
    bob.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_logs_itself_out() {
    let server = server().await;
    let alice = device(&server, ALICE).await;
    alice.client.logout().await;
    alice.wait("logged out", |it| matches!(it, Event::LoggedOut(_)).then_some(())).await;
    assert!(server.phone(ALICE).unwrap().companions().is_empty());
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_temporary_ban_names_its_length() {
    let server = server().await;
    at_login(&server, 402, Some(101), Some(3600));
    let alice = unconnected(&server, ALICE).await;
    let ban = alice
        .wait("a ban", |event| match event {
            Event::TemporaryBan(ban) => Some(ban.expire),
            _ => None,
        })
        .await;
    assert_eq!(ban.num_seconds(), 3600);
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_logins_log_out() {
    let server = server().await;
    for reason in [401, 403] {
        at_login(&server, reason, None, None);
        let alice = unconnected(&server, ALICE).await;
        alice
            .wait("logged out", |it| {
                matches!(it, Event::LoggedOut(it) if it.on_connect).then_some(())
            })
            .await;
        alice.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_client_is_told_so() {
    let server = server().await;
    at_login(&server, 405, None, None);
    let alice = unconnected(&server, ALICE).await;
    alice.wait("outdated", |it| matches!(it, Event::ClientOutdated(_)).then_some(())).await;
    alice.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_busy_server_is_tried_again() {
    let server = server().await;
    at_login(&server, 503, None, None);
    let alice = unconnected(&server, ALICE).await;
    alice.wait("a failure", |it| matches!(it, Event::ConnectFailure(_)).then_some(())).await;
    server.wait_online(ALICE, alice.id, PATIENCE).await.unwrap();
    alice.stop().await;
}
