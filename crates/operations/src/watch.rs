//! The check that runs now and then, and what it leads to.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use chrono::TimeDelta;
use kabar_accounts::Realm;
use kabar_accounts::journal::{Change, record};
use kabar_core::permission::{ReadDevices, ReadSettings, WriteSettings};
use kabar_core::{
    AccountId, Clock, Grant, IdSource, InstallationScope, Mail, Page, PageRequest, Role, Store,
    StoreError, Timestamp,
};
use kabar_events::{Fact, NewEvent};
use kabar_jobs::mail;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::alert::{Alert, Step};
use crate::condition::{Condition, Finding, Subject, find};
use crate::letter;
use crate::repo::OperationsUse;
use crate::review;
use crate::settings::{AccountAlerts, ProviderAlerts, SettingsError};
use crate::vitals::{Disk, Space, Vitals};

/// How often the installation is checked, by whichever node comes first.
pub const PERIOD: TimeDelta = TimeDelta::seconds(60);
/// Some nodes' clocks are early.
pub(crate) const SLACK: TimeDelta = TimeDelta::seconds(5);
/// Owners of an account that are told.
const MOST_OWNERS: u16 = 10;
const NAME: &str = "alerts";
pub(crate) const SCOPE: InstallationScope = InstallationScope::system("alerts");

/// What one check led to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Checked {
    /// Alerts that were raised.
    pub raised: usize,
    /// Alerts that are over.
    pub over: usize,
}

/// How the installation is.
#[derive(Debug, Clone, PartialEq)]
pub struct Health {
    /// What was read.
    pub vitals: Vitals,
    /// The disk's space.
    pub space: Option<Space>,
    /// What is unwell now, whether it was told or not.
    pub findings: Vec<Finding>,
}

/// Watches over an installation.
#[derive(Clone)]
pub struct Watch {
    store: Arc<dyn Store<dyn OperationsUse>>,
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

/// Everybody's settings.
struct Settings {
    provider: ProviderAlerts,
    accounts: HashMap<AccountId, AccountAlerts>,
    others: AccountAlerts,
}

impl Settings {
    fn of(&self, account: AccountId) -> &AccountAlerts {
        self.accounts.get(&account).unwrap_or(&self.others)
    }
}

impl Watch {
    /// The service over a store and a disk.
    pub fn new(
        store: Arc<dyn Store<dyn OperationsUse>>,
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, disk, clock, ids }
    }

