//! Who is who on the wire: addresses, and the persons and chats behind them.
//!
//! An address (JID) is `user@server`, or `user:device@server` for one device of a person. A person has
//! a number (`…@s.whatsapp.net`), a linked id (`…@lid`), or both, and may be met under either; what we
//! hand on names persons without their devices, and takes nothing for a number that is none.

use kabar_channel::{PersonIds, Recipient, SendError};
use kabar_core::PhoneNumber;
use wacore_binary::{Jid, JidExt as _, Server};

/// The longest address that we take, in bytes; WhatsApp's are below 50, and an index holds no page.
const LONGEST: usize = 512;

/// The session's own addresses, as far as they are known.
#[derive(Debug, Clone, Default)]
pub(crate) struct Own {
    /// By number.
    pub(crate) number: Option<Jid>,
    /// By linked id.
    pub(crate) lid: Option<Jid>,
}

impl Own {
    /// Whether an address is one of our devices.
    pub(crate) fn is(&self, address: &Jid) -> bool {
        [&self.number, &self.lid].into_iter().flatten().any(|own| same_person(own, address))
    }

    /// Our address in the namespace of a chat, else any.
    pub(crate) fn beside(&self, chat: &Jid) -> Option<Jid> {
        let lid = self.lid.as_ref().filter(|_| chat.server.is_lid_family());
        let own = lid.or(self.number.as_ref()).or(self.lid.as_ref());
        own.map(Jid::to_non_ad)
    }
}

/// Whether two addresses are devices of the same person, in the same namespace.
fn same_person(one: &Jid, other: &Jid) -> bool {
    let namespace = |jid: &Jid| (is_number(jid.server), jid.server.is_lid_family());
    !one.user().is_empty()
        && one.user() == other.user()
        && namespace(one) == namespace(other)
        && (namespace(one) != (false, false) || one.server == other.server)
}

/// Servers whose users are numbers; `c.us` is the old name.
fn is_number(server: Server) -> bool {
    server.is_pn_family() || server == Server::Legacy
}

/// Whether an address names something, and could be stored.
pub(crate) fn is_usable(address: &Jid) -> bool {
    let user = address.user();
    (1..=LONGEST).contains(&user.len()) && user.bytes().all(|b| b.is_ascii_graphic() && b != b'@')
}

/// The person behind addresses, which all are the same one's.
pub(crate) fn person<'a>(addresses: impl IntoIterator<Item = &'a Jid>) -> PersonIds {
    let mut person = PersonIds::default();
    for address in addresses.into_iter().filter(|address| is_usable(address)) {
        add(&mut person, address);
    }
    person
}

fn add(person: &mut PersonIds, address: &Jid) {
    let user = address.user();
    let server = address.server;
    if is_number(server) {
        match PhoneNumber::from_digits(user) {
            Ok(phone) => {
                person.phone.get_or_insert(phone);
            }
            Err(_) => {
                person.wa_id.get_or_insert_with(|| user.to_owned());
            }
        }
    } else if server.is_lid_family() {
        person.lid.get_or_insert_with(|| user.to_owned());
    } else if matches!(server, Server::Bot | Server::Messenger | Server::Interop) {
        person.wa_id.get_or_insert_with(|| address.to_non_ad_string());
    }
}

/// An address out of a message, without its device; `None` for what is none.
pub(crate) fn parse(text: &str) -> Option<Jid> {
    if text.len() > LONGEST {
        return None;
    }
    let address = text.parse::<Jid>().ok()?.into_non_ad();
    is_usable(&address).then_some(address)
}

/// The address of a person as a [`kabar_channel::MessageKey`] names one: an address, a number with
/// `+`, or a bare linked id.
pub(crate) fn named(text: &str) -> Option<Jid> {
    if text.contains('@') {
        return parse(text);
    }
    let address = match text.strip_prefix('+') {
        Some(digits) => Jid::pn(digits),
        None => Jid::lid(text),
    };
    is_usable(&address).then_some(address)
}

