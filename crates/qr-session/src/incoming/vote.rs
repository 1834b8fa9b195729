//! Answers to polls. They come encrypted with the poll's secret, which the session keeps; what this
//! module hands on first is a marker with everything that decryption needs.

use kabar_channel::{IncomingContent, MessageKey};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use wacore_binary::Jid;
use waproto::whatsapp as wa;

use super::scene::Scene;
use crate::address;
use crate::binary::Binary;

/// The kind of the marker, an [`IncomingContent::Unknown`].
const KIND: &str = "encrypted_poll_vote";
/// The most bytes of an encrypted vote: twelve hashes and some framing.
const LONGEST: usize = 4_096;

/// A vote that was not opened yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EncryptedVote {
    /// The poll: chat, creator and id under which its secret is kept.
    pub(crate) poll: MessageKey,
    /// Who voted, by address without device.
    pub(crate) voter: String,
    /// The same by the other namespace, where the stanza tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) voter_alt: Option<String>,
    /// The encrypted vote.
    pub(crate) payload: Binary,
    /// Its nonce.
    pub(crate) nonce: Binary,
}

impl EncryptedVote {
    /// The vote of a message, if it is one.
    pub(super) fn read(scene: &Scene<'_>, message: &wa::Message) -> Option<Self> {
        let update = message.poll_update_message.as_option()?;
        let vote = update.vote.as_option()?;
        let source = &scene.info.source;
        let bytes =
            |bytes: Option<&[u8]>| bytes.filter(|bytes| bytes.len() <= LONGEST).map(Binary::from);
        let named = |jid: &Jid| address::is_usable(jid).then(|| jid.to_non_ad_string());
        Some(Self {
            poll: scene.target(update.poll_creation_message_key.as_option()?)?,
            voter: named(&source.sender)?,
            voter_alt: source.sender_alt.as_ref().and_then(named),
            payload: bytes(vote.enc_payload.as_deref())?,
            nonce: bytes(vote.enc_iv.as_deref())?,
        })
    }

    /// The marker that stands for the vote until it is opened.
    pub(super) fn marker(&self) -> IncomingContent {
        let raw = serde_json::to_value(self).unwrap_or_default();
        IncomingContent::Unknown { kind: KIND.to_owned(), raw }
    }

    /// The vote out of its marker; `None` for every other content.
    pub(crate) fn of(content: &IncomingContent) -> Option<Self> {
        match content {
            IncomingContent::Unknown { kind, raw } if kind == KIND => {
                serde_json::from_value(raw.clone()).ok()
            }
            _ => None,
        }
    }
}

/// What an opened vote says. No option at all takes an earlier vote back.
pub(crate) fn poll_vote(vote: &EncryptedVote, options: Vec<String>) -> IncomingContent {
    IncomingContent::PollVote { target: vote.poll.clone(), options }
}

/// The options that an opened vote names: it holds the SHA-256 of each. Hashes of no option are
/// passed over; the order is the poll's.
pub(crate) fn chosen<'a>(
    hashes: &[Vec<u8>],
    options: impl IntoIterator<Item = &'a str>,
) -> Vec<String> {
    let is_chosen = |option: &&str| {
        let hash = Sha256::digest(option.as_bytes());
        hashes.iter().any(|chosen| chosen.as_slice() == &hash[..])
    };
    options.into_iter().filter(is_chosen).map(str::to_owned).collect()
}
