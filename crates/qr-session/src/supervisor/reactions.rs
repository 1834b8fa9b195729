//! What follows from what a session tells.

use std::sync::Arc;
use std::time::Duration;

use chrono::TimeDelta;
use kabar_channel::Fence;
use kabar_channel::vault::{Change, VaultError};
use kabar_core::{PhoneNumber, StoreError, Timestamp, Topic};
use kabar_devices::health::DayCounts;
use kabar_devices::lease::{Errand, Release};
use kabar_devices::repo::Note;
use kabar_devices::{AT_REST, DeviceState, DevicesUse};
use kabar_events::{Fact, NewEvent};

use super::{Inner, SCOPE};
use crate::backend::shelf::ABOUT;
use crate::import::{ImportError, Source, about};
use crate::pairing::{PairingCode, PairingMethod};
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

/// Why something that a session told has no consequence.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReactError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    About(#[from] ImportError),
}

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
        let done = match news {
            News::Connected => self.connected(&session).await,
            News::Lost { why } => self.state(&session, DeviceState::Reconnecting, Some(&why)).await,
            News::Ended(end) => self.ended(&session, end).await,
            // A session that is to be paired by number shows that code alone.
            News::Code { .. } if session.link().is_some() => Ok(()),
            News::Code { code, works_for } => {
                self.show(&session, PairingMethod::Scan, code, works_for).await
            }
            News::LinkCode { code, works_for } => {
                self.show(&session, PairingMethod::Type, code, works_for).await
            }
            News::Paired { phone, name, .. } => {
                self.paired(&session, phone.as_ref(), name.as_deref()).await
            }
        };
        if let Err(error) = done {
            tracing::warn!(%device, error = &error as &dyn std::error::Error, "sessions.react");
        }
    }

    async fn connected(&self, session: &Session) -> Result<(), ReactError> {
        let own = session.client().pn();
        let phone = own.and_then(|own| PhoneNumber::from_digits(&own.user).ok());
        let name = Some(session.client().push_name()).filter(|name| !name.is_empty());
        self.known(session, phone.as_ref(), name.as_deref()).await?;
        self.state(session, DeviceState::Connected, None).await?;
        self.parts.wake.wake(Topic::Outbox);
        Ok(())
    }

    /// It is to end because it is not wanted any more.
    pub(super) async fn rested(&self, session: &Session) -> Result<(), ReactError> {
        self.state(session, DeviceState::Disconnected, Some(AT_REST)).await
    }

    /// Shows a code that pairs the device.
    async fn show(
        &self,
        session: &Session,
        method: PairingMethod,
        code: String,
        works_for: Duration,
    ) -> Result<(), ReactError> {
        let (fence, now) = (session.fence(), self.now());
        let expires_at = now + TimeDelta::from_std(works_for).unwrap_or_default();
        let code = PairingCode { method, code: code.into(), expires_at };
        self.parts.vault.write(fence, vec![code.shown()]).await?;
        let pairing =
            Fact::DevicePairing { device_id: fence.device, method: method.as_str(), expires_at };
        let Some(work) = self.begin(session.fence()).await? else { return Ok(()) };
        self.enter(&*work, session, DeviceState::Qr, None).await?;
        let account = session.account();
        work.events().append(&[NewEvent { account, at: now, fact: pairing }]).await?;
        Ok(work.commit().await?)
    }

    /// It was paired: its code is of no more use, and where it belongs is known.
    async fn paired(
        &self,
        session: &Session,
        phone: Option<&PhoneNumber>,
        name: Option<&str>,
    ) -> Result<(), ReactError> {
        let source = if self.parts.settings.sandbox { Source::Sandbox } else { Source::Kabar };
        let about = Change::Put { shelf: ABOUT, items: vec![about(source)?] };
        self.parts.vault.write(session.fence(), vec![PairingCode::gone(), about]).await?;
        self.known(session, phone, name).await?;
        self.state(session, DeviceState::Connecting, None).await
    }

    /// Ends a session for good, or for a time. Only the first who says so does anything.
    pub(super) async fn ended(&self, session: &Arc<Session>, end: End) -> Result<(), ReactError> {
        let fence = session.fence();
        if self.sessions.take(fence.device, fence.token).is_none() {
            return Ok(());
        }
        session.stop().await;
        let end = match end {
            End::LoggedOut { .. } if session.is_leaving() => End::Left { told: true },
            end => end,
        };
        if end == End::Outdated {
            self.shared.versions.forget().await;
        }
        let (erases, counts) = (end.erases(), counts(&end));
        let Some(verdict) = verdict(end, self.now()) else { return Ok(()) };
        let fence = if erases {
            let Some(fence) = self.erase(fence).await? else { return Ok(()) };
            fence
        } else {
            fence
        };
        let Some(work) = self.begin(fence).await? else { return Ok(()) };
        self.enter(&*work, session, verdict.state, Some(&verdict.why)).await?;
        work.device_days(SCOPE).add(&[Note::at(fence.device, self.now(), counts)]).await?;
        let mut leases = work.leases(SCOPE);
        leases.want(&[fence.device], verdict.again).await?;
        if erases {
            leases.send_on(fence.device, &Errand::None).await?;
        }
        let from = verdict.again.unwrap_or_else(|| self.now());
        leases.release(self.parts.node, &[Release { fence, from }]).await?;
        drop(leases);
        Ok(work.commit().await?)
    }

    /// Erases a session, under a token of its own: the engine may still be writing something down under
    /// the session's, which then comes too late. `None` if the device is somebody else's by now.
    async fn erase(&self, fence: Fence) -> Result<Option<Fence>, ReactError> {
        let work = self.parts.store.begin().await?;
        let mut leases = work.leases(SCOPE);
        let now = self.now();
        leases.release(self.parts.node, &[Release { fence, from: now }]).await?;
        let lease = leases.claim_one(self.parts.node, fence.device, now).await?;
        drop(leases);
        work.commit().await?;
        let Some(lease) = lease else { return Ok(None) };
        self.parts.vault.write(lease.fence(), vec![Change::Clear]).await?;
        Ok(Some(lease.fence()))
    }

    /// A unit of work about a session, if it is still ours. A process that was frozen hears late, and
    /// of its own connections only: that they ended says nothing about those of the new owner.
    async fn begin(&self, fence: Fence) -> Result<Option<Box<dyn DevicesUse>>, StoreError> {
        let work = self.parts.store.begin().await?;
        let ours = work.leases(SCOPE).holds(fence).await?;
        Ok(ours.then_some(work))
    }

    async fn known(
        &self,
        session: &Session,
        phone: Option<&PhoneNumber>,
        name: Option<&str>,
    ) -> Result<(), StoreError> {
        let Some(phone) = phone else { return Ok(()) };
        let Some(work) = self.begin(session.fence()).await? else { return Ok(()) };
        let device = session.fence().device;
        work.device_registry(SCOPE).set_owner(device, phone, name, self.now()).await?;
        work.commit().await
    }

    pub(super) async fn state(
        &self,
        session: &Session,
        state: DeviceState,
        reason: Option<&str>,
    ) -> Result<(), ReactError> {
        let Some(work) = self.begin(session.fence()).await? else { return Ok(()) };
        self.enter(&*work, session, state, reason).await?;
        Ok(work.commit().await?)
    }

    /// The device's state, and the event that tells of it if it is another one.
    async fn enter(
        &self,
        work: &(dyn DevicesUse + '_),
        session: &Session,
        state: DeviceState,
        reason: Option<&str>,
    ) -> Result<(), StoreError> {
        let (device, now) = (session.fence().device, self.now());
        if work.device_registry(SCOPE).set_state(device, state, reason, now).await? {
            let fact = Fact::DeviceState {
                device_id: device,
                state: state.to_string(),
                reason: reason.map(str::to_owned),
            };
            let account = session.account();
            work.events().append(&[NewEvent { account, at: now, fact }]).await?;
        }
        Ok(())
    }
}

