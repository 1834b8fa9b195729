//! The ban guard: messages to people who never wrote wait, answers do not.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::TimeDelta;
use kabar::Platform;
use kabar::channel::incoming::PersonIds;
use kabar::channel::{
    Accepted, Batch, Capabilities, Channel, ChannelEvent, ChannelKind, ChannelPorts, Content,
    DeviceAddress, DeviceLink, EventBody, IncomingContent, IncomingMessage, Outgoing, Prepared,
    Reason, RetrySafety, SendError,
};
use kabar::core::{AccountId, Clock as _, DeviceId, MessageId, Store, Timestamp};
use kabar::devices::health::{DayCounts, HealthWord};
use kabar::devices::pacing::{WarmUp, WarmUpPlan};
use kabar::devices::{DevicePatch, DeviceSettings, DeviceState, DevicesUse, NewPaired};
use kabar::messaging::{Message, NewMessage, Purpose, Status, To};
use kabar_storage::testing::{TestDatabase, each_database};
use kabar_testkit::accounts::{grant, new_account, provider};
use kabar_testkit::{SeqIds, TestClock};
use serde_json::Value;

use crate::town::phone;

/// A network that refuses what it is told to refuse, and writes down what it took.
struct Network {
    clock: Arc<TestClock>,
    took: Mutex<Vec<(String, Timestamp)>>,
    refuses: Mutex<VecDeque<SendError>>,
}

#[async_trait]
impl Channel for Network {
    fn kind(&self) -> ChannelKind {
        ChannelKind::QR_SESSION
    }

    fn capabilities(&self, _: &DeviceLink) -> Capabilities {
        Capabilities { in_flight: 1, retry: RetrySafety::SameId, ..Capabilities::text_only() }
    }

    async fn prepare(&self, _: &DeviceLink, message: &Outgoing) -> Result<Prepared, SendError> {
        Prepared::of(&message.content)
    }

    async fn transmit(
        &self,
        _: &DeviceLink,
        message: &Outgoing,
        _: &Prepared,
    ) -> Result<Accepted, SendError> {
        if let Some(refusal) = self.refuses.lock().unwrap().pop_front() {
            return Err(refusal);
        }
        let to = message.to.phone.as_ref().unwrap().digits().to_owned();
        self.took.lock().unwrap().push((to, self.clock.now()));
        Ok(Accepted::new(message.id.to_string()))
    }
}

/// A paired device on two nodes.
struct Shop {
    nodes: [Platform; 2],
    clock: Arc<TestClock>,
    network: Arc<Network>,
    account: AccountId,
    device: DeviceId,
    _folder: tempfile::TempDir,
}

impl Shop {
    async fn new(test: TestDatabase, warm_up: WarmUp) -> Self {
        let clock = Arc::new(TestClock::default());
        let network = Arc::new(Network {
            clock: clock.clone(),
            took: Mutex::default(),
            refuses: Mutex::default(),
        });
        let folder = tempfile::tempdir().unwrap();
        let node = async |ids: u64| {
            Platform::builder()
                .open_database(test.reopened().await)
                .without_migrations()
                .files(folder.path())
                .clock(clock.clone())
                .ids(Arc::new(SeqIds::after(ids)))
                .channel(ChannelPorts::new(network.clone()))
                .build()
                .await
                .unwrap()
        };
        let nodes = [node(10_000_000).await, node(20_000_000).await];
        let new = new_account("Toko");
        let account = nodes[0].accounts().create(provider(), new, None).await.unwrap().account.id;
        let mut settings =
            DeviceSettings { expire_seconds: 30 * 24 * 3600, ..DeviceSettings::default() };
        settings.pacing.warm_up = warm_up;
        let new = NewPaired { name: "Toko".to_owned(), settings, accept_risk: true, proxy: None };
        let made = nodes[0].devices().add_paired(&grant(account), new, None).await.unwrap();
        let device = made.device.id;
        let store: &dyn Store<dyn DevicesUse> = &test.database;
        let work = store.begin().await.unwrap();
        let mut registry = work.device_registry(provider());
        registry.set_state(device, DeviceState::Connected, None, clock.now()).await.unwrap();
        drop(registry);
        work.commit().await.unwrap();
        Self { nodes, clock, network, account, device, _folder: folder }
    }

    async fn send(&self, to: &str, purpose: Purpose) -> MessageId {
        let to = To::Phone(phone(to));
        let new = NewMessage { purpose, ..NewMessage::new(self.device, to, Content::text("x")) };
        let messages = self.nodes[0].messages();
        messages.send_many(&grant(self.account), vec![new], None).await.unwrap().messages[0].id
    }

    async fn many(&self, from: usize, count: usize) -> Vec<MessageId> {
        let mut ids = Vec::new();
        for n in from..from + count {
            ids.push(self.send(&format!("6281{n:08}"), Purpose::Marketing).await);
        }
        ids
    }

