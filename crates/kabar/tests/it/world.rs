//! A world whose clock jumps from one due time to the next: the real dispatcher, the real databases,
//! and a channel that only writes down what it was given and when.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use chrono::TimeDelta;
use kabar::Platform;
use kabar::channel::{
    Accepted, Capabilities, Channel, ChannelKind, ChannelPorts, Content, DeviceLink, Outgoing,
    Prepared, Reason, RetrySafety, SendError,
};
use kabar::core::{AccountId, Clock as _, DeviceId, IdSource, MessageId, Timestamp};
use kabar::devices::pacing::PacingSettings;
use kabar::devices::{DeviceSettings, Registration};
use kabar::messaging::pacing::Estimate;
use kabar::messaging::{MessageFilter, NewMessage, Purpose, Status, To};
use kabar_storage::testing::TestDatabase;
use kabar_testkit::accounts::{grant, new_account, provider};
use kabar_testkit::{SeqIds, TestClock};
use uuid::Uuid;

use crate::town::phone;

/// A send as the channel saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) device: DeviceId,
    pub(crate) message: MessageId,
    pub(crate) at: Timestamp,
}

/// What the channel does with the next sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mood {
    /// It takes them.
    Well,
    /// It answers one with "too fast".
    TooFast,
    /// It takes one and never answers: the node dies.
    Silent,
    /// It never takes one and never answers.
    Dead,
}

/// A channel that writes down what it was given. A copy under the same id is dropped by the
/// recipient, as on a paired session.
pub(crate) struct Notebook {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) page: Mutex<Vec<Sent>>,
    pub(crate) mood: Mutex<Mood>,
    /// Messages whose sends were never answered.
    pub(crate) lost: Mutex<BTreeSet<MessageId>>,
    pub(crate) stuck: tokio::sync::Notify,
}

#[async_trait]
impl Channel for Notebook {
    fn kind(&self) -> ChannelKind {
        ChannelKind::new("notebook")
    }

    fn capabilities(&self, _: &DeviceLink) -> Capabilities {
        Capabilities { in_flight: 4, retry: RetrySafety::SameId, ..Capabilities::text_only() }
    }

    async fn prepare(&self, _: &DeviceLink, message: &Outgoing) -> Result<Prepared, SendError> {
        Prepared::of(&message.content)
    }

    async fn transmit(
        &self,
        link: &DeviceLink,
        message: &Outgoing,
        _: &Prepared,
    ) -> Result<Accepted, SendError> {
        let mood = std::mem::replace(&mut *self.mood.lock().unwrap(), Mood::Well);
        if mood != Mood::Dead {
            let sent = Sent { device: link.device, message: message.id, at: self.clock.now() };
            self.page.lock().unwrap().push(sent);
        }
        match mood {
            Mood::Well => Ok(Accepted::new(message.id.to_string())),
            Mood::TooFast => {
                let reason = Reason::new("130429", "too fast");
                Err(SendError::SlowDown { after: None, reason })
            }
            Mood::Silent | Mood::Dead => {
                self.lost.lock().unwrap().insert(message.id);
                self.stuck.notify_one();
                std::future::pending().await
            }
        }
    }
}

/// Chance from a seed, and ids of the node's own range.
#[derive(Debug)]
pub(crate) struct Dice {
    pub(crate) ids: SeqIds,
    pub(crate) state: AtomicU64,
}

impl Dice {
    pub(crate) fn roll(&self) -> u64 {
        let mut mixed = self.state.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl IdSource for Dice {
    fn next(&self) -> Uuid {
        self.ids.next()
    }

    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            let roll = self.roll().to_le_bytes();
            chunk.copy_from_slice(&roll[..chunk.len()]);
        }
    }
}

/// Everything that a simulation needs.
pub(crate) struct World {
    pub(crate) database: TestDatabase,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) notebook: Arc<Notebook>,
    pub(crate) nodes: Vec<Platform>,
    pub(crate) account: AccountId,
    pub(crate) devices: Vec<DeviceId>,
    pub(crate) pacing: PacingSettings,
    /// Replies: when they were asked for.
    pub(crate) replies: BTreeMap<MessageId, (DeviceId, Timestamp)>,
    pub(crate) dice: Dice,
    pub(crate) born: u64,
    pub(crate) folder: tempfile::TempDir,
}

