//! Templates, broadcasts with their recipients, and what is done to many messages.

use std::collections::BTreeMap;

use kabar_channel::Content;
use kabar_core::{BroadcastId, MessageId, PageRequest, StoreError};
use kabar_messaging::broadcast::{
    Broadcast, BroadcastFilter, BroadcastMessage, BroadcastState, Counts, Course, Plan, Recipient,
    RecipientFilter, RecipientState, RecipientTarget, Source,
};
use kabar_messaging::bulk::{Bulk, BulkAction, BulkFilter, BulkState};
use kabar_messaging::template::{MessageTemplate, TemplateFilter};
use kabar_messaging::{Message, Origin, Stage, Status};

use super::Road;
use crate::accounts::provider;

pub(super) async fn contract(road: &Road) {
    templates_are_kept_and_found(road).await;
    broadcasts_are_kept_and_found(road).await;
    a_recipient_is_there_once(road).await;
    recipients_come_in_their_order(road).await;
    numbers_add_up(road).await;
    messages_are_found_by_their_broadcast(road).await;
    the_log_is_followed_by_one(road).await;
    bulks_find_what_fits(road).await;
}

fn template(road: &Road, name: &str) -> MessageTemplate {
    MessageTemplate {
        id: road.id(),
        account: road.account,
        name: name.to_owned(),
        language: "id".to_owned(),
        content: Content::text("halo {name}"),
        created_at: road.now(),
        updated_at: road.now(),
    }
}

fn broadcast(road: &Road, message: BroadcastMessage) -> Broadcast {
    Broadcast {
        id: road.id(),
        account: road.account,
        name: "Sale".to_owned(),
        state: BroadcastState::Draft,
        reason: None,
        plan: Plan::new(message, road.device),
        schedule: None,
        course: Course::default(),
        attempt: 1,
        run: 0,
        started_at: None,
        ended_at: None,
        created_at: road.now(),
        updated_at: road.now(),
    }
}

fn recipient(road: &Road, broadcast: BroadcastId, position: u64) -> Recipient {
    let phone = format!("+62811{position:08}").parse().expect("a number");
    Recipient {
        broadcast,
        position,
        source: Source::Named,
        target: RecipientTarget::Phone(phone),
        contact: None,
        variables: BTreeMap::from([("n".to_owned(), position.to_string())]),
        state: RecipientState::Waiting,
        reason: None,
        detail: None,
        device: None,
        message: None,
        previous: None,
        attempt: 0,
        updated_at: road.now(),
    }
}

/// A stored broadcast with so many recipients.
async fn stored(road: &Road, recipients: u64) -> Broadcast {
    let broadcast = broadcast(road, BroadcastMessage::Content(Content::text("hi")));
    let work = road.begin().await;
    work.broadcasts(road.scope()).insert(&broadcast).await.unwrap();
    let all: Vec<Recipient> = (0..recipients).map(|n| recipient(road, broadcast.id, n)).collect();
    work.recipients(road.scope()).insert(&all).await.unwrap();
    work.commit().await.unwrap();
    broadcast
}

