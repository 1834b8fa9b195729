//! A thin client of Meta's Graph API: one method per call, errors typed from the `error` object.

mod answer;
mod calls;
mod client;
mod config;
mod error;
mod media;
mod models;
mod pages;
mod tls;

pub use client::GraphClient;
pub use config::{DEFAULT_VERSION, GraphConfig};
pub use error::{ApiError, GraphError};
pub use models::{MediaInfo, NumberInfo, SubscribedApp, WabaInfo};

pub(crate) use answer::api_error;
