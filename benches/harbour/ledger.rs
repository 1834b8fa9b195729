//! What was sent, and what became of it: nothing may be lost, nothing doubled.

use std::collections::HashMap;

use futures_util::stream::{self, StreamExt as _};

use super::fleet::Fleet;

/// Customers who write and are written to.
const CUSTOMERS: usize = 20;
/// Customers of one device: few, so that all chats have begun soon, and what grows afterwards is
/// something else.
const CHATS: usize = 4;
/// Phones that are asked at the same time.
const AT_ONCE: usize = 8;

/// Texts that went either way; each is unlike every other.
#[derive(Default)]
pub(crate) struct Ledger {
    /// From a device to a customer.
    pub(crate) out: Vec<String>,
    /// From a customer to a device.
    pub(crate) inward: Vec<String>,
}

/// What became of the texts of a ledger.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Account {
    /// Sent texts that a customer has read.
    pub(crate) arrived: usize,
    /// Sent texts that still wait for their device.
    pub(crate) waiting: usize,
    /// Sent texts that the server gave up or calls uncertain.
    pub(crate) failed: usize,
    /// Texts that the server calls sent, and no customer has.
    pub(crate) lost: usize,
    /// Copies that a phone hides, because they have the id of one that it has.
    pub(crate) copies: usize,
    /// Texts that a customer sees more than once.
    pub(crate) doubled: usize,
    /// Texts of customers that the server stored.
    pub(crate) stored: usize,
    /// Texts of customers that WhatsApp still holds for the device.
    pub(crate) held: usize,
    /// Texts of customers that the server acknowledged, and did not store.
    pub(crate) lost_inward: usize,
    /// Texts of customers that are stored more than once.
    pub(crate) doubled_inward: usize,
}

/// The number of a customer.
pub(crate) fn customer(index: usize) -> String {
    format!("62822{:08}", index % CUSTOMERS)
}

/// Makes the customers' phones.
pub(crate) async fn open(fleet: &Fleet) {
    for index in 0..CUSTOMERS {
        fleet.whatsapp.open(&customer(index)).await;
    }
}

impl Ledger {
    /// A device of the fleet writes to a customer.
    pub(crate) async fn send(&mut self, fleet: &Fleet, ship: usize) {
        let text = format!("out-{}", self.out.len());
        let to = customer(ship * CHATS + self.out.len() % CHATS);
        self.out.push(text.clone());
        fleet.send(&fleet.ships[ship], &[(to, text.clone())], &text).await;
    }

    /// A customer writes to a device of the fleet.
    pub(crate) async fn write(&mut self, fleet: &Fleet, ship: usize) {
        let text = format!("in-{}", self.inward.len());
        let from = customer(ship * CHATS + self.inward.len() % CHATS);
        fleet.whatsapp.write(&from, &fleet.ships[ship].number, &text).await;
        self.inward.push(text);
    }

    /// Whether everything arrived by now, as far as the two sides say without being asked in full.
    pub(crate) async fn is_settled(&self, fleet: &Fleet) -> bool {
        let mut arrived = 0;
        for index in 0..CUSTOMERS {
            arrived += fleet.whatsapp.heard_count(&customer(index)).await;
        }
        arrived >= self.out.len() as u64 && held(fleet).await == 0
    }

    /// What became of everything.
    pub(crate) async fn account(&self, fleet: &Fleet) -> Account {
        let mut account = Account { held: held(fleet).await, ..Account::default() };
        self.account_out(fleet, &mut account).await;
        self.account_inward(fleet, &mut account).await;
        account
    }

    async fn account_out(&self, fleet: &Fleet, account: &mut Account) {
        let mut shown: HashMap<String, usize> = HashMap::new();
        for index in 0..CUSTOMERS {
            for heard in fleet.whatsapp.heard(&customer(index)).await {
                account.copies += usize::try_from(heard.arrivals.saturating_sub(1)).unwrap();
                *shown.entry(heard.text).or_default() += 1;
            }
        }
        let statuses = texts(fleet, "out", "status").await;
        for text in &self.out {
            let count = shown.get(text).copied().unwrap_or_default();
            account.arrived += usize::from(count > 0);
            account.doubled += usize::from(count > 1);
            match statuses.get(text).map(Vec::as_slice) {
                Some([status]) => match status.as_str() {
                    "sent" | "delivered" | "read" => account.lost += usize::from(count == 0),
                    "pending" | "held" | "processing" => account.waiting += 1,
                    _ => account.failed += 1,
                },
                // Accepted, and not there: worse than lost on the way.
                _ => account.lost += 1,
            }
        }
    }

    async fn account_inward(&self, fleet: &Fleet, account: &mut Account) {
        let stored = texts(fleet, "in", "direction").await;
        for text in &self.inward {
            let count = stored.get(text).map_or(0, Vec::len);
            account.stored += usize::from(count > 0);
            account.doubled_inward += usize::from(count > 1);
        }
        let gone = self.inward.len() - account.stored;
        account.lost_inward = gone.saturating_sub(account.held);
    }
}

/// What WhatsApp holds for the devices of a fleet.
async fn held(fleet: &Fleet) -> usize {
    let waiting = stream::iter(&fleet.ships)
        .map(|ship| fleet.whatsapp.waiting(&ship.number))
        .buffered(AT_ONCE)
        .fold(0, async |sum, waiting| sum + waiting)
        .await;
    usize::try_from(waiting).unwrap()
}

/// A field of every message of one direction, by text.
async fn texts(fleet: &Fleet, direction: &str, field: &str) -> HashMap<String, Vec<String>> {
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for message in fleet.api.all(&format!("/messages?direction={direction}")).await {
        let text = message["content"]["body"].as_str().unwrap_or_default().to_owned();
        found.entry(text).or_default().push(message[field].as_str().unwrap_or_default().to_owned());
    }
    found
}
