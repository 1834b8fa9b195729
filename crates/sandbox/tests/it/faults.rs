//! Scripted faults.

use kabar_sandbox::{Fault, FaultEffect as Effect, FaultPoint, Inbound, MessageFilter};
use serde_json::{Value, json};

use crate::bed::{Bed, CUSTOMER, code};

async fn bed() -> Bed {
    let bed = Bed::new().await;
    bed.open_window(CUSTOMER);
    bed
}

fn text() -> Value {
    json!({"text": {"body": "hi"}})
}

#[tokio::test]
async fn codes_strike_as_often_as_asked() {
    let bed = bed().await;
    for (graph_code, status) in
        [(130_429, 400), (131_056, 400), (131_047, 400), (131_026, 400), (190, 401), (2, 503)]
    {
        let effect = Effect::Error { code: graph_code, status: None };
        bed.sandbox.add_fault(Fault::next_send(effect).times(2)).unwrap();
        for _ in 0..2 {
            let (found, answer) = bed.send(text()).await;
            assert_eq!((found, code(&answer)), (status, u64::from(graph_code)));
        }
    }
    assert_eq!(bed.send(text()).await.0, 200);
    assert_eq!(bed.sandbox.overview().accepted, 1);
}

#[tokio::test]
async fn http_errors_come_with_or_without_graph_json() {
    let bed = bed().await;
    for graph in [true, false] {
        bed.sandbox.add_fault(Fault::next_send(Effect::Http { status: 500, graph })).unwrap();
        let (status, answer) = bed.send(text()).await;
        assert_eq!(status, 500);
        assert_eq!(answer.get("error").is_some(), graph);
    }
}

#[tokio::test]
async fn connections_close_and_hang_before_or_after_acceptance() {
    let bed = bed().await;
    for (effect, accepted) in [
        (Effect::Close { accept: false }, 0),
        (Effect::Close { accept: true }, 1),
        (Effect::Hang { accept: false, for_ms: None }, 1),
        (Effect::Hang { accept: true, for_ms: Some(10_000) }, 2),
    ] {
        let closes = matches!(effect, Effect::Close { .. });
        bed.sandbox.add_fault(Fault::next_send(effect)).unwrap();
        let error = bed.try_send(text(), if closes { 30_000 } else { 1_000 }).await.unwrap_err();
        assert_eq!(error.is_timeout(), !closes, "{error}");
        assert_eq!(bed.sandbox.messages(&MessageFilter::default()).len(), accepted);
    }
    bed.quiet().await;
    assert_eq!(bed.receiver.status_names().len(), 6);
}

#[tokio::test]
async fn an_answer_may_come_late_or_after_the_statuses() {
    let bed = bed().await;
    bed.sandbox.add_fault(Fault::next_send(Effect::Late { ms: 30 })).unwrap();
    assert_eq!(bed.send(text()).await.0, 200);
    bed.quiet().await;
    bed.receiver.posts.lock().unwrap().clear();
    bed.sandbox.add_fault(Fault::next_send(Effect::StatusFirst)).unwrap();
    assert_eq!(bed.send(text()).await.0, 200);
    // No waiting: they were here first.
    assert_eq!(bed.receiver.status_names(), ["sent", "delivered", "read"]);
}

#[tokio::test]
async fn an_accepted_message_may_fail() {
    let bed = bed().await;
    bed.sandbox.add_fault(Fault::next_send(Effect::Fail { code: 131_049 })).unwrap();
    assert_eq!(bed.send(text()).await.0, 200);
    bed.quiet().await;
    let status = bed.receiver.statuses().remove(0);
    assert_eq!(
        (&status["status"], &status["errors"][0]["code"]),
        (&json!("failed"), &json!(131_049))
    );
    assert!(status.get("pricing").is_none());
}

#[tokio::test]
async fn statuses_double_turn_round_and_get_lost() {
    for (effect, expected) in [
        (
            Effect::Duplicate { copies: 2 },
            vec!["sent", "sent", "delivered", "delivered", "read", "read"],
        ),
        (Effect::Reorder, vec!["read", "delivered", "sent"]),
        (Effect::Delay { ms: 5 }, vec!["sent", "delivered", "read"]),
        (Effect::Lose, vec![]),
    ] {
        let bed = bed().await;
        bed.sandbox.add_fault(Fault::on(FaultPoint::Statuses, effect)).unwrap();
        bed.send(text()).await;
        bed.quiet().await;
        assert_eq!(bed.receiver.status_names(), expected);
    }
}

#[tokio::test]
async fn customers_messages_double_turn_round_and_get_lost() {
    for (effect, expected) in [
        (Effect::Duplicate { copies: 3 }, vec!["1", "1", "1", "2"]),
        (Effect::Reorder, vec!["2", "1"]),
        (Effect::Lose, vec!["2"]),
    ] {
        let bed = bed().await;
        bed.sandbox.add_fault(Fault::on(FaultPoint::Inbound, effect).to(CUSTOMER)).unwrap();
        for text in ["1", "2"] {
            bed.sandbox.customer_says(Inbound::text(CUSTOMER, text)).unwrap();
        }
        bed.quiet().await;
        let texts: Vec<_> =
            bed.receiver.messages().iter().map(|it| it["text"]["body"].clone()).collect();
        assert_eq!(texts, expected);
    }
}

#[tokio::test]
async fn faults_choose_their_victims() {
    let bed = bed().await;
    let effect = || Effect::Error { code: 131_056, status: None };
    bed.sandbox.add_fault(Fault::next_send(effect()).to("+62 999 999 999").times(0)).unwrap();
    assert_eq!(bed.send(text()).await.0, 200);
    assert_eq!(bed.send(json!({"to": "62999999999", "text": {"body": "x"}})).await.0, 400);
    bed.sandbox.clear_faults();
    bed.sandbox.add_fault(Fault::next_send(effect()).probability(0.5).times(0)).unwrap();
    let mut refused = 0;
    for _ in 0..100 {
        refused += u32::from(bed.send(text()).await.0 != 200);
    }
    assert!((20..80).contains(&refused), "{refused}");
    assert_eq!(bed.sandbox.faults()[0].struck, u64::from(refused));
}

#[tokio::test]
async fn media_and_other_calls_fail_too() {
    let bed = bed().await;
    let media =
        bed.sandbox.store_media(kabar_sandbox::DEFAULT_PHONE_NUMBER_ID, "image/png", "x").unwrap();
    let broken = || Effect::Http { status: 500, graph: true };
    bed.sandbox.add_fault(Fault::on(FaultPoint::Media, broken())).unwrap();
    bed.sandbox.add_fault(Fault::on(FaultPoint::Call, broken())).unwrap();
    for path in [media.as_str(), kabar_sandbox::DEFAULT_WABA_ID] {
        assert_eq!(bed.get(path).await.0, 500);
        assert_eq!(bed.get(path).await.0, 200);
    }
}

#[tokio::test]
async fn an_effect_must_fit_its_place() {
    let bed = bed().await;
    for fault in [
        Fault::on(FaultPoint::Statuses, Effect::Close { accept: true }),
        Fault::on(FaultPoint::Send, Effect::Lose),
        Fault::on(FaultPoint::Media, Effect::StatusFirst),
        Fault::next_send(Effect::Late { ms: 1 }).probability(2.0),
    ] {
        assert!(bed.sandbox.add_fault(fault).is_err());
    }
}
