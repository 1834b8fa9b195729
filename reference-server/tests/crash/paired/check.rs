//! What phones show and what Kabar stored, afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kabar_sandbox::multi_device::{PhoneMessage, VirtualPhone};
use serde_json::Value;

use super::fleet::Fleet;
use super::traffic::{Book, Chat, Hearer, Said, Sent};
use crate::api::Api;

/// How long it may take until nothing moves any more.
const PATIENCE: Duration = Duration::from_mins(5);
/// Statuses of messages that are still on their way; an unanswered send is repeated.
const UNDERWAY: [&str; 4] = ["pending", "held", "processing", "uncertain"];

/// Waits until nothing moves any more: no message on its way, and nothing that WhatsApp still has for
/// a device.
pub(crate) async fn until_quiet(api: &Api, fleet: &Fleet, book: &Book) {
    let (began, wanted) = (Instant::now(), expected(fleet, book).len());
    loop {
        fleet.until_online(fleet.ships.len()).await;
        let mut underway = 0;
        for status in UNDERWAY {
            underway += api.all(&format!("/messages?status={status}")).await.len();
        }
        let (stored, waiting) = (incoming_of(api).await.len(), fleet.waiting());
        if underway == 0 && waiting == 0 && stored >= wanted {
            break;
        }
        if began.elapsed() > PATIENCE {
            explain(api, fleet, book).await;
            panic!("never quiet: {underway} underway, {waiting} at WhatsApp, {stored} of {wanted}");
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// What is missing, for whoever reads a failed test.
async fn explain(api: &Api, fleet: &Fleet, book: &Book) {
    for status in UNDERWAY {
        for message in api.all(&format!("/messages?status={status}")).await {
            eprintln!("underway: {message}");
        }
    }
    let stored: BTreeSet<(String, String)> = incoming_of(api).await.iter().map(arrival).collect();
    for missing in expected(fleet, book).difference(&stored) {
        eprintln!("not stored: {missing:?}");
        for said in book.said.iter().filter(|said| said.text == missing.1) {
            let phone = fleet.whatsapp.phone(&said.by).unwrap();
            let receipts = phone.receipts().into_iter().filter(|it| it.ids.contains(&said.id));
            eprintln!("  {said:?}: {:?}", receipts.collect::<Vec<_>>());
        }
    }
    for ship in fleet.ships.iter().filter(|ship| ship.companion().waiting > 0) {
        eprintln!("waiting for {}: {:?}", ship.device, ship.phone.waiting(1));
    }
    for (number, id, error) in failures(fleet, book) {
        eprintln!("not readable at {number}: {id}: {error}");
    }
}

async fn incoming_of(api: &Api) -> Vec<Value> {
    api.all("/messages?direction=in").await
}

/// Device and text.
fn arrival(message: &Value) -> (String, String) {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (word(&message["device_id"]), word(&message["content"]["body"]))
}

/// What each device has to hear: what is said to it, and everything in its groups that is not its
/// own.
fn expected(fleet: &Fleet, book: &Book) -> BTreeSet<(String, String)> {
    let device = |ship: usize| fleet.ships[ship].device.clone();
    let mut all = BTreeSet::new();
    for Said { text, to, .. } in &book.said {
        match to {
            Hearer::Ship(ship) => {
                all.insert((device(*ship), text.clone()));
            }
            Hearer::Group(group) => {
                let ships = &fleet.groups[*group].ships;
                all.extend(ships.iter().map(|ship| (device(*ship), text.clone())));
            }
        }
    }
    for Sent { text, ship, chat, .. } in &book.sent {
        if let Chat::Group(group) = chat {
            let others = fleet.groups[*group].ships.iter().filter(|other| *other != ship);
            all.extend(others.map(|other| (device(*other), text.clone())));
        }
    }
    all
}

/// Every message that a phone sent is stored once, and nothing else.
pub(crate) async fn incoming(api: &Api, fleet: &Fleet, book: &Book) {
    let messages = incoming_of(api).await;
    let stored: BTreeSet<(String, String)> = messages.iter().map(arrival).collect();
    assert_eq!(stored.len(), messages.len(), "something is stored twice");
    let expected = expected(fleet, book);
    let missing: Vec<_> = expected.difference(&stored).collect();
    assert!(missing.is_empty(), "not stored: {missing:?}");
    let surplus: Vec<_> = stored.difference(&expected).collect();
    assert!(surplus.is_empty(), "nobody said: {surplus:?}");
    people(api, &messages, book).await;
    let told = told(fleet, book);
    eprintln!(
        "incoming: {} said, stored {} times, each device once; {told} saw a delivery receipt",
        book.said.len(),
        messages.len()
    );
}

/// Each person is one contact, and said what is stored under it.
async fn people(api: &Api, messages: &[Value], book: &Book) {
    let contacts = api.all("/contacts").await;
    let phones: BTreeMap<&str, &str> = contacts
        .iter()
        .filter_map(|contact| Some((contact["id"].as_str()?, contact["phone"].as_str()?)))
        .collect();
    let numbers: BTreeSet<&&str> = phones.values().collect();
    assert_eq!(numbers.len(), phones.len(), "somebody is two contacts");
    let by: BTreeMap<&str, &Said> =
        book.said.iter().map(|said| (said.text.as_str(), said)).collect();
    for message in messages {
        let (_, text) = arrival(message);
        let Some(said) = by.get(text.as_str()) else { continue };
        if matches!(said.to, Hearer::Ship(_)) {
            let sender = phones.get(message["contact_id"].as_str().unwrap());
            assert_eq!(sender, Some(&format!("+{}", said.by).as_str()), "the sender of {message}");
        }
    }
}

/// How many of those who wrote to a device know that it came.
fn told(fleet: &Fleet, book: &Book) -> usize {
    let mut receipts: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for said in &book.said {
        receipts.entry(&said.by).or_insert_with(|| {
            let phone = fleet.whatsapp.phone(&said.by).unwrap();
            let delivered = |kind: &str| matches!(kind, "delivery" | "inactive");
            let all = phone.receipts().into_iter();
            all.filter(|it| it.device != 0 && delivered(&it.kind)).flat_map(|it| it.ids).collect()
        });
    }
    book.said.iter().filter(|said| receipts[said.by.as_str()].contains(&said.id)).count()
}

/// What a phone shows, by text.
struct Shown<'a> {
    fleet: &'a Fleet,
    by_phone: BTreeMap<String, BTreeMap<String, Vec<PhoneMessage>>>,
    /// Stanzas beyond the first under one id.
    copies: usize,
}

impl Shown<'_> {
    fn at(&mut self, number: &str) -> &BTreeMap<String, Vec<PhoneMessage>> {
        let Self { fleet, by_phone, copies } = self;
        by_phone.entry(number.to_owned()).or_insert_with(|| {
            let mut shown: BTreeMap<String, Vec<PhoneMessage>> = BTreeMap::new();
            for message in fleet.whatsapp.phone(number).unwrap().messages() {
                let text = message.text().unwrap_or_default().to_owned();
                if text.starts_with("out ") {
                    *copies += message.arrivals as usize - 1;
                }
                shown.entry(text).or_default().push(message);
            }
            shown
        })
    }

    /// Asserts that a phone shows a message once, under the id that Kabar stored.
    fn once(&mut self, number: &str, sent: &Sent, stored: &Value) {
        let shown = self.at(number).get(&sent.text).map_or(&[][..], Vec::as_slice);
        assert_eq!(shown.len(), 1, "{number} shows {shown:?} of {stored}");
        assert_eq!(stored["wire_id"], shown[0].id.as_str(), "{stored}");
    }
}

/// Every message that was accepted is shown once by every phone that is to show it.
pub(crate) async fn outgoing(api: &Api, fleet: &Fleet, book: &Book) {
    let messages = api.all("/messages?direction=out").await;
    let by_id: BTreeMap<&str, &Value> =
        messages.iter().map(|message| (message["id"].as_str().unwrap(), message)).collect();
    assert_eq!(by_id.len(), book.sent.len(), "what was accepted is stored, and nothing else");
    let mut shown = Shown { fleet, by_phone: BTreeMap::new(), copies: 0 };
    let (mut statuses, mut again) = (BTreeMap::<&str, usize>::new(), 0);
    for sent in &book.sent {
        let stored = by_id.get(sent.id.as_str()).copied();
        let stored = stored.unwrap_or_else(|| panic!("{sent:?} was accepted and is lost"));
        for number in readers(fleet, sent) {
            shown.once(&number, sent, stored);
        }
        *statuses.entry(status(stored)).or_default() += 1;
        again += usize::from(stored["attempts"].as_u64().unwrap() > 1);
    }
    eprintln!(
        "outgoing: {} accepted, each shown once; {} were uncertain, {again} tried again, {} copies \
         came under the same id; {statuses:?}",
        book.sent.len(),
        uncertain(api).await,
        shown.copies
    );
}

/// How many messages were uncertain for a while, as the event log tells.
async fn uncertain(api: &Api) -> usize {
    let mut found = BTreeSet::new();
    let mut after = String::new();
    loop {
        let page = api.get(&format!("/events?limit=200{after}")).await;
        let items = page["items"].as_array().unwrap();
        let told = items.iter().map(|item| &item["data"]);
        let uncertain = told.filter(|data| data["status"] == "uncertain");
        found.extend(uncertain.map(|data| data["message_id"].to_string()));
        let Some(next) = page["next"].as_str().filter(|_| !items.is_empty()) else {
            return found.len();
        };
        after = format!("&after={next}");
    }
}

/// The status of a message that was shown; the times that go with it are there.
fn status(stored: &Value) -> &str {
    let status = stored["status"].as_str().unwrap();
    let times: &[&str] = match status {
        "sent" => &["sent_at"],
        "delivered" => &["sent_at", "delivered_at"],
        "read" => &["sent_at", "delivered_at", "read_at"],
        _ => panic!("it was shown: {stored}"),
    };
    for time in times {
        assert!(stored[time].is_string(), "{time} of {stored}");
    }
    status
}

/// The phones that have to show a message; that of the device itself is among them.
pub(crate) fn readers(fleet: &Fleet, sent: &Sent) -> Vec<String> {
    let own = fleet.ships[sent.ship].phone.number().to_owned();
    match &sent.chat {
        Chat::Person(number) => vec![number.clone(), own],
        Chat::Group(group) => {
            let group = &fleet.groups[*group];
            let ships = group.ships.iter().map(|ship| &fleet.ships[*ship].phone);
            let members = ships.chain(&group.customers);
            members.map(|phone| phone.number().to_owned()).collect()
        }
    }
}

/// What phones could not read, and still do not show: number, id and why.
fn failures(fleet: &Fleet, book: &Book) -> Vec<(String, String, String)> {
    let mut left = Vec::new();
    for phone in phones(fleet, book) {
        let shown: BTreeSet<String> = phone.messages().into_iter().map(|it| it.id).collect();
        for failure in phone.failures() {
            if !shown.contains(&failure.id) {
                left.push((phone.number().to_owned(), failure.id, failure.error));
            }
        }
    }
    left
}

/// Everybody who took part.
fn phones(fleet: &Fleet, book: &Book) -> Vec<VirtualPhone> {
    let mut numbers: BTreeSet<&str> = fleet.ships.iter().map(|ship| ship.phone.number()).collect();
    numbers.extend(book.said.iter().map(|said| said.by.as_str()));
    numbers.extend(book.sent.iter().filter_map(|sent| match &sent.chat {
        Chat::Person(number) => Some(number.as_str()),
        Chat::Group(_) => None,
    }));
    numbers.extend(fleet.groups.iter().flat_map(|it| &it.customers).map(VirtualPhone::number));
    numbers.into_iter().map(|number| fleet.whatsapp.phone(number).unwrap()).collect()
}

/// Nothing is left behind that somebody could not read, and no device was unlinked.
pub(crate) async fn readable(api: &Api, admin: &Api, fleet: &Fleet, book: &Book) {
    let left = failures(fleet, book);
    assert!(left.is_empty(), "still not readable: {left:?}");
    assert_eq!(admin.measured("kabar_quarantined ").await, Some(0), "nothing is in quarantine");
    fleet.until_connected(api).await;
    let devices: BTreeSet<u16> = fleet.ships.iter().map(|ship| ship.companion().device).collect();
    assert_eq!(devices, BTreeSet::from([1]), "nothing was paired anew");
    let met: usize = phones(fleet, book).iter().map(|phone| phone.failures().len()).sum();
    eprintln!("readable: {met} stanzas could not be read at first, all of them were in the end");
}
