//! What a phone has received, for assertions.

use std::collections::HashMap;

use waproto::whatsapp as wa;

use crate::multi_device::address::Addressing;

/// A message that a phone could read.
#[derive(Debug, Clone)]
pub struct PhoneMessage {
    /// Order of arrival, counting from 1.
    pub sequence: u64,
    /// Its id, as the sender chose it; unique only per chat and sender.
    pub id: String,
    /// The other's number in digits, or the group's address (`…@g.us`).
    pub chat: String,
    /// The sender's number in digits.
    pub sender: String,
    /// The sender's device; 0 is a phone.
    pub sender_device: u16,
    /// Sent by a companion of this very phone.
    pub from_me: bool,
    /// By which of its names the sender was addressed.
    pub addressing: Addressing,
    /// How many stanzas with this id came from this sender in this chat, readable or not. Anything
    /// above 1 is a repetition that a real phone hides.
    pub arrivals: u32,
    /// The content; the wrapping of copies for own devices is taken off.
    pub message: wa::Message,
    /// `edit` of the stanza: `1` edit, `7` revoke.
    pub edit: Option<String>,
    /// Server time of arrival, Unix seconds.
    pub at: u64,
}

impl PhoneMessage {
    /// The text of a text message, plain or with a preview.
    pub fn text(&self) -> Option<&str> {
        let extended = self.message.extended_text_message.as_option();
        self.message.conversation.as_deref().or_else(|| extended?.text.as_deref())
    }
}

/// A stanza that a phone could not read, or not react to as it should.
#[derive(Debug, Clone)]
pub struct PhoneFailure {
    /// Id of the message.
    pub id: String,
    /// The sender's number in digits.
    pub sender: String,
    /// Why.
    pub error: String,
}

/// A receipt about something that this account sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PhoneReceipt {
    /// The messages it is about.
    pub ids: Vec<String>,
    /// `delivery`, `inactive`, `read`, `played`, `retry`, …
    pub kind: String,
    /// Number of whoever sent it.
    pub from: String,
    /// Device of whoever sent it.
    pub device: u16,
}

type Key = (String, String, String);

/// Everything a phone has received, oldest first.
#[derive(Debug, Default)]
pub(crate) struct PhoneLog {
    messages: Vec<PhoneMessage>,
    index: HashMap<Key, usize>,
    arrivals: HashMap<Key, u32>,
    failures: Vec<PhoneFailure>,
    receipts: Vec<PhoneReceipt>,
    typing: Vec<(String, String)>,
}

impl PhoneLog {
    /// Counts a stanza, readable or not.
    pub(super) fn count(&mut self, chat: &str, sender: &str, id: &str) {
        let key = (chat.to_owned(), sender.to_owned(), id.to_owned());
        if let Some(message) = self.index.get(&key).and_then(|at| self.messages.get_mut(*at)) {
            message.arrivals += 1;
        }
        *self.arrivals.entry(key).or_default() += 1;
    }

    /// How many stanzas came with this id.
    pub(super) fn arrivals(&self, chat: &str, sender: &str, id: &str) -> u32 {
        let key = (chat.to_owned(), sender.to_owned(), id.to_owned());
        self.arrivals.get(&key).copied().unwrap_or_default()
    }

    /// Keeps a message; false when it is a repetition.
    pub(super) fn keep(&mut self, mut message: PhoneMessage) -> bool {
        let key = (message.chat.clone(), message.sender.clone(), message.id.clone());
        if self.index.contains_key(&key) {
            return false;
        }
        message.arrivals = self.arrivals.get(&key).copied().unwrap_or(1);
        message.sequence = self.messages.len() as u64 + 1;
        self.index.insert(key, self.messages.len());
        self.messages.push(message);
        true
    }

    pub(super) fn fail(&mut self, failure: PhoneFailure) {
        self.failures.push(failure);
    }

    pub(super) fn note_receipt(&mut self, receipt: PhoneReceipt) {
        self.receipts.push(receipt);
    }

    pub(super) fn note_typing(&mut self, who: String, state: String) {
        self.typing.push((who, state));
    }

    pub(crate) fn messages(&self) -> &[PhoneMessage] {
        &self.messages
    }

    pub(crate) fn failures(&self) -> &[PhoneFailure] {
        &self.failures
    }

    pub(crate) fn receipts(&self) -> &[PhoneReceipt] {
        &self.receipts
    }

    pub(crate) fn typing(&self) -> &[(String, String)] {
        &self.typing
    }

    pub(crate) fn find(&self, id: &str) -> Option<&PhoneMessage> {
        self.messages.iter().rev().find(|message| message.id == id)
    }
}
