//! Meta's WhatsApp Cloud API as a Kabar channel.
//!
//! # Overview
//!
//! * [`CloudApi`] implements [`kabar_channel::Channel`] and the optional ports beside it: read
//!   receipts, incoming files, approved templates, and the check of a number's credentials.
//! * [`GraphClient`] is the thin client below it, one method per call; [`GraphConfig`] says where
//!   Graph is, so that a sandbox or a proxy can stand in for Meta.
//! * [`classify`] turns Meta's error codes into what to *do* about them.
//! * [`webhook`] verifies what Meta posts to us and decodes it into a
//!   [`kabar_channel::Batch`]. Decoding never fails: what cannot be read is kept raw.
//!
//! # Sending
//!
//! ```
//! use std::sync::Arc;
//!
//! use kabar_channel::ports::MediaSource;
//! use kabar_channel::Channels;
//! use kabar_cloud_api::{CloudApi, GraphConfig, GraphError};
//! use kabar_core::SystemClock;
//!
//! fn channels(files: Arc<dyn MediaSource>) -> Result<Channels, GraphError> {
//!     let config = GraphConfig {
//!         version: "v25.0".into(),
//!         ..GraphConfig::default()
//!     };
//!     let cloud = Arc::new(CloudApi::new(config, files, Arc::new(SystemClock))?);
//!     let mut channels = Channels::default();
//!     channels.insert(cloud.ports());
//!     Ok(channels)
//! }
//! ```
//!
//! What a failed send means is decided once, here, and what follows from it elsewhere:
//!
//! | what happened | [`kabar_channel::SendError`] |
//! |---|---|
//! | no connection, or its TLS handshake failed | `Retry`: nothing was written |
//! | the time ran out or the connection broke afterwards | `Uncertain`: Meta may have sent it |
//! | an answer with an error code | what the table of [`classify`] says |
//! | an unknown code, or none | by HTTP status: 4xx `Refused`, 429 `SlowDown`, 5xx `Uncertain` |
//! | 3xx, 401, 403, 404 without a code | `DeviceDown`: that was not Graph, the base URL is wrong |
//! | a success without a message id | `Uncertain` |
//!
//! Meta knows no idempotency key, so nothing is ever sent again in here. Our own id travels as
//! `biz_opaque_callback_data` and comes back with each status, which settles what was uncertain.
//!
//! # Receiving
//!
//! Verify the raw bytes, decode them, hand the batch to the intake, and only then answer 200:
//!
//! ```
//! use kabar_cloud_api::webhook;
//! use kabar_core::{MetaAppId, Secret, Timestamp};
//!
//! let secret = Secret::from("the app's secret");
//! let body = br#"{"object":"whatsapp_business_account","entry":[]}"#;
//! let header = webhook::signature(&secret, body);
//!
//! webhook::verify_signature(&secret, Some(&header), body)?;
//! let batch = webhook::decode(MetaAppId::from(uuid::Uuid::nil()), body, Timestamp::UNIX_EPOCH);
//! assert!(batch.raw.is_some());
//! # Ok::<(), webhook::SignatureError>(())
//! ```
//!
//! # When Meta adds something
//!
//! A new message type goes into `webhook/content.rs`, a new webhook field into `webhook/change.rs`,
//! a new error code is one line of the table in `classify.rs`. Until then each of them is kept raw
//! (messages, fields) or judged by its HTTP status (codes), and nothing is lost.

mod channel;
mod classify;
mod graph;
mod outgoing;
mod ports;
mod uploads;

pub mod webhook;

pub use channel::CloudApi;
pub use classify::classify;
pub use graph::{
    ApiError, DEFAULT_VERSION, GraphClient, GraphConfig, GraphError, MediaInfo, NumberInfo,
    SubscribedApp, WabaInfo,
};
