//! Autoreply rules.

use kabar::Platform;
use kabar::automation::{Limitation, Matching, NewRule, Response, Rule, RulePatch};
use kabar::core::permission::{ReadRules, WriteRules};
use kabar::core::{Cursor, DeviceId, RuleId, Timestamp};
use kabar::rules::{Folding, MatchKind, Words};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::types::MaybeUndefined;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;
use serde_json::json;

use super::Area;
use super::accounts::undefined;
use super::answer::{Answer, Created, Listed, NoContent, page};
use super::body::JsonBody;
use super::content::{ContentBody, shown};
use super::words::{AnyJson, MessageTag, Word};
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::Problem;

/// What does not matter when a keyword is compared with a message.
#[derive(Debug, Clone, Copy, Object, Deserialize)]
#[oai(rename = "Folding", default)]
#[serde(deny_unknown_fields, default)]
pub struct FoldingBody {
    /// Upper and lower case.
    pub case: bool,
    /// White space at the ends, and how much of it.
    pub spaces: bool,
    /// Punctuation.
    pub punctuation: bool,
}

impl Default for FoldingBody {
    fn default() -> Self {
        Folding::default().into()
    }
}

impl From<Folding> for FoldingBody {
    fn from(folding: Folding) -> Self {
        Self { case: folding.case, spaces: folding.spaces, punctuation: folding.punctuation }
    }
}

/// When a rule fires.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Matching")]
#[serde(deny_unknown_fields)]
pub struct MatchingBody {
    /// How the keywords are compared.
    pub kind: Word<MatchKind>,
    /// The keywords; any of them fires. They may hold `<variable>`s.
    #[oai(validator(min_items = 1, max_items = 100))]
    pub keywords: Vec<String>,
    /// What is overlooked when comparing.
    #[oai(default)]
    #[serde(default)]
    pub folding: FoldingBody,
    /// Whether keywords match whole words only.
    #[oai(default = "whole")]
    #[serde(default = "whole")]
    pub words: Word<Words>,
}

const fn whole() -> Word<Words> {
    Word(Words::Whole)
}

impl From<Matching> for MatchingBody {
    fn from(matching: Matching) -> Self {
        Self {
            kind: Word(matching.kind),
            keywords: matching.keywords,
            folding: matching.folding.into(),
            words: Word(matching.words),
        }
    }
}

impl From<MatchingBody> for Matching {
    fn from(body: MatchingBody) -> Self {
        Self {
            kind: body.kind.0,
            keywords: body.keywords,
            folding: Folding {
                case: body.folding.case,
                spaces: body.folding.spaces,
                punctuation: body.folding.punctuation,
            },
            words: body.words.0,
        }
    }
}

/// What a rule answers: a message.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "RuleResponse")]
#[serde(deny_unknown_fields)]
pub struct ResponseBody {
    /// `message`
    #[oai(rename = "type")]
    #[serde(rename = "type")]
    pub kind: Word<MessageTag>,
    /// The message; `{variable}`s in its text are filled in.
    pub content: ContentBody,
    /// Whether it quotes the message that it answers.
    #[oai(default)]
    #[serde(default)]
    pub quote: bool,
}

impl TryFrom<ResponseBody> for Response {
    type Error = Problem;

    fn try_from(body: ResponseBody) -> Result<Self, Problem> {
        Ok(Self::Message { content: body.content.content("response.content")?, quote: body.quote })
    }
}

/// How often a rule answers one contact.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "Limitation")]
#[serde(deny_unknown_fields)]
pub struct LimitationBody {
    /// Answers at most …
    #[oai(validator(minimum(value = "1")))]
    pub times: u32,
    /// … in so many seconds.
    #[oai(validator(minimum(value = "1")))]
    pub seconds: u32,
}

impl From<Limitation> for LimitationBody {
    fn from(limitation: Limitation) -> Self {
        Self { times: limitation.times, seconds: limitation.seconds }
    }
}

impl From<LimitationBody> for Limitation {
    fn from(body: LimitationBody) -> Self {
        Self { times: body.times, seconds: body.seconds }
    }
}