async fn templates_are_kept_and_found(road: &Road) {
    let work = road.begin().await;
    let mut repo = work.templates(road.scope());
    let (mut first, second) = (template(road, "first"), template(road, "second"));
    repo.insert(&first).await.unwrap();
    repo.insert(&second).await.unwrap();
    first.content = Content::text("other");
    assert!(repo.update(&first).await.unwrap());
    assert_eq!(repo.get(first.id).await.unwrap(), Some(first.clone()));
    let filter = TemplateFilter { name: Some("second".into()), ..TemplateFilter::default() };
    let list = repo.list(&filter, PageRequest::default()).await.unwrap();
    assert_eq!(list.items, [second]);
    drop(repo);
    let mut foreign = work.templates(provider().within(road.other));
    assert_eq!(foreign.get(first.id).await.unwrap(), None);
    assert!(!foreign.update(&first).await.unwrap());
    assert!(!foreign.remove(first.id).await.unwrap());
    drop(foreign);
    let using = broadcast(road, BroadcastMessage::Template(first.id));
    let mut broadcasts = work.broadcasts(road.scope());
    broadcasts.insert(&using).await.unwrap();
    assert!(broadcasts.uses(first.id).await.unwrap());
    let ended = Broadcast { state: BroadcastState::Completed, ..using };
    assert!(broadcasts.update(&ended).await.unwrap());
    assert!(!broadcasts.uses(first.id).await.unwrap());
    drop(broadcasts);
    assert!(work.templates(road.scope()).remove(first.id).await.unwrap());
    // One name and language, once.
    let twice = work.templates(road.scope()).insert(&template(road, "second")).await;
    assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");
}

async fn broadcasts_are_kept_and_found(road: &Road) {
    let mut first = stored(road, 2).await;
    let work = road.begin().await;
    let mut repo = work.broadcasts(road.scope());
    first.state = BroadcastState::Running;
    first.course.given.insert(road.device, 7);
    first.run = 3;
    first.started_at = Some(road.now());
    assert!(repo.update(&first).await.unwrap());
    assert_eq!(repo.get(first.id).await.unwrap(), Some(first.clone()));
    assert_eq!(repo.lock(first.id).await.unwrap(), Some(first.clone()));
    let filter = BroadcastFilter { state: Some(BroadcastState::Running) };
    let list = repo.list(filter, PageRequest::default()).await.unwrap();
    assert_eq!(list.items, [first.clone()]);
    drop(repo);
    let mut foreign = work.broadcasts(provider().within(road.other));
    assert_eq!(foreign.get(first.id).await.unwrap(), None);
    assert!(!foreign.update(&first).await.unwrap());
    assert!(!foreign.remove(first.id).await.unwrap());
    drop(foreign);
    let mut foreign = work.recipients(provider().within(road.other));
    let all = foreign.from(first.id, RecipientFilter::default(), 0, 9).await.unwrap();
    assert!(all.is_empty());
    drop(foreign);
    assert!(work.broadcasts(road.scope()).remove(first.id).await.unwrap());
    let mut left = work.recipients(road.scope());
    assert!(left.from(first.id, RecipientFilter::default(), 0, 9).await.unwrap().is_empty());
}

async fn a_recipient_is_there_once(road: &Road) {
    let first = stored(road, 3).await;
    let work = road.begin().await;
    let mut repo = work.recipients(road.scope());
    let key = |n| recipient(road, first.id, n).key().unwrap();
    let taken = repo.taken(first.id, &[key(1), key(9)]).await.unwrap();
    assert_eq!(taken, [key(1)]);
    // Those that are nobody, or somebody again, do not meet.
    let again = |position| Recipient {
        position,
        state: RecipientState::Duplicate,
        ..recipient(road, first.id, 1)
    };
    let nobody = |position| Recipient {
        target: RecipientTarget::Nobody("x".to_owned()),
        state: RecipientState::Invalid,
        ..again(position)
    };
    repo.insert(&[again(10), again(11), nobody(12), nobody(13)]).await.unwrap();
    let found = repo.from(first.id, RecipientFilter::default(), 12, 9).await.unwrap();
    assert_eq!(found, [nobody(12), nobody(13)]);
    let twice = Recipient { position: 20, ..recipient(road, first.id, 1) };
    let twice = repo.insert(&[twice]).await;
    assert!(matches!(twice, Err(StoreError::Conflict { .. })), "{twice:?}");
}

