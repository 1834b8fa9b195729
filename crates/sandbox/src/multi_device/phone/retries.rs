//! Messages that could not be read: asking for them again, and sending them again.

use wacore_binary::Node;

use super::Phone;
use super::reading::Origin;
use super::sending::Chat;
use crate::multi_device::address::Endpoint;
use crate::multi_device::bundle::KeyBundle;
use crate::multi_device::error::Outcome;
use crate::multi_device::receipts::RETRY;
use crate::multi_device::stanza::{attr_or_empty, child, element, holding};
use crate::multi_device::state::State;

/// Nobody tries more often (`MAX_RETRY_COUNT` of the clients).
const MAX_RETRIES: u32 = 5;
/// From this attempt on the keys for a new session go along (`MIN_RETRY_COUNT_FOR_KEYS`).
const KEYS_FROM: u32 = 2;

impl Phone {
    /// Asks the sender for a message again.
    pub(super) fn ask_again(&mut self, state: &mut State, node: &Node, origin: &Origin) -> Outcome {
        let count = self.log.arrivals(&origin.chat, &origin.sender.number, &origin.id);
        if count > MAX_RETRIES {
            return Ok(());
        }
        let retry = element("retry")
            .attr("v", "1")
            .attr("id", origin.id.as_str())
            .attr("t", attr_or_empty(node, "t"))
            .attr("count", count.to_string())
            .build();
        let mut parts = vec![retry, holding("registration", self.signal.registration().to_vec())];
        if count >= KEYS_FROM {
            parts.push(self.keys_for_retry());
        }
        let mut receipt = element("receipt")
            .attr("id", origin.id.as_str())
            .attr("to", origin.from.clone())
            .attr("type", RETRY);
        if let Some(participant) = &origin.participant {
            receipt = receipt.attr("participant", participant.clone());
        }
        if let Some(recipient) = node.attrs.get("recipient") {
            receipt = receipt.attr("recipient", recipient.clone());
        }
        let receipt = receipt.children(parts).build();
        state.route_receipt(&Endpoint::phone(&self.number), &receipt)
    }

    fn keys_for_retry(&mut self) -> Node {
        let one_time = self.fresh_one_time_key();
        let bundle = self.bundle();
        let [_registration, kind, identity] = bundle.header();
        element("keys").children([kind, identity, one_time.node(), bundle.signed.node()]).build()
    }

    /// Sends a message again to the device that asks, in a new session.
    pub(super) fn send_again(
        &mut self,
        state: &mut State,
        receipt: &Node,
        reader: &Endpoint,
    ) -> Outcome {
        let retry = child(receipt, "retry");
        let count: u32 = retry.and_then(|it| attr_or_empty(it, "count").parse().ok()).unwrap_or(1);
        let Some(sent) = self.outbox.find(&attr_or_empty(receipt, "id")).cloned() else {
            return Ok(());
        };
        if count > MAX_RETRIES {
            return Ok(());
        }
        let bundle = match KeyBundle::from_retry(receipt) {
            Some((bundle, one_time)) => bundle.open_with(reader.device, one_time.as_ref())?,
            None => state.open_bundle(reader)?,
        };
        // The session before is kept beside it: what was written in that is still on its way.
        self.open_session(reader, &bundle)?;
        let (to, mode) = self.chat_jid(state, &sent.chat)?;
        let mut message = self.copy_for(reader, &sent, &to);
        if let Chat::Group(_) = sent.chat {
            message = sent.draft.message.clone();
            let shared = self.share_sender_key(&to)?;
            message.sender_key_distribution_message = shared.sender_key_distribution_message;
        }
        let entry = self.entry(state, reader, mode, &message)?;
        self.post(state, &sent, to, vec![entry], None)
    }
}
