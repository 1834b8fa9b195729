//! What a tenant does with deliveries.

use std::sync::Arc;

use kabar_core::permission::{ReadWebhooks, WriteWebhooks};
use kabar_core::work::OnceError;
use kabar_core::{
    Clock, DeliveryId, Grant, IdSource, JobId, Once, Page, PageRequest, Store, StoreError, Topic,
    Wake,
};

use crate::delivery::{Attempt, Delivery, DeliveryFilter, DeliveryState, Resend, ResendState};
use crate::repo::WebhooksUse;
use crate::resend;

/// Why a delivery cannot be had or sent again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeliveryError {
    /// There is no such delivery, or no such resend.
    #[error("no such delivery")]
    NotFound,
    /// There is no such endpoint.
    #[error("endpoint_id: no such webhook endpoint")]
    NoSuchEndpoint,
    /// What it held is no longer kept, or its endpoint is gone.
    #[error("what it held is no longer kept, or its endpoint was removed; it cannot be sent again")]
    Gone,
    /// It does not wait any more.
    #[error("it is {0} already; only what waits can be cancelled")]
    Settled(DeliveryState),
    /// It has ended already.
    #[error("the resend has ended already")]
    Ended,
    /// The request was made before, or differs from the first one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Deliveries of tenants.
#[derive(Clone)]
pub struct Deliveries {
    store: Arc<dyn Store<dyn WebhooksUse>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    wake: Arc<dyn Wake>,
}

