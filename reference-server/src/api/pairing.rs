//! Pairing a device: by a code that is scanned, or by one that is typed on the phone.

use std::time::Duration;

use futures_util::stream::{self, Stream};
use kabar::Platform;
use kabar::core::permission::WriteDevices;
use kabar::core::{DeviceId, ExposeSecret as _, Grant, PhoneNumber, Timestamp};
use kabar::devices::DeviceState;
use kabar::qr_session::{PairingMethod, Supervisor};
use poem::web::sse::{Event, SSE};
use poem::{IntoResponse as _, Request};
use poem_openapi::param::Path;
use poem_openapi::payload::Json;
use poem_openapi::types::ToJSON as _;
use poem_openapi::{Enum, Object, OpenApi};
use serde::Deserialize;
use tokio::time::Interval;

use super::Area;
use super::answer::Answer;
use super::body::JsonBody;
use super::devices::DeviceView;
use super::live;
use super::streamed::{Png, Streamed, Svg};
use super::words::Word;
use crate::auth::{Auth, InAccount, Standing};
use crate::problem::Problem;
use crate::qr;

/// How often a stream looks for a new code or state. A code to scan works for 20 seconds.
const LOOK: Duration = Duration::from_millis(500);
/// How often the credential of a stream is looked at again.
const CHECK: Duration = Duration::from_secs(30);
/// How often a comment shows that a stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// How a device is to be paired.
#[derive(Debug, Default, Object, Deserialize)]
#[oai(rename = "NewPairing", default)]
#[serde(deny_unknown_fields, default)]
pub struct NewPairingBody {
    /// The number of the phone, with `+` and country code, to pair by a code that is typed there;
    /// absent for a code that is scanned.
    pub number: Option<String>,
}

/// What is done with a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Enum)]
#[oai(rename_all = "snake_case", rename = "PairingMethod")]
pub enum MethodWord {
    /// The phone scans it, drawn as a QR code.
    Scan,
    /// It is typed on the phone.
    Type,
}

/// How far the pairing of a device is.
#[derive(Debug, Clone, PartialEq, Eq, Object)]
#[oai(rename = "Pairing")]
pub struct PairingView {
    /// The device's state: `qr` while a code waits for the phone, `connected` once it is paired.
    pub state: Word<DeviceState>,
    /// Why, where there is something to say.
    pub state_reason: Option<String>,
    /// What is done with the code; null while there is none.
    pub method: Option<MethodWord>,
    /// The code: what the QR code says, or the eight letters and digits to type.
    pub code: Option<String>,
    /// Until when it works.
    pub expires_at: Option<Timestamp>,
    /// The number that was paired.
    pub phone: Option<String>,
}

/// The operations.
pub struct PairingApi(pub Platform);

#[OpenApi(tag = "Area::Devices")]
impl PairingApi {
    /// Pair a device
    ///
    /// For a paired device without a session. A node with room asks WhatsApp for codes; they are at
    /// `/devices/{id}/pairing` within seconds. Without `number` they are to be scanned: each works
    /// for 20 seconds (the first for 60), all of them for less than three minutes. With it there is
    /// one, to be typed on that phone under *Link with phone number*. Asking again begins anew. A
    /// device that has a session answers 409: log it out first. Needs `devices:write`.
    #[oai(path = "/devices/:id/pair", method = "post", operation_id = "pairDevice")]
    async fn pair(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
        body: JsonBody<NewPairingBody>,
    ) -> Answer<PairingView> {
        let (grant, id) = (&may.grant, id.0.0);
        let number = body.value.number.as_deref().map(number).transpose()?;
        self.0.devices().paired(grant, id).await?;
        sessions(&self.0)?.ensure_unpaired(grant, id).await?;
        self.0.devices().pair(grant, id, number).await?;
        Ok(Json(look(&self.0, grant, id).await?))
    }