    /// Somebody writes to the device.
    async fn hears(&self, from: &str) {
        let message = IncomingMessage {
            wire_id: format!("in-{from}-{}", self.clock.now().timestamp_micros()),
            sender: PersonIds { phone: Some(phone(from)), ..PersonIds::default() },
            address: None,
            recipient: None,
            group: None,
            profile_name: None,
            sent_at: Some(self.clock.now()),
            content: IncomingContent::Text { body: "halo".to_owned() },
            reply_to: None,
            forwarded: false,
            referral: None,
            errors: Vec::new(),
        };
        let device =
            DeviceAddress { channel: ChannelKind::QR_SESSION, address: self.device.to_string() };
        let body = EventBody::Message(Box::new(message));
        let event = ChannelEvent { device: Some(device), body, raw: Value::Null };
        let batch = Batch { events: vec![event], ..Batch::default() };
        let report = self.nodes[0].intake().accept(batch).await.unwrap();
        assert_eq!(report.messages, 1);
    }

    /// Both nodes send what may go.
    async fn settle(&self) {
        let (one, other) = tokio::join!(self.nodes[0].drain(), self.nodes[1].drain());
        one.and(other).unwrap();
    }

    async fn stored(&self, id: MessageId) -> Message {
        self.nodes[0].messages().get(&grant(self.account), id).await.unwrap()
    }

    /// A message as a face shows it.
    async fn shown(&self, id: MessageId) -> Message {
        let message = self.stored(id).await;
        let pacing = self.nodes[1].pacing();
        pacing.explain(&grant(self.account), vec![message]).await.unwrap().remove(0)
    }

    fn refuse(&self, code: &str, until: Timestamp, assumed: bool) {
        let reason = Reason::new(code, "no");
        let refusal = SendError::NewContactsBlocked { until, assumed, reason };
        self.network.refuses.lock().unwrap().push_back(refusal);
    }

    fn took(&self) -> Vec<String> {
        self.network.took.lock().unwrap().iter().map(|(to, _)| to.clone()).collect()
    }

    async fn next_due(&self) -> Timestamp {
        self.nodes[0].next_due().await.unwrap().unwrap()
    }

    async fn week(&self) -> DayCounts {
        let pacing = self.nodes[0].pacing();
        pacing.health(&grant(self.account), self.device).await.unwrap().health.week
    }
}

fn why(message: &Message) -> (Status, &str, &str) {
    let reason = message.reason.as_ref();
    let (code, text) = reason.map_or(("", ""), |reason| (&*reason.code, &*reason.text));
    (message.status, code, text)
}

