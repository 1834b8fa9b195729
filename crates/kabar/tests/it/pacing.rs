//! Why messages wait, and until when.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use chrono::TimeDelta;
use kabar::Platform;
use kabar::channel::{
    Accepted, Capabilities, Channel, ChannelKind, ChannelPorts, Content, DeviceLink, Outgoing,
    Prepared, SendError,
};
use kabar::core::{Clock as _, DeviceId, MessageId, Timestamp};
use kabar::devices::pacing::{
    AccountPacing, FrequencyCap, PacingSettings, QuietChoice, QuietHours, Retry,
};
use kabar::devices::{DevicePatch, DeviceSettings, Registration};
use kabar::messaging::pacing::HoldReason;
use kabar::messaging::{DispatcherSettings, Message, NewMessage, Purpose, Status, To};
use kabar_sandbox::{DEFAULT_WABA_ID, Fault, FaultEffect};
use kabar_storage::testing::each_database;
use kabar_testkit::accounts::{grant, new_account, provider};
use serde_json::json;
use tokio::sync::Notify;

use crate::incoming::accept;
use crate::town::{CUSTOMER, each_town, phone};
use crate::world::World;

fn code(message: &Message) -> &str {
    message.reason.as_ref().map_or("", |reason| reason.code.as_str())
}

async fn send(world: &World, device: DeviceId, to: &str, purpose: Purpose) -> Message {
    let new =
        NewMessage { purpose, ..NewMessage::new(device, To::Phone(phone(to)), Content::text("x")) };
    let sent = world.nodes[0].messages().send_many(&grant(world.account), vec![new], None).await;
    sent.unwrap().messages.remove(0)
}

/// A message as a face shows it.
async fn shown(world: &World, id: MessageId) -> Message {
    let node = &world.nodes[0];
    let message = node.messages().get(&grant(world.account), id).await.unwrap();
    node.pacing().explain(&grant(world.account), vec![message]).await.unwrap().remove(0)
}

async fn set_device(world: &World, device: DeviceId, change: impl FnOnce(&mut DeviceSettings)) {
    let devices = world.nodes[0].devices();
    let mut settings = devices.get(&grant(world.account), device).await.unwrap().settings;
    change(&mut settings);
    let patch = DevicePatch { settings: Some(settings), ..DevicePatch::default() };
    devices.update(&grant(world.account), device, patch).await.unwrap();
}

