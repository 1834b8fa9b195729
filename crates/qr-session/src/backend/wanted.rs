//! Messages of ours that somebody could not read and wants again.
//!
//! The engine acknowledges such a wish when it comes and fulfils it afterwards. A process that dies in
//! between owes a message that nobody will ask for again. So each wish is kept for a while, from before
//! its acknowledgement leaves, and whoever runs the session next fulfils what the process before left.

use kabar_channel::vault::{Change, Item};
use serde::{Deserialize, Serialize};
use wacore::store::error::Result;
use wacore::store::traits::ProtocolStore as _;
use wacore_binary::{Jid, JidExt as _, NodeRef, Server};

use super::VaultBackend;
use super::protocol::{pair, triple};
use super::shelf::{SENT_MESSAGES, WANTED};
use super::value::{from_json, json};

/// A wish to get a message again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Wanted {
    /// The chat that the message is in.
    pub(crate) chat: Jid,
    /// The device that could not read it.
    pub(crate) requester: Jid,
    /// As the wish says; devices of one's own say it.
    pub(crate) recipient: Option<Jid>,
    /// The message's id.
    pub(crate) id: String,
    /// How often that device has asked for it, this time included.
    pub(crate) count: u8,
}

impl Wanted {
    /// The wish that a stanza is, if it is one.
    pub(crate) fn of(stanza: &NodeRef<'_>) -> Option<Self> {
        let word = |node: &NodeRef<'_>, key| Some(node.get_attr(key)?.as_str().into_owned());
        let address = |key| word(stanza, key)?.parse::<Jid>().ok();
        if stanza.tag.as_ref() != "receipt" || word(stanza, "type")? != "retry" {
            return None;
        }
        let retry = stanza.get_optional_child("retry")?;
        let (from, recipient) = (address("from")?, address("recipient"));
        let in_group = from.is_group();
        let requester = if in_group { address("participant")? } else { from.clone() };
        let chat = recipient.as_ref().filter(|_| !in_group).unwrap_or(&from).to_non_ad();
        Some(Self {
            chat,
            requester,
            recipient: recipient.filter(|_| !in_group),
            id: word(retry, "id")?,
            count: word(retry, "count").and_then(|count| count.parse().ok()).unwrap_or(1),
        })
    }

    /// The key that it is kept under.
    pub(crate) fn key(&self) -> Vec<u8> {
        triple(&self.chat.to_string(), &self.requester.to_string(), &self.id)
    }
}

impl VaultBackend {
    /// Keeps wishes, and lets go of others.
    pub(crate) async fn keep_wanted(
        &self,
        wanted: &[Wanted],
        fulfilled: Vec<Vec<u8>>,
    ) -> Result<()> {
        let token = i64::try_from(self.fence.token).unwrap_or(i64::MAX);
        let item = |one: &Wanted| Ok(Item::new(one.key(), json(one)?).marked(token));
        let items = wanted.iter().map(item).collect::<Result<Vec<_>>>()?;
        let mut changes = vec![Change::Put { shelf: WANTED, items }];
        if !fulfilled.is_empty() {
            changes.insert(0, Change::Remove { shelf: WANTED, keys: fulfilled });
        }
        self.write(changes).await
    }

    /// The wishes that came to whoever ran the session before.
    pub(crate) async fn left_wanted(&self) -> Result<Vec<Wanted>> {
        let token = i64::try_from(self.fence.token).unwrap_or(i64::MAX);
        let items = self.list(WANTED, &[]).await?;
        items.iter().filter(|item| item.mark != Some(token)).map(from_json).collect()
    }

    /// Lets go of wishes.
    pub(crate) async fn forget_wanted(&self, keys: Vec<Vec<u8>>) -> Result<()> {
        self.remove(WANTED, keys).await
    }

    /// A message that was sent. The engine keeps it under the number or the linked id of its chat.
    pub(crate) async fn sent(&self, chat: &Jid, id: &str) -> Result<Option<bytes::Bytes>> {
        let other = match chat.server {
            Server::Pn => {
                let known = self.get_pn_mapping(chat.user()).await?;
                known.map(|known| Jid::new(known.lid.as_str(), Server::Lid))
            }
            Server::Lid => {
                let known = self.get_lid_mapping(chat.user()).await?;
                known.map(|known| Jid::new(known.phone_number.as_str(), Server::Pn))
            }
            _ => None,
        };
        let chats = std::iter::once(chat).chain(other.as_ref());
        let keys: Vec<Vec<u8>> = chats.map(|chat| pair(&chat.to_string(), id)).collect();
        Ok(self.many(SENT_MESSAGES, &keys).await?.pop().map(|item| item.value))
    }
}

#[cfg(test)]
mod tests {
    use wacore_binary::Node;
    use wacore_binary::builder::NodeBuilder;

    use super::*;

    fn retry(count: &str) -> Node {
        NodeBuilder::new("retry").attr("id", "3EB0A1").attr("count", count).build()
    }

    fn receipt() -> NodeBuilder {
        NodeBuilder::new("receipt").attr("id", "3EB0A1").attr("type", "retry")
    }

    fn read(stanza: &Node) -> Option<(String, String, Option<String>, u8)> {
        let wanted = Wanted::of(&stanza.as_node_ref())?;
        assert_eq!(wanted.id, "3EB0A1");
        let recipient = wanted.recipient.map(|jid| jid.to_string());
        Some((wanted.chat.to_string(), wanted.requester.to_string(), recipient, wanted.count))
    }

    #[test]
    fn a_person_a_member_and_a_device_of_ones_own_want_a_message() {
        let of = receipt().attr("from", "62812:3@s.whatsapp.net").children([retry("2")]).build();
        let person = "62812@s.whatsapp.net".to_owned();
        let device = "62812:3@s.whatsapp.net".to_owned();
        assert_eq!(read(&of), Some((person.clone(), device, None, 2)));

        let of = receipt()
            .attr("from", "1203@g.us")
            .attr("participant", "77:1@lid")
            .children([retry("1")])
            .build();
        assert_eq!(read(&of), Some(("1203@g.us".to_owned(), "77:1@lid".to_owned(), None, 1)));

        let of = receipt()
            .attr("from", "62811@s.whatsapp.net")
            .attr("recipient", "62812@s.whatsapp.net")
            .children([retry("1")])
            .build();
        let own = "62811@s.whatsapp.net".to_owned();
        assert_eq!(read(&of), Some((person.clone(), own, Some(person), 1)));
    }

    #[test]
    fn other_receipts_want_nothing() {
        let read_it = NodeBuilder::new("receipt").attr("from", "1@lid").attr("type", "read");
        assert_eq!(Wanted::of(&read_it.build().as_node_ref()), None);
        let delivered = NodeBuilder::new("receipt").attr("from", "1@lid").attr("id", "A");
        assert_eq!(Wanted::of(&delivered.build().as_node_ref()), None);
        let broken = receipt().attr("from", "1@lid");
        assert_eq!(Wanted::of(&broken.build().as_node_ref()), None);
    }
}
