//! Sending over a paired session.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::TimeDelta;
use kabar_channel::ports::MediaSource;
use kabar_channel::{
    Accepted, Capabilities, Channel, ChannelKind, Content, DeviceLink, Outgoing, Prepared, Reason,
    SendError,
};
use kabar_core::{Clock, IdSource, MessageId, Timestamp};
use tokio::time::timeout;
use whatsapp_rust::ClientError;
use whatsapp_rust::download::MediaType;
use whatsapp_rust::send::{SendError as EngineError, SendOptions};
use whatsapp_rust::upload::UploadOptions;

use crate::address;
use crate::capabilities::capabilities;
use crate::outgoing::{self, Quoted, Ready, SECRET, UploadedMedia};
use crate::ownership::Ownership;
use crate::polls::Kept;
use crate::session::Session;
use crate::session::acks::Said;
use crate::sessions::Sessions;
use crate::settings::QrSettings;
use crate::wire_id::wire_id;

/// How long a message waits for a session that is not connected before it is looked at again.
const NOT_CONNECTED: std::time::Duration = std::time::Duration::from_secs(5);
/// For how long new contacts are left alone after a refusal that names no end: what users report of
/// such restrictions (Baileys #2131), and what quotas for new chats are counted by.
const NEW_CONTACTS: TimeDelta = TimeDelta::hours(24);

/// The channel of paired sessions.
pub struct QrChannel {
    pub(crate) sessions: Sessions,
    pub(crate) ownership: Ownership,
    pub(crate) media: Arc<dyn MediaSource>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: Arc<QrSettings>,
}

impl std::fmt::Debug for QrChannel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("QrChannel").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

impl QrChannel {
    /// The session of a device, if it is connected, and ours beyond doubt.
    pub(crate) fn session(&self, device: &DeviceLink) -> Result<Arc<Session>, SendError> {
        let away = |code, text| {
            Err(SendError::Retry { after: Some(NOT_CONNECTED), reason: Reason::new(code, text) })
        };
        match self.sessions.get(device.device) {
            Some(session) if session.is_connected() && self.ownership.is_sure() => Ok(session),
            Some(_) => away("not_connected", "the session is not connected at the moment"),
            None => away("not_here", "the session does not run in this process"),
        }
    }

    /// Loads a file up, under a key of its own.
    async fn upload(
        &self,
        device: &DeviceLink,
        content: &Content,
    ) -> Result<UploadedMedia, SendError> {
        let Some(id) = content.stored() else {
            let problem = "a paired session sends stored files; upload the file first";
            return Err(SendError::refused("media_link", problem));
        };
        let session = self.session(device)?;
        let file = self.media.open(device, id).await?;
        let kind = match content {
            Content::Image(_) => MediaType::Image,
            Content::Video(_) => MediaType::Video,
            Content::Audio(_) => MediaType::Audio,
            Content::Sticker(_) => MediaType::Sticker,
            _ => MediaType::Document,
        };
        let options = UploadOptions::default();
        let uploaded = session.client().upload(file.bytes.to_vec(), kind, options).await;
        let uploaded = uploaded.map_err(|error| SendError::Retry {
            after: None,
            reason: Reason::new("upload", error.to_string()),
        })?;
        Ok(UploadedMedia::of(uploaded, file.mime))
    }

    /// Random bytes.
    fn secret(&self) -> [u8; SECRET] {
        let mut secret = [0; SECRET];
        self.ids.fill(&mut secret);
        secret
    }

    /// What the server said means this for the message.
    async fn refused(&self, session: &Session, code: &str) -> SendError {
        let reason = Reason::new(code, explanation(code));
        match code {
            "463" | "475" => {
                let told = if code == "463" { self.lock_ends(session).await } else { None };
                let until = told.unwrap_or_else(|| self.clock.now() + NEW_CONTACTS);
                SendError::NewContactsBlocked { until, assumed: told.is_none(), reason }
            }
            "429" => SendError::SlowDown { after: None, reason },
            "500" | "503" => SendError::Retry { after: None, reason },
            _ => SendError::Refused { reason },
        }
    }

    /// Until when the account may not begin chats, as WhatsApp says when it is asked.
    async fn lock_ends(&self, session: &Session) -> Option<Timestamp> {
        let asked = session.client().mex();
        let asked = asked.fetch_reachout_timelock();
        let lock = match timeout(self.settings.acknowledged_within, asked).await {
            Ok(Ok(lock)) => lock,
            Ok(Err(error)) => {
                tracing::debug!(error = &error as &dyn std::error::Error, "session.lock_ends");
                return None;
            }
            Err(_) => return None,
        };
        let seconds: i64 = lock.time_enforcement_ends?.parse().ok()?;
        let ends = Timestamp::from_timestamp(seconds, 0)?;
        (lock.is_active? && ends > self.clock.now()).then_some(ends)
    }
}

