//! Receipts: acknowledged, counted off the sender's queue, and forwarded to whom they tell.

use wacore_binary::{Jid, Node, Server};

use super::address::{Addressing, Endpoint};
use super::error::Outcome;
use super::link::Link;
use super::stanza::{attr, attr_or_empty, child, children, element, jid};
use super::state::State;

/// Asks for a message again; goes to the one device that sent it.
pub(crate) const RETRY: &str = "retry";

/// Kinds that only tell the server: copies of own messages and messages of one's own phone have
/// come, one's own reading is not to be known.
const UNTOLD: [&str; 5] = ["sender", "peer_msg", "hist_sync", "read-self", "played-self"];

impl State {
    pub(crate) fn handle_receipt(&mut self, who: &Endpoint, link: &Link, node: &Node) -> Outcome {
        link.send(acknowledgement(node));
        let ids = receipt_ids(node);
        self.companion_mut(who)?.queue.settle(node, &ids);
        if attr(node, "type").is_some_and(|kind| UNTOLD.contains(&kind.as_str())) {
            return Ok(());
        }
        self.route_receipt(who, node)
    }

    /// Forwards a receipt of any device, the phone included.
    pub(crate) fn route_receipt(&mut self, who: &Endpoint, receipt: &Node) -> Outcome {
        let Some(to) = jid(receipt, "to") else { return Ok(()) };
        let in_group = to.server == Server::Group;
        let author = if in_group { jid(receipt, "participant") } else { Some(to.clone()) };
        let Some(author) = author else { return Ok(()) };
        let Some(target) = self.endpoint(&author) else { return Ok(()) };
        let forwarded = self.forwarded(who, receipt, in_group.then_some(&to), &author)?;
        let is_retry = attr(receipt, "type").as_deref() == Some(RETRY);
        let targets = if is_retry { vec![target] } else { self.endpoints(&target.number) };
        for target in targets.into_iter().filter(|target| target != who) {
            self.deliver(&target, forwarded.clone());
        }
        Ok(())
    }

    fn forwarded(
        &self,
        who: &Endpoint,
        receipt: &Node,
        group: Option<&Jid>,
        author: &Jid,
    ) -> Outcome<Node> {
        let reader = self.jid(who, Addressing::of(author))?;
        let mut node = element("receipt")
            .attr("id", attr_or_empty(receipt, "id"))
            .attr("t", self.now().to_string());
        node = match group {
            Some(group) => node.attr("from", group.clone()).attr("participant", reader),
            None => node.attr("from", reader),
        };
        if let Some(kind) = attr(receipt, "type") {
            node = node.attr("type", kind);
        }
        if let Some(recipient) = receipt.attrs.get("recipient") {
            node = node.attr("recipient", recipient.clone());
        }
        let contents = children(receipt).to_vec();
        Ok(if contents.is_empty() { node.build() } else { node.children(contents).build() })
    }
}

/// Every message that a receipt is about.
pub(crate) fn receipt_ids(receipt: &Node) -> Vec<String> {
    let listed = child(receipt, "list").map(children).unwrap_or_default();
    std::iter::once(attr_or_empty(receipt, "id"))
        .chain(listed.iter().map(|item| attr_or_empty(item, "id")))
        .collect()
}

fn acknowledgement(receipt: &Node) -> Node {
    let mut ack = element("ack").attr("class", "receipt").attr("id", attr_or_empty(receipt, "id"));
    if let Some(to) = receipt.attrs.get("to") {
        ack = ack.attr("from", to.clone());
    }
    for key in ["type", "participant"] {
        if let Some(value) = receipt.attrs.get(key) {
            ack = ack.attr(key, value.clone());
        }
    }
    ack.build()
}
