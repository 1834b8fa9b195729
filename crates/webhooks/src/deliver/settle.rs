//! Storing what came of attempts.

use std::sync::Arc;
use std::time::Duration;

use kabar_core::{DeliveryId, EndpointId, StoreError};
use kabar_events::{Fact, NewEvent};

use super::{Inner, SCOPE, pause};
use crate::endpoint::{EndpointState, Health};
use crate::notice;
use crate::repo::{LaneClaim, Outcome, WebhooksUse};

/// How long to wait before storage that is away is asked again.
const AGAIN: Duration = Duration::from_millis(200);

/// Outcomes of one lane.
pub(super) struct Batch {
    pub(super) claim: LaneClaim,
    pub(super) outcomes: Vec<Outcome>,
    pub(super) health: Health,
    /// Why the endpoint is to be switched off.
    pub(super) disable: Option<&'static str>,
}

/// What was stored.
pub(super) struct Settled {
    pub(super) deliveries: Vec<DeliveryId>,
}

impl Inner {
    /// Stores outcomes; asks again for as long as storage is away, because what they say is true.
    pub(super) async fn settle(self: &Arc<Self>, batch: Batch) -> Result<Settled, StoreError> {
        loop {
            match self.try_settle(&batch).await {
                Err(error) if error.is_transient() => {
                    tracing::warn!(error = &error as &dyn std::error::Error, "webhooks.settle");
                    pause(AGAIN).await;
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    let deliveries = batch.outcomes.iter().map(|outcome| outcome.delivery);
                    return Ok(Settled { deliveries: deliveries.collect() });
                }
            }
        }
    }

    async fn try_settle(&self, batch: &Batch) -> Result<(), StoreError> {
        let now = self.clock.now();
        let work = self.store.begin().await?;
        let mut lanes = work.webhook_lanes(SCOPE);
        lanes.settle(self.node, batch.claim, &batch.outcomes, &batch.health, now).await?;
        drop(lanes);
        if let Some(reason) = batch.disable {
            self.disable(&*work, batch.claim, reason).await?;
        }
        work.commit().await?;
        if batch.disable.is_some() {
            self.wake.wake(kabar_core::Topic::Events);
            self.wake.wake(kabar_core::Topic::Jobs);
        }
        Ok(())
    }

    /// Switches an endpoint off and tells its owner: by an event, for the account's other endpoints,
    /// and by mail.
    async fn disable(
        &self,
        work: &(dyn WebhooksUse + '_),
        claim: LaneClaim,
        reason: &str,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (scope, id): (_, EndpointId) = (SCOPE.within(claim.account), claim.endpoint);
        let found = work.endpoints(scope).lock(id).await?;
        let Some(mut endpoint) = found.filter(|it| it.state == EndpointState::Active) else {
            return Ok(());
        };
        endpoint.state = EndpointState::Disabled;
        endpoint.state_reason = Some(reason.to_owned());
        endpoint.state_since = now;
        endpoint.updated_at = now;
        work.endpoints(scope).update(&endpoint, now).await?;
        let fact = Fact::WebhookDisabled { endpoint_id: id, reason: reason.to_owned() };
        work.events().append(&[NewEvent { account: claim.account, at: now, fact }]).await?;
        let job = notice::job(&*self.ids, claim.account, id, now);
        work.jobs().enqueue(&[job]).await
    }
}
