//! Who is online and who is typing. Nobody is told who did not ask.

use wacore_binary::{Jid, Node, Server};

use super::address::{Addressing, Endpoint, Number};
use super::error::Outcome;
use super::stanza::element;
use super::state::State;

impl State {
    /// `<presence/>` of an account, as others see it.
    pub(crate) fn presence_of(&self, number: &str, addressing: Addressing) -> Outcome<Node> {
        let account = self.account(number)?;
        let phone = account.phone.as_deref().is_some_and(|phone| phone.online);
        let online = phone || account.companions.values().any(|it| it.available);
        let presence = element("presence").attr("from", account.jid(0, addressing));
        Ok(if online {
            presence.build()
        } else {
            presence.attr("type", "unavailable").attr("last", self.now().to_string()).build()
        })
    }

    /// Tells everyone who subscribed to an account.
    pub(crate) fn tell_watchers(&mut self, number: &Number) {
        let Ok(account) = self.account(number) else { return };
        let watchers = account.watchers.clone();
        for watcher in watchers {
            let addressing = self.account(&watcher.number).map(|it| it.addressing);
            let presence = self.presence_of(number, addressing.unwrap_or_default());
            if let Ok(presence) = presence {
                self.send_now(&watcher, presence);
            }
        }
    }

    /// Typing, recording or neither, to a person or a group.
    pub(crate) fn route_chatstate(
        &mut self,
        from: &Endpoint,
        to: &Jid,
        states: Vec<Node>,
    ) -> Outcome {
        if to.server == Server::Group {
            return self.route_group_chatstate(from, to, &states);
        }
        let Some(target) = self.resolve(to) else { return Ok(()) };
        let sender = self.user_jid(&from.number, Addressing::of(to))?;
        let node = element("chatstate").attr("from", sender).children(states).build();
        for device in self.endpoints(&target) {
            self.hand_over_live(&device, node.clone());
        }
        Ok(())
    }

    fn route_group_chatstate(&mut self, from: &Endpoint, to: &Jid, states: &[Node]) -> Outcome {
        let Some(group) = self.groups.get(to.user.as_str()) else { return Ok(()) };
        let (addressing, members) = (group.addressing, group.numbers().collect::<Vec<_>>());
        let sender = self.user_jid(&from.number, addressing)?;
        let node = element("chatstate")
            .attr("from", to.clone())
            .attr("participant", sender)
            .children(states.to_vec())
            .build();
        for member in members.iter().filter(|member| **member != from.number) {
            for device in self.endpoints(member) {
                self.hand_over_live(&device, node.clone());
            }
        }
        Ok(())
    }

    /// To a phone, or to a companion that is connected.
    fn hand_over_live(&mut self, to: &Endpoint, node: Node) {
        if to.device == 0 { self.deliver(to, node) } else { self.send_now(to, node) }
    }
}
