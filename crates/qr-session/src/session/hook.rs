//! The way in: messages are acknowledged to WhatsApp after the intake's commit.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use kabar_channel::{Batch, ChannelEvent, DeviceAddress, Intake};
use kabar_core::AccountId;
use tokio::time::Instant;
use whatsapp_rust::types::durability_hook::{InboundDurabilityHook, InboundMessage};
use whatsapp_rust::{Client, anyhow};

use super::listener::Health;
use crate::incoming;
use crate::polls::Polls;

/// How long the intake is asked again before the session gives up and connects anew. Meanwhile the
/// session receives nothing more, which is what a database that is away calls for.
const PATIENCE: Duration = Duration::from_secs(30);
/// The wait after the first failure; each that follows is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(200);

/// Hands what a session decrypted to the intake.
pub(crate) struct Hook {
    pub(crate) address: DeviceAddress,
    pub(crate) account: AccountId,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) polls: Polls,
    pub(crate) health: Arc<Health>,
}

impl Hook {
    /// What messages tell, with the votes among them opened as long as the session is there.
    pub(crate) async fn events(
        &self,
        client: Option<&Client>,
        batch: &[InboundMessage],
    ) -> Vec<ChannelEvent> {
        let own = client.map(super::own).unwrap_or_default();
        let mut events: Vec<ChannelEvent> = batch
            .iter()
            .filter_map(|item| incoming::event(&self.address, &own, &item.message, &item.info))
            .collect();
        if let Some(client) = client {
            self.polls.open(client, &own, &mut events).await;
        }
        events
    }

    /// Stores events, again and again while storage is away.
    pub(crate) async fn store(&self, events: &[ChannelEvent]) -> anyhow::Result<()> {
        if events.is_empty() {
            return Ok(());
        }
        let (begun, mut wait) = (Instant::now(), FIRST_WAIT);
        loop {
            let batch = Batch { events: events.to_vec(), raw: None, within: Some(self.account) };
            let Err(error) = self.intake.accept(batch).await else { return Ok(()) };
            if begun.elapsed() + wait > PATIENCE {
                return Err(error.into());
            }
            tracing::warn!(error = &error as &dyn std::error::Error, "session.intake");
            tokio::time::sleep_until(Instant::now() + wait).await;
            wait *= 2;
        }
    }
}

#[async_trait]
impl InboundDurabilityHook for Hook {
    /// Without the commit nothing is acknowledged. The server delivers again only over another
    /// connection, so one is made.
    async fn on_messages(
        &self,
        client: Arc<Client>,
        batch: &[InboundMessage],
    ) -> anyhow::Result<()> {
        self.health.in_a_row.store(0, Ordering::Relaxed);
        self.health.understood.store(true, Ordering::Relaxed);
        let events = self.events(Some(&client), batch).await;
        let stored = self.store(&events).await;
        if stored.is_err() {
            tokio::spawn(async move { client.reconnect().await });
        }
        stored
    }
}
