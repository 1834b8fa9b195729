//! Where scripted faults take effect.

use wacore_binary::{Node, NodeContent};

use super::address::Endpoint;
use super::faults::{DeviceFaultEffect, DeviceFaultPoint, Ending};
use super::link::Link;
use super::stanza::{SERVER, children, element};
use super::state::State;

/// What a fault leaves of a stanza that a client sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Handle it and answer.
    Normal,
    /// Handle it without an answer.
    Unanswered,
    /// Refuse it with this code; new chats for so many seconds.
    Refused { code: u16, lasts: Option<u64> },
    /// It never came.
    Lost,
}

impl State {
    /// Applies the faults on something a client sent.
    pub(crate) fn trouble_in(&mut self, on: DeviceFaultPoint, who: &Endpoint, link: &Link) -> Fate {
        use DeviceFaultEffect as Effect;
        let Some(effect) = self.faults.strike(on, who, &self.dice) else { return Fate::Normal };
        match effect {
            Effect::LoseAck => Fate::Unanswered,
            Effect::LoseAnswer => Fate::Lost,
            Effect::AckError { code, lasts } => Fate::Refused { code, lasts },
            Effect::StreamError { code } => end(link, Ending::StreamError { code }, Fate::Lost),
            Effect::Replaced => end(link, Ending::Replaced, Fate::Lost),
            Effect::Drop { accept } => end(link, Ending::Drop, taken_if(accept)),
            Effect::HalfOpen { accept } => end(link, Ending::HalfOpen, taken_if(accept)),
            Effect::SlowLink { ms } => {
                link.weather.set_delay_ms(ms);
                Fate::Normal
            }
            Effect::Failure { .. } | Effect::Duplicate { .. } | Effect::Corrupt | Effect::Lose => {
                Fate::Normal
            }
        }
    }

    /// What is really handed to a companion in place of this stanza.
    pub(crate) fn trouble_in_delivery(&mut self, to: &Endpoint, node: Node) -> Vec<Node> {
        use DeviceFaultEffect as Effect;
        let point = match node.tag.as_ref() {
            "message" => DeviceFaultPoint::Deliver,
            "receipt" => DeviceFaultPoint::Receipt,
            _ => return vec![node],
        };
        let Some(effect) = self.faults.strike(point, to, &self.dice) else { return vec![node] };
        match effect {
            Effect::Lose => Vec::new(),
            Effect::Corrupt => vec![corrupted(node)],
            Effect::Duplicate { copies } => vec![node; copies as usize],
            other => {
                self.end_with(to, &other);
                vec![node]
            }
        }
    }

    fn end_with(&self, who: &Endpoint, effect: &DeviceFaultEffect) {
        use DeviceFaultEffect as Effect;
        let Some(link) = self.companion(who).ok().and_then(|it| it.link.clone()) else { return };
        let ending = match effect {
            Effect::StreamError { code } => Ending::StreamError { code: *code },
            Effect::Replaced => Ending::Replaced,
            Effect::Drop { .. } => Ending::Drop,
            Effect::HalfOpen { .. } => Ending::HalfOpen,
            Effect::SlowLink { ms } => return link.weather.set_delay_ms(*ms),
            _ => return,
        };
        end_link(&link, ending);
    }
}

fn taken_if(accept: bool) -> Fate {
    if accept { Fate::Unanswered } else { Fate::Lost }
}

fn end(link: &Link, ending: Ending, fate: Fate) -> Fate {
    end_link(link, ending);
    fate
}

/// Ends or breaks a connection.
pub(crate) fn end_link(link: &Link, ending: Ending) {
    match ending {
        Ending::StreamError { code } => link.send_last(stream_error(code)),
        Ending::Replaced => link.send_last(conflict(None, "replaced")),
        Ending::DeviceRemoved => link.send_last(conflict(Some(401), "device_removed")),
        Ending::Close => link.close(),
        Ending::Drop => link.cut.cancel(),
        Ending::HalfOpen => link.weather.set_frozen(true),
    }
}

/// `<stream:error code/>`.
pub(crate) fn stream_error(code: u16) -> Node {
    element("stream:error").attr("code", code.to_string()).build()
}

fn conflict(code: Option<u16>, kind: &'static str) -> Node {
    let conflict = element("conflict").attr("type", kind).build();
    let error = match code {
        Some(code) => element("stream:error").attr("code", code.to_string()),
        None => element("stream:error"),
    };
    error.children([conflict]).build()
}

/// `<failure reason/>`, which refuses a login.
pub(crate) fn failure(reason: u16, code: Option<u16>, expire: Option<u64>) -> Node {
    let mut node = element("failure")
        .attr("reason", reason.to_string())
        .attr("location", "sandbox")
        .attr("from", SERVER);
    if let Some(code) = code {
        node = node.attr("code", code.to_string());
    }
    if let Some(expire) = expire {
        node = node.attr("expire", expire.to_string());
    }
    node.build()
}

/// Flips bits at three quarters of each ciphertext: that is inside what is authenticated, whatever
/// its kind. A message that opens a session ends with ids that nobody checks.
fn corrupted(mut message: Node) -> Node {
    let parts = children(&message).iter().cloned().map(|mut part| {
        if part.tag == "enc"
            && let Some(NodeContent::Bytes(bytes)) = &part.content
        {
            let mut bytes = bytes.clone();
            let place = bytes.len() / 4 * 3;
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 0x55;
            }
            part.content = Some(NodeContent::Bytes(bytes));
        }
        part
    });
    message.content = Some(NodeContent::Nodes(parts.collect()));
    message
}
