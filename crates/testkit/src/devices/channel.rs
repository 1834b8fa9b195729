//! A channel whose network answers as it is told.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use kabar_channel::ports::{DeviceCheck, DeviceFacts};
use kabar_channel::{
    Accepted, Capabilities, Channel, ChannelKind, ChannelPorts, DeviceLink, Outgoing, Prepared,
    Reason, SendError,
};
use kabar_core::Secret;

/// Stands in for the Cloud API where only credentials matter. It sends nothing.
#[derive(Debug, Default)]
pub struct ScriptedChannel(Mutex<Network>);

#[derive(Debug, Default)]
struct Network {
    error: Option<SendError>,
    checks: usize,
    last_token: Option<Secret>,
}

impl ScriptedChannel {
    /// The channel with its check.
    pub fn ports(channel: &Arc<Self>) -> ChannelPorts {
        let check: Arc<dyn DeviceCheck> = channel.clone();
        ChannelPorts::new(channel.clone()).with_check(check)
    }

    /// Every credential is good from now on.
    pub fn accept(&self) {
        self.network().error = None;
    }

    /// Every credential is refused from now on, with this code.
    pub fn refuse(&self, code: &str) {
        self.network().error = Some(SendError::refused(code, "the token is not valid"));
    }

    /// The network cannot be asked from now on.
    pub fn fail(&self) {
        let reason = Reason::new("timeout", "no answer");
        self.network().error = Some(SendError::Retry { after: None, reason });
    }

    /// How often it was asked.
    pub fn checks(&self) -> usize {
        self.network().checks
    }

    /// The credential that it was asked with last.
    pub fn last_token(&self) -> Option<Secret> {
        self.network().last_token.clone()
    }

    fn network(&self) -> MutexGuard<'_, Network> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DeviceCheck for ScriptedChannel {
    async fn check(&self, device: &DeviceLink) -> Result<DeviceFacts, SendError> {
        let mut network = self.network();
        network.checks += 1;
        network.last_token.clone_from(&device.token);
        if let Some(error) = &network.error {
            return Err(error.clone());
        }
        Ok(DeviceFacts {
            display_phone: Some("+1 555-0100".to_owned()),
            verified_name: Some("Toko".to_owned()),
            quality: Some("GREEN".to_owned()),
            portfolio: Some("portfolio".to_owned()),
        })
    }
}

#[async_trait]
impl Channel for ScriptedChannel {
    fn kind(&self) -> ChannelKind {
        ChannelKind::CLOUD_API
    }

    fn capabilities(&self, _device: &DeviceLink) -> Capabilities {
        Capabilities::text_only()
    }

    async fn prepare(&self, _: &DeviceLink, message: &Outgoing) -> Result<Prepared, SendError> {
        Prepared::of(&message.content)
    }

    async fn transmit(
        &self,
        _: &DeviceLink,
        _: &Outgoing,
        _: &Prepared,
    ) -> Result<Accepted, SendError> {
        Err(SendError::refused("scripted", "this channel sends nothing"))
    }
}
