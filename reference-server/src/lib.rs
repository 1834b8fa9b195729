//! The reference server of Kabar: binary kabar.
//!
//! The HTTP face of a [`Platform`](kabar::Platform): the native REST API under `/api/v1`, the webhooks that Meta calls
//! under `/webhooks/cloud-api/{app}`, the API's documentation under `/api/docs`, and the two health
//! checks. A face translates; it decides nothing. Whatever it can do, an embedding program can do in
//! one call without HTTP.
//!
//! # Adding an operation
//! Write it in the module of its area under [`api`], name the permission it needs in its signature
//! (`Auth<InAccount<…>>`) and in its description (`Needs …`), and run the tests with `UPDATE=1`: they
//! rewrite `docs/openapi.json` and `docs/authorization-matrix.md`, whose differences are to be read.

pub mod api;
pub mod auth;
pub mod client;
pub mod cors;
pub mod health;
pub mod idempotency;
pub mod limits;
pub mod metrics;
pub mod problem;
#[cfg(feature = "qr-session")]
pub mod qr;
pub mod webhooks;

mod allow;
mod app;
pub mod trace;

pub use app::{AppSettings, app, metrics_app, openapi_document};
pub use client::{ClientAddress, Proxies, ProxyHeader};