/// What an end says about the health of its device.
fn counts(end: &End) -> DayCounts {
    DayCounts {
        banned: u64::from(matches!(end, End::Banned { .. })),
        logged_out: u64::from(matches!(end, End::LoggedOut { .. })),
        ..DayCounts::default()
    }
}

/// What becomes of a session; `None` where somebody else decides.
fn verdict(end: End, now: Timestamp) -> Option<Verdict> {
    let again = |state, why: String, at| Some(Verdict { state, why, again: Some(at) });
    let stays = |state, why: String| Some(Verdict { state, why, again: None });
    match end {
        // Its owner writes what becomes of it.
        End::Fenced => None,
        End::LoggedOut { why } => {
            let why = format!("WhatsApp or the phone removed the session ({why}); pair it again");
            stays(DeviceState::LoggedOut, why)
        }
        End::Left { told } => {
            let why = if told {
                "it was logged out on purpose; pair it again to use it"
            } else {
                "it was logged out here, but WhatsApp could not be told: remove it on the phone as well"
            };
            stays(DeviceState::LoggedOut, why.to_owned())
        }
        End::NotPaired => {
            let why = "nobody scanned or typed the code in time; pair it again";
            stays(DeviceState::Disconnected, why.to_owned())
        }
        End::NoPairing { why } => {
            let why = format!("WhatsApp did not pair it ({why}); try again later");
            stays(DeviceState::Disconnected, why)
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
            stays(DeviceState::Disconnected, why)
        }
    }
}

impl End {
    /// Whether nothing is left of the session that could be used.
    const fn erases(&self) -> bool {
        matches!(
            self,
            Self::LoggedOut { .. } | Self::Left { .. } | Self::NotPaired | Self::NoPairing { .. }
        )
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
            (End::Left { told: true }, DeviceState::LoggedOut, None),
            (End::Left { told: false }, DeviceState::LoggedOut, None),
            (End::NotPaired, DeviceState::Disconnected, None),
            (End::NoPairing { why: why() }, DeviceState::Disconnected, None),
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
