//! Messages both ways, in the same chats, for as long as it is wanted.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::fleet::Fleet;
use crate::api::Api;
use crate::random::Random;

/// Messages of one call.
const CALL: u64 = 5;
/// Between two calls.
const CALLS: Duration = Duration::from_millis(200);
/// Between two messages of phones.
const WORDS: Duration = Duration::from_millis(40);

/// Where a message goes, or where it is said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chat {
    /// With a person, by their number.
    Person(String),
    /// In a group, by its place in the fleet.
    Group(usize),
}

/// A message that our API accepted.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) id: String,
    pub(crate) text: String,
    /// The device that it goes over, by its place in the fleet.
    pub(crate) ship: usize,
    pub(crate) chat: Chat,
}

/// A message that a phone sent.
#[derive(Debug)]
pub(crate) struct Said {
    /// Its id on the wire.
    pub(crate) id: String,
    pub(crate) text: String,
    /// The number that said it.
    pub(crate) by: String,
    /// To which device, by its place in the fleet, or in which group.
    pub(crate) to: Hearer,
}

/// Who hears what a phone says.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Hearer {
    Ship(usize),
    Group(usize),
}

/// All that was sent and said.
#[derive(Debug, Default)]
pub(crate) struct Book {
    pub(crate) sent: Vec<Sent>,
    pub(crate) said: Vec<Said>,
}

/// Messages on their way.
pub(crate) struct Traffic {
    stop: CancellationToken,
    sending: JoinHandle<Vec<Sent>>,
    saying: JoinHandle<Vec<Said>>,
}

impl Traffic {
    /// Begins; `name` tells this traffic's messages from others'.
    pub(crate) fn begin(fleet: &Arc<Fleet>, api: &Api, name: &str, seed: u64) -> Self {
        let stop = CancellationToken::new();
        let sender = Sender {
            fleet: Arc::clone(fleet),
            api: api.clone(),
            random: Random::new(seed),
            name: name.to_owned(),
        };
        let (fleet, name) = (Arc::clone(fleet), name.to_owned());
        let random = Random::new(seed ^ 0xffff);
        let sending = tokio::spawn(sender.send_all(stop.clone()));
        let saying = tokio::spawn(say_all(fleet, random, name, stop.clone()));
        Self { stop, sending, saying }
    }

    /// Ends, and adds what was sent and said.
    pub(crate) async fn end(self, book: &mut Book) {
        self.stop.cancel();
        book.sent.extend(self.sending.await.unwrap());
        book.said.extend(self.saying.await.unwrap());
    }
}

struct Sender {
    fleet: Arc<Fleet>,
    api: Api,
    random: Random,
    name: String,
}

impl Sender {
    async fn send_all(mut self, stop: CancellationToken) -> Vec<Sent> {
        let mut sent = Vec::new();
        for call in 0.. {
            if stop.is_cancelled() {
                break;
            }
            sent.extend(self.call(call).await);
            tokio::time::sleep(CALLS).await;
        }
        sent
    }

    async fn call(&mut self, call: u64) -> Vec<Sent> {
        let mut drafts: Vec<Sent> = (0..CALL).map(|n| self.draft(call * CALL + n)).collect();
        let messages: Vec<Value> = drafts.iter().map(|draft| self.body(draft)).collect();
        let once = format!("{}-{call}", self.name);
        let made = self.api.post("/messages", &json!({ "messages": messages }), &once).await;
        for (draft, made) in drafts.iter_mut().zip(made["messages"].as_array().unwrap()) {
            made["id"].as_str().unwrap().clone_into(&mut draft.id);
        }
        drafts
    }

    /// Most go to people whom the device knows, some to strangers, some into groups, and a few always to
    /// the same person.
    fn draft(&mut self, n: u64) -> Sent {
        let text = format!("out {} {n}", self.name);
        let (fleet, random) = (&self.fleet, &mut self.random);
        let mut ship = place(random, fleet.ships.len());
        let chat = match random.draw(20) {
            0..3 => Chat::Person(fleet.stranger(random).number().to_owned()),
            3 => {
                let group = place(random, fleet.groups.len());
                let ships = &fleet.groups[group].ships;
                ship = ships[place(random, ships.len())];
                Chat::Group(group)
            }
            4 => {
                ship = 0;
                Chat::Person(fleet.regular().number().to_owned())
            }
            _ => {
                let customers = &fleet.ships[ship].customers;
                let customer = &customers[place(random, customers.len())];
                Chat::Person(customer.number().to_owned())
            }
        };
        Sent { id: String::new(), text, ship, chat }
    }

    fn body(&self, draft: &Sent) -> Value {
        let to = match &draft.chat {
            Chat::Person(number) => json!({ "phone": format!("+{number}") }),
            Chat::Group(group) => json!({ "group_id": self.fleet.groups[*group].id }),
        };
        json!({
            "device_id": self.fleet.ships[draft.ship].device,
            "to": to,
            "content": { "type": "text", "body": draft.text },
        })
    }
}

async fn say_all(
    fleet: Arc<Fleet>,
    mut random: Random,
    name: String,
    stop: CancellationToken,
) -> Vec<Said> {
    let mut said = Vec::new();
    while !stop.is_cancelled() {
        said.push(say(&fleet, &mut random, format!("in {name} {}", said.len())));
        tokio::time::sleep(WORDS).await;
    }
    said
}

/// Most is said by people whom the device knows, some by strangers, some in groups.
fn say(fleet: &Fleet, random: &mut Random, text: String) -> Said {
    let ship = place(random, fleet.ships.len());
    let (phone, chat, to) = match random.draw(20) {
        0 => {
            let number = fleet.ships[ship].phone.number();
            (fleet.stranger(random), number, Hearer::Ship(ship))
        }
        1 => {
            let n = place(random, fleet.groups.len());
            let group = &fleet.groups[n];
            let phone = group.customers[place(random, group.customers.len())].clone();
            (phone, group.id.as_str(), Hearer::Group(n))
        }
        _ => {
            let ship_of = &fleet.ships[ship];
            let phone = ship_of.customers[place(random, ship_of.customers.len())].clone();
            (phone, ship_of.phone.number(), Hearer::Ship(ship))
        }
    };
    let id = phone.text(chat, &text).unwrap();
    Said { id, text, by: phone.number().to_owned(), to }
}

fn place(random: &mut Random, count: usize) -> usize {
    usize::try_from(random.draw(count as u64)).unwrap()
}
