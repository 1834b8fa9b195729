//! Messages and conversations.

use chrono::TimeDelta;
use kabar_channel::incoming::Pricing;
use kabar_channel::{Author, Content, PersonIds, Prepared, Reason};
use kabar_core::{ConversationId, PageRequest};
use kabar_messaging::message::Lane;
use kabar_messaging::repo::{Touch, Wrote};
use kabar_messaging::search::Needle;
use kabar_messaging::{Body, Direction, Message, MessageFilter, Origin, Purpose, Stage, Status};
use serde_json::json;

use super::Road;
use crate::accounts::provider;

pub(super) async fn contract(road: &Road) {
    a_message_comes_in_once(road).await;
    an_author_is_kept(road).await;
    everything_that_can_change_is_saved(road).await;
    tenants_and_devices_see_their_own(road).await;
    pages_are_complete(road).await;
    a_conversation_never_goes_backwards(road).await;
    the_last_active_conversation_is_first(road).await;
    history_is_searched(road).await;
}

async fn a_message_comes_in_once(road: &Road) {
    let lane = road.lane();
    let work = road.begin().await;
    let mut repo = work.messages(road.scope());
    let first: Vec<Message> = (0..3).map(|n| road.incoming(lane, &format!("once.{n}"))).collect();
    let new = repo.insert_new(&first).await.unwrap();
    assert_eq!(new, first.iter().map(|m| m.id).collect::<Vec<_>>());
    // Some are there, one is new; the same id on another device, or from us, is another message.
    let elsewhere = Message { device: road.second, ..road.incoming(lane, "once.0") };
    let ours = Message { direction: Direction::Out, ..road.incoming(lane, "once.0") };
    let mut again: Vec<Message> =
        (1..4).map(|n| road.incoming(lane, &format!("once.{n}"))).collect();
    again.extend([elsewhere, ours]);
    let new = repo.insert_new(&again).await.unwrap();
    let expected: Vec<_> = again[2..].iter().map(|message| message.id).collect();
    assert_eq!(new, expected);
    assert!(repo.insert_new(&again).await.unwrap().is_empty());
    assert!(repo.insert_new(&[]).await.unwrap().is_empty());
    // More than one statement's worth.
    let many: Vec<Message> =
        (0..1_200).map(|n| road.incoming(lane, &format!("many.{n}"))).collect();
    assert_eq!(repo.insert_new(&many[..700]).await.unwrap().len(), 700);
    assert_eq!(repo.insert_new(&many).await.unwrap().len(), 500);
    let known =
        repo.by_wire_ids(road.device, &["many.7".to_owned(), "nobody".to_owned()]).await.unwrap();
    assert_eq!(known, [("many.7".to_owned(), many[7].id)]);
}

async fn an_author_is_kept(road: &Road) {
    let author = Author {
        address: Some("77@lid".to_owned()),
        ids: PersonIds {
            phone: Some("+6281200000077".parse().unwrap()),
            lid: Some("77".to_owned()),
            ..PersonIds::default()
        },
        name: Some("Ani".to_owned()),
    };
    let by_member =
        Message { author: Some(author.clone()), ..road.incoming(road.lane(), "authored") };
    let work = road.begin().await;
    let mut repo = work.messages(road.scope());
    repo.insert_new(std::slice::from_ref(&by_member)).await.unwrap();
    let found = repo.by_ids(&[by_member.id]).await.unwrap();
    assert_eq!(found[0].author, Some(author));
}

