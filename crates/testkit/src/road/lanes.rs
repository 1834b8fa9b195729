//! Lanes: claimed by one, in order, given back by fence.

use chrono::TimeDelta;
use kabar_core::Timestamp;
use kabar_messaging::message::{Lane, Purpose};
use kabar_messaging::repo::{ClaimedLane, LaneClaim, LaneEntry, Line};
use kabar_messaging::{Message, Status};
use uuid::Uuid;

use super::Road;
use crate::accounts::provider;

const ONE: Uuid = Uuid::from_u128(1);
const TWO: Uuid = Uuid::from_u128(2);

pub(super) async fn contract(road: &Road) {
    a_lane_is_claimed_once_and_taken_over(road).await;
    replies_come_first(road).await;
    a_lane_follows_its_head(road).await;
    old_claims_do_nothing(road).await;
    lanes_are_repaired(road).await;
}

async fn put(road: &Road, messages: &[Message]) {
    let work = road.begin().await;
    work.messages(road.scope()).insert(messages).await.unwrap();
    let mut entries: Vec<LaneEntry> = Vec::new();
    for message in messages {
        if entries.iter().all(|entry| entry.lane != message.lane()) {
            entries.push(LaneEntry {
                lane: message.lane(),
                account: message.account,
                priority: message.purpose.priority(),
                ready_at: message.due_at.max(message.next_at),
                guarded: true,
            });
        }
    }
    work.outbox(provider()).put(&entries).await.unwrap();
    work.commit().await.unwrap();
}

async fn claim(road: &Road, owner: Uuid, now: Timestamp, limit: u16) -> Vec<ClaimedLane> {
    let work = road.begin().await;
    let until = now + TimeDelta::seconds(8);
    let claim = LaneClaim { device: road.device, owner, now, until };
    let claimed = work.outbox(provider()).claim(claim, Line::ALL, limit).await.unwrap();
    work.commit().await.unwrap();
    claimed
}

async fn release(road: &Road, owner: Uuid, claims: &[(Lane, i64)]) {
    let work = road.begin().await;
    work.outbox(provider()).release(owner, claims).await.unwrap();
    work.commit().await.unwrap();
}

async fn settle(road: &Road, lane: Lane) {
    let work = road.begin().await;
    work.outbox(provider()).settle(&[lane]).await.unwrap();
    work.commit().await.unwrap();
}

async fn finish(road: &Road, message: &Message) {
    let mut message = message.clone();
    message.leave_line(Status::Sent, road.now());
    let work = road.begin().await;
    work.outbox(provider()).save(&[message]).await.unwrap();
    work.commit().await.unwrap();
}

async fn ready(road: &Road, now: Timestamp) -> bool {
    let work = road.begin().await;
    let ready = work.outbox(provider()).ready_devices(now).await.unwrap();
    ready.iter().any(|ready| ready.device == road.device)
}

async fn replying(road: &Road, now: Timestamp, until: Timestamp) -> bool {
    let work = road.begin().await;
    let found = work.outbox(provider()).replying(&[road.device], now, until).await.unwrap();
    found == [road.device]
}

async fn a_lane_is_claimed_once_and_taken_over(road: &Road) {
    let (lane, now) = (road.lane(), road.now());
    let message = road.waiting(lane);
    assert!(!ready(road, now).await);
    put(road, std::slice::from_ref(&message)).await;
    assert!(!ready(road, now - TimeDelta::seconds(1)).await);
    assert!(ready(road, now).await);
    let first = claim(road, ONE, now, 10).await;
    assert_eq!((first.len(), first[0].lane), (1, lane));
    assert_eq!(first[0].head.as_ref(), Some(&message));
    assert!(claim(road, TWO, now, 10).await.is_empty());
    // A new message does not open a lane that somebody owns.
    put(road, &[road.waiting(lane)]).await;
    assert!(claim(road, TWO, now, 10).await.is_empty());
    assert!(!ready(road, now).await);
    // Nor does whoever changes its messages meanwhile.
    settle(road, lane).await;
    assert!(claim(road, TWO, now, 10).await.is_empty());

    let work = road.begin().await;
    let mut outbox = work.outbox(provider());
    let mine = [(lane, first[0].fence)];
    let until = now + TimeDelta::seconds(20);
    assert_eq!(outbox.renew(ONE, &mine, until).await.unwrap(), mine);
    assert!(outbox.renew(TWO, &mine, until).await.unwrap().is_empty());
    assert_eq!(outbox.still_mine(ONE, &mine).await.unwrap(), mine);
    drop(outbox);
    work.commit().await.unwrap();
    assert!(claim(road, TWO, now + TimeDelta::seconds(19), 10).await.is_empty());

    let second = claim(road, TWO, now + TimeDelta::seconds(20), 10).await;
    assert_eq!(second.len(), 1);
    assert!(second[0].fence > first[0].fence);
    let work = road.begin().await;
    let mut outbox = work.outbox(provider());
    assert!(outbox.still_mine(ONE, &mine).await.unwrap().is_empty());
    assert!(outbox.renew(ONE, &mine, until).await.unwrap().is_empty());
    drop(outbox);
    drop(work);
    let claims: Vec<(Lane, i64)> = second.iter().map(|c| (c.lane, c.fence)).collect();
    release(road, TWO, &claims).await;
    empty(road, now).await;
}

