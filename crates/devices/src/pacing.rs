//! How a device paces what it sends, and when its tenant wants it quiet. The pacer of
//! `kabar-messaging` obeys; this is what can be set.

use std::fmt;
use std::str::FromStr;

use kabar_accounts::Invalid;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Minutes of a day.
const DAY_MINUTES: u16 = 24 * 60;
/// A day, in seconds.
const DAY: u32 = 24 * 60 * 60;
/// A message is tried twelve times at most.
const MOST_RETRIES: u32 = 11;
/// More than any number sends in a day: Meta's highest throughput is 1,000 a second.
const MOST_SENDS: u32 = 1_000_000;

/// How a device paces what it sends. Every knob is off when absent; the default is what suits the
/// Cloud API, where Meta keeps the limits: no pause of ours, and the channel's own throughput.
///
/// Answers and one-time passwords wait for no delay and no rest, but they count in the caps and
/// wait for them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PacingSettings {
    /// The pause between two messages.
    pub delay: Option<Delay>,
    /// Sends in any 60 minutes, at most.
    pub hourly: Option<u32>,
    /// Sends in any 24 hours, at most.
    pub daily: Option<u32>,
    /// A rest after so many messages.
    pub batch: Option<Batch>,
    /// Sends a second, at most; the channel's own figure when absent, no limit at 0.
    pub per_second: Option<u32>,
    /// How failed tries are repeated; the usual growing waits when absent.
    pub retry: Option<Retry>,
    /// When offers are not sent.
    pub quiet: QuietChoice,
    /// How a new number gets used to writing to people who never wrote to it.
    pub warm_up: WarmUp,
}

/// The pause between two messages: somewhere from `min` to `max`, and up to `jitter` more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Delay {
    /// Seconds, at least.
    pub min_seconds: u32,
    /// Seconds, at most, before jitter.
    pub max_seconds: u32,
    /// Seconds of jitter, at most.
    #[serde(default)]
    pub jitter_seconds: u32,
}

/// A rest after so many messages. A pause that is as long as the rest is one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// Messages between two rests.
    pub size: u32,
    /// Seconds of rest.
    pub rest_seconds: u32,
}

/// How failed tries are repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// Tries after the first.
    pub times: u32,
    /// Seconds between two tries, unless the network asks for more.
    pub after_seconds: u32,
}

/// Whose quiet hours a device keeps.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "hours", rename_all = "snake_case")]
#[non_exhaustive]
pub enum QuietChoice {
    /// Its account's.
    #[default]
    Account,
    /// None.
    Off,
    /// Its own.
    Own(QuietHours),
}

/// How a new number gets used to writing to people who never wrote to it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "plan", rename_all = "snake_case")]
#[non_exhaustive]
pub enum WarmUp {
    /// [`WarmUpPlan::USUAL`] on paired devices, nothing on others.
    #[default]
    Usual,
    /// Not at all.
    Off,
    /// By a plan of its own; on paired devices only.
    Own(WarmUpPlan),
}

impl WarmUp {
    /// The plan of a paired device.
    pub const fn plan(self) -> Option<WarmUpPlan> {
        match self {
            Self::Usual => Some(WarmUpPlan::USUAL),
            Self::Off => None,
            Self::Own(plan) => Some(plan),
        }
    }
}

/// So many messages to new contacts on the day on which a number connected first, more each day, and
/// any number after the last day. Days are the account's, by its time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WarmUpPlan {
    /// Days.
    pub days: u32,
    /// Messages to new contacts on the first day.
    pub first_day: u32,
    /// By how many percent a day has more than the one before.
    pub growth_percent: u32,
}

impl WarmUpPlan {
    /// 20, 30, 45, 67, 100, 150, 225, 337 … for two weeks. WhatsApp says no figures. New numbers are
    /// reported to be locked or banned after 17 to 20 messages to strangers on one day (yowsup #63,
    /// `WebWhatsapp-Wrapper` #416, alright #136), which is why the first day has 20; the growth is
    /// below the 1.8 of `baileys-antiban`, and after a week the usual 300 a day of
    /// [`PacingSettings::careful`] are less than the plan.
    pub const USUAL: Self = Self { days: 14, first_day: 20, growth_percent: 50 };

    /// How many messages to new contacts a day of the plan has, the first being 1; `None` after the
    /// last.
    pub fn most(&self, day: u32) -> Option<u32> {
        if day > self.days {
            return None;
        }
        let grown = |most: u64, _| {
            let more = most.saturating_mul(100 + u64::from(self.growth_percent)) / 100;
            more.min(u64::from(MOST_SENDS))
        };
        let most = (1..day).fold(u64::from(self.first_day), grown);
        u32::try_from(most).ok()
    }
}