async fn everything_that_can_change_is_saved(road: &Road) {
    let now = road.now();
    let at = |seconds| Some(now + TimeDelta::seconds(seconds));
    let lane = road.lane();
    // One that came in has a key of its own in a unique index.
    let mut messages = vec![road.waiting(lane), road.incoming(lane, "saved")];
    let work = road.begin().await;
    work.messages(road.scope()).insert(&messages).await.unwrap();
    for message in &mut messages {
        message.status = Status::Uncertain;
        message.stage = Some(Stage::Sending);
        message.queued = !message.queued;
        message.network_id = Some("62".to_owned());
        message.wire_id = Some(format!("wamid.{}", message.id));
        message.prepared = Some(Prepared::from(json!({"type": "text"})));
        message.reason = Some(Reason::new("1", "one"));
        message.pricing = Some(Pricing {
            billable: Some(true),
            category: Some("utility".to_owned()),
            ..Pricing::default()
        });
        message.held_until = at(1);
        message.attempts = 3;
        message.next_at = now + TimeDelta::seconds(2);
        message.expires_at = at(3);
        message.sent_at = at(4);
        message.delivered_at = at(5);
        message.read_at = at(6);
        message.played_at = at(7);
        message.failed_at = at(8);
        message.updated_at = now + TimeDelta::seconds(9);
    }
    let mut outbox = work.outbox(provider());
    outbox.save(&messages).await.unwrap();
    outbox.save(&messages).await.unwrap();
    outbox.save(&[]).await.unwrap();
    let ids = [messages[0].id, messages[1].id];
    assert_eq!(outbox.lock(&ids).await.unwrap(), messages);
    let wire =
        [(road.device, format!("wamid.{}", ids[0])), (road.second, format!("wamid.{}", ids[1]))];
    let found = outbox.lock_by_wire_ids(&wire).await.unwrap();
    assert_eq!(found, messages[..1]);
    drop(outbox);
    // Nothing of what came in is forgotten: it still comes in once.
    let again = road.incoming(lane, "saved");
    let new = work.messages(road.scope()).insert_new(&[again]).await.unwrap();
    assert!(new.is_empty());
    // And back to nothing.
    let mut plain = road.waiting(lane);
    (plain.id, plain.conversation) = (messages[0].id, messages[0].conversation);
    let mut outbox = work.outbox(provider());
    outbox.save(std::slice::from_ref(&plain)).await.unwrap();
    assert_eq!(outbox.lock(&[plain.id]).await.unwrap(), [plain]);
}

