//! The envelope.

use bytes::Bytes;
use kabar_channel::{Batch, RawBody};
use kabar_core::{MetaAppId, Timestamp};

/// Decodes the body of a webhook.
pub fn decode(app: MetaAppId, raw: &[u8], _received_at: Timestamp) -> Batch {
    Batch {
        events: Vec::new(),
        raw: Some(RawBody {
            app,
            bytes: Bytes::copy_from_slice(raw),
        }),
    }
}
