//! What the engine says, sorted: acknowledgements, receipts, and the state of the session.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use kabar_channel::Fence;
use kabar_core::PhoneNumber;
use tokio::sync::mpsc::UnboundedSender;
use wacore::types::events::{
    ConnectFailureReason, Event, EventHandler, EventInterest, EventKind, Receipt, ServerAck,
};

use super::acks::{Acks, Said};
use super::news::{End, News, Told};

/// The kinds that concern us; the engine makes no others for us.
const KINDS: &[EventKind] = &[
    EventKind::Connected,
    EventKind::Disconnected,
    EventKind::PairSuccess,
    EventKind::LoggedOut,
    EventKind::PairingQrCode,
    EventKind::PairingQrCodesExhausted,
    EventKind::PairingCode,
    EventKind::ClientOutdated,
    EventKind::Receipt,
    EventKind::ServerAck,
    EventKind::UndecryptableMessage,
    EventKind::StreamReplaced,
    EventKind::TemporaryBan,
    EventKind::ConnectFailure,
];

/// How a session is doing, for whoever looks.
#[derive(Debug, Default)]
pub(crate) struct Health {
    /// It is logged in and receives.
    pub(crate) connected: AtomicBool,
    /// Messages since the start that could not be decrypted.
    pub(crate) undecryptable: AtomicU64,
}

/// Listens to one session. It runs inline where the engine tells, so it only passes things on.
pub(crate) struct Listener {
    pub(crate) fence: Fence,
    pub(crate) acks: Arc<Acks>,
    pub(crate) health: Arc<Health>,
    pub(crate) receipts: UnboundedSender<Receipt>,
    pub(crate) told: UnboundedSender<Told>,
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
            Event::ServerAck(ack) => self.acknowledged(ack),
            Event::Receipt(receipt) => {
                let _ = self.receipts.send(receipt.clone());
            }
            Event::UndecryptableMessage(_) => {
                self.health.undecryptable.fetch_add(1, Ordering::Relaxed);
            }
            Event::Connected(_) => {
                self.health.connected.store(true, Ordering::Release);
                self.tell(News::Connected);
            }
            Event::Disconnected(lost) => {
                self.disconnected(News::Lost { why: lost.reason.to_string() });
            }
            Event::PairingQrCode(code) => {
                self.tell(News::Code { code: code.code.clone(), works_for: code.timeout });
            }
            Event::PairingQrCodesExhausted(_) => self.tell(News::CodesRanOut),
            Event::PairingCode(code) => {
                self.tell(News::LinkCode { code: code.code.clone(), works_for: code.timeout });
            }
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