/// Hours of the account's day in which offers are not sent; never answers and one-time passwords.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuietHours {
    /// When they begin.
    pub from: TimeOfDay,
    /// When they end; before `from`, they last over midnight.
    pub to: TimeOfDay,
    /// Whether notices (purpose `service`) are quiet too.
    #[serde(default)]
    pub service: bool,
}

/// At most so many marketing messages to one contact, over all devices of the account.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FrequencyCap {
    /// Messages.
    pub most: u32,
    /// In any so many seconds.
    pub per_seconds: u32,
}

/// What an account sets for all its devices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct AccountPacing {
    /// When offers are not sent, in the account's time zone.
    pub quiet_hours: Option<QuietHours>,
    /// How often one contact gets offers.
    pub frequency_cap: Option<FrequencyCap>,
}

impl PacingSettings {
    /// For numbers on unofficial channels, which are banned for sending like a machine: 8 to 15
    /// seconds and up to 5 more between messages, 50 an hour, 300 a day, 5 minutes of rest after 20,
    /// 3 retries after 10 minutes.
    pub fn careful() -> Self {
        Self {
            delay: Some(Delay { min_seconds: 8, max_seconds: 15, jitter_seconds: 5 }),
            hourly: Some(50),
            daily: Some(300),
            batch: Some(Batch { size: 20, rest_seconds: 5 * 60 }),
            per_second: None,
            retry: Some(Retry { times: 3, after_seconds: 10 * 60 }),
            quiet: QuietChoice::Account,
            warm_up: WarmUp::Usual,
        }
    }

    /// Whether the settings can be taken.
    ///
    /// # Errors
    /// [`Invalid`] with the first field that cannot.
    pub fn check(&self) -> Result<(), Invalid> {
        if let Some(delay) = self.delay {
            bound("settings.pacing.delay.min_seconds", delay.min_seconds, 0, 3600)?;
            bound("settings.pacing.delay.max_seconds", delay.max_seconds, delay.min_seconds, 3600)?;
            bound("settings.pacing.delay.jitter_seconds", delay.jitter_seconds, 0, 3600)?;
        }
        let caps = [("settings.pacing.hourly", self.hourly), ("settings.pacing.daily", self.daily)];
        for (field, cap) in caps {
            cap.map_or(Ok(()), |cap| bound(field, cap, 1, MOST_SENDS))?;
        }
        if let Some(batch) = self.batch {
            bound("settings.pacing.batch.size", batch.size, 1, MOST_SENDS)?;
            bound("settings.pacing.batch.rest_seconds", batch.rest_seconds, 1, DAY)?;
        }
        if let Some(per_second) = self.per_second {
            bound("settings.pacing.per_second", per_second, 0, 1_000)?;
        }
        if let Some(retry) = self.retry {
            bound("settings.pacing.retry.times", retry.times, 0, MOST_RETRIES)?;
            bound("settings.pacing.retry.after_seconds", retry.after_seconds, 1, DAY)?;
        }
        if let WarmUp::Own(plan) = self.warm_up {
            bound("settings.pacing.warm_up_plan.days", plan.days, 1, 90)?;
            bound("settings.pacing.warm_up_plan.first_day", plan.first_day, 1, 10_000)?;
            bound("settings.pacing.warm_up_plan.growth_percent", plan.growth_percent, 0, 200)?;
        }
        match self.quiet {
            QuietChoice::Own(hours) => hours.check("settings.pacing.quiet_hours"),
            _ => Ok(()),
        }
    }
}

impl QuietHours {
    fn check(self, field: &'static str) -> Result<(), Invalid> {
        if self.from == self.to {
            let problem = "must begin and end at different times; leave it out for no quiet hours";
            return Err(Invalid::new(field, problem));
        }
        Ok(())
    }

    /// Whether a time of the local day, in minutes since midnight, is quiet.
    pub const fn covers(&self, minute: u16) -> bool {
        if self.from.0 < self.to.0 {
            self.from.0 <= minute && minute < self.to.0
        } else {
            self.from.0 <= minute || minute < self.to.0
        }
    }
}

impl AccountPacing {
    /// Whether the settings can be taken.
    ///
    /// # Errors
    /// [`Invalid`] with the first field that cannot.
    pub fn check(&self) -> Result<(), Invalid> {
        if let Some(hours) = self.quiet_hours {
            hours.check("quiet_hours")?;
        }
        if let Some(cap) = self.frequency_cap {
            bound("frequency_cap.most", cap.most, 1, 1_000)?;
            bound("frequency_cap.per_seconds", cap.per_seconds, 1, 30 * DAY)?;
        }
        Ok(())
    }
}

