//! The websocket of a session: dialled through the gate.

use std::sync::Arc;

use async_trait::async_trait;
use wacore::net::{Transport, TransportEvent, TransportFactory};
use whatsapp_rust::anyhow;
use whatsapp_rust::async_channel::Receiver;
use whatsapp_rust::transport::TokioWebSocketTransportFactory;

use crate::gate::Gate;
use crate::settings::QrSettings;

/// Dials WhatsApp, or what stands in for it.
pub(crate) struct Dial {
    gate: Arc<Gate>,
    factory: TokioWebSocketTransportFactory,
}

impl Dial {
    pub(crate) fn new(gate: Arc<Gate>, settings: &QrSettings) -> Self {
        let factory = TokioWebSocketTransportFactory::new();
        let factory = match &settings.url {
            Some(url) => factory.with_url(url.clone()),
            None => factory,
        };
        Self { gate, factory }
    }
}

#[async_trait]
impl TransportFactory for Dial {
    async fn create_transport(
        &self,
    ) -> anyhow::Result<(Arc<dyn Transport>, Receiver<TransportEvent>)> {
        let Some(passage) = self.gate.pass().await else {
            anyhow::bail!("no more connections are made");
        };
        let made = self.factory.create_transport().await;
        passage.ended(made.is_ok());
        made
    }
}
