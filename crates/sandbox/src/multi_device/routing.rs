//! Messages: one stanza of a sender becomes one stanza for each device it is encrypted for.

use std::collections::{BTreeMap, BTreeSet};

use wacore::messages::MessageUtils;
use wacore_binary::{Jid, Node, Server};

use super::address::{Addressing, Endpoint, Number};
use super::error::{MultiDeviceError, Outcome};
use super::stanza::{attr, attr_or_empty, child, children, element, is, jid};
use super::state::State;

/// `<ack error/>` for someone who is not in the group.
const NOT_A_MEMBER: u16 = 403;
/// `<ack error/>` for a group or a person that does not exist.
const NOBODY: u16 = 404;

/// What one device gets of a message.
#[derive(Debug, Default)]
struct Parcel {
    ciphertexts: Vec<Node>,
    addressing: Addressing,
}

type Parcels = BTreeMap<Endpoint, Parcel>;

impl State {
    /// Routes a message. Answers the error code of the ack, or a hash of the devices that should
    /// have got a copy when that is not who did.
    pub(crate) fn route_message(
        &mut self,
        from: &Endpoint,
        message: &Node,
    ) -> Outcome<Result<Option<String>, u16>> {
        let to = jid(message, "to").ok_or_else(|| MultiDeviceError::malformed("message to"))?;
        match to.server {
            Server::Group => self.route_group_message(from, &to, message),
            Server::Pn | Server::Lid => self.route_direct_message(from, &to, message),
            // Status and broadcast lists are taken and go nowhere.
            _ => Ok(Ok(None)),
        }
    }

    fn route_direct_message(
        &mut self,
        from: &Endpoint,
        to: &Jid,
        message: &Node,
    ) -> Outcome<Result<Option<String>, u16>> {
        let Some(recipient) = self.resolve(to) else { return Ok(Err(NOBODY)) };
        let mut parcels = self.listed_parcels(message);
        for ciphertext in own_ciphertexts(message) {
            let target = Endpoint { number: recipient.clone(), device: to.device };
            add(&mut parcels, target, ciphertext, Addressing::of(to));
        }
        parcels.remove(from);
        let phash = self.missed_devices(from, &recipient, to, message, &parcels)?;
        self.correspond(from, &recipient);
        if self.account(&recipient)?.blocked.contains(&from.number) {
            parcels.retain(|target, _| target.number != recipient);
        }
        for (target, parcel) in parcels {
            let envelope = self.direct_envelope(from, to, &target, &parcel, message)?;
            self.deliver(&target, filled(envelope, parcel, message));
        }
        Ok(Ok(phash))
    }

    fn route_group_message(
        &mut self,
        from: &Endpoint,
        to: &Jid,
        message: &Node,
    ) -> Outcome<Result<Option<String>, u16>> {
        let Some(group) = self.groups.get(to.user.as_str()) else { return Ok(Err(NOBODY)) };
        if !group.has(&from.number) {
            return Ok(Err(NOT_A_MEMBER));
        }
        let addressing = group.addressing;
        let members: Vec<Number> = group.numbers().collect();
        let everyone: BTreeSet<Endpoint> =
            members.iter().flat_map(|member| self.endpoints(member)).collect();
        let mut parcels = self.listed_parcels(message);
        // A resend names the one device that asked for it.
        let only = jid(message, "participant").and_then(|jid| self.endpoint(&jid));
        for ciphertext in own_ciphertexts(message) {
            for target in everyone.iter().filter(|it| only.as_ref().is_none_or(|one| one == *it)) {
                add(&mut parcels, target.clone(), ciphertext.clone(), addressing);
            }
        }
        // Some clients address their own device as well; the copy must not come back.
        parcels.remove(from);
        parcels.retain(|target, _| everyone.contains(target));
        let phash = self.group_phash(&everyone, addressing, message)?;
        for (target, parcel) in parcels {
            let envelope = self.group_envelope(from, to, addressing, message)?;
            self.deliver(&target, filled(envelope, parcel, message));
        }
        Ok(Ok(phash))
    }

    /// The parcels of `<participants/>`.
    fn listed_parcels(&mut self, message: &Node) -> Parcels {
        let mut parcels = Parcels::new();
        for entry in child(message, "participants").map(children).unwrap_or_default() {
            let Some(address) = jid(entry, "jid") else { continue };
            let Some(target) = self.endpoint(&address) else { continue };
            for ciphertext in children(entry) {
                let mode = Addressing::of(&address);
                add(&mut parcels, target.clone(), ciphertext.clone(), mode);
            }
        }
        parcels
    }

    /// When a chat message left out devices of the two accounts: the hash of all of them.
    fn missed_devices(
        &self,
        from: &Endpoint,
        recipient: &Number,
        to: &Jid,
        message: &Node,
        parcels: &Parcels,
    ) -> Outcome<Option<String>> {
        // Peer messages, resends and calls are for one device by intent.
        let complete = child(message, "participants").is_some() && !is(message, "category", "peer");
        if !complete || from.device == 0 {
            return Ok(None);
        }
        let devices = |number: &Number| self.endpoints(number);
        let mut expected: BTreeSet<Endpoint> =
            devices(recipient).into_iter().chain(devices(&from.number)).collect();
        expected.remove(from);
        if expected.iter().all(|device| parcels.contains_key(device)) {
            return Ok(None);
        }
        self.phash(&expected, Addressing::of(to)).map(Some)
    }

