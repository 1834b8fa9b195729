//! How likely a device on an unofficial channel is to be banned, from what happened to it by day.
//!
//! WhatsApp publishes neither what it bans for nor where its limits are. What is judged here is what
//! a device itself can see of it: that WhatsApp refused new contacts (its errors 463 and 475) or
//! banned the number, how many messages failed, how many of the people who were written to first
//! ever answered, and how many asked to be left alone. That somebody blocked or reported the number
//! WhatsApp tells nobody; opt-outs and silence are what is seen of it.

use std::fmt;
use std::ops::{Add, AddAssign};
use std::str::FromStr;

use kabar_core::Timestamp;

/// Microseconds of a day.
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;
/// Days, today being one, over which most figures are summed up.
pub const WINDOW: i64 = 7;
/// Days for which a ban is remembered.
pub const MEMORY: i64 = 30;
/// Tries below which the share of failed ones says nothing.
const FEW_TRIES: u64 = 20;
/// New contacts below which the share that answered says nothing.
const FEW_CONTACTS: u64 = 20;

/// The day of UTC that a time falls on, in days since 1970.
pub const fn day_of(at: Timestamp) -> i64 {
    at.timestamp_micros().div_euclid(DAY_MICROS)
}

/// What happened to a device on a day.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct DayCounts {
    /// Messages that the network took.
    pub sent: u64,
    /// Messages that failed for good.
    pub failed: u64,
    /// Messages that the network refused because the device may not write to new contacts.
    pub refused: u64,
    /// People who were written to for the first time, and had never written themselves.
    pub contacted: u64,
    /// Those of them who answered since, on whichever day.
    pub answered: u64,
    /// People who asked for no more messages.
    pub stopped: u64,
    /// Bans.
    pub banned: u64,
    /// Times that the phone or the network removed the session.
    pub logged_out: u64,
}

impl Add for DayCounts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            sent: self.sent.saturating_add(other.sent),
            failed: self.failed.saturating_add(other.failed),
            refused: self.refused.saturating_add(other.refused),
            contacted: self.contacted.saturating_add(other.contacted),
            answered: self.answered.saturating_add(other.answered),
            stopped: self.stopped.saturating_add(other.stopped),
            banned: self.banned.saturating_add(other.banned),
            logged_out: self.logged_out.saturating_add(other.logged_out),
        }
    }
}

impl AddAssign for DayCounts {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

/// The figures of one day of a device; `day` as [`day_of`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Day {
    /// The day.
    pub day: i64,
    /// What happened.
    pub counts: DayCounts,
}

/// How a device is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum HealthWord {
    /// Nothing speaks against going on like this.
    Good,
    /// Something should be changed before it gets worse.
    Watch,
    /// A ban is likely, or just happened.
    Poor,
}

impl HealthWord {
    /// Every word.
    pub const ALL: &'static [Self] = &[Self::Good, Self::Watch, Self::Poor];

    /// The word on the wire and in storage.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Watch => "watch",
            Self::Poor => "poor",
        }
    }

    /// 80 points and more are good, below 50 is poor.
    const fn of(score: u32) -> Self {
        match score {
            80.. => Self::Good,
            50.. => Self::Watch,
            _ => Self::Poor,
        }
    }
}

impl fmt::Display for HealthWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A word that says nothing about health.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a word for a device's health")]
pub struct UnknownHealth(String);

impl FromStr for HealthWord {
    type Err = UnknownHealth;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let word = Self::ALL.iter().copied().find(|word| word.as_str() == text);
        word.ok_or_else(|| UnknownHealth(text.to_owned()))
    }
}

/// What a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unit {
    /// How often something happened.
    Times,
    /// A share, in percent.
    Percent,
}

impl Unit {
    /// The word on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Times => "times",
            Self::Percent => "percent",
        }
    }
}

/// Something that speaks against a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthFinding {
    /// A word for it.
    pub code: &'static str,
    /// A sentence about what was found.
    pub text: &'static str,
    /// What to do.
    pub advice: &'static str,
    /// The figure.
    pub figure: u64,
    /// From where on, up or down, the figure counts against the device.
    pub threshold: u64,
    /// What both count.
    pub unit: Unit,
    /// Days that were looked at.
    pub days: i64,
    /// Points that it costs.
    pub points: u32,
}

/// How a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// In a word.
    pub word: HealthWord,
    /// In points, 0 to 100.
    pub score: u32,
    /// Why, the heaviest first.
    pub findings: Vec<HealthFinding>,
    /// What happened in the last [`WINDOW`] days.
    pub week: DayCounts,
}

