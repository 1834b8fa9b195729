//! Reading what comes: decrypting, keeping, answering with receipts.

use wacore::messages::{decode_plaintext, is_sender_key_distribution_only, unwrap_device_sent};
use wacore_binary::{Jid, Node, Server};
use wacore_libsignal::protocol::{
    CiphertextMessage, PreKeySignalMessage, SenderKeyDistributionMessage, SignalMessage,
    SignalProtocolError, UsePQRatchet, group_decrypt, message_decrypt,
    process_sender_key_distribution_message,
};
use waproto::whatsapp as wa;

use super::log::{PhoneFailure, PhoneMessage, PhoneReceipt};
use super::store::{address, at_once, sender_key_name};
use super::{Phone, SignalStore};
use crate::multi_device::address::{Addressing, Endpoint};
use crate::multi_device::error::{MultiDeviceError, Outcome};
use crate::multi_device::receipts::{RETRY, receipt_ids};
use crate::multi_device::stanza::{attr, attr_or_empty, bytes, children, element, is, jid};
use crate::multi_device::state::State;

/// Padding of plaintexts (`v` of `<enc/>`).
const PADDING: u8 = 2;

/// Where a message came from.
pub(super) struct Origin {
    pub(super) id: String,
    /// `from` of the stanza: the sender's device, or the group.
    pub(super) from: Jid,
    pub(super) participant: Option<Jid>,
    pub(super) sender: Endpoint,
    /// As in [`PhoneMessage::chat`].
    pub(super) chat: String,
}

impl Phone {
    /// Reads one stanza.
    pub(crate) fn receive(&mut self, state: &mut State, node: &Node) -> Outcome {
        let outcome = self.react(state, node);
        if let Err(error) = &outcome {
            let from = jid(node, "participant").or_else(|| jid(node, "from"));
            self.log.fail(PhoneFailure {
                id: attr_or_empty(node, "id"),
                sender: from.map(|jid| jid.user.to_string()).unwrap_or_default(),
                error: format!("{}: {error}", node.tag),
            });
        }
        outcome
    }

    fn react(&mut self, state: &mut State, node: &Node) -> Outcome {
        match node.tag.as_ref() {
            "message" => self.receive_message(state, node),
            "receipt" => self.receive_receipt(state, node),
            "chatstate" => {
                self.note_typing(state, node);
                Ok(())
            }
            // Notifications: a phone asks for devices and groups anew with each message.
            _ => Ok(()),
        }
    }

    fn receive_message(&mut self, state: &mut State, node: &Node) -> Outcome {
        let origin = self.origin(state, node)?;
        self.log.count(&origin.chat, &origin.sender.number, &origin.id);
        let mut readable = false;
        for part in children(node).iter().filter(|part| part.tag == "enc") {
            match self.decrypt(&origin, part) {
                Ok(message) => {
                    readable = true;
                    self.take(state, node, &origin, message)?;
                }
                // A repetition of something read before.
                Err(SignalProtocolError::DuplicatedMessage(..)) => readable = true,
                Err(error) => self.log.fail(PhoneFailure {
                    id: origin.id.clone(),
                    sender: origin.sender.number.to_string(),
                    error: error.to_string(),
                }),
            }
        }
        if readable {
            self.confirm(state, node, &origin)
        } else if self.habits.retries {
            self.ask_again(state, node, &origin)
        } else {
            Ok(())
        }
    }

    pub(super) fn origin(&self, state: &mut State, node: &Node) -> Outcome<Origin> {
        let from = jid(node, "from").ok_or_else(|| MultiDeviceError::malformed("from"))?;
        let participant = jid(node, "participant");
        let author = participant.as_ref().unwrap_or(&from);
        let sender = state
            .endpoint(author)
            .ok_or_else(|| MultiDeviceError::not_found("phone", author.to_string()))?;
        let chat = if from.server == Server::Group {
            from.to_string()
        } else if sender.number == self.number {
            let recipient = jid(node, "recipient").and_then(|jid| state.resolve(&jid));
            recipient.unwrap_or_else(|| self.number.clone()).to_string()
        } else {
            sender.number.to_string()
        };
        Ok(Origin { id: attr_or_empty(node, "id"), from, participant, sender, chat })
    }

    fn decrypt(
        &mut self,
        origin: &Origin,
        part: &Node,
    ) -> Result<wa::Message, SignalProtocolError> {
        let sealed = bytes(part);
        let kind = attr_or_empty(part, "type");
        let plain = if kind == "skmsg" {
            let name = sender_key_name(&origin.chat, &origin.sender);
            at_once(group_decrypt(&sealed, &mut self.signal.sender_keys, &name))?
        } else {
            self.signal.open(&origin.sender, &kind, &sealed)?
        };
        let message = decode_plaintext(&plain, PADDING)
            .map_err(|error| SignalProtocolError::InvalidArgument(error.to_string()))?;
        self.learn_sender_key(origin, &message)?;
        Ok(message)
    }

    fn learn_sender_key(
        &mut self,
        origin: &Origin,
        message: &wa::Message,
    ) -> Result<(), SignalProtocolError> {
        let Some(shared) = message.sender_key_distribution_message.as_option() else {
            return Ok(());
        };
        let key = shared.axolotl_sender_key_distribution_message.as_deref().unwrap_or_default();
        let key = SenderKeyDistributionMessage::try_from(key)?;
        let group = shared.group_id.as_deref().unwrap_or_default();
        let name = sender_key_name(group, &origin.sender);
        at_once(process_sender_key_distribution_message(&name, &key, &mut self.signal.sender_keys))
    }

