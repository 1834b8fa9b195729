//! What every store of counts and retention must do.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a contract suite fails by panicking"
)]

mod retention;
mod sums;

use std::sync::Arc;

use kabar_core::Store;
use kabar_insights::{InsightsUse, InsightsWork};
use kabar_messaging::{BlobStore, RoadWork};

use crate::road::Road;

/// Runs the suite on an empty store; all are the same database.
///
/// # Panics
/// Where the store breaks its word.
pub async fn insights_contract(
    road: Road,
    counts: Arc<dyn Store<dyn InsightsWork>>,
    store: Arc<dyn Store<dyn InsightsUse>>,
    messages: Arc<dyn Store<dyn RoadWork>>,
    blobs: Arc<dyn BlobStore>,
) {
    sums::contract(&road, counts).await;
    retention::contract(&road, store, messages, blobs).await;
}
