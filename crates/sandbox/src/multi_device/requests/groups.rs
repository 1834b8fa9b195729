//! Requests about groups (`w:g2`).

use wacore_binary::{Jid, Node};

use super::super::address::{Endpoint, Number};
use super::super::error::Outcome;
use super::super::groups::{MemberChange, Rank};
use super::super::stanza::{attr_or_empty, bytes, child, children, element, jid, refusal, result};
use super::super::state::State;

/// `<error code/>`: only admins may.
const FORBIDDEN: u16 = 403;
const NO_SUCH_GROUP: u16 = 404;
/// `<participant error/>`: is a member already.
const CONFLICT: &str = "409";
const NOT_FOUND: &str = "404";

impl State {
    pub(super) fn answer_about_groups(
        &mut self,
        who: &Endpoint,
        request: &Node,
        topic: &str,
    ) -> Outcome<Node> {
        match topic {
            "create" => return self.answer_create(who, request),
            "participating" => return self.answer_participating(who, request),
            "leave" => return self.answer_leave(who, request),
            _ => {}
        }
        let id = jid(request, "to").map(|to| to.user.to_string()).unwrap_or_default();
        let Ok(group) = self.group(&id) else {
            return Ok(refusal(request, NO_SUCH_GROUP, "item-not-found"));
        };
        if !group.has(&who.number) {
            return Ok(refusal(request, FORBIDDEN, "forbidden"));
        }
        if topic == "query" {
            return Ok(result(request).children([self.group_node(group)?]).build());
        }
        let open_to_all = topic == "invite" || (!group.locked && is_text(topic));
        if !group.is_admin(&who.number) && !open_to_all {
            return Ok(refusal(request, FORBIDDEN, "forbidden"));
        }
        match MemberChange::read(topic) {
            Some(change) => self.answer_change(who, request, &id, change),
            None => self.answer_setting(who, request, &id, topic),
        }
    }

    fn answer_create(&mut self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        let create = child(request, "create");
        let subject = create.map(|it| attr_or_empty(it, "subject")).unwrap_or_default();
        let listed = create.map(named).unwrap_or_default();
        let others: Vec<Number> = listed.iter().filter_map(|jid| self.resolve(jid)).collect();
        let id = self.create_group(who, &subject, &others)?;
        let node = self.group_node(self.group(&id)?)?;
        Ok(result(request).children([node]).build())
    }

    fn answer_participating(&self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        let groups = self
            .groups
            .values()
            .filter(|group| group.has(&who.number))
            .map(|group| self.group_node(group))
            .collect::<Outcome<Vec<Node>>>()?;
        Ok(result(request).children([element("groups").children(groups).build()]).build())
    }

    fn answer_leave(&mut self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        let groups = child(request, "leave").map(children).unwrap_or_default();
        let ids: Vec<Jid> = groups.iter().filter_map(|group| jid(group, "id")).collect();
        let mut left = Vec::new();
        for id in ids {
            let gone = [who.number.clone()];
            self.change_members(who, id.user.as_str(), MemberChange::Remove, &gone)?;
            left.push(element("group").attr("id", id).build());
        }
        Ok(result(request).children([element("leave").children(left).build()]).build())
    }

    fn answer_change(
        &mut self,
        who: &Endpoint,
        request: &Node,
        id: &str,
        change: MemberChange,
    ) -> Outcome<Node> {
        let listed = child(request, change.word()).map(named).unwrap_or_default();
        let people: Vec<(Jid, Option<Number>)> =
            listed.into_iter().map(|jid| (jid.clone(), self.resolve(&jid))).collect();
        let numbers: Vec<Number> = people.iter().filter_map(|it| it.1.clone()).collect();
        let mode = self.group(id)?.addressing;
        let changed = self.change_members(who, id, change, &numbers)?;
        let mut entries = Vec::new();
        for (jid, number) in people {
            entries.push(match number {
                Some(number) if changed.contains(&number) => {
                    self.participant(&number, Rank::Member, mode)?
                }
                Some(_) => failed(jid, CONFLICT),
                None => failed(jid, NOT_FOUND),
            });
        }
        let action = match change {
            MemberChange::Add => element("add"),
            MemberChange::Remove => element("remove"),
            MemberChange::Promote => element("promote"),
            MemberChange::Demote => element("demote"),
        };
        Ok(result(request).children([action.children(entries).build()]).build())
    }

    fn answer_setting(
        &mut self,
        who: &Endpoint,
        request: &Node,
        id: &str,
        topic: &str,
    ) -> Outcome<Node> {
        let setting = child(request, topic);
        let group = self.group_mut(id)?;
        match topic {
            "subject" => group.subject = text_of(setting),
            "description" => {
                let stanza = setting.map(|it| attr_or_empty(it, "id")).unwrap_or_default();
                let body = setting.and_then(|it| child(it, "body"));
                group.description = body.map(|body| (stanza, text_of(Some(body))));
            }
            "announcement" | "not_announcement" => group.announcement = topic == "announcement",
            "locked" | "unlocked" => group.locked = topic == "locked",
            "invite" => {
                let invite = element("invite").attr("code", group.invite.as_str()).build();
                return Ok(result(request).children([invite]).build());
            }
            other => {
                self.note_unhandled(format!("iq w:g2 {other}"));
                return Ok(result(request).build());
            }
        }
        let mut action = setting.cloned().unwrap_or_default();
        if topic == "subject" {
            action = element("subject").attr("subject", text_of(setting)).build();
        }
        self.announce(id, who, &[], &action)?;
        Ok(result(request).build())
    }
}

fn is_text(topic: &str) -> bool {
    matches!(topic, "subject" | "description")
}

fn text_of(node: Option<&Node>) -> String {
    String::from_utf8_lossy(&node.map(bytes).unwrap_or_default()).into_owned()
}

/// The people named in a request.
fn named(action: &Node) -> Vec<Jid> {
    let listed = children(action).iter().filter(|child| child.tag == "participant");
    listed.filter_map(|participant| jid(participant, "jid")).collect()
}

fn failed(jid: Jid, code: &'static str) -> Node {
    element("participant").attr("jid", jid).attr("error", code).build()
}
