//! Telling an account's owners by mail that an endpoint was switched off.

use std::sync::Arc;

use async_trait::async_trait;
use kabar_accounts::Realm;
use kabar_core::{
    AccountId, EndpointId, IdSource, InstallationScope, Mail, MailError, Mailer, PageRequest, Role,
    Store, StoreError, Timestamp,
};
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError, NewJob};
use serde::{Deserialize, Serialize};

use crate::endpoint::{Endpoint, EndpointState};
use crate::repo::WebhooksUse;

const NAME: &str = "webhooks.tell_owner";
const SCOPE: InstallationScope = InstallationScope::system("webhooks");

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    endpoint_id: EndpointId,
}

/// The job that tells the owners of an account, to enqueue in the unit of work that switches its
/// endpoint off.
pub(crate) fn job(
    ids: &dyn IdSource,
    account: AccountId,
    endpoint_id: EndpointId,
    now: Timestamp,
) -> NewJob {
    NewJob {
        id: ids.id(),
        name: NAME,
        account: Some(account),
        order: None,
        payload: serde_json::to_value(Payload { endpoint_id }).unwrap_or_default(),
        due_at: now,
    }
}

/// Tells the owners of an account that an endpoint was switched off.
pub struct TellOwner {
    store: Arc<dyn Store<dyn WebhooksUse>>,
    mailer: Option<Arc<dyn Mailer>>,
}

impl TellOwner {
    /// The job over a store; without a mailer the event alone tells of it.
    pub fn new(store: Arc<dyn Store<dyn WebhooksUse>>, mailer: Option<Arc<dyn Mailer>>) -> Self {
        Self { store, mailer }
    }

    async fn owners(&self, account: AccountId) -> Result<Vec<String>, StoreError> {
        let work = self.store.read().await?;
        let realm = Realm::Account(SCOPE.within(account));
        let page = PageRequest::new(Some(PageRequest::MOST), None);
        let users = work.users(realm).list(page).await?;
        let owners = users.items.into_iter();
        let owners = owners.filter(|user| user.active && user.role == Role::Customer);
        Ok(owners.map(|user| user.email).collect())
    }

    async fn disabled(
        &self,
        account: AccountId,
        id: EndpointId,
    ) -> Result<Option<Endpoint>, StoreError> {
        let work = self.store.read().await?;
        let found = work.endpoints(SCOPE.within(account)).get(id).await?;
        Ok(found.filter(|endpoint| endpoint.state == EndpointState::Disabled))
    }
}

#[async_trait]
impl Job for TellOwner {
    fn name(&self) -> &'static str {
        NAME
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let payload = Payload::deserialize(&job.payload);
        let (Ok(payload), Some(account), Some(mailer)) = (payload, job.account, &self.mailer)
        else {
            return Ok(JobEnd::Done);
        };
        // Whoever switched it on again knows.
        let Some(endpoint) = self.disabled(account, payload.endpoint_id).await? else {
            return Ok(JobEnd::Done);
        };
        for owner in self.owners(account).await? {
            match mailer.send(&mail(owner, &endpoint)).await {
                Ok(()) | Err(MailError::Refused(_)) => {}
                Err(error) => return Err(JobError::Retry(error.to_string())),
            }
        }
        Ok(JobEnd::Done)
    }
}

fn mail(to: String, endpoint: &Endpoint) -> Mail {
    let host = endpoint.settings.url.host_str().unwrap_or_default();
    let why = match endpoint.state_reason.as_deref() {
        Some("gone") => "it answered 410 Gone, which asks us to stop".to_owned(),
        _ => format!(
            "every attempt has failed since {}",
            endpoint
                .health
                .failing_since
                .unwrap_or(endpoint.state_since)
                .format("%Y-%m-%d %H:%M UTC"),
        ),
    };
    Mail {
        to,
        subject: format!("A webhook endpoint at {host} was switched off"),
        text: format!(
            "The webhook endpoint {id} at {host} was switched off: {why}.\n\n\
             What waits for it is kept. Once it works again, set its state to `active`; what failed \
             can be sent again with a resend. Events that happen while it is off are not kept for \
             it; they can be read from the event log.\n",
            id = endpoint.id,
        ),
    }
}