async fn tenants_and_devices_see_their_own(road: &Road) {
    let first = road.waiting(road.lane());
    let second = road.waiting(Lane { device: road.second, ..road.lane() });
    let work = road.begin().await;
    let both = [first.clone(), second.clone()];
    work.messages(road.scope()).insert(&both).await.unwrap();
    let ids = [first.id, second.id];
    let seen = async |scope| {
        let mut found: Vec<_> = work.messages(scope).by_ids(&ids).await.unwrap();
        found.sort_by_key(|message| message.id);
        found.into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    assert_eq!(seen(road.scope()).await, ids);
    assert_eq!(seen(road.token_scope()).await, [second.id]);
    assert!(seen(provider().within(road.other)).await.is_empty());
    let list = work
        .messages(provider().within(road.other))
        .list(&MessageFilter::default(), PageRequest::default())
        .await
        .unwrap();
    assert!(list.items.is_empty());
}

async fn pages_are_complete(road: &Road) {
    let lane = road.lane();
    let messages: Vec<Message> = (0..7)
        .map(|n| Message {
            reference: Some(if n % 2 == 0 { "even" } else { "odd" }.to_owned()),
            ..road.waiting(lane)
        })
        .collect();
    let work = road.begin().await;
    work.messages(road.scope()).insert(&messages).await.unwrap();
    let filter = MessageFilter { contact: Some(lane.contact), ..MessageFilter::default() };
    let mut seen = Vec::new();
    let mut page = PageRequest::new(Some(3), None);
    loop {
        let list = work.messages(road.scope()).list(&filter, page).await.unwrap();
        seen.extend(list.items.into_iter().map(|message| message.id));
        match list.next {
            Some(next) => page.after = Some(next),
            None => break,
        }
    }
    let newest_first: Vec<_> = messages.iter().rev().map(|message| message.id).collect();
    assert_eq!(seen, newest_first);
    let filter = MessageFilter {
        reference: Some("odd".to_owned()),
        direction: Some(Direction::Out),
        statuses: vec![Status::Pending],
        ..filter
    };
    let odd = work.messages(road.scope()).list(&filter, PageRequest::default()).await.unwrap();
    assert_eq!(odd.items.len(), 3);
}

async fn a_conversation_never_goes_backwards(road: &Road) {
    let now = road.now();
    let at = |seconds| Some(now + TimeDelta::seconds(seconds));
    let lanes = [road.lane(), road.lane()];
    let wanted: Vec<(ConversationId, Lane)> = lanes.map(|lane| (road.id(), lane)).to_vec();
    let work = road.begin().await;
    let mut repo = work.conversations(road.scope());
    let mut made = repo.ensure(&wanted, now, Wrote::Other).await.unwrap();
    made.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(made, wanted);
    // The same chats under other ids are the ones that are there.
    let again: Vec<(ConversationId, Lane)> = lanes.map(|lane| (road.id(), lane)).to_vec();
    let mut found = repo.ensure(&again, now, Wrote::Other).await.unwrap();
    found.sort_unstable_by_key(|(id, _)| *id);
    assert_eq!(found, wanted);
    let id = wanted[0].0;
    let touch = |in_at, window, unread| Touch {
        conversation: Some(id),
        in_at,
        window_expires_at: window,
        unread,
        ..Touch::default()
    };
    let other = Touch {
        conversation: Some(wanted[1].0),
        out_at: at(1),
        entry_point_expires_at: at(2),
        ..Touch::default()
    };
    repo.touch(&[touch(at(10), at(20), 2), other]).await.unwrap();
    repo.touch(&[touch(at(5), at(15), 1)]).await.unwrap();
    repo.touch(&[touch(None, None, 0)]).await.unwrap();
    repo.touch(&[]).await.unwrap();
    let chat = repo.get(id).await.unwrap().expect("it is there");
    assert_eq!((chat.last_in_at, chat.window_expires_at), (at(10), at(20)));
    assert_eq!((chat.last_out_at, chat.unread), (None, 3));
    let other = repo.get(wanted[1].0).await.unwrap().expect("it is there");
    assert_eq!((other.last_out_at, other.entry_point_expires_at), (at(1), at(2)));
    drop(repo);
    // A foreign scope sees and changes nothing.
    let mut foreign = work.conversations(provider().within(road.other));
    foreign.touch(&[touch(at(99), at(99), 9)]).await.unwrap();
    foreign.mark_read(id, now).await.unwrap();
    assert!(foreign.get(id).await.unwrap().is_none());
    drop(foreign);
    let mut token = work.conversations(road.token_scope());
    assert!(token.get(id).await.unwrap().is_none());
    drop(token);
    let mut repo = work.conversations(road.scope());
    assert_eq!(repo.get(id).await.unwrap().expect("it is there").unread, 3);
    repo.mark_read(id, now).await.unwrap();
    assert_eq!(repo.get(id).await.unwrap().expect("it is there").unread, 0);
}

async fn the_last_active_conversation_is_first(road: &Road) {
    let now = road.now() + TimeDelta::days(1);
    let at = |seconds| Some(now + TimeDelta::seconds(seconds));
    let wanted: Vec<(ConversationId, Lane)> = (0..4)
        .map(|n| {
            let device = if n == 3 { road.second } else { road.device };
            (road.id(), Lane { device, ..road.lane() })
        })
        .collect();
    let work = road.begin().await;
    let mut repo = work.conversations(road.scope());
    repo.ensure(&wanted, now, Wrote::Other).await.unwrap();
    let touch = |n: usize, in_at, out_at| Touch {
        conversation: Some(wanted[n].0),
        in_at,
        out_at,
        ..Touch::default()
    };
    repo.touch(&[touch(0, at(30), at(20)), touch(1, at(10), None)]).await.unwrap();
    repo.touch(&[touch(1, at(5), None), touch(2, None, at(30)), touch(3, None, at(1))])
        .await
        .unwrap();
    let pages = async |device, limit| {
        let mut page = PageRequest::new(Some(limit), None);
        let mut seen = Vec::new();
        loop {
            let mut repo = work.conversations(road.scope());
            let found = repo.list(device, page).await.unwrap();
            seen.extend(found.items.iter().map(|chat| (chat.id, chat.last_at)));
            let Some(next) = found.next else { return seen };
            page.after = Some(next);
        }
    };
    drop(repo);
    let expected = [(2, 30), (0, 30), (1, 10), (3, 1)];
    let expected = expected.map(|(n, seconds): (usize, i64)| (wanted[n].0, at(seconds).unwrap()));
    assert_eq!(pages(None, 1).await[..4], expected);
    assert_eq!(pages(None, 3).await[..4], expected);
    assert_eq!(pages(Some(road.second), 50).await[0], expected[3]);
    // Who writes to a chat that is there brings it to the front.
    let (_, lane) = wanted[3];
    let again = [(road.id::<ConversationId>(), lane)];
    let later = at(60).unwrap();
    work.conversations(road.scope()).ensure(&again, later, Wrote::Us).await.unwrap();
    assert_eq!(pages(None, 50).await[0], (wanted[3].0, later));
}

/// Twelve thousand messages of one chat over twelve days, more than two looks of a search.
async fn history_is_searched(road: &Road) {
    let lane = road.lane();
    let start = road.now();
    let broadcast: kabar_core::BroadcastId = road.id();
    let made = |n: i64| {
        let mut message = match n % 1_000 {
            7 => road.incoming(lane, &format!("found.{n}")),
            _ => road.waiting(lane),
        };
        message.created_at = start + TimeDelta::seconds(n * 86);
        message.queued = false;
        message.status = if n % 2 == 0 { Status::Sent } else { Status::Read };
        if n % 3_000 == 5 {
            message.origin = Origin::Broadcast;
            message.origin_ref = Some(broadcast.to_string());
            message.purpose = Purpose::Marketing;
            message.body = Body::Out(Content::text("Pesanan Anda TIBA hari ini"));
        }
        message
    };
    let messages: Vec<Message> = (0..12_000).map(made).collect();
    let work = road.begin().await;
    for some in messages.chunks(2_000) {
        work.messages(road.scope()).insert(some).await.unwrap();
    }
    let search = async |filter: &MessageFilter, limit| {
        let mut page = PageRequest::new(Some(limit), None);
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let part = work.messages(road.scope()).list(filter, page).await.unwrap();
            assert!(part.items.len() <= usize::from(limit));
            found.extend(part.items.into_iter().map(|message| message.id));
            pages += 1;
            let Some(next) = part.next else { return (found, pages) };
            page.after = Some(next);
        }
    };
    let check = async |filter: MessageFilter, fits: &(dyn Fn(i64, &Message) -> bool + Sync)| {
        let filter = MessageFilter { contact: Some(lane.contact), ..filter };
        let mut expected: Vec<_> = (0..12_000_i64)
            .zip(&messages)
            .filter(|(n, message)| fits(*n, message))
            .map(|(_, message)| message.id)
            .collect();
        expected.reverse();
        assert!(!expected.is_empty(), "{filter:?}");
        for limit in [3, 200] {
            let (found, pages) = search(&filter, limit).await;
            assert_eq!(found, expected, "{filter:?}");
            let looks = if filter.looks_at_each() { 2 } else { 1 };
            assert!(pages >= looks || filter.from.is_some(), "{filter:?} {pages}");
        }
    };
    let any = MessageFilter::default;
    let words = |text: &str| Some(text.parse::<Needle>().unwrap());
    check(MessageFilter { words: words("tiba PESANAN"), ..any() }, &|n, _| n % 3_000 == 5).await;
    check(MessageFilter { broadcast: Some(broadcast), ..any() }, &|n, _| n % 3_000 == 5).await;
    check(MessageFilter { purpose: Some(Purpose::Marketing), ..any() }, &|n, _| n % 3_000 == 5)
        .await;
    check(MessageFilter { origin: Some(Origin::Contact), ..any() }, &|n, _| n % 1_000 == 7).await;
    let (from, to) = (start + TimeDelta::days(2), start + TimeDelta::days(4));
    let within = |message: &Message| (from..to).contains(&message.created_at);
    let day = || MessageFilter { from: Some(from), to: Some(to), ..any() };
    check(day(), &|_, message| within(message)).await;
    let some = MessageFilter { statuses: vec![Status::Read, Status::Failed], ..day() };
    check(some, &|n, message| within(message) && n % 2 == 1).await;
    let kind = MessageFilter { kind: Some("text".to_owned()), words: words("tiba"), ..day() };
    check(kind, &|n, message| within(message) && n % 3_000 == 5).await;
    // A foreign scope finds nothing.
    let filter = MessageFilter { words: words("tiba"), ..any() };
    let mut foreign = work.messages(provider().within(road.other));
    assert!(foreign.list(&filter, PageRequest::default()).await.unwrap().items.is_empty());
}
