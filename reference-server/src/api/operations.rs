//! How the installation is, and who is told when it is unwell.

use kabar::Platform;
use kabar::core::permission::{
    ReadDevices, ReadOperations, ReadSettings, WriteOperations, WriteSettings,
};
use kabar::core::{AccountId, AlertId, Cursor, DeviceId, Timestamp};
use kabar::operations::{
    AccountAlerts, Alert, Condition, DeviceVitals, Finding, Health, JobVitals, ProviderAlerts,
};
use poem_openapi::param::Query;
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Answer, Listed, page};
use super::body::JsonBody;
use super::words::Word;
use crate::auth::{Auth, InAccount, OverAll};

/// Something that is unwell and was told.
#[derive(Debug, Object)]
#[oai(rename = "Alert")]
pub struct AlertView {
    /// Its id.
    pub id: Word<AlertId>,
    /// What it is.
    pub condition: Word<Condition>,
    /// The device, where it is one's.
    pub device_id: Option<Word<DeviceId>>,
    /// A sentence.
    pub detail: String,
    /// Since when.
    pub since: Timestamp,
}

impl From<Alert> for AlertView {
    fn from(alert: Alert) -> Self {
        Self {
            id: Word(alert.id),
            condition: Word(alert.condition),
            device_id: alert.subject.device().map(Word),
            detail: alert.detail,
            since: alert.since,
        }
    }
}

/// An account's alerts: about its own devices.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "AccountAlerts")]
#[serde(deny_unknown_fields)]
pub struct AccountAlertsBody {
    /// Whether mails are sent; events are written in any case.
    pub mail: bool,
    /// To whom; the account's users with the role `customer` when empty.
    #[oai(validator(max_items = 10))]
    pub emails: Vec<String>,
    /// Minutes for which a device must be down, or of low quality.
    #[oai(validator(minimum(value = "1"), maximum(value = "10080")))]
    pub device_minutes: u32,
    /// Minutes for which a chat must wait although nothing holds it back.
    #[oai(validator(minimum(value = "1"), maximum(value = "10080")))]
    pub queue_minutes: u32,
    /// Messages that must become uncertain within an hour.
    #[oai(validator(minimum(value = "1")))]
    pub uncertain_per_hour: u32,
}

impl From<AccountAlerts> for AccountAlertsBody {
    fn from(alerts: AccountAlerts) -> Self {
        Self {
            mail: alerts.mail,
            emails: alerts.emails,
            device_minutes: alerts.device_minutes,
            queue_minutes: alerts.queue_minutes,
            uncertain_per_hour: alerts.uncertain_per_hour,
        }
    }
}

impl From<AccountAlertsBody> for AccountAlerts {
    fn from(body: AccountAlertsBody) -> Self {
        Self {
            mail: body.mail,
            emails: body.emails,
            device_minutes: body.device_minutes,
            queue_minutes: body.queue_minutes,
            uncertain_per_hour: body.uncertain_per_hour,
        }
    }
}

/// The provider's alerts: about the installation.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "ProviderAlerts")]
#[serde(deny_unknown_fields)]
pub struct ProviderAlertsBody {
    /// Whether mails are sent.
    pub mail: bool,
    /// To whom; the provider's administrators when empty.
    #[oai(validator(max_items = 10))]
    pub emails: Vec<String>,
    /// Minutes for which a job must wait.
    #[oai(validator(minimum(value = "1"), maximum(value = "10080")))]
    pub jobs_minutes: u32,
    /// Items that must be quarantined within an hour.
    #[oai(validator(minimum(value = "1")))]
    pub quarantine_per_hour: u32,
    /// Percent of the disk that must be left.
    #[oai(validator(minimum(value = "1"), maximum(value = "99")))]
    pub disk_percent: u32,
}

impl From<ProviderAlerts> for ProviderAlertsBody {
    fn from(alerts: ProviderAlerts) -> Self {
        Self {
            mail: alerts.mail,
            emails: alerts.emails,
            jobs_minutes: alerts.jobs_minutes,
            quarantine_per_hour: alerts.quarantine_per_hour,
            disk_percent: alerts.disk_percent,
        }
    }
}

impl From<ProviderAlertsBody> for ProviderAlerts {
    fn from(body: ProviderAlertsBody) -> Self {
        Self {
            mail: body.mail,
            emails: body.emails,
            jobs_minutes: body.jobs_minutes,
            quarantine_per_hour: body.quarantine_per_hour,
            disk_percent: body.disk_percent,
        }
    }
}

/// Something that is unwell now, whether it was told or not.
#[derive(Debug, Object)]
#[oai(rename = "Finding")]
pub struct FindingView {
    /// What it is.
    pub condition: Word<Condition>,
    /// The account, where it is one's.
    pub account_id: Option<Word<AccountId>>,
    /// The device, where it is one's.
    pub device_id: Option<Word<DeviceId>>,
    /// A sentence.
    pub detail: String,
}

impl From<Finding> for FindingView {
    fn from(finding: Finding) -> Self {
        Self {
            condition: Word(finding.condition),
            account_id: finding.subject.account().map(Word),
            device_id: finding.subject.device().map(Word),
            detail: finding.detail,
        }
    }
}

/// Messages in their lines.
#[derive(Debug, Object)]
#[oai(rename = "OutboxCount")]
pub struct OutboxView {
    /// Their status.
    pub status: String,
    /// How many.
    pub count: u64,
}

/// Jobs of one name.
#[derive(Debug, Object)]
#[oai(rename = "JobCount")]
pub struct JobView {
    /// Their name.
    pub name: String,
    /// How many wait or run.
    pub waiting: u64,
    /// How many were given up.
    pub buried: u64,
    /// When the first of those that wait was due.
    pub oldest_due: Option<Timestamp>,
}

