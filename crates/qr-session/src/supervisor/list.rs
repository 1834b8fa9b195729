//! The sessions of the installation, for whoever runs it.

use std::time::Duration;

use kabar_core::{InstallationScope, Page, PageRequest, StoreError};
use kabar_devices::lease::Held;

use crate::Supervisor;
use crate::session::Session;

/// A session of the installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionRow {
    /// Who runs it, or whether it is to run.
    pub held: Held,
    /// Whether somebody runs it now.
    pub is_held: bool,
    /// How it does, if it runs in this process.
    pub here: Option<SessionHealth>,
}

/// How a session of this process does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionHealth {
    /// Whether it is logged in and receives.
    pub connected: bool,
    /// For how long it has run here.
    pub age: Duration,
    /// Messages that it could not decrypt since it was started here.
    pub undecryptable: u64,
    /// What its caches and queues hold, in bytes: an estimate of the engine's, without its buffers
    /// and its part of the allocator.
    pub memory: u64,
}

impl Supervisor {
    /// The sessions of the installation, newest device first. How they do is told of those that run
    /// in this process.
    ///
    /// # Errors
    /// Storage failed.
    pub async fn list(
        &self,
        scope: InstallationScope,
        page: PageRequest,
    ) -> Result<Page<SessionRow>, StoreError> {
        let work = self.0.parts.store.read().await?;
        let page = work.leases(scope).list(page).await?;
        drop(work);
        let mut items = Vec::with_capacity(page.items.len());
        for held in page.items {
            let is_held = held.lease.is_held(self.0.now());
            let session = self.0.sessions.get(held.lease.device);
            let here = match session.filter(|session| session.fence() == held.lease.fence()) {
                Some(session) => Some(health(&session).await),
                None => None,
            };
            items.push(SessionRow { held, is_held, here });
        }
        Ok(Page { items, next: page.next })
    }
}

async fn health(session: &Session) -> SessionHealth {
    SessionHealth {
        connected: session.is_connected(),
        age: session.age(),
        undecryptable: session.undecryptable(),
        memory: session.client().memory_report().await.total_estimated_bytes(),
    }
}
