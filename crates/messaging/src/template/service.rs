//! What a tenant does with templates.

use std::sync::Arc;

use kabar_accounts::journal::{Change, record};
use kabar_channel::{Capabilities, Channels, Content, ContentKind, Fallback, FieldError, fit};
use kabar_core::permission::{ReadTemplates, WriteTemplates};
use kabar_core::work::OnceError;
use kabar_core::{
    Clock, ContactId, DeviceId, Grant, IdSource, Once, Page, PageRequest, Scope, Store, StoreError,
    TemplateId,
};
use kabar_events::Fact;
use kabar_rules::Missing;

use super::{MessageTemplate, NewTemplate, Preview, TemplateFilter, TemplatePatch, Variables};
use crate::broadcast::{BroadcastUse, needs};
use crate::send::render_with;

/// Characters of a language code, at most: BCP 47 as Meta uses it (`zh_Hant_TW`) is far shorter.
const LANGUAGE: usize = 15;

/// Why a template cannot be had, made or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// There is no such template.
    #[error("no such template")]
    NotFound,
    /// There is one of this name and language.
    #[error("a template with this name and language exists; change that one or use another name")]
    Taken,
    /// A broadcast that has not ended uses it.
    #[error("a broadcast that has not ended uses the template; wait for its end or cancel it")]
    InUse,
    /// Fields cannot be stored.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<FieldError>),
    /// The request was made before, or differs from the first one.
    #[error(transparent)]
    Once(#[from] OnceError),
    /// Storage failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Message templates of tenants.
#[derive(Clone)]
pub struct Templates {
    store: Arc<dyn Store<dyn BroadcastUse>>,
    channels: Channels,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Templates {
    /// The service over a store.
    pub fn new(
        store: Arc<dyn Store<dyn BroadcastUse>>,
        channels: Channels,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, channels, clock, ids }
    }

    /// Makes a template.
    ///
    /// # Errors
    /// [`TemplateError::Taken`], [`TemplateError::Invalid`].
    pub async fn create(
        &self,
        grant: &Grant<WriteTemplates>,
        new: NewTemplate,
        once: Option<&Once>,
    ) -> Result<MessageTemplate, TemplateError> {
        let scope = grant.scope();
        let now = self.clock.now();
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<TemplateId>(&*work).await?
        {
            return work.templates(scope).get(id).await?.ok_or(TemplateError::NotFound);
        }
        let template = MessageTemplate {
            id: self.ids.id(),
            account: scope.account(),
            name: new.name.trim().to_owned(),
            language: new.language,
            content: new.content,
            created_at: now,
            updated_at: now,
        };
        check(&*work, scope, &template).await?;
        work.templates(scope).insert(&template).await.map_err(taken)?;
        if let Some(once) = once {
            once.remember(&*work, &template.id, now).await?;
        }
        self.record(&*work, scope, &template, "template.create").await?;
        work.commit().await?;
        Ok(template)
    }

    /// A template.
    ///
    /// # Errors
    /// [`TemplateError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadTemplates>,
        id: TemplateId,
    ) -> Result<MessageTemplate, TemplateError> {
        let work = self.store.read().await?;
        work.templates(grant.scope()).get(id).await?.ok_or(TemplateError::NotFound)
    }

    /// The tenant's templates, newest first.
    ///
    /// # Errors
    /// [`TemplateError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadTemplates>,
        filter: &TemplateFilter,
        page: PageRequest,
    ) -> Result<Page<MessageTemplate>, TemplateError> {
        let work = self.store.read().await?;
        Ok(work.templates(grant.scope()).list(filter, page).await?)
    }

    /// Changes a template. Broadcasts that were prepared with it keep what they were prepared with.
    ///
    /// # Errors
    /// [`TemplateError::NotFound`], [`TemplateError::Taken`], [`TemplateError::Invalid`].
    pub async fn update(
        &self,
        grant: &Grant<WriteTemplates>,
        id: TemplateId,
        patch: TemplatePatch,
    ) -> Result<MessageTemplate, TemplateError> {
        let scope = grant.scope();
        let work = self.store.begin().await?;
        let found = work.templates(scope).get(id).await?;
        let mut template = found.ok_or(TemplateError::NotFound)?;
        let TemplatePatch { name, language, content } = patch;
        if let Some(name) = name {
            name.trim().clone_into(&mut template.name);
        }
        template.language = language.unwrap_or(template.language);
        template.content = content.unwrap_or(template.content);
        template.updated_at = self.clock.now();
        check(&*work, scope, &template).await?;
        work.templates(scope).update(&template).await.map_err(taken)?;
        self.record(&*work, scope, &template, "template.update").await?;
        work.commit().await?;
        Ok(template)
    }

    /// Removes a template that no broadcast waits to use.
    ///
    /// # Errors
    /// [`TemplateError::NotFound`], [`TemplateError::InUse`].
    pub async fn remove(
        &self,
        grant: &Grant<WriteTemplates>,
        id: TemplateId,
    ) -> Result<(), TemplateError> {
        let scope = grant.scope();
        let work = self.store.begin().await?;
        let found = work.templates(scope).get(id).await?;
        let template = found.ok_or(TemplateError::NotFound)?;
        if work.broadcasts(scope).uses(id).await? {
            return Err(TemplateError::InUse);
        }
        work.templates(scope).remove(id).await?;
        self.record(&*work, scope, &template, "template.remove").await?;
        Ok(work.commit().await?)
    }

    /// A template as a recipient would get it, on a device where one is named. Changes nothing.
    ///
    /// # Errors
    /// [`TemplateError::NotFound`], [`TemplateError::Invalid`] when device or contact do not exist.
    pub async fn preview(
        &self,
        grant: &Grant<ReadTemplates>,
        id: TemplateId,
        variables: &Variables,
        contact: Option<ContactId>,
        device: Option<DeviceId>,
    ) -> Result<Preview, TemplateError> {
        let scope = grant.scope();
        let work = self.store.read().await?;
        let found = work.templates(scope).get(id).await?;
        let template = found.ok_or(TemplateError::NotFound)?;
        let absent = |field: &str, problem: &str| {
            TemplateError::Invalid(vec![FieldError::new(field, problem)])
        };
        let contact = match contact {
            Some(id) => {
                let found = work.contacts(scope).by_ids(&[id]).await?.into_iter().next();
                Some(found.ok_or_else(|| absent("contact_id", "no such contact"))?)
            }
            None => None,
        };
        let capabilities = match device {
            Some(id) => {
                let found = work.devices(scope).get(id).await?;
                let device = found.ok_or_else(|| absent("device_id", "no such device"))?;
                let ports = self.channels.get(&device.channel);
                ports.map(|ports| ports.channel().capabilities(&device.link()))
            }
            None => None,
        };
        let missing = needs::missing(&template.content, variables, contact.as_ref());
        let rendered = render_with(&template.content, variables, contact.as_ref(), Missing::Empty);
        Ok(match rendered {
            Ok(content) => fitted(content, capabilities.as_ref(), missing),
            Err(problems) => {
                let content = template.content;
                Preview { content, downgraded_from: None, missing, problems }
            }
        })
    }

    async fn record(
        &self,
        work: &(dyn BroadcastUse + '_),
        scope: Scope,
        template: &MessageTemplate,
        action: &'static str,
    ) -> Result<(), StoreError> {
        let change = Change {
            account: Some(scope.account()),
            actor: scope.actor(),
            action,
            subject: template.id.to_string(),
            detail: serde_json::json!({ "name": template.name, "language": template.language }),
            fact: Fact::TemplateChanged { template_id: template.id },
            at: self.clock.now(),
        };
        record(work, &*self.ids, change).await
    }
}

