//! The handle of one virtual phone.

mod doing;
mod groups;
mod log;

use std::sync::Arc;

use wacore_binary::{Jid, Server};
use waproto::whatsapp as wa;

use super::address::{Endpoint, Number};
use super::error::{MultiDeviceError, Outcome};
use super::handle::CompanionState;
use super::mint::MintedSession;
use super::phone::{Chat, Content, Phone};
use super::shared::Shared;
use super::state::State;

pub use doing::Typing;

/// A virtual phone. Clones share it.
///
/// `to` and `chat` are a number in digits or the address of a group (`…@g.us`).
#[derive(Clone)]
pub struct VirtualPhone {
    shared: Arc<Shared>,
    number: Number,
}

impl std::fmt::Debug for VirtualPhone {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VirtualPhone").field("number", &self.number).finish_non_exhaustive()
    }
}

impl VirtualPhone {
    pub(super) fn new(shared: Arc<Shared>, number: Number) -> Self {
        Self { shared, number }
    }

    fn act<T>(&self, act: impl FnOnce(&mut State, &mut Phone) -> Outcome<T>) -> Outcome<T> {
        self.shared.change(|state| state.with_phone(&self.number, act))
    }

    fn look<T>(&self, look: impl FnOnce(&Phone) -> T) -> Outcome<T> {
        self.shared.look(|state| state.phone(&self.number).map(look))
    }

    /// The number in digits.
    pub fn number(&self) -> &str {
        &self.number
    }

    /// The LID, without `@lid`.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`] never in practice: accounts are not removed.
    pub fn lid(&self) -> Result<String, MultiDeviceError> {
        self.shared.look(|state| state.account(&self.number).map(|it| it.lid.to_string()))
    }

    /// Links a companion without pairing.
    ///
    /// # Errors
    /// If signing fails.
    pub fn mint(&self) -> Result<MintedSession, MultiDeviceError> {
        self.shared.change(|state| {
            let prekeys = state.config.minted_prekeys;
            state.mint(&self.shared.keys, &self.number, prekeys)
        })
    }

    /// Reads the QR code that a client shows and links it; answers its device id.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`] for a code of nobody who is connected.
    pub fn scan(&self, qr_text: &str) -> Result<u16, MultiDeviceError> {
        self.shared.change(|state| state.scan(&self.number, qr_text))
    }

    /// Types in the code that a client shows.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`] if no client asked for a code with this number.
    pub fn enter_code(&self, code: &str) -> Result<(), MultiDeviceError> {
        self.shared.change(|state| state.enter_code(&self.number, code))
    }

    /// Unlinks a companion.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`].
    pub fn log_out(&self, device: u16) -> Result<(), MultiDeviceError> {
        self.shared.change(|state| state.log_out(&Endpoint::new(&self.number, device)))
    }

    /// The linked companions.
    pub fn companions(&self) -> Vec<CompanionState> {
        self.shared.look(|state| companions(state, &self.number))
    }

    /// What waits for one of them, in words: its kind, its id, whom it is from, and whether it was sent.
    pub fn waiting(&self, device: u16) -> Vec<String> {
        self.shared.look(|state| {
            let account = state.account(&self.number).ok();
            let companion = account.and_then(|account| account.companions.get(&device));
            companion.map(|companion| companion.queue.words()).unwrap_or_default()
        })
    }

    /// Sends something and answers its id.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`] for an unknown group or message,
    /// [`MultiDeviceError::Invalid`] when the server refuses it.
    pub fn send(&self, to: &str, content: Content) -> Result<String, MultiDeviceError> {
        self.send_as(to, content, None)
    }

    /// The same under an id of one's own: a repetition of an earlier message, for instance.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_as(
        &self,
        to: &str,
        content: Content,
        id: Option<String>,
    ) -> Result<String, MultiDeviceError> {
        self.act(|state, phone| {
            let chat = chat(state, to)?;
            phone.send(state, &chat, content, id)
        })
    }

    /// Sends a text.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn text(&self, to: &str, body: &str) -> Result<String, MultiDeviceError> {
        self.send(to, Content::Text { body: body.to_owned() })
    }

    /// Sends any protobuf.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_raw(&self, to: &str, message: wa::Message) -> Result<String, MultiDeviceError> {
        self.act(|state, phone| {
            let chat = chat(state, to)?;
            phone.send_raw(state, &chat, message)
        })
    }

    /// Sends a delivery receipt for a message that was received; only of use without that habit.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`].
    pub fn deliver(&self, id: &str) -> Result<(), MultiDeviceError> {
        self.act(|state, phone| phone.receipt_for(state, id, None))
    }

    /// Reads a message that was received.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`].
    pub fn read(&self, id: &str) -> Result<(), MultiDeviceError> {
        self.act(|state, phone| phone.receipt_for(state, id, Some("read")))
    }

    /// Plays a voice message that was received.
    ///
    /// # Errors
    /// [`MultiDeviceError::NotFound`].
    pub fn play(&self, id: &str) -> Result<(), MultiDeviceError> {
        self.act(|state, phone| phone.receipt_for(state, id, Some("played")))
    }
}

pub(in crate::multi_device) fn companions(state: &State, number: &str) -> Vec<CompanionState> {
    let account = state.account(number);
    let all = account.map(|account| account.companions.values()).into_iter().flatten();
    all.map(|companion| CompanionState {
        device: companion.id,
        online: companion.ready,
        prekeys: companion.keys.one_time.len(),
        waiting: companion.queue.len(),
        logins: companion.logins,
    })
    .collect()
}

fn person(state: &mut State, number: &str) -> Outcome<Number> {
    let found = state.resolve_number(number);
    found.ok_or_else(|| MultiDeviceError::not_found("phone", number))
}

fn people(state: &mut State, numbers: &[&str]) -> Outcome<Vec<Number>> {
    numbers.iter().map(|number| person(state, number)).collect()
}

fn group_id(address: &str) -> Outcome<String> {
    let jid: Jid = address.parse().map_err(|_| MultiDeviceError::not_found("group", address))?;
    match jid.server {
        Server::Group => Ok(jid.user.to_string()),
        _ => Err(MultiDeviceError::not_found("group", address)),
    }
}

/// Reads the address of a chat.
fn chat(state: &mut State, to: &str) -> Outcome<Chat> {
    if to.contains('@') {
        group_id(to).map(Chat::Group)
    } else {
        person(state, to).map(Chat::Person)
    }
}
