//! How much one party may ask for: token buckets (GCRA) per account and per address.
//!
//! Memory is bounded: accounts are as many as there are, and of addresses only those that asked lately
//! are kept, [`MOST_KEYS`] of them; beyond that all others share one bucket.

use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::DashMapStateStore;
use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};
use kabar::core::AccountId;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

/// Addresses that are told apart at the same time.
pub const MOST_KEYS: usize = 100_000;
/// How often, in requests, buckets that are full again are dropped.
const PRUNE_EVERY: u64 = 1_024;
/// Below so many keys nothing is dropped.
const FEW: usize = 1_000;

/// How much one party may ask for. A rate of 0 is no limit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LimitSettings {
    /// Requests of one account in a second, over all its credentials.
    pub account_per_second: u32,
    /// Requests of one account at once.
    pub account_burst: u32,
    /// Requests of one address in a second. Behind a proxy it has to be a trusted one.
    pub address_per_second: u32,
    /// Requests of one address at once.
    pub address_burst: u32,
    /// Requests of one address in a minute that have no working credential: wrong ones, and logins.
    pub unproven_per_minute: u32,
    /// The same at once.
    pub unproven_burst: u32,
}

impl LimitSettings {
    /// No limits.
    pub const NONE: Self = Self {
        account_per_second: 0,
        account_burst: 0,
        address_per_second: 0,
        address_burst: 0,
        unproven_per_minute: 0,
        unproven_burst: 0,
    };
}

impl Default for LimitSettings {
    fn default() -> Self {
        Self {
            account_per_second: 1_000,
            account_burst: 4_000,
            address_per_second: 0,
            address_burst: 0,
            unproven_per_minute: 60,
            unproven_burst: 60,
        }
    }
}

/// The buckets of one kind.
struct Buckets<K: Hash + Eq + Clone> {
    name: &'static str,
    burst: u32,
    keyed: RateLimiter<K, DashMapStateStore<K>, DefaultClock>,
    /// For whom no bucket of their own is kept.
    others: DefaultDirectRateLimiter,
    asked: AtomicU64,
    full: AtomicBool,
    clock: DefaultClock,
}

impl<K: Hash + Eq + Clone> Buckets<K> {
    fn new(name: &'static str, rate: u32, period: Duration, burst: u32) -> Option<Self> {
        let (rate, burst) = (NonZeroU32::new(rate)?, NonZeroU32::new(burst.max(1))?);
        let quota = Quota::with_period(period / rate.get())?.allow_burst(burst);
        Some(Self {
            name,
            burst: burst.get(),
            keyed: RateLimiter::dashmap(quota),
            others: RateLimiter::direct(quota),
            asked: AtomicU64::new(0),
            full: AtomicBool::new(false),
            clock: DefaultClock::default(),
        })
    }

    fn take(&self, key: &K) -> Result<(), Problem> {
        if self.asked.fetch_add(1, Ordering::Relaxed) % PRUNE_EVERY == PRUNE_EVERY - 1 {
            self.prune();
        }
        let taken = if self.full.load(Ordering::Relaxed) {
            self.others.check()
        } else {
            self.keyed.check_key(key)
        };
        taken.map_err(|until| {
            let wait = until.wait_time_from(self.clock.now());
            Problem::too_many(self.name, self.burst, wait)
        })
    }

    /// Buckets that are full again say nothing.
    fn prune(&self) {
        if self.keyed.len() > FEW {
            self.keyed.retain_recent();
            self.keyed.shrink_to_fit();
        }
        self.full.store(self.keyed.len() >= MOST_KEYS, Ordering::Relaxed);
    }
}

/// All buckets of a server.
pub struct Limits {
    accounts: Option<Buckets<AccountId>>,
    addresses: Option<Buckets<IpAddr>>,
    unproven: Option<Buckets<IpAddr>>,
}

impl Limits {
    /// Empty buckets.
    pub fn new(settings: &LimitSettings) -> Self {
        let (second, minute) = (Duration::from_secs(1), Duration::from_mins(1));
        let LimitSettings { account_per_second, account_burst, .. } = *settings;
        let LimitSettings { address_per_second, address_burst, .. } = *settings;
        let LimitSettings { unproven_per_minute, unproven_burst, .. } = *settings;
        Self {
            accounts: Buckets::new("account", account_per_second, second, account_burst),
            addresses: Buckets::new("address", address_per_second, second, address_burst),
            unproven: Buckets::new("unproven", unproven_per_minute, minute, unproven_burst),
        }
    }

    /// A request of an account.
    ///
    /// # Errors
    /// 429.
    pub fn account(&self, account: AccountId) -> Result<(), Problem> {
        self.accounts.as_ref().map_or(Ok(()), |buckets| buckets.take(&account))
    }

    /// A request of an address.
    ///
    /// # Errors
    /// 429.
    pub fn address(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        take(self.addresses.as_ref(), address)
    }

    /// A request of an address without a working credential.
    ///
    /// # Errors
    /// 429.
    pub fn unproven(&self, address: Option<IpAddr>) -> Result<(), Problem> {
        take(self.unproven.as_ref(), address)
    }
}

fn take(buckets: Option<&Buckets<IpAddr>>, address: Option<IpAddr>) -> Result<(), Problem> {
    match (buckets, address) {
        (Some(buckets), Some(address)) => buckets.take(&network(address)),
        _ => Ok(()),
    }
}

/// One party has a whole network of IPv6 (RFC 6177: a /64 at least).
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(six) => {
            let [a, b, c, d, ..] = six.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        four @ IpAddr::V4(_) => four,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slow() -> Limits {
        Limits::new(&LimitSettings {
            unproven_per_minute: 1,
            unproven_burst: 2,
            ..LimitSettings::NONE
        })
    }

    #[test]
    fn a_burst_and_then_no_more() {
        let (limits, one) = (slow(), "203.0.113.7".parse().ok());
        assert!(limits.unproven(one).is_ok());
        assert!(limits.unproven(one).is_ok());
        assert!(limits.unproven(one).is_err());
        // Others are not meant, and neither is what has no limit.
        assert!(limits.unproven("203.0.113.8".parse().ok()).is_ok());
        assert!((0..100).all(|_| limits.address(one).is_ok()));
    }

    #[test]
    fn a_network_is_one_party() {
        let limits = slow();
        let at = |text: &str| text.parse::<IpAddr>().ok();
        assert!(limits.unproven(at("2001:db8::1")).is_ok());
        assert!(limits.unproven(at("2001:db8::ffff:2")).is_ok());
        assert!(limits.unproven(at("2001:db8::3")).is_err());
        assert!(limits.unproven(at("2001:db8:0:1::3")).is_ok());
    }

    #[test]
    fn addresses_do_not_fill_the_memory() {
        let buckets = Buckets::new("test", 1, Duration::from_hours(1), 1).expect("is a limit");
        for number in 0..150_000_u32 {
            let _ = buckets.take(&IpAddr::from(number.to_be_bytes()));
        }
        assert!(buckets.keyed.len() <= MOST_KEYS + usize::try_from(PRUNE_EVERY).unwrap_or(0));
    }
}
