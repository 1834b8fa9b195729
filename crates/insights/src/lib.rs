//! What happened, in figures; and for how long what happened is kept.
//!
//! # Overview
//!
//! * A [`Projector`] follows the event log and keeps [`counts`](tally) of messages: by account,
//!   device, direction, content, purpose, origin, broadcast and status, in quarters of an hour of
//!   UTC. What it adds and where it stands are one unit of work, so every event counts once,
//!   whatever crashes; several nodes may run one each.
//! * [`Statistics`] sums the counts up to hours, days, weeks and months of any time zone, at a cost
//!   that does not depend on how many messages there are. [`sheet`] writes the same as CSV and XLSX.
//! * [`HistorySource`] gives the history of messages to exports.
//! * [`Retention`] holds for how long things are kept, and removes what is older, in small steps.
//!
//! # What counts where
//!
//! A message belongs to the quarter of an hour of its own time (`Message::own_at`), and stays there:
//! a message of Monday that is read on Tuesday is a read message *of Monday*. So rates never exceed
//! one, and the figures of a day, a broadcast or a device add up to its messages. Every message is
//! in exactly one status at a time; an event moves it from one to the next.
//!
//! # Adding a dimension
//! A field of `MessageTraits` in `kabar-events`, of [`tally::Key`], a column of `message_counts`
//! with its place in the rebuild (`kabar-storage`), and a variant of [`Group`].

pub mod history;
pub mod period;
pub mod projector;
pub mod repo;
pub mod retention;
pub mod sheet;
pub mod statistics;
pub mod tally;

pub use history::{HistoryParams, HistorySource, MessagesExport};
pub use period::{By, Period};
pub use projector::Projector;
pub use repo::{InsightsUse, InsightsWork};
pub use retention::{Keep, KeepPatch, Pruned, Retention, RetentionError};
pub use statistics::{Figures, Group, Row, Statistics, StatisticsError, StatisticsQuery, Table};
