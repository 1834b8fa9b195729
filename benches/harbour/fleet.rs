//! A server with many paired devices.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{self, StreamExt as _};
use serde_json::{Value, json};

use super::api::Api;
use super::database::Place;
use super::door::Door;
use super::look::until;
use super::server::Server;
use super::whatsapp::Whatsapp;

/// A version of WhatsApp Web, so that nobody is asked for the newest.
const VERSION: &str = "2.3000.1030000000";
/// Devices that are made at the same time.
const AT_ONCE: usize = 8;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(100);
/// For how long a fleet may take to connect.
const PATIENCE: Duration = Duration::from_mins(5);

/// A paired device.
#[derive(Debug, Clone)]
pub(crate) struct Ship {
    pub(crate) device: String,
    pub(crate) number: String,
}

/// A server, its WhatsApp, and its paired devices.
pub(crate) struct Fleet {
    place: Place,
    pub(crate) server: Server,
    pub(crate) whatsapp: Arc<Whatsapp>,
    pub(crate) api: Api,
    door: Door,
    pub(crate) ships: Vec<Ship>,
}

impl Fleet {
    /// A server without devices. It reaches its WhatsApp at `socket`, if that is given.
    pub(crate) async fn new(place: Place, whatsapp: Whatsapp, socket: Option<String>) -> Self {
        let mut settings = place.settings();
        let socket = socket.unwrap_or_else(|| whatsapp.socket.clone());
        settings.push(("KABAR_PAIRED__URL", socket));
        settings.push(("KABAR_PAIRED__MEDIA_URL", whatsapp.base().to_owned()));
        settings.push(("KABAR_PAIRED__VERSION", VERSION.to_owned()));
        settings.push(("KABAR_PAIRED__SANDBOX", "true".to_owned()));
        settings.push(("KABAR_LIMITS__ACCOUNT_PER_SECOND", "0".to_owned()));
        let mut server = Server::new(settings);
        server.start().await;
        let key = server.key.clone().expect("the first start shows it");
        let admin = Api::new(&server.base_url(), &key);
        let made = admin.post("/accounts", &json!({ "name": "Harbour" }), "account").await;
        let account = made["account"]["id"].as_str().unwrap();
        let (api, door) = (admin.within(account), Door::new(&server.base_url(), &key, account));
        Self { place, server, whatsapp: Arc::new(whatsapp), api, door, ships: Vec::new() }
    }

    pub(crate) fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Adds devices with sessions until there are so many; answers how long that took. They are not
    /// connected yet.
    pub(crate) async fn grow(&mut self, to: usize) -> Duration {
        let begun = Instant::now();
        let new: Vec<Ship> = stream::iter(self.ships.len()..to)
            .map(|index| self.ship(index))
            .buffered(AT_ONCE)
            .collect()
            .await;
        self.ships.extend(new);
        begun.elapsed()
    }

    /// A device with a minted session.
    async fn ship(&self, index: usize) -> Ship {
        let number = format!("62811{index:08}");
        let session = self.whatsapp.mint(&number).await;
        let new = json!({
            "name": format!("Ship {index}"),
            "channel": "qr_session",
            "accept_risk": true,
            "settings": { "pacing": { "per_second": 0, "warm_up": "off" } },
        });
        let made = self.api.post("/devices", &new, &format!("ship-{index}")).await;
        let device = made["device"]["id"].as_str().unwrap().to_owned();
        self.door.bring_in(&device, &session).await;
        Ship { device, number }
    }

    /// Says of all devices that they are to be connected.
    pub(crate) async fn connect(&self) {
        let connect = async |ship: &Ship| {
            self.api.attempt(&format!("/devices/{}/connect", ship.device), Some(&json!({}))).await;
        };
        stream::iter(&self.ships).for_each_concurrent(AT_ONCE, connect).await;
    }

    /// Devices by their state.
    pub(crate) async fn states(&self) -> BTreeMap<String, usize> {
        let mut states = BTreeMap::new();
        for device in self.api.all("/devices").await {
            let state = device["state"].as_str().unwrap_or_default().to_owned();
            *states.entry(state).or_default() += 1;
        }
        states
    }

    /// Waits until every device says that it is connected.
    pub(crate) async fn until_connected(&self) -> Duration {
        let begun = Instant::now();
        let all = self.ships.len();
        // The list costs the server something: it is asked once WhatsApp has seen them all.
        until("WhatsApp sees every device", LOOK, PATIENCE, async || {
            (self.whatsapp.connections().await >= all as u64).then_some(())
        })
        .await;
        until("every device is connected", LOOK, PATIENCE, async || {
            let states = self.states().await;
            (states.get("connected").copied().unwrap_or_default() == all).then_some(())
        })
        .await;
        begun.elapsed()
    }

    /// Ends the server in good order and starts it again; answers how long it takes from its start
    /// until every device is connected.
    pub(crate) async fn restart(&mut self) -> Duration {
        self.server.stop().await;
        let begun = Instant::now();
        self.server.start().await;
        self.until_connected().await;
        begun.elapsed()
    }

    /// Sends texts from one device: who gets them, and what they say.
    pub(crate) async fn send(&self, ship: &Ship, texts: &[(String, String)], once: &str) {
        let messages: Vec<Value> = texts.iter().map(|(to, body)| text(ship, to, body)).collect();
        self.api.post("/messages", &json!({ "messages": messages }), once).await;
    }

    /// Connections that the server began since its start.
    pub(crate) async fn dials(&self) -> u64 {
        let text = self.door.metrics().await;
        let line = text.lines().find(|line| line.starts_with("kabar_qr_connects_total"));
        line.and_then(|line| line.rsplit_once(' ')?.1.parse().ok()).unwrap_or_default()
    }

    pub(crate) async fn leave(mut self) {
        self.server.kill().await;
        self.place.remove().await;
    }
}

fn text(ship: &Ship, to: &str, body: &str) -> Value {
    json!({
        "device_id": ship.device,
        "to": { "phone": format!("+{to}") },
        "content": { "type": "text", "body": body },
    })
}
