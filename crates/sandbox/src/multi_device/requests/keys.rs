//! Pre-keys: uploading, counting, checking, and handing out one at a time.

use wacore::prekeys::compute_key_bundle_digest;
use wacore_binary::{Jid, Node};
use wacore_libsignal::protocol::PreKeyBundle;

use super::super::address::Endpoint;
use super::super::error::Outcome;
use super::super::stanza::{SERVER, child, children, element, holding, jid, refusal, result};
use super::super::state::State;
use crate::multi_device::bundle::{KeyBundle, SignedKey};

/// Below this many one-time keys a client is asked for more.
const FEW_KEYS: usize = 5;
/// `<error code/>` of a device that does not exist (any more).
const NO_SUCH_DEVICE: u16 = 406;
/// `<error code/>` of a person who is not on WhatsApp.
const NOBODY: u16 = 404;

impl State {
    pub(super) fn key_count(&self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        let count = self.companion(who)?.keys.one_time.len();
        Ok(result(request).children([counted(count)]).build())
    }

    /// What the server holds for a client, and a hash over it; a client that finds a difference
    /// uploads everything again.
    pub(super) fn key_digest(&self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        let keys = &self.companion(who)?.keys;
        if keys.one_time.is_empty() {
            return Ok(refusal(request, NOBODY, "item-not-found"));
        }
        let values: Vec<&[u8]> = keys.one_time.iter().map(|key| key.value.as_slice()).collect();
        let SignedKey { value, signature, .. } = &keys.signed;
        let hash = compute_key_bundle_digest(&keys.identity, value, signature, &values);
        let ids = keys.one_time.iter().map(|key| holding("id", key.id.clone()));
        let mut parts = Vec::from(keys.header());
        parts.push(keys.signed.node());
        parts.push(element("list").children(ids).build());
        parts.push(holding("hash", hash));
        let digest = element("digest").children(parts).build();
        Ok(result(request).children([digest]).build())
    }

    pub(super) fn take_keys(&mut self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        self.companion_mut(who)?.keys.take_upload(request);
        Ok(result(request).build())
    }

    pub(super) fn rotate_key(&mut self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        let rotated = child(request, "rotate").and_then(|rotate| child(rotate, "skey"));
        if let Some(signed) = rotated {
            self.companion_mut(who)?.keys.signed = SignedKey::read(signed);
        }
        Ok(result(request).build())
    }

    /// Hands out what is needed to open sessions with the devices asked for.
    pub(super) fn hand_out_keys(&mut self, who: &Endpoint, request: &Node) -> Outcome<Node> {
        let asked: Vec<Jid> = children(request)
            .iter()
            .flat_map(children)
            .filter_map(|user| jid(user, "jid"))
            .collect();
        let mut users = Vec::with_capacity(asked.len());
        for jid in asked {
            users.push(self.keys_of(who, &jid)?);
        }
        let list = element("list").children(users).build();
        Ok(result(request).children([list]).build())
    }

    fn keys_of(&mut self, asker: &Endpoint, jid: &Jid) -> Outcome<Node> {
        let user = element("user").attr("jid", jid.clone());
        let Some(target) = self.endpoint(jid) else {
            return Ok(user.children([error(NOBODY, "item-not-found")]).build());
        };
        let correspondents = &mut self.account_mut(&target.number)?.correspondents;
        if target.number != asker.number {
            correspondents.insert(asker.number.clone());
        }
        let Some(parts) = self.take_bundle(&target)? else {
            return Ok(user.children([error(NO_SUCH_DEVICE, "not-acceptable")]).build());
        };
        Ok(user.children(parts).build())
    }

    /// What a phone needs to open a session with a device. Uses up a one-time key.
    pub(crate) fn open_bundle(&mut self, target: &Endpoint) -> Outcome<PreKeyBundle> {
        if target.device == 0 {
            return self.with_phone(&target.number, |_, phone| {
                let key = phone.fresh_one_time_key();
                phone.bundle().open_with(0, Some(&key))
            });
        }
        let keys = &mut self.companion_mut(target)?.keys;
        let bundle = keys.open(target.device)?;
        let left = keys.one_time.len();
        if left < FEW_KEYS {
            self.ask_for_keys(target, left)?;
        }
        Ok(bundle)
    }

    fn take_bundle(&mut self, target: &Endpoint) -> Outcome<Option<Vec<Node>>> {
        if target.device == 0 {
            return self.with_phone(&target.number, |_, phone| {
                let mut bundle = phone.bundle();
                let key = phone.fresh_one_time_key();
                bundle.one_time.push_back(key);
                Ok(Some(parts_of(&mut bundle)))
            });
        }
        let Ok(companion) = self.companion_mut(target) else { return Ok(None) };
        let mut parts = parts_of(&mut companion.keys);
        parts.push(holding("device-identity", companion.identity.clone()));
        let left = companion.keys.one_time.len();
        if left < FEW_KEYS {
            self.ask_for_keys(target, left)?;
        }
        Ok(Some(parts))
    }

    /// Tells a client that few of its keys are left.
    fn ask_for_keys(&mut self, who: &Endpoint, left: usize) -> Outcome {
        let notification = element("notification")
            .attr("from", SERVER)
            .attr("type", "encrypt")
            .attr("id", self.stanza_id())
            .attr("t", self.now().to_string())
            .children([counted(left)])
            .build();
        // Once is enough: a client that has not come back yet finds the first one.
        let companion = self.companion(who)?;
        if companion.ready {
            self.deliver(who, notification);
        }
        Ok(())
    }
}

fn parts_of(keys: &mut KeyBundle) -> Vec<Node> {
    let mut parts = Vec::from(keys.header());
    parts.push(keys.signed.node());
    parts.extend(keys.one_time.pop_front().map(|key| key.node()));
    parts
}

fn counted(count: usize) -> Node {
    element("count").attr("value", count.to_string()).build()
}

fn error(code: u16, text: &'static str) -> Node {
    element("error").attr("code", code.to_string()).attr("text", text).build()
}