    /// Checks the installation, unless a node did within the last [`PERIOD`].
    ///
    /// # Errors
    /// What storage says.
    pub async fn check(&self) -> Result<Checked, StoreError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if !work.operations(SCOPE).take_turn(NAME, now, now - PERIOD + SLACK).await? {
            return Ok(Checked::default());
        }
        review::due(&*work, now).await?;
        let settings = settings(&*work).await?;
        let vitals = work.operations(SCOPE).vitals(now).await?;
        let findings = found(&vitals, self.disk.space(), now, &settings);
        let alerts = work.operations(SCOPE).alerts().await?;
        let steps = self.steps(alerts, &findings, now);
        let checked = self.carry_out(&*work, steps, &settings, now).await?;
        work.commit().await?;
        Ok(checked)
    }

    fn steps(&self, alerts: Vec<Alert>, findings: &[Finding], now: Timestamp) -> Vec<Step> {
        let mut open: BTreeMap<(Condition, Subject), &Finding> = findings
            .iter()
            .map(|finding| ((finding.condition, finding.subject), finding))
            .collect();
        let mut steps: Vec<Step> = alerts
            .into_iter()
            .map(|alert| match open.remove(&(alert.condition, alert.subject)) {
                Some(finding) => alert.found(finding, now),
                None => alert.missed(now),
            })
            .collect();
        let new = open.into_values();
        steps
            .extend(new.map(|finding| Alert::new(self.ids.id(), finding, now).found(finding, now)));
        steps
    }

    async fn carry_out(
        &self,
        work: &(dyn OperationsUse + '_),
        steps: Vec<Step>,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<Checked, StoreError> {
        let (mut kept, mut forgotten, mut told) = (Vec::new(), Vec::new(), Vec::new());
        let mut checked = Checked::default();
        for step in steps {
            match step {
                Step::Keep(alert) => kept.push(alert),
                Step::Forget(id) => forgotten.push(id),
                Step::Raise(alert) => {
                    checked.raised += 1;
                    told.push(alert);
                }
                Step::Clear(alert) => {
                    checked.over += 1;
                    told.push(alert);
                }
            }
        }
        for alert in &told {
            self.tell(work, alert, settings, now).await?;
        }
        kept.extend(told);
        work.operations(SCOPE).save(&kept).await?;
        work.operations(SCOPE).forget(&forgotten).await?;
        Ok(checked)
    }

    /// An event in the account's log, and mails.
    async fn tell(
        &self,
        work: &(dyn OperationsUse + '_),
        alert: &Alert,
        settings: &Settings,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        let account = alert.subject.account();
        if let Some(account) = account {
            let (condition, device_id) = (alert.condition.to_string(), alert.subject.device());
            let fact = if alert.is_raised() {
                Fact::AlertRaised { alert_id: alert.id, condition, device_id }
            } else {
                Fact::AlertCleared { alert_id: alert.id, condition, device_id }
            };
            work.events().append(&[NewEvent { account, at: now, fact }]).await?;
        }
        let (mail, emails, realm) = if let Some(account) = account {
            let own = settings.of(account);
            (own.mail, &own.emails, Realm::Account(SCOPE.within(account)))
        } else {
            let own = &settings.provider;
            (own.mail, &own.emails, Realm::Provider(SCOPE))
        };
        if !mail {
            return Ok(());
        }
        let to = if emails.is_empty() { owners(work, realm).await? } else { emails.clone() };
        let mails: Vec<Mail> = to.iter().map(|to| letter::about(alert, to)).collect();
        mail::enqueue(work, &*self.ids, account, mails, now).await
    }

    /// How the installation is now.
    ///
    /// # Errors
    /// What storage says.
    pub async fn health(&self, scope: InstallationScope) -> Result<Health, StoreError> {
        let now = self.clock.now();
        let work = self.store.read().await?;
        let settings = settings(&*work).await?;
        let vitals = work.operations(scope).vitals(now).await?;
        let space = self.disk.space();
        let findings = found(&vitals, space, now, &settings);
        Ok(Health { vitals, space, findings })
    }

    /// An account's alerts that are raised, newest first.
    ///
    /// # Errors
    /// What storage says.
    pub async fn list(
        &self,
        grant: &Grant<ReadDevices>,
        page: PageRequest,
    ) -> Result<Page<Alert>, StoreError> {
        self.store.read().await?.alerts(grant.scope()).list(page).await
    }

    /// An account's settings.
    ///
    /// # Errors
    /// What storage says.
    pub async fn account_settings(
        &self,
        grant: &Grant<ReadSettings>,
    ) -> Result<AccountAlerts, SettingsError> {
        let work = self.store.read().await?;
        exists(&*work, Realm::from(grant)).await?;
        let found = work.alerts(grant.scope()).settings().await?;
        Ok(read(found))
    }

    /// Changes an account's settings.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`].
    pub async fn set_account_settings(
        &self,
        grant: &Grant<WriteSettings>,
        settings: AccountAlerts,
    ) -> Result<AccountAlerts, SettingsError> {
        let settings = settings.checked()?;
        let work = self.store.begin().await?;
        exists(&*work, Realm::from(grant)).await?;
        work.alerts(grant.scope()).set(&value(&settings)?).await?;
        self.journal(&*work, Realm::from(grant)).await?;
        work.commit().await?;
        Ok(settings)
    }

    /// The provider's settings.
    ///
    /// # Errors
    /// What storage says.
    pub async fn provider_settings(
        &self,
        scope: InstallationScope,
    ) -> Result<ProviderAlerts, StoreError> {
        let all = self.store.read().await?.operations(scope).settings().await?;
        Ok(read(all.into_iter().find(|(account, _)| account.is_none()).map(|(_, value)| value)))
    }

    /// Changes the provider's settings.
    ///
    /// # Errors
    /// [`SettingsError::Invalid`].
    pub async fn set_provider_settings(
        &self,
        scope: InstallationScope,
        settings: ProviderAlerts,
    ) -> Result<ProviderAlerts, SettingsError> {
        let settings = settings.checked()?;
        let work = self.store.begin().await?;
        work.operations(scope).set(&value(&settings)?).await?;
        self.journal(&*work, Realm::Provider(scope)).await?;
        work.commit().await?;
        Ok(settings)
    }

    async fn journal(
        &self,
        work: &(dyn OperationsUse + '_),
        realm: Realm,
    ) -> Result<(), StoreError> {
        let change = Change {
            account: realm.account(),
            actor: realm.actor(),
            action: "alerts.settings",
            subject: realm.account().map_or_else(|| "provider".to_owned(), |id| id.to_string()),
            detail: json!({}),
            fact: Fact::AccountChanged,
            at: self.clock.now(),
        };
        record(work, &*self.ids, change).await
    }
}

fn found(
    vitals: &Vitals,
    space: Option<Space>,
    now: Timestamp,
    settings: &Settings,
) -> Vec<Finding> {
    find(vitals, space, now, &settings.provider, |account| settings.of(account))
}

async fn settings(work: &(dyn OperationsUse + '_)) -> Result<Settings, StoreError> {
    let mut settings = Settings {
        provider: ProviderAlerts::default(),
        accounts: HashMap::new(),
        others: AccountAlerts::default(),
    };
    for (account, value) in work.operations(SCOPE).settings().await? {
        match account {
            Some(account) => {
                settings.accounts.insert(account, read(Some(value)));
            }
            None => settings.provider = read(Some(value)),
        }
    }
    Ok(settings)
}

/// A provider can name an account that does not exist.
async fn exists(work: &(dyn OperationsUse + '_), realm: Realm) -> Result<(), SettingsError> {
    if realm.exists(work).await? { Ok(()) } else { Err(SettingsError::NotFound) }
}

/// Settings that cannot be read are the defaults: an alert too many is better than none.
fn read<T: DeserializeOwned + Default>(value: Option<Value>) -> T {
    value.and_then(|value| serde_json::from_value(value).ok()).unwrap_or_default()
}

fn value(settings: &impl Serialize) -> Result<Value, StoreError> {
    serde_json::to_value(settings).map_err(|error| StoreError::Refused(Box::new(error)))
}

/// Those who answer for a realm.
async fn owners(work: &(dyn OperationsUse + '_), realm: Realm) -> Result<Vec<String>, StoreError> {
    let role = match realm {
        Realm::Account(_) => Role::Customer,
        Realm::Provider(_) => Role::ProviderAdmin,
    };
    let users = work.users(realm).list(PageRequest::new(Some(200), None)).await?;
    let owners = users.items.into_iter().filter(|user| user.active && user.role == role);
    Ok(owners.map(|user| user.email).take(usize::from(MOST_OWNERS)).collect())
}
