//! Hints over a real NATS server, where `nats-server` is installed; where `CI` is set it must be.
#![expect(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests fail by panicking, and are configured by their environment"
)]

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use kabar_core::{Listen, Topic, Wake as _};
use kabar_wake_nats::{NatsWake, NatsWakeError};
use tokio::process::{Child, Command};

const PATIENCE: Duration = Duration::from_mins(1);
/// Silence for so long means that nothing more comes.
const SILENCE: Duration = Duration::from_millis(300);

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn serve(port: u16) -> Option<Child> {
    let mut command = Command::new("nats-server");
    command.args(["-a", "127.0.0.1", "-p", &port.to_string()]).kill_on_drop(true);
    let started = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
    if started.is_err() {
        assert!(std::env::var("CI").is_err(), "nats-server must be installed where CI is");
        eprintln!("nats-server is not installed: not tested on NATS");
    }
    started.ok()
}

/// Waits until a node is connected: then it wakes itself, since hints may have gone by.
async fn connected(ear: &mut Box<dyn Listen>) {
    assert!(ear.heard(PATIENCE).await);
    while ear.heard(SILENCE).await {}
}

#[tokio::test]
async fn hints_reach_the_other_nodes_and_survive_a_lost_server() {
    let port = free_port();
    // Nodes may start before the server does.
    let address = format!("nats://127.0.0.1:{port}");
    let one = NatsWake::connect(&address, "kabar.test").await.unwrap();
    let two = NatsWake::connect(&address, "kabar.test").await.unwrap();
    let apart = NatsWake::connect(&address, "kabar.other").await.unwrap();
    let (mut own, mut other) = (one.listen(Topic::Events), two.listen(Topic::Events));
    let (mut jobs, mut foreign) = (two.listen(Topic::Jobs), apart.listen(Topic::Events));
    one.wake(Topic::Jobs);
    for round in 0..2 {
        let Some(mut server) = serve(port) else { return };
        for ear in [&mut own, &mut other, &mut jobs, &mut foreign] {
            connected(ear).await;
        }
        one.wake(Topic::Events);
        assert!(other.heard(PATIENCE).await, "round {round}");
        assert!(own.heard(PATIENCE).await);
        assert!(!own.heard(SILENCE).await, "its own hint does not come back");
        assert!(!jobs.heard(SILENCE).await, "only those who wait for it are woken");
        assert!(!foreign.heard(SILENCE).await, "another installation hears nothing");
        server.kill().await.unwrap();
    }
    // Without a server those of this process are woken.
    one.wake(Topic::Outbox);
    one.wait(Topic::Outbox, PATIENCE).await;
}

#[tokio::test]
async fn a_bad_address_is_told() {
    let wrong = NatsWake::connect("nats://nats:port", "kabar").await;
    assert!(matches!(wrong, Err(NatsWakeError::Connect(_))), "{wrong:?}");
}
