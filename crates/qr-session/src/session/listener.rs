//! What the engine says, sorted: acknowledgements, receipts, and the state of the session.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use kabar_channel::Fence;
use kabar_core::PhoneNumber;
use tokio::sync::mpsc::UnboundedSender;
use wacore::types::events::{
    ConnectFailureReason, Event, EventHandler, EventInterest, EventKind, InboundMessage, Receipt,
    ServerAck,
};
use wacore_binary::NodeRef;

use super::acks::{Acks, Said};
use super::news::{End, News, Told};
use super::wanted::Wishes;
use crate::backend::{Reading, Wanted};

/// The kinds that concern us; the engine makes no others for us.
const KINDS: &[EventKind] = &[
    EventKind::Connected,
    EventKind::Disconnected,
    EventKind::PairSuccess,
    EventKind::LoggedOut,
    EventKind::PairingQrCode,
    EventKind::PairingQrCodesExhausted,
    EventKind::PairingCode,
    EventKind::PairingCodeError,
    EventKind::PairError,
    EventKind::ClientOutdated,
    EventKind::Receipt,
    EventKind::ServerAck,
    EventKind::UndecryptableMessage,
    EventKind::Messages,
    EventKind::StreamReplaced,
    EventKind::TemporaryBan,
    EventKind::ConnectFailure,
    EventKind::RawNode,
];

/// How a session is doing, for whoever looks.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// It is logged in and receives.
    pub(crate) connected: AtomicBool,
    /// Messages since the start that could not be decrypted.
    pub(crate) undecryptable: AtomicU64,
    /// Those of them since the last that could.
    pub(crate) in_a_row: AtomicU64,
    /// Whether there was one that could.
    pub(crate) understood: AtomicBool,
    /// When its connection was opened, or brought something before it was logged in.
    pub(crate) opened: Mutex<Option<Instant>>,
}

/// Listens to one session. It runs inline where the engine tells, so it only passes things on.
#[derive(Clone)]
pub(crate) struct Listener {
    pub(crate) fence: Fence,
    pub(crate) acks: Arc<Acks>,
    pub(crate) health: Arc<Health>,
    pub(crate) receipts: UnboundedSender<Receipt>,
    pub(crate) recovered: UnboundedSender<InboundMessage>,
    pub(crate) told: UnboundedSender<Told>,
    pub(crate) reading: Arc<Reading>,
    pub(crate) wishes: Wishes,
}

impl Listener {
    fn tell(&self, news: News) {
        let told = Told { device: self.fence.device, token: self.fence.token, news };
        // Nobody listens when the process ends.
        let _ = self.told.send(told);
    }

    fn disconnected(&self, news: News) {
        self.health.connected.store(false, Ordering::Release);
        self.acks.lost();
        self.tell(news);
    }

    /// The session is about to connect. The engine says nothing of a connection that it ended itself.
    pub(crate) fn dials(&self) {
        if self.health.connected.load(Ordering::Acquire) {
            self.disconnected(News::Lost { why: "the connection is made anew".to_owned() });
        }
    }

    /// It cannot connect for now, for a reason that its owner can do something about.
    pub(crate) fn waits(&self, why: &str) {
        self.tell(News::Lost { why: why.to_owned() });
    }

    /// A connection was opened, and the login follows; or it goes on.
    pub(crate) fn opened(&self) {
        *self.health.opened.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn ended(&self, end: End) {
        self.disconnected(News::Ended(end));
    }

    fn acknowledged(&self, ack: &ServerAck) {
        if ack.class.as_deref().is_some_and(|class| class != "message") {
            return;
        }
        let said = ack.error.clone().map_or(Said::Taken, Said::Refused);
        self.acks.said(&ack.id, said);
    }
}

impl EventHandler for Listener {
    fn handle_event(&self, event: Arc<Event>) {
        match &*event {
            Event::RawNode(stanza) => self.arrived(stanza.get()),
            Event::ServerAck(ack) => self.acknowledged(ack),
            Event::Receipt(receipt) => {
                let _ = self.receipts.send(receipt.clone());
            }
            // The others were stored before they are told.
            Event::Messages(batch) if !batch.hook_committed => {
                for message in batch {
                    let _ = self.recovered.send(message.clone());
                }
            }
            // What only the phone may see, once, was never meant for us.
            Event::UndecryptableMessage(failed) => {
                self.reading.end([failed.info.id.as_str()]);
                if failed.is_unavailable {
                    return;
                }
                self.health.undecryptable.fetch_add(1, Ordering::Relaxed);
                self.health.in_a_row.fetch_add(1, Ordering::Relaxed);
            }
            Event::Connected(_) => {
                self.health.connected.store(true, Ordering::Release);
                self.wishes.connected();
                self.tell(News::Connected);
            }
            Event::Disconnected(lost) => {
                self.disconnected(News::Lost { why: lost.reason.to_string() });
            }
            Event::PairingQrCode(code) => {
                self.tell(News::Code { code: code.code.clone(), works_for: code.timeout });
            }
            // While a code to type still works, the engine stays for it.
            Event::PairingQrCodesExhausted(out) if out.disconnected => self.ended(End::NotPaired),
            Event::PairingCode(code) => {
                self.tell(News::LinkCode { code: code.code.clone(), works_for: code.timeout });
            }
            Event::PairingCodeError(failed) => {
                self.ended(End::NoPairing { why: failed.error.clone() });
            }
            Event::PairError(failed) => self.ended(End::NoPairing { why: failed.error.clone() }),
            Event::PairSuccess(paired) => self.tell(News::Paired {
                phone: PhoneNumber::from_digits(&paired.id.user).ok(),
                lid: Some(paired.lid.user.to_string()).filter(|lid| !lid.is_empty()),
                name: Some(paired.business_name.clone()).filter(|name| !name.is_empty()),
            }),
            Event::LoggedOut(out) => self.ended(End::LoggedOut { why: word(out.reason) }),
            Event::StreamReplaced(_) => self.ended(End::Replaced),
            Event::TemporaryBan(ban) => {
                self.ended(End::Banned { lasts: ban.expire, code: ban.code.to_string() });
            }
            Event::ClientOutdated(_) => self.ended(End::Outdated),
            Event::ConnectFailure(failure) => self.refused(failure.reason),
            _ => {}
        }
    }

    fn interest(&self) -> EventInterest {
        EventInterest::of(KINDS)
    }
}

impl Listener {
    /// A stanza came; the engine looks at it afterwards.
    fn arrived(&self, stanza: &NodeRef<'_>) {
        let tag = stanza.tag.as_ref();
        let brings = matches!(tag, "message" | "receipt" | "notification");
        if brings && !self.health.connected.load(Ordering::Acquire) {
            self.opened();
        }
        match tag {
            "message" => {
                if let Some(id) = stanza.get_attr("id") {
                    self.reading.begin(&id.as_str());
                }
            }
            "receipt" => {
                if let Some(wanted) = Wanted::of(stanza) {
                    self.wishes.came(wanted);
                }
            }
            _ => {}
        }
    }

    /// The server let us connect, but not in. After its own errors the engine goes on trying.
    fn refused(&self, reason: ConnectFailureReason) {
        if reason.should_reconnect() {
            self.disconnected(News::Lost { why: word(reason) });
        } else {
            self.ended(End::Refused { why: word(reason) });
        }
    }
}

/// The network's word for why, as the engine names it.
fn word(reason: ConnectFailureReason) -> String {
    format!("{reason:?}")
}
