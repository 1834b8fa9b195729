//! Lanes against a model that fits on a page: random interleavings of putting, claiming, finishing,
//! failing and dying on a few lanes.

use std::collections::BTreeMap;
use std::sync::Arc;

use chrono::TimeDelta;
use kabar_core::Timestamp;
use kabar_messaging::message::Lane;
use kabar_messaging::repo::{LaneClaim, LaneEntry, Line};
use kabar_messaging::{Message, Status};
use kabar_storage::testing::each_database;
use kabar_testkit::accounts::provider;
use kabar_testkit::road::Road;
use uuid::Uuid;

/// Nodes of the model.
const NODES: u128 = 3;
const LEASE: TimeDelta = TimeDelta::seconds(8);

#[derive(Default)]
struct Model {
    lines: BTreeMap<Lane, Vec<Message>>,
    owners: BTreeMap<Lane, Owner>,
}

#[derive(Clone, Copy)]
struct Owner {
    node: Uuid,
    fence: i64,
    until: Timestamp,
}

impl Model {
    fn head(&self, lane: Lane) -> Option<&Message> {
        let queue = self.lines.get(&lane)?;
        queue.iter().min_by_key(|message| (message.due_at, message.id))
    }

    /// Whether a claim must find the lane now.
    fn is_ready(&self, lane: Lane, now: Timestamp) -> bool {
        match self.owners.get(&lane) {
            Some(owner) => owner.until <= now,
            None => self.head(lane).is_some_and(|head| head.due_at.max(head.next_at) <= now),
        }
    }
}

/// Numbers that are the same in every run (an LCG; its high bits are good enough).
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

struct Game {
    road: Road,
    model: Model,
    dice: Dice,
    now: Timestamp,
    lanes: Vec<Lane>,
}

impl Game {
    async fn release(&self, node: Uuid, claim: (Lane, i64)) {
        let work = self.road.begin().await;
        work.outbox(provider()).release(node, &[claim]).await.unwrap();
        work.commit().await.unwrap();
    }

    async fn put(&mut self, lane: Lane) {
        let mut message = self.road.waiting(lane);
        message.due_at = self.now + TimeDelta::seconds(i64::try_from(self.dice.roll(4)).unwrap());
        message.next_at = message.due_at;
        let work = self.road.begin().await;
        let insert = work.messages(self.road.scope());
        { insert }.insert(std::slice::from_ref(&message)).await.unwrap();
        let (account, ready_at) = (message.account, message.due_at);
        let entry = LaneEntry { lane, account, priority: 1, ready_at, guarded: true };
        work.outbox(provider()).put(&[entry]).await.unwrap();
        work.commit().await.unwrap();
        self.model.lines.entry(lane).or_default().push(message);
    }

    async fn claim(&mut self, node: Uuid) {
        let (now, until) = (self.now, self.now + LEASE);
        let device = self.road.device;
        let work = self.road.begin().await;
        let claim = LaneClaim { device, owner: node, now, until };
        let claimed = work.outbox(provider()).claim(claim, Line::ALL, 100).await.unwrap();
        work.commit().await.unwrap();
        for lane in &self.lanes {
            let found = claimed.iter().find(|claimed| claimed.lane == *lane);
            if self.model.is_ready(*lane, now) {
                let found = found.expect("a ready lane is claimed");
                let head = self.model.head(*lane).map(|head| head.id);
                assert_eq!(found.head.as_ref().map(|head| head.id), head);
                let before = self.model.owners.get(lane);
                assert!(before.is_none_or(|owner| owner.fence < found.fence));
                let fence = found.fence;
                self.model.owners.insert(*lane, Owner { node, fence, until });
            } else if let Some(found) = found {
                // A message that is due later than the one that put the lane forward was sent or
                // is waiting behind; the lane is looked at for nothing, and given back.
                assert!(!self.model.owners.contains_key(lane), "it has an owner");
                self.release(node, (found.lane, found.fence)).await;
            }
        }
    }

    /// The owner finishes its head, or fails and puts it back; an owner whose claim was lost tries
    /// the same and changes nothing about the lane.
    async fn finish(&mut self, lane: Lane) {
        let Some(owner) = self.model.owners.get(&lane).copied() else {
            return;
        };
        let Some(mut head) = self.model.head(lane).cloned() else {
            return;
        };
        let stale = self.dice.roll(4) == 0;
        let claim = (lane, if stale { owner.fence - 1 } else { owner.fence });
        let sent = !stale && self.dice.roll(3) > 0;
        if sent {
            head.leave_line(Status::Sent, self.now);
        } else if !stale {
            head.next_at = self.now + TimeDelta::seconds(3);
        }
        let work = self.road.begin().await;
        let saved = std::slice::from_ref(&head);
        work.outbox(provider()).save(saved).await.unwrap();
        work.commit().await.unwrap();
        self.release(owner.node, claim).await;
        let queue = self.model.lines.entry(lane).or_default();
        queue.retain(|message| message.id != head.id);
        if head.queued {
            queue.push(head);
        }
        if !stale {
            self.model.owners.remove(&lane);
        }
    }

    async fn step(&mut self) {
        let lane = usize::try_from(self.dice.roll(self.lanes.len() as u64)).unwrap();
        let lane = *self.lanes.get(lane).unwrap();
        match self.dice.roll(6) {
            0 | 1 => self.put(lane).await,
            2 => {
                let node = Uuid::from_u128(1 + u128::from(self.dice.roll(3)) % NODES);
                self.claim(node).await;
            }
            3 => self.finish(lane).await,
            4 => {
                let work = self.road.begin().await;
                work.outbox(provider()).settle(&[lane]).await.unwrap();
                work.commit().await.unwrap();
            }
            _ => self.now += TimeDelta::seconds(i64::try_from(self.dice.roll(5)).unwrap()),
        }
    }

    /// At the end everything can be sent.
    async fn finish_all(&mut self) {
        for _ in 0..200 {
            self.now += LEASE;
            self.claim(Uuid::from_u128(1)).await;
            for lane in self.lanes.clone() {
                self.finish(lane).await;
            }
        }
        let work = self.road.begin().await;
        let mut outbox = work.outbox(provider());
        assert_eq!(outbox.waiting().await.unwrap(), 0);
        let ready = outbox.ready_devices(Timestamp::MAX_UTC).await.unwrap();
        assert!(ready.is_empty(), "a lane is left");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_follow_the_model() {
    each_database(|test| async move {
        let database = Arc::new(test.database);
        let road = Road::new(database.clone(), database.clone(), database).await;
        for seed in 0..6 {
            println!("seed {seed}");
            let lanes = (0..4).map(|_| road.lane()).collect();
            let mut game = Game {
                now: road.now(),
                road: road.clone(),
                model: Model::default(),
                dice: Dice(seed),
                lanes,
            };
            for _ in 0..120 {
                game.step().await;
            }
            game.finish_all().await;
        }
    })
    .await;
}