#[async_trait]
impl Channel for QrChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::QR_SESSION
    }

    fn capabilities(&self, _device: &DeviceLink) -> Capabilities {
        capabilities()
    }

    fn is_here(&self, device: &DeviceLink) -> bool {
        self.ownership.is_sure()
            && self.sessions.get(device.device).is_some_and(|session| session.is_connected())
    }

    fn wire_id(&self, message: MessageId) -> Option<String> {
        Some(wire_id(message))
    }

    async fn prepare(
        &self,
        device: &DeviceLink,
        message: &Outgoing,
    ) -> Result<Prepared, SendError> {
        let mut ready = Ready::at(self.clock.now());
        if matches!(message.content, Content::Poll(_)) {
            ready = ready.with_secret(self.secret());
        }
        if message.content.media().is_some() {
            ready = ready.with_file(self.upload(device, &message.content).await?);
        }
        ready.prepared()
    }

    async fn transmit(
        &self,
        device: &DeviceLink,
        message: &Outgoing,
        prepared: &Prepared,
    ) -> Result<Accepted, SendError> {
        let session = self.session(device)?;
        let to = address::recipient(&message.to)?;
        let quoted = Quoted::of(message, &session.own())?;
        let ready = Ready::read(prepared)?;
        let written = outgoing::message(message, &ready, quoted.as_ref())?;
        let id = message.wire_id.clone().unwrap_or_else(|| wire_id(message.id));
        keep_poll(&session, &id, message, &ready).await?;
        let said = session.acks().expect(&id);
        let options = SendOptions::default().with_message_id(id.clone());
        let sent = session.client().send_message_with_options(to, written, options).await;
        if let Err(error) = sent {
            session.acks().give_up(&id);
            return Err(classify(&error));
        }
        match timeout(self.settings.acknowledged_within, said).await {
            Ok(Ok(Said::Taken)) => Ok(Accepted::new(id)),
            Ok(Ok(Said::Refused(code))) => Err(self.refused(&session, &code).await),
            Ok(Err(_)) => Err(uncertain("the connection ended before WhatsApp acknowledged it")),
            Err(_) => {
                session.acks().give_up(&id);
                Err(uncertain("WhatsApp did not acknowledge it in time"))
            }
        }
    }
}

/// What it takes to read the votes is kept before the first of them can come.
async fn keep_poll(
    session: &Session,
    wire_id: &str,
    message: &Outgoing,
    ready: &Ready,
) -> Result<(), SendError> {
    let (Content::Poll(poll), Some(secret)) = (&message.content, &ready.secret) else {
        return Ok(());
    };
    let kept = session.polls().keep(wire_id, &Kept::new(poll, secret)).await;
    kept.map_err(|error| SendError::Retry {
        after: None,
        reason: Reason::new("vault", error.to_string()),
    })
}

fn uncertain(text: &str) -> SendError {
    SendError::Uncertain { reason: Reason::new("unacknowledged", text) }
}

/// What a failure before the acknowledgement means. Where the engine does not say that nothing was
/// written, something may have been: another try under the same id does no harm then.
fn classify(error: &EngineError) -> SendError {
    let reason = |code: &str| Reason::new(code, error.to_string());
    match error {
        EngineError::NotLoggedIn | EngineError::Client(ClientError::NotConnected) => {
            SendError::Retry { after: Some(NOT_CONNECTED), reason: reason("not_connected") }
        }
        // Asked before anything is sent: groups, devices, keys.
        EngineError::Iq(_) => SendError::Retry { after: None, reason: reason("query") },
        EngineError::InvalidRequest(_) => SendError::Refused { reason: reason("invalid") },
        _ => SendError::Uncertain { reason: reason("engine") },
    }
}

/// What the server's code for a refused message says, as far as it is known.
fn explanation(code: &str) -> &'static str {
    match code {
        "463" => "WhatsApp lets this number write to known contacts only, for a time",
        "475" => "WhatsApp lets this number begin no more new chats, for a time",
        "429" => "WhatsApp says that this number sends too fast",
        "479" => "WhatsApp found the message's addressing out of date",
        "421" => "WhatsApp does not let this number write to this group",
        _ => "WhatsApp refused the message",
    }
}