/// Sends everything that waits.
async fn empty(road: &Road, now: Timestamp) {
    let later = now + TimeDelta::days(1);
    loop {
        let claimed = claim(road, ONE, later, 50).await;
        if claimed.is_empty() {
            break;
        }
        for lane in &claimed {
            finish(road, lane.head.as_ref().expect("a head")).await;
        }
        let claims: Vec<(Lane, i64)> = claimed.iter().map(|c| (c.lane, c.fence)).collect();
        release(road, ONE, &claims).await;
    }
    assert!(!ready(road, Timestamp::MAX_UTC).await, "a lane is left");
    let work = road.begin().await;
    assert_eq!(work.outbox(provider()).waiting().await.unwrap(), 0);
}

async fn replies_come_first(road: &Road) {
    let now = road.now();
    let message = |purpose: Purpose| Message { purpose, ..road.waiting(road.lane()) };
    let messages = [
        message(Purpose::Marketing),
        message(Purpose::Marketing),
        message(Purpose::Service),
        message(Purpose::Reply),
        message(Purpose::Otp),
    ];
    put(road, &messages).await;
    let mut order = Vec::new();
    for _ in 0..5 {
        let claimed = claim(road, ONE, now, 1).await;
        order.extend(claimed.into_iter().filter_map(|lane| lane.head));
    }
    let order: Vec<i16> = order.iter().map(|m| m.purpose.priority()).collect();
    assert!(replying(road, now, now + TimeDelta::seconds(8)).await);
    assert!(!replying(road, now, now + TimeDelta::seconds(7)).await);
    assert!(!replying(road, now + TimeDelta::seconds(8), now + TimeDelta::hours(1)).await);
    assert_eq!(order, [0, 0, 1, 2, 2]);
    // A reply in a chat that waits with an offer carries the chat forward.
    let later = now + TimeDelta::seconds(8);
    let all = claim(road, ONE, later, 10).await;
    let claims: Vec<(Lane, i64)> = all.iter().map(|c| (c.lane, c.fence)).collect();
    release(road, ONE, &claims).await;
    assert!(!replying(road, now, now + TimeDelta::days(1)).await);
    let reply = Message { purpose: Purpose::Reply, ..road.waiting(messages[1].lane()) };
    put(road, &[reply]).await;
    let first = claim(road, ONE, later, 3).await;
    assert!(first.iter().any(|lane| lane.lane == messages[1].lane()));
    empty(road, later).await;
}

async fn a_lane_follows_its_head(road: &Road) {
    let (lane, now) = (road.lane(), road.now());
    let at = |seconds| now + TimeDelta::seconds(seconds);
    let mut later = road.waiting(lane);
    (later.due_at, later.next_at) = (at(100), at(100));
    let mut soon = road.waiting(lane);
    (soon.due_at, soon.next_at) = (at(50), at(50));
    put(road, &[later.clone()]).await;
    put(road, &[soon.clone()]).await;
    assert!(claim(road, ONE, at(49), 1).await.is_empty());
    let claimed = claim(road, ONE, at(50), 1).await;
    assert_eq!(claimed[0].head.as_ref().map(|head| head.id), Some(soon.id));
    // A try that failed: the head keeps its place and its chat waits for it.
    let mut failed = soon.clone();
    (failed.next_at, failed.attempts) = (at(200), 1);
    let work = road.begin().await;
    work.outbox(provider()).save(&[failed]).await.unwrap();
    work.commit().await.unwrap();
    release(road, ONE, &[(lane, claimed[0].fence)]).await;
    assert!(claim(road, ONE, at(199), 1).await.is_empty());
    let claimed = claim(road, ONE, at(200), 1).await;
    let head = claimed[0].head.clone().expect("a head");
    assert_eq!((head.id, head.attempts), (soon.id, 1));
    finish(road, &head).await;
    release(road, ONE, &[(lane, claimed[0].fence)]).await;
    let claimed = claim(road, ONE, at(200), 1).await;
    assert_eq!(claimed[0].head.as_ref().map(|head| head.id), Some(later.id));
    empty(road, at(300)).await;
}

async fn old_claims_do_nothing(road: &Road) {
    let (lane, now) = (road.lane(), road.now());
    put(road, &[road.waiting(lane), road.waiting(lane)]).await;
    let old = claim(road, ONE, now, 1).await[0].fence;
    let later = now + TimeDelta::seconds(9);
    let new = claim(road, ONE, later, 1).await[0].fence;
    // The same node, by a claim that ran out.
    release(road, ONE, &[(lane, old)]).await;
    assert!(claim(road, TWO, later, 1).await.is_empty());
    release(road, TWO, &[(lane, new)]).await;
    assert!(claim(road, TWO, later, 1).await.is_empty());
    release(road, ONE, &[(lane, old), (lane, new)]).await;
    assert_eq!(claim(road, TWO, later, 1).await.len(), 1);
    empty(road, later).await;
}

async fn lanes_are_repaired(road: &Road) {
    let message = road.waiting(road.lane());
    let work = road.begin().await;
    work.messages(road.scope()).insert(std::slice::from_ref(&message)).await.unwrap();
    let mut outbox = work.outbox(provider());
    assert_eq!(outbox.repair().await.unwrap(), 1);
    assert_eq!(outbox.repair().await.unwrap(), 0);
    drop(outbox);
    work.commit().await.unwrap();
    let claimed = claim(road, ONE, road.now(), 1).await;
    assert_eq!(claimed[0].lane, message.lane());
    empty(road, road.now() + TimeDelta::seconds(9)).await;
}
