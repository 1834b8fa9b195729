//! The ban guard: whose lanes are with new contacts, who answered, and what happened by day.

use chrono::TimeDelta;
use kabar_channel::ChannelKind;
use kabar_contacts::contact::{Identity, IdentityKey, IdentityKind};
use kabar_core::{ContactId, ConversationId, DeviceId};
use kabar_devices::health::{DayCounts, HealthWord, day_of};
use kabar_devices::repo::Note;
use kabar_devices::{Device, DeviceState, NewDevice};
use kabar_messaging::message::Lane;
use kabar_messaging::repo::{LaneClaim, LaneEntry, Line, Wrote};
use uuid::Uuid;

use super::Road;
use crate::accounts::provider;

pub(super) async fn contract(road: &Road) {
    let device = paired(road).await;
    lanes_of_new_contacts_stand_apart(road, device).await;
    nobody_is_new_elsewhere(road, device).await;
    answers_count_once(road, device).await;
    a_number_is_connected_for_the_first_time_once(road, device).await;
    days_are_summed_up(road, device).await;
}

async fn paired(road: &Road) -> DeviceId {
    let id: DeviceId = road.id();
    let work = road.begin().await;
    let like = work.device_registry(provider()).by_ids(&[road.device]).await.unwrap().remove(0);
    let device = Device { id, channel: ChannelKind::QR_SESSION, address: id.to_string(), ..like };
    let new = NewDevice { device, token_hash: None };
    work.devices(road.scope()).insert(&new).await.unwrap();
    work.commit().await.unwrap();
    id
}

/// A chat, with a message in its line.
async fn waits(road: &Road, lane: Lane) -> ConversationId {
    let message = road.waiting(lane);
    let work = road.begin().await;
    let chat = [(message.conversation, lane)];
    let made = work.conversations(road.scope()).ensure(&chat, road.now(), Wrote::Us).await.unwrap();
    work.messages(road.scope()).insert(std::slice::from_ref(&message)).await.unwrap();
    let (account, ready_at) = (road.account, road.now());
    let entry = LaneEntry { lane, account, priority: 1, ready_at, guarded: true };
    work.outbox(provider()).put(&[entry]).await.unwrap();
    work.commit().await.unwrap();
    made[0].0
}

fn lane(road: &Road, device: DeviceId) -> Lane {
    Lane { device, contact: road.id::<ContactId>() }
}

/// Which lines of a device are ready.
async fn ready(road: &Road, device: DeviceId) -> Vec<Line> {
    let work = road.begin().await;
    let ready = work.outbox(provider()).ready_devices(road.now()).await.unwrap();
    ready.into_iter().find(|ready| ready.device == device).map_or_else(Vec::new, |it| it.lines)
}

async fn are_new(road: &Road, lanes: &[Lane]) -> Vec<Lane> {
    let work = road.begin().await;
    work.outbox(provider()).new_contacts(lanes).await.unwrap()
}

async fn lanes_of_new_contacts_stand_apart(road: &Road, device: DeviceId) {
    let (new, old) = (lane(road, device), lane(road, device));
    waits(road, new).await;
    let chat = waits(road, old).await;
    let line = |new_contact| Line { priority: 1, new_contact };
    assert_eq!(ready(road, device).await, [line(true)]);
    assert_eq!(are_new(road, &[new]).await, [new]);

    // Whoever writes is nobody new.
    let work = road.begin().await;
    work.conversations(road.scope()).answered(&[(chat, road.now())]).await.unwrap();
    let touch = kabar_messaging::repo::Touch {
        conversation: Some(chat),
        in_at: Some(road.now()),
        ..Default::default()
    };
    work.conversations(road.scope()).touch(&[touch]).await.unwrap();
    work.outbox(provider()).known(&[old]).await.unwrap();
    work.commit().await.unwrap();
    assert_eq!(ready(road, device).await, [line(false), line(true)]);
    assert_eq!(are_new(road, &[new, old]).await, [new]);
    // Nor when the next message is put behind.
    waits(road, old).await;
    assert_eq!(are_new(road, &[new, old]).await, [new]);

    let (owner, now) = (Uuid::from_u128(7), road.now());
    let claim = LaneClaim { device, owner, now, until: now + TimeDelta::seconds(8) };
    let work = road.begin().await;
    let known = work.outbox(provider()).claim(claim, &[line(false)], 10).await.unwrap();
    assert_eq!(
        known.iter().map(|it| (it.lane, it.new_contact)).collect::<Vec<_>>(),
        [(old, false)]
    );
    let rest = work.outbox(provider()).claim(claim, Line::ALL, 10).await.unwrap();
    assert_eq!(rest.iter().map(|it| (it.lane, it.new_contact)).collect::<Vec<_>>(), [(new, true)]);
}

async fn nobody_is_new_elsewhere(road: &Road, device: DeviceId) {
    let official = road.lane();
    waits(road, official).await;
    let group = lane(road, device);
    let key = IdentityKey {
        kind: IdentityKind::Group,
        namespace: "qr_session:x".to_owned(),
        value: format!("{}@g.us", group.contact),
    };
    let identity = Identity {
        id: road.id(),
        contact: group.contact,
        key,
        valid_from: road.now(),
        valid_until: None,
    };
    let work = road.begin().await;
    work.people(road.scope()).claim(&[identity]).await.unwrap();
    work.commit().await.unwrap();
    waits(road, group).await;
    assert!(are_new(road, &[official, group]).await.is_empty());

    // A lane that was lost is made again as it was.
    let lost = lane(road, device);
    let work = road.begin().await;
    work.messages(road.scope()).insert(&[road.waiting(lost)]).await.unwrap();
    work.outbox(provider()).repair().await.unwrap();
    work.commit().await.unwrap();
    assert_eq!(are_new(road, &[lost]).await, [lost]);
}

