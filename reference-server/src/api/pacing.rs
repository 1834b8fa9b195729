//! How devices are paced, and why they wait.

use kabar::Platform;
use kabar::core::permission::{ReadDevices, ReadSettings, WriteSettings};
use kabar::core::{DeviceId, Timestamp};
use kabar::devices::pacing::{
    AccountPacing, Batch, Delay, FrequencyCap, PacingSettings, QuietChoice, QuietHours, Retry,
    TimeOfDay, WarmUp, WarmUpPlan,
};
use kabar::messaging::pacing::{Hold, Usage};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::Answer;
use super::body::JsonBody;
use super::device_health::DeviceHealthView;
use super::words::Word;
use crate::auth::{Auth, InAccount};
use crate::problem::Problem;

/// How a device paces what it sends; what is absent is off. `careful` is for numbers on unofficial
/// channels.
#[derive(Debug, Clone, Default, Object, Deserialize)]
#[oai(rename = "Pacing", default)]
#[serde(deny_unknown_fields, default)]
pub struct PacingBody {
    /// Fills in what is absent below: `careful` has 8 to 15 seconds and up to 5 more between two
    /// messages, 50 an hour, 300 a day, 5 minutes of rest after 20, and 3 retries after 10 minutes.
    /// It is not shown again: the knobs are.
    #[oai(skip_serializing_if_is_none)]
    pub preset: Option<PresetWord>,
    /// The pause between two messages. Answers and one-time passwords do not wait for it.
    pub delay: Option<DelayBody>,
    /// Sends in any 60 minutes, at most. Answers count too.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    pub hourly: Option<u32>,
    /// Sends in any 24 hours, at most. Answers count too.
    #[oai(validator(minimum(value = "1"), maximum(value = "1000000")))]
    pub daily: Option<u32>,
    /// A rest after so many messages. Answers and one-time passwords do not wait for it.
    pub batch: Option<BatchBody>,
    /// Sends a second, at most; the channel's own figure (Cloud API: 80) when absent, no limit at 0.
    #[oai(validator(maximum(value = "1000")))]
    pub per_second: Option<u32>,
    /// How failed tries are repeated; growing waits, twelve tries in all, when absent.
    pub retry: Option<RetryBody>,
    /// Whose quiet hours it keeps.
    pub quiet: QuietWord,
    /// With `own`: the hours.
    pub quiet_hours: Option<QuietHoursBody>,
    /// How a new number of a paired device gets used to writing to people who never wrote to it.
    pub warm_up: WarmUpWord,
    /// With `own`: the plan.
    pub warm_up_plan: Option<WarmUpPlanBody>,
}

/// A set of knobs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum PresetWord {
    /// No pause and no cap of ours.
    CloudApi,
    /// For numbers on unofficial channels.
    Careful,
}

/// The pause between two messages: somewhere from min to max, and up to jitter more.
#[derive(Debug, Clone, Copy, Object, Deserialize)]
#[oai(rename = "PacingDelay")]
#[serde(deny_unknown_fields)]
pub struct DelayBody {
    /// Seconds, at least.
    pub min_seconds: u32,
    /// Seconds, at most, before jitter.
    pub max_seconds: u32,
    /// Seconds of jitter, at most.
    #[oai(default)]
    #[serde(default)]
    pub jitter_seconds: u32,
}

/// A rest after so many messages.
#[derive(Debug, Clone, Copy, Object, Deserialize)]
#[oai(rename = "PacingBatch")]
#[serde(deny_unknown_fields)]
pub struct BatchBody {
    /// Messages between two rests.
    pub size: u32,
    /// Seconds of rest.
    pub rest_seconds: u32,
}

/// How failed tries are repeated.
#[derive(Debug, Clone, Copy, Object, Deserialize)]
#[oai(rename = "PacingRetry")]
#[serde(deny_unknown_fields)]
pub struct RetryBody {
    /// Tries after the first.
    pub times: u32,
    /// Seconds between two tries, unless the network asks for more.
    pub after_seconds: u32,
}

/// Whose quiet hours a device keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum QuietWord {
    /// Its account's.
    #[default]
    Account,
    /// None.
    Off,
    /// Its own.
    Own,
}

