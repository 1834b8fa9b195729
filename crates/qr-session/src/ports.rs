//! The optional ports: read marks and typing, the directory, groups.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kabar_channel::ports::{Directory, GroupInfo, Groups, Listing, ReadReceipts};
use kabar_channel::{DeviceLink, MessageKey, Reason, Recipient, SendError};
use kabar_core::PhoneNumber;
use wacore_binary::{Jid, JidExt as _};

use crate::address;
use crate::channel::QrChannel;

/// How long the server may take to answer a question: it does within a round trip.
const ANSWERED_WITHIN: Duration = Duration::from_secs(20);

#[async_trait]
impl ReadReceipts for QrChannel {
    async fn mark_read(
        &self,
        device: &DeviceLink,
        chat: &Recipient,
        messages: &[MessageKey],
        typing: bool,
    ) -> Result<(), SendError> {
        let client = Arc::clone(self.session(device)?.client());
        let chat = address::recipient(chat)?;
        for (sender, ids) in by_sender(messages) {
            let sender = sender.and_then(address::named);
            answer("read", client.mark_as_read(&chat, sender.as_ref(), &ids)).await?;
        }
        if typing {
            answer("typing", client.chatstate().send_composing(&chat)).await?;
        }
        Ok(())
    }
}

/// In a group each sender gets a receipt of their own.
fn by_sender(messages: &[MessageKey]) -> BTreeMap<Option<&str>, Vec<&str>> {
    let mut senders = BTreeMap::<_, Vec<&str>>::new();
    for message in messages {
        senders.entry(message.sender.as_deref()).or_default().push(&message.id);
    }
    senders
}

#[async_trait]
impl Directory for QrChannel {
    async fn look_up(
        &self,
        device: &DeviceLink,
        numbers: &[PhoneNumber],
    ) -> Result<Vec<Listing>, SendError> {
        let client = Arc::clone(self.session(device)?.client());
        let asked: Vec<Jid> = numbers.iter().map(|number| Jid::pn(number.digits())).collect();
        let found = answer("directory", client.contacts().is_on_whatsapp(&asked)).await?;
        Ok(numbers
            .iter()
            .map(|number| {
                let is_it = |jid: &Jid| jid.is_pn() && jid.user() == number.digits();
                let found = found
                    .iter()
                    .find(|one| is_it(&one.jid) || one.pn_jid.as_ref().is_some_and(is_it));
                Listing {
                    phone: number.clone(),
                    exists: found.is_some_and(|one| one.is_registered),
                    lid: found.and_then(|one| one.lid.as_ref()).map(|lid| lid.user().to_owned()),
                    business: found.is_some_and(|one| one.is_business),
                    verified_name: found
                        .and_then(|one| one.verified_name.as_ref())
                        .and_then(|verified| verified.name.clone()),
                }
            })
            .collect())
    }

    async fn picture(
        &self,
        device: &DeviceLink,
        of: &Recipient,
    ) -> Result<Option<String>, SendError> {
        let client = Arc::clone(self.session(device)?.client());
        let of = address::recipient(of)?;
        let picture = answer("picture", client.contacts().get_profile_picture(&of, false)).await?;
        Ok(picture.map(|picture| picture.url))
    }
}

#[async_trait]
impl Groups for QrChannel {
    async fn groups(&self, device: &DeviceLink) -> Result<Vec<GroupInfo>, SendError> {
        let session = self.session(device)?;
        let (client, own) = (Arc::clone(session.client()), session.own());
        let found = answer("groups", client.groups().get_participating()).await?;
        let mut groups: Vec<GroupInfo> = found
            .into_iter()
            .map(|(id, group)| GroupInfo {
                id: id.to_string(),
                members: group
                    .size
                    .unwrap_or_else(|| u32::try_from(group.participants.len()).unwrap_or(u32::MAX)),
                admin: group.participants.iter().any(|member| {
                    member.is_admin()
                        && [Some(&member.jid), member.phone_number.as_ref(), member.lid.as_ref()]
                            .into_iter()
                            .flatten()
                            .any(|address| own.is(address))
                }),
                name: group.subject,
                description: group.description,
                announcement: group.is_announcement,
            })
            .collect();
        groups.sort_by(|one, other| (&one.name, &one.id).cmp(&(&other.name, &other.id)));
        Ok(groups)
    }
}

/// What the server answers to a question, in time.
async fn answer<T, E: std::fmt::Display>(
    what: &str,
    asked: impl Future<Output = Result<T, E>>,
) -> Result<T, SendError> {
    let problem = match tokio::time::timeout(ANSWERED_WITHIN, asked).await {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "WhatsApp did not answer in time".to_owned(),
    };
    Err(SendError::Retry { after: None, reason: Reason::new(what, problem) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sender_gets_a_receipt_of_their_own() {
        let key = |sender: Option<&str>, id: &str| MessageKey {
            sender: sender.map(str::to_owned),
            ..MessageKey::id(id)
        };
        let keys = [key(Some("1@lid"), "A"), key(Some("2@lid"), "B"), key(Some("1@lid"), "C")];
        let senders = by_sender(&keys);
        assert_eq!(senders[&Some("1@lid")], ["A", "C"]);
        assert_eq!(senders[&Some("2@lid")], ["B"]);
        assert_eq!(by_sender(&[key(None, "A")])[&None], ["A"]);
    }
}