async fn answers_count_once(road: &Road, device: DeviceId) {
    let (began, later) = (road.now(), road.now() + TimeDelta::days(1));
    let chat = waits(road, lane(road, device)).await;
    let silent = waits(road, lane(road, device)).await;
    let work = road.begin().await;
    let mut outbox = work.outbox(provider());
    assert_eq!(outbox.contacted(&[chat, silent], began).await.unwrap(), [device, device]);
    assert!(outbox.contacted(&[chat, silent], later).await.unwrap().is_empty(), "they were before");
    drop(outbox);
    let mut chats = work.conversations(road.scope());
    assert_eq!(chats.answered(&[(chat, later)]).await.unwrap(), [(device, began)]);
    assert!(chats.answered(&[(chat, later)]).await.unwrap().is_empty(), "they did before");
    drop(chats);
    work.commit().await.unwrap();

    // Who wrote first is not contacted, and does not answer.
    let first = waits(road, lane(road, device)).await;
    let work = road.begin().await;
    let touch = kabar_messaging::repo::Touch {
        conversation: Some(first),
        in_at: Some(began),
        ..Default::default()
    };
    work.conversations(road.scope()).touch(&[touch]).await.unwrap();
    assert!(work.outbox(provider()).contacted(&[first], later).await.unwrap().is_empty());
    let answered = work.conversations(road.scope()).answered(&[(first, later)]).await.unwrap();
    assert!(answered.is_empty());
}

async fn a_number_is_connected_for_the_first_time_once(road: &Road, device: DeviceId) {
    let (first, later) = (road.now(), road.now() + TimeDelta::days(3));
    let work = road.begin().await;
    let mut registry = work.device_registry(provider());
    let one = "+6281200000001".parse().unwrap();
    for (state, at) in [
        (DeviceState::Reconnecting, first - TimeDelta::days(1)),
        (DeviceState::Connected, first),
        (DeviceState::Reconnecting, first),
        (DeviceState::Connected, later),
    ] {
        registry.set_owner(device, &one, None, at).await.unwrap();
        registry.set_state(device, state, None, at).await.unwrap();
    }
    let found = registry.by_ids(&[device]).await.unwrap().remove(0);
    assert_eq!(found.first_connected_at, Some(first));
    // Another number is a new one.
    let other = "+6281200000002".parse().unwrap();
    registry.set_state(device, DeviceState::Qr, None, later).await.unwrap();
    registry.set_owner(device, &other, None, later).await.unwrap();
    registry.set_state(device, DeviceState::Connected, None, later).await.unwrap();
    let found = registry.by_ids(&[device]).await.unwrap().remove(0);
    assert_eq!(found.first_connected_at, Some(later));
}

async fn days_are_summed_up(road: &Road, device: DeviceId) {
    let (now, sent) = (road.now(), DayCounts { sent: 1, ..DayCounts::default() });
    let today = day_of(now);
    let yesterday = now - TimeDelta::days(1);
    let refused = DayCounts { refused: 2, banned: 1, logged_out: 3, ..DayCounts::default() };
    let answered = DayCounts { contacted: 5, answered: 4, stopped: 1, failed: 6, ..sent };
    let work = road.begin().await;
    let mut days = work.device_days(provider());
    let none = Note::at(device, now, DayCounts::default());
    days.add(&[Note::at(device, now, sent), Note::at(device, now, refused), none]).await.unwrap();
    days.add(&[Note::at(device, now, sent), Note::at(device, yesterday, answered)]).await.unwrap();
    let mut found = days.since(device, today - 1).await.unwrap();
    found.sort_by_key(|day| day.day);
    let counts: Vec<DayCounts> = found.iter().map(|day| day.counts).collect();
    assert_eq!(counts, [answered, DayCounts { sent: 2, ..refused }]);
    assert_eq!(days.since(device, today).await.unwrap().len(), 1);

    let patients = days.patients(today, today - 1, None, 10).await.unwrap();
    assert_eq!(patients.len(), 1);
    assert_eq!((patients[0].device, patients[0].account), (device, road.account));
    assert_eq!((patients[0].word, patients[0].days.len()), (None, 2));
    assert!(days.patients(today, today, Some(device), 10).await.unwrap().is_empty());
    // Nothing happens any more: who was well is left alone, who was not is looked at.
    days.set_health(&[(device, HealthWord::Good)]).await.unwrap();
    assert!(days.patients(today + 1, today, None, 10).await.unwrap().is_empty());
    days.set_health(&[(device, HealthWord::Poor)]).await.unwrap();
    let patients = days.patients(today + 1, today, None, 10).await.unwrap();
    assert_eq!(patients[0].word, Some(HealthWord::Poor));
    assert_eq!(days.forget(today).await.unwrap(), 1);
    assert_eq!(days.since(device, today - 9).await.unwrap().len(), 1);
}