/// How a new number gets used to writing to new contacts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Enum, Deserialize)]
#[oai(rename_all = "snake_case")]
#[serde(rename_all = "snake_case")]
pub enum WarmUpWord {
    /// On paired devices 20 messages to new contacts on the first day and half as many more each day,
    /// for two weeks; nothing on others.
    #[default]
    Usual,
    /// Not at all.
    Off,
    /// By its own plan.
    Own,
}

/// So many messages to people who never wrote on the day on which a number connected first, more each
/// day, any number after the last one. Days are the account's.
#[derive(Debug, Clone, Copy, Object, Deserialize)]
#[oai(rename = "WarmUpPlan")]
#[serde(deny_unknown_fields)]
pub struct WarmUpPlanBody {
    /// Days, 1 to 90.
    pub days: u32,
    /// Messages to new contacts on the first day, 1 to 10000.
    pub first_day: u32,
    /// By how many percent a day has more than the one before, 0 to 200.
    pub growth_percent: u32,
}

impl From<WarmUpPlan> for WarmUpPlanBody {
    fn from(plan: WarmUpPlan) -> Self {
        let WarmUpPlan { days, first_day, growth_percent } = plan;
        Self { days, first_day, growth_percent }
    }
}

/// The warm-up that two fields say.
fn warm_up(word: WarmUpWord, plan: Option<WarmUpPlanBody>) -> Result<WarmUp, Problem> {
    let field = "settings.pacing.warm_up_plan";
    match (word, plan) {
        (WarmUpWord::Usual, None) => Ok(WarmUp::Usual),
        (WarmUpWord::Off, None) => Ok(WarmUp::Off),
        (WarmUpWord::Own, Some(plan)) => {
            let WarmUpPlanBody { days, first_day, growth_percent } = plan;
            Ok(WarmUp::Own(WarmUpPlan { days, first_day, growth_percent }))
        }
        (WarmUpWord::Own, None) => {
            Err(Problem::invalid(field, "must be there when `warm_up` is `own`"))
        }
        (_, Some(_)) => Err(Problem::invalid(field, "must be absent unless `warm_up` is `own`")),
    }
}

/// Hours of the account's day in which offers are not sent; answers and one-time passwords are.
#[derive(Debug, Clone, Object, Deserialize)]
#[oai(rename = "QuietHours")]
#[serde(deny_unknown_fields)]
pub struct QuietHoursBody {
    /// When they begin, `HH:MM` in the account's time zone.
    pub from: String,
    /// When they end; before `from`, they last over midnight.
    pub to: String,
    /// Whether notices (purpose `service`) are quiet too.
    #[oai(default)]
    #[serde(default)]
    pub service: bool,
}

impl From<QuietHours> for QuietHoursBody {
    fn from(hours: QuietHours) -> Self {
        Self { from: hours.from.to_string(), to: hours.to.to_string(), service: hours.service }
    }
}

impl QuietHoursBody {
    /// The hours; `place` is the field that holds them.
    pub fn hours(&self, place: &str) -> Result<QuietHours, Problem> {
        let time = |field: &str, text: &str| {
            text.parse::<TimeOfDay>()
                .map_err(|error| Problem::invalid(format!("{place}.{field}"), error.to_string()))
        };
        let (from, to) = (time("from", &self.from)?, time("to", &self.to)?);
        Ok(QuietHours { from, to, service: self.service })
    }
}

impl From<PacingSettings> for PacingBody {
    fn from(pacing: PacingSettings) -> Self {
        let (quiet, quiet_hours) = match pacing.quiet {
            QuietChoice::Own(hours) => (QuietWord::Own, Some(hours.into())),
            QuietChoice::Off => (QuietWord::Off, None),
            _ => (QuietWord::Account, None),
        };
        let (warm_up, warm_up_plan) = match pacing.warm_up {
            WarmUp::Own(plan) => (WarmUpWord::Own, Some(plan.into())),
            WarmUp::Off => (WarmUpWord::Off, None),
            _ => (WarmUpWord::Usual, None),
        };
        Self {
            preset: None,
            delay: pacing.delay.map(|delay| DelayBody {
                min_seconds: delay.min_seconds,
                max_seconds: delay.max_seconds,
                jitter_seconds: delay.jitter_seconds,
            }),
            hourly: pacing.hourly,
            daily: pacing.daily,
            batch: pacing
                .batch
                .map(|batch| BatchBody { size: batch.size, rest_seconds: batch.rest_seconds }),
            per_second: pacing.per_second,
            retry: pacing
                .retry
                .map(|retry| RetryBody { times: retry.times, after_seconds: retry.after_seconds }),
            quiet,
            quiet_hours,
            warm_up,
            warm_up_plan,
        }
    }
}

