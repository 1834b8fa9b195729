//! For how long things are kept.

use std::sync::Arc;

use bytes::Bytes;
use chrono::TimeDelta;
use kabar_channel::ports::MediaFile;
use kabar_core::permission::ReadMessages;
use kabar_core::{AccountId, MessageId, Store};
use kabar_events::{Fact, NewEvent, Position};
use kabar_insights::retention::{Keep, KeepPatch, Kept};
use kabar_insights::{InsightsUse, Retention, RetentionError};
use kabar_messaging::repo::{QuarantineRow, RawRow};
use kabar_messaging::{BlobStore, Body, MediaFiles, Message, RoadWork, Status};

use crate::accounts::{grant, provider};
use crate::road::Road;

pub(super) async fn contract(
    road: &Road,
    store: Arc<dyn Store<dyn InsightsUse>>,
    messages: Arc<dyn Store<dyn RoadWork>>,
    blobs: Arc<dyn BlobStore>,
) {
    let (clock, ids) = (road.fleet.tenancy.clock.clone(), road.fleet.tenancy.ids.clone());
    let files = MediaFiles::new(messages, blobs, clock.clone(), ids.clone());
    let service = Retention::new(Arc::clone(&store), files.clone(), clock, ids);
    let suite = Suite { road, store, files, service };
    suite.settings_are_kept_and_checked().await;
    suite.raw_bodies_and_quarantine_go().await;
    suite.events_stay_until_every_reader_has_passed().await;
    suite.old_bodies_are_blanked().await;
}

struct Suite<'a> {
    road: &'a Road,
    store: Arc<dyn Store<dyn InsightsUse>>,
    files: MediaFiles,
    service: Retention,
}

