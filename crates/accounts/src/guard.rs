//! Counting tries, so that nobody can try for ever.
//!
//! A try is counted *before* it is made, in a unit of work of its own, and taken back when it was
//! right. So tries that are made at the same time are counted one by one, and never more than the
//! limit are made.

use std::net::{IpAddr, Ipv6Addr};

use async_trait::async_trait;
use chrono::TimeDelta;
use kabar_core::{StoreError, Timestamp};
use sha2::{Digest as _, Sha256};

/// How many tries there are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// Tries, at most.
    most: u32,
    /// A try longer ago than this is forgotten.
    window: TimeDelta,
    /// For how long there are none after the last.
    lock: TimeDelta,
}

const QUARTER: TimeDelta = TimeDelta::minutes(15);
const HOUR: TimeDelta = TimeDelta::hours(1);

/// Wrong logins with one e-mail address, whether somebody has it or not.
pub(crate) const PER_EMAIL: Limit = Limit { most: 5, window: QUARTER, lock: QUARTER };
/// Wrong logins from one network address: many people may share it.
pub(crate) const PER_ADDRESS: Limit = Limit { most: 50, window: QUARTER, lock: QUARTER };
/// Mails that strangers can cause to one e-mail address.
pub(crate) const MAILS_PER_EMAIL: Limit = Limit { most: 5, window: HOUR, lock: HOUR };
/// Mails that one network address can cause.
pub(crate) const MAILS_PER_ADDRESS: Limit = Limit { most: 30, window: HOUR, lock: HOUR };

/// The tries of one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guard {
    /// Tries that were not right.
    pub failures: u32,
    /// When the last of them was.
    pub failed_at: Timestamp,
    /// Until when there are no more.
    pub locked_until: Option<Timestamp>,
}

impl Guard {
    /// Counts a try; `false` when there is none left.
    pub(crate) fn count(&mut self, limit: Limit, now: Timestamp) -> bool {
        if self.locked_until.is_some_and(|until| now < until) {
            return false;
        }
        if self.locked_until.is_some() || now - self.failed_at >= limit.window {
            *self = Self { failures: 0, failed_at: now, locked_until: None };
        }
        self.failures += 1;
        self.failed_at = now;
        if self.failures >= limit.most {
            self.locked_until = Some(now + limit.lock);
        }
        true
    }

    /// Takes a try back that was right.
    pub(crate) fn take_back(&mut self, limit: Limit) {
        self.failures = self.failures.saturating_sub(1);
        if self.failures < limit.most {
            self.locked_until = None;
        }
    }

    /// Forgets every try.
    pub(crate) fn clear(&mut self) {
        self.failures = 0;
        self.locked_until = None;
    }
}

/// The guards of the installation.
#[async_trait]
pub trait GuardRepo: Send {
    /// The tries of a key, kept from others until the unit of work ends; none so far when new.
    async fn lock(&mut self, key: &str, now: Timestamp) -> Result<Guard, StoreError>;

    /// Stores the tries of a key that is locked.
    async fn put(&mut self, key: &str, guard: &Guard) -> Result<(), StoreError>;
}

/// The key of an e-mail address in lower case: a hash, since nobody may have agreed to its being
/// stored.
pub(crate) fn email_key(what: &str, email: &str) -> String {
    let hash = Sha256::digest(email.as_bytes());
    let hex = hex::encode(hash);
    format!("{what}:email:{hex}")
}

/// The key of a network address. One IPv6 customer has a /64 (RFC 6177).
pub(crate) fn address_key(what: &str, address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(v4) => format!("{what}:address:{v4}"),
        IpAddr::V6(v6) => {
            let network = Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64);
            format!("{what}:address:{network}/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh() -> Guard {
        Guard { failures: 0, failed_at: Timestamp::UNIX_EPOCH, locked_until: None }
    }

    #[test]
    fn five_tries_then_a_quarter_of_an_hour_without() {
        let start = Timestamp::UNIX_EPOCH + TimeDelta::days(1);
        let mut guard = fresh();
        for _ in 0..5 {
            assert!(guard.count(PER_EMAIL, start));
        }
        assert!(!guard.count(PER_EMAIL, start));
        assert!(!guard.count(PER_EMAIL, start + QUARTER - TimeDelta::microseconds(1)));
        assert!(guard.count(PER_EMAIL, start + QUARTER));
        assert_eq!(guard.failures, 1);
    }

    #[test]
    fn old_tries_are_forgotten_and_right_ones_taken_back() {
        let start = Timestamp::UNIX_EPOCH + TimeDelta::days(1);
        let mut guard = fresh();
        for _ in 0..4 {
            guard.count(PER_EMAIL, start);
        }
        assert!(guard.count(PER_EMAIL, start + QUARTER));
        assert_eq!((guard.failures, guard.locked_until), (1, None));
        for _ in 0..4 {
            guard.count(PER_EMAIL, start + QUARTER);
        }
        assert!(guard.locked_until.is_some());
        guard.take_back(PER_EMAIL);
        assert_eq!((guard.failures, guard.locked_until), (4, None));
    }

    #[test]
    fn neighbours_in_an_ipv6_network_share_a_key() {
        let key = |text: &str| address_key("login", text.parse().expect("an address"));
        assert_eq!(key("2001:db8:1:2::1"), key("2001:db8:1:2:ffff::9"));
        assert_ne!(key("2001:db8:1:2::1"), key("2001:db8:1:3::1"));
        assert_eq!(key("::ffff:192.0.2.1"), key("192.0.2.1"));
    }
}