impl From<JobVitals> for JobView {
    fn from(job: JobVitals) -> Self {
        Self {
            name: job.name,
            waiting: job.waiting,
            buried: job.buried,
            oldest_due: job.oldest_due,
        }
    }
}

/// A device that is unwell, or whose chats wait.
#[derive(Debug, Object)]
#[oai(rename = "DeviceHealth")]
pub struct DeviceHealthView {
    /// The device.
    pub device_id: Word<DeviceId>,
    /// Its account.
    pub account_id: Word<AccountId>,
    /// The word for its state.
    pub state: String,
    /// The network's word for its quality.
    pub quality: Option<String>,
    /// How likely a paired device is to be banned: `good`, `watch` or `poor`; null where nobody looked.
    pub health: Option<String>,
    /// Since when its longest-waiting chat could go on, where nothing holds it back.
    pub oldest_ready: Option<Timestamp>,
}

impl From<DeviceVitals> for DeviceHealthView {
    fn from(device: DeviceVitals) -> Self {
        Self {
            device_id: Word(device.device),
            account_id: Word(device.account),
            state: device.state,
            quality: device.quality,
            health: device.health.map(|word| word.to_string()),
            oldest_ready: device.oldest_ready,
        }
    }
}

/// How the installation is.
#[derive(Debug, Object)]
#[oai(rename = "Health")]
pub struct HealthView {
    /// Whether nothing is unwell.
    pub well: bool,
    /// What is unwell now, whether it was told or not.
    pub findings: Vec<FindingView>,
    /// Messages in their lines, by status.
    pub outbox: Vec<OutboxView>,
    /// Since when the longest-waiting chat could go on, where nothing holds it back.
    pub oldest_ready: Option<Timestamp>,
    /// Devices that are unwell, or whose chats wait: 1,000 at most.
    pub devices: Vec<DeviceHealthView>,
    /// Jobs, by name.
    pub jobs: Vec<JobView>,
    /// What came in and could not be read.
    pub quarantined: u64,
    /// Bytes that are left on the disk of the files.
    pub disk_free: Option<u64>,
    /// All bytes of that disk.
    pub disk_total: Option<u64>,
}

impl From<Health> for HealthView {
    fn from(health: Health) -> Self {
        let vitals = health.vitals;
        Self {
            well: health.findings.is_empty(),
            findings: health.findings.into_iter().map(FindingView::from).collect(),
            outbox: vitals
                .outbox
                .into_iter()
                .map(|(status, count)| OutboxView { status, count })
                .collect(),
            oldest_ready: vitals.oldest_ready,
            devices: vitals.devices.into_iter().map(DeviceHealthView::from).collect(),
            jobs: vitals.jobs.into_iter().map(JobView::from).collect(),
            quarantined: vitals.quarantined,
            disk_free: health.space.map(|space| space.free),
            disk_total: health.space.map(|space| space.total),
        }
    }
}

/// The operations.
pub struct OperationsApi(pub Platform);

#[OpenApi(tag = "Area::Operations")]
impl OperationsApi {
    /// Get the installation's health
    ///
    /// Queues, jobs, devices and the disk, and what of it is unwell. Needs `operations:read`; for the
    /// provider.
    #[oai(path = "/operations/health", method = "get", operation_id = "getHealth")]
    async fn health(&self, Auth(may): Auth<OverAll<ReadOperations>>) -> Answer<HealthView> {
        Ok(Json(self.0.watch().health(may.scope).await?.into()))
    }

    /// Get the installation's alert settings
    ///
    /// Needs `operations:read`; for the provider.
    #[oai(path = "/operations/alerts", method = "get", operation_id = "getProviderAlerts")]
    async fn provider(
        &self,
        Auth(may): Auth<OverAll<ReadOperations>>,
    ) -> Answer<ProviderAlertsBody> {
        Ok(Json(self.0.watch().provider_settings(may.scope).await?.into()))
    }

    /// Set the installation's alert settings
    ///
    /// Needs `operations:write`; for the provider.
    #[oai(path = "/operations/alerts", method = "put", operation_id = "setProviderAlerts")]
    async fn set_provider(
        &self,
        Auth(may): Auth<OverAll<WriteOperations>>,
        body: JsonBody<ProviderAlertsBody>,
    ) -> Answer<ProviderAlertsBody> {
        let settings = body.value.into();
        Ok(Json(self.0.watch().set_provider_settings(may.scope, settings).await?.into()))
    }

    /// List alerts
    ///
    /// What is unwell of the account's devices and was told, newest first. Needs `devices:read`.
    #[oai(path = "/alerts", method = "get", operation_id = "listAlerts")]
    async fn alerts(
        &self,
        Auth(may): Auth<InAccount<ReadDevices>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<AlertView>> {
        Ok(Listed::of(self.0.watch().list(&may.grant, page(limit.0, after.0)).await?))
    }

    /// Get the account's alert settings
    ///
    /// Needs `settings:read`.
    #[oai(path = "/alerts/settings", method = "get", operation_id = "getAccountAlerts")]
    async fn account(&self, Auth(may): Auth<InAccount<ReadSettings>>) -> Answer<AccountAlertsBody> {
        Ok(Json(self.0.watch().account_settings(&may.grant).await?.into()))
    }

    /// Set the account's alert settings
    ///
    /// Needs `settings:write`.
    #[oai(path = "/alerts/settings", method = "put", operation_id = "setAccountAlerts")]
    async fn set_account(
        &self,
        Auth(may): Auth<InAccount<WriteSettings>>,
        body: JsonBody<AccountAlertsBody>,
    ) -> Answer<AccountAlertsBody> {
        let settings = body.value.into();
        Ok(Json(self.0.watch().set_account_settings(&may.grant, settings).await?.into()))
    }
}
