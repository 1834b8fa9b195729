//! Sending: encrypting for every device of everyone concerned.

use std::collections::{HashMap, HashSet, VecDeque};

use buffa::MessageField;
use wacore::download::MediaType;
use wacore::messages::{MessageUtils, wrap_device_sent};
use wacore_binary::{Jid, Node};
use wacore_libsignal::protocol::session::process_prekey_bundle;
use wacore_libsignal::protocol::{
    CiphertextMessage, PreKeyBundle, UsePQRatchet, create_sender_key_distribution_message,
    group_encrypt, message_encrypt,
};
use waproto::whatsapp as wa;
use waproto::whatsapp::message::SenderKeyDistributionMessage;

use super::Phone;
use super::contents::{self, Content, Draft, MediaPlace, VotedPoll};
use super::store::{address, at_once, sender_key_name, signal};
use crate::multi_device::address::{Addressing, Endpoint, Number};
use crate::multi_device::error::{MultiDeviceError, Outcome};
use crate::multi_device::stanza::{element, holding};
use crate::multi_device::state::State;

/// How many sent messages a phone can send again.
const REMEMBERED: usize = 1_000;

/// Where a phone writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Chat {
    /// To a person.
    Person(Number),
    /// To a group, by its id without `@g.us`.
    Group(String),
}

/// A message that was sent.
#[derive(Debug, Clone)]
pub(super) struct Sent {
    pub(super) id: String,
    pub(super) chat: Chat,
    pub(super) draft: Draft,
}

/// What was sent, and who has which sender key.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    sent: VecDeque<Sent>,
    /// By group: the devices that have this phone's sender key.
    informed: HashMap<String, HashSet<Endpoint>>,
}

impl Outbox {
    fn remember(&mut self, sent: Sent) {
        if self.sent.len() == REMEMBERED {
            self.sent.pop_front();
        }
        self.sent.push_back(sent);
    }

    pub(super) fn find(&self, id: &str) -> Option<&Sent> {
        self.sent.iter().rev().find(|sent| sent.id == id)
    }

    fn informed(&mut self, group: &str) -> &mut HashSet<Endpoint> {
        self.informed.entry(group.to_owned()).or_default()
    }
}

impl Phone {
    /// Sends something and answers its id.
    pub(crate) fn send(
        &mut self,
        state: &mut State,
        chat: &Chat,
        content: Content,
        id: Option<String>,
    ) -> Outcome<String> {
        let draft = self.draft(state, chat, content)?;
        let id = id.unwrap_or_else(|| state.message_id());
        let sent = Sent { id: id.clone(), chat: chat.clone(), draft };
        self.dispatch(state, &sent)?;
        self.outbox.remember(sent);
        Ok(id)
    }

    /// Sends a protobuf as it is.
    pub(crate) fn send_raw(
        &mut self,
        state: &mut State,
        chat: &Chat,
        message: wa::Message,
    ) -> Outcome<String> {
        let id = state.message_id();
        let draft = Draft::new(message, "text");
        let sent = Sent { id: id.clone(), chat: chat.clone(), draft };
        self.dispatch(state, &sent)?;
        self.outbox.remember(sent);
        Ok(id)
    }

    fn draft(&self, state: &mut State, chat: &Chat, content: Content) -> Outcome<Draft> {
        let now_ms = i64::try_from(state.clock.now_ms()).unwrap_or(i64::MAX);
        let name = format!("phone-{}", state.next_number());
        let upload = |data: &[u8], kind| MediaPlace::upload(&state.media, &name, data, kind);
        Ok(match content {
            Content::Text { body } => contents::text(body),
            Content::Image { data, mime_type, caption } => {
                contents::image(upload(&data, MediaType::Image)?, mime_type, caption)
            }
            Content::Document { data, mime_type, file_name } => {
                contents::document(upload(&data, MediaType::Document)?, mime_type, file_name)
            }
            Content::Voice { data, seconds } => {
                contents::voice(upload(&data, MediaType::Audio)?, seconds)
            }
            Content::Location { latitude, longitude, name } => {
                contents::location(latitude, longitude, name)
            }
            Content::Poll { question, options, selectable } => {
                contents::poll(question, options, selectable)?
            }
            Content::PollVote { poll, options } => {
                contents::vote(self.poll(state, chat, &poll)?, &options, now_ms)?
            }
            Content::Reaction { to, emoji } => {
                contents::reaction(self.key_of(state, chat, &to)?.0, emoji, now_ms)
            }
            Content::Edit { of, body } => {
                contents::edit(self.key_of(state, chat, &of)?.0, body, now_ms)
            }
            Content::Revoke { of } => contents::revoke(self.key_of(state, chat, &of)?.0),
        })
    }

