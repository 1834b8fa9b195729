//! Requests (`iq`) of logged-in clients and their answers.

mod groups;
mod keys;
mod profile;
mod settings;
mod usync;

use wacore_binary::Node;

use super::address::Endpoint;
use super::error::Outcome;
use super::link::Link;
use super::stanza::{attr_or_empty, children, result};
use super::state::State;

impl State {
    /// Answers one request. What nobody here knows gets an empty result and is counted.
    pub(crate) fn answer(&mut self, who: &Endpoint, link: &Link, request: &Node) -> Outcome {
        let namespace = attr_or_empty(request, "xmlns");
        let kind = attr_or_empty(request, "type");
        let topic = children(request).first().map_or_else(String::new, |it| it.tag.to_string());
        let answer = match (namespace.as_str(), kind.as_str(), topic.as_str()) {
            ("passive", _, "active") => {
                link.send(result(request).build());
                return self.flush_queue(who);
            }
            ("md", "set", "remove-companion-device") => {
                link.send(result(request).build());
                return self.log_out(who);
            }
            ("encrypt", "get", "count") => self.key_count(who, request)?,
            ("encrypt", "get", "digest") => self.key_digest(who, request)?,
            ("encrypt", "get", _) => self.hand_out_keys(who, request)?,
            ("encrypt", "set", "rotate") => self.rotate_key(who, request)?,
            ("encrypt", "set", _) => self.take_keys(who, request)?,
            ("usync", ..) => self.usync(request)?,
            ("w:g2", ..) => self.answer_about_groups(who, request, &topic)?,
            ("w:profile:picture", "get", _) => self.picture(request),
            ("w:profile:picture", "set", _) => self.set_picture(who, request)?,
            ("status", "set", _) => self.set_about(who, request)?,
            ("blocklist", "get", _) => self.blocklist(who, request)?,
            ("blocklist", "set", _) => self.change_blocklist(who, request)?,
            ("privacy", "get", _) => settings::privacy(request),
            ("abt", ..) => settings::experiments(request, self.account(&who.number)?.addressing),
            ("w", _, "props") => settings::properties(request),
            ("w:m", ..) => settings::media_servers(request, &self.media.host()),
            ("w:sync:app:state", ..) => settings::collections(request),
            ("w:mex", ..) => self.graph_query(who, request)?,
            (
                "w:p"
                | "urn:xmpp:ping"
                | "passive"
                | "privacy"
                | "status"
                | "w:stats"
                | "tos"
                | "w:web"
                | "disappearing_mode"
                | "spam"
                | "fb:thrift_iq"
                | "urn:xmpp:whatsapp:dirty"
                | "urn:xmpp:whatsapp:push"
                | "",
                ..,
            ) => result(request).build(),
            _ => {
                self.note_unhandled(format!("iq {namespace} {kind} {topic}"));
                result(request).build()
            }
        };
        link.send(answer);
        Ok(())
    }
}