impl Deliveries {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn WebhooksUse>>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        wake: Arc<dyn Wake>,
    ) -> Self {
        Self { store, clock, ids, wake }
    }

    /// A delivery, with what is sent while that is kept.
    ///
    /// # Errors
    /// [`DeliveryError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadWebhooks>,
        id: DeliveryId,
    ) -> Result<(Delivery, Option<String>), DeliveryError> {
        let work = self.store.read().await?;
        let mut deliveries = work.deliveries(grant.scope());
        let delivery = deliveries.get(id).await?.ok_or(DeliveryError::NotFound)?;
        let payload = deliveries.payload(id).await?;
        Ok((delivery, payload))
    }

    /// Deliveries, newest first.
    ///
    /// # Errors
    /// [`DeliveryError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadWebhooks>,
        filter: &DeliveryFilter,
        page: PageRequest,
    ) -> Result<Page<Delivery>, DeliveryError> {
        let work = self.store.read().await?;
        Ok(work.deliveries(grant.scope()).list(filter, page).await?)
    }

    /// The attempts of a delivery, newest first.
    ///
    /// # Errors
    /// [`DeliveryError::NotFound`].
    pub async fn attempts(
        &self,
        grant: &Grant<ReadWebhooks>,
        id: DeliveryId,
        page: PageRequest,
    ) -> Result<Page<Attempt>, DeliveryError> {
        let work = self.store.read().await?;
        let mut deliveries = work.deliveries(grant.scope());
        deliveries.get(id).await?.ok_or(DeliveryError::NotFound)?;
        Ok(deliveries.attempts(id, page).await?)
    }

    /// Sends a delivery again now, under the same id and from the beginning of its schedule.
    ///
    /// # Errors
    /// [`DeliveryError::NotFound`], [`DeliveryError::Gone`].
    pub async fn retry(
        &self,
        grant: &Grant<WriteWebhooks>,
        id: DeliveryId,
    ) -> Result<Delivery, DeliveryError> {
        let work = self.store.begin().await?;
        let mut deliveries = work.deliveries(grant.scope());
        deliveries.get(id).await?.ok_or(DeliveryError::NotFound)?;
        if deliveries.requeue(&[id], self.clock.now()).await? == 0 {
            return Err(DeliveryError::Gone);
        }
        let delivery = deliveries.get(id).await?.ok_or(DeliveryError::NotFound)?;
        drop(deliveries);
        work.commit().await?;
        Ok(delivery)
    }

    /// Takes a delivery back that waits.
    ///
    /// # Errors
    /// [`DeliveryError::NotFound`], [`DeliveryError::Settled`].
    pub async fn cancel(
        &self,
        grant: &Grant<WriteWebhooks>,
        id: DeliveryId,
    ) -> Result<Delivery, DeliveryError> {
        let work = self.store.begin().await?;
        let mut deliveries = work.deliveries(grant.scope());
        let delivery = deliveries.get(id).await?.ok_or(DeliveryError::NotFound)?;
        if !deliveries.cancel(id, self.clock.now()).await? {
            return Err(DeliveryError::Settled(delivery.state));
        }
        let delivery = deliveries.get(id).await?.ok_or(DeliveryError::NotFound)?;
        drop(deliveries);
        work.commit().await?;
        Ok(delivery)
    }

    /// Sends many again, as a job: all of a filter, the failed ones when it names no state.
    ///
    /// # Errors
    /// [`DeliveryError::NoSuchEndpoint`].
    pub async fn resend(
        &self,
        grant: &Grant<WriteWebhooks>,
        mut filter: DeliveryFilter,
        once: Option<&Once>,
    ) -> Result<Resend, DeliveryError> {
        let (scope, now) = (grant.scope(), self.clock.now());
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<JobId>(&*work).await?
        {
            return work.resends(scope).get(id).await?.ok_or(DeliveryError::NotFound);
        }
        if let Some(endpoint) = filter.endpoint
            && work.endpoints(scope).get(endpoint).await?.is_none()
        {
            return Err(DeliveryError::NoSuchEndpoint);
        }
        filter.state.get_or_insert(DeliveryState::Failed);
        // What fails from now on is not meant.
        filter.until.get_or_insert(now);
        let resend = Resend {
            id: self.ids.id(),
            account: scope.account(),
            filter,
            state: ResendState::Running,
            looked_at: 0,
            resent: 0,
            after: None,
            created_at: now,
            updated_at: now,
        };
        work.resends(scope).insert(&resend).await?;
        work.jobs().enqueue(&[resend::job(&resend)]).await?;
        if let Some(once) = once {
            once.remember(&*work, &resend.id, now).await?;
        }
        work.commit().await?;
        self.wake.wake(Topic::Jobs);
        Ok(resend)
    }

    /// How far a resend got.
    ///
    /// # Errors
    /// [`DeliveryError::NotFound`].
    pub async fn get_resend(
        &self,
        grant: &Grant<ReadWebhooks>,
        id: JobId,
    ) -> Result<Resend, DeliveryError> {
        let work = self.store.read().await?;
        work.resends(grant.scope()).get(id).await?.ok_or(DeliveryError::NotFound)
    }

    /// Resends, newest first.
    ///
    /// # Errors
    /// [`DeliveryError::Store`].
    pub async fn list_resends(
        &self,
        grant: &Grant<ReadWebhooks>,
        page: PageRequest,
    ) -> Result<Page<Resend>, DeliveryError> {
        let work = self.store.read().await?;
        Ok(work.resends(grant.scope()).list(page).await?)
    }

    /// Stops a resend; what it resent so far is under way.
    ///
    /// # Errors
    /// [`DeliveryError::NotFound`], [`DeliveryError::Ended`].
    pub async fn cancel_resend(
        &self,
        grant: &Grant<WriteWebhooks>,
        id: JobId,
    ) -> Result<Resend, DeliveryError> {
        let work = self.store.begin().await?;
        let mut resends = work.resends(grant.scope());
        let mut resend = resends.lock(id).await?.ok_or(DeliveryError::NotFound)?;
        if resend.state != ResendState::Running {
            return Err(DeliveryError::Ended);
        }
        resend.state = ResendState::Cancelled;
        resend.updated_at = self.clock.now();
        resends.update(&resend).await?;
        drop(resends);
        work.commit().await?;
        Ok(resend)
    }
}
