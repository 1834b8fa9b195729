//! Answering one incoming message.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kabar_channel::{Content, Fallback};
use kabar_core::{
    Clock, InstallationScope, MessageId, RuleId, Scope, Store, StoreError, Timestamp, Topic, Wake,
};
use kabar_devices::Device;
use kabar_events::{Fact, NewEvent};
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError};
use kabar_messaging::{
    ANSWER_JOB, Direction, Message, MessageError, Messages, NewMessage, Origin, Purpose, To,
};
use kabar_rules::RuleSet;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::rule::{Limitation, Response, Rule};
use crate::rules::as_rule;
use crate::work::{AnswerNote, AutomationUse};

const SCOPE: InstallationScope = InstallationScope::system("automation");
/// The time over which a device's `answers_per_contact_hour` counts.
const HOUR: Duration = Duration::from_hours(1);

/// What [`AnswerJob`] needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct AnswerPayload {
    /// The incoming message.
    message_id: MessageId,
}

/// The job that answers an incoming message.
pub struct AnswerJob {
    store: Arc<dyn Store<dyn AutomationUse>>,
    messages: Messages,
    clock: Arc<dyn Clock>,
    wake: Arc<dyn Wake>,
}

impl AnswerJob {
    /// The job over a store; answers go out through `messages`.
    pub fn new(
        store: Arc<dyn Store<dyn AutomationUse>>,
        messages: Messages,
        clock: Arc<dyn Clock>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        Self { store, messages, clock, wake }
    }

