//! What storage does for rules and answers.

use async_trait::async_trait;
use kabar_accounts::AuditWork;
use kabar_core::{
    AccountId, ContactId, DeviceId, MessageId, Page, PageRequest, RuleId, Scope, StoreError,
    Timestamp, Work,
};
use kabar_messaging::RoadWork;
use serde_json::Value;

use crate::rule::Rule;

/// A unit of work with rules.
pub trait AutomationWork: Work {
    /// A tenant's rules and answers.
    fn rules(&self, scope: Scope) -> Box<dyn RuleRepo + '_>;
}

/// What a use case of automation needs.
pub trait AutomationUse: AutomationWork + RoadWork + AuditWork {}
impl<T: AutomationWork + RoadWork + AuditWork + ?Sized> AutomationUse for T {}

/// The note that a message was answered, or deliberately not.
#[derive(Debug, Clone, PartialEq)]
pub struct AnswerNote {
    /// The incoming message.
    pub message: MessageId,
    /// Its account.
    pub account: AccountId,
    /// Its device.
    pub device: DeviceId,
    /// Its sender.
    pub contact: ContactId,
    /// The rule that answered; `None` for the default reply, and when nothing answered.
    pub rule: Option<RuleId>,
    /// The answer; `None` when nothing answered.
    pub answer: Option<MessageId>,
    /// Why this rule and not another.
    pub trace: Value,
    /// When.
    pub at: Timestamp,
}

/// A tenant's rules and answers. A device token sees its device's only.
#[async_trait]
pub trait RuleRepo: Send {
    /// Stores a rule.
    async fn insert(&mut self, rule: &Rule) -> Result<(), StoreError>;

    /// A rule.
    async fn get(&mut self, id: RuleId) -> Result<Option<Rule>, StoreError>;

    /// Rules, newest first.
    async fn list(
        &mut self,
        device: Option<DeviceId>,
        page: PageRequest,
    ) -> Result<Page<Rule>, StoreError>;

    /// Every active rule of a device, oldest first.
    async fn active(&mut self, device: DeviceId) -> Result<Vec<Rule>, StoreError>;

    /// Stores a changed rule. `false` if there is none.
    async fn update(&mut self, rule: &Rule) -> Result<bool, StoreError>;

    /// Removes a rule. `false` if there is none.
    async fn remove(&mut self, id: RuleId) -> Result<bool, StoreError>;

    /// Notes an answer. `false` if the message has one: then nothing may be sent.
    async fn note(&mut self, note: &AnswerNote) -> Result<bool, StoreError>;

    /// When a contact was answered since `since`, and by which rule.
    async fn answers_since(
        &mut self,
        contact: ContactId,
        since: Timestamp,
    ) -> Result<Vec<(Option<RuleId>, Timestamp)>, StoreError>;

    /// The answer to a message, if it was given one.
    async fn answer_to(&mut self, message: MessageId) -> Result<Option<AnswerNote>, StoreError>;
}
