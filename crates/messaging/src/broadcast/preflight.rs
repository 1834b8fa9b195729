//! What would happen if a broadcast were started: numbers, warnings, samples. Changes nothing.

use std::time::Duration;

use kabar_channel::{Content, ContentKind, FieldError, fit};
use kabar_core::permission::ReadBroadcasts;
use kabar_core::{BroadcastId, DeviceId, Grant, Scope};
use kabar_rules::Missing;

use super::check::{Demands, Facts, OUTSIDE, Verdict};
use super::needs::Needs;
use super::recipient::{Recipient, RecipientFilter, RecipientState};
use super::rows::devices;
use super::service::{BroadcastError, Broadcasts, counts};
use super::{Broadcast, BroadcastMessage, BroadcastUse, Counts};
use crate::opt_out::OPTED_OUT;
use crate::pacing::estimate;
use crate::send::render_with;

/// Recipients from which on a text that is the same for all looks like spam.
const MANY: u64 = 50;
/// Hosts whose addresses hide where they lead; spam filters distrust them.
const SHORTENERS: &[&str] = &[
    "bit.ly",
    "tinyurl.com",
    "t.co",
    "goo.gl",
    "is.gd",
    "cutt.ly",
    "s.id",
    "ow.ly",
    "rb.gy",
    "shorturl.at",
    "buff.ly",
    "tiny.cc",
];

/// What would happen.
#[derive(Debug, Clone, PartialEq)]
pub struct Preflight {
    /// Recipients by state and reason, as they were checked last.
    pub counts: Counts,
    /// Whether they were gathered and checked.
    pub prepared: bool,
    /// Recipients that would have a message.
    pub sendable: u64,
    /// Recipients that want no marketing.
    pub opted_out: u64,
    /// Recipients that would have a message which the network would refuse (131047), if they do not
    /// write before.
    pub outside_window: u64,
    /// Recipients that none of the devices has a chat with.
    pub first_contacts: u64,
    /// What each device would make of the content.
    pub devices: Vec<DeviceFit>,
    /// How long it would take from now on, under the devices' delays, rests, caps, throughput and
    /// quiet hours, behind what waits already.
    pub expected: Duration,
    /// What makes it look like spam.
    pub hints: Vec<Hint>,
}

/// What a device would make of the content.
#[derive(Debug, Clone, PartialEq)]
pub struct DeviceFit {
    /// The device.
    pub device: DeviceId,
    /// The kind of what it would send.
    pub kind: Option<ContentKind>,
    /// The kind that was asked for, when it is downgraded.
    pub downgraded_from: Option<ContentKind>,
    /// Why it cannot send it.
    pub problems: Vec<FieldError>,
}

/// What makes a broadcast look like spam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Hint {
    /// Everybody gets the same words.
    IdenticalText,
    /// Most recipients never had a chat with any of the devices.
    FirstContacts,
    /// It holds a shortened address.
    ShortenedLink,
}

impl Hint {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::IdenticalText => "identical_text",
            Self::FirstContacts => "first_contacts",
            Self::ShortenedLink => "shortened_link",
        }
    }

    /// A sentence about it, with the remedy.
    pub const fn advice(self) -> &'static str {
        match self {
            Self::IdenticalText => {
                "everybody gets the same words; use a {variable}, like the recipient's name"
            }
            Self::FirstContacts => {
                "most recipients never had a chat with you; begin with those who know you"
            }
            Self::ShortenedLink => "it holds a shortened address; write the whole address",
        }
    }
}

/// A recipient's message as it would be.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// The recipient.
    pub recipient: Recipient,
    /// The message; `None` when there would be none.
    pub content: Option<Content>,
    /// The kind that was asked for, when it is downgraded.
    pub downgraded_from: Option<ContentKind>,
    /// Why there would be none: a code and a sentence.
    pub skipped: Option<(String, String)>,
}

impl Broadcasts {
    /// What would happen if it were started.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`].
    pub async fn preflight(
        &self,
        grant: &Grant<ReadBroadcasts>,
        id: BroadcastId,
    ) -> Result<Preflight, BroadcastError> {
        let scope = grant.scope();
        let work = self.store.read().await?;
        let found = work.broadcasts(scope).get(id).await?;
        let broadcast = found.ok_or(BroadcastError::NotFound)?;
        let content = content(&*work, scope, &broadcast).await?;
        let counts = counts(&*work, scope, id).await?;
        let senders = devices(&*work, scope, &broadcast.plan).await?;
        let fits = senders
            .iter()
            .map(|device| match self.channels.get(&device.channel) {
                Some(ports) => {
                    let capabilities = ports.channel().capabilities(&device.link());
                    device_fit(
                        device.id,
                        fit(content.clone(), &capabilities, broadcast.plan.fallback),
                    )
                }
                None => DeviceFit {
                    device: device.id,
                    kind: None,
                    downgraded_from: None,
                    problems: vec![FieldError::new("senders", "its channel is not installed")],
                },
            })
            .collect();
        let sendable = counts.of(RecipientState::Waiting);
        let plan = &broadcast.plan;
        let now = self.clock.now();
        let shares: Vec<(DeviceId, u32)> =
            plan.senders.iter().map(|sender| (sender.device, sender.weight)).collect();
        let shares = crate::pacing::senders(&*work, &self.channels, scope, &shares, now).await?;
        let expected = estimate(&shares, sendable, plan.purpose, now).duration;
        let first_contacts = broadcast.course.first_contacts;
        Ok(Preflight {
            prepared: broadcast.course.step == super::Step::Done,
            sendable,
            opted_out: counts.because(RecipientState::Skipped, OPTED_OUT),
            outside_window: counts.because(RecipientState::Waiting, OUTSIDE),
            first_contacts,
            devices: fits,
            expected,
            hints: hints(&content, sendable, first_contacts),
            counts,
        })
    }

