//! Receipts on their way to the intake.
//!
//! The engine acknowledges receipts to WhatsApp by itself, before anybody stored them: what is in
//! this queue when the process is killed is lost. The next receipt heals it, because *read* implies
//! *delivered*.

use std::sync::{Arc, Weak};
use std::time::Duration;

use kabar_channel::{Batch, DeviceAddress, Intake};
use kabar_core::AccountId;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::Instant;
use wacore::types::events::Receipt;
use whatsapp_rust::Client;

use crate::receipt;

/// Receipts of one batch at most.
const MOST: usize = 200;
/// The wait before a batch that could not be stored is tried again.
const AGAIN: Duration = Duration::from_secs(1);

/// Stores the receipts of one session, in their order, until the session ends.
pub(crate) async fn store(
    mut receipts: UnboundedReceiver<Receipt>,
    client: Weak<Client>,
    address: DeviceAddress,
    account: AccountId,
    intake: Arc<dyn Intake>,
) {
    let mut waiting = Vec::new();
    while receipts.recv_many(&mut waiting, MOST).await > 0 {
        let own = client.upgrade().map(|client| super::own(&client)).unwrap_or_default();
        let events: Vec<_> =
            waiting.drain(..).flat_map(|told| receipt::events(&address, &own, &told)).collect();
        if events.is_empty() {
            continue;
        }
        let batch = || Batch { events: events.clone(), raw: None, within: Some(account) };
        while let Err(error) = intake.accept(batch()).await {
            tracing::warn!(error = &error as &dyn std::error::Error, "session.receipts");
            tokio::time::sleep_until(Instant::now() + AGAIN).await;
        }
    }
}
