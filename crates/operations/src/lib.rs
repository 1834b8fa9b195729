//! How an installation is: what is unwell ([`Vitals`], [`Condition`]), and who is told ([`Watch`]).
//!
//! A check reads the vitals, finds what is unwell, and moves each [`Alert`] on: it must have been
//! there for a while before anybody is told, be gone for a while before it counts as over, and rest
//! for a while before it is told again. That state is stored, so neither a restart nor a second node
//! tells twice. What is raised or over becomes an event of its account's log, which webhooks carry,
//! and a mail, in the unit of work that noted it.
//!
//! # Adding a condition
//! A variant of [`Condition`] with its word, what it needs in [`Vitals`], and a finder in
//! `condition.rs`.

mod alert;
mod condition;
mod letter;
mod repo;
mod review;
mod settings;
mod vitals;
mod watch;

pub use alert::{Alert, AlertState, CALM, REST, Step};
pub use condition::{Condition, Finding, Subject, UnknownCondition, find};
pub use repo::{AlertRepo, OperationsRepo, OperationsUse, OperationsWork};
pub use settings::{AccountAlerts, ProviderAlerts, SettingsError};
pub use vitals::{DeviceVitals, Disk, JobVitals, Space, Vitals};
pub use watch::{Checked, Health, PERIOD, Watch};