    fn group_phash(
        &self,
        everyone: &BTreeSet<Endpoint>,
        addressing: Addressing,
        message: &Node,
    ) -> Outcome<Option<String>> {
        let Some(theirs) = attr(message, "phash") else { return Ok(None) };
        let ours = self.phash(everyone, addressing)?;
        Ok((ours != theirs).then_some(ours))
    }

    fn phash(&self, devices: &BTreeSet<Endpoint>, addressing: Addressing) -> Outcome<String> {
        let jids = devices
            .iter()
            .map(|device| self.jid(device, addressing))
            .collect::<Outcome<Vec<Jid>>>()?;
        MessageUtils::participant_list_hash(&jids).map_err(MultiDeviceError::crypto)
    }

    /// Both sides now hold sessions with each other's devices.
    fn correspond(&mut self, from: &Endpoint, to: &Number) {
        for (one, other) in [(&from.number, to), (to, &from.number)] {
            if one != other
                && let Ok(account) = self.account_mut(one)
            {
                account.correspondents.insert(other.clone());
            }
        }
    }

    fn direct_envelope(
        &self,
        from: &Endpoint,
        to: &Jid,
        target: &Endpoint,
        parcel: &Parcel,
        message: &Node,
    ) -> Outcome<wacore_binary::builder::NodeBuilder> {
        let mode = parcel.addressing;
        let other = self.user_jid(&from.number, mode.other())?;
        let mut envelope = self
            .envelope(from, message)?
            .attr("from", self.jid(from, mode)?)
            .attr("addressing_mode", mode.word());
        envelope = match mode {
            Addressing::Lid => envelope.attr("sender_pn", other),
            Addressing::Pn => envelope.attr("sender_lid", other),
        };
        if target.number == from.number {
            envelope = envelope.attr("recipient", to.to_non_ad());
            if let Some(chat) = self.known(to) {
                let chat = self.user_jid(&chat, mode.other())?;
                envelope = match mode {
                    Addressing::Lid => envelope.attr("peer_recipient_pn", chat),
                    Addressing::Pn => envelope.attr("peer_recipient_lid", chat),
                };
            }
        }
        Ok(envelope)
    }

    fn group_envelope(
        &self,
        from: &Endpoint,
        group: &Jid,
        addressing: Addressing,
        message: &Node,
    ) -> Outcome<wacore_binary::builder::NodeBuilder> {
        let other = self.user_jid(&from.number, addressing.other())?;
        let envelope = self
            .envelope(from, message)?
            .attr("from", group.clone())
            .attr("participant", self.jid(from, addressing)?)
            .attr("addressing_mode", addressing.word());
        Ok(match addressing {
            Addressing::Lid => envelope.attr("participant_pn", other),
            Addressing::Pn => envelope.attr("participant_lid", other),
        })
    }

    /// What direct and group messages have in common.
    fn envelope(
        &self,
        from: &Endpoint,
        message: &Node,
    ) -> Outcome<wacore_binary::builder::NodeBuilder> {
        let name = self.account(&from.number)?.shown_name(from.device).to_owned();
        let mut envelope = element("message")
            .attr("id", attr_or_empty(message, "id"))
            .attr("type", attr(message, "type").unwrap_or_else(|| "text".to_owned()))
            .attr("t", self.now().to_string())
            .attr("notify", name);
        for key in ["category", "edit"] {
            if let Some(value) = attr(message, key) {
                envelope = envelope.attr(key, value);
            }
        }
        Ok(envelope)
    }
}

fn add(parcels: &mut Parcels, target: Endpoint, ciphertext: Node, addressing: Addressing) {
    let parcel = parcels.entry(target).or_default();
    parcel.ciphertexts.push(ciphertext);
    parcel.addressing = addressing;
}

/// The ciphertexts beside `<participants/>`: for all of a group, or for the one addressed.
fn own_ciphertexts(message: &Node) -> Vec<Node> {
    children(message).iter().filter(|child| child.tag == "enc").cloned().collect()
}

/// Puts the ciphertexts, the sender's device identity where a session is new, and whatever else
/// came with the message into the envelope.
fn filled(envelope: wacore_binary::builder::NodeBuilder, parcel: Parcel, message: &Node) -> Node {
    let opens_session = parcel.ciphertexts.iter().any(|part| is(part, "type", "pkmsg"));
    let mut contents = parcel.ciphertexts;
    let wanted = |child: &&Node| match child.tag.as_ref() {
        "device-identity" => opens_session,
        "participants" | "enc" | "tctoken" => false,
        _ => true,
    };
    contents.extend(children(message).iter().filter(wanted).cloned());
    envelope.children(contents).build()
}