fn fitted(content: Content, device: Option<&Capabilities>, missing: Vec<String>) -> Preview {
    let asked = content.clone();
    match device.map(|device| fit(content, device, Fallback::Downgrade)) {
        None => Preview { content: asked, downgraded_from: None, missing, problems: Vec::new() },
        Some(Ok(fitted)) => Preview {
            content: fitted.content,
            downgraded_from: fitted.downgraded_from,
            missing,
            problems: Vec::new(),
        },
        Some(Err(problems)) => Preview { content: asked, downgraded_from: None, missing, problems },
    }
}

async fn check(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
    template: &MessageTemplate,
) -> Result<(), TemplateError> {
    let mut problems = Vec::new();
    if let Err(invalid) = kabar_accounts::check::name("name", &template.name) {
        problems.push(FieldError::new(invalid.field, invalid.problem));
    }
    let code = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    if !(2..=LANGUAGE).contains(&template.language.len()) || !template.language.chars().all(code) {
        let problem = "must be a language code, like id or en_US";
        problems.push(FieldError::new("language", problem));
    }
    problems.extend(content_problems(work, scope, &template.content).await?);
    if problems.is_empty() { Ok(()) } else { Err(TemplateError::Invalid(problems)) }
}

/// What no device could send, whatever the variables.
pub(crate) async fn content_problems(
    work: &(dyn BroadcastUse + '_),
    scope: Scope,
    content: &Content,
) -> Result<Vec<FieldError>, StoreError> {
    let mut problems = Vec::new();
    if content.kind() == ContentKind::Reaction {
        let problem = "a reaction belongs to one message; use another content";
        problems.push(FieldError::new("content.type", problem));
    }
    if let Some(id) = content.stored()
        && work.media(scope).existing(&[id]).await?.is_empty()
    {
        problems.push(FieldError::new("content.media_id", "no such file"));
    }
    let under =
        |error: FieldError| FieldError::new(format!("content.{}", error.field), error.problem);
    problems.extend(needs::problems(content).into_iter().map(under));
    Ok(problems)
}

/// The one uniqueness that a template can break.
fn taken(error: StoreError) -> TemplateError {
    match error {
        StoreError::Conflict { .. } => TemplateError::Taken,
        error => error.into(),
    }
}
