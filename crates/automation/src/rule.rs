//! A rule: when it fires and what it answers.

use kabar_channel::Content;
use kabar_core::{AccountId, DeviceId, RuleId, Timestamp};
use kabar_rules::{Folding, MatchKind, Words};
use serde::{Deserialize, Serialize};

/// When a rule fires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matching {
    /// How the keywords are compared.
    pub kind: MatchKind,
    /// The keywords; any of them fires. They may hold `<variable>`s.
    pub keywords: Vec<String>,
    /// What is overlooked when comparing.
    #[serde(default)]
    pub folding: Folding,
    /// Whether keywords match whole words only.
    #[serde(default)]
    pub words: Words,
}

impl Matching {
    /// Fires on messages that begin with a keyword; case, spaces and punctuation are overlooked.
    pub fn begin<S: Into<String>>(keywords: impl IntoIterator<Item = S>) -> Self {
        Self {
            kind: MatchKind::Begin,
            keywords: keywords.into_iter().map(Into::into).collect(),
            folding: Folding::default(),
            words: Words::default(),
        }
    }
}

/// What a rule answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Response {
    /// A message; `{variable}`s in its text are filled in.
    Message {
        /// The message.
        content: Content,
        /// Whether it quotes the message that it answers.
        #[serde(default)]
        quote: bool,
    },
}

impl Response {
    /// A text that quotes nothing.
    pub fn text(body: impl Into<String>) -> Self {
        Self::Message { content: Content::text(body), quote: false }
    }
}

/// How often a rule answers one contact.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limitation {
    /// Answers at most …
    pub times: u32,
    /// … in so many seconds.
    pub seconds: u32,
}

/// A rule.
#[derive(Debug, Clone, PartialEq)]
pub struct Rule {
    /// Its id.
    pub id: RuleId,
    /// Its account.
    pub account: AccountId,
    /// The device that it answers on.
    pub device: DeviceId,
    /// What the tenant calls it.
    pub name: String,
    /// Whether it answers.
    pub active: bool,
    /// Higher goes first.
    pub priority: i32,
    /// When it fires.
    pub matching: Matching,
    /// What it answers.
    pub response: Response,
    /// How often it answers one contact; a limited rule lets the next matching one answer.
    pub limitation: Option<Limitation>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A rule to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewRule {
    /// The device that it answers on.
    pub device: DeviceId,
    /// What the tenant calls it.
    pub name: String,
    /// Whether it answers.
    pub active: bool,
    /// Higher goes first.
    pub priority: i32,
    /// When it fires.
    pub matching: Matching,
    /// What it answers.
    pub response: Response,
    /// How often it answers one contact.
    pub limitation: Option<Limitation>,
}

impl NewRule {
    /// An active rule of priority 0 without limitation.
    pub fn answering(device: DeviceId, matching: Matching, response: Response) -> Self {
        Self {
            device,
            name: "Rule".to_owned(),
            active: true,
            priority: 0,
            matching,
            response,
            limitation: None,
        }
    }
}

/// A change of a rule; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RulePatch {
    /// What the tenant calls it.
    pub name: Option<String>,
    /// Whether it answers.
    pub active: Option<bool>,
    /// Higher goes first.
    pub priority: Option<i32>,
    /// When it fires.
    pub matching: Option<Matching>,
    /// What it answers.
    pub response: Option<Response>,
    /// How often it answers one contact; `Some(None)` takes the limitation away.
    pub limitation: Option<Option<Limitation>>,
}