fn night(from: &str, to: &str) -> QuietHours {
    QuietHours { from: from.parse().unwrap(), to: to.parse().unwrap(), service: false }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_that_waits_says_why() {
    each_database(async |database| {
        let mut world = World::new(database, 1, PacingSettings::careful(), 1).await;
        world.add_devices(1).await;
        let device = world.devices[0];
        let mut all = Vec::new();
        for n in 0..60 {
            all.push(send(&world, device, &format!("6281{n:08}"), Purpose::Marketing).await);
        }
        let start = world.clock.now();
        world.settle().await;
        // One went; the others wait, and their rows were not touched.
        let went = world.page()[0].message;
        assert_eq!(shown(&world, went).await.status, Status::Sent);
        all.retain(|message| message.id != went);
        for n in [0, 58] {
            let message = shown(&world, all[n].id).await;
            assert_eq!((message.status, code(&message)), (Status::Held, "pacing_delay"));
            let wait = message.held_until.unwrap() - start;
            assert!((8..=20).contains(&wait.num_seconds()), "{wait}");
        }
        let stored = world.nodes[0].messages().get(&grant(world.account), all[58].id).await;
        assert_eq!(stored.unwrap().status, Status::Pending);
        let usage = world.nodes[0].pacing().usage(&grant(world.account), device).await.unwrap();
        assert_eq!((usage.last_hour, usage.last_day, usage.waiting), (1, 1, 59));
        assert_eq!(usage.next_reply_at, start);
        assert_eq!(usage.holds[0].why, HoldReason::PacingDelay);
        // On to the first rest, and to the hour's end.
        let mut seen = std::collections::BTreeSet::new();
        // Offers are taken in no order; one of a later time is the last.
        let last = NewMessage {
            purpose: Purpose::Marketing,
            due_at: Some(start + TimeDelta::seconds(1)),
            ..NewMessage::new(device, To::Phone(phone("6281100000099")), Content::text("x"))
        };
        let messages = world.nodes[0].messages();
        let last = messages.send_many(&grant(world.account), vec![last], None).await.unwrap();
        let last = last.messages[0].id;
        while world.page().len() < 51 {
            let next = world.nodes[0].next_due().await.unwrap().unwrap();
            world.clock.set(next.max(world.clock.now()));
            world.settle().await;
            seen.insert(code(&shown(&world, last).await).to_owned());
        }
        let expected = ["batch_rest", "hourly_cap", "pacing_delay"];
        assert_eq!(seen.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(world.page()[50].at - world.page()[0].at, TimeDelta::hours(1));
        // A reply waits for the cap, and for nothing else.
        let reply = send(&world, device, "628299999999", Purpose::Reply).await;
        world.settle().await;
        let held = shown(&world, reply.id).await;
        assert_eq!((held.status, code(&held)), (Status::Held, "hourly_cap"));
        world.clock.set(held.held_until.unwrap());
        world.settle().await;
        assert_eq!(shown(&world, reply.id).await.status, Status::Sent);
        // A cap that is raised opens at once.
        let more = send(&world, device, "628299999998", Purpose::Otp).await;
        world.settle().await;
        assert_eq!(code(&shown(&world, more.id).await), "hourly_cap");
        set_device(&world, device, |settings| settings.pacing.hourly = Some(500)).await;
        world.settle().await;
        assert_eq!(shown(&world, more.id).await.status, Status::Sent);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_expires_while_it_waits_is_expired() {
    each_database(async |database| {
        let pacing = PacingSettings { daily: Some(1), ..PacingSettings::default() };
        let mut world = World::new(database, 1, pacing, 1).await;
        world.add_devices(1).await;
        let device = world.devices[0];
        set_device(&world, device, |settings| settings.expire_seconds = 3600).await;
        let first = send(&world, device, "6281100000001", Purpose::Marketing).await;
        world.settle().await;
        assert_eq!(shown(&world, first.id).await.status, Status::Sent);
        let second = send(&world, device, "6281100000002", Purpose::Marketing).await;
        world.settle().await;
        assert_eq!(code(&shown(&world, second.id).await), "daily_cap");
        let due = world.nodes[0].next_due().await.unwrap().unwrap();
        assert_eq!(Some(due), second.expires_at);
        world.clock.set(due);
        world.settle().await;
        assert_eq!(shown(&world, second.id).await.status, Status::Expired);
        assert_eq!(world.nodes[0].next_due().await.unwrap(), None);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn offers_wait_for_the_morning_and_answers_do_not() {
    each_database(async |database| {
        let mut world = World::new(database, 1, PacingSettings::default(), 1).await;
        world.add_devices(2).await;
        let (device, waking) = (world.devices[0], world.devices[1]);
        set_device(&world, waking, |settings| settings.pacing.quiet = QuietChoice::Off).await;
        let rules = AccountPacing {
            quiet_hours: Some(night("21:00", "08:00")),
            ..AccountPacing::default()
        };
        world.nodes[0].pacing_rules().set(&grant(world.account), rules).await.unwrap();
        let patch = kabar::accounts::AccountPatch {
            time_zone: Some("Asia/Jakarta".to_owned()),
            ..kabar::accounts::AccountPatch::default()
        };
        let accounts = world.nodes[0].accounts();
        accounts.update(provider(), world.account, patch).await.unwrap();
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        world.clock.set(at("2026-01-01T14:00:00Z"));
        let offer = send(&world, device, "6281100000001", Purpose::Marketing).await;
        let notice = send(&world, device, "6281100000002", Purpose::Service).await;
        let other = send(&world, waking, "6281100000003", Purpose::Marketing).await;
        world.settle().await;
        let held = shown(&world, offer.id).await;
        assert_eq!((held.status, code(&held)), (Status::Held, "quiet_hours"));
        assert_eq!(held.held_until, Some(at("2026-01-02T01:00:00Z")));
        for sent in [&notice, &other] {
            assert_eq!(shown(&world, sent.id).await.status, Status::Sent);
        }
        // An answer in the chat of the offer overtakes it.
        let answer = send(&world, device, "6281100000001", Purpose::Reply).await;
        world.settle().await;
        assert_eq!(shown(&world, answer.id).await.status, Status::Sent);
        assert_eq!(code(&shown(&world, offer.id).await), "quiet_hours");
        let due = world.nodes[0].next_due().await.unwrap();
        assert_eq!(due, Some(at("2026-01-02T01:00:00Z")));
        world.clock.set(due.unwrap());
        world.settle().await;
        assert_eq!(shown(&world, offer.id).await.status, Status::Sent);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_contact_gets_so_many_offers_over_all_devices() {
    each_database(async |database| {
        let mut world = World::new(database, 2, PacingSettings::default(), 1).await;
        world.add_devices(3).await;
        let cap = FrequencyCap { most: 2, per_seconds: 24 * 3600 };
        let rules = AccountPacing { frequency_cap: Some(cap), ..AccountPacing::default() };
        world.nodes[0].pacing_rules().set(&grant(world.account), rules).await.unwrap();
        let start = world.clock.now();
        let mut offers = Vec::new();
        for device in world.devices.clone() {
            for _ in 0..2 {
                offers.push(send(&world, device, "6281100000001", Purpose::Marketing).await);
            }
        }
        let notice = send(&world, world.devices[0], "6281100000001", Purpose::Service).await;
        world.walk(async |_, _| {}).await;
        let mut times: Vec<Timestamp> = world.page().iter().map(|sent| sent.at).collect();
        assert_eq!(times.len(), 7);
        assert_eq!(shown(&world, notice.id).await.sent_at, Some(start));
        times.remove(0);
        for (early, late) in times.iter().zip(times.iter().skip(2)) {
            assert!(*late - *early >= TimeDelta::hours(24), "{times:?}");
        }
        assert_eq!(times[5] - start, TimeDelta::hours(48));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_portfolio_reaches_so_many_people_in_a_day() {
    each_town(|town| async move {
        let limit = json!({"object": "whatsapp_business_account", "entry": [{
            "id": DEFAULT_WABA_ID,
            "changes": [{
                "field": "business_capability_update",
                "value": { "max_daily_conversations_per_business": 3 },
            }],
        }]});
        accept(&town, limit.to_string().as_bytes()).await;
        let people = ["6281000000001", "6281000000002", "6281000000003", "6281000000004"];
        let mut queued = Vec::new();
        for to in people {
            queued.push(town.queue_one(town.message(to, Content::text("offer"))).await);
        }
        town.settle().await;
        let sent = async |id| town.get(id).await.sent_at.is_some();
        let mut waiting = Vec::new();
        for message in &queued {
            if !sent(message.id).await {
                waiting.push(town.get(message.id).await);
            }
        }
        assert_eq!(waiting.len(), 1);
        assert_eq!((waiting[0].status, code(&waiting[0])), (Status::Held, "messaging_limit"));
        assert_eq!(waiting[0].held_until, Some(town.clock.now() + TimeDelta::hours(24)));
        town.wait(24 * 3600);
        town.settle().await;
        let late = town.get(waiting[0].id).await;
        assert!(late.sent_at.is_some() || late.status == Status::Expired, "{late:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_chat_gets_a_burst_and_then_one_each_six_seconds() {
    each_town(|town| async move {
        for n in 0..47 {
            town.text(&format!("{n}")).await;
        }
        town.settle().await;
        assert_eq!(town.arrived(CUSTOMER).len(), 45);
        let due = town.platform.next_due().await.unwrap().unwrap();
        assert_eq!(due - town.clock.now(), TimeDelta::seconds(6));
        // Somebody else is not concerned.
        town.open_window("6281000000001");
        let other = town.message("6281000000001", Content::text("x"));
        let other = town.queue_one(other).await;
        town.settle().await;
        assert_eq!(town.get(other.id).await.status, Status::Read);
        for more in 46..=47 {
            town.wait(6);
            town.settle().await;
            assert_eq!(town.arrived(CUSTOMER).len(), more);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_complaint_slows_the_number_down_on_every_node() {
    each_town(|town| async move {
        let other = town.second_node().await;
        let too_fast = FaultEffect::Error { code: 130_429, status: None };
        town.sandbox.add_fault(Fault::next_send(too_fast)).unwrap();
        let message = town.text("one").await;
        town.settle().await;
        assert_eq!(code(&town.get(message.id).await), "130429");
        let second = town.message("6281000000001", Content::text("two"));
        town.open_window("6281000000001");
        let second = town.queue_one(second).await;
        other.drain().await.unwrap();
        let waits = town.get(second.id).await;
        assert_eq!(waits.status, Status::Pending);
        let pacing = town.platform.pacing();
        let told = pacing.explain(&grant(town.account), vec![waits]).await.unwrap();
        assert_eq!((told[0].status, code(&told[0])), (Status::Held, "slowed_down"));
        town.wait(2);
        other.drain().await.unwrap();
        town.settle().await;
        assert_eq!(town.get(second.id).await.status, Status::Read);
        assert_eq!(town.get(message.id).await.status, Status::Read);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_number_keeps_its_throughput() {
    each_town(|town| async move {
        town.settings(|settings| settings.pacing.per_second = None).await;
        let message = |n: u32| {
            let to = format!("6281{n:08}");
            town.open_window(&to);
            town.message(&to, Content::text("x"))
        };
        town.queue((0..200).map(message).collect()).await;
        let mut times = Vec::new();
        while town.waiting().await > 0 {
            let before = town.sandbox.messages(&Default::default()).len();
            town.settle().await;
            let after = town.sandbox.messages(&Default::default()).len();
            times.extend(std::iter::repeat_n(town.clock.now(), after - before));
            if let Some(due) = town.platform.next_due().await.unwrap() {
                town.clock.set(due.max(town.clock.now()));
            }
        }
        assert_eq!(times.len(), 200);
        for (early, late) in times.iter().zip(times.iter().skip(80)) {
            assert!(*late - *early >= TimeDelta::seconds(1));
        }
        let took = times[199] - times[0];
        assert!(took < TimeDelta::milliseconds(2_900), "{took}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tries_are_repeated_as_the_device_says() {
    each_town(|town| async move {
        let retry = Retry { times: 3, after_seconds: 600 };
        town.settings(|settings| settings.pacing.retry = Some(retry)).await;
        let broken = FaultEffect::Error { code: 131_000, status: None };
        town.sandbox.add_fault(Fault::next_send(broken).times(0)).unwrap();
        let message = town.text("halo").await;
        for _ in 0..3 {
            town.settle().await;
            let waits = town.get(message.id).await;
            assert_eq!(waits.next_at - town.clock.now(), TimeDelta::minutes(10));
            town.wait(600);
        }
        town.settle().await;
        let failed = town.get(message.id).await;
        assert_eq!((failed.status, failed.attempts), (Status::Failed, 4));
    })
    .await;
}

/// Takes what the first account sends and keeps it until it is told to go on.
struct Crowded {
    held: AtomicUsize,
    through: AtomicUsize,
    go_on: Notify,
}

#[async_trait]
impl Channel for Crowded {
    fn kind(&self) -> ChannelKind {
        ChannelKind::new("crowded")
    }

    fn capabilities(&self, _: &DeviceLink) -> Capabilities {
        Capabilities { in_flight: 1_000, ..Capabilities::text_only() }
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
        if link.address.starts_with("crowd") {
            self.held.fetch_add(1, Ordering::SeqCst);
            self.go_on.notified().await;
        } else {
            self.through.fetch_add(1, Ordering::SeqCst);
        }
        Ok(Accepted::new(message.id.to_string()))
    }
}

async fn eventually(mut done: impl FnMut() -> bool) {
    for _ in 0..600 {
        if done() {
            return;
        }
        pause().await;
    }
    panic!("it never happens");
}

#[expect(clippy::disallowed_methods, reason = "what runs in the background is waited for")]
async fn pause() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

/// One tenant has all hands full and does not let go; the others' first messages go all the same.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_with_its_hands_full_does_not_stop_the_next() {
    each_database(async |database| {
        let folder = tempfile::tempdir().unwrap();
        let channel = Arc::new(Crowded {
            held: AtomicUsize::new(0),
            through: AtomicUsize::new(0),
            go_on: Notify::new(),
        });
        let platform = Platform::builder()
            .open_database(database.database.clone())
            .files(folder.path())
            .channel(ChannelPorts::new(channel.clone()))
            .dispatcher(DispatcherSettings { parallel: 32, ..DispatcherSettings::default() })
            .build()
            .await
            .unwrap();
        let tenant = async |name: &str, messages: usize| {
            let accounts = platform.accounts();
            let made = accounts.create(provider(), new_account(name), None).await.unwrap();
            let new = Registration::new(name, ChannelKind::new("crowded"), name);
            let devices = platform.devices();
            let device = devices.register(&grant(made.account.id), new, None).await.unwrap();
            let message = |n: usize| {
                let to = To::Phone(phone(&format!("6281{n:08}")));
                NewMessage::new(device.device.id, to, Content::text("x"))
            };
            let all: Vec<NewMessage> = (0..messages).map(message).collect();
            let service = platform.messages();
            service.send_many(&grant(made.account.id), all, None).await.unwrap();
        };
        tenant("crowd", 300).await;
        let running = platform.start();
        // One in eight is kept.
        eventually(|| channel.held.load(Ordering::SeqCst) == 28).await;
        for n in 1..=3 {
            tenant(&format!("late{n}"), 5).await;
            eventually(|| channel.through.load(Ordering::SeqCst) == 5 * n).await;
        }
        assert_eq!(channel.held.load(Ordering::SeqCst), 28);
        for _ in 0..300 {
            channel.go_on.notify_one();
            tokio::task::yield_now().await;
        }
        let stopping = tokio::spawn(running.stop());
        while !stopping.is_finished() {
            channel.go_on.notify_waiters();
            pause().await;
        }
    })
    .await;
}
