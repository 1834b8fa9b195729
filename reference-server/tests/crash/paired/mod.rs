//! kill -9, again and again, while paired devices send and receive.
//!
//! The sandbox in this process is WhatsApp and every phone, and one phone has a Baileys linked to it;
//! they outlive the server. What is checked is what phones show, and what the server stored of what
//! they said.

mod baileys;
pub(crate) mod check;
pub(crate) mod fleet;
pub(crate) mod traffic;

use std::sync::Arc;
use std::time::{Duration, Instant};

use kabar_sandbox::multi_device::{MultiDevice, MultiDeviceConfig};
use serde_json::json;

use crate::api::Api;
use crate::database::Place;
use crate::random::Random;
use crate::server::Server;
use baileys::Baileys;
use fleet::Fleet;
use traffic::{Book, Traffic};

/// Paired devices.
const SHIPS: usize = 50;

pub(crate) struct Story {
    place: Place,
    server: Server,
    api: Api,
    admin: Api,
    fleet: Arc<Fleet>,
    baileys: Option<Baileys>,
    random: Random,
    seed: u64,
}

impl Story {
    pub(crate) async fn begin(place: Place, seed: u64) -> Self {
        let config = MultiDeviceConfig { seed: Some(seed), ..MultiDeviceConfig::default() };
        let whatsapp = MultiDevice::start(config).await.unwrap();
        let mut settings = place.settings();
        settings.extend(fleet::settings(&whatsapp));
        let mut server = Server::new(settings);
        server.start().await;
        let key = server.key.as_ref().expect("the first start shows it");
        let admin = Api::new(&server.base_url(), key);
        let account = admin.post("/accounts", &json!({ "name": "Crash" }), "account").await;
        let api = admin.within(account["account"]["id"].as_str().unwrap());
        let fleet = Arc::new(Fleet::launch(whatsapp, &api, SHIPS).await);
        let baileys = Baileys::link(&fleet.whatsapp, fleet.regular()).await;
        Self { place, server, api, admin, fleet, baileys, random: Random::new(seed), seed }
    }

    pub(crate) async fn tell(mut self, rounds: u32) {
        let traffic = Traffic::begin(&self.fleet, &self.api, "a", self.seed);
        let (mut undecryptable, mut book) = (0, Book::default());
        for round in 1..=rounds {
            undecryptable += self.die(&format!("{round} of {rounds}")).await;
        }
        self.fleet.until_online(SHIPS).await;
        traffic.end(&mut book).await;
        check::until_quiet(&self.api, &self.fleet, &book).await;
        check::outgoing(&self.api, &self.fleet, &book).await;
        if let Some(baileys) = &self.baileys {
            baileys.check(&self.fleet, &book).await;
        }
        check::incoming(&self.api, &self.fleet, &book).await;
        check::readable(&self.api, &self.admin, &self.fleet, &book).await;
        eprintln!("the server could not read {undecryptable} stanzas at first");
        let most = u64::from(rounds) + 1;
        let logins = self.fleet.logins();
        assert!(logins.iter().all(|logins| *logins <= most), "once after each start: {logins:?}");
        self.clear().await;
    }

    /// The server dies at some moment: mostly when all are connected, sometimes while they connect.
    /// Says how many stanzas it could not read until then.
    async fn die(&mut self, round: &str) -> u64 {
        let few = self.random.draw(3) == 0;
        let enough = if few { 1 + self.random.draw(SHIPS as u64 - 1) } else { SHIPS as u64 };
        self.fleet.until_online(usize::try_from(enough).unwrap()).await;
        let wait = self.random.draw(if few { 200 } else { 2_000 });
        tokio::time::sleep(Duration::from_millis(wait)).await;
        let undecryptable = self.admin.measured("kabar_qr_undecryptable ").await.unwrap_or(0);
        let online = self.fleet.online();
        let process = self.server.pid();
        self.server.kill().await;
        eprintln!("killed process {process}, {round}, {wait} ms later, with {online} connected");
        tokio::time::sleep(Duration::from_millis(self.random.draw(300))).await;
        let began = Instant::now();
        self.server.start().await;
        let fleet = Arc::clone(&self.fleet);
        tokio::spawn(async move {
            fleet.until_online(1).await;
            eprintln!("  the first is connected {:.1?} after the start", began.elapsed());
        });
        undecryptable
    }

    /// Everything ends in good order.
    async fn clear(mut self) {
        self.server.stop().await;
        self.fleet.whatsapp.stop().await;
        self.place.remove().await;
    }
}
