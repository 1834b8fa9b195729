//! Paired devices on two nodes: a node freezes and wakes up again, and a node dies.
//!
//! What is checked is what phones show, as where one server is killed, and beside it that a node that
//! was away for too long does nothing any more: its connections are closed, it throws nobody out, and
//! not one of its writes reaches the vault. A trigger notes every write, with the node that made it and
//! the lease that it was made under.

#[path = "../crash/paired/check.rs"]
mod check;
#[path = "../crash/paired/fleet.rs"]
mod fleet;
mod sockets;
#[path = "../crash/paired/traffic.rs"]
mod traffic;
mod vault;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kabar_sandbox::multi_device::{
    DeviceFault, DeviceFaultEffect, DeviceFaultPoint, MultiDevice, MultiDeviceConfig,
};
use serde_json::json;

use self::fleet::Fleet;
use self::traffic::{Book, Traffic};
use self::vault::Vault;
use crate::api::Api;
use crate::database::Place;
use crate::server::Server;

/// Paired devices.
const SHIPS: usize = 20;
/// How long sessions may be away when their node dies. A stated requirement.
const TAKEN_OVER: Duration = Duration::from_secs(15);
/// How long anything else may take.
const PATIENCE: Duration = Duration::from_mins(1);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// How a node is frozen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freeze {
    /// At any moment, until the other one has taken over.
    AtAnyTime,
    /// In the middle of transactions of the vault, until the other one has taken over.
    InTransactions,
    /// Until the sessions belong to the other one, which cannot connect them yet.
    Briefly,
}

pub(crate) struct Story {
    place: Place,
    servers: Vec<Server>,
    apis: Vec<Api>,
    admins: Vec<Api>,
    fleet: Arc<Fleet>,
    vault: Vault,
    book: Book,
    /// The node that runs the sessions.
    owner: usize,
}

/// A node that says who it is to PostgreSQL.
fn node(place: &Place, whatsapp: &MultiDevice, n: usize) -> Server {
    let mut settings = place.settings();
    settings.retain(|(name, _)| *name != "KABAR_DATABASE");
    settings.extend(fleet::settings(whatsapp));
    let url = place.postgres_url().expect("it is PostgreSQL");
    settings.push(("KABAR_DATABASE", vault::named(url, n)));
    Server::new(settings)
}

impl Story {
    pub(crate) async fn begin(place: Place) -> Self {
        let config = MultiDeviceConfig { seed: Some(1), ..MultiDeviceConfig::default() };
        let whatsapp = MultiDevice::start(config).await.unwrap();
        let mut servers: Vec<Server> = (0..2).map(|n| node(&place, &whatsapp, n)).collect();
        servers[0].start().await;
        let vault = Vault::watch(place.postgres_url().expect("it is PostgreSQL")).await;
        let key = servers[0].key.clone().expect("the first start shows it");
        let admins: Vec<Api> =
            servers.iter().map(|server| Api::new(&server.base_url(), &key)).collect();
        let made = admins[0].post("/accounts", &json!({ "name": "Nodes" }), "account").await;
        let account = made["account"]["id"].as_str().unwrap();
        let apis: Vec<Api> = admins.iter().map(|admin| admin.within(account)).collect();
        // All belong to the first node when the second one comes.
        let fleet = Arc::new(Fleet::launch(whatsapp, &apis[0], SHIPS).await);
        servers[1].start().await;
        Self { place, servers, apis, admins, fleet, vault, book: Book::default(), owner: 0 }
    }

    pub(crate) async fn tell(mut self) {
        for how in [Freeze::AtAnyTime, Freeze::InTransactions, Freeze::Briefly] {
            self.freeze(how).await;
        }
        self.die().await;
        let (api, admin) = (&self.apis[self.owner], &self.admins[self.owner]);
        check::outgoing(api, &self.fleet, &self.book).await;
        check::incoming(api, &self.fleet, &self.book).await;
        check::readable(api, admin, &self.fleet, &self.book).await;
        self.vault.check().await;
        self.clear().await;
    }

    const fn other(&self) -> usize {
        1 - self.owner
    }

