//! What a tenant does with rules.

use std::sync::Arc;

use kabar_accounts::journal::{Change, record};
use kabar_channel::{Channels, Content, Fallback, FieldError, fit};
use kabar_core::permission::{ReadRules, WriteRules};
use kabar_core::work::OnceError;
use kabar_core::{
    Clock, DeviceId, Grant, IdSource, Once, Page, PageRequest, RuleId, Scope, Store, StoreError,
};
use kabar_devices::Device;
use kabar_events::Fact;
use kabar_rules::Template;

use crate::rule::{Matching, NewRule, Response, Rule, RulePatch};
use crate::work::AutomationUse;

/// The most characters of a rule's name.
const NAME: usize = 100;

/// Why a rule cannot be had, made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// There is no such rule.
    #[error("no such rule")]
    NotFound,
    /// There is no such device.
    #[error("device_id: no such device")]
    NoSuchDevice,
    /// Fields cannot be stored.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// The request was made before, or differs from the first one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Rules of tenants.
#[derive(Clone)]
pub struct Rules {
    store: Arc<dyn Store<dyn AutomationUse>>,
    channels: Channels,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Rules {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn AutomationUse>>,
        channels: Channels,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, channels, clock, ids }
    }

    /// Makes a rule.
    ///
    /// # Errors
    /// [`RuleError::NoSuchDevice`], [`RuleError::Invalid`].
    pub async fn create(
        &self,
        grant: &Grant<WriteRules>,
        new: NewRule,
        once: Option<&Once>,
    ) -> Result<Rule, RuleError> {
        let scope = grant.scope();
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<RuleId>(&*work).await?
        {
            return work.rules(scope).get(id).await?.ok_or(RuleError::NotFound);
        }
        let rule = Rule {
            id: self.ids.id(),
            account: scope.account(),
            device: new.device,
            name: new.name,
            active: new.active,
            priority: new.priority,
            matching: new.matching,
            response: new.response,
            limitation: new.limitation,
            created_at: now,
            updated_at: now,
        };
        let device = work.devices(scope).get(rule.device).await?;
        self.check(&*work, scope, &rule, device).await?;
        work.rules(scope).insert(&rule).await?;
        if let Some(once) = once {
            once.remember(&*work, &rule.id, now).await?;
        }
        self.record(&*work, scope, &rule, "rule.create").await?;
        work.commit().await?;
        Ok(rule)
    }

    /// A rule.
    ///
    /// # Errors
    /// [`RuleError::NotFound`].
    pub async fn get(&self, grant: &Grant<ReadRules>, id: RuleId) -> Result<Rule, RuleError> {
        let work = self.store.read().await?;
        work.rules(grant.scope()).get(id).await?.ok_or(RuleError::NotFound)
    }

    /// The tenant's rules, newest first.
    ///
    /// # Errors
    /// [`RuleError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadRules>,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> Result<Page<Rule>, RuleError> {
        let work = self.store.read().await?;
        Ok(work.rules(grant.scope()).list(device, page).await?)
    }

    /// Changes a rule.
    ///
    /// # Errors
    /// [`RuleError::NotFound`], [`RuleError::Invalid`].
    pub async fn update(
        &self,
        grant: &Grant<WriteRules>,
        id: RuleId,
        patch: RulePatch,
    ) -> Result<Rule, RuleError> {
        let scope = grant.scope();
        let work = self.store.begin().await?;
        let mut rule = work.rules(scope).get(id).await?.ok_or(RuleError::NotFound)?;
        apply(&mut rule, patch);
        rule.updated_at = self.clock.now();
        let device = work.devices(scope).get(rule.device).await?;
        self.check(&*work, scope, &rule, device).await?;
        work.rules(scope).update(&rule).await?;
        self.record(&*work, scope, &rule, "rule.update").await?;
        work.commit().await?;
        Ok(rule)
    }

    /// Removes a rule. What it answered stays.
    ///
    /// # Errors
    /// [`RuleError::NotFound`].
    pub async fn remove(&self, grant: &Grant<WriteRules>, id: RuleId) -> Result<(), RuleError> {
        let scope = grant.scope();
        let work = self.store.begin().await?;
        let rule = work.rules(scope).get(id).await?.ok_or(RuleError::NotFound)?;
        work.rules(scope).remove(id).await?;
        self.record(&*work, scope, &rule, "rule.remove").await?;
        Ok(work.commit().await?)
    }

    async fn check(
        &self,
        work: &(dyn AutomationUse + '_),
        scope: Scope,
        rule: &Rule,
        device: Option<Device>,
    ) -> Result<(), RuleError> {
        let device = device.ok_or(RuleError::NoSuchDevice)?;
        let mut problems = Vec::new();
        let Response::Message { content, .. } = &rule.response;
        if let Some(id) = content.stored()
            && work.media(scope).existing(&[id]).await?.is_empty()
        {
            problems.push(FieldError::new("response.content.media_id", "no such file"));
        }
        let length = rule.name.trim().chars().count();
        if length == 0 || length > NAME || rule.name.chars().any(char::is_control) {
            let problem = format!("must have 1 to {NAME} characters, none of them control");
            problems.push(FieldError::new("name", problem));
        }
        if let Err(error) = as_rule(rule.id, rule.priority, &rule.matching).check() {
            problems.push(FieldError::new("matching.keywords", error.to_string()));
        }
        let limit = rule.limitation;
        if limit.is_some_and(|limit| limit.times == 0 || limit.seconds == 0) {
            let problem = "times and seconds must be at least 1; leave it out for no limitation";
            problems.push(FieldError::new("limitation", problem));
        }
        problems.extend(self.response_problems(content, &device));
        if problems.is_empty() { Ok(()) } else { Err(RuleError::Invalid(problems)) }
    }

    fn response_problems(&self, content: &Content, device: &Device) -> Vec<FieldError> {
        let under = |error: FieldError| {
            FieldError::new(format!("response.content.{}", error.field), error.problem)
        };
        let mut problems = Vec::new();
        if let Some(words) = content.words()
            && let Err(error) = Template::parse(words)
        {
            problems.push(FieldError::new("response.content", error.to_string()));
        }
        if let Some(ports) = self.channels.get(&device.channel) {
            let capabilities = ports.channel().capabilities(&device.link());
            if let Err(fields) = fit(content.clone(), &capabilities, Fallback::Downgrade) {
                problems.extend(fields.into_iter().map(under));
            }
        }
        problems
    }

    async fn record(
        &self,
        work: &(dyn AutomationUse + '_),
        scope: Scope,
        rule: &Rule,
        action: &'static str,
    ) -> Result<(), StoreError> {
        let change = Change {
            account: Some(scope.account()),
            actor: scope.actor(),
            action,
            subject: rule.id.to_string(),
            detail: serde_json::json!({ "device_id": rule.device }),
            fact: Fact::RuleChanged { rule_id: rule.id },
            at: self.clock.now(),
        };
        record(work, &*self.ids, change).await
    }
}

/// The rule as the matching engine takes it.
pub(crate) fn as_rule<K>(key: K, priority: i32, matching: &Matching) -> kabar_rules::Rule<K> {
    kabar_rules::Rule::new(key, matching.kind, matching.keywords.iter().cloned())
        .with_priority(priority)
        .with_folding(matching.folding)
        .with_words(matching.words)
}

fn apply(rule: &mut Rule, patch: RulePatch) {
    let RulePatch { name, active, priority, matching, response, limitation } = patch;
    if let Some(name) = name {
        rule.name = name;
    }
    if let Some(active) = active {
        rule.active = active;
    }
    if let Some(priority) = priority {
        rule.priority = priority;
    }
    if let Some(matching) = matching {
        rule.matching = matching;
    }
    if let Some(response) = response {
        rule.response = response;
    }
    if let Some(limitation) = limitation {
        rule.limitation = limitation;
    }
}
