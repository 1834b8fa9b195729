//! For how long things are kept, and the removal of what is older.
//!
//! Removal goes in steps of [`STEP`] rows, each a unit of work of its own along an index, so nobody
//! waits for it and a crash loses nothing: the next run goes on where this one ended. Bodies are
//! blanked rather than removed, so ids, statuses and statistics stay. Events are removed only when
//! everybody who follows the log has passed them.

use std::sync::Arc;

use chrono::TimeDelta;
use kabar_accounts::AccountsWork;
use kabar_accounts::audit::AuditEntry;
use kabar_core::permission::{ReadSettings, WriteSettings};
use kabar_core::principal::Actor;
use kabar_core::{
    AccountId, AuditId, Clock, Grant, IdSource, InstallationScope, MediaId, MessageId, PageRequest,
    Store, StoreError, Timestamp,
};
use kabar_messaging::{MediaFiles, MessageError};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::repo::{InsightsUse, OldMessage, Removed};

/// Rows of one step.
pub const STEP: u16 = 500;
/// The most days that can be said: a hundred years.
pub const MOST_DAYS: u16 = 36_500;
/// Steps of one run for one thing, so that a first run on much old data lets others have their turn;
/// the next run goes on.
const STEPS: u32 = 2_000;
const SCOPE: InstallationScope = InstallationScope::system("retention");

/// Something that is kept for a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Kept {
    /// Bodies of messages, and the files that came with them.
    MessageBodies,
    /// Bodies of the networks' webhooks as they came.
    RawBodies,
    /// The event log.
    Events,
    /// What came in and could not be placed.
    Quarantine,
    /// Statuses whose message never became known.
    ParkedStatuses,
}

impl Kept {
    /// Everything.
    pub const ALL: &'static [Self] = &[
        Self::MessageBodies,
        Self::RawBodies,
        Self::Events,
        Self::Quarantine,
        Self::ParkedStatuses,
    ];

    /// The word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::MessageBodies => "message_bodies",
            Self::RawBodies => "raw_bodies",
            Self::Events => "events",
            Self::Quarantine => "quarantine",
            Self::ParkedStatuses => "parked_statuses",
        }
    }
}

/// A word that names nothing that is kept.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is nothing that is kept for a time")]
pub struct UnknownKept(String);

impl std::str::FromStr for Kept {
    type Err = UnknownKept;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.iter().copied().find(|kept| kept.as_str() == text);
        found.ok_or_else(|| UnknownKept(text.chars().take(64).collect()))
    }
}

/// For how many days the installation keeps things; 0 is for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Keep {
    /// Bodies of messages, where the account says nothing.
    pub message_bodies: u16,
    /// Bodies of the networks' webhooks as they came.
    pub raw_bodies: u16,
    /// The event log.
    pub events: u16,
    /// What came in and could not be placed.
    pub quarantine: u16,
    /// Statuses whose message never became known.
    pub parked_statuses: u16,
}

impl Default for Keep {
    /// Messages for ever; raw bodies for as long as Meta may deliver them again (7 days); the rest
    /// for a month.
    fn default() -> Self {
        Self { message_bodies: 0, raw_bodies: 7, events: 30, quarantine: 30, parked_statuses: 30 }
    }
}

impl Keep {
    /// For how many days a thing is kept; 0 is for ever.
    pub const fn days(&self, what: Kept) -> u16 {
        match what {
            Kept::MessageBodies => self.message_bodies,
            Kept::RawBodies => self.raw_bodies,
            Kept::Events => self.events,
            Kept::Quarantine => self.quarantine,
            Kept::ParkedStatuses => self.parked_statuses,
        }
    }
}

/// What an account says for itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeepPatch {
    /// For how many days bodies of messages are kept, 0 for ever; `None` as the installation says.
    pub message_bodies: Option<u16>,
}

/// What one run removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// How many rows of each thing, where there were any.
    pub rows: Vec<(Kept, u64)>,
    /// Files that came with blanked messages.
    pub files: u64,
}

