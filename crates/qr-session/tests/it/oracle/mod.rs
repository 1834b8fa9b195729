//! The engine's own store in memory as the oracle: random sequences of calls get the same answers
//! from it and from the vault, on both databases, for each of the 82 methods.

mod app_sync;
mod device;
mod msg_secret;
mod protocol;
mod signal;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::sync::Arc;

use kabar_channel::Fence;
use kabar_qr_session::VaultBackend;
use kabar_storage::testing::each_database;
use kabar_testkit::sessions::Sessions;
use uuid::Uuid;
use wacore::store::InMemoryBackend;
use wacore::store::error::Result;

use crate::support::sessions;

/// Methods of the engine's five traits.
const METHODS: usize = 82;
const SEEDS: u64 = 3;
/// Calls of one seed; each method is met about ten times.
const STEPS: usize = 900;

/// Asks both stores and compares what they say.
macro_rules! same {
    ($both:expr, |$store:ident| $call:expr) => {{
        let memory = {
            let $store = &$both.memory;
            $crate::oracle::shown($call.await)
        };
        let vault = {
            let $store = &$both.vault;
            $crate::oracle::shown($call.await)
        };
        assert_eq!(vault, memory, "{}", $both.trace());
    }};
}
pub(crate) use same;

/// An answer as a text.
pub(crate) fn shown<T: Debug>(answer: Result<T>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => panic!("{error}: {:?}", std::error::Error::source(&error)),
    }
}

/// Numbers that repeat for the same seed (`SplitMix64`, Steele 2014).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % most
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.below(2) == 1
    }

    /// A small time, so that deadlines and cutoffs meet.
    pub(crate) fn time(&mut self) -> i64 {
        i64::try_from(self.below(12)).unwrap()
    }

    pub(crate) fn id(&mut self) -> u32 {
        u32::try_from(self.below(6)).unwrap()
    }

    pub(crate) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    /// Up to 40 bytes, now and then none.
    pub(crate) fn bytes(&mut self) -> Vec<u8> {
        (0..self.below(41)).map(|_| u8::try_from(self.below(256)).unwrap()).collect()
    }

    pub(crate) fn array(&mut self) -> [u8; 32] {
        let byte = u8::try_from(self.below(4)).unwrap();
        [byte; 32]
    }

    /// None to three of something.
    pub(crate) fn some<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        (0..self.below(4)).map(|_| make(self)).collect()
    }

    /// An address of Signal.
    pub(crate) fn address(&mut self) -> &'static str {
        self.one_of(&[
            "62811@c.us.0",
            "62811:3@c.us.0",
            "62811:33@c.us.0",
            "6281@c.us.0",
            "9@lid.0",
        ])
    }

    /// The beginning of an address.
    pub(crate) fn user(&mut self) -> &'static str {
        self.one_of(&["62811", "6281", "628", "9", "99"])
    }

    pub(crate) fn jid(&mut self) -> &'static str {
        self.one_of(&["1@g.us", "11@g.us", "1:1@lid", "é\0ü@lid"])
    }

    pub(crate) fn word(&mut self) -> &'static str {
        self.one_of(&["", "a", "ab", "a\0b", "regular_high"])
    }
}

/// The two stores.
pub(crate) struct Both {
    pub(crate) memory: InMemoryBackend,
    pub(crate) vault: VaultBackend,
    sessions: Sessions,
    fence: Fence,
    seed: u64,
    steps: Vec<&'static str>,
    /// What the numbers of linked ids are, as the oracle remembers it.
    pub(crate) numbers: BTreeMap<String, String>,
    pub(crate) linked: BTreeMap<String, String>,
}

impl Both {
    async fn new(sessions: Sessions, seed: u64) -> Self {
        let fence = sessions.held().await;
        Self {
            memory: InMemoryBackend::new(),
            vault: VaultBackend::new(Arc::clone(&sessions.vault), fence),
            sessions,
            fence,
            seed,
            steps: Vec::new(),
            numbers: BTreeMap::new(),
            linked: BTreeMap::new(),
        }
    }

    /// The last steps, for whoever has to find out.
    pub(crate) fn trace(&self) -> String {
        let start = self.steps.len().saturating_sub(12);
        format!("seed {}, step {}: {:?}", self.seed, self.steps.len(), &self.steps[start..])
    }

    /// The next owner goes on with what is stored.
    async fn change_hands(&mut self) {
        self.fence = self.sessions.taken_over_again(self.fence).await;
        self.vault = VaultBackend::new(Arc::clone(&self.sessions.vault), self.fence);
    }

    async fn call(&mut self, method: &'static str, dice: &mut Dice) {
        self.steps.push(method);
        let known = signal::call(self, method, dice).await
            || app_sync::call(self, method, dice).await
            || protocol::call(self, method, dice).await
            || protocol::call_under_way(self, method, dice).await
            || msg_secret::call(self, method, dice).await
            || device::call(self, method, dice).await;
        assert!(known, "{method} is not asked");
    }
}

/// Takes a device over, whoever held it.
trait TakenOver {
    async fn taken_over_again(&self, fence: Fence) -> Fence;
}

impl TakenOver for Sessions {
    async fn taken_over_again(&self, fence: Fence) -> Fence {
        let clock = &self.fleet.tenancy.clock;
        let now = clock.advance(kabar_devices::lease::TTL);
        let node = Uuid::from_u128(u128::from(fence.token) + 100);
        self.claim_one(node, fence.device, now).await.expect("its lease is over").fence()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vault_answers_as_the_engines_own_store() {
    each_database(|test| async move {
        let methods: Vec<&'static str> = [
            signal::METHODS,
            app_sync::METHODS,
            protocol::METHODS,
            msg_secret::METHODS,
            device::METHODS,
        ]
        .concat();
        assert_eq!(methods.iter().collect::<BTreeSet<_>>().len(), METHODS);
        let ours = sessions(&test);
        for seed in 0..SEEDS {
            let (mut both, mut dice) = (Both::new(ours.clone(), seed).await, Dice(seed));
            // Each once, and then as they come.
            for method in &methods {
                both.call(method, &mut dice).await;
            }
            for step in 0..STEPS {
                let method = dice.one_of(&methods);
                both.call(method, &mut dice).await;
                if step % 200 == 199 {
                    both.change_hands().await;
                }
            }
        }
    })
    .await;
}