fn bound(field: &'static str, value: u32, least: u32, most: u32) -> Result<(), Invalid> {
    if (least..=most).contains(&value) {
        return Ok(());
    }
    Err(Invalid::new(field, format!("must be {least} to {most}")))
}

/// A time of the day to the minute, `HH:MM`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Minutes since midnight.
    pub const fn minutes(self) -> u16 {
        self.0
    }
}

/// A text that is no time of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be a time of the day from 00:00 to 23:59, like 21:30")]
pub struct NoTimeOfDay;

impl FromStr for TimeOfDay {
    type Err = NoTimeOfDay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (hours, minutes) = text.split_once(':').ok_or(NoTimeOfDay)?;
        let number = |text: &str, most: u16| {
            let digits = text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
            text.parse().ok().filter(|number: &u16| digits && *number <= most).ok_or(NoTimeOfDay)
        };
        let minutes = number(hours, 23)? * 60 + number(minutes, 59)?;
        if minutes < DAY_MINUTES { Ok(Self(minutes)) } else { Err(NoTimeOfDay) }
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

impl Serialize for TimeOfDay {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for TimeOfDay {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut PacingSettings)) -> Option<&'static str> {
        let mut settings = PacingSettings::careful();
        change(&mut settings);
        settings.check().err().map(|invalid| invalid.field)
    }

    #[test]
    fn settings_are_bounded_and_name_their_field() {
        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|s| *s = PacingSettings::default()), None);
        assert_eq!(refused(|s| s.hourly = Some(0)), Some("settings.pacing.hourly"));
        let upside_down = Delay { min_seconds: 9, max_seconds: 8, jitter_seconds: 0 };
        assert_eq!(
            refused(|s| s.delay = Some(upside_down)),
            Some("settings.pacing.delay.max_seconds")
        );
        assert_eq!(
            refused(|s| s.batch = Some(Batch { size: 1, rest_seconds: 0 })),
            Some("settings.pacing.batch.rest_seconds")
        );
        assert_eq!(refused(|s| s.per_second = Some(1_001)), Some("settings.pacing.per_second"));
    }

    #[test]
    fn old_settings_and_half_settings_can_be_read() {
        let read: PacingSettings = serde_json::from_str(r#"{"hourly": 5}"#).expect("it reads");
        assert_eq!(read, PacingSettings { hourly: Some(5), ..PacingSettings::default() });
        let careful = serde_json::to_value(PacingSettings::careful()).expect("it writes");
        let read: PacingSettings = serde_json::from_value(careful).expect("it reads");
        assert_eq!(read, PacingSettings::careful());
    }

    #[test]
    fn a_plan_grows_day_by_day_and_ends() {
        let days: Vec<_> = (1..=8).map(|day| WarmUpPlan::USUAL.most(day)).collect();
        assert_eq!(days, [20, 30, 45, 67, 100, 150, 225, 337].map(Some));
        assert!(WarmUpPlan::USUAL.most(14).is_some());
        assert_eq!(WarmUpPlan::USUAL.most(15), None);
        let steep = WarmUpPlan { days: 90, first_day: 10_000, growth_percent: 200 };
        assert_eq!(steep.most(90), Some(MOST_SENDS));
        let mut settings = PacingSettings::careful();
        settings.warm_up = WarmUp::Own(WarmUpPlan { days: 0, ..WarmUpPlan::USUAL });
        let refused = settings.check().expect_err("no plan has no days");
        assert_eq!(refused.field, "settings.pacing.warm_up_plan.days");
    }

    #[test]
    fn times_of_the_day_are_strict_and_hours_wrap() {
        for text in ["24:00", "7:00", "07:60", "0700", "", "-1:00", "07:0é"] {
            assert_eq!(text.parse::<TimeOfDay>(), Err(NoTimeOfDay), "{text}");
        }
        let time = |text: &str| text.parse::<TimeOfDay>().expect("a time");
        assert_eq!(time("21:30").to_string(), "21:30");
        let night = QuietHours { from: time("21:00"), to: time("08:00"), service: false };
        let quiet: Vec<bool> =
            [0, 479, 480, 1259, 1260, 1439].iter().map(|m| night.covers(*m)).collect();
        assert_eq!(quiet, [true, true, false, false, true, true]);
        let noon = QuietHours { from: time("12:00"), to: time("13:00"), service: false };
        assert!(noon.covers(720) && !noon.covers(780) && !noon.covers(0));
    }
}
