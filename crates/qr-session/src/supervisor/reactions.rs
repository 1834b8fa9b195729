//! What follows from what a session tells.

use std::sync::Arc;

use chrono::TimeDelta;
use kabar_core::{AccountId, DeviceId, PhoneNumber, StoreError, Timestamp, Topic};
use kabar_devices::DeviceState;
use kabar_devices::lease::Release;
use kabar_events::{Fact, NewEvent};

use super::{Inner, SCOPE};
use crate::session::Session;
use crate::session::news::{End, News, Told};

/// How long a session that connected somewhere else is left alone: whoever took it, took it on
/// purpose.
const AFTER_REPLACED: TimeDelta = TimeDelta::seconds(60);
/// How long after the end of a ban the session connects again, so that a clock that is a little fast
/// does not make it worse.
const AFTER_BAN: TimeDelta = TimeDelta::seconds(60);
/// When a version that is too old is tried again: by then the operator may have set a newer one.
const AFTER_OUTDATED: TimeDelta = TimeDelta::hours(1);

/// What becomes of a session that ended.
struct Verdict {
    state: DeviceState,
    why: String,
    /// From when it may run again; `None`: not by itself.
    again: Option<Timestamp>,
}

impl Inner {
    /// Stores what follows from what a session told. What an earlier run says late is ignored.
    pub(super) async fn react(self: &Arc<Self>, told: Told) {
        let Told { device, token, news } = told;
        let Some(session) = self.sessions.get(device).filter(|s| s.fence().token == token) else {
            return;
        };
        let account = session.account();
        let done = match news {
            News::Connected => self.connected(&session).await,
            News::Lost { why } => {
                self.state(device, account, DeviceState::Reconnecting, Some(&why)).await
            }
            News::Ended(end) => self.ended(&session, end).await,
            News::Code { .. } | News::LinkCode { .. } => {
                self.state(device, account, DeviceState::Qr, None).await
            }
            News::CodesRanOut => {
                let why = "nobody scanned the code in time";
                self.state(device, account, DeviceState::Disconnected, Some(why)).await
            }
            News::Paired { phone, name, .. } => {
                self.known(device, phone.as_ref(), name.as_deref()).await
            }
        };
        if let Err(error) = done {
            tracing::warn!(%device, error = &error as &dyn std::error::Error, "sessions.react");
        }
    }

    async fn connected(&self, session: &Session) -> Result<(), StoreError> {
        let device = session.fence().device;
        let own = session.client().pn();
        let phone = own.and_then(|own| PhoneNumber::from_digits(&own.user).ok());
        let name = Some(session.client().push_name()).filter(|name| !name.is_empty());
        self.known(device, phone.as_ref(), name.as_deref()).await?;
        self.state(device, session.account(), DeviceState::Connected, None).await?;
        self.parts.wake.wake(Topic::Outbox);
        Ok(())
    }

    async fn ended(&self, session: &Arc<Session>, end: End) -> Result<(), StoreError> {
        let fence = session.fence();
        self.end(vec![Arc::clone(session)]).await;
        let Some(verdict) = verdict(end, self.now()) else { return Ok(()) };
        let device = fence.device;
        self.state(device, session.account(), verdict.state, Some(&verdict.why)).await?;
        let work = self.parts.store.begin().await?;
        work.leases(SCOPE).want(&[device], verdict.again).await?;
        let from = verdict.again.unwrap_or_else(|| self.now());
        work.leases(SCOPE).release(self.parts.node, &[Release { fence, from }]).await?;
        work.commit().await
    }

    async fn known(
        &self,
        device: DeviceId,
        phone: Option<&PhoneNumber>,
        name: Option<&str>,
    ) -> Result<(), StoreError> {
        let Some(phone) = phone else { return Ok(()) };
        let work = self.parts.store.begin().await?;
        work.device_registry(SCOPE).set_owner(device, phone, name, self.now()).await?;
        work.commit().await
    }

    async fn state(
        &self,
        device: DeviceId,
        account: AccountId,
        state: DeviceState,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        let now = self.now();
        let work = self.parts.store.begin().await?;
        if work.device_registry(SCOPE).set_state(device, state, reason, now).await? {
            let fact = Fact::DeviceState {
                device_id: device,
                state: state.to_string(),
                reason: reason.map(str::to_owned),
            };
            work.events().append(&[NewEvent { account, at: now, fact }]).await?;
        }
        work.commit().await
    }
}

/// What becomes of a session; `None` where somebody else decides.
fn verdict(end: End, now: Timestamp) -> Option<Verdict> {
    let again = |state, why: String, at| Some(Verdict { state, why, again: Some(at) });
    match end {
        // Its owner writes what becomes of it.
        End::Fenced => None,
        End::LoggedOut { why } => {
            let why = format!("WhatsApp or the phone removed the session ({why}); pair it again");
            Some(Verdict { state: DeviceState::LoggedOut, why, again: None })
        }
        End::Replaced => {
            let why = "the session was opened somewhere else; it is tried again in a minute";
            again(DeviceState::Disconnected, why.to_owned(), now + AFTER_REPLACED)
        }
        End::Banned { lasts, code } => {
            let ends = now.checked_add_signed(lasts).unwrap_or(Timestamp::MAX_UTC - AFTER_BAN);
            let why = format!("WhatsApp banned the number until {}: {code}", ends.to_rfc3339());
            again(DeviceState::Banned, why, ends + AFTER_BAN)
        }
        End::Outdated => {
            let why = "WhatsApp asks for a newer version; set one, or update";
            again(DeviceState::Disconnected, why.to_owned(), now + AFTER_OUTDATED)
        }
        End::Refused { why } => {
            let why = format!("WhatsApp refused the session ({why})");
            Some(Verdict { state: DeviceState::Disconnected, why, again: None })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_end_has_its_state_and_its_time() {
        let now = Timestamp::from_timestamp(1_790_000_000, 0).unwrap();
        let hour = TimeDelta::hours(1);
        let banned = |lasts| End::Banned { lasts, code: "too many".to_owned() };
        let why = || "LoggedOut".to_owned();
        for (end, state, again) in [
            (End::LoggedOut { why: why() }, DeviceState::LoggedOut, None),
            (End::Refused { why: why() }, DeviceState::Disconnected, None),
            (End::Replaced, DeviceState::Disconnected, Some(now + AFTER_REPLACED)),
            (banned(hour), DeviceState::Banned, Some(now + hour + AFTER_BAN)),
            (End::Outdated, DeviceState::Disconnected, Some(now + AFTER_OUTDATED)),
        ] {
            let verdict = verdict(end.clone(), now).unwrap();
            assert_eq!((verdict.state, verdict.again), (state, again), "{end:?}");
        }
        assert!(verdict(End::Fenced, now).is_none(), "its new owner decides");
        assert!(verdict(banned(TimeDelta::MAX), now).is_some(), "no time is too long");
    }
}
