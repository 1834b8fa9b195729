//! Statuses and the retry policy, for every order of events.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::time::Duration;

use kabar_channel::incoming::{Delivery, PersonIds};
use kabar_channel::{Content, Reason, RetrySafety, SendError, StatusUpdate};
use kabar_core::{ContactId, ConversationId, DeviceId, MessageId, Timestamp};
use kabar_devices::{DeviceSettings, UncertainPolicy};
use kabar_messaging::policy::{self, Next};
use kabar_messaging::{Body, Direction, Message, Origin, Purpose, Stage, Status, status};
use proptest::prelude::*;
use uuid::Uuid;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_timestamp(1_767_225_600 + seconds, 0).unwrap()
}

fn message() -> Message {
    Message {
        id: MessageId::from(Uuid::from_u128(1)),
        account: Uuid::from_u128(2).into(),
        device: DeviceId::from(Uuid::from_u128(3)),
        conversation: ConversationId::from(Uuid::from_u128(4)),
        contact: ContactId::from(Uuid::from_u128(5)),
        direction: Direction::Out,
        status: Status::Pending,
        stage: None,
        queued: true,
        body: Body::Out(Content::text("halo")),
        purpose: Purpose::Service,
        origin: Origin::Api,
        origin_ref: None,
        reference: None,
        own_number: None,
        recipient: None,
        asked_for: None,
        network_id: None,
        wire_id: None,
        dedupe_key: None,
        author: None,
        reply_to_id: None,
        reply_to: None,
        target_id: None,
        retry_of: None,
        choices: Vec::new(),
        downgraded_from: None,
        prepared: None,
        reason: None,
        held_until: None,
        attempts: 0,
        due_at: at(0),
        next_at: at(0),
        expires_at: Some(at(600)),
        media: None,
        forwarded: false,
        referral: None,
        pricing: None,
        sender_at: None,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        played_at: None,
        failed_at: None,
        created_at: at(0),
        updated_at: at(0),
    }
}

fn update(delivery: Delivery, seconds: i64) -> StatusUpdate {
    StatusUpdate {
        wire_id: "wamid.1".to_owned(),
        callback: None,
        delivery,
        at: Some(at(seconds)),
        recipient: PersonIds::default(),
        participant: None,
        pricing: None,
        entry_point_expires_at: None,
    }
}

fn delivery() -> impl Strategy<Value = StatusUpdate> {
    let word = prop_oneof![
        Just(Delivery::Sent),
        Just(Delivery::Delivered),
        Just(Delivery::Read),
        Just(Delivery::Played),
        Just(Delivery::Failed(Reason::new("131026", "undeliverable"))),
        Just(Delivery::Other("warning".to_owned())),
    ];
    (word, 0_i64..100).prop_map(|(delivery, seconds)| update(delivery, seconds))
}

fn any_status() -> impl Strategy<Value = Status> {
    proptest::sample::select(Status::ALL)
}

fn error() -> impl Strategy<Value = SendError> {
    let reason = || Reason::new("x", "x");
    let wait = proptest::option::of(0_u64..100).prop_map(|s| s.map(Duration::from_secs));
    (0..7, wait).prop_map(move |(kind, after)| match kind {
        0 => SendError::Retry { after, reason: reason() },
        1 => SendError::SlowDown { after, reason: reason() },
        2 => SendError::DeviceDown { reason: reason() },
        3 => SendError::Uncertain { reason: reason() },
        4 => SendError::OutsideWindow { reason: reason() },
        5 => SendError::NewContactsBlocked { until: at(500), assumed: true, reason: reason() },
        _ => SendError::refused("x", "x"),
    })
}

/// What a message that left its line is.
const ENDS: [Status; 7] = [
    Status::Sent,
    Status::Delivered,
    Status::Read,
    Status::Played,
    Status::Failed,
    Status::Cancelled,
    Status::Expired,
];

