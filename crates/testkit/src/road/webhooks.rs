//! Webhook endpoints, deliveries and lanes.

use std::collections::BTreeMap;

use chrono::TimeDelta;
use kabar_core::{ConversationId, DeliveryId, EndpointId, ExposeSecret as _, PageRequest, Secret};
use kabar_events::Position;
use kabar_webhooks::delivery::NewDelivery;
use kabar_webhooks::repo::{LaneClaim, Outcome};
use kabar_webhooks::{
    Attempt, DeliveryFilter, DeliveryState, Endpoint, EndpointSettings, EndpointState, Health,
    Resend, ResendState, SigningSecret,
};
use uuid::Uuid;

use super::{Hooks, Road};
use crate::accounts::provider;

pub(super) async fn contract(road: &Road, hooks: &Hooks) {
    endpoints_are_kept_and_sealed(road, hooks).await;
    the_position_moves_once(hooks).await;
    deliveries_become_due(road, hooks).await;
    chats_wait_behind_their_heads(road, hooks).await;
    a_lane_has_one_owner(road, hooks).await;
    resends_are_kept(road, hooks).await;
}

fn secret(road: &Road, text: &str) -> SigningSecret {
    let (id, secret) = (road.id::<Uuid>(), Secret::from(text));
    SigningSecret { id, secret, created_at: road.now(), expires_at: None }
}

async fn endpoint(road: &Road, hooks: &Hooks, ordered: bool) -> Endpoint {
    let url = "https://hooks.example.com/a?b=c".parse().unwrap();
    let mut settings = EndpointSettings::new(url, vec!["message.*".parse().unwrap()]);
    settings.headers = BTreeMap::from([("authorization".to_owned(), Secret::from("Bearer x"))]);
    settings.devices = vec![road.device];
    settings.ordered = ordered;
    let endpoint = Endpoint {
        id: road.id(),
        account: road.account,
        settings,
        state: EndpointState::Active,
        state_reason: None,
        state_since: road.now(),
        health: Health::default(),
        created_at: road.now(),
        updated_at: road.now(),
    };
    let work = hooks.begin().await;
    work.endpoints(road.scope()).insert(&endpoint, &secret(road, "whsec_first")).await.unwrap();
    work.commit().await.unwrap();
    endpoint
}

async fn endpoints_are_kept_and_sealed(road: &Road, hooks: &Hooks) {
    let mut made = endpoint(road, hooks, false).await;
    let work = hooks.begin().await;
    let mut repo = work.endpoints(road.scope());
    let read = repo.get(made.id).await.unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{made:?}"));
    assert_eq!(read.settings.headers["authorization"].expose_secret(), "Bearer x");
    let until = road.now() + TimeDelta::hours(1);
    repo.rotate(made.id, &secret(road, "whsec_second"), until).await.unwrap();
    let secrets = repo.secrets(made.id).await.unwrap();
    let shown: Vec<(&str, bool)> = secrets
        .iter()
        .map(|one| (one.secret.expose_secret(), one.expires_at == Some(until)))
        .collect();
    assert_eq!(shown, [("whsec_second", false), ("whsec_first", true)]);
    made.state = EndpointState::Disabled;
    made.state_reason = Some("gone".to_owned());
    made.settings.rate = Some(7);
    assert!(repo.update(&made, road.now()).await.unwrap());
    made.health = Health { failures: 3, failing_since: Some(road.now()), ..Health::default() };
    repo.set_health(made.id, &made.health).await.unwrap();
    let read = repo.lock(made.id).await.unwrap().unwrap();
    assert_eq!(format!("{read:?}"), format!("{made:?}"));
    assert_eq!(repo.count().await.unwrap(), 1);
    drop(repo);
    let mut foreign = work.endpoints(provider().within(road.other));
    assert!(foreign.get(made.id).await.unwrap().is_none());
    assert!(!foreign.update(&made, road.now()).await.unwrap());
    assert!(foreign.secrets(made.id).await.unwrap().is_empty());
    assert!(!foreign.remove(made.id, road.now()).await.unwrap());
    assert!(foreign.list(PageRequest::default()).await.unwrap().items.is_empty());
    drop(foreign);
    let mut repo = work.endpoints(road.scope());
    assert!(repo.remove(made.id, road.now()).await.unwrap());
    assert!(repo.get(made.id).await.unwrap().is_none());
    assert!(repo.secrets(made.id).await.unwrap().is_empty());
}

async fn the_position_moves_once(hooks: &Hooks) {
    let to = Position { transaction: 3, number: 5 };
    let work = hooks.begin().await;
    let mut fan_out = work.fan_out(provider());
    let from = fan_out.position().await.unwrap();
    assert!(fan_out.advance(from, to).await.unwrap());
    assert_eq!(fan_out.position().await.unwrap(), to);
    assert!(!fan_out.advance(from, to).await.unwrap());
}

fn delivery(road: &Road, endpoint: EndpointId, number: i64) -> NewDelivery {
    NewDelivery {
        id: road.id(),
        account: road.account,
        endpoint,
        event: Some(Position { transaction: 1, number }),
        kind: "message.received".to_owned(),
        chat: None,
        contact: None,
        payload: format!("{{\"n\":{number}}}"),
        at: road.now(),
    }
}