async fn recipients_come_in_their_order(road: &Road) {
    let first = stored(road, 6).await;
    let work = road.begin().await;
    let mut repo = work.recipients(road.scope());
    let next = repo.next(first.id, 1, 2).await.unwrap();
    assert_eq!(next.iter().map(|r| r.position).collect::<Vec<_>>(), [0, 1]);
    let mut sent = repo.next(first.id, 1, 4).await.unwrap();
    let states = [
        RecipientState::Read,
        RecipientState::Failed,
        RecipientState::Expired,
        RecipientState::Cancelled,
    ];
    for (recipient, state) in sent.iter_mut().zip(states) {
        recipient.state = state;
        recipient.reason = Some("why".to_owned());
        recipient.detail = Some("a sentence".to_owned());
        recipient.attempt = 1;
        recipient.contact = Some(road.id());
        recipient.device = Some(road.device);
        recipient.message = Some(road.id());
        recipient.previous = Some(road.id());
    }
    repo.save(&sent).await.unwrap();
    assert_eq!(repo.from(first.id, RecipientFilter::default(), 0, 4).await.unwrap(), sent);
    let filter = RecipientFilter { state: Some(RecipientState::Failed), reason: Some("why") };
    assert_eq!(repo.from(first.id, filter, 0, 9).await.unwrap(), sent[1..2]);
    let positions = |all: Vec<Recipient>| all.iter().map(|r| r.position).collect::<Vec<_>>();
    assert_eq!(positions(repo.next(first.id, 1, 9).await.unwrap()), [4, 5]);
    assert_eq!(positions(repo.next(first.id, 2, 9).await.unwrap()), [4, 5, 1, 2]);
}

async fn numbers_add_up(road: &Road) {
    let first = stored(road, 4).await;
    let work = road.begin().await;
    let mut change = Counts::default();
    change.add(RecipientState::Waiting, None, 4);
    work.broadcasts(road.scope()).count(first.id, &change).await.unwrap();
    let mut change = Counts::default();
    change.add(RecipientState::Waiting, None, -1);
    change.add(RecipientState::Skipped, Some("opted_out"), 1);
    work.broadcasts(road.scope()).count(first.id, &change).await.unwrap();
    let counts = work.broadcasts(road.scope()).counts(&[first.id]).await.unwrap();
    assert_eq!(counts[0].1.of(RecipientState::Waiting), 3);
    assert_eq!(counts[0].1.because(RecipientState::Skipped, "opted_out"), 1);
    // Clearing counts what is left.
    let gathered = Recipient { source: Source::File, ..recipient(road, first.id, 9) };
    work.recipients(road.scope()).insert(&[gathered]).await.unwrap();
    let left = work.recipients(road.scope()).clear(first.id, &[Source::File]).await.unwrap();
    assert_eq!(left.of(RecipientState::Waiting), 4);
    let counts = work.broadcasts(road.scope()).counts(&[first.id]).await.unwrap();
    assert_eq!(counts, [(first.id, left)]);
}

async fn messages_are_found_by_their_broadcast(road: &Road) {
    let first = stored(road, 0).await;
    let of_broadcast = |status, queued| Message {
        status,
        queued,
        origin: Origin::Broadcast,
        origin_ref: Some(first.id.to_string()),
        ..road.waiting(road.lane())
    };
    let in_hand = |stage, attempts| Message {
        stage: Some(stage),
        attempts,
        ..of_broadcast(Status::Processing, true)
    };
    let messages = [
        of_broadcast(Status::Pending, true),
        of_broadcast(Status::Held, true),
        of_broadcast(Status::Held, false),
        of_broadcast(Status::Processing, true),
        of_broadcast(Status::Sent, false),
        in_hand(Stage::Claimed, 1),
        in_hand(Stage::Claimed, 2),
        in_hand(Stage::Sending, 1),
    ];
    let again = Message { retry_of: Some(messages[4].id), ..road.waiting(road.lane()) };
    let work = road.begin().await;
    work.messages(road.scope()).insert(&messages).await.unwrap();
    work.messages(road.scope()).insert(&[again]).await.unwrap();
    let mut repo = work.broadcasts(road.scope());
    assert_eq!(repo.in_line(first.id).await.unwrap(), [(road.device, 6)]);
    let ids = |range: std::ops::Range<usize>| -> Vec<MessageId> {
        messages[range].iter().map(|message| message.id).collect()
    };
    let waiting = [ids(0..2), ids(5..7)].concat();
    assert_eq!(repo.waiting(first.id, 9).await.unwrap(), waiting);
    assert_eq!(repo.waiting(first.id, 1).await.unwrap(), ids(0..1));
    assert_eq!(repo.withdrawn(first.id, 9).await.unwrap(), ids(2..3));
    drop(repo);
    let mut foreign = work.broadcasts(provider().within(road.other));
    assert!(foreign.waiting(first.id, 9).await.unwrap().is_empty());
    drop(foreign);
    let retried = work.messages(road.scope()).retried(&ids(0..5)).await.unwrap();
    assert_eq!(retried, ids(4..5));
}