const KNOWN: &str = "628200000001";
const STRANGER: &str = "628300000001";
const OTHER: &str = "628300000002";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_a_refusal_new_contacts_wait_until_the_stated_time() {
    each_database(async |test| {
        let shop = Shop::new(test, WarmUp::Off).await;
        shop.hears(KNOWN).await;
        let until = shop.clock.now() + TimeDelta::hours(6);
        shop.refuse("463", until, false);
        let refused = shop.send(STRANGER, Purpose::Otp).await;
        shop.settle().await;
        let held = shop.shown(refused).await;
        let (status, code, text) = why(&held);
        assert_eq!((status, code), (Status::Held, "new_contacts_paused"));
        assert!(text.contains("(463)") && text.contains("as it says"), "{text}");
        assert_eq!((held.held_until, held.attempts), (Some(until), 0));

        // Another one is taken all the same, and only waits; its row is not touched.
        let other = shop.send(OTHER, Purpose::Marketing).await;
        let known = shop.send(KNOWN, Purpose::Service).await;
        let reply = shop.send(KNOWN, Purpose::Reply).await;
        shop.settle().await;
        assert_eq!(shop.took(), [KNOWN, KNOWN], "who wrote first is answered");
        for id in [known, reply] {
            assert_eq!(shop.stored(id).await.status, Status::Sent);
        }
        assert_eq!(shop.stored(other).await.status, Status::Pending);
        let held = shop.shown(other).await;
        assert_eq!((why(&held).1, held.held_until), ("new_contacts_paused", Some(until)));
        assert_eq!(shop.next_due().await, until);

        // Who writes is no stranger any more.
        shop.hears(OTHER).await;
        shop.settle().await;
        assert_eq!(shop.stored(other).await.status, Status::Sent);

        shop.clock.set(until - TimeDelta::seconds(1));
        shop.settle().await;
        assert_eq!(shop.shown(refused).await.status, Status::Held);
        shop.clock.set(until);
        shop.settle().await;
        assert_eq!(shop.stored(refused).await.status, Status::Sent);
        let counts = DayCounts { sent: 4, refused: 1, contacted: 1, ..DayCounts::default() };
        assert_eq!(shop.week().await, counts);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_end_that_nobody_named_is_said_to_be_assumed() {
    each_database(async |test| {
        let shop = Shop::new(test, WarmUp::Off).await;
        let until = shop.clock.now() + TimeDelta::hours(24);
        shop.refuse("475", until, true);
        let refused = shop.send(STRANGER, Purpose::Service).await;
        shop.settle().await;
        let held = shop.shown(refused).await;
        assert!(why(&held).2.contains("an assumption"), "{}", why(&held).2);
        let found = shop.nodes[1].pacing().health(&grant(shop.account), shop.device).await.unwrap();
        assert_eq!((found.health.word, found.health.score), (HealthWord::Watch, 70));
        let blocked = found.new_contacts.unwrap().blocked.unwrap();
        assert_eq!((blocked.until, blocked.assumed, blocked.code), (until, true, Some(475)));

        // The same again, when it is tried again.
        let next = until + TimeDelta::hours(24);
        shop.refuse("475", next, true);
        shop.clock.set(until);
        shop.settle().await;
        let held = shop.shown(refused).await;
        assert_eq!((held.held_until, held.attempts), (Some(next), 0));
        shop.clock.set(next);
        shop.settle().await;
        assert_eq!(shop.took(), [STRANGER]);

        // An answer counts for the day on which they were written to.
        shop.hears(STRANGER).await;
        shop.clock.advance(TimeDelta::minutes(1));
        shop.hears(STRANGER).await;
        let counts =
            DayCounts { sent: 1, refused: 2, contacted: 1, answered: 1, ..DayCounts::default() };
        assert_eq!(shop.week().await, counts);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_contact_that_is_refused_lets_answers_pass() {
    each_database(async |test| {
        let shop = Shop::new(test, WarmUp::Off).await;
        shop.hears(KNOWN).await;
        let until = shop.clock.now() + TimeDelta::hours(6);
        shop.refuse("463", until, false);
        let refused = shop.send(KNOWN, Purpose::Service).await;
        shop.settle().await;
        let reply = shop.send(KNOWN, Purpose::Reply).await;
        shop.settle().await;
        assert_eq!(shop.stored(reply).await.status, Status::Sent);
        let held = shop.shown(refused).await;
        assert_eq!((why(&held).1, held.held_until), ("new_contacts_paused", Some(until)));
        shop.clock.set(until);
        shop.settle().await;
        assert_eq!(shop.stored(refused).await.status, Status::Sent);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_number_is_warmed_up_day_by_day() {
    each_database(async |test| {
        let plan = WarmUpPlan { days: 3, first_day: 2, growth_percent: 100 };
        let shop = Shop::new(test, WarmUp::Own(plan)).await;
        shop.hears(KNOWN).await;
        let all = shop.many(0, 16).await;
        shop.settle().await;
        assert_eq!(shop.took().len(), 2, "two nodes, one cap");
        shop.send(KNOWN, Purpose::Reply).await;
        shop.settle().await;
        assert_eq!(shop.took().last().map(String::as_str), Some(KNOWN), "an answer is not counted");
        let waits = shop.shown(all[15]).await;
        let next = shop.next_due().await;
        assert_eq!(waits.held_until, Some(next));
        let (status, code, text) = why(&waits);
        assert_eq!((status, code), (Status::Held, "warm_up"));
        assert!(
            text.starts_with("warm-up: day 1 of 3, 2 new contacts today; continues at "),
            "{text}"
        );
        assert_eq!(shop.stored(all[15]).await.status, Status::Pending, "nothing is written");

        // 4 on the second day, 8 on the third, any number from the fourth on.
        for (days, sent) in [(2, 2 + 1 + 4), (3, 2 + 1 + 4 + 8), (4, 1 + 16)] {
            let next = shop.next_due().await;
            shop.clock.set(next - TimeDelta::seconds(1));
            shop.settle().await;
            shop.clock.set(next);
            shop.settle().await;
            assert_eq!(shop.took().len(), sent, "day {days}");
        }
        shop.many(100, 40).await;
        shop.settle().await;
        assert_eq!(shop.took().len(), 1 + 16 + 40);
        let found = shop.nodes[0].pacing().health(&grant(shop.account), shop.device).await.unwrap();
        assert_eq!(found.new_contacts.unwrap().warm_up, None);
        assert_eq!(found.health.week.contacted, 56);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paired_device_is_warmed_up_unless_it_is_switched_off() {
    each_database(async |test| {
        let shop = Shop::new(test, WarmUp::default()).await;
        shop.many(0, 30).await;
        shop.settle().await;
        assert_eq!(shop.took().len(), 20);
        let devices = shop.nodes[0].devices();
        let mut settings = devices.get(&grant(shop.account), shop.device).await.unwrap().settings;
        settings.pacing.warm_up = WarmUp::Off;
        let patch = DevicePatch { settings: Some(settings), ..DevicePatch::default() };
        devices.update(&grant(shop.account), shop.device, patch).await.unwrap();
        shop.settle().await;
        assert_eq!(shop.took().len(), 30, "what waited goes at once");
    })
    .await;
}
