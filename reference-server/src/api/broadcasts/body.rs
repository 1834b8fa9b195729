//! What callers say of broadcasts.

use std::collections::BTreeMap;

use kabar::channel::Fallback;
use kabar::core::{ContactId, DeviceId, GroupId, MediaId, TemplateId};
use kabar::messaging::Purpose;
use kabar::messaging::broadcast::{
    Addressee, Audience, BroadcastMessage, BroadcastPatch, FileSource, NewRecipient, Plan, Sender,
};
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Enum, Object};
use serde::Deserialize;

use crate::api::accounts::undefined;
use crate::api::content::ContentBody;
use crate::api::words::Word;
use crate::problem::Problem;

/// A device that sends.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "BroadcastSender")]
#[serde(deny_unknown_fields)]
pub struct SenderBody {
    /// The device.
    pub device_id: Word<DeviceId>,
    /// Its share, compared with the other senders'.
    #[oai(default = "one", validator(minimum(value = "1"), maximum(value = "100")))]
    #[serde(default = "one")]
    pub weight: u32,
}

const fn one() -> u32 {
    1
}

impl From<Sender> for SenderBody {
    fn from(sender: Sender) -> Self {
        Self { device_id: Word(sender.device), weight: sender.weight }
    }
}

impl From<SenderBody> for Sender {
    fn from(body: SenderBody) -> Self {
        Self { device: body.device_id.0, weight: body.weight }
    }
}

/// A file with a row a recipient; its other columns are variables.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "BroadcastFile")]
#[serde(deny_unknown_fields)]
pub struct FileBody {
    /// The stored file; its first row holds the columns' names.
    pub media_id: Word<MediaId>,
    /// The column with the numbers; found by its name when absent.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub phone_column: Option<String>,
    /// The country in which national numbers are read; the account's when absent.
    #[oai(validator(pattern = "^[A-Za-z]{2}$"))]
    pub country: Option<String>,
}

/// Who gets a broadcast, beside the recipients that are named one by one.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename = "BroadcastAudience", default)]
#[serde(deny_unknown_fields, default)]
pub struct AudienceBody {
    /// Every contact.
    pub everyone: bool,
    /// The members of these groups.
    #[oai(validator(max_items = 1000))]
    pub groups: Vec<Word<GroupId>>,
    /// The contacts that bear one of these tags.
    #[oai(validator(max_items = 1000))]
    pub tags: Vec<String>,
    /// These contacts.
    #[oai(validator(max_items = 1000))]
    pub contacts: Vec<Word<ContactId>>,
    /// The rows of a file.
    pub file: Option<FileBody>,
}

impl From<Audience> for AudienceBody {
    fn from(audience: Audience) -> Self {
        Self {
            everyone: audience.everyone,
            groups: audience.groups.into_iter().map(Word).collect(),
            tags: audience.tags,
            contacts: audience.contacts.into_iter().map(Word).collect(),
            file: audience.file.map(|file| FileBody {
                media_id: Word(file.media),
                phone_column: file.phone_column,
                country: file.country,
            }),
        }
    }
}

impl From<AudienceBody> for Audience {
    fn from(body: AudienceBody) -> Self {
        Self {
            everyone: body.everyone,
            groups: body.groups.into_iter().map(|id| id.0).collect(),
            tags: body.tags,
            contacts: body.contacts.into_iter().map(|id| id.0).collect(),
            file: body.file.map(|file| FileSource {
                media: file.media_id.0,
                phone_column: file.phone_column,
                country: file.country,
            }),
        }
    }
}

/// A recipient: exactly one of `phone` and `contact_id`.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewBroadcastRecipient")]
#[serde(deny_unknown_fields)]
pub struct NewRecipientBody {
    /// A number as people write it; what cannot be read is listed as invalid.
    #[oai(validator(max_length = 200))]
    pub phone: Option<String>,
    /// A contact.
    pub contact_id: Option<Word<ContactId>>,
    /// Values for this recipient alone.
    #[oai(default)]
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
}

/// Recipients as the domain takes them.
pub(super) fn recipients(bodies: Vec<NewRecipientBody>) -> Result<Vec<NewRecipient>, Problem> {
    let read = |(index, body): (usize, NewRecipientBody)| {
        let to = match (body.phone, body.contact_id) {
            (Some(phone), None) => Addressee::Number(phone),
            (None, Some(id)) => Addressee::Contact(id.0),
            _ => {
                let problem = "give exactly one of phone and contact_id";
                return Err(Problem::invalid(format!("recipients[{index}]"), problem));
            }
        };
        Ok(NewRecipient { to, variables: body.variables })
    };
    bodies.into_iter().enumerate().map(read).collect()
}

/// When a broadcast starts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum WhenWord {
    /// It stays a draft.
    #[default]
    Draft,
    /// Its recipients are gathered and checked; then it waits.
    Prepare,
    /// As soon as it is prepared.
    Now,
    /// At `local_time`.
    At,
}

/// Whether a broadcast goes on by itself.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename = "BroadcastStart", default)]
#[serde(deny_unknown_fields, default)]
pub struct StartBody {
    /// When.
    pub when: WhenWord,
    /// The local date and time, like `2026-12-01T09:00`.
    #[oai(validator(max_length = 32))]
    pub local_time: Option<String>,
    /// The IANA name of the time zone; the account's when absent.
    #[oai(validator(max_length = 64))]
    pub time_zone: Option<String>,
}

