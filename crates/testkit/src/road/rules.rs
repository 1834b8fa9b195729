//! Rules and what they answered.

use chrono::TimeDelta;
use kabar_automation::{AnswerNote, Limitation, Matching, Response, Rule};
use kabar_channel::Content;
use kabar_core::{ContactId, PageRequest};
use kabar_rules::{Folding, MatchKind, Words};
use serde_json::json;

use super::Road;
use crate::accounts::provider;

pub(super) async fn contract(road: &Road) {
    rules_are_kept_and_found(road).await;
    a_message_is_answered_once(road).await;
}

async fn rules_are_kept_and_found(road: &Road) {
    let rule = |device, active| Rule {
        id: road.id(),
        account: road.account,
        device,
        name: "Greeting".to_owned(),
        active,
        priority: 3,
        matching: Matching {
            kind: MatchKind::Begin,
            keywords: vec!["halo <name>".to_owned()],
            folding: Folding::default(),
            words: Words::default(),
        },
        response: Response::Message { content: Content::text("halo {name}"), quote: true },
        limitation: Some(Limitation { times: 1, seconds: 60 }),
        created_at: road.now(),
        updated_at: road.now(),
    };
    let mut first = rule(road.device, true);
    let (asleep, second) = (rule(road.device, false), rule(road.second, true));
    let work = road.begin().await;
    let mut repo = work.rules(road.scope());
    for rule in [&first, &asleep, &second] {
        repo.insert(rule).await.unwrap();
    }
    assert_eq!(repo.active(road.device).await.unwrap(), [first.clone()]);
    first.limitation = None;
    "Other".clone_into(&mut first.name);
    first.active = false;
    assert!(repo.update(&first).await.unwrap());
    assert_eq!(repo.get(first.id).await.unwrap(), Some(first.clone()));
    assert!(repo.active(road.device).await.unwrap().is_empty());
    let list = repo.list(None, PageRequest::default()).await.unwrap();
    assert_eq!(list.items.len(), 3);
    drop(repo);
    let mut foreign = work.rules(provider().within(road.other));
    assert_eq!(foreign.get(first.id).await.unwrap(), None);
    assert!(!foreign.update(&first).await.unwrap());
    assert!(!foreign.remove(first.id).await.unwrap());
    drop(foreign);
    let mut token = work.rules(road.token_scope());
    assert_eq!(token.get(first.id).await.unwrap(), None);
    let list = token.list(None, PageRequest::default()).await.unwrap();
    assert_eq!(list.items, [second]);
    drop(token);
    assert!(work.rules(road.scope()).remove(first.id).await.unwrap());
}

async fn a_message_is_answered_once(road: &Road) {
    let contact: ContactId = road.id();
    let note = |answered: bool, at| AnswerNote {
        message: road.id(),
        account: road.account,
        device: road.device,
        contact,
        rule: None,
        answer: answered.then(|| road.id()),
        trace: json!({"why": "test"}),
        at,
    };
    let now = road.now();
    let (silent, old) = (note(false, now), note(true, now - TimeDelta::hours(2)));
    let new = note(true, now);
    let work = road.begin().await;
    let mut repo = work.rules(road.scope());
    for note in [&silent, &old, &new] {
        assert!(repo.note(note).await.unwrap());
        assert!(!repo.note(note).await.unwrap());
        assert_eq!(repo.answer_to(note.message).await.unwrap().as_ref(), Some(note));
    }
    let since = now - TimeDelta::hours(1);
    let past = repo.answers_since(contact, since).await.unwrap();
    assert_eq!(past, [(None, now)]);
    drop(repo);
    let mut foreign = work.rules(provider().within(road.other));
    assert_eq!(foreign.answer_to(new.message).await.unwrap(), None);
    assert!(foreign.answers_since(contact, since).await.unwrap().is_empty());
}