async fn put(hooks: &Hooks, road: &Road, deliveries: &[NewDelivery]) {
    let work = hooks.begin().await;
    work.fan_out(provider()).put(deliveries, road.now()).await.unwrap();
    work.commit().await.unwrap();
}

async fn due(hooks: &Hooks, road: &Road, endpoint: EndpointId) -> Vec<DeliveryId> {
    let work = hooks.begin().await;
    let due = work.webhook_lanes(provider()).due(endpoint, road.now(), 100).await.unwrap();
    assert!(due.iter().all(|due| due.payload.is_some()));
    due.into_iter().map(|due| due.id).collect()
}

async fn claim(hooks: &Hooks, road: &Road, owner: Uuid) -> Vec<LaneClaim> {
    let work = hooks.begin().await;
    let until = road.now() + TimeDelta::seconds(8);
    let claims = work.webhook_lanes(provider()).claim(owner, road.now(), until, 10).await.unwrap();
    work.commit().await.unwrap();
    claims
}

fn outcome(road: &Road, of: &NewDelivery, state: DeliveryState) -> Outcome {
    let attempt = Attempt {
        id: road.id(),
        delivery: of.id,
        at: road.now(),
        duration_ms: 12,
        status: Some(500),
        error: Some("status_500".to_owned()),
        response: Some("because".to_owned()),
    };
    let due_at = road.now() + TimeDelta::seconds(5);
    Outcome { delivery: of.id, chat: of.chat, state, due_at, attempt: Some(attempt) }
}

async fn deliveries_become_due(road: &Road, hooks: &Hooks) {
    let end = endpoint(road, hooks, false).await.id;
    let nobody = delivery(road, road.id(), 1);
    let made = [delivery(road, end, 1), delivery(road, end, 2), delivery(road, end, 3), nobody];
    put(hooks, road, &made).await;
    assert_eq!(due(hooks, road, end).await, [made[0].id, made[1].id, made[2].id]);
    let owner = road.id();
    let claims = claim(hooks, road, owner).await;
    assert_eq!(claims.len(), 1);
    let work = hooks.begin().await;
    let mut lanes = work.webhook_lanes(provider());
    let outcomes = [
        outcome(road, &made[0], DeliveryState::Delivered),
        outcome(road, &made[1], DeliveryState::Pending),
        outcome(road, &made[2], DeliveryState::Failed),
    ];
    let health = Health { failures: 2, last_error: Some("x".to_owned()), ..Health::default() };
    lanes.settle(owner, claims[0], &outcomes, &health, road.now()).await.unwrap();
    lanes.release(owner, claims[0], road.now()).await.unwrap();
    drop(lanes);
    assert_eq!(work.endpoints(road.scope()).get(end).await.unwrap().unwrap().health, health);
    let mut repo = work.deliveries(road.scope());
    let failed = DeliveryFilter { state: Some(DeliveryState::Failed), ..Default::default() };
    let listed = repo.list(&failed, PageRequest::default()).await.unwrap().items;
    assert_eq!(listed.iter().map(|it| it.id).collect::<Vec<_>>(), [made[2].id]);
    assert_eq!((listed[0].attempts, listed[0].last_status), (1, Some(500)));
    let attempts = repo.attempts(made[1].id, PageRequest::default()).await.unwrap().items;
    assert_eq!(attempts, [outcomes[1].attempt.clone().unwrap()]);
    let waiting = repo.get(made[1].id).await.unwrap().unwrap();
    assert_eq!(waiting.due_at, Some(road.now() + TimeDelta::seconds(5)));
    assert_eq!(repo.slice(&failed, None, 10).await.unwrap(), [made[2].id]);
    assert!(repo.slice(&failed, Some(made[2].id), 10).await.unwrap().is_empty());
    assert_eq!(repo.requeue(&[made[2].id, made[0].id], road.now()).await.unwrap(), 2);
    assert_eq!(repo.payload(made[0].id).await.unwrap().as_deref(), Some("{\"n\":1}"));
    assert!(repo.cancel(made[0].id, road.now()).await.unwrap());
    assert!(!repo.cancel(made[0].id, road.now()).await.unwrap());
    drop(repo);
    let mut foreign = work.deliveries(provider().within(road.other));
    let all = DeliveryFilter::default();
    assert!(foreign.get(made[0].id).await.unwrap().is_none());
    assert!(foreign.payload(made[0].id).await.unwrap().is_none());
    assert!(foreign.list(&all, PageRequest::default()).await.unwrap().items.is_empty());
    assert!(foreign.attempts(made[1].id, PageRequest::default()).await.unwrap().items.is_empty());
    assert_eq!(foreign.requeue(&[made[0].id], road.now()).await.unwrap(), 0);
    assert!(!foreign.cancel(made[2].id, road.now()).await.unwrap());
    drop(foreign);
    work.commit().await.unwrap();
    assert_eq!(due(hooks, road, end).await, [made[2].id]);
    // The same event never becomes a second delivery.
    let work = hooks.begin().await;
    let again = work.fan_out(provider()).put(&[delivery(road, end, 1)], road.now()).await;
    again.unwrap_err();
}