impl TryFrom<PacingBody> for PacingSettings {
    type Error = Problem;

    fn try_from(body: PacingBody) -> Result<Self, Problem> {
        let field = "settings.pacing.quiet_hours";
        let quiet = match (body.quiet, &body.quiet_hours) {
            (QuietWord::Account, None) => QuietChoice::Account,
            (QuietWord::Off, None) => QuietChoice::Off,
            (QuietWord::Own, Some(hours)) => QuietChoice::Own(hours.hours(field)?),
            (QuietWord::Own, None) => {
                return Err(Problem::invalid(field, "must be there when `quiet` is `own`"));
            }
            (_, Some(_)) => {
                return Err(Problem::invalid(field, "must be absent unless `quiet` is `own`"));
            }
        };
        let preset = match body.preset {
            Some(PresetWord::Careful) => Self::careful(),
            Some(PresetWord::CloudApi) | None => Self::default(),
        };
        let delay = body.delay.map(|delay| Delay {
            min_seconds: delay.min_seconds,
            max_seconds: delay.max_seconds,
            jitter_seconds: delay.jitter_seconds,
        });
        let batch =
            body.batch.map(|batch| Batch { size: batch.size, rest_seconds: batch.rest_seconds });
        let retry = body
            .retry
            .map(|retry| Retry { times: retry.times, after_seconds: retry.after_seconds });
        Ok(Self {
            delay: delay.or(preset.delay),
            hourly: body.hourly.or(preset.hourly),
            daily: body.daily.or(preset.daily),
            batch: batch.or(preset.batch),
            per_second: body.per_second.or(preset.per_second),
            retry: retry.or(preset.retry),
            quiet,
            warm_up: warm_up(body.warm_up, body.warm_up_plan)?,
        })
    }
}

/// At most so many offers to one contact in any such time, over all devices of the account.
#[derive(Debug, Clone, Copy, Object, Deserialize)]
#[oai(rename = "FrequencyCap")]
#[serde(deny_unknown_fields)]
pub struct FrequencyCapBody {
    /// Messages with the purpose `marketing`.
    pub most: u32,
    /// In any so many seconds, at most 30 days.
    pub per_seconds: u32,
}

/// What an account sets for all its devices; what is absent is off.
#[derive(Debug, Clone, Default, Object, Deserialize)]
#[oai(rename = "AccountPacing", default)]
#[serde(deny_unknown_fields, default)]
pub struct AccountPacingBody {
    /// When offers are not sent, in the account's time zone.
    pub quiet_hours: Option<QuietHoursBody>,
    /// How often one contact gets offers.
    pub frequency_cap: Option<FrequencyCapBody>,
}

impl From<AccountPacing> for AccountPacingBody {
    fn from(pacing: AccountPacing) -> Self {
        Self {
            quiet_hours: pacing.quiet_hours.map(QuietHoursBody::from),
            frequency_cap: pacing
                .frequency_cap
                .map(|cap| FrequencyCapBody { most: cap.most, per_seconds: cap.per_seconds }),
        }
    }
}

impl TryFrom<AccountPacingBody> for AccountPacing {
    type Error = Problem;

    fn try_from(body: AccountPacingBody) -> Result<Self, Problem> {
        let hours = body.quiet_hours.map(|hours| hours.hours("quiet_hours"));
        let cap = body
            .frequency_cap
            .map(|cap| FrequencyCap { most: cap.most, per_seconds: cap.per_seconds });
        Ok(Self { quiet_hours: hours.transpose()?, frequency_cap: cap })
    }
}

