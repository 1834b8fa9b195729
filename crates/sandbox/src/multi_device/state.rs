//! The state of the server behind its one lock: accounts, connections, groups, faults.
//!
//! Everything in here is synchronous. Stanzas for clients go into the queues of their connections;
//! stanzas for phones go into `phone_mail` and are worked off after each change, so that a phone that
//! answers never runs inside the call that wrote to it.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use wacore_binary::{Jid, Node};

use super::accounts::{Account, Companion};
use super::address::{Addressing, Endpoint, Number};
use super::config::MultiDeviceConfig;
use super::error::{MultiDeviceError, Outcome};
use super::fault_book::FaultBook;
use super::groups::Group;
use super::link::Link;
use super::media::MediaStore;
use super::noise::Pattern;
use super::pairing::PairingAttempt;
use super::phone::Phone;
use crate::clock::SandboxClock;
use crate::random::{Dice, fingerprint};

/// LIDs have 15 digits.
const FIRST_LID: u64 = 100_000_000_000_000;
const LIDS: u64 = 800_000_000_000_000;

/// A live connection of a paired client.
#[derive(Debug, Clone)]
pub(crate) struct Login {
    pub(crate) who: Endpoint,
    pub(crate) pattern: Pattern,
}

pub(crate) struct State {
    pub(crate) config: MultiDeviceConfig,
    pub(crate) clock: SandboxClock,
    pub(crate) dice: Dice,
    pub(crate) media: Arc<MediaStore>,
    pub(crate) faults: FaultBook,
    pub(crate) groups: HashMap<String, Group>,
    /// Clients that want to pair, by connection.
    pub(crate) pairings: HashMap<u64, PairingAttempt>,
    /// Logged-in connections.
    pub(crate) logins: HashMap<u64, Login>,
    /// Stanzas and requests nobody here knows, counted.
    pub(crate) unhandled: BTreeMap<String, u64>,
    accounts: HashMap<Number, Account>,
    by_lid: HashMap<String, Number>,
    /// Numbers that are not on WhatsApp whatever the configuration says.
    absent: BTreeSet<String>,
    phone_mail: VecDeque<(Number, Node)>,
    last_id: u64,
}

impl State {
    pub(crate) fn new(config: MultiDeviceConfig, dice: Dice, media: Arc<MediaStore>) -> Self {
        Self {
            config,
            clock: SandboxClock::default(),
            dice,
            media,
            faults: FaultBook::default(),
            groups: HashMap::new(),
            pairings: HashMap::new(),
            logins: HashMap::new(),
            unhandled: BTreeMap::new(),
            accounts: HashMap::new(),
            by_lid: HashMap::new(),
            absent: BTreeSet::new(),
            phone_mail: VecDeque::new(),
            last_id: 0,
        }
    }