    async fn answer(
        &self,
        work: &(dyn AutomationUse + '_),
        scope: Scope,
        id: MessageId,
    ) -> Result<(), JobError> {
        let now = self.clock.now();
        let message = work.messages(scope).by_ids(&[id]).await?.into_iter().next();
        let Some(message) = message.filter(|message| message.direction == Direction::In) else {
            return Ok(());
        };
        let device = work.device_registry(SCOPE).by_ids(&[message.device]).await?;
        let Some(device) = device.into_iter().next().filter(|d| d.settings.autoreply) else {
            return Ok(());
        };
        let decision = self.decide(work, scope, &device, &message, now).await?;
        let answer = match decision.reply {
            Some(reply) => self.send(work, scope, &message, reply).await?,
            None => Err("nothing to answer".to_owned()),
        };
        let mut trace = decision.trace;
        if let (Err(problem), Some(trace)) = (&answer, trace.as_object_mut()) {
            trace.insert("not_sent".to_owned(), json!(problem));
        }
        let note = AnswerNote {
            message: message.id,
            account: message.account,
            device: message.device,
            contact: message.contact,
            rule: decision.rule,
            answer: answer.as_ref().ok().copied(),
            trace,
            at: now,
        };
        if !work.rules(scope).note(&note).await? {
            // Somebody answered it before: the whole unit of work is rolled back.
            return Err(JobError::ClaimLost);
        }
        if let Ok(answer_id) = answer {
            let fact =
                Fact::AutoAnswered { message_id: message.id, answer_id, rule_id: decision.rule };
            work.events().append(&[NewEvent { account: message.account, at: now, fact }]).await?;
        }
        Ok(())
    }

    async fn decide(
        &self,
        work: &(dyn AutomationUse + '_),
        scope: Scope,
        device: &Device,
        message: &Message,
        now: Timestamp,
    ) -> Result<Decision, JobError> {
        let rules = work.rules(scope).active(device.id).await?;
        let past = Past::load(work, scope, message, device, &rules, now).await?;
        if past.within(HOUR, now) >= device.settings.answers_per_contact_hour as usize {
            let trace = json!({ "silent": "the contact got as many answers as the device allows in an hour" });
            return Ok(Decision { rule: None, reply: None, trace });
        }
        let words = message.body.words().unwrap_or_default();
        let mut limited = Vec::new();
        let compiled = rules.iter().map(|rule| as_rule(rule, rule.priority, &rule.matching));
        let set =
            RuleSet::compile(compiled).map_err(|error| JobError::Hopeless(error.to_string()))?;
        for matched in set.matches(words) {
            let rule: &Rule = matched.key;
            if rule.limitation.is_some_and(|limit| past.is_full(rule.id, limit, now)) {
                limited.push(rule.id);
                continue;
            }
            let Response::Message { content, quote } = &rule.response;
            let trace = json!({
                "rule_id": rule.id,
                "keyword": rule.matching.keywords.get(matched.keyword),
                "captures": matched.captures.to_map(),
                "limited": limited,
            });
            let reply = Reply {
                content: content.clone(),
                variables: matched.captures.to_map(),
                quote: *quote,
                rule: Some(rule.id),
            };
            return Ok(Decision { rule: Some(rule.id), reply: Some(reply), trace });
        }
        Ok(default_reply(device, &past, &limited, now))
    }

    /// Puts the answer into the outbox, in the same unit of work. An answer that cannot be sent is
    /// noted, not retried: the message is the same tomorrow.
    async fn send(
        &self,
        work: &(dyn AutomationUse + '_),
        scope: Scope,
        message: &Message,
        reply: Reply,
    ) -> Result<Result<MessageId, String>, JobError> {
        let mut variables = reply.variables;
        if let Some(words) = message.body.words() {
            variables.entry("message".to_owned()).or_insert_with(|| words.to_owned());
        }
        if let Some(sender) = sender(work, scope, message).await? {
            variables.entry("sender".to_owned()).or_insert(sender);
        }
        let new = NewMessage {
            fallback: Fallback::Downgrade,
            variables: Some(variables),
            missing_variables: kabar_rules::Missing::Empty,
            purpose: Purpose::Reply,
            origin: Origin::Rule,
            origin_ref: reply.rule.map(|rule| rule.to_string()),
            reply_to: Some(message.id).filter(|_| reply.quote && message.wire_id.is_some()),
            ..NewMessage::new(message.device, To::Contact(message.contact), reply.content)
        };
        match self.messages.send_within(work, scope, &[new]).await {
            Ok(queued) => Ok(queued.first().map(|m| m.id).ok_or_else(|| "not queued".to_owned())),
            Err(MessageError::Store(error)) => Err(error.into()),
            Err(MessageError::Invalid(problems)) => {
                let fields = problems.into_iter().flat_map(|problem| problem.fields);
                Ok(Err(fields.map(|field| field.to_string()).collect::<Vec<_>>().join("; ")))
            }
            Err(error) => Ok(Err(error.to_string())),
        }
    }
}

struct Decision {
    rule: Option<RuleId>,
    reply: Option<Reply>,
    trace: Value,
}

struct Reply {
    content: Content,
    variables: BTreeMap<String, String>,
    quote: bool,
    rule: Option<RuleId>,
}

fn default_reply(device: &Device, past: &Past, limited: &[RuleId], now: Timestamp) -> Decision {
    let settings = &device.settings;
    let silent = |why: &str| Decision {
        rule: None,
        reply: None,
        trace: json!({ "silent": why, "limited": limited }),
    };
    let Some(text) = &settings.default_reply else {
        return silent("no rule matched");
    };
    let pause = Duration::from_secs(u64::from(settings.default_reply_every_seconds));
    if !pause.is_zero() && past.by_default_within(pause, now) {
        return silent("no rule matched, and the default reply was given a short time ago");
    }
    let reply = Reply {
        content: Content::text(text.clone()),
        variables: BTreeMap::new(),
        quote: false,
        rule: None,
    };
    Decision {
        rule: None,
        reply: Some(reply),
        trace: json!({ "default_reply": true, "limited": limited }),
    }
}

async fn sender(
    work: &(dyn AutomationUse + '_),
    scope: Scope,
    message: &Message,
) -> Result<Option<String>, StoreError> {
    let contact = work.contacts(scope).by_ids(&[message.contact]).await?.into_iter().next();
    let kind = kabar_contacts::IdentityKind::Phone;
    Ok(contact.and_then(|contact| contact.identity(kind).map(str::to_owned)))
}

/// What a contact was answered of late.
struct Past(Vec<(Option<RuleId>, Timestamp)>);

impl Past {
    /// As far back as any limit looks.
    async fn load(
        work: &(dyn AutomationUse + '_),
        scope: Scope,
        message: &Message,
        device: &Device,
        rules: &[Rule],
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let limits = rules.iter().filter_map(|rule| rule.limitation).map(|limit| limit.seconds);
        let longest = limits
            .chain([device.settings.default_reply_every_seconds, 3_600])
            .max()
            .unwrap_or_default();
        let since = now - Duration::from_secs(u64::from(longest));
        Ok(Self(work.rules(scope).answers_since(message.contact, since).await?))
    }

    fn within(&self, time: Duration, now: Timestamp) -> usize {
        self.0.iter().filter(|(_, at)| *at + time > now).count()
    }

    fn by_default_within(&self, time: Duration, now: Timestamp) -> bool {
        self.0.iter().any(|(rule, at)| rule.is_none() && *at + time > now)
    }

    fn is_full(&self, rule: RuleId, limit: Limitation, now: Timestamp) -> bool {
        let time = Duration::from_secs(u64::from(limit.seconds));
        let given = self.0.iter().filter(|(by, at)| *by == Some(rule) && *at + time > now).count();
        given >= limit.times as usize
    }
}

#[async_trait]
impl Job for AnswerJob {
    fn name(&self) -> &'static str {
        ANSWER_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let hopeless = |error: &dyn std::fmt::Display| JobError::Hopeless(error.to_string());
        let payload: AnswerPayload =
            serde_json::from_value(job.payload.clone()).map_err(|error| hopeless(&error))?;
        let account = job.account.ok_or_else(|| hopeless(&"the job has no account"))?;
        let scope = SCOPE.within(account);
        let work = self.store.begin().await?;
        if work.rules(scope).answer_to(payload.message_id).await?.is_some() {
            // Done by an earlier run of the same job.
            return Ok(JobEnd::Done);
        }
        self.answer(&*work, scope, payload.message_id).await?;
        if !work.jobs().complete(job.id, job.fence).await? {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        self.wake.wake(Topic::Outbox);
        self.wake.wake(Topic::Events);
        Ok(JobEnd::Completed)
    }
}