    /// Messages over the node that stays awake.
    fn begin_traffic(&self, name: &str) -> Traffic {
        let seed = 1 + self.book.sent.len() as u64;
        Traffic::begin(&self.fleet, &self.apis[self.other()], name, seed)
    }

    /// The node of all sessions freezes, the other one takes them over, and it wakes up again.
    async fn freeze(&mut self, how: Freeze) {
        let (old, before) = (self.owner, self.fleet.logins());
        let traffic = self.begin_traffic(&format!("{how:?}"));
        self.vault.until_written().await;
        if how == Freeze::InTransactions {
            self.vault.freeze_in_transactions(&self.servers[old]).await;
        } else {
            self.servers[old].signal("STOP").await;
        }
        let began = Instant::now();
        if how == Freeze::Briefly {
            self.take_without_connecting().await;
        } else {
            self.until_connected_after(&before).await;
            eprintln!("{how:?}: connected {:.1?} after their node froze", began.elapsed());
        }
        self.servers[old].signal("CONT").await;
        let woken = Instant::now();
        self.until_let_go(old).await;
        eprintln!("{how:?}: let go {:.1?} after it woke up", woken.elapsed());
        self.fleet.whatsapp.clear_faults();
        self.until_connected_after(&before).await;
        self.owner = self.other();
        self.settle(traffic).await;
    }

    /// The other node owns all sessions, and WhatsApp does not let it in.
    async fn take_without_connecting(&self) {
        let refused = DeviceFaultEffect::Failure { reason: 503, code: None, expire: None };
        let fault = DeviceFault::on(DeviceFaultPoint::Login, refused).times(0);
        self.fleet.whatsapp.add_fault(fault).unwrap();
        self.vault.until_owners_changed().await;
    }

    /// The node of all sessions dies.
    async fn die(&mut self) {
        let before = self.fleet.logins();
        let traffic = self.begin_traffic("died");
        self.vault.until_written().await;
        self.servers[self.owner].kill().await;
        let began = Instant::now();
        self.until_connected_after(&before).await;
        let took = began.elapsed();
        eprintln!("connected {took:.1?} after their node died");
        assert!(took <= TAKEN_OVER, "{took:?}");
        self.owner = self.other();
        self.settle(traffic).await;
    }

    /// Every device has logged in again.
    async fn until_connected_after(&self, logins: &[u64]) {
        until("all have logged in again", async || {
            let now = self.fleet.logins();
            self.fleet.online() == SHIPS && now.iter().zip(logins).all(|(now, then)| now > then)
        })
        .await;
    }

    /// A node runs no session any more and has no connection to WhatsApp.
    async fn until_let_go(&self, node: usize) {
        let whatsapp = self.fleet.whatsapp.ws_url();
        until("it lets go of its sessions", async || {
            sockets::connected(self.servers[node].pid(), &whatsapp) == 0
                && self.running(node).await == Some(0)
        })
        .await;
    }

    /// How many sessions a node says that it runs.
    async fn running(&self, node: usize) -> Option<u64> {
        self.admins[node].measured("kabar_qr_sessions{state=\"running\"} ").await
    }

    /// Everybody stays where they are: nobody logs in while the messages that are under way arrive.
    async fn settle(&mut self, traffic: Traffic) {
        let before = self.fleet.logins();
        traffic.end(&mut self.book).await;
        let api = &self.apis[self.owner];
        check::until_quiet(api, &self.fleet, &self.book).await;
        self.fleet.until_connected(api).await;
        until("it runs all of them", async || self.running(self.owner).await == Some(SHIPS as u64))
            .await;
        assert_eq!(self.fleet.logins(), before, "nobody was thrown out");
        assert_eq!(self.vault.owners().await.len(), 1, "one node owns them all");
    }

    /// Everything ends in good order.
    async fn clear(mut self) {
        self.servers[self.owner].stop().await;
        self.fleet.whatsapp.stop().await;
        self.vault.close().await;
        self.place.remove().await;
    }
}

async fn until(what: &str, so: impl AsyncFn() -> bool) {
    let began = Instant::now();
    while !so().await {
        assert!(began.elapsed() < PATIENCE, "never so: {what}");
        tokio::time::sleep(LOOK).await;
    }
}
