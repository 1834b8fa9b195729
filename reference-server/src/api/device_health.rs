//! How likely a device is to be banned, as it is shown.

use kabar::core::Timestamp;
use kabar::devices::health::{DayCounts, HealthFinding};
use kabar::messaging::pacing::{DeviceHealth, Meeting};
use poem_openapi::Object;

use super::pacing::HoldView;

/// How likely a device is to be banned, and what its ban guard does about it.
#[derive(Debug, Object)]
#[oai(rename = "DeviceHealthReport")]
pub struct DeviceHealthView {
    /// `good`, `watch` or `poor`.
    pub health: String,
    /// The same in points, 0 to 100: 80 and more are good, below 50 is poor.
    pub score: u32,
    /// What speaks against the device, the heaviest first.
    pub findings: Vec<HealthFindingView>,
    /// What happened in the last seven days.
    pub last_7_days: DayCountsView,
    /// How it meets people who never wrote to it; null on official channels.
    pub new_contacts: Option<NewContactsView>,
}

impl From<DeviceHealth> for DeviceHealthView {
    fn from(found: DeviceHealth) -> Self {
        let health = found.health;
        Self {
            health: health.word.to_string(),
            score: health.score,
            findings: health.findings.into_iter().map(HealthFindingView::from).collect(),
            last_7_days: health.week.into(),
            new_contacts: found.new_contacts.map(NewContactsView::from),
        }
    }
}

/// Something that speaks against a device.
#[derive(Debug, Object)]
#[oai(rename = "HealthFinding")]
pub struct HealthFindingView {
    /// `banned`, `new_contacts_refused`, `few_replies`, `opt_outs`, `failures` or `logged_out`.
    pub code: String,
    /// A sentence.
    pub text: String,
    /// What to do.
    pub advice: String,
    /// The figure.
    pub figure: u64,
    /// From where on, up or down, it counts against the device.
    pub threshold: u64,
    /// What both count: `times` or `percent`.
    pub unit: String,
    /// Days that were looked at.
    pub days: i64,
    /// Points that it costs.
    pub points: u32,
}

impl From<HealthFinding> for HealthFindingView {
    fn from(finding: HealthFinding) -> Self {
        Self {
            code: finding.code.to_owned(),
            text: finding.text.to_owned(),
            advice: finding.advice.to_owned(),
            figure: finding.figure,
            threshold: finding.threshold,
            unit: finding.unit.as_str().to_owned(),
            days: finding.days,
            points: finding.points,
        }
    }
}

/// What happened to a device.
#[derive(Debug, Object)]
#[oai(rename = "DeviceCounts")]
pub struct DayCountsView {
    /// Messages that the network took.
    pub sent: u64,
    /// Messages that failed for good.
    pub failed: u64,
    /// Messages to new contacts that the network refused (463, 475).
    pub refused: u64,
    /// People who were written to for the first time, and had never written.
    pub contacted: u64,
    /// Those of them who answered since.
    pub answered: u64,
    /// People who asked for no more messages.
    pub stopped: u64,
    /// Bans.
    pub banned: u64,
    /// Times that the phone or the network removed the session.
    pub logged_out: u64,
}

impl From<DayCounts> for DayCountsView {
    fn from(counts: DayCounts) -> Self {
        Self {
            sent: counts.sent,
            failed: counts.failed,
            refused: counts.refused,
            contacted: counts.contacted,
            answered: counts.answered,
            stopped: counts.stopped,
            banned: counts.banned,
            logged_out: counts.logged_out,
        }
    }
}

/// How a device meets people who never wrote to it. Answers are not concerned.
#[derive(Debug, Object)]
#[oai(rename = "NewContacts")]
pub struct NewContactsView {
    /// What keeps the next message to one of them; null when it may go as far as this decides.
    pub hold: Option<HoldView>,
    /// Until when the network refuses such messages; null when it does not.
    pub paused_until: Option<Timestamp>,
    /// Whether that time is our guess: the network named none.
    pub assumed: bool,
    /// The network's code for it, like 463.
    pub network_code: Option<u16>,
    /// Such messages that were sent today.
    pub sent_today: u32,
    /// The day of the warm-up that it is; null without one, or when it is over.
    pub warm_up: Option<WarmUpView>,
}

/// A day of a warm-up.
#[derive(Debug, Object)]
#[oai(rename = "WarmUpDay")]
pub struct WarmUpView {
    /// Which one, from 1 on.
    pub day: u32,
    /// Of how many.
    pub days: u32,
    /// Messages to new contacts on it, at most.
    pub most_today: u32,
}

impl From<Meeting> for NewContactsView {
    fn from(meeting: Meeting) -> Self {
        let blocked = meeting.blocked;
        Self {
            hold: meeting.hold.map(HoldView::from),
            paused_until: blocked.map(|blocked| blocked.until),
            assumed: blocked.is_some_and(|blocked| blocked.assumed),
            network_code: blocked.and_then(|blocked| blocked.code),
            sent_today: meeting.sent_today,
            warm_up: meeting.warm_up.map(|day| WarmUpView {
                day: day.day,
                days: day.days,
                most_today: day.most,
            }),
        }
    }
}
