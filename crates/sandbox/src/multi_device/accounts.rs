//! Accounts: a virtual phone and its companion devices.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use buffa::Message;
use wacore_binary::{Jid, Node};
use wacore_libsignal::protocol::KeyPair;
use waproto::whatsapp as wa;

use super::address::{Addressing, Number};
use super::bundle::KeyBundle;
use super::curve::{self, KEY_LENGTH};
use super::error::Outcome;
use super::link::Link;
use super::phone::Phone;
use super::queue::Queue;

/// Marks what an account signs about its devices (`ADV_PREFIX_*` of the clients).
const KEY_INDEX_LIST_PREFIX: &[u8] = &[6, 2];

/// One WhatsApp account.
pub(crate) struct Account {
    pub(crate) number: Number,
    pub(crate) lid: Number,
    /// The identity of the phone, which vouches for companions.
    pub(crate) identity: KeyPair,
    /// Ties all of the account's device identities together.
    pub(crate) raw_id: u32,
    /// Number of the next companion; numbers are not used twice.
    pub(crate) next_device: u16,
    pub(crate) companions: BTreeMap<u16, Companion>,
    /// The phone; absent only while it acts.
    pub(crate) phone: Option<Box<Phone>>,
    /// How this account's phone addresses others, and whether its companions are told so.
    pub(crate) addressing: Addressing,
    pub(crate) name: String,
    pub(crate) about: String,
    pub(crate) picture: Option<Picture>,
    pub(crate) blocked: BTreeSet<Number>,
    /// Who opened sessions with this account's devices: they are told when devices change.
    pub(crate) correspondents: BTreeSet<Number>,
    /// Which companions want to know when this account is online.
    pub(crate) watchers: BTreeSet<super::address::Endpoint>,
    /// Until when (Unix seconds) the account may not write to strangers.
    pub(crate) reachout_locked_until: Option<u64>,
}

/// A profile picture.
#[derive(Debug, Clone)]
pub(crate) struct Picture {
    pub(crate) id: String,
    /// Path on the media server.
    pub(crate) path: String,
}

/// A linked device.
pub(crate) struct Companion {
    pub(crate) id: u16,
    pub(crate) key_index: u32,
    /// Proves who logs in.
    pub(crate) noise_key: [u8; KEY_LENGTH],
    pub(crate) keys: KeyBundle,
    /// Encoded `ADVSignedDeviceIdentity`.
    pub(crate) identity: Vec<u8>,
    pub(crate) link: Option<Link>,
    /// The client has asked for what waits; until then everything is kept back.
    pub(crate) ready: bool,
    pub(crate) queue: Queue,
    pub(crate) name: String,
    pub(crate) available: bool,
    /// The phone has given it the app-state key.
    pub(crate) key_shared: bool,
    /// How often it has logged in.
    pub(crate) logins: u64,
}

impl Account {
    pub(crate) fn new(number: &Number, lid: &str, addressing: Addressing) -> Outcome<Self> {
        let identity = curve::generate();
        let phone = Phone::new(number, &identity)?;
        Ok(Self {
            number: Arc::clone(number),
            lid: Arc::from(lid),
            identity,
            raw_id: u32::from_be_bytes(curve::random()?) >> 1,
            next_device: 1,
            companions: BTreeMap::new(),
            phone: Some(Box::new(phone)),
            addressing,
            name: format!("Phone {number}"),
            about: "Hey there! I am using WhatsApp.".to_owned(),
            picture: None,
            blocked: BTreeSet::new(),
            correspondents: BTreeSet::new(),
            watchers: BTreeSet::new(),
            reachout_locked_until: None,
        })
    }

    /// The address of one of its devices.
    pub(crate) fn jid(&self, device: u16, addressing: Addressing) -> Jid {
        match addressing {
            Addressing::Pn => Jid::pn_device(&*self.number, device),
            Addressing::Lid => Jid::lid_device(&*self.lid, device),
        }
    }

    /// All device ids, the phone's first.
    pub(crate) fn devices(&self) -> Vec<u16> {
        std::iter::once(0).chain(self.companions.keys().copied()).collect()
    }

    /// Signed list of the devices that are valid now.
    pub(crate) fn key_index_list(&self, now: u64) -> Outcome<Vec<u8>> {
        let valid = std::iter::once(0).chain(self.companions.values().map(|it| it.key_index));
        let details = wa::ADVKeyIndexList {
            raw_id: Some(self.raw_id),
            timestamp: Some(now),
            current_index: Some(u32::from(self.next_device.saturating_sub(1))),
            valid_indexes: valid.collect(),
            ..Default::default()
        }
        .encode_to_vec();
        let signature = curve::sign(&self.identity, &[KEY_INDEX_LIST_PREFIX, &details])?;
        let signed = wa::ADVSignedKeyIndexList {
            details: Some(details),
            account_signature: Some(signature),
            ..Default::default()
        };
        Ok(signed.encode_to_vec())
    }

    /// Name that goes with what a device sends.
    pub(crate) fn shown_name(&self, device: u16) -> &str {
        let own = self.companions.get(&device).map(|it| it.name.as_str());
        own.filter(|name| !name.is_empty()).unwrap_or(&self.name)
    }
}

impl Companion {
    pub(crate) fn new(
        id: u16,
        noise_key: [u8; KEY_LENGTH],
        keys: KeyBundle,
        identity: Vec<u8>,
    ) -> Self {
        Self {
            id,
            key_index: u32::from(id),
            noise_key,
            keys,
            identity,
            link: None,
            ready: false,
            queue: Queue::default(),
            name: String::new(),
            available: false,
            key_shared: false,
            logins: 0,
        }
    }

    /// Sends without keeping a copy: presence, typing, answers.
    pub(crate) fn send_now(&self, node: Node) {
        if let Some(link) = &self.link {
            link.send(node);
        }
    }

    /// Sends, and keeps a copy until the client acknowledges it.
    pub(crate) fn deliver(&mut self, node: Node) {
        if self.ready {
            self.send_now(node.clone());
        }
        self.queue.push(node, self.ready);
    }
}
