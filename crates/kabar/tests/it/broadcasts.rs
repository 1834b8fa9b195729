//! Broadcasts, end to end: prepared, sent, stopped, resumed, restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::TimeDelta;
use kabar::Platform;
use kabar::channel::Content;
use kabar::core::permission::WriteBroadcasts;
use kabar::core::{BroadcastId, Clock as _, Grant, MessageId, PageRequest};
use kabar::events::{BroadcastProgress, Position};
use kabar::messaging::broadcast::{
    Addressee, BroadcastMessage, BroadcastState, NewBroadcast, NewRecipient, Plan, Recipient,
    RecipientFilter, RecipientState, Schedule, Standing, Start,
};
use kabar::messaging::bulk::{BulkAction, BulkFilter, BulkState};
use kabar::messaging::repo::{LaneClaim, Line};
use kabar::messaging::template::{NewTemplate, TemplateFilter, Variables};
use kabar::messaging::{
    BroadcastError, Message, MessageError, MessageFilter, Purpose, Stage, Status, TemplateError,
};
use kabar_sandbox::{Fault, FaultEffect, TallyBy};
use kabar_testkit::accounts::{grant, once};

use crate::nodes::pause;
use crate::town::{SCOPE, Town, batched, each_town, each_town_with, phone};

const ERROR: FaultEffect = FaultEffect::Error { code: 130_429, status: None };

fn number(n: u32) -> String {
    format!("6281{n:08}")
}

fn to(number: &str) -> NewRecipient {
    NewRecipient { to: Addressee::Number(format!("+{number}")), variables: BTreeMap::new() }
}

/// People who may be written to freely.
fn people(town: &Town, count: u32) -> Vec<NewRecipient> {
    (0..count)
        .map(|n| {
            town.open_window(&number(n));
            to(&number(n))
        })
        .collect()
}

fn text(town: &Town, body: &str, recipients: Vec<NewRecipient>, start: Start) -> NewBroadcast {
    let message = BroadcastMessage::Content(Content::text(body));
    let plan = Plan { reference: Some("promo".to_owned()), ..Plan::new(message, town.device) };
    NewBroadcast { name: "Promo".to_owned(), plan, recipients, start }
}

fn may(town: &Town) -> Grant<WriteBroadcasts> {
    grant(town.account)
}

async fn create(town: &Town, new: NewBroadcast) -> BroadcastId {
    let made = town.platform.broadcasts().create(&may(town), new, None).await;
    made.expect("a broadcast").broadcast.id
}

async fn standing(town: &Town, id: BroadcastId) -> Standing {
    town.platform.broadcasts().get(&grant(town.account), id).await.expect("it is there")
}

async fn state(town: &Town, id: BroadcastId) -> BroadcastState {
    standing(town, id).await.broadcast.state
}

async fn recipients(town: &Town, id: BroadcastId) -> Vec<Recipient> {
    let (mut all, mut page) = (Vec::new(), PageRequest::new(Some(PageRequest::MOST), None));
    loop {
        let broadcasts = town.platform.broadcasts();
        let filter = RecipientFilter::default();
        let found = broadcasts.recipients(&grant(town.account), id, filter, page).await.unwrap();
        all.extend(found.items);
        let Some(next) = found.next else { return all };
        page.after = Some(next);
    }
}

/// Lets time pass until the broadcast has ended.
async fn ended(town: &Town, id: BroadcastId) -> Standing {
    for _ in 0..60 {
        town.settle().await;
        let standing = standing(town, id).await;
        if standing.broadcast.state.is_final() {
            let under_way = |p: &BroadcastProgress| p.queued + p.sent + p.delivered;
            return counted(town, id, |progress| under_way(progress) == 0).await;
        }
        town.wait(1);
    }
    panic!("it never ends: {:?}", standing(town, id).await);
}

