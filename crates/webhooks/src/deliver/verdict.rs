//! What an answer means: whether the delivery is done, when it is tried again, and how its endpoint
//! fares.

use std::time::Duration;

use chrono::{DateTime, TimeDelta};
use kabar_core::{IdSource, Timestamp};
use kabar_outbound::{Answer, OutboundError};

use crate::endpoint::Health;

/// Failures in a row after which an endpoint is only probed.
pub(super) const PROBED: u32 = 5;
/// The rest before the first probe. Then it is as long as the endpoint has been failing, which doubles
/// it with every probe that fails.
const FIRST_REST: TimeDelta = TimeDelta::seconds(5);
/// The longest rest between probes.
const LONGEST_REST: TimeDelta = TimeDelta::minutes(5);
/// The longest `Retry-After` that is heeded for a delivery.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(24);
/// The longest `Retry-After` that is heeded for all of an endpoint's deliveries.
const LONGEST_HOLD: TimeDelta = TimeDelta::hours(1);
/// The least wait after an answer that says "slow down" (Standard Webhooks: 429, 502, 504).
const SLOW_DOWN: TimeDelta = TimeDelta::seconds(60);

/// What an attempt says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Verdict {
    /// The status, where there is an answer.
    pub(super) status: Option<u16>,
    /// Why it failed; `None` when the endpoint took it.
    pub(super) error: Option<String>,
    /// What was answered.
    pub(super) response: Option<String>,
    /// `Retry-After`, from now.
    retry_after: Option<TimeDelta>,
}

impl Verdict {
    pub(super) fn of(result: Result<Answer, OutboundError>, now: Timestamp) -> Self {
        match result {
            Ok(answer) => {
                let error = match answer.status {
                    200..=299 => None,
                    300..=399 => Some("redirected".to_owned()),
                    status => Some(format!("status_{status}")),
                };
                let retry_after =
                    answer.retry_after.as_deref().and_then(|text| retry_after(text, now));
                let response = Some(answer.body).filter(|body| !body.is_empty());
                Self { status: Some(answer.status), error, response, retry_after }
            }
            Err(error) => Self {
                status: None,
                error: Some(error.code().to_owned()),
                response: None,
                retry_after: None,
            },
        }
    }

    /// Whether the endpoint took it.
    pub(super) const fn is_good(&self) -> bool {
        self.error.is_none()
    }

    /// Whether the endpoint wants nothing any more (Standard Webhooks: 410 Gone).
    pub(super) fn is_gone(&self) -> bool {
        self.status == Some(410)
    }

    fn slows_down(&self) -> bool {
        matches!(self.status, Some(429 | 502 | 503 | 504))
    }

    /// When the delivery is tried again after so many attempts; `None` when the schedule is at its
    /// end.
    pub(super) fn next(
        &self,
        attempts: u32,
        schedule: &[Duration],
        ids: &dyn IdSource,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let place = usize::try_from(attempts).ok()?.checked_sub(1)?;
        let wait = TimeDelta::from_std(*schedule.get(place)?).ok()?;
        let mut wait = jittered(wait, ids);
        if self.slows_down() {
            wait = wait.max(SLOW_DOWN);
        }
        if let Some(asked) = self.retry_after {
            wait = wait.max(asked.min(LONGEST_WAIT));
        }
        Some(now + wait)
    }

    /// Notes on the endpoint's health what the attempt, begun at `began`, says about it.
    pub(super) fn note(&self, health: &mut Health, began: Timestamp, now: Timestamp) {
        let Some(error) = &self.error else {
            *health = Health {
                last_success_at: Some(now),
                last_failure_at: health.last_failure_at,
                last_error: health.last_error.take(),
                ..Health::default()
            };
            return;
        };
        health.failures = health.failures.saturating_add(1);
        let since = *health.failing_since.get_or_insert(now);
        health.last_failure_at = Some(now);
        health.last_error = Some(error.clone());
        // What was under way when the rest began fails of the same cause, and makes it no longer.
        let is_news = health.hold_until.is_none_or(|until| until <= began);
        if health.failures >= PROBED && is_news {
            hold(health, now + (now - since).clamp(FIRST_REST, LONGEST_REST));
        }
        if let (true, Some(asked)) = (self.slows_down(), self.retry_after) {
            hold(health, now + asked.min(LONGEST_HOLD));
        }
    }
}

fn hold(health: &mut Health, until: Timestamp) {
    health.hold_until = Some(health.hold_until.map_or(until, |old| old.max(until)));
}

/// Up to a fifth more or less (Standard Webhooks: jitter), so that what failed together is not tried
/// together.
fn jittered(wait: TimeDelta, ids: &dyn IdSource) -> TimeDelta {
    let mut bytes = [0; 2];
    ids.fill(&mut bytes);
    let share = i64::from(u16::from_le_bytes(bytes)); // 0 to 65,535
    let micros = wait.num_microseconds().unwrap_or(i64::MAX / 2);
    let part = (i128::from(micros) * i128::from(8 * 65_535 + 4 * share)) / (10 * 65_535);
    TimeDelta::microseconds(i64::try_from(part).unwrap_or(micros))
}

