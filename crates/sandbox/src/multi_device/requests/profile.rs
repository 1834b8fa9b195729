//! Pictures, status texts, who is blocked, and GraphQL questions about one's own account.

use serde_json::json;
use wacore_binary::Node;

use super::super::accounts::Picture;
use super::super::address::Endpoint;
use super::super::error::Outcome;
use super::super::stanza::{
    attr_or_empty, bytes, child, children, element, is, jid, refusal, result,
};
use super::super::state::State;

/// Document id of the query for the end of a 463 (whatsapp-rust's `fetch_reachout_timelock`).
const REACHOUT_TIMELOCK: &str = "23983697327930364";

impl State {
    pub(super) fn picture(&mut self, request: &Node) -> Node {
        let target = jid(request, "target").or_else(|| jid(request, "to"));
        let number = target.and_then(|jid| self.resolve(&jid));
        let picture = number.and_then(|number| self.account(&number).ok()?.picture.clone());
        let Some(Picture { id, path }) = picture else {
            return refusal(request, 404, "item-not-found");
        };
        let picture = element("picture")
            .attr("id", id)
            .attr("type", "image")
            .attr("url", self.media.address(&path))
            .attr("direct_path", path)
            .build();
        result(request).children([picture]).build()
    }

    pub(super) fn set_picture(&mut self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        let image = child(request, "picture").map(bytes);
        let picture = image.map(|image| self.keep_picture(image));
        let answer =
            picture.as_ref().map(|it| element("picture").attr("id", it.id.as_str()).build());
        self.account_mut(&who.number)?.picture = picture;
        Ok(result(request).children(answer).build())
    }

    /// Puts an image on the media server.
    pub(crate) fn keep_picture(&mut self, image: Vec<u8>) -> Picture {
        let id = self.next_number().to_string();
        let path = self.media.put(&format!("picture-{id}"), image.into());
        Picture { id, path }
    }

    pub(super) fn set_about(&mut self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        if let Some(about) = child(request, "status").map(bytes) {
            self.account_mut(&who.number)?.about = String::from_utf8_lossy(&about).into_owned();
        }
        Ok(result(request).build())
    }

    pub(super) fn blocklist(&self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        let account = self.account(&who.number)?;
        let addressing = account.addressing;
        let items = account.blocked.iter().filter_map(|number| {
            let jid = self.user_jid(number, addressing).ok()?;
            Some(element("item").attr("jid", jid).build())
        });
        let list = element("list").attr("dhash", "1").children(items).build();
        Ok(result(request).children([list]).build())
    }

    pub(super) fn change_blocklist(&mut self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        for item in children(request).iter().filter(|item| item.tag == "item") {
            let Some(number) = jid(item, "jid").and_then(|jid| self.resolve(&jid)) else {
                return Ok(refusal(request, 404, "item-not-found"));
            };
            let blocked = &mut self.account_mut(&who.number)?.blocked;
            if is(item, "action", "unblock") {
                blocked.remove(&number);
            } else {
                blocked.insert(number);
            }
        }
        Ok(result(request).build())
    }

    /// `w:mex`: only the question until when strangers may not be written to is answered.
    pub(super) fn graph_query(&mut self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        let id = child(request, "query").map(|query| attr_or_empty(query, "query_id"));
        if id.as_deref() != Some(REACHOUT_TIMELOCK) {
            self.note_unhandled(format!("mex {}", id.unwrap_or_default()));
            return Ok(refusal(request, 501, "feature-not-implemented"));
        }
        let now = self.now();
        let until = self.account(&who.number)?.reachout_locked_until.filter(|until| *until > now);
        let answer = json!({"data": {"xwa2_fetch_account_reachout_timelock": {
            "is_active": until.is_some(),
            "time_enforcement_ends": until.map(|until| until.to_string()),
            "enforcement_type": "DEFAULT",
        }}});
        let content = element("result").bytes(answer.to_string().into_bytes()).build();
        Ok(result(request).children([content]).build())
    }
}
