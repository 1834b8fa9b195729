//! Polls of ours: what it takes to read the votes.
//!
//! A vote is encrypted under the poll's secret and names options by their hashes, so both are kept from
//! before the poll is sent: a vote may come at any time afterwards, to another process too.

use std::sync::Arc;

use kabar_channel::{ChannelEvent, EventBody, content::Poll};
use serde::{Deserialize, Serialize};
use wacore::poll::PollVoteCiphertext;
use wacore::store::error::Result;
use whatsapp_rust::Client;

use crate::address::{self, Own};
use crate::backend::VaultBackend;
use crate::binary::Binary;
use crate::incoming::{EncryptedVote, chosen, poll_vote};

/// What is kept of a poll.
#[derive(Serialize, Deserialize)]
pub(crate) struct Kept {
    secret: Binary,
    options: Vec<String>,
}

impl Kept {
    /// A poll that is to be sent, with its secret.
    pub(crate) fn new(poll: &Poll, secret: &[u8]) -> Self {
        Self { secret: Binary::from(secret), options: poll.options.clone() }
    }
}

/// The polls of one session.
pub(crate) struct Polls(pub(crate) Arc<VaultBackend>);

impl Polls {
    /// Keeps a poll under its id on the wire.
    pub(crate) async fn keep(&self, wire_id: &str, poll: &Kept) -> Result<()> {
        let value = serde_json::to_vec(poll).unwrap_or_default();
        self.0.keep_poll(wire_id, value).await
    }

    /// Opens the votes among events. One that cannot be opened stays the marker that it is: of a poll
    /// that was made on the phone, say.
    pub(crate) async fn open(&self, client: &Client, own: &Own, events: &mut [ChannelEvent]) {
        for event in events {
            let (EventBody::Message(message) | EventBody::Echo(message)) = &mut event.body else {
                continue;
            };
            let Some(vote) = EncryptedVote::of(&message.content) else { continue };
            if let Some(options) = self.opened(client, own, &vote).await {
                message.content = poll_vote(&vote, options);
            }
        }
    }

    async fn opened(
        &self,
        client: &Client,
        own: &Own,
        vote: &EncryptedVote,
    ) -> Option<Vec<String>> {
        let kept = self.0.kept_poll(&vote.poll.id).await.ok()??;
        let kept: Kept = serde_json::from_slice(&kept).ok()?;
        let voter = address::parse(&vote.voter)?;
        let creator = own.beside(&voter)?;
        let sealed = PollVoteCiphertext { enc_payload: &vote.payload, enc_iv: &vote.nonce };
        let polls = client.polls();
        let hashes =
            polls.decrypt_vote(sealed, &kept.secret, &vote.poll.id, &creator, &voter).await;
        Some(chosen(&hashes.ok()?, kept.options.iter().map(String::as_str)))
    }
}