/// How a device is today, by what happened on its days; days that are missing had nothing.
pub fn assess(days: &[Day], today: i64) -> Health {
    let within = |span: i64| {
        let counted = days.iter().filter(move |day| (today - span + 1..=today).contains(&day.day));
        counted.fold(DayCounts::default(), |sum, day| sum + day.counts)
    };
    let week = within(WINDOW);
    // Who was written to today had little time to answer.
    let before_today = days.iter().filter(|day| (today - WINDOW..today).contains(&day.day));
    let asked = before_today.fold(DayCounts::default(), |sum, day| sum + day.counts);
    let all = [
        banned(week.banned, within(MEMORY).banned),
        refused(week.refused),
        unanswered(asked.contacted, asked.answered),
        stopped(week.sent, week.stopped),
        failed(week.sent, week.failed),
        logged_out(week.logged_out),
    ];
    let mut findings: Vec<HealthFinding> = all.into_iter().flatten().collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.points));
    let lost: u32 = findings.iter().map(|finding| finding.points).sum();
    let score = 100_u32.saturating_sub(lost);
    Health { word: HealthWord::of(score), score, findings, week }
}

/// A ban within the week leaves a device poor, an older one makes it worth watching.
fn banned(week: u64, month: u64) -> Option<HealthFinding> {
    let (figure, days, points) = match (week, month) {
        (0, 0) => return None,
        (0, month) => (month, MEMORY, 25),
        (week, _) => (week, WINDOW, 60),
    };
    Some(HealthFinding {
        code: "banned",
        text: "WhatsApp banned the number",
        advice: "write to nobody who did not write first for some days, and then begin as with a new \
                 number: a second ban is usually longer, or for good",
        figure,
        threshold: 1,
        unit: Unit::Times,
        days,
        points,
    })
}

/// One refusal is a warning; who goes on and is refused three times in a week is near a ban.
fn refused(times: u64) -> Option<HealthFinding> {
    let points = match times {
        0 => return None,
        1..3 => 30,
        _ => 55,
    };
    Some(HealthFinding {
        code: "new_contacts_refused",
        text: "WhatsApp refused messages to new contacts (463, 475)",
        advice: "write to fewer people who did not write first: lower the daily cap, or set a warm-up \
                 plan; answers are not concerned",
        figure: times,
        threshold: 1,
        unit: Unit::Times,
        days: WINDOW,
        points,
    })
}

/// The share of new contacts who answer: below 30 percent is what the field takes for a warning,
/// below 10 for the look of spam (Whapi's guide against bans; `baileys-antiban`).
fn unanswered(contacted: u64, answered: u64) -> Option<HealthFinding> {
    if contacted < FEW_CONTACTS {
        return None;
    }
    let figure = percent(answered, contacted);
    let (threshold, points) = match figure {
        0..10 => (10, 35),
        10..30 => (30, 15),
        _ => return None,
    };
    Some(HealthFinding {
        code: "few_replies",
        text: "few of the people who were written to first have answered",
        advice: "write to people who expect it, and ask something that is worth an answer",
        figure,
        threshold,
        unit: Unit::Percent,
        days: WINDOW,
        points,
    })
}

/// Opt-outs: who asks to be left alone could have pressed *block* as well.
fn stopped(sent: u64, stopped: u64) -> Option<HealthFinding> {
    if sent < FEW_TRIES {
        return None;
    }
    let figure = percent(stopped, sent);
    let (threshold, points) = match figure {
        0..2 => return None,
        2..5 => (2, 20),
        _ => (5, 40),
    };
    Some(HealthFinding {
        code: "opt_outs",
        text: "many recipients asked for no more messages",
        advice: "write to those who agreed to it only, and less often",
        figure,
        threshold,
        unit: Unit::Percent,
        days: WINDOW,
        points,
    })
}

/// Failed sends: above all numbers that are not on WhatsApp, as bought lists are full of.
fn failed(sent: u64, failed: u64) -> Option<HealthFinding> {
    let tries = sent.saturating_add(failed);
    if tries < FEW_TRIES {
        return None;
    }
    let figure = percent(failed, tries);
    let (threshold, points) = match figure {
        0..5 => return None,
        5..15 => (5, 15),
        _ => (15, 35),
    };
    Some(HealthFinding {
        code: "failures",
        text: "many messages failed",
        advice: "look at the reasons of the failed messages, and check the numbers before writing",
        figure,
        threshold,
        unit: Unit::Percent,
        days: WINDOW,
        points,
    })
}

/// One removal is what people do on their phone; two in a week are not.
fn logged_out(times: u64) -> Option<HealthFinding> {
    (times >= 2).then_some(HealthFinding {
        code: "logged_out",
        text: "the session was removed again and again",
        advice: "ask who removes it on the phone; if nobody does, WhatsApp does",
        figure: times,
        threshold: 2,
        unit: Unit::Times,
        days: WINDOW,
        points: 25,
    })
}