/// Why retention is not read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RetentionError {
    /// A field cannot be taken.
    #[error("`{field}` must be a number of days from 1 to 36500, or 0 for ever")]
    Days {
        /// The field, as the API calls it.
        field: &'static str,
    },
    /// The file store failed.
    #[error(transparent)]
    Files(MessageError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// For how long things are kept. Cheap to clone.
#[derive(Clone)]
pub struct Retention {
    store: Arc<dyn Store<dyn InsightsUse>>,
    files: MediaFiles,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Retention {
    /// The service over a store and the files.
    pub fn new(
        store: Arc<dyn Store<dyn InsightsUse>>,
        files: MediaFiles,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, files, clock, ids }
    }

    /// What the installation keeps, and what was removed since its beginning. The scope comes from
    /// `grant_installation::<ReadOperations>`.
    ///
    /// # Errors
    /// [`RetentionError::Store`].
    pub async fn get(
        &self,
        scope: InstallationScope,
    ) -> Result<(Keep, Vec<Removed>), RetentionError> {
        let work = self.store.read().await?;
        let mut repo = work.retention(scope);
        Ok((repo.settings().await?.unwrap_or_default(), repo.removed().await?))
    }

    /// Says what the installation keeps. The scope comes from
    /// `grant_installation::<WriteOperations>`.
    ///
    /// # Errors
    /// [`RetentionError::Days`].
    pub async fn set(&self, scope: InstallationScope, keep: Keep) -> Result<(), RetentionError> {
        for what in Kept::ALL {
            check(what.as_str(), keep.days(*what))?;
        }
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let before = work.retention(scope).settings().await?.unwrap_or_default();
        if before != keep {
            work.retention(scope).set(&keep, now).await?;
            let detail = json!({ "before": before, "after": keep });
            self.write_down(&*work, None, scope.actor(), detail, now).await?;
        }
        Ok(work.commit().await?)
    }

    /// What an account says for itself, and what the installation says.
    ///
    /// # Errors
    /// [`RetentionError::Store`].
    pub async fn account(
        &self,
        grant: &Grant<ReadSettings>,
    ) -> Result<(KeepPatch, Keep), RetentionError> {
        let work = self.store.read().await?;
        let mut repo = work.retention(SCOPE);
        let patch = repo.account(grant.account()).await?;
        Ok((patch, repo.settings().await?.unwrap_or_default()))
    }

    /// Says for an account what differs from the installation; returns what both say.
    ///
    /// # Errors
    /// [`RetentionError::Days`].
    pub async fn set_account(
        &self,
        grant: &Grant<WriteSettings>,
        patch: KeepPatch,
    ) -> Result<(KeepPatch, Keep), RetentionError> {
        check("message_bodies", patch.message_bodies.unwrap_or_default())?;
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let before = work.retention(SCOPE).account(grant.account()).await?;
        if before != patch {
            work.retention(SCOPE).set_account(grant.account(), &patch, now).await?;
            let detail = json!({ "before": before, "after": patch });
            self.write_down(&*work, Some(grant.account()), grant.actor(), detail, now).await?;
        }
        let keep = work.retention(SCOPE).settings().await?.unwrap_or_default();
        work.commit().await?;
        Ok((patch, keep))
    }

    async fn write_down(
        &self,
        work: &(dyn InsightsUse + '_),
        account: Option<AccountId>,
        actor: Actor,
        detail: serde_json::Value,
        at: Timestamp,
    ) -> Result<(), StoreError> {
        let id = AuditId::from(self.ids.next());
        let action = "retention.update";
        let entry = AuditEntry { id, account, actor, action, subject: None, detail, at };
        work.audit().write(&[entry]).await
    }

    /// Removes what is older than it is kept, in small steps.
    ///
    /// # Errors
    /// What storage or the file store says; what was removed until then stays removed.
    pub async fn run(&self) -> Result<Pruned, RetentionError> {
        let work = self.store.read().await?;
        let keep = work.retention(SCOPE).settings().await?.unwrap_or_default();
        drop(work);
        let mut pruned = Pruned::default();
        for what in Kept::ALL {
            let rows = match what {
                Kept::MessageBodies => self.blank_all(&keep, &mut pruned.files).await?,
                _ => self.prune(*what, keep.days(*what)).await?,
            };
            if rows > 0 {
                tracing::info!(what = what.as_str(), rows, "retention.removed");
                pruned.rows.push((*what, rows));
            }
        }
        Ok(pruned)
    }

    /// Points in time before which things of so many days are too old; `None` for ever.
    fn before(&self, days: u16) -> Option<Timestamp> {
        let now = self.clock.now();
        (days > 0).then(|| now.checked_sub_signed(TimeDelta::days(i64::from(days))).unwrap_or(now))
    }

    async fn prune(&self, what: Kept, days: u16) -> Result<u64, RetentionError> {
        let Some(before) = self.before(days) else {
            return Ok(0);
        };
        let mut all = 0;
        for _ in 0..STEPS {
            let work = self.store.begin().await?;
            let mut repo = work.retention(SCOPE);
            let gone = repo.prune(what, before, STEP).await?;
            if gone == 0 {
                break;
            }
            repo.add_removed(what, gone, self.clock.now()).await?;
            drop(repo);
            work.commit().await?;
            all += gone;
        }
        Ok(all)
    }

    async fn blank_all(&self, keep: &Keep, files: &mut u64) -> Result<u64, RetentionError> {
        let mut page = PageRequest::new(Some(PageRequest::MOST), None);
        let mut all = 0;
        loop {
            let work = self.store.read().await?;
            let accounts = AccountsWork::account_registry(&*work, SCOPE).list(page).await?;
            let mut wanted = Vec::with_capacity(accounts.items.len());
            for account in accounts.items {
                let patch = work.retention(SCOPE).account(account.id).await?;
                wanted.push((account.id, patch.message_bodies.unwrap_or(keep.message_bodies)));
            }
            drop(work);
            for (account, days) in wanted {
                if let Some(before) = self.before(days) {
                    all += self.blank(account, before, files).await?;
                }
            }
            page.after = accounts.next;
            if page.after.is_none() {
                return Ok(all);
            }
        }
    }

    /// Blanks an account's old bodies. The mark stays before the oldest message that still waits to
    /// be sent, so that its turn comes in a later run.
    async fn blank(
        &self,
        account: AccountId,
        before: Timestamp,
        files: &mut u64,
    ) -> Result<u64, RetentionError> {
        let work = self.store.read().await?;
        let mut after = work.retention(SCOPE).mark(account).await?;
        drop(work);
        let (mut all, mut may_mark) = (0, true);
        for _ in 0..STEPS {
            let work = self.store.read().await?;
            let old = work.retention(SCOPE).old_messages(account, after, before, STEP).await?;
            drop(work);
            let Some(last) = old.last() else {
                break;
            };
            after = Some(last.id);
            // The files first: what a crash leaves behind is found again by its message.
            *files += self.discard(account, &old).await?;
            all += self.blank_some(account, &old, &mut may_mark).await?;
        }
        Ok(all)
    }

    async fn discard(&self, account: AccountId, old: &[OldMessage]) -> Result<u64, RetentionError> {
        let files: Vec<MediaId> = old
            .iter()
            .filter(|message| !message.waits)
            .filter_map(|message| message.file)
            .collect();
        if files.is_empty() {
            return Ok(0);
        }
        let discarded = self.files.discard(SCOPE.within(account), &files).await;
        discarded.map_err(|error| match error {
            MessageError::Store(error) => RetentionError::Store(error),
            error => RetentionError::Files(error),
        })
    }

    async fn blank_some(
        &self,
        account: AccountId,
        old: &[OldMessage],
        may_mark: &mut bool,
    ) -> Result<u64, RetentionError> {
        let done: Vec<MessageId> =
            old.iter().filter(|message| !message.waits).map(|message| message.id).collect();
        let settled = old.iter().take_while(|message| !message.waits).last();
        let work = self.store.begin().await?;
        let blanked = work.messages(SCOPE.within(account)).blank(&done).await?;
        let mut repo = work.retention(SCOPE);
        if let Some(settled) = settled.filter(|_| *may_mark) {
            repo.set_mark(account, settled.id).await?;
        }
        *may_mark = *may_mark && done.len() == old.len();
        if blanked > 0 {
            repo.add_removed(Kept::MessageBodies, blanked, self.clock.now()).await?;
        }
        drop(repo);
        work.commit().await?;
        Ok(blanked)
    }
}

fn check(field: &'static str, days: u16) -> Result<(), RetentionError> {
    if days <= MOST_DAYS { Ok(()) } else { Err(RetentionError::Days { field }) }
}
