//! Everything that can go wrong with a send, and what becomes of the message.

use kabar::channel::Content;
use kabar::core::Secret;
use kabar::devices::{DevicePatch, DeviceState, UncertainPolicy};
use kabar::messaging::{Message, MessageError, Settlement, Status};
use kabar_sandbox::{
    DEFAULT_TOKEN, DEFAULT_WABA_ID, DelayRange, Fault, FaultEffect, FaultPoint, Settings,
    WindowMode,
};
use kabar_testkit::accounts::grant;

use crate::town::{CUSTOMER, Town, each_town, each_town_with};

fn strike(town: &Town, effect: FaultEffect) {
    town.sandbox.add_fault(Fault::next_send(effect)).expect("a fault");
}

const fn error(code: u32) -> FaultEffect {
    FaultEffect::Error { code, status: None }
}

/// Sends a text into a fault; returns the message as it is right after it.
async fn into_fault(town: &Town, effect: FaultEffect) -> Message {
    strike(town, effect);
    let message = town.text("halo").await;
    town.settle().await;
    town.get(message.id).await
}

fn code(message: &Message) -> &str {
    message.reason.as_ref().map_or("", |reason| reason.code.as_str())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_tried_again() {
    each_town(|town| async move {
        // Fault, status and code right after it, seconds to wait.
        let cases = [
            (error(130_429), Status::Held, "130429", 2),
            (error(131_056), Status::Pending, "131056", 1),
            (error(131_000), Status::Pending, "131000", 1),
            (FaultEffect::Http { status: 500, graph: true }, Status::Pending, "2", 1),
            (FaultEffect::Http { status: 429, graph: false }, Status::Held, "http_429", 2),
        ];
        for (sent, (effect, status, reason, seconds)) in cases.into_iter().enumerate() {
            let message = into_fault(&town, effect.clone()).await;
            assert_eq!((message.status, code(&message)), (status, reason), "{effect:?}");
            assert_eq!(message.held_until.is_some(), status == Status::Held);
            assert_eq!(town.arrived(CUSTOMER).len(), sent);
            town.wait(seconds);
            town.settle().await;
            let message = town.get(message.id).await;
            assert_eq!(message.status, Status::Read, "{effect:?}");
            assert_eq!((code(&message), message.held_until), ("", None));
            assert_eq!(town.arrived(CUSTOMER).len(), sent + 1);
        }
        assert_eq!(town.waiting().await, 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waits_grow_and_tries_end() {
    each_town(|town| async move {
        town.settings(|settings| settings.expire_seconds = 7 * 24 * 3600).await;
        town.sandbox.add_fault(Fault::next_send(error(131_056)).times(0)).unwrap();
        let message = town.text("halo").await;
        let mut waits = Vec::new();
        loop {
            town.settle().await;
            let now = town.get(message.id).await;
            if now.status != Status::Pending {
                assert_eq!((now.status, code(&now)), (Status::Failed, "131056"));
                assert_eq!(now.attempts, 12);
                break;
            }
            let clock = kabar::core::Clock::now(&*town.clock);
            let wait = (now.next_at - clock).num_seconds();
            waits.push(wait);
            town.wait(wait);
        }
        assert_eq!(waits[..5], [1, 4, 16, 64, 256]);
        assert_eq!((town.waiting().await, town.lanes().await), (0, 0));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_fails_at_once() {
    each_town(|town| async move {
        let cases = [
            (error(131_026), "131026"),
            (error(131_047), "131047"),
            (error(132_001), "132001"),
            (FaultEffect::Fail { code: 131_026 }, "131026"),
            (FaultEffect::Fail { code: 131_049 }, "131049"),
        ];
        for (effect, reason) in cases {
            let message = into_fault(&town, effect.clone()).await;
            assert_eq!((message.status, code(&message)), (Status::Failed, reason), "{effect:?}");
            assert!(message.failed_at.is_some() && !message.queued);
        }
        // The chat goes on.
        assert_eq!(town.sent("halo").await.status, Status::Read);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_closed_window_that_is_told_at_once() {
    let settings = Settings { window: WindowMode::Sync, ..Settings::default() };
    each_town_with(settings, |town| async move {
        let message = town.message("6281999999999", Content::text("halo"));
        let message = town.queue_one(message).await;
        town.settle().await;
        let message = town.get(message.id).await;
        assert_eq!((message.status, code(&message)), (Status::Failed, "131047"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_token_that_expired_holds_its_device_until_it_is_mended() {
    each_town(|town| async move {
        town.sandbox.expire_token(DEFAULT_TOKEN).unwrap();
        let messages = [town.text("one").await, town.text("two").await];
        town.settle().await;
        let devices = town.platform.devices();
        let down = devices.get(&grant(town.account), town.device).await.unwrap();
        assert_eq!(down.state, DeviceState::Disconnected);
        assert!(down.state_reason.unwrap().contains("190"));
        let held = town.get(messages[0].id).await;
        assert_eq!((held.status, code(&held)), (Status::Held, "190"));
        assert_eq!(held.attempts, 0);
        assert!(held.held_until.is_some());

        // Nothing changes by itself, and no try is counted.
        town.wait(61);
        town.settle().await;
        assert_eq!(town.get(messages[0].id).await.attempts, 0);

        let token = town.sandbox.add_token(DEFAULT_WABA_ID, None).unwrap();
        let patch = DevicePatch { credential: Some(Secret::from(token)), ..DevicePatch::default() };
        let mended = devices.update(&grant(town.account), town.device, patch).await.unwrap();
        assert_eq!(mended.state, DeviceState::Connected);
        town.wait(61);
        town.settle().await;
        assert_eq!(town.texts(CUSTOMER), ["one", "two"]);
        for message in messages {
            assert_eq!(town.get(message.id).await.status, Status::Read);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_never_comes_is_settled_by_the_status() {
    // Customers take longer than the sender's patience: the outcome is stored first.
    let settings = Settings { read_delay_ms: DelayRange::NONE, ..Settings::default() };
    each_town_with(settings, |town| async move {
        let hang = FaultEffect::Hang { accept: true, for_ms: None };
        let cases = [
            hang,
            FaultEffect::Close { accept: true },
            FaultEffect::Late { ms: 3_000 },
            FaultEffect::StatusFirst,
        ];
        for (sent, effect) in cases.into_iter().enumerate() {
            let message = into_fault(&town, effect.clone()).await;
            assert_eq!(message.status, Status::Read, "{effect:?}");
            assert_eq!(message.reason, None, "{effect:?}");
            let arrived = town.arrived(CUSTOMER);
            assert_eq!(arrived.len(), sent + 1, "{effect:?}");
            assert_eq!(message.wire_id, Some(arrived[sent].wamid.clone()));
        }
        assert_eq!((town.waiting().await, town.lanes().await), (0, 0));
    })
    .await;
}

fn lost_answers() -> [FaultEffect; 3] {
    [
        FaultEffect::Http { status: 500, graph: false },
        FaultEffect::Hang { accept: false, for_ms: None },
        FaultEffect::Close { accept: false },
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn held_uncertain_messages_are_never_doubled() {
    each_town(|town| async move {
        for effect in lost_answers() {
            let before = town.arrived(CUSTOMER).len();
            let message = into_fault(&town, effect.clone()).await;
            assert_eq!(message.status, Status::Uncertain, "{effect:?}");
            assert!(message.queued && message.reason.is_some());
            // It holds its chat for half a minute, then the chat goes on.
            let next = town.text("next").await;
            town.settle().await;
            assert_eq!(town.get(next.id).await.status, Status::Pending);
            town.wait(31);
            town.settle().await;
            assert_eq!(town.get(next.id).await.status, Status::Read);
            let message = town.get(message.id).await;
            assert_eq!((message.status, message.queued), (Status::Uncertain, false));
            town.wait(3 * 24 * 3600);
            town.settle().await;
            assert_eq!(town.get(message.id).await.status, Status::Uncertain);
            assert_eq!(town.arrived(CUSTOMER).len(), before + 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_tenant_may_want_them_sent_again() {
    each_town(|town| async move {
        town.settings(|settings| {
            settings.uncertain = UncertainPolicy::Resend { after_seconds: 60 };
        })
        .await;
        for (sent, effect) in lost_answers().into_iter().enumerate() {
            let message = into_fault(&town, effect.clone()).await;
            assert_eq!(message.status, Status::Uncertain, "{effect:?}");
            town.wait(59);
            town.settle().await;
            assert_eq!(town.arrived(CUSTOMER).len(), sent);
            town.wait(1);
            town.settle().await;
            let message = town.get(message.id).await;
            assert_eq!((message.status, message.attempts), (Status::Read, 2));
            assert_eq!(town.arrived(CUSTOMER).len(), sent + 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_uncertain_message_is_settled_by_hand() {
    each_town(|town| async move {
        let messages = town.platform.messages().clone();
        let cases = [
            (Settlement::Sent, Status::Sent, 0),
            (Settlement::Failed, Status::Failed, 0),
            (Settlement::Resend, Status::Read, 1),
        ];
        for (settlement, status, more) in cases {
            let before = town.arrived(CUSTOMER).len();
            let message = into_fault(&town, FaultEffect::Close { accept: false }).await;
            let write = grant(town.account);
            let settled = messages.settle(&write, message.id, settlement).await;
            assert!(settled.is_ok(), "{settled:?}");
            let next = town.text("next").await;
            town.settle().await;
            assert_eq!(town.get(message.id).await.status, status);
            // The chat goes on at once.
            assert_eq!(town.get(next.id).await.status, Status::Read);
            assert_eq!(town.arrived(CUSTOMER).len(), before + 1 + more);
            let again = messages.settle(&write, message.id, settlement).await;
            assert!(matches!(again, Err(MessageError::TooLate { .. })), "{again:?}");
        }
        // Long after the message would have expired, it is sent because somebody said so.
        let message = into_fault(&town, FaultEffect::Close { accept: false }).await;
        town.wait(3 * 24 * 3600);
        town.settle().await;
        messages.settle(&grant(town.account), message.id, Settlement::Resend).await.unwrap();
        town.settle().await;
        assert_eq!(town.get(message.id).await.status, Status::Read);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statuses_may_come_twice_in_any_order_or_late() {
    each_town(|town| async move {
        let cases = [
            FaultEffect::Duplicate { copies: 3 },
            FaultEffect::Reorder,
            FaultEffect::Delay { ms: 300 },
        ];
        for effect in cases {
            let fault = Fault::on(FaultPoint::Statuses, effect.clone()).times(0);
            town.sandbox.add_fault(fault).unwrap();
            let message = town.sent("halo").await;
            assert_eq!(message.status, Status::Read, "{effect:?}");
            let times = [message.sent_at, message.delivered_at, message.read_at];
            assert!(times.iter().all(Option::is_some), "{times:?}");
            town.sandbox.clear_faults();
        }
        let lost = Fault::on(FaultPoint::Statuses, FaultEffect::Lose).times(0);
        town.sandbox.add_fault(lost).unwrap();
        assert_eq!(town.sent("halo").await.status, Status::Sent);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receiver_that_was_away_gets_everything_later() {
    each_town(|town| async move {
        town.hook.refusals.lock().unwrap().extend([503, 500, 503, 404]);
        assert_eq!(town.sent("halo").await.status, Status::Read);
    })
    .await;
}
