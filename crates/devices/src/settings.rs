//! What a device's settings may be.

use std::ops::RangeInclusive;

use kabar_accounts::Invalid;

use crate::device::{DeviceSettings, UncertainPolicy};

/// A day, in seconds.
const DAY: u32 = 24 * 60 * 60;
/// Characters of a text on every channel, at most.
const REPLY_MOST: usize = 4096;

/// A field, how to read it, and what it may be.
type Bound = (&'static str, fn(&DeviceSettings) -> u32, RangeInclusive<u32>);

const BOUNDS: &[Bound] = &[
    ("settings.settle_seconds", |s| s.settle_seconds, 0..=DAY),
    ("settings.expire_seconds", |s| s.expire_seconds, 1..=30 * DAY),
    ("settings.default_reply_every_seconds", |s| s.default_reply_every_seconds, 0..=30 * DAY),
    ("settings.answers_per_contact_hour", |s| s.answers_per_contact_hour, 0..=10_000),
];

/// Whether the settings can be taken.
///
/// # Errors
/// [`Invalid`] with the first field that cannot.
pub fn check(settings: &DeviceSettings) -> Result<(), Invalid> {
    for (field, value, bounds) in BOUNDS {
        if !bounds.contains(&value(settings)) {
            let problem = format!("must be {} to {}", bounds.start(), bounds.end());
            return Err(Invalid::new(field, problem));
        }
    }
    if let UncertainPolicy::Resend { after_seconds } = settings.uncertain
        && !(1..=7 * DAY).contains(&after_seconds)
    {
        let problem = format!("must be 1 to {}", 7 * DAY);
        return Err(Invalid::new("settings.uncertain.after_seconds", problem));
    }
    settings.pacing.check()?;
    let Some(reply) = &settings.default_reply else {
        return Ok(());
    };
    let count = reply.chars().count();
    if reply.trim().is_empty() || count > REPLY_MOST || reply.contains('\0') {
        let problem = format!("must have 1 to {REPLY_MOST} characters; null for no reply");
        return Err(Invalid::new("settings.default_reply", problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(change: impl FnOnce(&mut DeviceSettings)) -> Option<&'static str> {
        let mut settings = DeviceSettings::default();
        change(&mut settings);
        check(&settings).err().map(|invalid| invalid.field)
    }

    #[test]
    fn settings_are_bounded() {
        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|s| s.expire_seconds = 0), Some("settings.expire_seconds"));
        assert_eq!(
            refused(|s| s.uncertain = UncertainPolicy::Resend { after_seconds: 0 }),
            Some("settings.uncertain.after_seconds")
        );
        for reply in [" ", "a\0", &"x".repeat(REPLY_MOST + 1)] {
            assert_eq!(
                refused(|s| s.default_reply = Some(reply.to_owned())),
                Some("settings.default_reply")
            );
        }
    }
}