proptest! {
    #[test]
    fn statuses_end_the_same_in_any_order(
        (updates, shuffled) in proptest::collection::vec(delivery(), 1..12)
            .prop_flat_map(|updates| (Just(updates.clone()), Just(updates).prop_shuffle())),
        repeat in any::<bool>(),
    ) {
        let apply = |updates: &[StatusUpdate]| {
            let mut message = message();
            let mut rank = 0;
            for update in updates {
                status::apply(&mut message, update, at(200));
                if message.status.rank() >= Status::Delivered.rank() {
                    prop_assert!(message.status.rank() >= rank, "it went backwards");
                    rank = message.status.rank();
                }
            }
            Ok(message)
        };
        let first = apply(&updates)?;
        let mut other = apply(&shuffled)?;
        prop_assert_eq!(first.status, other.status);
        prop_assert_eq!(first.queued, other.queued);
        prop_assert_eq!(first.failed_at.is_some(), other.failed_at.is_some());
        if repeat {
            let before = other.clone();
            for update in &shuffled {
                status::apply(&mut other, update, at(200));
            }
            prop_assert_eq!(before.status, other.status);
        }
        // A rank implies the times of the lower ones.
        let times = [first.sent_at, first.delivered_at, first.read_at, first.played_at];
        let reached = usize::from(first.status.rank());
        prop_assert!(times.iter().take(reached).all(Option::is_some));
    }

    #[test]
    fn what_came_to_its_end_is_never_sent_again(
        end in proptest::sample::select(&ENDS[..]), queued in any::<bool>(), now in 0_i64..10_000,
        stage in proptest::option::of(proptest::sample::select(Stage::ALL)),
        resend in any::<bool>(),
    ) {
        let mut message = Message { status: end, stage, queued, ..message() };
        let settings = settings(resend);
        let next = policy::next(&mut message, &settings, RetrySafety::Never, at(now));
        prop_assert_ne!(next, Next::Send);
        prop_assert_eq!(message.status, end);
        prop_assert!(!message.queued);
    }

    /// However a message fails, it ends, or waits for a time at which it can be looked at again; an
    /// uncertain one is never sent again unless the tenant wants it.
    #[test]
    fn a_message_always_comes_to_an_end(
        errors in proptest::collection::vec(error(), 1..40), resend in any::<bool>(),
    ) {
        let settings = settings(resend);
        let mut message = message();
        let mut now = at(0);
        let (mut errors, mut was_uncertain) = (errors.into_iter().cycle(), false);
        for _ in 0..2_000 {
            match policy::next(&mut message, &settings, RetrySafety::Never, now) {
                Next::Send => {
                    prop_assert!(resend || !was_uncertain, "it may have arrived");
                    let error = errors.next().unwrap();
                    was_uncertain |= matches!(error, SendError::Uncertain { .. });
                    policy::failed(&mut message, &error, &settings, RetrySafety::Never, now);
                    prop_assert!(message.reason.is_some());
                }
                Next::Wait => {
                    prop_assert!(message.queued);
                    let ready = message.due_at.max(message.next_at);
                    prop_assert!(ready > now, "the lane would be ready for nothing");
                    now = ready;
                }
                Next::Settled => {}
            }
            if !message.queued {
                let ended = ENDS.contains(&message.status) || message.status == Status::Uncertain;
                prop_assert!(ended, "{:?}", message.status);
                prop_assert_eq!(message.stage, None);
                return Ok(());
            }
        }
        prop_assert!(false, "it never ends: {:?} {:?}", message.status, message.next_at);
    }

    #[test]
    fn nothing_waits_longer_than_it_lives(error in error(), status in any_status()) {
        let mut message = Message {
            status, attempts: 1, expires_at: Some(at(10)), ..message()
        };
        policy::failed(&mut message, &error, &settings(false), RetrySafety::Never, at(5));
        if message.status.is_waiting() {
            prop_assert!(message.next_at <= at(10));
        }
    }
}

fn settings(resend: bool) -> DeviceSettings {
    let uncertain =
        if resend { UncertainPolicy::Resend { after_seconds: 60 } } else { UncertainPolicy::Hold };
    DeviceSettings { uncertain, ..DeviceSettings::default() }
}