/// A rule.
#[derive(Debug, Object)]
#[oai(rename = "Rule")]
pub struct RuleView {
    /// Its id.
    pub id: Word<RuleId>,
    /// The device that it answers on.
    pub device_id: Word<DeviceId>,
    /// What the tenant calls it.
    pub name: String,
    /// Whether it answers.
    pub active: bool,
    /// Higher goes first.
    pub priority: i32,
    /// When it fires.
    pub matching: MatchingBody,
    /// What it answers.
    pub response: AnyJson,
    /// How often it answers one contact.
    pub limitation: Option<LimitationBody>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl From<Rule> for RuleView {
    fn from(rule: Rule) -> Self {
        Self {
            id: Word(rule.id),
            device_id: Word(rule.device),
            name: rule.name,
            active: rule.active,
            priority: rule.priority,
            matching: rule.matching.into(),
            response: AnyJson(answered(&rule.response)),
            limitation: rule.limitation.map(LimitationBody::from),
            created_at: rule.created_at,
            updated_at: rule.updated_at,
        }
    }
}

fn answered(response: &Response) -> serde_json::Value {
    match response {
        Response::Message { content, quote } => {
            json!({ "type": "message", "content": shown(content), "quote": quote })
        }
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}

/// A rule to make.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewRule")]
#[serde(deny_unknown_fields)]
pub struct NewRuleBody {
    /// The device that it answers on.
    pub device_id: Word<DeviceId>,
    /// What the tenant calls it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// Whether it answers.
    #[oai(default = "yes")]
    #[serde(default = "yes")]
    pub active: bool,
    /// Higher goes first.
    #[oai(default)]
    #[serde(default)]
    pub priority: i32,
    /// When it fires.
    pub matching: MatchingBody,
    /// What it answers.
    pub response: ResponseBody,
    /// How often it answers one contact; a limited rule lets the next matching one answer.
    pub limitation: Option<LimitationBody>,
}

const fn yes() -> bool {
    true
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "RulePatch")]
#[serde(deny_unknown_fields)]
pub struct RulePatchBody {
    /// What the tenant calls it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// Whether it answers.
    pub active: Option<bool>,
    /// Higher goes first.
    pub priority: Option<i32>,
    /// When it fires.
    pub matching: Option<MatchingBody>,
    /// What it answers.
    pub response: Option<ResponseBody>,
    /// How often it answers one contact; null takes the limitation away.
    #[serde(default)]
    pub limitation: MaybeUndefined<LimitationBody>,
}

/// The operations.
pub struct RulesApi(pub Platform);

#[OpenApi(tag = "Area::Rules")]
impl RulesApi {
    /// List rules
    ///
    /// Needs `rules:read`.
    #[oai(path = "/rules", method = "get", operation_id = "listRules")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadRules>>,
        /// Only those of this device.
        device: Query<Option<Word<DeviceId>>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<RuleView>> {
        let (device, page) = (device.0.map(|word| word.0), page(limit.0, after.0));
        Ok(Listed::of(self.0.rules().list(&may.grant, device, page).await?))
    }

    /// Create a rule
    ///
    /// Needs `rules:write`.
    #[oai(path = "/rules", method = "post", operation_id = "createRule")]
    async fn create(
        &self,
        Auth(may): Auth<InAccount<WriteRules>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewRuleBody>,
    ) -> Result<Created<RuleView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "createRule", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let new = NewRule {
            device: body.value.device_id.0,
            name: body.value.name,
            active: body.value.active,
            priority: body.value.priority,
            matching: body.value.matching.into(),
            response: body.value.response.try_into()?,
            limitation: body.value.limitation.map(Limitation::from),
        };
        let rule = self.0.rules().create(&may.grant, new, once.as_ref()).await?;
        Ok(Created::new(rule.into(), replayed))
    }

    /// Get a rule
    ///
    /// Needs `rules:read`.
    #[oai(path = "/rules/:id", method = "get", operation_id = "getRule")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadRules>>,
        id: Path<Word<RuleId>>,
    ) -> Answer<RuleView> {
        let rule = self.0.rules().get(&may.grant, id.0.0).await?;
        Ok(Json(rule.into()))
    }

    /// Change a rule
    ///
    /// Needs `rules:write`.
    #[oai(path = "/rules/:id", method = "patch", operation_id = "updateRule")]
    async fn update(
        &self,
        Auth(may): Auth<InAccount<WriteRules>>,
        id: Path<Word<RuleId>>,
        body: JsonBody<RulePatchBody>,
    ) -> Answer<RuleView> {
        let patch = RulePatch {
            name: body.value.name,
            active: body.value.active,
            priority: body.value.priority,
            matching: body.value.matching.map(Matching::from),
            response: body.value.response.map(Response::try_from).transpose()?,
            limitation: undefined(body.value.limitation).map(|one| one.map(Limitation::from)),
        };
        let rule = self.0.rules().update(&may.grant, id.0.0, patch).await?;
        Ok(Json(rule.into()))
    }

    /// Remove a rule
    ///
    /// What it answered stays. Needs `rules:write`.
    #[oai(path = "/rules/:id", method = "delete", operation_id = "removeRule")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<WriteRules>>,
        id: Path<Word<RuleId>>,
    ) -> Result<NoContent, Problem> {
        self.0.rules().remove(&may.grant, id.0.0).await?;
        Ok(NoContent)
    }
}