async fn chats_wait_behind_their_heads(road: &Road, hooks: &Hooks) {
    let end = endpoint(road, hooks, true).await.id;
    let chat: ConversationId = road.id();
    let of = |number, chat| NewDelivery { chat: Some(chat), ..delivery(road, end, number) };
    let made = [of(1, chat), of(2, chat), of(3, road.id()), delivery(road, end, 4)];
    put(hooks, road, &made).await;
    let later = of(5, chat);
    put(hooks, road, std::slice::from_ref(&later)).await;
    assert_eq!(due(hooks, road, end).await, [made[0].id, made[2].id, made[3].id]);
    let owner = road.id();
    let claims = claim(hooks, road, owner).await;
    let mine = *claims.iter().find(|claim| claim.endpoint == end).unwrap();
    let settle = async |of: &NewDelivery, state| {
        let work = hooks.begin().await;
        let outcomes = [outcome(road, of, state)];
        let mut lanes = work.webhook_lanes(provider());
        lanes.settle(owner, mine, &outcomes, &Health::default(), road.now()).await.unwrap();
        drop(lanes);
        work.commit().await.unwrap();
    };
    settle(&made[0], DeliveryState::Pending).await;
    assert_eq!(due(hooks, road, end).await, [made[2].id, made[3].id], "its head failed");
    settle(&made[0], DeliveryState::Failed).await;
    let next = due(hooks, road, end).await;
    assert!(next.contains(&made[1].id) && !next.contains(&later.id));
    settle(&made[1], DeliveryState::Delivered).await;
    assert!(due(hooks, road, end).await.contains(&later.id));
    let work = hooks.begin().await;
    for claim in claims {
        work.webhook_lanes(provider()).release(owner, claim, road.now()).await.unwrap();
    }
    work.endpoints(road.scope()).remove(end, road.now()).await.unwrap();
    work.commit().await.unwrap();
}

async fn a_lane_has_one_owner(road: &Road, hooks: &Hooks) {
    let end = endpoint(road, hooks, false).await.id;
    put(hooks, road, &[delivery(road, end, 1)]).await;
    let (one, two): (Uuid, Uuid) = (road.id(), road.id());
    let first = claim(hooks, road, one).await;
    let mine = *first.iter().find(|claim| claim.endpoint == end).unwrap();
    put(hooks, road, &[delivery(road, end, 2)]).await;
    assert!(claim(hooks, road, two).await.iter().all(|claim| claim.endpoint != end));
    let until = road.now() + TimeDelta::seconds(20);
    let work = hooks.begin().await;
    let renewed = work.webhook_lanes(provider()).renew(one, &[mine], until).await.unwrap();
    assert_eq!(renewed, [mine]);
    let stolen = work.webhook_lanes(provider()).renew(two, &[mine], until).await.unwrap();
    assert!(stolen.is_empty());
    work.commit().await.unwrap();
    road.fleet.tenancy.clock.advance(TimeDelta::seconds(21));
    let second = claim(hooks, road, two).await;
    let theirs = *second.iter().find(|claim| claim.endpoint == end).unwrap();
    assert!(theirs.fence > mine.fence);
    let work = hooks.begin().await;
    let mut lanes = work.webhook_lanes(provider());
    lanes.release(one, mine, road.now()).await.unwrap();
    assert!(lanes.renew(one, &[mine], until).await.unwrap().is_empty(), "it was lost");
    let later = road.now() + TimeDelta::hours(1);
    lanes.release(two, theirs, later).await.unwrap();
    drop(lanes);
    work.commit().await.unwrap();
    assert!(claim(hooks, road, one).await.iter().all(|claim| claim.endpoint != end), "it rests");
}

async fn resends_are_kept(road: &Road, hooks: &Hooks) {
    let mut resend = Resend {
        id: road.id(),
        account: road.account,
        filter: DeliveryFilter { kind: Some("message.status".to_owned()), ..Default::default() },
        state: ResendState::Running,
        looked_at: 0,
        resent: 0,
        after: None,
        created_at: road.now(),
        updated_at: road.now(),
    };
    let work = hooks.begin().await;
    let mut repo = work.resends(road.scope());
    repo.insert(&resend).await.unwrap();
    resend.looked_at = 7;
    resend.after = Some(road.id());
    resend.state = ResendState::Done;
    assert!(repo.update(&resend).await.unwrap());
    assert_eq!(repo.get(resend.id).await.unwrap(), Some(resend.clone()));
    assert_eq!(repo.lock(resend.id).await.unwrap(), Some(resend.clone()));
    assert_eq!(repo.list(PageRequest::default()).await.unwrap().items, [resend.clone()]);
    drop(repo);
    let mut foreign = work.resends(provider().within(road.other));
    assert!(foreign.get(resend.id).await.unwrap().is_none());
    assert!(!foreign.update(&resend).await.unwrap());
}