/// Where a message goes: the group, else the number, else the linked id. The engine finds the other
/// form of a person's address itself.
///
/// # Errors
/// [`SendError::Refused`] when the recipient has none of these.
pub(crate) fn recipient(to: &Recipient) -> Result<Jid, SendError> {
    let address = match to {
        Recipient { group: Some(group), .. } => group_address(group),
        Recipient { phone: Some(phone), .. } => Some(Jid::pn(phone.digits())),
        Recipient { lid: Some(lid), .. } => named(lid).filter(|jid| jid.server.is_lid_family()),
        _ => None,
    };
    address.ok_or_else(|| {
        let problem = "a paired session needs a phone number, a linked id or a group's id";
        SendError::refused("recipient", problem)
    })
}

fn group_address(id: &str) -> Option<Jid> {
    let address = if id.contains('@') { parse(id)? } else { Jid::group(id) };
    (address.is_group() && is_usable(&address)).then_some(address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jid(text: &str) -> Jid {
        text.parse().expect("an address")
    }

    #[test]
    fn a_person_has_a_number_and_a_linked_id() {
        let ids = person([&jid("628123456789:3@s.whatsapp.net"), &jid("103337592184935:3@lid")]);
        assert_eq!(ids.phone.as_ref().map(PhoneNumber::as_str), Some("+628123456789"));
        assert_eq!(ids.lid.as_deref(), Some("103337592184935"));
        assert_eq!(ids.wa_id, None);
    }

    #[test]
    fn nothing_is_taken_for_a_number_that_is_none() {
        for (address, wa_id) in [
            ("0@s.whatsapp.net", Some("0")),
            ("12345@c.us", Some("12345")),
            ("867051314767696@bot", Some("867051314767696@bot")),
            ("120363040@g.us", None),
            ("status@broadcast", None),
        ] {
            let ids = person([&jid(address)]);
            assert_eq!(ids.phone, None, "{address}");
            assert_eq!(ids.wa_id.as_deref(), wa_id, "{address}");
        }
        assert!(person([&Jid::default(), &Jid::pn("x".repeat(600)), &Jid::pn("6\0")]).is_empty());
    }

    #[test]
    fn we_are_known_by_any_device_in_either_namespace() {
        let own = Own { number: Some(jid("628111@s.whatsapp.net")), lid: Some(jid("77:4@lid")) };
        for (address, ours) in [
            ("628111:9@s.whatsapp.net", true),
            ("628111@c.us", true),
            ("77@lid", true),
            ("628111@lid", false),
            ("77@s.whatsapp.net", false),
            ("628112@s.whatsapp.net", false),
        ] {
            assert_eq!(own.is(&jid(address)), ours, "{address}");
        }
        assert!(!Own::default().is(&Jid::default()));
    }

    #[test]
    fn recipients_have_an_address_or_are_refused() {
        let phone = PhoneNumber::from_digits("628123456789").expect("a number");
        let group = |id: &str| Recipient { group: Some(id.into()), ..Recipient::default() };
        let lid = |id: &str| Recipient { lid: Some(id.into()), ..Recipient::default() };
        for (to, wanted) in [
            (Recipient { phone: Some(phone), ..lid("7") }, Some("628123456789@s.whatsapp.net")),
            (lid("77"), Some("77@lid")),
            (lid("77:2@lid"), Some("77@lid")),
            (group("120363-1@g.us"), Some("120363-1@g.us")),
            (group("120363"), Some("120363@g.us")),
            (group("77@lid"), None),
            (lid("77@g.us"), None),
            (lid(""), None),
            (Recipient::default(), None),
        ] {
            let address = recipient(&to).ok().map(|jid| jid.to_string());
            assert_eq!(address.as_deref(), wanted, "{to:?}");
        }
    }
}
