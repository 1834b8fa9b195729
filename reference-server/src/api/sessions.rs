//! Sessions of paired devices: connecting them, and bringing them in.

use kabar::Platform;
use kabar::core::DeviceId;
use kabar::core::permission::WriteDevices;
use poem_openapi::OpenApi;
use poem_openapi::param::Path;
use poem_openapi::payload::Json;

use super::Area;
use super::answer::{Answer, NoContent};
use super::body::JsonBody;
use super::devices::DeviceView;
use super::words::{AnyJson, Word};
use crate::auth::{Auth, InAccount};
use crate::problem::Problem;

/// The operations.
pub struct SessionsApi(pub Platform);

#[OpenApi(tag = "Area::Devices")]
impl SessionsApi {
    /// Connect a paired device
    ///
    /// Says that the device is to be connected; a node with room for it does so within seconds, and
    /// `state` tells. Repeating it changes nothing. A device of another channel answers 422. Needs
    /// `devices:write`.
    #[oai(path = "/devices/:id/connect", method = "post", operation_id = "connectDevice")]
    async fn connect(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Answer<DeviceView> {
        let device = self.0.devices().connect(&may.grant, id.0.0).await?;
        Ok(Json(device.into()))
    }

    /// Disconnect a paired device
    ///
    /// It keeps its session, and its messages wait. Repeating it changes nothing. A device of another
    /// channel answers 422. Needs `devices:write`.
    #[oai(path = "/devices/:id/disconnect", method = "post", operation_id = "disconnectDevice")]
    async fn disconnect(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
    ) -> Answer<DeviceView> {
        let device = self.0.devices().disconnect_paired(&may.grant, id.0.0).await?;
        Ok(Json(device.into()))
    }

    /// Bring a session in
    ///
    /// The session of a device that was paired elsewhere: a session file (`kabar-session`, version 1), or
    /// the folder of a Baileys program (`useMultiFileAuthState`) as one object of file names and
    /// contents, `{"creds.json": {…}, "pre-key-1.json": {…}, …}`. All of it is taken, or nothing. The
    /// device must be disconnected and have no session. It must not run where it came from any more:
    /// WhatsApp throws one of two out. Connect the device afterwards. Of Baileys, the keys of chats are
    /// not carried: each chat's first message is asked for again. Needs `devices:write`.
    #[oai(path = "/devices/:id/session", method = "put", operation_id = "importSession")]
    async fn import(
        &self,
        Auth(may): Auth<InAccount<WriteDevices>>,
        id: Path<Word<DeviceId>>,
        body: JsonBody<AnyJson>,
    ) -> Result<NoContent, Problem> {
        let device = self.0.devices().paired(&may.grant, id.0.0).await?;
        self.bring_in(&may.grant, device.id, &body.value).await?;
        Ok(NoContent)
    }
}

impl SessionsApi {
    #[cfg(feature = "qr-session")]
    async fn bring_in(
        &self,
        grant: &kabar::core::Grant<WriteDevices>,
        device: DeviceId,
        file: &AnyJson,
    ) -> Result<(), Problem> {
        let Some(sessions) = self.0.sessions() else { return Err(no_sessions()) };
        let file = serde_json::to_vec(&file.0)
            .map_err(|error| Problem::invalid("body", error.to_string()))?;
        sessions.bring_in(grant, device, &file).await?;
        Ok(())
    }

    #[cfg(not(feature = "qr-session"))]
    async fn bring_in(
        &self,
        _: &kabar::core::Grant<WriteDevices>,
        _: DeviceId,
        _: &AnyJson,
    ) -> Result<(), Problem> {
        Err(no_sessions())
    }
}

fn no_sessions() -> Problem {
    Problem::invalid("id", "this installation has no paired devices")
}