impl World {
    pub(crate) async fn new(
        database: TestDatabase,
        nodes: usize,
        pacing: PacingSettings,
        seed: u64,
    ) -> Self {
        let clock = Arc::new(TestClock::default());
        let notebook = Arc::new(Notebook {
            clock: clock.clone(),
            page: Mutex::default(),
            mood: Mutex::new(Mood::Well),
            lost: Mutex::default(),
            stuck: tokio::sync::Notify::new(),
        });
        let mut world = Self {
            database,
            clock,
            notebook,
            nodes: Vec::new(),
            account: AccountId::from(Uuid::nil()),
            devices: Vec::new(),
            pacing,
            replies: BTreeMap::new(),
            dice: Dice { ids: SeqIds::default(), state: AtomicU64::new(seed) },
            born: 0,
            folder: tempfile::tempdir().unwrap(),
        };
        for _ in 0..nodes {
            let node = world.node().await;
            world.nodes.push(node);
        }
        let accounts = world.nodes[0].accounts();
        let made = accounts.create(provider(), new_account("Sim"), None).await.unwrap();
        world.account = made.account.id;
        world
    }

    /// A new process on the same database.
    pub(crate) async fn node(&mut self) -> Platform {
        self.born += 1;
        let ids = SeqIds::after(self.born * 10_000_000);
        let dice = Dice { ids, state: AtomicU64::new(self.dice.roll()) };
        Platform::builder()
            .open_database(self.database.reopened().await)
            .without_migrations()
            .files(self.folder.path())
            .clock(self.clock.clone())
            .ids(Arc::new(dice))
            .channel(ChannelPorts::new(self.notebook.clone()))
            .build()
            .await
            .unwrap()
    }

    pub(crate) async fn add_devices(&mut self, count: usize) {
        for n in 0..count {
            let kind = ChannelKind::new("notebook");
            let mut new = Registration::new(format!("Device {n}"), kind, format!("n{n}"));
            new.settings = DeviceSettings {
                expire_seconds: 30 * 24 * 3600,
                pacing: self.pacing.clone(),
                ..DeviceSettings::default()
            };
            let devices = self.nodes[0].devices();
            let made = devices.register(&grant(self.account), new, None).await.unwrap();
            self.devices.push(made.device.id);
        }
    }

    /// Offers to so many people, shared by the devices.
    pub(crate) async fn broadcast(&self, people: usize) {
        let message = |n: usize| NewMessage {
            purpose: Purpose::Marketing,
            ..NewMessage::new(
                self.devices[n % self.devices.len()],
                To::Phone(phone(&format!("6281{n:08}"))),
                Content::text("offer"),
            )
        };
        let all: Vec<NewMessage> = (0..people).map(message).collect();
        for call in all.chunks(1_000) {
            let messages = self.nodes[0].messages();
            messages.send_many(&grant(self.account), call.to_vec(), None).await.unwrap();
        }
    }

    /// Somebody wrote and is answered, on a random device.
    pub(crate) async fn reply(&mut self) {
        let device = self.devices[self.below(self.devices.len())];
        let reply = NewMessage {
            purpose: Purpose::Reply,
            ..NewMessage::new(
                device,
                To::Phone(phone(&format!("6282{:08}", self.replies.len()))),
                Content::text("answer"),
            )
        };
        let messages = self.nodes[0].messages();
        let sent = messages.send_many(&grant(self.account), vec![reply], None).await.unwrap();
        self.replies.insert(sent.messages[0].id, (device, self.clock.now()));
    }

    pub(crate) fn below(&self, most: usize) -> usize {
        usize::try_from(self.dice.roll() % u64::try_from(most).unwrap()).unwrap()
    }

    /// Everything that can be done now, on every node.
    pub(crate) async fn settle(&mut self) {
        let well = *self.notebook.mood.lock().unwrap() == Mood::Well;
        if well && let [one, other] = self.nodes.as_slice() {
            // At the same time: they race for the same lanes and the same caps.
            let (one, other) = tokio::join!(one.drain(), other.drain());
            return one.and(other).unwrap();
        }
        let index = self.below(self.nodes.len());
        tokio::select! {
            drained = self.nodes[index].drain() => drained.unwrap(),
            // It died in the middle of a send; another process takes its place.
            () = self.notebook.stuck.notified() => {
                self.nodes[index] = self.node().await;
            }
        }
    }

