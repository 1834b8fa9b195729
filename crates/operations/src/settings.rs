//! Who is told, and from when on.

use kabar_accounts::Invalid;
use kabar_accounts::check;
use kabar_core::StoreError;
use serde::{Deserialize, Serialize};

/// Addresses of one list at most.
const MOST_EMAILS: usize = 10;
/// The longest patience: a week, in minutes.
const LONGEST: u32 = 7 * 24 * 60;

/// Why settings cannot be had or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// There is no such account.
    #[error("no such account")]
    NotFound,
    /// A field cannot be stored.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// An account's alerts: about its own devices. Old stored forms keep reading.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountAlerts {
    /// Whether mails are sent; events are written in any case.
    pub mail: bool,
    /// To whom; the account's owners when empty.
    pub emails: Vec<String>,
    /// Minutes for which a device must be down, or of low quality.
    pub device_minutes: u32,
    /// Minutes for which a chat must wait although nothing holds it back.
    pub queue_minutes: u32,
    /// Messages that must become uncertain within an hour.
    pub uncertain_per_hour: u32,
}

impl Default for AccountAlerts {
    fn default() -> Self {
        Self {
            mail: true,
            emails: Vec::new(),
            device_minutes: 5,
            queue_minutes: 10,
            uncertain_per_hour: 10,
        }
    }
}

/// The provider's alerts: about the installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ProviderAlerts {
    /// Whether mails are sent.
    pub mail: bool,
    /// To whom; the provider's administrators when empty.
    pub emails: Vec<String>,
    /// Minutes for which a job must wait.
    pub jobs_minutes: u32,
    /// Items that must be quarantined within an hour.
    pub quarantine_per_hour: u32,
    /// Percent of the disk that must be left.
    pub disk_percent: u32,
}

impl Default for ProviderAlerts {
    fn default() -> Self {
        Self {
            mail: true,
            emails: Vec::new(),
            jobs_minutes: 15,
            quarantine_per_hour: 20,
            disk_percent: 10,
        }
    }
}

impl AccountAlerts {
    /// The same with addresses in lower case.
    ///
    /// # Errors
    /// Names the field that is out of its bounds.
    pub fn checked(mut self) -> Result<Self, Invalid> {
        self.emails = emails(&self.emails)?;
        within("device_minutes", self.device_minutes, LONGEST)?;
        within("queue_minutes", self.queue_minutes, LONGEST)?;
        within("uncertain_per_hour", self.uncertain_per_hour, u32::MAX)?;
        Ok(self)
    }
}

impl ProviderAlerts {
    /// The same with addresses in lower case.
    ///
    /// # Errors
    /// Names the field that is out of its bounds.
    pub fn checked(mut self) -> Result<Self, Invalid> {
        self.emails = emails(&self.emails)?;
        within("jobs_minutes", self.jobs_minutes, LONGEST)?;
        within("quarantine_per_hour", self.quarantine_per_hour, u32::MAX)?;
        within("disk_percent", self.disk_percent, 99)?;
        Ok(self)
    }
}

fn emails(list: &[String]) -> Result<Vec<String>, Invalid> {
    if list.len() > MOST_EMAILS {
        return Err(Invalid {
            field: "emails",
            problem: format!("at most {MOST_EMAILS} addresses"),
        });
    }
    let checked = list.iter().map(|text| check::email(text));
    checked.collect::<Result<_, _>>().map_err(|wrong| Invalid { field: "emails", ..wrong })
}

fn within(field: &'static str, value: u32, most: u32) -> Result<(), Invalid> {
    if (1..=most).contains(&value) {
        return Ok(());
    }
    Err(Invalid { field, problem: format!("must be 1 to {most}") })
}
