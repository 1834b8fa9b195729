//! Questions about people: who is on WhatsApp, under which names, with which devices.

use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::super::address::Addressing;
use super::super::error::{MultiDeviceError, Outcome};
use super::super::stanza::{attr_or_empty, bytes, child, children, element, jid, result};
use super::super::state::State;

/// Any value does: it only changes when devices do, and clients do not compare it.
const DEVICE_HASH: &str = "2:sandbox";

/// One person asked about.
struct Asked {
    jid: Option<Jid>,
    /// Number as it was written, when asked by number.
    contact: Option<String>,
}

impl Asked {
    fn read(user: &Node) -> Self {
        let contact = child(user, "contact").map(bytes).unwrap_or_default();
        let contact = String::from_utf8(contact).unwrap_or_default();
        Self { jid: jid(user, "jid"), contact: Some(contact).filter(|it| !it.is_empty()) }
    }

    fn digits(&self) -> Option<&str> {
        self.contact.as_deref().map(|contact| contact.trim_start_matches('+'))
    }
}

impl State {
    pub(super) fn usync(&mut self, request: &Node) -> Outcome<Node> {
        let usync = child(request, "usync").ok_or_else(|| MultiDeviceError::malformed("usync"))?;
        let topics: Vec<String> = child(usync, "query")
            .map(children)
            .unwrap_or_default()
            .iter()
            .map(|topic| topic.tag.to_string())
            .collect();
        let mut users = Vec::new();
        for user in child(usync, "list").map(children).unwrap_or_default() {
            users.extend(self.person(&Asked::read(user), &topics)?);
        }
        let topics = topics.into_iter().map(|topic| NodeBuilder::new_dynamic(topic).build());
        let parts =
            [element("result").children(topics).build(), element("list").children(users).build()];
        let answer = element("usync")
            .attr("sid", attr_or_empty(usync, "sid"))
            .attr("mode", attr_or_empty(usync, "mode"))
            .attr("context", attr_or_empty(usync, "context"))
            .attr("index", "0")
            .attr("last", "true")
            .children(parts)
            .build();
        Ok(result(request).children([answer]).build())
    }

    fn person(&mut self, asked: &Asked, topics: &[String]) -> Outcome<Option<Node>> {
        let number = match (&asked.jid, asked.digits()) {
            (Some(jid), _) => self.resolve(jid),
            (None, Some(digits)) => self.resolve_number(digits),
            (None, None) => return Ok(None),
        };
        let asks = |topic: &str| topics.iter().any(|it| it == topic);
        let fallback = asked.digits().map(|digits| Jid::pn(digits.to_owned()));
        let mut parts = Vec::new();
        if asks("contact") {
            parts.push(contact(asked, number.is_some()));
        }
        let Some(number) = number else {
            let jid = asked.jid.as_ref().map(Jid::to_non_ad).or(fallback);
            return Ok(jid.map(|jid| element("user").attr("jid", jid).children(parts).build()));
        };
        let pn = self.user_jid(&number, Addressing::Pn)?;
        let jid = asked.jid.as_ref().map_or_else(|| pn.clone(), Jid::to_non_ad);
        for topic in topics {
            parts.extend(self.topic(&number, topic)?);
        }
        let user = element("user").attr("jid", jid).attr("pn_jid", pn).children(parts);
        Ok(Some(user.build()))
    }

    fn topic(&self, number: &str, topic: &str) -> Outcome<Option<Node>> {
        let account = self.account(number)?;
        Ok(match topic {
            "lid" => Some(element("lid").attr("val", account.jid(0, Addressing::Lid)).build()),
            "devices" => Some(self.device_list(number)?),
            "status" => Some(
                element("status")
                    .attr("t", self.now().to_string())
                    .string_content(account.about.as_str())
                    .build(),
            ),
            "picture" => account
                .picture
                .as_ref()
                .map(|picture| element("picture").attr("id", picture.id.as_str()).build()),
            "disappearing_mode" => {
                Some(element("disappearing_mode").attr("duration", "0").attr("t", "0").build())
            }
            _ => None,
        })
    }

    fn device_list(&self, number: &str) -> Outcome<Node> {
        let account = self.account(number)?;
        let now = self.now();
        let phone = element("device").attr("id", "0").build();
        let companions = account.companions.values().map(|companion| {
            element("device")
                .attr("id", companion.id.to_string())
                .attr("key-index", companion.key_index.to_string())
                .build()
        });
        let list = element("device-list")
            .attr("hash", DEVICE_HASH)
            .children(std::iter::once(phone).chain(companions))
            .build();
        let signed = element("key-index-list")
            .attr("ts", now.to_string())
            .bytes(account.key_index_list(now)?)
            .build();
        Ok(element("devices").children([list, signed]).build())
    }
}

fn contact(asked: &Asked, exists: bool) -> Node {
    let node = element("contact").attr("type", if exists { "in" } else { "out" });
    match &asked.contact {
        Some(contact) => node.string_content(contact.as_str()).build(),
        None => node.build(),
    }
}
