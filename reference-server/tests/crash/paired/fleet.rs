//! Paired devices, their phones, and the people who write with them.

use std::time::{Duration, Instant};

use kabar_sandbox::multi_device::{CompanionState, MultiDevice, VirtualPhone};
use serde_json::{Value, json};

use crate::api::Api;
use crate::random::Random;

/// A version of WhatsApp Web, so that nobody is asked for the newest.
const VERSION: &str = "2.3000.1030000000";
/// How long sessions may take to be connected.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(20);
/// People who write with each device.
const CUSTOMERS: usize = 3;
/// Every so many devices share a group with their customers.
const TOGETHER: usize = 5;

/// A paired device.
pub(crate) struct Ship {
    /// Its id.
    pub(crate) device: String,
    /// The phone that it is paired with.
    pub(crate) phone: VirtualPhone,
    /// Who writes with it.
    pub(crate) customers: Vec<VirtualPhone>,
}

/// A group of devices and customers.
pub(crate) struct Group {
    /// Its address.
    pub(crate) id: String,
    /// Its devices, by their places in the fleet.
    pub(crate) ships: Vec<usize>,
    /// The others in it.
    pub(crate) customers: Vec<VirtualPhone>,
}

/// All paired devices of a server.
pub(crate) struct Fleet {
    pub(crate) whatsapp: MultiDevice,
    pub(crate) ships: Vec<Ship>,
    pub(crate) groups: Vec<Group>,
}

/// The settings with which a server runs sessions on this WhatsApp.
pub(crate) fn settings(whatsapp: &MultiDevice) -> Vec<(&'static str, String)> {
    let log = std::env::var("KABAR_CRASH_LOG");
    let log = log.unwrap_or_else(|_| "warn,wacore_libsignal=off".to_owned());
    vec![
        ("KABAR_PAIRED__URL", whatsapp.ws_url()),
        ("KABAR_PAIRED__MEDIA_URL", whatsapp.media_url()),
        ("KABAR_PAIRED__VERSION", VERSION.to_owned()),
        ("KABAR_PAIRED__SANDBOX", "true".to_owned()),
        ("KABAR_DISPATCH__LEASE_MS", "3000".to_owned()),
        // The engine warns of every stanza that comes a second time; here that is most of the log.
        ("KABAR_LOG__LEVEL", log),
    ]
}

impl Ship {
    /// Makes a device, brings a session in and asks for it to be connected.
    async fn launch(whatsapp: &MultiDevice, api: &Api, n: usize) -> Self {
        let phone = whatsapp.phone(&format!("62811{n:07}")).unwrap();
        let name = format!("Ship {n}");
        // Without pauses between messages: more is under way when the server dies.
        let pacing = json!({ "per_second": 0, "warm_up": "off" });
        let new = json!({
            "name": name,
            "channel": "qr_session",
            "accept_risk": true,
            "settings": { "pacing": pacing },
        });
        let made = api.post("/devices", &new, &name).await;
        let device = made["device"]["id"].as_str().unwrap().to_owned();
        let session = serde_json::to_value(phone.mint().unwrap()).unwrap();
        api.put(&format!("/devices/{device}/session"), &session).await;
        api.attempt(&format!("/devices/{device}/connect"), Some(&json!({}))).await;
        let customer = |c| whatsapp.phone(&format!("62812{:07}", n * CUSTOMERS + c)).unwrap();
        Self { device, phone, customers: (0..CUSTOMERS).map(customer).collect() }
    }

    /// The paired device as WhatsApp sees it.
    pub(crate) fn companion(&self) -> CompanionState {
        self.phone.companions().pop().expect("it is paired")
    }
}

impl Fleet {
    /// So many paired devices, all connected.
    pub(crate) async fn launch(whatsapp: MultiDevice, api: &Api, count: usize) -> Self {
        let mut ships = Vec::with_capacity(count);
        for n in 0..count {
            ships.push(Ship::launch(&whatsapp, api, n).await);
        }
        let groups = (0..count / TOGETHER).map(|n| group(&ships, n)).collect();
        let fleet = Self { whatsapp, ships, groups };
        fleet.until_connected(api).await;
        fleet
    }

    /// Somebody who wrote with nobody so far.
    pub(crate) fn stranger(&self, random: &mut Random) -> VirtualPhone {
        self.whatsapp.phone(&format!("62815{:07}", random.draw(10_000_000))).unwrap()
    }

    /// Somebody to whom the first device writes more than to others.
    pub(crate) fn regular(&self) -> &VirtualPhone {
        &self.ships[0].customers[0]
    }

    /// How many devices are connected.
    pub(crate) fn online(&self) -> usize {
        self.ships.iter().filter(|ship| ship.companion().online).count()
    }

    /// How often each device has logged in.
    pub(crate) fn logins(&self) -> Vec<u64> {
        self.ships.iter().map(|ship| ship.companion().logins).collect()
    }

    /// Stanzas that devices have not acknowledged yet.
    pub(crate) fn waiting(&self) -> usize {
        self.ships.iter().map(|ship| ship.companion().waiting).sum()
    }

    /// Waits until so many are connected; says how long it took.
    pub(crate) async fn until_online(&self, count: usize) -> Duration {
        let began = Instant::now();
        while self.online() < count {
            assert!(began.elapsed() < PATIENCE, "{} of {count} are connected", self.online());
            tokio::time::sleep(LOOK).await;
        }
        began.elapsed()
    }

    /// Waits until all are connected, and the server says so too.
    pub(crate) async fn until_connected(&self, api: &Api) {
        let began = Instant::now();
        loop {
            self.until_online(self.ships.len()).await;
            let devices = api.all("/devices").await;
            let others: Vec<&Value> =
                devices.iter().filter(|device| device["state"] != "connected").collect();
            if others.is_empty() && devices.len() == self.ships.len() {
                return;
            }
            assert!(began.elapsed() < PATIENCE, "never connected: {others:#?}");
            tokio::time::sleep(10 * LOOK).await;
        }
    }
}

fn group(ships: &[Ship], n: usize) -> Group {
    let places = n * TOGETHER..(n + 1) * TOGETHER;
    let customers: Vec<VirtualPhone> =
        ships[places.clone()].iter().map(|ship| ship.customers[0].clone()).collect();
    let members = ships[places.clone()].iter().map(|ship| ship.phone.number());
    let others = customers[1..].iter().map(VirtualPhone::number);
    let members: Vec<&str> = members.chain(others).collect();
    let id = customers[0].create_group(&format!("Group {n}"), &members).unwrap();
    Group { id, ships: places.collect(), customers }
}
