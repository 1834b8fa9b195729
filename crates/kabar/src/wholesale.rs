//! What deals with many messages at once: broadcasts, templates, bulk actions.

use std::sync::Arc;

use kabar_channel::Channels;
use kabar_core::Store;
use kabar_jobs::Job;
use kabar_messaging::broadcast::{FeedJob, PrepareJob, StartJob};
use kabar_messaging::bulk::BulkJob;
use kabar_messaging::{BroadcastUse, Broadcasts, Bulks, MediaFiles, Messages, Templates};

use crate::platform::Base;

/// The services.
#[derive(Clone)]
pub(crate) struct Wholesale {
    pub(crate) bulks: Bulks,
    pub(crate) templates: Templates,
    pub(crate) broadcasts: Broadcasts,
}

impl Wholesale {
    /// The services and their jobs.
    pub(crate) fn compose(
        base: &Base,
        media: &MediaFiles,
        channels: &Channels,
        messages: &Messages,
    ) -> (Self, Vec<Arc<dyn Job>>) {
        let store: Arc<dyn Store<dyn BroadcastUse>> = base.store();
        let bulks =
            Bulks::new(base.road(), messages.clone(), base.clock(), base.ids(), base.wake());
        let templates =
            Templates::new(Arc::clone(&store), channels.clone(), base.clock(), base.ids());
        let broadcasts =
            Broadcasts::new(store, channels.clone(), base.clock(), base.ids(), base.wake());
        let jobs: Vec<Arc<dyn Job>> = vec![
            Arc::new(PrepareJob::new(broadcasts.clone(), media.clone())),
            Arc::new(StartJob(broadcasts.clone())),
            Arc::new(FeedJob::new(broadcasts.clone(), messages.clone())),
            Arc::new(BulkJob(bulks.clone())),
        ];
        (Self { bulks, templates, broadcasts }, jobs)
    }
}
