//! The event log, and whether its reader was told everything.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use serde_json::Value;

use crate::api::Api;
use crate::receiver::{Delivery, Receiver};

/// What the receiver is shown beside an event's own fields.
const VIEWS: [&str; 3] = ["message", "contact", "device"];

/// An event, as both the log and the receiver know it: kind, time and own fields.
type Event = (String, DateTime<Utc>, String);

/// The event log, as far as it was read.
#[derive(Debug, Default)]
pub(crate) struct Log {
    events: Vec<Event>,
    next: Option<String>,
}

impl Log {
    /// Reads on, from a time on.
    async fn read_on(&mut self, api: &Api, since: DateTime<Utc>) {
        loop {
            let after =
                self.next.as_ref().map_or_else(String::new, |next| format!("&after={next}"));
            let page = api.get(&format!("/events?limit=200{after}")).await;
            assert_eq!(page["gap"], false, "the log has no gap");
            self.next = page["next"].as_str().map(str::to_owned);
            let items = page["items"].as_array().unwrap();
            let read = items.iter().map(|item| event(&item["kind"], &item["at"], &item["data"]));
            self.events.extend(read.filter(|(_, at, _)| *at >= since));
            if items.is_empty() {
                return;
            }
        }
    }
}

fn event(kind: &Value, at: &Value, data: &Value) -> Event {
    let fields: BTreeMap<&String, &Value> = data
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(name, value)| !(VIEWS.contains(&name.as_str()) && value.is_object()))
        .collect();
    let at = at.as_str().unwrap().parse().unwrap();
    (kind.as_str().unwrap().to_owned(), at, serde_json::to_string(&fields).unwrap())
}

fn told(delivery: &Delivery) -> Event {
    let body: Value = serde_json::from_str(&delivery.body).unwrap();
    event(&body["type"], &body["timestamp"], &body["data"])
}

/// How often each occurs.
fn tally(events: impl IntoIterator<Item = Event>) -> BTreeMap<Event, usize> {
    let mut tally = BTreeMap::new();
    for event in events {
        *tally.entry(event).or_default() += 1;
    }
    tally
}

/// Waits until nothing waits for the receiver any more, and reads the log.
pub(crate) async fn until_told(api: &Api, receiver: &Receiver, endpoint: &Value) -> Log {
    let id = endpoint["id"].as_str().unwrap();
    let since = endpoint["created_at"].as_str().unwrap().parse().unwrap();
    let (mut log, began) = (Log::default(), Instant::now());
    loop {
        log.read_on(api, since).await;
        let standing = api.get(&format!("/webhooks/{id}/statistics")).await;
        let (waiting, failed) = (&standing["waiting"], &standing["failed"]);
        assert_eq!(failed, 0, "no delivery is given up: {standing}");
        if *waiting == 0 && receiver.count() >= log.events.len() {
            return log;
        }
        let (told, events) = (receiver.count(), log.events.len());
        assert!(
            began.elapsed() < Duration::from_mins(3),
            "never told: {told} of {events} events, {standing}"
        );
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
}

/// Every event reached the receiver under one id and no other.
pub(crate) fn check(log: Log, receiver: &Receiver) {
    let deliveries = receiver.deliveries();
    let happened = tally(log.events);
    let heard = tally(deliveries.values().map(told));
    let events: BTreeSet<&Event> = happened.keys().chain(heard.keys()).collect();
    let often = |tally: &BTreeMap<Event, usize>, event| tally.get(event).copied().unwrap_or(0);
    let wrong: Vec<String> = events
        .into_iter()
        .map(|event| (event, often(&happened, event), often(&heard, event)))
        .filter(|(_, happened, heard)| happened != heard)
        .map(|(event, happened, heard)| format!("{event:?}: {happened} times, {heard} ids"))
        .collect();
    assert!(wrong.is_empty(), "events and ids differ: {wrong:#?}");
    let kinds: BTreeSet<&str> = happened.keys().map(|(kind, ..)| kind.as_str()).collect();
    for kind in ["message.queued", "message.status", "broadcast.completed", "contact.created"] {
        assert!(kinds.contains(kind), "no {kind} among {kinds:?}");
    }
    let requests: usize = deliveries.values().map(|delivery| delivery.times).sum();
    let repeats = requests - deliveries.len();
    eprintln!(
        "webhooks: {} events, each under one id; {requests} deliveries, {repeats} of them repeats",
        deliveries.len()
    );
}
