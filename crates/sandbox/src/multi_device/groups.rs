//! Groups: who is in them, and telling members what changed.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wacore_binary::{Jid, Node};

use super::address::{Addressing, Endpoint, Number};
use super::error::{MultiDeviceError, Outcome};
use super::stanza::element;
use super::state::State;

/// Group ids have 18 digits and start like this.
const FIRST_GROUP: u64 = 120_363_000_000_000_000;

/// What a member may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rank {
    /// Write.
    #[default]
    Member,
    /// Add, remove and promote.
    Admin,
    /// The same; created the group.
    Superadmin,
}

/// A change of a group's members.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemberChange {
    /// Join.
    Add,
    /// Go, by their own or another's hand.
    Remove,
    /// Become admins.
    Promote,
    /// Cease to be admins.
    Demote,
}

impl MemberChange {
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Promote => "promote",
            Self::Demote => "demote",
        }
    }

    pub(crate) fn read(word: &str) -> Option<Self> {
        [Self::Add, Self::Remove, Self::Promote, Self::Demote]
            .into_iter()
            .find(|change| change.word() == word)
    }
}

/// A group.
#[derive(Debug, Clone)]
pub(crate) struct Group {
    pub(crate) id: String,
    pub(crate) subject: String,
    pub(crate) description: Option<(String, String)>,
    pub(crate) creator: Number,
    pub(crate) created: u64,
    pub(crate) addressing: Addressing,
    pub(crate) members: BTreeMap<Number, Rank>,
    /// Only admins may write.
    pub(crate) announcement: bool,
    /// Only admins may change subject and description.
    pub(crate) locked: bool,
    pub(crate) invite: String,
}

impl Group {
    pub(crate) fn jid(&self) -> Jid {
        Jid::group(self.id.as_str())
    }

    pub(crate) fn has(&self, number: &str) -> bool {
        self.members.contains_key(number)
    }

    pub(crate) fn numbers(&self) -> impl Iterator<Item = Number> {
        self.members.keys().cloned()
    }

    pub(crate) fn is_admin(&self, number: &str) -> bool {
        self.members.get(number).is_some_and(|rank| *rank != Rank::Member)
    }
}

impl State {
    pub(crate) fn group(&self, id: &str) -> Outcome<&Group> {
        self.groups.get(id).ok_or_else(|| MultiDeviceError::not_found("group", id))
    }

    pub(crate) fn group_mut(&mut self, id: &str) -> Outcome<&mut Group> {
        self.groups.get_mut(id).ok_or_else(|| MultiDeviceError::not_found("group", id))
    }

    /// Creates a group and tells everyone else in it.
    pub(crate) fn create_group(
        &mut self,
        creator: &Endpoint,
        subject: &str,
        others: &[Number],
    ) -> Outcome<String> {
        let id = (FIRST_GROUP + self.next_number()).to_string();
        let mut members: BTreeMap<Number, Rank> =
            others.iter().map(|number| (number.clone(), Rank::Member)).collect();
        members.insert(creator.number.clone(), Rank::Superadmin);
        let group = Group {
            id: id.clone(),
            subject: subject.to_owned(),
            description: None,
            creator: creator.number.clone(),
            created: self.now(),
            addressing: self.config.group_addressing,
            members,
            announcement: false,
            locked: false,
            invite: format!("sandbox{:016x}", self.dice.next()),
        };
        let node = self.group_node(&group)?;
        self.groups.insert(id.clone(), group);
        let create = element("create").attr("type", "new").attr("key", "").children([node]).build();
        self.announce(&id, creator, &[], &create)?;
        Ok(id)
    }

    /// `<group/>` with all members.
    pub(crate) fn group_node(&self, group: &Group) -> Outcome<Node> {
        let mode = group.addressing;
        let creator = self.user_jid(&group.creator, mode)?;
        let mut parts = group
            .members
            .iter()
            .map(|(number, rank)| self.participant(number, *rank, mode))
            .collect::<Outcome<Vec<Node>>>()?;
        if let Some((id, text)) = &group.description {
            let body = element("body").string_content(text.as_str()).build();
            parts.push(element("description").attr("id", id.as_str()).children([body]).build());
        }
        parts.extend(group.announcement.then(|| element("announcement").build()));
        parts.extend(group.locked.then(|| element("locked").build()));
        Ok(element("group")
            .attr("id", group.id.as_str())
            .attr("subject", group.subject.as_str())
            .attr("s_t", group.created.to_string())
            .attr("s_o", creator.clone())
            .attr("creation", group.created.to_string())
            .attr("creator", creator)
            .attr("size", group.members.len().to_string())
            .attr("addressing_mode", mode.word())
            .children(parts)
            .build())
    }

