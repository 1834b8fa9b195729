//! Autoreply rules: what a tenant's devices answer by themselves.
//!
//! Rules belong to a device. An incoming message is matched by [`kabar_rules`]; the winning rule's
//! response is rendered with the captured `<variable>`s and the contact's own, and goes out through
//! the outbox like every other message. If no rule matches, the device's default reply answers.
//!
//! Answers are given by a job after the intake ([`AnswerJob`]): the answer, the note that the message
//! is answered and the end of the job are one unit of work, and the note is unique per incoming
//! message, so a message is answered at most once, whatever is repeated or crashes.

mod answer;
mod rule;
mod rules;
pub mod work;

pub use answer::AnswerJob;
pub use rule::{Limitation, Matching, NewRule, Response, Rule, RulePatch};
pub use rules::{RuleError, Rules};
pub use work::{AnswerNote, AutomationUse, AutomationWork, RuleRepo};