/// Seconds, or a date of HTTP (RFC 9110, section 10.2.3).
fn retry_after(text: &str, now: Timestamp) -> Option<TimeDelta> {
    let text = text.trim();
    if let Ok(seconds) = text.parse::<u32>() {
        return Some(TimeDelta::seconds(i64::from(seconds)));
    }
    let date = DateTime::parse_from_rfc2822(text).ok()?;
    Some((date.to_utc() - now).max(TimeDelta::zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Fixed(u8);

    impl IdSource for Fixed {
        fn next(&self) -> uuid::Uuid {
            uuid::Uuid::nil()
        }

        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    #[expect(clippy::unnecessary_wraps, reason = "as a call answers")]
    fn answer(status: u16, retry_after: Option<&str>) -> Result<Answer, OutboundError> {
        let retry_after = retry_after.map(str::to_owned);
        Ok(Answer { status, retry_after, body: String::new() })
    }

    fn now() -> Timestamp {
        // The date of the example in RFC 9110, section 5.6.7.
        Timestamp::from_timestamp(784_111_777, 0).expect("a time")
    }

    fn wait(
        status: u16,
        retry_after: Option<&str>,
        attempts: u32,
        jitter: u8,
    ) -> Option<TimeDelta> {
        let schedule = [Duration::from_secs(5), Duration::from_mins(5)];
        let verdict = Verdict::of(answer(status, retry_after), now());
        Some(verdict.next(attempts, &schedule, &Fixed(jitter), now())? - now())
    }

    #[test]
    fn only_200s_are_good() {
        for (status, good) in [
            (200, true),
            (204, true),
            (299, true),
            (199, false),
            (301, false),
            (302, false),
            (400, false),
            (410, false),
            (500, false),
        ] {
            assert_eq!(Verdict::of(answer(status, None), now()).is_good(), good, "{status}");
        }
        assert!(!Verdict::of(Err(OutboundError::TimedOut), now()).is_good());
    }

    #[test]
    fn the_schedule_has_jitter_and_an_end() {
        assert_eq!(wait(500, None, 1, 0), Some(TimeDelta::seconds(4)));
        assert_eq!(wait(500, None, 1, 255), Some(TimeDelta::seconds(6)));
        assert_eq!(wait(500, None, 2, 0), Some(TimeDelta::seconds(240)));
        assert_eq!(wait(500, None, 3, 0), None);
    }

    #[test]
    fn retry_after_is_heeded_within_bounds() {
        assert_eq!(wait(500, Some("120"), 1, 0), Some(TimeDelta::seconds(120)));
        assert_eq!(wait(500, Some("1"), 1, 0), Some(TimeDelta::seconds(4)));
        assert_eq!(wait(503, Some("999999999"), 1, 0), Some(LONGEST_WAIT));
        let date = "Sun, 06 Nov 1994 08:59:37 GMT";
        assert_eq!(wait(503, Some(date), 1, 0), Some(TimeDelta::minutes(10)));
        for odd in ["-1", "soon", "", "Sun, 06 Nov 1993 08:59:37 GMT", "1.5"] {
            assert_eq!(wait(500, Some(odd), 1, 0), Some(TimeDelta::seconds(4)), "{odd}");
        }
        assert_eq!(wait(429, None, 1, 0), Some(SLOW_DOWN));
    }

    #[test]
    fn failures_in_a_row_make_probes() {
        let mut health = Health::default();
        let bad = Verdict::of(answer(500, None), now());
        for _ in 1..PROBED {
            bad.note(&mut health, now(), now());
        }
        assert_eq!(health.hold_until, None);
        bad.note(&mut health, now(), now());
        assert_eq!(health.hold_until, Some(now() + FIRST_REST));
        let mut rests = Vec::new();
        for _ in 0..9 {
            let probe = health.hold_until.expect("a rest");
            bad.note(&mut health, probe, probe);
            rests.push((health.hold_until.expect("a rest") - probe).num_seconds());
        }
        assert_eq!(rests, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(health.failing_since, Some(now()));
        Verdict::of(answer(200, None), now()).note(&mut health, now(), now());
        assert_eq!((health.failures, health.hold_until, health.failing_since), (0, None, None));
    }

    #[test]
    fn what_fails_together_is_one_failure() {
        let mut health = Health::default();
        let bad = Verdict::of(answer(500, None), now());
        for late in 0..100 {
            bad.note(&mut health, now(), now() + TimeDelta::milliseconds(late));
        }
        let rest = health.hold_until.expect("a rest") - now();
        assert!(rest < FIRST_REST + TimeDelta::milliseconds(100), "{rest}");
        assert_eq!(health.failures, 100);
    }
}
