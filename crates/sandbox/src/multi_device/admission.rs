//! Logging in, and going away.

use waproto::whatsapp as wa;

use super::address::{Addressing, Endpoint};
use super::curve::KEY_LENGTH;
use super::error::Outcome;
use super::faults::{DeviceFaultEffect, DeviceFaultPoint, Ending};
use super::link::Link;
use super::noise::Pattern;
use super::stanza::{SERVER, element};
use super::state::{Login, State};
use super::trouble::{end_link, failure, stream_error};

/// `<failure reason/>` of a device that is not (or no longer) linked.
const LOGGED_OUT: u16 = 401;

impl State {
    /// Admits a connection after its handshake, or ends it with the reason.
    pub(crate) fn admit(
        &mut self,
        link: &Link,
        pattern: Pattern,
        payload: &wa::ClientPayload,
        client_key: [u8; KEY_LENGTH],
    ) -> Outcome {
        if let Some(registration) = payload.device_pairing_data.as_option() {
            return self.offer_pairing(link, registration, client_key);
        }
        let number = payload.username.unwrap_or_default().to_string();
        let device = u16::try_from(payload.device.unwrap_or_default()).unwrap_or_default();
        let who = Endpoint { number: number.into(), device };
        if self.is_stranger(&who, &client_key) {
            link.send_last(failure(LOGGED_OUT, None, None));
            return Ok(());
        }
        if let Some(effect) = self.faults.strike(DeviceFaultPoint::Login, &who, &self.dice)
            && !obstruct(link, &effect)
        {
            return Ok(());
        }
        self.log_in(link, pattern, &who, payload)
    }

    /// The device must be linked, and the key must be the one it was paired with.
    fn is_stranger(&self, who: &Endpoint, client_key: &[u8; KEY_LENGTH]) -> bool {
        let paired = self.companion(who).is_ok_and(|it| it.noise_key == *client_key);
        who.device == 0 || !paired
    }

    fn log_in(
        &mut self,
        link: &Link,
        pattern: Pattern,
        who: &Endpoint,
        payload: &wa::ClientPayload,
    ) -> Outcome {
        let lid = self.jid(who, Addressing::Lid)?;
        let name = self.account(&who.number)?.name.clone();
        let now = self.now();
        let companion = self.companion_mut(who)?;
        if let Some(name) = payload.push_name.as_ref().filter(|name| !name.is_empty()) {
            companion.name.clone_from(name);
        }
        companion.ready = false;
        companion.logins += 1;
        if let Some(former) = companion.link.replace(link.clone()) {
            end_link(&former, Ending::Replaced);
            self.logins.remove(&former.id);
        }
        self.logins.insert(link.id, Login { who: who.clone(), pattern });
        let success = element("success")
            .attr("t", now.to_string())
            .attr("props", "27")
            .attr("lid", lid)
            .attr("display_name", name)
            .attr("companion_enc_static", "")
            .attr("abprops", "1")
            .attr("group_abprops", "1")
            .attr("location", "sandbox")
            .build();
        link.send(success);
        Ok(())
    }

    /// Hands over everything that waits, after a preview of how much it is; from now on stanzas go
    /// out at once. Clients hang without the closing `<offline/>`.
    pub(crate) fn flush_queue(&mut self, who: &Endpoint) -> Outcome {
        let companion = self.companion_mut(who)?;
        let counts = companion.queue.counts();
        if counts.total() > 0 {
            let preview = element("offline_preview")
                .attr("count", counts.total().to_string())
                .attr("message", counts.messages.to_string())
                .attr("receipt", counts.receipts.to_string())
                .attr("notification", counts.notifications.to_string())
                .attr("appdata", "0")
                .attr("call", "0")
                .build();
            companion.send_now(from_server(preview));
        }
        for node in companion.queue.resend() {
            companion.send_now(node);
        }
        let end = element("offline").attr("count", counts.total().to_string()).build();
        companion.send_now(from_server(end));
        companion.ready = true;
        if !std::mem::replace(&mut companion.key_shared, true) {
            let number = std::sync::Arc::clone(&who.number);
            let device = who.device;
            self.with_phone(&number, |state, phone| phone.welcome(state, device))?;
        }
        Ok(())
    }

    /// Forgets a connection.
    pub(crate) fn disconnected(&mut self, connection: u64) {
        self.pairings.remove(&connection);
        let Some(Login { who, .. }) = self.logins.remove(&connection) else { return };
        let Ok(companion) = self.companion_mut(&who) else { return };
        if companion.link.as_ref().is_some_and(|link| link.id == connection) {
            companion.link = None;
            companion.ready = false;
            let was_available = std::mem::replace(&mut companion.available, false);
            if was_available {
                self.tell_watchers(&who.number);
            }
        }
    }
}

fn from_server(child: wacore_binary::Node) -> wacore_binary::Node {
    element("ib").attr("from", SERVER).children([child]).build()
}

/// Applies a fault at login; false when the login must not go on.
fn obstruct(link: &Link, effect: &DeviceFaultEffect) -> bool {
    match effect {
        DeviceFaultEffect::Failure { reason, code, expire } => {
            link.send_last(failure(*reason, *code, *expire));
        }
        DeviceFaultEffect::StreamError { code } => link.send_last(stream_error(*code)),
        DeviceFaultEffect::Replaced => end_link(link, Ending::Replaced),
        DeviceFaultEffect::Drop { .. } => end_link(link, Ending::Drop),
        DeviceFaultEffect::HalfOpen { .. } => end_link(link, Ending::HalfOpen),
        DeviceFaultEffect::SlowLink { ms } => {
            link.weather.set_delay_ms(*ms);
            return true;
        }
        _ => return true,
    }
    false
}