    /// The key of a message that was sent or received, and its author.
    fn key_of(&self, state: &State, chat: &Chat, id: &str) -> Outcome<(wa::MessageKey, Number)> {
        let author: Number = match (self.outbox.find(id), self.log.find(id)) {
            (Some(_), _) => self.number.clone(),
            (None, Some(message)) => message.sender.as_str().into(),
            (None, None) => return Err(MultiDeviceError::not_found("message", id)),
        };
        let (remote, mode) = self.chat_jid(state, chat)?;
        let participant = match chat {
            Chat::Group(_) => Some(state.user_jid(&author, mode)?.to_string()),
            Chat::Person(_) => None,
        };
        let key = wa::MessageKey {
            remote_jid: Some(remote.to_string()),
            from_me: Some(author == self.number),
            id: Some(id.to_owned()),
            participant,
        };
        Ok((key, author))
    }

    fn poll<'a>(&'a self, state: &State, chat: &Chat, id: &str) -> Outcome<VotedPoll<'a>> {
        let (key, author) = self.key_of(state, chat, id)?;
        let (_, mode) = self.chat_jid(state, chat)?;
        let message = match (self.outbox.find(id), self.log.find(id)) {
            (Some(sent), _) => &sent.draft.message,
            (None, Some(received)) => &received.message,
            (None, None) => return Err(MultiDeviceError::not_found("message", id)),
        };
        let context = message.message_context_info.as_option();
        let secret = context.and_then(|context| context.message_secret.as_deref());
        Ok(VotedPoll {
            key,
            secret: secret.ok_or_else(|| MultiDeviceError::Invalid(format!("{id} is no poll")))?,
            creator: state.user_jid(&author, mode)?.to_string(),
            voter: state.user_jid(&self.number, mode)?.to_string(),
        })
    }

    /// The address of a chat and how people are addressed in it.
    pub(super) fn chat_jid(&self, state: &State, chat: &Chat) -> Outcome<(Jid, Addressing)> {
        match chat {
            Chat::Person(number) => {
                let mode = state.account(&self.number)?.addressing;
                Ok((state.user_jid(number, mode)?, mode))
            }
            Chat::Group(id) => {
                let group = state.group(id)?;
                Ok((group.jid(), group.addressing))
            }
        }
    }

    fn dispatch(&mut self, state: &mut State, sent: &Sent) -> Outcome {
        match &sent.chat {
            Chat::Person(number) => {
                let targets = self.direct_targets(state, number);
                self.send_directly(state, sent, &targets)
            }
            Chat::Group(id) => self.send_to_group(state, sent, id),
        }
    }

    /// The other's devices and one's own companions.
    fn direct_targets(&self, state: &State, number: &Number) -> Vec<Endpoint> {
        let own = state.endpoints(&self.number);
        let others = if *number == self.number { Vec::new() } else { state.endpoints(number) };
        others.into_iter().chain(own.into_iter().filter(|it| it.device != 0)).collect()
    }

    fn send_directly(&mut self, state: &mut State, sent: &Sent, targets: &[Endpoint]) -> Outcome {
        let (to, mode) = self.chat_jid(state, &sent.chat)?;
        let mut entries = Vec::with_capacity(targets.len());
        for target in targets {
            let message = self.copy_for(target, sent, &to);
            entries.push(self.entry(state, target, mode, &message)?);
        }
        self.post(state, sent, to, entries, None)
    }

    /// Copies for own devices say where the message went.
    pub(super) fn copy_for(&self, target: &Endpoint, sent: &Sent, to: &Jid) -> wa::Message {
        let message = sent.draft.message.clone();
        if target.number == self.number {
            wrap_device_sent(message, to.to_string())
        } else {
            message
        }
    }

    fn send_to_group(&mut self, state: &mut State, sent: &Sent, id: &str) -> Outcome {
        let (to, mode) = self.chat_jid(state, &sent.chat)?;
        let own = Endpoint::phone(&self.number);
        let members: Vec<Number> = state.group(id)?.numbers().collect();
        let devices: HashSet<Endpoint> = members
            .iter()
            .flat_map(|member| state.endpoints(member))
            .filter(|device| *device != own)
            .collect();
        // Whoever left must not read on: a new sender key for those who stay.
        if !self.outbox.informed(id).is_subset(&devices) {
            self.outbox.informed(id).clear();
            self.signal.forget_sender_key(&to.to_string(), &own);
        }
        let shared = self.share_sender_key(&to)?;
        let fresh: Vec<Endpoint> = devices.difference(self.outbox.informed(id)).cloned().collect();
        let mut entries = Vec::with_capacity(fresh.len());
        for target in &fresh {
            entries.push(self.entry(state, target, mode, &shared)?);
        }
        let sealed = self.seal_for_group(&to, &sent.draft.message)?;
        self.post(state, sent, to, entries, Some(sealed))?;
        self.outbox.informed(id).extend(fresh);
        Ok(())
    }

    /// The message that gives a device this phone's sender key of a group.
    pub(super) fn share_sender_key(&mut self, group: &Jid) -> Outcome<wa::Message> {
        let name = sender_key_name(&group.to_string(), &Endpoint::phone(&self.number));
        let key = at_once(create_sender_key_distribution_message(
            &name,
            &mut self.signal.sender_keys,
            &mut rand::rng(),
        ))
        .map_err(signal)?;
        let shared = SenderKeyDistributionMessage {
            group_id: Some(group.to_string()),
            axolotl_sender_key_distribution_message: Some(key.serialized().to_vec()),
        };
        Ok(wa::Message {
            sender_key_distribution_message: MessageField::some(shared),
            ..Default::default()
        })
    }

    fn seal_for_group(&mut self, group: &Jid, message: &wa::Message) -> Outcome<Node> {
        let name = sender_key_name(&group.to_string(), &Endpoint::phone(&self.number));
        let plain = MessageUtils::encode_and_pad(message);
        let keys = &mut self.signal.sender_keys;
        let sealed = at_once(group_encrypt(keys, &name, &plain, &mut rand::rng()));
        Ok(ciphertext("skmsg", sealed.map_err(signal)?.serialized().to_vec()))
    }

    /// `<to/>` with a ciphertext for one device.
    pub(super) fn entry(
        &mut self,
        state: &mut State,
        target: &Endpoint,
        mode: Addressing,
        message: &wa::Message,
    ) -> Outcome<Node> {
        if !self.signal.has_session(target) {
            let bundle = state.open_bundle(target)?;
            self.open_session(target, &bundle)?;
        }
        let plain = MessageUtils::encode_and_pad(message);
        let sealed = at_once(message_encrypt(
            &plain,
            &address(target),
            &mut self.signal.sessions,
            &mut self.signal.identity,
        ))
        .map_err(signal)?;
        let kind = match sealed {
            CiphertextMessage::PreKeySignalMessage(_) => "pkmsg",
            _ => "msg",
        };
        let part = ciphertext(kind, sealed.serialize().to_vec());
        Ok(element("to").attr("jid", state.jid(target, mode)?).children([part]).build())
    }

    pub(super) fn open_session(&mut self, with: &Endpoint, bundle: &PreKeyBundle) -> Outcome {
        let opened = at_once(process_prekey_bundle(
            &address(with),
            &mut self.signal.sessions,
            &mut self.signal.identity,
            bundle,
            &mut rand::rng(),
            UsePQRatchet::No,
        ));
        opened.map(|_change| ()).map_err(signal)
    }

    /// Hands the finished stanza to the server.
    pub(super) fn post(
        &self,
        state: &mut State,
        sent: &Sent,
        to: Jid,
        entries: Vec<Node>,
        for_all: Option<Node>,
    ) -> Outcome {
        let mut stanza = element("message")
            .attr("id", sent.id.as_str())
            .attr("to", to)
            .attr("type", sent.draft.kind);
        if let Some(edit) = sent.draft.edit {
            stanza = stanza.attr("edit", edit);
        }
        let participants = element("participants").children(entries).build();
        let stanza = stanza.children(std::iter::once(participants).chain(for_all)).build();
        match state.route_message(&Endpoint::phone(&self.number), &stanza)? {
            Ok(_) => Ok(()),
            Err(code) => Err(MultiDeviceError::Invalid(format!("refused with {code}"))),
        }
    }
}

/// `<enc/>`, version 2 as everywhere today.
fn ciphertext(kind: &'static str, sealed: Vec<u8>) -> Node {
    let mut node = holding("enc", sealed);
    node.attrs.insert("v", "2");
    node.attrs.insert("type", kind);
    node
}