/// A broadcast to make. Exactly one of `template_id` and `content`.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewBroadcast")]
#[serde(deny_unknown_fields)]
pub struct NewBroadcastBody {
    /// What you call it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// A template of your own, as it is when the broadcast is prepared.
    pub template_id: Option<Word<TemplateId>>,
    /// What is sent; `{variable}`s in its texts are filled in for each recipient.
    pub content: Option<ContentBody>,
    /// The devices that send.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub senders: Vec<SenderBody>,
    /// Recipients, at most 10,000; more can be added while it is a draft.
    #[oai(default, validator(max_items = 10000))]
    #[serde(default)]
    pub recipients: Vec<NewRecipientBody>,
    /// Who else gets it.
    #[oai(default)]
    #[serde(default)]
    pub audience: AudienceBody,
    /// What it is for: drives priority and opt-out.
    #[oai(default = "marketing")]
    #[serde(default = "marketing")]
    pub purpose: Word<Purpose>,
    /// What to do when a device's channel cannot carry the content.
    #[oai(default = "downgrade")]
    #[serde(default = "downgrade")]
    pub fallback: Word<Fallback>,
    /// Leave out those whom the network would refuse: free-form content outside of the 24-hour
    /// window.
    #[oai(default)]
    #[serde(default)]
    pub skip_outside_window: bool,
    /// Your own word, which each message bears.
    #[oai(validator(min_length = 1, max_length = 200))]
    pub reference: Option<String>,
    /// Whether it goes on by itself.
    #[oai(default)]
    #[serde(default)]
    pub start: StartBody,
}

const fn marketing() -> Word<Purpose> {
    Word(Purpose::Marketing)
}

const fn downgrade() -> Word<Fallback> {
    Word(Fallback::Downgrade)
}

fn message(
    template: Option<Word<TemplateId>>,
    content: Option<ContentBody>,
) -> Result<Option<BroadcastMessage>, Problem> {
    match (template, content) {
        (None, None) => Ok(None),
        (Some(id), None) => Ok(Some(BroadcastMessage::Template(id.0))),
        (None, Some(body)) => Ok(Some(BroadcastMessage::Content(body.content("content")?))),
        _ => Err(Problem::invalid("content", "give either template_id or content")),
    }
}

impl NewBroadcastBody {
    /// The name, the plan, the recipients, and when it starts.
    pub(super) fn parts(self) -> Result<(String, Plan, Vec<NewRecipient>, StartBody), Problem> {
        let needed = || Problem::invalid("content", "give a template_id or a content");
        let message = message(self.template_id, self.content)?.ok_or_else(needed)?;
        let first = self.senders.first().map(|sender| sender.device_id.0);
        let device =
            first.ok_or_else(|| Problem::invalid("senders", "name at least one device"))?;
        let plan = Plan {
            senders: self.senders.into_iter().map(Sender::from).collect(),
            audience: self.audience.into(),
            purpose: self.purpose.0,
            fallback: self.fallback.0,
            skip_outside_window: self.skip_outside_window,
            reference: self.reference,
            ..Plan::new(message, device)
        };
        Ok((self.name, plan, recipients(self.recipients)?, self.start))
    }
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "BroadcastPatch")]
#[serde(deny_unknown_fields)]
pub struct BroadcastPatchBody {
    /// What you call it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// A template of your own.
    pub template_id: Option<Word<TemplateId>>,
    /// What is sent.
    pub content: Option<ContentBody>,
    /// The devices that send.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub senders: Option<Vec<SenderBody>>,
    /// Who gets it, beside those that were named.
    pub audience: Option<AudienceBody>,
    /// What it is for.
    pub purpose: Option<Word<Purpose>>,
    /// What to do when a device's channel cannot carry the content.
    pub fallback: Option<Word<Fallback>>,
    /// Leave out those whom the network would refuse.
    pub skip_outside_window: Option<bool>,
    /// Your own word; null takes it away.
    #[serde(default)]
    pub reference: MaybeUndefined<String>,
}

impl TryFrom<BroadcastPatchBody> for BroadcastPatch {
    type Error = Problem;

    fn try_from(body: BroadcastPatchBody) -> Result<Self, Problem> {
        let senders = body.senders.map(|all| all.into_iter().map(Sender::from).collect());
        Ok(Self {
            name: body.name,
            message: message(body.template_id, body.content)?,
            senders,
            audience: body.audience.map(Audience::from),
            purpose: body.purpose.map(|word| word.0),
            fallback: body.fallback.map(|word| word.0),
            skip_outside_window: body.skip_outside_window,
            reference: undefined(body.reference),
        })
    }
}

/// Recipients to add.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "AddBroadcastRecipients")]
#[serde(deny_unknown_fields)]
pub struct AddRecipientsBody {
    /// The recipients, 1 to 10,000.
    #[oai(validator(min_items = 1, max_items = 10000))]
    pub recipients: Vec<NewRecipientBody>,
}

/// A local time.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "ScheduleBroadcast")]
#[serde(deny_unknown_fields)]
pub struct ScheduleBody {
    /// The local date and time, like `2026-12-01T09:00`. A time that the clocks skip is moved later
    /// by as much as they skip; of a time that they show twice the first is meant.
    #[oai(validator(max_length = 32))]
    pub local_time: String,
    /// The IANA name of the time zone; the account's when absent.
    #[oai(validator(max_length = 64))]
    pub time_zone: Option<String>,
}
