//! What happens with each stanza of a client.

use wacore_binary::Node;

use super::address::{Addressing, Endpoint};
use super::error::Outcome;
use super::faults::DeviceFaultPoint;
use super::link::Link;
use super::stanza::{attr, attr_or_empty, child, children, element, is, jid};
use super::state::State;
use super::trouble::Fate;

impl State {
    /// Handles one stanza of a connection. Errors are the client's fault and end in the log.
    pub(crate) fn handle(&mut self, link: &Link, node: &Node) {
        let who = self.logins.get(&link.id).map(|login| login.who.clone());
        let outcome = match who {
            Some(who) => self.handle_from(&who, link, node),
            None => self.handle_unpaired(link, node),
        };
        if let Err(error) = outcome {
            tracing::debug!(connection = link.id, tag = %node.tag, %error, "sandbox.stanza_refused");
        }
    }

    fn handle_from(&mut self, who: &Endpoint, link: &Link, node: &Node) -> Outcome {
        match node.tag.as_ref() {
            "iq" => self.handle_iq(who, link, node),
            "message" => self.handle_message(who, link, node),
            "receipt" => self.handle_receipt(who, link, node),
            "ack" => {
                self.companion_mut(who)?.queue.acknowledge(node);
                Ok(())
            }
            "presence" => self.handle_presence(who, link, node),
            "chatstate" => self.handle_chatstate(who, node),
            "ib" => Ok(()),
            other => {
                self.note_unhandled(other.to_owned());
                Ok(())
            }
        }
    }

    fn handle_iq(&mut self, who: &Endpoint, link: &Link, node: &Node) -> Outcome {
        if is(node, "type", "result") || is(node, "type", "error") {
            return Ok(());
        }
        if self.trouble_in(DeviceFaultPoint::Request, who, link) == Fate::Lost {
            return Ok(());
        }
        self.answer(who, link, node)
    }

    fn handle_message(&mut self, who: &Endpoint, link: &Link, node: &Node) -> Outcome {
        let fate = self.trouble_in(DeviceFaultPoint::Send, who, link);
        if fate == Fate::Lost {
            return Ok(());
        }
        let routed = match fate {
            Fate::Refused { code, lasts } => {
                self.note_refusal(who, code, lasts);
                Err(code)
            }
            _ => self.route_message(who, node)?,
        };
        if fate != Fate::Unanswered {
            link.send(self.message_ack(node, routed));
        }
        Ok(())
    }

    /// `<ack class="message"/>`, with the error or with our view of who should have got a copy.
    fn message_ack(&self, message: &Node, routed: Result<Option<String>, u16>) -> Node {
        let mut ack = element("ack")
            .attr("class", "message")
            .attr("id", attr_or_empty(message, "id"))
            .attr("t", self.now().to_string());
        if let Some(to) = message.attrs.get("to") {
            ack = ack.attr("from", to.clone());
        }
        if let Some(mode) = attr(message, "addressing_mode") {
            ack = ack.attr("addressing_mode", mode);
        }
        match routed {
            Ok(None) => ack,
            Ok(Some(phash)) => ack.attr("phash", phash),
            Err(code) => ack.attr("error", code.to_string()),
        }
        .build()
    }

    /// An account that is refused with 463 may not write to strangers for a time.
    fn note_refusal(&mut self, who: &Endpoint, code: u16, lasts: Option<u64>) {
        const REACHOUT_TIMELOCK: u16 = 463;
        const DAY: u64 = 86_400;
        let now = self.now();
        if code == REACHOUT_TIMELOCK
            && let Ok(account) = self.account_mut(&who.number)
        {
            let still = account.reachout_locked_until.filter(|until| *until > now);
            let until = lasts.map(|lasts| now + lasts).or(still);
            account.reachout_locked_until = Some(until.unwrap_or(now + DAY));
        }
    }

    fn handle_presence(&mut self, who: &Endpoint, link: &Link, node: &Node) -> Outcome {
        match attr(node, "type").as_deref() {
            Some("subscribe") => {
                let Some(to) = jid(node, "to") else { return Ok(()) };
                let Some(target) = self.resolve(&to) else { return Ok(()) };
                self.account_mut(&target)?.watchers.insert(who.clone());
                link.send(self.presence_of(&target, Addressing::of(&to))?);
            }
            Some("unsubscribe") => {
                let Some(target) = jid(node, "to").and_then(|to| self.resolve(&to)) else {
                    return Ok(());
                };
                self.account_mut(&target)?.watchers.remove(who);
            }
            kind => {
                let companion = self.companion_mut(who)?;
                companion.available = kind != Some("unavailable");
                if let Some(name) = attr(node, "name") {
                    companion.name = name;
                }
                self.tell_watchers(&who.number);
            }
        }
        Ok(())
    }

    fn handle_chatstate(&mut self, who: &Endpoint, node: &Node) -> Outcome {
        let Some(to) = jid(node, "to") else { return Ok(()) };
        let states = children(node).to_vec();
        self.route_chatstate(who, &to, states)
    }

    /// A connection that is not paired yet: only pairing makes sense.
    fn handle_unpaired(&mut self, link: &Link, node: &Node) -> Outcome {
        if let Some(signed) = child(node, "pair-device-sign") {
            return self.finish_pairing(link, signed);
        }
        if child(node, "link_code_companion_reg").is_some() {
            return self.handle_pair_code(link, node);
        }
        if node.tag == "iq" && is(node, "xmlns", "w:p") {
            link.send(super::stanza::result(node).build());
        }
        Ok(())
    }
}