    /// Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        self.clock.now_secs()
    }

    /// A number that was not given out before.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Id of a stanza that the server makes up itself.
    pub(crate) fn stanza_id(&mut self) -> String {
        format!("srv.{}", self.next_number())
    }

    /// Id of a message, as phones make them.
    pub(crate) fn message_id(&self) -> String {
        format!("3A{:016X}", self.dice.next())
    }

    // --- accounts --------------------------------------------------------------------------

    /// The account of a number, made up if there is none.
    pub(crate) fn open_account(&mut self, number: &str) -> Outcome<&mut Account> {
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            let text = format!("{number} is not a phone number in digits");
            return Err(MultiDeviceError::Invalid(text));
        }
        let key: Number = Arc::from(number);
        if !self.accounts.contains_key(&key) {
            let lid = self.free_lid(number);
            let account = Account::new(&key, &lid, self.config.addressing)?;
            self.absent.remove(number);
            self.by_lid.insert(lid, Arc::clone(&key));
            self.accounts.insert(Arc::clone(&key), account);
        }
        self.account_mut(&key)
    }

    fn free_lid(&self, number: &str) -> String {
        let first = fingerprint(number) % LIDS;
        let mut candidates = (0..LIDS).map(|step| (FIRST_LID + (first + step) % LIDS).to_string());
        candidates.find(|lid| !self.by_lid.contains_key(lid)).unwrap_or_default()
    }

    pub(crate) fn account(&self, number: &str) -> Outcome<&Account> {
        self.accounts.get(number).ok_or_else(|| MultiDeviceError::not_found("phone", number))
    }

    pub(crate) fn account_mut(&mut self, number: &str) -> Outcome<&mut Account> {
        self.accounts.get_mut(number).ok_or_else(|| MultiDeviceError::not_found("phone", number))
    }

    pub(crate) fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values()
    }

    pub(crate) fn companion(&self, who: &Endpoint) -> Outcome<&Companion> {
        let account = self.account(&who.number)?;
        account.companions.get(&who.device).ok_or_else(|| no_companion(who))
    }

    pub(crate) fn companion_mut(&mut self, who: &Endpoint) -> Outcome<&mut Companion> {
        let account = self.account_mut(&who.number)?;
        account.companions.get_mut(&who.device).ok_or_else(|| no_companion(who))
    }

    /// Says that a number is not on WhatsApp. Numbers with an account stay.
    pub(crate) fn set_absent(&mut self, number: &str) {
        if !self.accounts.contains_key(number) {
            self.absent.insert(number.to_owned());
        }
    }

    /// Which account an address belongs to; makes one up where the configuration says so.
    pub(crate) fn resolve(&mut self, jid: &Jid) -> Option<Number> {
        if jid.is_lid() {
            return self.by_lid.get(jid.user.as_str()).cloned();
        }
        jid.is_pn().then(|| self.resolve_number(jid.user.as_str())).flatten()
    }

    /// Which account an address belongs to, of those that exist.
    pub(crate) fn known(&self, jid: &Jid) -> Option<Number> {
        let user = jid.user.as_str();
        if jid.is_lid() {
            return self.by_lid.get(user).cloned();
        }
        let (number, _) = jid.is_pn().then(|| self.accounts.get_key_value(user)).flatten()?;
        Some(Arc::clone(number))
    }

    /// The account of a number, if it is on WhatsApp.
    pub(crate) fn resolve_number(&mut self, number: &str) -> Option<Number> {
        if let Some((key, _)) = self.accounts.get_key_value(number) {
            return Some(Arc::clone(key));
        }
        if !self.config.unknown_numbers_exist || self.absent.contains(number) {
            return None;
        }
        self.open_account(number).ok().map(|account| Arc::clone(&account.number))
    }

    /// The device an address names.
    pub(crate) fn endpoint(&mut self, jid: &Jid) -> Option<Endpoint> {
        self.resolve(jid).map(|number| Endpoint { number, device: jid.device })
    }

    /// The address of a device.
    pub(crate) fn jid(&self, who: &Endpoint, addressing: Addressing) -> Outcome<Jid> {
        Ok(self.account(&who.number)?.jid(who.device, addressing))
    }

    /// The address of a person, without a device.
    pub(crate) fn user_jid(&self, number: &str, addressing: Addressing) -> Outcome<Jid> {
        Ok(self.account(number)?.jid(0, addressing))
    }

    /// Every device of an account, the phone first.
    pub(crate) fn endpoints(&self, number: &Number) -> Vec<Endpoint> {
        let devices = self.account(number).map(Account::devices).unwrap_or_default();
        devices.into_iter().map(|device| Endpoint::new(number, device)).collect()
    }

    // --- handing over ----------------------------------------------------------------------

    /// Hands a stanza to a device: at once, or when it asks for what waits.
    pub(crate) fn deliver(&mut self, to: &Endpoint, node: Node) {
        if to.device == 0 {
            self.phone_mail.push_back((Arc::clone(&to.number), node));
            return;
        }
        let copies = self.trouble_in_delivery(to, node);
        if let Ok(companion) = self.companion_mut(to) {
            for node in copies {
                companion.deliver(node);
            }
        }
    }

    /// Sends a stanza to a device if it is connected, and forgets it otherwise.
    pub(crate) fn send_now(&self, to: &Endpoint, node: Node) {
        if let Ok(companion) = self.companion(to)
            && companion.ready
        {
            companion.send_now(node);
        }
    }

    /// The connections of an account, or of one companion of it.
    pub(crate) fn links(&self, number: &str, device: Option<u16>) -> Vec<Link> {
        let companions = self.account(number).map(|account| account.companions.values());
        let companions = companions.into_iter().flatten();
        let wanted = companions.filter(|it| device.is_none_or(|device| device == it.id));
        wanted.filter_map(|companion| companion.link.clone()).collect()
    }

    // --- phones ----------------------------------------------------------------------------

    /// Lets a phone act: it is taken out of its account meanwhile, so that it may change the rest.
    pub(crate) fn with_phone<T>(
        &mut self,
        number: &str,
        act: impl FnOnce(&mut Self, &mut Phone) -> Outcome<T>,
    ) -> Outcome<T> {
        let mut phone = self
            .account_mut(number)?
            .phone
            .take()
            .ok_or_else(|| MultiDeviceError::Invalid(format!("phone {number} is busy")))?;
        let outcome = act(self, &mut phone);
        if let Ok(account) = self.account_mut(number) {
            account.phone = Some(phone);
        }
        outcome
    }

    pub(crate) fn phone(&self, number: &str) -> Outcome<&Phone> {
        let phone = self.account(number)?.phone.as_deref();
        phone.ok_or_else(|| MultiDeviceError::not_found("phone", number))
    }

    /// Lets the phones read what came for them, until all is quiet.
    pub(crate) fn run_phones(&mut self) {
        while let Some((number, node)) = self.phone_mail.pop_front() {
            let outcome = self.with_phone(&number, |state, phone| phone.receive(state, &node));
            if let Err(error) = outcome {
                tracing::debug!(%error, "sandbox.phone_could_not_read");
            }
        }
    }

    /// Notes something this server does not know.
    pub(crate) fn note_unhandled(&mut self, what: String) {
        tracing::debug!(%what, "sandbox.unhandled_stanza");
        *self.unhandled.entry(what).or_default() += 1;
    }
}

fn no_companion(who: &Endpoint) -> MultiDeviceError {
    MultiDeviceError::not_found("companion", who.to_string())
}
