//! What waits for a companion: everything it has not acknowledged yet.
//!
//! A stanza stays here from the moment it is routed until the client acknowledges it, whether it was
//! sent or not; with the next login all of it is sent again. That is what makes a client that dies
//! between receiving and storing see a message twice rather than never.

use std::collections::VecDeque;

use wacore_binary::Node;

use super::receipts::RETRY;
use super::stanza::{attr, attr_or_empty, jid};

#[derive(Debug)]
struct Waiting {
    node: Node,
    /// Went out over some connection.
    sent: bool,
}

/// The stanzas of one companion, oldest first.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiting: VecDeque<Waiting>,
}

/// How many of each kind wait.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Counts {
    pub(crate) messages: usize,
    pub(crate) receipts: usize,
    pub(crate) notifications: usize,
}

impl Counts {
    pub(crate) fn total(self) -> usize {
        self.messages + self.receipts + self.notifications
    }
}

impl Queue {
    pub(crate) fn push(&mut self, node: Node, sent: bool) {
        self.waiting.push_back(Waiting { node, sent });
    }

    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Each stanza in words.
    pub(crate) fn words(&self) -> Vec<String> {
        let word = |Waiting { node, sent }: &Waiting| {
            let of = |key| attr_or_empty(node, key);
            let (id, from, kind) = (of("id"), of("from"), of("type"));
            let participant = of("participant");
            format!("{} {id} {kind} from {from} {participant} sent: {sent}", node.tag)
        };
        self.waiting.iter().map(word).collect()
    }

    pub(crate) fn counts(&self) -> Counts {
        let of = |tag: &str| self.waiting.iter().filter(|it| it.node.tag == tag).count();
        Counts {
            messages: of("message"),
            receipts: of("receipt"),
            notifications: of("notification"),
        }
    }

    /// Everything that waits, marked as offline deliveries.
    pub(crate) fn resend(&mut self) -> Vec<Node> {
        let again = self.waiting.iter_mut().map(|waiting| {
            let mut node = waiting.node.clone();
            node.attrs.insert("offline", if waiting.sent { "1" } else { "0" });
            waiting.sent = true;
            node
        });
        again.collect()
    }

    /// Forgets the one stanza that a client's `<ack/>` is for: the oldest that fits. A message that was
    /// sent again under its id, and what others say of the same message, are stanzas of their own.
    pub(crate) fn acknowledge(&mut self, ack: &Node) {
        let class = attr_or_empty(ack, "class");
        let id = attr_or_empty(ack, "id");
        let kind = attr(ack, "type").filter(|_| class == "receipt");
        let place = self.waiting.iter().position(|Waiting { node, sent }| {
            *sent
                && node.tag == class
                && attr_or_empty(node, "id") == id
                && same_user(node, "from", ack, "to")
                && same_participant(node, ack)
                && (class != "receipt" || attr(node, "type") == kind)
        });
        if let Some(place) = place {
            self.waiting.remove(place);
        }
    }

    /// Forgets the messages that a client's receipt names. One that asks for a message again says that
    /// it was not read.
    pub(crate) fn settle(&mut self, receipt: &Node, ids: &[String]) {
        if attr(receipt, "type").as_deref() == Some(RETRY) {
            return;
        }
        self.waiting.retain(|Waiting { node, sent }| {
            !*sent
                || node.tag != "message"
                || !ids.contains(&attr_or_empty(node, "id"))
                || !came_from(node, receipt)
        });
    }
}

fn same_user(left: &Node, left_key: &str, right: &Node, right_key: &str) -> bool {
    match (jid(left, left_key), jid(right, right_key)) {
        (Some(left), Some(right)) => left.user == right.user,
        _ => attr(left, left_key) == attr(right, right_key),
    }
}

/// Whether both are about the same member of a group, where both say about whom.
fn same_participant(stanza: &Node, ack: &Node) -> bool {
    match (attr(stanza, "participant"), attr(ack, "participant")) {
        (Some(one), Some(other)) => one == other,
        _ => true,
    }
}

/// Whether a receipt answers this message: it goes where the message came from, or to the chat that
/// a copy of an own message belongs to.
fn came_from(message: &Node, receipt: &Node) -> bool {
    same_user(message, "from", receipt, "to")
        || (message.attrs.contains_key("recipient")
            && (same_user(message, "recipient", receipt, "to")
                || same_user(message, "recipient", receipt, "recipient")))
}
