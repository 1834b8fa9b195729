//! What storage does for the watch.

use async_trait::async_trait;
use kabar_accounts::AccountsWork;
use kabar_core::{
    AccountId, AlertId, InstallationScope, Page, PageRequest, Scope, StoreError, Timestamp, Work,
};
use kabar_devices::DevicesWork;
use kabar_events::EventsWork;
use kabar_jobs::MailsWork;
use serde_json::Value;

use crate::alert::Alert;
use crate::vitals::Vitals;

/// A unit of work with vitals and alerts.
pub trait OperationsWork: Work {
    /// Those of the installation.
    fn operations(&self, scope: InstallationScope) -> Box<dyn OperationsRepo + '_>;

    /// A tenant's.
    fn alerts(&self, scope: Scope) -> Box<dyn AlertRepo + '_>;
}

/// What the watch needs.
pub trait OperationsUse:
    OperationsWork + AccountsWork + DevicesWork + EventsWork + MailsWork
{
}
impl<T> OperationsUse for T where
    T: OperationsWork + AccountsWork + DevicesWork + EventsWork + MailsWork + ?Sized
{
}

/// The vitals and alerts of the installation.
#[async_trait]
pub trait OperationsRepo: Send {
    /// How the installation is.
    async fn vitals(&mut self, now: Timestamp) -> Result<Vitals, StoreError>;

    /// Takes the turn of a watch, if nobody took it since `before`. Whoever asks at the same time
    /// waits for the unit of work to end.
    async fn take_turn(
        &mut self,
        watch: &'static str,
        now: Timestamp,
        before: Timestamp,
    ) -> Result<bool, StoreError>;

    /// Every alert.
    async fn alerts(&mut self) -> Result<Vec<Alert>, StoreError>;

    /// Stores alerts, new or known.
    async fn save(&mut self, alerts: &[Alert]) -> Result<(), StoreError>;

    /// Removes alerts.
    async fn forget(&mut self, alerts: &[AlertId]) -> Result<(), StoreError>;

    /// The settings of everybody who has any; those of the provider have no account.
    async fn settings(&mut self) -> Result<Vec<(Option<AccountId>, Value)>, StoreError>;

    /// Stores the provider's settings.
    async fn set(&mut self, settings: &Value) -> Result<(), StoreError>;
}

/// A tenant's alerts. A device token sees its device's only.
#[async_trait]
pub trait AlertRepo: Send {
    /// The alerts that are raised, newest first.
    async fn list(&mut self, page: PageRequest) -> Result<Page<Alert>, StoreError>;

    /// The tenant's settings, if it has any.
    async fn settings(&mut self) -> Result<Option<Value>, StoreError>;

    /// Stores them.
    async fn set(&mut self, settings: &Value) -> Result<(), StoreError>;
}