async fn the_log_is_followed_by_one(road: &Road) {
    let first = stored(road, 1).await;
    let work = road.begin().await;
    let scope = provider();
    let position = work.following(scope).position().await.unwrap().expect("nobody else reads");
    let next = kabar_events::Position { number: position.number + 1, ..position };
    work.following(scope).advance(next).await.unwrap();
    assert_eq!(work.following(scope).seen().await.unwrap(), next);
    let mut sent = recipient(road, first.id, 0);
    sent.message = Some(road.id());
    sent.state = RecipientState::Sent;
    work.recipients(road.scope()).save(std::slice::from_ref(&sent)).await.unwrap();
    let ids = [sent.message.unwrap(), road.id()];
    assert_eq!(work.following(scope).by_messages(&ids).await.unwrap(), [sent]);
}

async fn bulks_find_what_fits(road: &Road) {
    let waiting = |reference: &str| Message {
        reference: Some(reference.to_owned()),
        ..road.waiting(road.lane())
    };
    // In the order of their ids.
    let messages = [
        waiting("bulk"),
        waiting("other"),
        waiting("bulk"),
        Message { device: road.second, ..waiting("bulk") },
    ];
    let work = road.begin().await;
    work.messages(road.scope()).insert(&messages).await.unwrap();
    let mut bulk = Bulk {
        id: road.id(),
        account: road.account,
        device: None,
        action: BulkAction::Cancel,
        filter: BulkFilter { reference: Some("bulk".into()), ..BulkFilter::default() },
        state: BulkState::Running,
        total: 3,
        done: 0,
        skipped: 0,
        after: None,
        created_at: road.now(),
        updated_at: road.now(),
    };
    let mut repo = work.bulks(road.scope());
    repo.insert(&bulk).await.unwrap();
    assert_eq!(repo.count(&bulk).await.unwrap(), 3);
    assert_eq!(repo.next(&bulk, 1).await.unwrap(), [messages[0].id]);
    bulk.after = Some(messages[0].id);
    bulk.done = 1;
    repo.update(&bulk).await.unwrap();
    assert_eq!(repo.get(bulk.id).await.unwrap(), Some(bulk.clone()));
    assert_eq!(repo.lock(bulk.id).await.unwrap(), Some(bulk.clone()));
    let rest = repo.next(&bulk, 9).await.unwrap();
    assert_eq!(rest, [messages[2].id, messages[3].id]);
    let narrow = Bulk { device: Some(road.second), ..bulk.clone() };
    assert_eq!(repo.next(&narrow, 9).await.unwrap(), [messages[3].id]);
    drop(repo);
    let mut foreign = work.bulks(provider().within(road.other));
    assert_eq!(foreign.get(bulk.id).await.unwrap(), None);
    assert_eq!(foreign.count(&bulk).await.unwrap(), 0);
    drop(foreign);
    // A device token sees its own only.
    assert_eq!(work.bulks(road.token_scope()).get(bulk.id).await.unwrap(), None);
}