impl Suite<'_> {
    fn days(&self, days: i64) {
        self.road.fleet.tenancy.clock.advance(TimeDelta::days(days));
    }

    async fn pruned(&self, what: Kept) -> u64 {
        let pruned = self.service.run().await.unwrap();
        pruned.rows.iter().find(|(kept, _)| *kept == what).map_or(0, |(_, rows)| *rows)
    }

    async fn settings_are_kept_and_checked(&self) {
        let (keep, removed) = self.service.get(provider()).await.unwrap();
        assert_eq!((keep, removed.len()), (Keep::default(), 0));
        let changed = Keep { events: 3, quarantine: 2, raw_bodies: 1, ..keep };
        self.service.set(provider(), changed).await.unwrap();
        self.service.set(provider(), changed).await.unwrap();
        let wrong = Keep { events: 40_000, ..keep };
        let refused = self.service.set(provider(), wrong).await;
        assert!(matches!(refused, Err(RetentionError::Days { field: "events" })));
        assert_eq!(self.service.get(provider()).await.unwrap().0, changed);
        let (account, other) = (self.road.account, self.road.other);
        let patch = KeepPatch { message_bodies: Some(10) };
        self.service.set_account(&grant(account), patch).await.unwrap();
        assert_eq!(self.service.account(&grant(account)).await.unwrap(), (patch, changed));
        let theirs = self.service.account(&grant(other)).await.unwrap();
        assert_eq!(theirs, (KeepPatch::default(), changed));
    }

    async fn raw_bodies_and_quarantine_go(&self) {
        let work = self.road.begin().await;
        let mut inbox = work.inbox(provider());
        for hash in 0..3 {
            let bytes = Bytes::from_static(b"{}");
            let (id, app, at) = (self.road.id(), self.road.id(), self.road.now());
            inbox.keep_raw(&[RawRow { id, app, hash: [hash; 32], bytes, at }]).await.unwrap();
            let row = QuarantineRow {
                id,
                account: None,
                device: None,
                hash: [100 + hash; 32],
                problem: "odd".to_owned(),
                raw: "{}".to_owned(),
                at,
            };
            inbox.quarantine(&[row]).await.unwrap();
            self.road.fleet.tenancy.clock.advance(TimeDelta::hours(12));
        }
        drop(inbox);
        work.commit().await.unwrap();
        assert_eq!(self.pruned(Kept::RawBodies).await, 1);
        assert_eq!(self.pruned(Kept::Quarantine).await, 0);
        self.days(5);
        let pruned = self.service.run().await.unwrap();
        assert!(pruned.rows.contains(&(Kept::RawBodies, 2)), "{pruned:?}");
        assert!(pruned.rows.contains(&(Kept::Quarantine, 3)), "{pruned:?}");
        let (_, removed) = self.service.get(provider()).await.unwrap();
        let count = |what| removed.iter().find(|one| one.what == what).map(|one| one.count);
        assert_eq!(count(Kept::RawBodies), Some(3));
        assert_eq!(count(Kept::Quarantine), Some(3));
    }

    async fn append(&self, account: AccountId) -> Position {
        let work = self.store.begin().await.unwrap();
        let event = NewEvent { account, at: self.road.now(), fact: Fact::AccountChanged };
        work.events().append(&[event]).await.unwrap();
        work.commit().await.unwrap();
        // On PostgreSQL a transaction of another test holds the log back for a moment.
        loop {
            let work = self.store.read().await.unwrap();
            let scope = provider().within(account);
            let found = work.events().read(scope, Position::default(), 1_000).await.unwrap();
            if let Some(last) = found.last().filter(|last| last.at == self.road.now()) {
                return last.position;
            }
            drop(work);
            tokio::task::yield_now().await;
        }
    }

    async fn events_stay_until_every_reader_has_passed(&self) {
        self.days(10);
        while self.pruned(Kept::Events).await > 0 {}
        let account: AccountId = self.road.id();
        let first = self.append(account).await;
        self.days(1);
        let second = self.append(account).await;
        assert!(first < second);
        let work = self.store.begin().await.unwrap();
        let mut readers = work.log_readers(provider());
        for (reader, at) in [("quick", second), ("slow", Position::default())] {
            assert_eq!(readers.position(reader).await.unwrap(), None);
            readers.join(reader, at).await.unwrap();
            readers.join(reader, Position { transaction: 9, number: 9 }).await.unwrap();
            assert_eq!(readers.position(reader).await.unwrap(), Some(at));
        }
        drop(readers);
        work.commit().await.unwrap();
        self.days(10);
        assert_eq!(self.pruned(Kept::Events).await, 0);
        let work = self.store.begin().await.unwrap();
        let mut readers = work.log_readers(provider());
        assert!(!readers.advance("slow", first, second).await.unwrap(), "it does not stand there");
        assert!(readers.advance("slow", Position::default(), first).await.unwrap());
        let next = readers.read("slow", 10).await.unwrap();
        assert_eq!(next.iter().map(|event| event.position).collect::<Vec<_>>(), [second]);
        drop(readers);
        work.commit().await.unwrap();
        assert_eq!(self.pruned(Kept::Events).await, 1);
        let work = self.store.begin().await.unwrap();
        assert!(work.log_readers(provider()).advance("slow", first, second).await.unwrap());
        work.commit().await.unwrap();
        assert_eq!(self.pruned(Kept::Events).await, 1);
    }

    async fn old_bodies_are_blanked(&self) {
        let now = self.road.now();
        let read = grant::<ReadMessages>(self.road.account);
        let file = MediaFile {
            bytes: Bytes::from_static(b"photo"),
            mime: "image/jpeg".to_owned(),
            filename: None,
        };
        let file = self.files.upload(&grant(self.road.account), file, None).await.unwrap();
        // Enough for more than one step, the third of them still waiting to be sent.
        let made = |n: u32| {
            let lane = self.road.lane();
            let mut message = match n % 2 {
                0 => self.road.waiting(lane),
                _ => self.road.incoming(lane, &format!("blank.{n}")),
            };
            if n != 2 {
                message.queued = false;
                message.status = Status::Delivered;
            }
            if n == 1 {
                message.media = Some(file.id);
            }
            message
        };
        let messages: Vec<Message> = (0..1_200).map(made).collect();
        let work = self.road.begin().await;
        work.messages(self.road.scope()).insert(&messages).await.unwrap();
        work.commit().await.unwrap();
        assert_eq!(self.pruned(Kept::MessageBodies).await, 0);
        self.days(11);
        let young = Message { created_at: self.road.now(), ..made(1_201) };
        let work = self.road.begin().await;
        work.messages(self.road.scope()).insert(std::slice::from_ref(&young)).await.unwrap();
        work.commit().await.unwrap();
        let pruned = self.service.run().await.unwrap();
        assert_eq!(
            (pruned.rows.as_slice(), pruned.files),
            (&[(Kept::MessageBodies, 1_199)][..], 1)
        );
        assert!(self.files.get(&read, file.id).await.is_err());
        assert_eq!(self.pruned(Kept::MessageBodies).await, 0);
        let ids: Vec<MessageId> = messages.iter().map(|message| message.id).collect();
        let found = self.found(&ids).await;
        for message in &found {
            if message.id == messages[2].id {
                assert_eq!(message.body, messages[2].body);
                continue;
            }
            assert_eq!(message.body, Body::Blank { kind: "text".to_owned() });
            assert_eq!((message.status, message.created_at), (Status::Delivered, now));
        }
        assert_eq!(self.found(&[young.id]).await[0].body, young.body);
        // Its turn comes when it no longer waits.
        let work = self.road.begin().await;
        let mut waited = messages[2].clone();
        waited.leave_line(Status::Expired, self.road.now());
        work.outbox(provider()).save(&[waited]).await.unwrap();
        work.commit().await.unwrap();
        assert_eq!(self.pruned(Kept::MessageBodies).await, 1);
    }

    async fn found(&self, ids: &[MessageId]) -> Vec<Message> {
        let work = self.road.begin().await;
        work.messages(self.road.scope()).by_ids(ids).await.unwrap()
    }
}
