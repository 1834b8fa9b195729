//! Whether a recipient can be sent to, by what is known of it now.

use std::collections::{BTreeSet, HashMap};

use kabar_channel::{Channels, Content, ContentKind};
use kabar_contacts::Contact;
use kabar_contacts::contact::IdentityKey;
use kabar_core::{ContactId, DeviceId, Scope, StoreError, Timestamp};
use kabar_devices::Device;

use super::needs::Needs;
use super::recipient::{Recipient, RecipientState, RecipientTarget};
use super::{BroadcastUse, Plan};
use crate::opt_out::{OPTED_OUT, refuses};

/// The contact does not exist.
pub(crate) const NO_CONTACT: &str = "no_such_contact";
/// A `{variable}` has neither value nor default.
pub(crate) const MISSING: &str = "missing_variables";
/// The network would refuse free-form content (131047).
pub(crate) const OUTSIDE: &str = "outside_window";

/// What is known of some recipients.
#[derive(Debug, Default)]
pub(super) struct Facts {
    by_phone: HashMap<String, ContactId>,
    contacts: HashMap<ContactId, Contact>,
    chats: HashMap<ContactId, Vec<(DeviceId, Option<Timestamp>)>>,
}

impl Facts {
    /// Everything about these recipients, in a fixed number of statements.
    pub(super) async fn of(
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        recipients: &[Recipient],
        devices: &[DeviceId],
    ) -> Result<Self, StoreError> {
        let mut facts = Self::default();
        let phones: Vec<IdentityKey> = recipients
            .iter()
            .filter_map(|recipient| match &recipient.target {
                RecipientTarget::Phone(phone) => Some(IdentityKey::phone(phone)),
                _ => None,
            })
            .collect();
        let wanted: BTreeSet<&IdentityKey> = phones.iter().collect();
        for identity in work.people(scope).known(&phones).await? {
            if wanted.contains(&identity.key) {
                facts.by_phone.insert(identity.key.value, identity.contact);
            }
        }
        let mut ids: Vec<ContactId> = facts.by_phone.values().copied().collect();
        ids.extend(recipients.iter().filter_map(|recipient| match recipient.target {
            RecipientTarget::Contact(id) => Some(id),
            _ => None,
        }));
        ids.sort_unstable();
        ids.dedup();
        for contact in work.contacts(scope).by_ids(&ids).await? {
            facts.contacts.insert(contact.id, contact);
        }
        for chat in work.conversations(scope).with_contacts(devices, &ids).await? {
            let chats = facts.chats.entry(chat.contact).or_default();
            chats.push((chat.device, chat.window_expires_at));
        }
        Ok(facts)
    }

    /// The contact of a recipient, if it is one.
    pub(super) fn contact(&self, recipient: &Recipient) -> Option<&Contact> {
        let id = match &recipient.target {
            RecipientTarget::Phone(phone) => *self.by_phone.get(phone.as_str())?,
            RecipientTarget::Contact(id) => *id,
            RecipientTarget::Nobody(_) => return None,
        };
        self.contacts.get(&id)
    }

    fn chats(&self, recipient: &Recipient) -> &[(DeviceId, Option<Timestamp>)] {
        let contact = self.contact(recipient).map(|contact| contact.id);
        contact.and_then(|id| self.chats.get(&id)).map_or(&[], Vec::as_slice)
    }

    /// Whether none of the devices has a chat with the recipient.
    pub(super) fn is_first_contact(&self, recipient: &Recipient) -> bool {
        self.chats(recipient).is_empty()
    }

    /// The devices whose window with the recipient is open.
    pub(super) fn open(
        &self,
        recipient: &Recipient,
        now: Timestamp,
    ) -> impl Iterator<Item = DeviceId> {
        let chats = self.chats(recipient).iter();
        chats.filter(move |(_, until)| until.is_some_and(|until| until > now)).map(|(id, _)| *id)
    }
}

/// What a broadcast asks of its recipients.
#[derive(Debug)]
pub(super) struct Demands<'a> {
    pub(super) plan: &'a Plan,
    pub(super) needs: Needs,
    /// Whether every device that sends needs an open window for this content.
    pub(super) windowed: bool,
    pub(super) now: Timestamp,
}

/// What became of the check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It can be sent to; there may be a warning.
    Send(Option<&'static str>),
    /// It is left out.
    Skip(&'static str, String),
}

impl<'a> Demands<'a> {
    pub(super) fn new(
        plan: &'a Plan,
        content: &Content,
        devices: &[Device],
        channels: &Channels,
        now: Timestamp,
    ) -> Self {
        let windowed = content.kind() != ContentKind::Template
            && !devices.is_empty()
            && devices.iter().all(|device| needs_window(device, channels));
        Self { plan, needs: Needs::of(content), windowed, now }
    }

    pub(super) fn judge(&self, recipient: &Recipient, facts: &Facts) -> Verdict {
        let contact = facts.contact(recipient);
        if contact.is_none() && matches!(recipient.target, RecipientTarget::Contact(_)) {
            return Verdict::Skip(NO_CONTACT, "the contact was removed".to_owned());
        }
        if refuses(contact.and_then(Contact::stop), self.plan.purpose) {
            return Verdict::Skip(OPTED_OUT, "the contact wants no such messages".to_owned());
        }
        let phone = matches!(recipient.target, RecipientTarget::Phone(_));
        let missing: Vec<&str> = self.needs.missing(&recipient.variables, contact, phone).collect();
        if !missing.is_empty() {
            return Verdict::Skip(MISSING, format!("no value for {}", missing.join(", ")));
        }
        if self.windowed && facts.open(recipient, self.now).next().is_none() {
            if self.plan.skip_outside_window {
                let problem = "the contact did not write within the last 24 hours";
                return Verdict::Skip(OUTSIDE, problem.to_owned());
            }
            return Verdict::Send(Some(OUTSIDE));
        }
        Verdict::Send(None)
    }
}

pub(super) fn needs_window(device: &Device, channels: &Channels) -> bool {
    let ports = channels.get(&device.channel);
    ports.is_some_and(|ports| ports.channel().capabilities(&device.link()).window)
}

/// Notes a verdict; returns whether it changed anything.
pub(super) fn note(recipient: &mut Recipient, verdict: Verdict, at: Timestamp) -> bool {
    let (state, reason, detail) = match verdict {
        Verdict::Send(notice) => (RecipientState::Waiting, notice, None),
        Verdict::Skip(reason, detail) => (RecipientState::Skipped, Some(reason), Some(detail)),
    };
    if recipient.state == state && recipient.reason.as_deref() == reason {
        return false;
    }
    recipient.state = state;
    recipient.reason = reason.map(str::to_owned);
    recipient.detail = detail;
    recipient.updated_at = at;
    true
}