    /// Get the code that pairs a device
    ///
    /// With `Accept: text/event-stream` the answer is a stream of server-sent events: each `pairing`
    /// holds the same as the JSON answer, whenever it changed; the stream ends once the device is
    /// connected, or is no longer waiting to be. A comment each 15 seconds keeps the connection open.
    /// Needs `devices:write`: who has the code can link a phone of their own.
    #[oai(path = "/devices/:id/pairing", method = "get", operation_id = "getPairing")]
    async fn pairing(
        &self,
        request: &Request,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Result<Streamed<PairingView>, Problem> {
        let now = look(&self.0, &may.grant, id.0.0).await?;
        if !live::wanted(request) {
            return Ok(Streamed::Once(Json(now)));
        }
        let start = tokio::time::Instant::now() + CHECK;
        let watch = Watch {
            platform: self.0.clone(),
            grant: may.grant,
            device: id.0.0,
            standing: Standing::of(request, self.0.clone())?,
            looks: tokio::time::interval(LOOK),
            checks: tokio::time::interval_at(start, CHECK),
            shown: None,
        };
        Ok(Streamed::Live(SSE::new(watch.events()).keep_alive(HEARTBEAT).into_response()))
    }

    /// Get the code to scan as an SVG picture
    ///
    /// 404 while there is none. Needs `devices:write`.
    #[oai(path = "/devices/:id/pairing/qr.svg", method = "get", operation_id = "getPairingSvg")]
    async fn svg(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Result<Svg, Problem> {
        let code = self.to_scan(&may.grant, id.0.0).await?;
        let svg = qr::svg(&code).map_err(|error| Problem::internal(&error))?;
        Ok(Svg::new(svg))
    }

    /// Get the code to scan as a PNG picture
    ///
    /// 404 while there is none. Needs `devices:write`.
    #[oai(path = "/devices/:id/pairing/qr.png", method = "get", operation_id = "getPairingPng")]
    async fn png(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Result<Png, Problem> {
        let code = self.to_scan(&may.grant, id.0.0).await?;
        let png = qr::png(&code).map_err(|error| Problem::internal(&error))?;
        Ok(Png::new(png))
    }

    /// Log a paired device out
    ///
    /// WhatsApp is told, the phone no longer lists it, and its session is erased; its messages wait
    /// until it is paired again. `state` becomes `logged_out` within seconds, or after half a minute
    /// when WhatsApp cannot be told. Needs `devices:write`.
    #[oai(path = "/devices/:id/logout", method = "post", operation_id = "logOutDevice")]
    async fn log_out(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Answer<DeviceView> {
        let device = self.0.devices().log_out(&may.grant, id.0.0).await?;
        Ok(Json(device.into()))
    }
}

impl PairingApi {
    async fn to_scan(&self, grant: &Grant<WriteDevices>, id: DeviceId) -> Result<String, Problem> {
        match look(&self.0, grant, id).await? {
            PairingView { method: Some(MethodWord::Scan), code: Some(code), .. } => Ok(code),
            _ => Err(Problem::not_found("there is no code to scan at the moment")),
        }
    }
}

fn number(text: &str) -> Result<PhoneNumber, Problem> {
    PhoneNumber::parse(text, None).map_err(|error| Problem::invalid("number", error.to_string()))
}

fn sessions(platform: &Platform) -> Result<&Supervisor, Problem> {
    let none = || Problem::invalid("id", "this installation has no paired devices");
    platform.sessions().ok_or_else(none)
}

/// How far the pairing is now.
async fn look(
    platform: &Platform,
    grant: &Grant<WriteDevices>,
    id: DeviceId,
) -> Result<PairingView, Problem> {
    let device = platform.devices().paired(grant, id).await?;
    let code = match device.state {
        DeviceState::Qr => sessions(platform)?.pairing_code(grant, id).await?,
        _ => None,
    };
    Ok(PairingView {
        state: Word(device.state),
        state_reason: device.state_reason,
        method: code.as_ref().map(|code| match code.method {
            PairingMethod::Scan => MethodWord::Scan,
            PairingMethod::Type => MethodWord::Type,
        }),
        code: code.as_ref().map(|code| code.code.expose_secret().to_owned()),
        expires_at: code.map(|code| code.expires_at),
        phone: device.phone.map(|phone| phone.as_str().to_owned()),
    })
}

/// A stream of what changes in a pairing.
struct Watch {
    platform: Platform,
    grant: Grant<WriteDevices>,
    device: DeviceId,
    standing: Standing,
    looks: Interval,
    checks: Interval,
    shown: Option<PairingView>,
}

impl Watch {
    fn events(self) -> impl Stream<Item = Event> + Send {
        stream::unfold(self, |mut watch| async move {
            let event = watch.next().await?;
            Some((event, watch))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        if self.shown.as_ref().is_some_and(|shown| is_over(shown.state.0)) {
            return None;
        }
        loop {
            tokio::select! {
                _ = self.checks.tick() => {
                    if !self.standing.admits::<InAccount<WriteDevices>>().await {
                        return None;
                    }
                }
                _ = self.looks.tick() => {
                    let now = look(&self.platform, &self.grant, self.device).await.ok()?;
                    if self.shown.as_ref() != Some(&now) {
                        let data = now.to_json_string();
                        self.shown = Some(now);
                        return Some(Event::message(data).event_type("pairing"));
                    }
                }
            }
        }
    }
}

/// Whether nothing more happens by itself.
fn is_over(state: DeviceState) -> bool {
    !matches!(state, DeviceState::Connecting | DeviceState::Qr | DeviceState::Reconnecting)
}