/// A share, rounded down.
const fn percent(part: u64, whole: u64) -> u64 {
    match whole {
        0 => 0,
        whole => part.saturating_mul(100) / whole,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const TODAY: i64 = 20_000;

    fn health(counts: DayCounts) -> Health {
        assess(&[Day { day: TODAY - 1, counts }], TODAY)
    }

    fn codes(health: &Health) -> Vec<&'static str> {
        health.findings.iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn nothing_is_good() {
        let none = assess(&[], TODAY);
        assert_eq!((none.word, none.score), (HealthWord::Good, 100));
        let busy = health(DayCounts {
            sent: 300,
            failed: 9,
            contacted: 60,
            answered: 25,
            stopped: 3,
            ..DayCounts::default()
        });
        assert_eq!((busy.word, codes(&busy)), (HealthWord::Good, vec![]));
    }

    #[test]
    fn each_figure_counts_from_its_threshold_on() {
        let one = health(DayCounts { refused: 1, ..DayCounts::default() });
        assert_eq!((one.word, codes(&one)), (HealthWord::Watch, vec!["new_contacts_refused"]));
        let three = health(DayCounts { refused: 3, ..DayCounts::default() });
        assert_eq!(three.word, HealthWord::Poor);
        let silent = health(DayCounts { contacted: 20, answered: 1, ..DayCounts::default() });
        assert_eq!(codes(&silent), ["few_replies"]);
        assert_eq!((silent.findings[0].figure, silent.findings[0].threshold), (5, 10));
        let few = health(DayCounts { contacted: 19, ..DayCounts::default() });
        assert_eq!(few.word, HealthWord::Good);
        let failing = health(DayCounts { sent: 90, failed: 10, ..DayCounts::default() });
        assert_eq!((failing.word, failing.score), (HealthWord::Good, 85));
        let bought = DayCounts { sent: 80, failed: 20, contacted: 80, ..DayCounts::default() };
        assert_eq!(health(bought).word, HealthWord::Poor);
    }

    #[test]
    fn a_ban_is_poor_for_a_week_and_remembered_for_a_month() {
        let day = Day { day: TODAY, counts: DayCounts { banned: 1, ..DayCounts::default() } };
        let word = |days| assess(&[day], TODAY + days).word;
        assert_eq!((word(0), word(WINDOW - 1)), (HealthWord::Poor, HealthWord::Poor));
        assert_eq!((word(WINDOW), word(MEMORY - 1)), (HealthWord::Watch, HealthWord::Watch));
        assert_eq!(word(MEMORY), HealthWord::Good);
    }

    #[test]
    fn who_was_written_to_today_has_time_to_answer() {
        let today = DayCounts { contacted: 50, ..DayCounts::default() };
        assert_eq!(assess(&[Day { day: TODAY, counts: today }], TODAY).word, HealthWord::Good);
        assert_eq!(assess(&[Day { day: TODAY, counts: today }], TODAY + 1).score, 65);
    }

    fn counts() -> impl Strategy<Value = DayCounts> {
        (0..500_u64, 0..100_u64, 0..4_u64, 0..200_u64, 0..200_u64, 0..30_u64, 0..3_u64, 0..3_u64)
            .prop_map(|(sent, failed, refused, contacted, answered, stopped, banned, out)| {
                let answered = answered.min(contacted);
                DayCounts {
                    sent,
                    failed,
                    refused,
                    contacted,
                    answered,
                    stopped,
                    banned,
                    logged_out: out,
                }
            })
    }

    fn days() -> impl Strategy<Value = Vec<Day>> {
        let day = (TODAY - 40..=TODAY, counts()).prop_map(|(day, counts)| Day { day, counts });
        proptest::collection::vec(day, 0..40)
    }

    proptest! {
        /// Whatever happened: the points are those of the findings, each beyond its threshold.
        #[test]
        fn the_score_is_explained(days in days()) {
            let health = assess(&days, TODAY);
            let lost: u32 = health.findings.iter().map(|finding| finding.points).sum();
            prop_assert_eq!(health.score, 100_u32.saturating_sub(lost));
            prop_assert_eq!(health.word, HealthWord::of(health.score));
            for finding in &health.findings {
                let beyond = match finding.code {
                    "few_replies" => finding.figure < finding.threshold,
                    _ => finding.figure >= finding.threshold,
                };
                prop_assert!(beyond, "{:?}", finding);
            }
        }

        /// Bad news never make it better, and days out of sight change nothing.
        #[test]
        fn bad_news_cost(days in days(), back in 0..WINDOW, which in 0..3_usize) {
            let before = assess(&days, TODAY);
            let mut counts = DayCounts::default();
            match which {
                0 => counts.refused = 1,
                1 => counts.banned = 1,
                _ => counts.logged_out = 1,
            }
            let mut worse = days.clone();
            worse.push(Day { day: TODAY - back, counts });
            prop_assert!(assess(&worse, TODAY).score <= before.score);
            let mut old = days;
            old.push(Day { day: TODAY - MEMORY, counts });
            prop_assert_eq!(assess(&old, TODAY), before);
        }
    }
}