/// Something that a device waits for.
#[derive(Debug, Object)]
#[oai(rename = "Hold")]
pub struct HoldView {
    /// `pacing_delay`, `batch_rest`, `hourly_cap`, `daily_cap`, `quiet_hours` or `slowed_down`; for new
    /// contacts `new_contacts_paused` or `warm_up`.
    pub code: String,
    /// A sentence.
    pub text: String,
    /// Until when.
    pub until: Timestamp,
}

impl From<Hold> for HoldView {
    fn from(hold: Hold) -> Self {
        let reason = hold.reason();
        Self { code: reason.code, text: reason.text, until: hold.until }
    }
}

/// What a device has used, and what it waits for.
#[derive(Debug, Object)]
#[oai(rename = "PacingUsage")]
pub struct UsageView {
    /// Sends in the last 60 minutes; counted while the device has a cap.
    pub sent_last_hour: u64,
    /// Sends in the last 24 hours; counted while the device has a cap.
    pub sent_last_day: u64,
    /// Messages that wait on it.
    pub waiting: u64,
    /// When the next offer may go.
    pub next_offer_at: Timestamp,
    /// When the next answer or one-time password may go.
    pub next_reply_at: Timestamp,
    /// Everything that it waits for now, the longest wait first.
    pub holds: Vec<HoldView>,
}

impl From<Usage> for UsageView {
    fn from(usage: Usage) -> Self {
        Self {
            sent_last_hour: usage.last_hour,
            sent_last_day: usage.last_day,
            waiting: usage.waiting,
            next_offer_at: usage.next_offer_at,
            next_reply_at: usage.next_reply_at,
            holds: usage.holds.into_iter().map(HoldView::from).collect(),
        }
    }
}

/// The operations.
pub struct PacingApi(pub Platform);

#[OpenApi(tag = "Area::Devices")]
impl PacingApi {
    /// See how a device is paced
    ///
    /// What it has used of its caps, what it waits for, and when the next message may go. Needs
    /// `devices:read`.
    #[oai(path = "/devices/:id/pacing", method = "get", operation_id = "getDevicePacing")]
    async fn usage(
        &self,
        Auth(may): Auth<InAccount<ReadDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Answer<UsageView> {
        // Whether there is such a device is the devices' to say.
        self.0.devices().get(&may.grant, id.0.0).await?;
        Ok(Json(self.0.pacing().usage(&may.grant, id.0.0).await?.into()))
    }

    /// See how likely a device is to be banned
    ///
    /// What was found in its last days, each with its figure and with what to do, and what its ban
    /// guard does about messages to people who never wrote. Needs `devices:read`.
    #[oai(path = "/devices/:id/health", method = "get", operation_id = "getDeviceHealth")]
    async fn health(
        &self,
        Auth(may): Auth<InAccount<ReadDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Answer<DeviceHealthView> {
        // Whether there is such a device is the devices' to say.
        self.0.devices().get(&may.grant, id.0.0).await?;
        Ok(Json(self.0.pacing().health(&may.grant, id.0.0).await?.into()))
    }

    /// Get the account's quiet hours and frequency cap
    ///
    /// Needs `settings:read`.
    #[oai(path = "/account/pacing", method = "get", operation_id = "getAccountPacing")]
    async fn get(&self, Auth(may): Auth<InAccount<ReadSettings>>) -> Answer<AccountPacingBody> {
        Ok(Json(self.0.pacing_rules().get(&may.grant).await?.into()))
    }

    /// Replace the account's quiet hours and frequency cap
    ///
    /// What is absent is off. Answers and one-time passwords are never quiet. Needs
    /// `settings:write`.
    #[oai(path = "/account/pacing", method = "put", operation_id = "setAccountPacing")]
    async fn set(
        &self,
        Auth(may): Auth<InAccount<WriteSettings>>,
        body: JsonBody<AccountPacingBody>,
    ) -> Answer<AccountPacingBody> {
        let rules = self.0.pacing_rules().set(&may.grant, body.value.try_into()?).await?;
        Ok(Json(rules.into()))
    }
}
