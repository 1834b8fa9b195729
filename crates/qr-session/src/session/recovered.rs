//! Messages that could not be decrypted here, as the account's own phone read them.
//!
//! The engine asks the phone for them beside asking the sender to send again, and tells of what the phone
//! has without asking the hook first. So they come this way; what is in this queue when the process is killed
//! is lost, unless the sender sends again, too. What comes on both ways is stored once.

use std::sync::Weak;

use tokio::sync::mpsc::UnboundedReceiver;
use whatsapp_rust::Client;
use whatsapp_rust::types::durability_hook::InboundMessage;

use super::hook::Hook;

/// Messages of one batch at most.
const MOST: usize = 200;

/// Stores what the phone gave to one session, in its order, until the session ends.
pub(crate) async fn store(
    mut recovered: UnboundedReceiver<InboundMessage>,
    client: Weak<Client>,
    hook: Hook,
) {
    let mut waiting = Vec::new();
    while recovered.recv_many(&mut waiting, MOST).await > 0 {
        let events = hook.events(client.upgrade().as_deref(), &waiting).await;
        waiting.clear();
        // The hook waits between its tries, and logs them.
        while hook.store(&events).await.is_err() {}
    }
}
