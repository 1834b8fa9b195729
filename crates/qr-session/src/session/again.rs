//! Asking for messages again that were read and never stored.

use std::sync::Weak;

use tokio::sync::mpsc::UnboundedReceiver;
use wacore::time::now_secs;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, JidExt as _, Node};
use whatsapp_rust::{Client, RetryRequestOptions};

use crate::backend::Unread;

/// Asks the senders of messages for them, until the session ends.
pub(crate) async fn ask(mut unread: UnboundedReceiver<Unread>, client: Weak<Client>) {
    while let Some(message) = unread.recv().await {
        let Some(client) = client.upgrade() else { return };
        let Some(stanza) = stanza(&message) else { continue };
        let options = RetryRequestOptions::new();
        match client.request_message_retry(&stanza.as_node_ref(), options).await {
            Ok(_) => tracing::warn!("session.asked_again"),
            // It was not acknowledged: the next connection brings it again.
            Err(error) => {
                tracing::warn!(error = &error as &dyn std::error::Error, "session.ask_again");
            }
        }
    }
}

/// As much of the message's stanza as says where it came from.
fn stanza(message: &Unread) -> Option<Node> {
    let chat: Jid = message.chat.parse().ok()?;
    let sender: Jid = message.sender.parse().ok()?;
    let stanza = NodeBuilder::new("message")
        .attr("id", message.id.as_str())
        .attr("t", now_secs().to_string());
    let stanza = if chat.is_group() {
        stanza.attr("from", chat).attr("participant", sender)
    } else if chat.user == sender.user {
        stanza.attr("from", sender)
    } else {
        // A copy of what another device of ours wrote there.
        stanza.attr("from", sender).attr("recipient", chat)
    };
    Some(stanza.build())
}