    /// `<participant/>` with both names of a member.
    pub(crate) fn participant(&self, number: &str, rank: Rank, mode: Addressing) -> Outcome<Node> {
        let other = self.user_jid(number, mode.other())?;
        let mut node = element("participant").attr("jid", self.user_jid(number, mode)?);
        node = match mode {
            Addressing::Lid => node.attr("phone_number", other),
            Addressing::Pn => node.attr("lid", other),
        };
        Ok(match rank {
            Rank::Member => node,
            Rank::Admin => node.attr("type", "admin"),
            Rank::Superadmin => node.attr("type", "superadmin"),
        }
        .build())
    }

    /// Changes members and tells everyone; answers who was changed.
    pub(crate) fn change_members(
        &mut self,
        by: &Endpoint,
        id: &str,
        change: MemberChange,
        numbers: &[Number],
    ) -> Outcome<Vec<Number>> {
        let group = self.group_mut(id)?;
        let mode = group.addressing;
        let changed: Vec<Number> =
            numbers.iter().filter(|number| apply(group, number, change)).cloned().collect();
        if changed.is_empty() {
            return Ok(changed);
        }
        let participants = changed
            .iter()
            .map(|number| self.participant(number, Rank::Member, mode))
            .collect::<Outcome<Vec<Node>>>()?;
        let action = match change {
            MemberChange::Add => element("add"),
            MemberChange::Remove => element("remove"),
            MemberChange::Promote => element("promote"),
            MemberChange::Demote => element("demote"),
        };
        let gone = if change == MemberChange::Remove { changed.as_slice() } else { &[] };
        self.announce(id, by, gone, &action.children(participants).build())?;
        if change == MemberChange::Add {
            self.welcome_to_group(id, by, &changed)?;
        }
        Ok(changed)
    }

    /// New members also get the whole group, as if it had been created with them.
    fn welcome_to_group(&mut self, id: &str, by: &Endpoint, fresh: &[Number]) -> Outcome {
        let node = self.group_node(self.group(id)?)?;
        let create =
            element("create").attr("type", "invite").attr("key", "").children([node]).build();
        for number in fresh {
            for device in self.endpoints(number) {
                let notification = self.group_notification(id, by, create.clone())?;
                self.deliver(&device, notification);
            }
        }
        Ok(())
    }

    /// Tells all members but the device that made the change, and those who have just gone.
    pub(crate) fn announce(
        &mut self,
        id: &str,
        by: &Endpoint,
        gone: &[Number],
        action: &Node,
    ) -> Outcome {
        let members: Vec<Number> = self.group(id)?.numbers().chain(gone.iter().cloned()).collect();
        for member in members {
            for device in self.endpoints(&member).into_iter().filter(|device| device != by) {
                let notification = self.group_notification(id, by, action.clone())?;
                self.deliver(&device, notification);
            }
        }
        Ok(())
    }

    fn group_notification(&mut self, id: &str, by: &Endpoint, action: Node) -> Outcome<Node> {
        let mode = self.group(id)?.addressing;
        let author = self.user_jid(&by.number, mode)?;
        let pn = self.user_jid(&by.number, Addressing::Pn)?;
        let stanza = self.stanza_id();
        let mut node = element("notification")
            .attr("from", Jid::group(id))
            .attr("type", "w:gp2")
            .attr("id", stanza)
            .attr("t", self.now().to_string())
            .attr("participant", author)
            .attr("addressing_mode", mode.word());
        if mode == Addressing::Lid {
            node = node.attr("participant_pn", pn);
        }
        Ok(node.children([action]).build())
    }
}

fn apply(group: &mut Group, number: &Number, change: MemberChange) -> bool {
    let rank = group.members.get_mut(number);
    match (change, rank) {
        (MemberChange::Add, None) => {
            group.members.insert(number.clone(), Rank::Member);
            true
        }
        (MemberChange::Remove, Some(_)) => group.members.remove(number).is_some(),
        (MemberChange::Promote, Some(rank)) if *rank == Rank::Member => {
            *rank = Rank::Admin;
            true
        }
        (MemberChange::Demote, Some(rank)) if *rank == Rank::Admin => {
            *rank = Rank::Member;
            true
        }
        _ => false,
    }
}