/// Waits until the numbers are what they should be: where a database is shared, the log is read a
/// little later than it is written.
async fn counted(
    town: &Town,
    id: BroadcastId,
    right: impl Fn(&BroadcastProgress) -> bool,
) -> Standing {
    for _ in 0..200 {
        town.settle().await;
        let standing = standing(town, id).await;
        if right(&standing.progress()) {
            return standing;
        }
        pause(Duration::from_millis(100)).await;
    }
    panic!("it is never counted: {:?}", standing(town, id).await.counts);
}

/// Every message of the sandbox has another recipient, and there are so many.
fn once_each(town: &Town, count: u64) {
    let tally = town.sandbox.tally(TallyBy::To);
    assert_eq!((tally.total, tally.distinct), (count, count), "{:?}", tally.repeated);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broadcast_reaches_everybody_once() {
    each_town_with(batched(), |town| async move {
        let mut all = people(&town, 40);
        all.push(to(&number(3)));
        all.push(NewRecipient { to: Addressee::Number("12".into()), variables: BTreeMap::new() });
        let known = town.queue_one(town.message(&number(5), Content::text("hi"))).await.contact;
        town.settle().await;
        all.push(NewRecipient { to: Addressee::Contact(known), variables: BTreeMap::new() });
        for (n, recipient) in all.iter_mut().enumerate() {
            recipient.variables.insert("name".to_owned(), format!("P{n}"));
        }
        all[7].variables.clear();
        let id = create(&town, text(&town, "Hi {name}", all, Start::Prepare)).await;
        town.settle().await;
        let ready = standing(&town, id).await;
        assert_eq!(ready.broadcast.state, BroadcastState::Ready);
        let counts = &ready.counts;
        assert_eq!(counts.of(RecipientState::Invalid), 1);
        assert_eq!(counts.of(RecipientState::Duplicate), 2);
        assert_eq!(counts.because(RecipientState::Skipped, "missing_variables"), 1);
        let broadcasts = town.platform.broadcasts();
        let preflight = broadcasts.preflight(&grant(town.account), id).await.unwrap();
        assert_eq!((preflight.sendable, preflight.first_contacts), (39, 39));
        let samples = broadcasts.samples(&grant(town.account), id, 2).await.unwrap();
        assert_eq!(samples[1].content, Some(Content::text("Hi P1")));
        broadcasts.start(&may(&town), id).await.unwrap();
        let done = ended(&town, id).await;
        assert_eq!(done.broadcast.state, BroadcastState::Completed);
        let progress = done.progress();
        assert_eq!((progress.total, progress.read, progress.skipped), (40, 39, 1));
        assert_eq!(town.texts(&number(1)), ["Hi P1"]);
        assert_eq!(town.texts(&number(5)), ["hi", "Hi P5"]);
        assert!(town.texts(&number(7)).is_empty());
        let filter = MessageFilter { broadcast: Some(id), ..MessageFilter::default() };
        let messages = town.all(filter).await;
        assert_eq!(messages.len(), 39);
        assert!(messages.iter().all(|m| m.purpose == Purpose::Marketing));
        assert!(messages.iter().all(|m| m.reference.as_deref() == Some("promo")));
        let ids: BTreeSet<MessageId> = messages.iter().map(|message| message.id).collect();
        let linked: BTreeSet<MessageId> =
            recipients(&town, id).await.iter().filter_map(|r| r.message).collect();
        assert_eq!(ids, linked);
    })
    .await;
}

/// A running broadcast of which only some messages were sent: the network asked for patience.
async fn half_way(town: &Town, count: u32) -> BroadcastId {
    let all = people(town, count);
    let slow = Fault::next_send(ERROR).times(0).to(number(2));
    town.sandbox.add_fault(slow).unwrap();
    let id = create(town, text(town, "Sale", all, Start::Now)).await;
    town.settle().await;
    assert_eq!(state(town, id).await, BroadcastState::Running);
    town.sandbox.clear_faults();
    id
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_broadcast_sends_nothing_and_goes_on_where_it_was() {
    each_town_with(batched(), |town| async move {
        let id = half_way(&town, 300).await;
        let broadcasts = town.platform.broadcasts();
        let paused = broadcasts.pause(&may(&town), id).await.unwrap();
        assert_eq!(paused.broadcast.state, BroadcastState::Paused);
        let before = town.sandbox.tally(TallyBy::To).total;
        assert!((1..300).contains(&before), "{before}");
        assert_eq!((town.waiting().await, town.lanes().await), (0, 0));
        // Whoever is written to otherwise does not wait behind the broadcast.
        let live = town.queue_one(town.message(&number(299), Content::text("live"))).await;
        for _ in 0..3 {
            town.wait(60);
            town.settle().await;
        }
        assert_eq!(town.get(live.id).await.status, Status::Read);
        assert_eq!(town.sandbox.tally(TallyBy::To).total, before + 1);
        let waits = |p: &BroadcastProgress| (p.total, p.queued) == (300, 300 - before);
        counted(&town, id, waits).await;
        // Twice is once.
        broadcasts.pause(&may(&town), id).await.unwrap();
        broadcasts.resume(&may(&town), id).await.unwrap();
        let done = ended(&town, id).await;
        assert_eq!(done.progress().read, 300);
        assert_eq!(town.sandbox.tally(TallyBy::To).total, 301);
        assert_eq!(town.texts(&number(299)), ["live", "Sale"]);
    })
    .await;
}

/// A node takes three messages of a broadcast in hand and dies: one for the first time, one that was
/// tried before, and one that it began to send.
async fn die_with_three(town: &Town, id: BroadcastId) -> [MessageId; 3] {
    let filter = MessageFilter { broadcast: Some(id), ..MessageFilter::default() };
    let all = town.all(filter).await.into_iter();
    let waiting: Vec<MessageId> =
        all.filter(|message| message.status.is_waiting()).map(|message| message.id).collect();
    let now = town.platform.clock().now();
    let until = now + chrono::TimeDelta::seconds(8);
    let work = town.road().await;
    let mut outbox = work.outbox(SCOPE);
    let claim = LaneClaim { device: town.device, owner: id.uuid(), now, until };
    let lanes = outbox.claim(claim, Line::ALL, 1_000).await.unwrap();
    let heads = lanes.into_iter().filter_map(|lane| lane.head);
    let mut heads: Vec<Message> = heads.filter(|head| waiting.contains(&head.id)).take(3).collect();
    let stages = [(Stage::Claimed, 1), (Stage::Claimed, 2), (Stage::Sending, 1)];
    for (head, (stage, attempts)) in heads.iter_mut().zip(stages) {
        (head.status, head.stage, head.attempts) = (Status::Processing, Some(stage), attempts);
    }
    outbox.save(&heads).await.unwrap();
    drop(outbox);
    work.commit().await.unwrap();
    [heads[0].id, heads[1].id, heads[2].id]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_had_in_hand_is_not_sent_once_it_is_paused() {
    each_town_with(batched(), |town| async move {
        let id = half_way(&town, 100).await;
        town.wait(60);
        let [claimed, again, sending] = die_with_three(&town, id).await;
        let before = town.sandbox.tally(TallyBy::To).total;
        let broadcasts = town.platform.broadcasts();
        broadcasts.pause(&may(&town), id).await.unwrap();
        for _ in 0..3 {
            town.wait(60);
            town.settle().await;
        }
        assert_eq!(town.sandbox.tally(TallyBy::To).total, before);
        // What was not begun was no try.
        for (id, tries) in [(claimed, 0), (again, 1)] {
            let held = town.get(id).await;
            assert_eq!((held.status, held.attempts), (Status::Held, tries));
        }
        assert_eq!(town.get(sending).await.status, Status::Uncertain);
        broadcasts.resume(&may(&town), id).await.unwrap();
        let done = ended(&town, id).await;
        assert_eq!((done.progress().read, done.progress().uncertain), (99, 1));
        assert_eq!(town.sandbox.tally(TallyBy::To).total, 99);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_dead_node_had_in_hand_is_not_sent_once_it_is_cancelled() {
    each_town_with(batched(), |town| async move {
        let id = half_way(&town, 100).await;
        town.wait(60);
        let [claimed, again, sending] = die_with_three(&town, id).await;
        let before = town.sandbox.tally(TallyBy::To).total;
        town.platform.broadcasts().cancel(&may(&town), id).await.unwrap();
        for _ in 0..3 {
            town.wait(60);
            town.settle().await;
        }
        assert_eq!(town.sandbox.tally(TallyBy::To).total, before);
        assert_eq!(town.get(claimed).await.status, Status::Cancelled);
        let again = town.get(again).await;
        assert_eq!(again.status, Status::Uncertain);
        assert_eq!(again.reason.unwrap().code, "broadcast_cancelled");
        assert_eq!(town.get(sending).await.status, Status::Uncertain);
        assert_eq!((town.waiting().await, town.lanes().await), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_broadcast_ends_there() {
    each_town_with(batched(), |town| async move {
        let id = half_way(&town, 200).await;
        let broadcasts = town.platform.broadcasts();
        broadcasts.cancel(&may(&town), id).await.unwrap();
        town.wait(600);
        town.settle().await;
        let sent = town.sandbox.tally(TallyBy::To).total;
        assert_eq!(state(&town, id).await, BroadcastState::Cancelled);
        let ended = |p: &BroadcastProgress| (p.read, p.cancelled) == (sent, 200 - sent);
        counted(&town, id, ended).await;
        assert_eq!((town.waiting().await, town.lanes().await), (0, 0));
        let again = broadcasts.resume(&may(&town), id).await;
        assert!(matches!(again, Err(BroadcastError::WrongState { .. })), "{again:?}");
        broadcasts.remove(&may(&town), id).await.unwrap();
        let gone = broadcasts.get(&grant(town.account), id).await;
        assert!(matches!(gone, Err(BroadcastError::NotFound)));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_that_failed_are_sent_to_once_more() {
    each_town_with(batched(), |town| async move {
        let all = people(&town, 30);
        for n in [4, 9] {
            let fail = Fault::next_send(FaultEffect::Fail { code: 131_026 }).to(number(n));
            town.sandbox.add_fault(fail).unwrap();
        }
        let id = create(&town, text(&town, "Sale", all, Start::Now)).await;
        let done = ended(&town, id).await;
        assert_eq!((done.progress().read, done.progress().failed), (28, 2));
        assert_eq!(done.counts.because(RecipientState::Failed, "131026"), 2);
        let broadcasts = town.platform.broadcasts();
        let key = once("broadcasts.retry", "k", 1);
        for _ in 0..2 {
            let again = broadcasts.retry(&may(&town), id, Some(&key)).await.unwrap();
            assert_eq!(again.broadcast.attempt, 2);
        }
        let done = ended(&town, id).await;
        assert_eq!((done.progress().read, done.progress().failed), (30, 0));
        assert_eq!(town.texts(&number(4)).len(), 2);
        assert_eq!(town.texts(&number(5)).len(), 1);
        let retried = &recipients(&town, id).await[4];
        assert_eq!(retried.attempt, 2);
        let message = town.get(retried.message.unwrap()).await;
        assert_eq!(message.retry_of, retried.previous);
        assert!(message.retry_of.is_some());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_any_state_loses_and_doubles_nobody() {
    each_town_with(batched(), |mut town| async move {
        // Preparing: enqueued, and not begun.
        let all = people(&town, 50);
        let preparing = create(&town, text(&town, "one", all.clone(), Start::Now)).await;
        assert_eq!(state(&town, preparing).await, BroadcastState::Preparing);
        town.platform = town.second_node().await;
        ended(&town, preparing).await;
        once_each(&town, 50);
        // Scheduled.
        let at = kabar::core::Clock::now(&*town.clock) + chrono::TimeDelta::hours(2);
        let schedule = Schedule::of(at.naive_utc(), "UTC".parse().unwrap());
        let scheduled = create(&town, text(&town, "two", all, Start::At(schedule))).await;
        town.settle().await;
        assert_eq!(state(&town, scheduled).await, BroadcastState::Scheduled);
        town.platform = town.second_node().await;
        town.settle().await;
        assert_eq!(town.sandbox.tally(TallyBy::To).total, 50);
        town.wait(2 * 3600);
        for n in 0..50 {
            town.open_window(&number(n));
        }
        ended(&town, scheduled).await;
        assert_eq!(town.texts(&number(0)), ["one", "two"]);
        assert_eq!(town.sandbox.tally(TallyBy::To).total, 100);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_half_way_goes_on_there() {
    each_town_with(batched(), |mut town| async move {
        let id = half_way(&town, 200).await;
        town.platform = town.second_node().await;
        assert_eq!(state(&town, id).await, BroadcastState::Running);
        town.platform.broadcasts().pause(&may(&town), id).await.unwrap();
        town.platform = town.second_node().await;
        town.wait(60);
        town.settle().await;
        assert_eq!(state(&town, id).await, BroadcastState::Paused);
        town.platform.broadcasts().resume(&may(&town), id).await.unwrap();
        town.platform = town.second_node().await;
        let done = ended(&town, id).await;
        assert_eq!(done.progress().read, 200);
        once_each(&town, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_nodes_share_a_broadcast() {
    each_town_with(batched(), |town| async move {
        let all = people(&town, 1_200);
        let other = if town.database.is_postgres() {
            town.second_node().await
        } else {
            town.platform.clone()
        };
        let ids = [
            create(&town, text(&town, "one", all[..600].to_vec(), Start::Now)).await,
            create(&town, text(&town, "two", all[600..].to_vec(), Start::Now)).await,
        ];
        for _ in 0..40 {
            let drain = async |platform: Platform| platform.drain().await.expect("it drains");
            tokio::join!(drain(town.platform.clone()), drain(other.clone()));
            town.quiet().await;
            town.wait(1);
        }
        for id in ids {
            assert_eq!(ended(&town, id).await.progress().read, 600);
        }
        once_each(&town, 1_200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_opts_out_meanwhile_is_left_out() {
    each_town_with(batched(), |town| async move {
        let all = people(&town, 20);
        let known = town.queue_one(town.message(&number(5), Content::text("hi"))).await.contact;
        town.settle().await;
        let id = create(&town, text(&town, "Sale", all, Start::Prepare)).await;
        town.settle().await;
        let stop = kabar::contacts::ContactPatch { marketing: Some(false), ..Default::default() };
        town.platform.contacts().update(&grant(town.account), known, stop).await.unwrap();
        town.platform.broadcasts().start(&may(&town), id).await.unwrap();
        let done = ended(&town, id).await;
        assert_eq!(done.counts.because(RecipientState::Skipped, "opted_out"), 1);
        assert_eq!(done.progress().read, 19);
        assert_eq!(town.texts(&number(5)), ["hi"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn recipients_outside_the_window_are_shown_or_left_out() {
    each_town_with(batched(), |town| async move {
        let contact = town.queue_one(town.message(&number(1), Content::text("hi"))).await.contact;
        town.settle().await;
        town.open_window(&number(0));
        town.hears(kabar_sandbox::Inbound::text(number(0), "halo")).await;
        for skip in [false, true] {
            let all = vec![
                to(&number(0)),
                NewRecipient { to: Addressee::Contact(contact), variables: BTreeMap::new() },
            ];
            let mut new = text(&town, "Sale", all, Start::Prepare);
            new.plan.skip_outside_window = skip;
            let id = create(&town, new).await;
            town.settle().await;
            let preflight =
                town.platform.broadcasts().preflight(&grant(town.account), id).await.unwrap();
            let skipped = preflight.counts.because(RecipientState::Skipped, "outside_window");
            assert_eq!(preflight.outside_window, u64::from(!skip));
            assert_eq!((skipped, preflight.sendable), (u64::from(skip), 2 - u64::from(skip)));
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn templates_are_kept_previewed_and_used() {
    each_town(|town| async move {
        let templates = town.platform.templates();
        let new = |body: &str| NewTemplate {
            name: "greeting".to_owned(),
            language: "id".to_owned(),
            content: Content::text(body),
        };
        let write = grant(town.account);
        let made = templates.create(&write, new("Halo {name}, {item|kopi}"), None);
        let id = made.await.unwrap().id;
        let twice = templates.create(&grant(town.account), new("x"), None).await;
        assert!(matches!(twice, Err(TemplateError::Taken)), "{twice:?}");
        let bad = NewTemplate { language: "en".into(), ..new("{open") };
        let bad = templates.create(&write, bad, None).await;
        assert!(matches!(bad, Err(TemplateError::Invalid(_))), "{bad:?}");
        let none = Variables::new();
        let device = Some(town.device);
        let preview = templates.preview(&grant(town.account), id, &none, None, device).await;
        let preview = preview.unwrap();
        assert_eq!(preview.missing, ["name"]);
        assert_eq!(preview.content, Content::text("Halo , kopi"));
        let all = people(&town, 1);
        let mut broadcast = text(&town, "", all, Start::No);
        broadcast.plan.message = BroadcastMessage::Template(id);
        broadcast.recipients[0].variables.insert("name".to_owned(), "Ayu".to_owned());
        let broadcast = create(&town, broadcast).await;
        let used = templates.remove(&grant(town.account), id).await;
        assert!(matches!(used, Err(TemplateError::InUse)), "{used:?}");
        town.platform.broadcasts().start(&may(&town), broadcast).await.unwrap();
        ended(&town, broadcast).await;
        assert_eq!(town.texts(&number(0)), ["Halo Ayu, kopi"]);
        templates.remove(&grant(town.account), id).await.unwrap();
        let page = PageRequest::default();
        let list = templates.list(&grant(town.account), &TemplateFilter::default(), page).await;
        assert!(list.unwrap().items.is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_rescheduled_and_one_that_failed_is_sent_once_more() {
    each_town(|town| async move {
        let messages = town.platform.messages();
        let send = grant(town.account);
        let now = kabar::core::Clock::now(&*town.clock);
        let mut later = town.message(crate::town::CUSTOMER, Content::text("later"));
        later.due_at = Some(now + chrono::TimeDelta::hours(1));
        let later = town.queue_one(later).await;
        let sooner = now + chrono::TimeDelta::minutes(1);
        let moved = messages.reschedule(&send, later.id, sooner).await.unwrap();
        assert_eq!(moved.due_at, sooner);
        assert_eq!(
            moved.expires_at.unwrap() - moved.due_at,
            later.expires_at.unwrap() - later.due_at
        );
        town.settle().await;
        assert!(town.texts(crate::town::CUSTOMER).is_empty());
        town.wait(60);
        town.settle().await;
        assert_eq!(town.texts(crate::town::CUSTOMER), ["later"]);
        let past = messages.reschedule(&send, later.id, now).await;
        assert!(matches!(past, Err(MessageError::BadCall { field: "due_at", .. })));
        // Failed, and once more.
        let fail = Fault::next_send(FaultEffect::Fail { code: 131_026 });
        town.sandbox.add_fault(fail).unwrap();
        let mut failing = town.message(crate::town::CUSTOMER, Content::text("again"));
        failing.reference = Some("order-1".to_owned());
        let failing = town.queue_one(failing).await;
        town.settle().await;
        assert_eq!(town.get(failing.id).await.status, Status::Failed);
        let key = once("messages.retry", "k", 1);
        let again = messages.retry(&send, failing.id, Some(&key)).await.unwrap();
        assert_eq!(messages.retry(&send, failing.id, Some(&key)).await.unwrap().id, again.id);
        assert_eq!((again.retry_of, again.reference), (Some(failing.id), Some("order-1".into())));
        let twice = messages.retry(&send, failing.id, None).await;
        assert!(matches!(twice, Err(MessageError::TooLate { .. })), "{twice:?}");
        town.settle().await;
        assert_eq!(town.get(again.id).await.status, Status::Read);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_messages_are_cancelled_or_retried_at_once() {
    each_town_with(batched(), |town| async move {
        let bulks = town.platform.bulks();
        let send = grant(town.account);
        let later = kabar::core::Clock::now(&*town.clock) + chrono::TimeDelta::hours(1);
        let mut all = Vec::new();
        for n in 0..700 {
            let mut message = town.message(&number(n % 50), Content::text("x"));
            message.due_at = Some(later);
            message.reference = Some(if n < 600 { "old" } else { "new" }.to_owned());
            all.push(message);
        }
        town.queue(all).await;
        let none = BulkFilter::default();
        assert!(bulks.create(&send, BulkAction::Cancel, none, false, None).await.is_err());
        let old = BulkFilter { reference: Some("old".into()), ..BulkFilter::default() };
        let key = once("bulks.create", "k", 1);
        let bulk =
            bulks.create(&send, BulkAction::Cancel, old.clone(), false, Some(&key)).await.unwrap();
        assert_eq!(bulk.total, 600);
        let same = bulks.create(&send, BulkAction::Cancel, old, false, Some(&key)).await;
        assert_eq!(same.unwrap().id, bulk.id);
        town.settle().await;
        let done = bulks.get(&grant(town.account), bulk.id).await.unwrap();
        assert_eq!((done.state, done.done, done.skipped), (BulkState::Completed, 600, 0));
        assert_eq!(town.waiting().await, 100);
        // What failed is sent once more, and once only.
        let filter = MessageFilter { reference: Some("new".into()), ..MessageFilter::default() };
        town.sandbox
            .add_fault(Fault::next_send(FaultEffect::Fail { code: 131_026 }).times(100))
            .unwrap();
        town.wait(3600);
        for n in 0..50 {
            town.open_window(&number(n));
        }
        town.settle().await;
        let failed = town.all(filter.clone()).await;
        assert!(failed.iter().all(|message| message.status == Status::Failed));
        for round in 0..2 {
            let filter = BulkFilter { reason: Some("131026".into()), ..BulkFilter::default() };
            let bulk = bulks.create(&send, BulkAction::Retry, filter, false, None).await.unwrap();
            town.settle().await;
            let done = bulks.get(&grant(town.account), bulk.id).await.unwrap();
            assert_eq!((done.done, done.skipped), if round == 0 { (100, 0) } else { (0, 100) });
        }
        assert_eq!(town.all(filter).await.len(), 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_live_reply_overtakes_a_broadcast() {
    each_town_with(batched(), |town| async move {
        let all = people(&town, 300);
        let id = create(&town, text(&town, "Sale", all, Start::Prepare)).await;
        town.settle().await;
        town.platform.broadcasts().start(&may(&town), id).await.unwrap();
        let slow = Fault::next_send(ERROR).times(1);
        town.sandbox.add_fault(slow).unwrap();
        town.settle().await;
        let reply = kabar::messaging::NewMessage {
            purpose: Purpose::Reply,
            ..town.message(&number(299), Content::text("yes"))
        };
        let reply = town.queue_one(reply).await;
        ended(&town, id).await;
        assert_eq!(town.get(reply.id).await.status, Status::Read);
        assert_eq!(phone(&number(299)).digits(), number(299));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn retention_waits_until_broadcasts_have_read() {
    each_town(|town| async move {
        create(&town, text(&town, "Sale", people(&town, 1), Start::No)).await;
        let work = town.road().await;
        let later = town.clock.now() + TimeDelta::days(365);
        work.events().prune(SCOPE, later, 10_000).await.unwrap();
        work.commit().await.unwrap();
        for _ in 0..200 {
            let work = town.road().await;
            let scope = SCOPE.within(town.account);
            let found = work.events().read(scope, Position::default(), 1_000).await.unwrap();
            if found.iter().any(|event| event.kind == "broadcast.created") {
                return;
            }
            drop(work);
            // What others do on the same PostgreSQL holds the log back for a moment.
            pause(Duration::from_millis(50)).await;
        }
        panic!("the event is gone");
    })
    .await;
}