    /// The messages of the first recipients that would have one, as they would be.
    ///
    /// # Errors
    /// [`BroadcastError::NotFound`].
    pub async fn samples(
        &self,
        grant: &Grant<ReadBroadcasts>,
        id: BroadcastId,
        count: u16,
    ) -> Result<Vec<Sample>, BroadcastError> {
        let scope = grant.scope();
        let work = self.store.read().await?;
        let found = work.broadcasts(scope).get(id).await?;
        let broadcast = found.ok_or(BroadcastError::NotFound)?;
        let content = content(&*work, scope, &broadcast).await?;
        let waiting =
            RecipientFilter { state: Some(RecipientState::Waiting), ..RecipientFilter::default() };
        let recipients = work.recipients(scope).from(id, waiting, 0, count).await?;
        let senders = devices(&*work, scope, &broadcast.plan).await?;
        let ids = broadcast.plan.devices();
        let facts = Facts::of(&*work, scope, &recipients, &ids).await?;
        let now = self.clock.now();
        let demands = Demands::new(&broadcast.plan, &content, &senders, &self.channels, now);
        let capabilities = senders.first().and_then(|device| {
            let ports = self.channels.get(&device.channel)?;
            Some(ports.channel().capabilities(&device.link()))
        });
        let sample = |recipient: Recipient| {
            let none = |code: &str, text: String| Sample {
                recipient: recipient.clone(),
                content: None,
                downgraded_from: None,
                skipped: Some((code.to_owned(), text)),
            };
            if let Verdict::Skip(reason, detail) = demands.judge(&recipient, &facts) {
                return none(reason, detail);
            }
            let variables = recipient.variables.clone();
            let contact = facts.contact(&recipient);
            let rendered = render_with(&content, &variables, contact, Missing::Empty);
            let fitted = rendered.and_then(|content| match &capabilities {
                Some(device) => fit(content, device, broadcast.plan.fallback)
                    .map(|fit| (fit.content, fit.downgraded_from)),
                None => Ok((content, None)),
            });
            match fitted {
                Ok((content, downgraded_from)) => Sample {
                    recipient: recipient.clone(),
                    content: Some(content),
                    downgraded_from,
                    skipped: None,
                },
                Err(fields) => {
                    let words: Vec<String> = fields.iter().map(ToString::to_string).collect();
                    none("cannot_be_sent", words.join("; "))
                }
            }
        };
        Ok(recipients.into_iter().map(sample).collect())
    }
}

/// What is sent: as it was prepared, or as it is now.
async fn content(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
    broadcast: &Broadcast,
) -> Result<Content, BroadcastError> {
    if let Some(content) = &broadcast.course.content {
        return Ok(content.clone());
    }
    match &broadcast.plan.message {
        BroadcastMessage::Content(content) => Ok(content.clone()),
        BroadcastMessage::Template(id) => {
            let template = work.templates(scope).get(*id).await?;
            let gone = || BroadcastError::field("template_id", "no such template");
            template.map(|template| template.content).ok_or_else(gone)
        }
    }
}

fn device_fit(device: DeviceId, fitted: Result<kabar_channel::Fit, Vec<FieldError>>) -> DeviceFit {
    match fitted {
        Ok(fit) => DeviceFit {
            device,
            kind: Some(fit.content.kind()),
            downgraded_from: fit.downgraded_from,
            problems: Vec::new(),
        },
        Err(problems) => DeviceFit { device, kind: None, downgraded_from: None, problems },
    }
}

fn hints(content: &Content, sendable: u64, first_contacts: u64) -> Vec<Hint> {
    let mut hints = Vec::new();
    let approved = content.kind() == ContentKind::Template;
    if sendable >= MANY && !approved && Needs::of(content).all.is_empty() {
        hints.push(Hint::IdenticalText);
    }
    if sendable >= MANY && first_contacts.saturating_mul(2) > sendable {
        hints.push(Hint::FirstContacts);
    }
    let words = content.words().unwrap_or_default().to_lowercase();
    let mut parts = words.split(|c: char| c.is_whitespace() || c == '/');
    if parts.any(|part| SHORTENERS.contains(&part.trim_start_matches("www."))) {
        hints.push(Hint::ShortenedLink);
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_spam_is_told() {
        let plain = Content::text("Sale at https://bit.ly/x");
        let all = [Hint::IdenticalText, Hint::FirstContacts, Hint::ShortenedLink];
        assert_eq!(hints(&plain, MANY, MANY), all);
        let personal = Content::text("Hi {name}, see https://toko.example/bit.ly-no");
        assert_eq!(hints(&personal, MANY, 1), []);
        assert_eq!(hints(&Content::text("hello"), 3, 3), []);
    }
}
