//! The message that an outgoing one answers or reacts to.

use kabar_channel::{Outgoing, SendError};
use wacore_binary::{Jid, JidExt as _};
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;

use crate::address::{self, Own};

/// A message that is answered, as WhatsApp names it.
#[derive(Debug, Clone)]
pub(crate) struct Quoted {
    id: String,
    /// The chat that the answer goes to.
    target: Jid,
    /// The chat that it stands in, when that is a group elsewhere.
    elsewhere: Option<Jid>,
    author: Option<Jid>,
    from_me: bool,
}

impl Quoted {
    /// What a message answers, if it answers something. Our own addresses say who we are in a quote of
    /// our own words.
    ///
    /// # Errors
    /// [`SendError::Refused`] when the recipient has no address.
    pub(crate) fn of(outgoing: &Outgoing, own: &Own) -> Result<Option<Self>, SendError> {
        let Some(key) = &outgoing.reply_to else {
            return Ok(None);
        };
        let target = address::recipient(&outgoing.to)?;
        // A person's chat may be named in either namespace; only a group is certain to be elsewhere.
        let chat = key.chat.as_deref().and_then(address::parse);
        let elsewhere = chat.filter(|chat| chat.is_group() && !chat.is_same_chat_as(&target));
        let author = if key.from_me {
            own.beside(&target)
        } else {
            let partner = || (!target.is_group()).then(|| target.clone());
            key.sender.as_deref().and_then(address::named).or_else(partner)
        };
        let id = key.id.clone();
        Ok(Some(Self { id, target, elsewhere, author, from_me: key.from_me }))
    }

    /// The part of an answer that names what it answers.
    pub(super) fn context(&self) -> wa::ContextInfo {
        wa::ContextInfo {
            stanza_id: Some(self.id.clone()),
            participant: self.author.as_ref().map(Jid::to_non_ad_string),
            remote_jid: self.elsewhere.as_ref().map(Jid::to_non_ad_string),
            ..wa::ContextInfo::default()
        }
    }

    /// The key of a reaction's target.
    ///
    /// # Errors
    /// [`SendError::Refused`] when a group's member is not known whose message it is: without the name
    /// no phone would find the message.
    pub(super) fn key(&self) -> Result<wa::MessageKey, SendError> {
        let member = self.target.is_group() && !self.from_me;
        let author = self.author.as_ref().filter(|_| member).map(Jid::to_non_ad_string);
        if member && author.is_none() {
            let problem = "in a group a reaction needs the sender of the message that it is for";
            return Err(SendError::refused("reaction_target", problem));
        }
        Ok(wa::MessageKey {
            remote_jid: Some(self.target.to_non_ad_string()),
            from_me: Some(self.from_me),
            id: Some(self.id.clone()),
            participant: author,
        })
    }
}

/// The context of an answer, or none.
pub(super) fn context(quoted: Option<&Quoted>) -> MessageField<wa::ContextInfo> {
    quoted.map(Quoted::context).into()
}