    /// Walks until nothing waits; `event` happens before each step.
    pub(crate) async fn walk(&mut self, mut event: impl AsyncFnMut(&mut Self, usize)) -> usize {
        for step in 0..1_000_000 {
            event(self, step).await;
            self.settle().await;
            let Some(next) = self.nodes[0].next_due().await.unwrap() else {
                return step;
            };
            self.clock.set(next.max(self.clock.now()));
        }
        panic!("it never ends");
    }

    pub(crate) fn page(&self) -> Vec<Sent> {
        self.notebook.page.lock().unwrap().clone()
    }

    /// What a device sent of offers, or of everything.
    pub(crate) fn times(&self, device: DeviceId, offers: bool) -> Vec<Timestamp> {
        let page = self.page();
        let sent = page.iter().filter(|sent| sent.device == device);
        let sent = sent.filter(|sent| !offers || !self.replies.contains_key(&sent.message));
        sent.map(|sent| sent.at).collect()
    }

    /// The promises of the pacer, checked on what the channel saw.
    pub(crate) fn check(&self) {
        let (seconds, pacing) = (|n: u32| TimeDelta::seconds(i64::from(n)), &self.pacing);
        for device in &self.devices {
            let all = self.times(*device, false);
            assert!(all.is_sorted());
            for (cap, hours) in [(pacing.hourly, 1), (pacing.daily, 24)] {
                let Some(cap) = cap else { continue };
                let cap = usize::try_from(cap).unwrap();
                // Send n + cap must be a whole window after send n: no window holds cap + 1.
                for (early, late) in all.iter().zip(all.iter().skip(cap)) {
                    assert!(*late - *early >= TimeDelta::hours(hours), "{cap} in {hours} h");
                }
            }
            let offers = self.times(*device, true);
            let gaps: Vec<TimeDelta> = offers.windows(2).map(|two| two[1] - two[0]).collect();
            if let Some(delay) = pacing.delay {
                assert!(gaps.iter().all(|gap| *gap >= seconds(delay.min_seconds)));
            }
            if let Some(batch) = pacing.batch {
                let size = usize::try_from(batch.size).unwrap();
                for gaps in gaps.windows(size) {
                    let longest = gaps.iter().max().unwrap();
                    assert!(*longest >= seconds(batch.rest_seconds), "no rest in {size}");
                }
            }
        }
        self.check_replies();
    }

    /// No offer of the device went between the asking for a reply and its going, unless a node died
    /// with the reply in hand.
    pub(crate) fn check_replies(&self) {
        let page = self.page();
        let lost = self.notebook.lost.lock().unwrap();
        for (reply, (device, asked)) in self.replies.iter().filter(|(id, _)| !lost.contains(id)) {
            let place = page.iter().position(|sent| sent.message == *reply).expect("it went");
            let overtaken = page[..place].iter().filter(|sent| {
                sent.device == *device
                    && sent.at > *asked
                    && !self.replies.contains_key(&sent.message)
            });
            assert_eq!(overtaken.count(), 0, "an offer went before a reply");
        }
    }

    /// Everybody got each message once, and nothing is left.
    pub(crate) async fn all_arrived(&self, expected: usize) {
        let page = self.page();
        let distinct: BTreeSet<MessageId> = page.iter().map(|sent| sent.message).collect();
        assert_eq!(distinct.len(), expected);
        let messages = self.nodes[0].messages();
        let page = kabar::core::PageRequest::new(Some(1), None);
        for status in [Status::Pending, Status::Held, Status::Processing, Status::Uncertain] {
            let filter = MessageFilter { statuses: vec![status], ..MessageFilter::default() };
            let left = messages.list(&grant(self.account), &filter, page).await.unwrap();
            assert!(left.items.is_empty(), "{:?}", left.items);
        }
    }

    pub(crate) async fn forecast(&self, messages: usize) -> Estimate {
        let messages = u64::try_from(messages).unwrap();
        let pacing = self.nodes[0].pacing();
        let purpose = Purpose::Marketing;
        pacing.forecast(&grant(self.account), &self.devices, messages, purpose).await.unwrap()
    }
}