    fn take(
        &mut self,
        state: &mut State,
        node: &Node,
        origin: &Origin,
        mut message: wa::Message,
    ) -> Outcome {
        if is_sender_key_distribution_only(&mut message) {
            return Ok(());
        }
        let from_me = origin.sender.number == self.number;
        if from_me && is(node, "category", "peer") {
            return self.answer_peer(state, origin, &message);
        }
        self.log.keep(PhoneMessage {
            sequence: 0,
            id: origin.id.clone(),
            chat: origin.chat.clone(),
            sender: origin.sender.number.to_string(),
            sender_device: origin.sender.device,
            from_me,
            addressing: Addressing::of(origin.participant.as_ref().unwrap_or(&origin.from)),
            arrivals: 1,
            message: unwrap_device_sent(message),
            edit: attr(node, "edit"),
            at: state.now(),
        });
        Ok(())
    }

    /// Sends the receipts that the phone's habits call for.
    fn confirm(&self, state: &mut State, node: &Node, origin: &Origin) -> Outcome {
        if origin.sender.number == self.number || attr(node, "category").is_some() {
            return Ok(());
        }
        if self.habits.delivered {
            self.send_receipt(state, origin, None)?;
        }
        let Some(message) = self.log.find(&origin.id) else { return Ok(()) };
        if self.habits.read && message.edit.is_none() {
            self.send_receipt(state, origin, Some("read"))?;
        }
        let voice =
            message.message.audio_message.as_option().is_some_and(|it| it.ptt == Some(true));
        if self.habits.played && voice {
            self.send_receipt(state, origin, Some("played"))?;
        }
        Ok(())
    }

    fn send_receipt(
        &self,
        state: &mut State,
        origin: &Origin,
        kind: Option<&'static str>,
    ) -> Outcome {
        let mut receipt =
            element("receipt").attr("id", origin.id.as_str()).attr("to", origin.from.clone());
        if let Some(participant) = &origin.participant {
            receipt = receipt.attr("participant", participant.clone());
        }
        if let Some(kind) = kind {
            receipt = receipt.attr("type", kind);
        }
        state.route_receipt(&Endpoint::phone(&self.number), &receipt.build())
    }

    /// Sends a receipt for messages it has kept, when told to.
    pub(crate) fn receipt_for(
        &self,
        state: &mut State,
        id: &str,
        kind: Option<&'static str>,
    ) -> Outcome {
        let message =
            self.log.find(id).ok_or_else(|| MultiDeviceError::not_found("message", id))?;
        let sender =
            Endpoint { number: message.sender.as_str().into(), device: message.sender_device };
        let author = state.jid(&sender, message.addressing)?;
        let group = message.chat.contains('@').then(|| message.chat.parse::<Jid>()).transpose();
        let group = group.map_err(|error| MultiDeviceError::malformed(error.to_string()))?;
        let origin = Origin {
            id: id.to_owned(),
            participant: group.is_some().then(|| author.clone()),
            from: group.unwrap_or(author),
            sender,
            chat: message.chat.clone(),
        };
        self.send_receipt(state, &origin, kind)
    }

    fn receive_receipt(&mut self, state: &mut State, node: &Node) -> Outcome {
        let from = jid(node, "participant").or_else(|| jid(node, "from"));
        let reader = from.and_then(|jid| state.endpoint(&jid));
        let Some(reader) = reader else { return Ok(()) };
        let mut ids = receipt_ids(node);
        ids.dedup();
        self.log.note_receipt(PhoneReceipt {
            ids,
            kind: attr(node, "type").unwrap_or_else(|| "delivery".to_owned()),
            from: reader.number.to_string(),
            device: reader.device,
        });
        let wanted = is(node, "type", RETRY) && self.habits.retries;
        if wanted { self.send_again(state, node, &reader) } else { Ok(()) }
    }

    fn note_typing(&mut self, state: &mut State, node: &Node) {
        let from = jid(node, "participant").or_else(|| jid(node, "from"));
        let Some(who) = from.and_then(|jid| state.resolve(&jid)) else { return };
        for typing in children(node) {
            let recording = is(typing, "media", "audio");
            let word = if recording { "recording" } else { typing.tag.as_ref() };
            self.log.note_typing(who.to_string(), word.to_owned());
        }
    }
}

impl SignalStore {
    /// Opens a ciphertext of one session.
    fn open(
        &mut self,
        from: &Endpoint,
        kind: &str,
        sealed: &[u8],
    ) -> Result<Vec<u8>, SignalProtocolError> {
        let message = if kind == "pkmsg" {
            CiphertextMessage::PreKeySignalMessage(PreKeySignalMessage::try_from(sealed)?)
        } else {
            CiphertextMessage::SignalMessage(SignalMessage::try_from(sealed)?)
        };
        let opened = at_once(message_decrypt(
            &message,
            &address(from),
            &mut self.sessions,
            &mut self.identity,
            &mut self.one_time,
            &self.signed,
            &mut rand::rng(),
            UsePQRatchet::No,
        ))?;
        Ok(opened.plaintext)
    }
}
