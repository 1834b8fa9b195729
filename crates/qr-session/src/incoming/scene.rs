//! What surrounds a message: who sent it where, and whom the keys inside it mean.

use kabar_channel::{MessageKey, PersonIds};
use wacore::types::message::MessageInfo;
use wacore_binary::{Jid, JidExt as _};
use waproto::whatsapp as wa;

use super::read;
use crate::address::{self, Own};

/// The stanza around a message.
#[derive(Clone, Copy)]
pub(super) struct Scene<'a> {
    pub(super) own: &'a Own,
    pub(super) info: &'a MessageInfo,
}

impl Scene<'_> {
    /// Whether the business wrote it, on its own phone.
    pub(super) const fn is_ours(&self) -> bool {
        self.info.source.is_from_me
    }

    /// The group, by its address.
    pub(super) fn group(&self) -> Option<String> {
        let chat = &self.info.source.chat;
        (chat.is_group() && address::is_usable(chat)).then(|| chat.to_non_ad_string())
    }

    /// Who sent it, by number and linked id where the stanza tells both.
    pub(super) fn sender(&self) -> PersonIds {
        let source = &self.info.source;
        address::person([Some(&source.sender), source.sender_alt.as_ref()].into_iter().flatten())
    }

    /// The address of a group's member in the group, by number or linked id as the group has it. Where
    /// two talk the chat says who it is.
    pub(super) fn address(&self) -> Option<String> {
        let source = &self.info.source;
        let member = source.chat.is_group() && address::is_usable(&source.sender);
        member.then(|| source.sender.to_non_ad_string())
    }

    /// To whom it went, when the business wrote it to a person.
    pub(super) fn recipient(&self) -> Option<PersonIds> {
        let source = &self.info.source;
        if !self.is_ours() || source.chat.is_group() {
            return None;
        }
        let known = [
            Some(&source.chat),
            source.recipient.as_ref(),
            source.recipient_alt.as_ref(),
            self.info.peer_recipient_pn.as_ref(),
        ];
        let recipient = address::person(known.into_iter().flatten());
        Some(recipient).filter(|ids| !ids.is_empty())
    }

    /// A message that this one points at. Its key was written from the sender's point of view: what
    /// it calls its own is the sender's, and its chat may be our own address.
    pub(super) fn target(&self, key: &wa::MessageKey) -> Option<MessageKey> {
        let (sender, from_me) = self.author(key);
        Some(MessageKey {
            chat: self.chat(),
            sender: sender.map(|author| author.to_non_ad_string()),
            from_me,
            id: read::id(key.id.as_deref())?,
        })
    }

    /// The chat, by its address.
    pub(super) fn chat(&self) -> Option<String> {
        let chat = &self.info.source.chat;
        address::is_usable(chat).then(|| chat.to_non_ad_string())
    }

    /// Who wrote the message that a key names, and whether that is us.
    fn author(&self, key: &wa::MessageKey) -> (Option<Jid>, bool) {
        let source = &self.info.source;
        let senders_own = key.from_me == Some(true);
        if let Some(author) = key.participant.as_deref().and_then(address::parse) {
            let ours = self.own.is(&author) || (senders_own && self.is_ours());
            return (Some(author), ours);
        }
        if senders_own {
            let sender = Some(source.sender.clone()).filter(address::is_usable);
            return (sender, self.is_ours());
        }
        if source.chat.is_group() {
            return (None, false);
        }
        // Of two who talk it is the other one.
        if self.is_ours() {
            (Some(source.chat.clone()).filter(address::is_usable), false)
        } else {
            (self.own.beside(&source.chat), true)
        }
    }
}
