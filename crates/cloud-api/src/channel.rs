//! The channel: prepare and transmit.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use kabar_channel::ports::MediaSource;
use kabar_channel::{
    Accepted, Capabilities, Channel, ChannelKind, ChannelPorts, ContentKind, DeviceLink, Limits,
    Outgoing, PairLimit, Prepared, Reason, RetrySafety, SendError,
};
use kabar_core::{Clock, Secret};
use serde_json::Value;

use crate::classify::{PAIR_LIMIT, after_send, pair_wait};
use crate::graph::{GraphClient, GraphConfig, GraphError};
use crate::outgoing;
use crate::uploads::Uploads;

/// Sends in flight per number: Meta's default throughput is 80 messages a second, and an answer
/// takes up to about a second.
const IN_FLIGHT: usize = 80;
/// Meta's default throughput of a number, messages a second (Cloud API, "Throughput"); 1,000 after its
/// upgrade, 20 in coexistence, which the tenant sets on the device.
const PER_SECOND: u32 = 80;
/// Meta's limit for one number and one user (Cloud API, "Pair rate limit"; exceeded is 131056).
const PAIR: PairLimit = PairLimit { every: Duration::from_secs(6), burst: 45 };

/// The kinds that travel as they are: all but polls.
const KINDS: [ContentKind; 12] = [
    ContentKind::Text,
    ContentKind::Image,
    ContentKind::Video,
    ContentKind::Audio,
    ContentKind::Document,
    ContentKind::Sticker,
    ContentKind::Location,
    ContentKind::Contacts,
    ContentKind::Buttons,
    ContentKind::List,
    ContentKind::Reaction,
    ContentKind::Template,
];

/// Meta's Cloud API as a channel, for every number of an installation. The token and the phone
/// number id come with each [`DeviceLink`].
pub struct CloudApi {
    pub(crate) graph: GraphClient,
    pub(crate) files: Arc<dyn MediaSource>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) uploads: Uploads,
}

impl CloudApi {
    /// The channel over Graph at the configured address.
    ///
    /// # Errors
    /// [`GraphError::Config`] when the configuration cannot work.
    pub fn new(
        config: GraphConfig,
        files: Arc<dyn MediaSource>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, GraphError> {
        Ok(Self { graph: GraphClient::new(config)?, files, clock, uploads: Uploads::default() })
    }

    /// The client below.
    pub const fn graph(&self) -> &GraphClient {
        &self.graph
    }

    /// The channel with all its ports.
    pub fn ports(self: &Arc<Self>) -> ChannelPorts {
        let channel: Arc<Self> = Arc::clone(self);
        ChannelPorts::new(channel.clone())
            .with_read_receipts(channel.clone())
            .with_incoming_media(channel.clone())
            .with_templates(channel.clone())
            .with_check(channel)
    }
}

impl fmt::Debug for CloudApi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloudApi").field("graph", &self.graph).finish_non_exhaustive()
    }
}

/// The device's token.
pub(crate) fn token(device: &DeviceLink) -> Result<&Secret, SendError> {
    device.token.as_ref().ok_or_else(|| SendError::DeviceDown {
        reason: Reason::new("no_token", "the device has no access token"),
    })
}

#[async_trait]
impl Channel for CloudApi {
    fn kind(&self) -> ChannelKind {
        ChannelKind::CLOUD_API
    }

    fn capabilities(&self, _device: &DeviceLink) -> Capabilities {
        Capabilities {
            kinds: KINDS.into_iter().collect(),
            limits: Limits {
                call_buttons: 0,
                mixed_buttons: false,
                poll_options: 0,
                ..Limits::generous()
            },
            retry: RetrySafety::Never,
            window: true,
            in_flight: IN_FLIGHT,
            per_second: Some(PER_SECOND),
            pair: Some(PAIR),
        }
    }

    async fn prepare(
        &self,
        device: &DeviceLink,
        message: &Outgoing,
    ) -> Result<Prepared, SendError> {
        outgoing::check(message)?;
        let media = match message.content.media() {
            Some(media) => Some(self.media(device, message.content.kind(), media).await?),
            None => None,
        };
        outgoing::request(message, media).map(Prepared::from)
    }

    async fn transmit(
        &self,
        device: &DeviceLink,
        message: &Outgoing,
        prepared: &Prepared,
    ) -> Result<Accepted, SendError> {
        let sent = self.graph.send_message(token(device)?, &device.address, prepared.json()).await;
        match sent {
            Ok(answer) => accepted(&answer),
            Err(error) => Err(refine(after_send(&error), message.attempt)),
        }
    }
}

/// The pair limit's wait grows with the tries.
fn refine(error: SendError, attempt: u32) -> SendError {
    match error {
        SendError::Retry { after: None, reason } if reason.code == PAIR_LIMIT => {
            SendError::Retry { after: Some(pair_wait(attempt)), reason }
        }
        other => other,
    }
}

/// Reads Meta's acceptance. Without a message id nobody knows what happened.
fn accepted(answer: &Value) -> Result<Accepted, SendError> {
    let text = |pointer: &str| answer.pointer(pointer).and_then(Value::as_str);
    let Some(id) = text("/messages/0/id").filter(|id| !id.is_empty()) else {
        return Err(SendError::Uncertain {
            reason: Reason::new("no_message_id", "Graph accepted without a message id"),
        });
    };
    let mut accepted = Accepted::new(id);
    accepted.wa_id = text("/contacts/0/wa_id").map(str::to_owned);
    accepted.user_id = text("/contacts/0/user_id").map(str::to_owned);
    let status = text("/messages/0/message_status");
    accepted.held_by_network = matches!(status, Some("held_for_quality_assessment" | "paused"));
    Ok(accepted)
}
