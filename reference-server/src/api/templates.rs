//! Message templates of a tenant's own.

use std::collections::BTreeMap;

use kabar::Platform;
use kabar::core::permission::{ReadTemplates, WriteTemplates};
use kabar::core::{ContactId, Cursor, DeviceId, TemplateId, Timestamp};
use kabar::messaging::template::{
    MessageTemplate, NewTemplate, Preview, TemplateFilter, TemplatePatch,
};
use poem_openapi::param::{Path, Query};
use poem_openapi::payload::Json;
use poem_openapi::{Object, OpenApi};
use serde::Deserialize;

use super::Area;
use super::answer::{Answer, Created, Listed, NoContent, page};
use super::body::JsonBody;
use super::content::{ContentBody, shown};
use super::words::{AnyJson, Word};
use crate::auth::{Auth, InAccount};
use crate::idempotency::{OnceKey, replayed};
use crate::problem::{FieldProblem, Problem};

/// A template.
#[derive(Debug, Object)]
#[oai(rename = "MessageTemplate")]
pub struct TemplateView {
    /// Its id.
    pub id: Word<TemplateId>,
    /// What the tenant calls it.
    pub name: String,
    /// The language code.
    pub language: String,
    /// What it holds: an object with a `type`.
    pub content: AnyJson,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

impl From<MessageTemplate> for TemplateView {
    fn from(template: MessageTemplate) -> Self {
        Self {
            id: Word(template.id),
            name: template.name,
            language: template.language,
            content: AnyJson(shown(&template.content)),
            created_at: template.created_at,
            updated_at: template.updated_at,
        }
    }
}

/// A template to make.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "NewMessageTemplate")]
#[serde(deny_unknown_fields)]
pub struct NewTemplateBody {
    /// What you call it; one name may exist in several languages.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: String,
    /// The language code, like `id` or `en_US`.
    #[oai(validator(min_length = 2, max_length = 15, pattern = "^[A-Za-z0-9_-]+$"))]
    pub language: String,
    /// What it holds; `{variable}`s in its texts are filled in when it is sent.
    pub content: ContentBody,
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "MessageTemplatePatch")]
#[serde(deny_unknown_fields)]
pub struct TemplatePatchBody {
    /// What you call it.
    #[oai(validator(min_length = 1, max_length = 100))]
    pub name: Option<String>,
    /// The language code.
    #[oai(validator(min_length = 2, max_length = 15, pattern = "^[A-Za-z0-9_-]+$"))]
    pub language: Option<String>,
    /// What it holds.
    pub content: Option<ContentBody>,
}

/// Whom a preview is for.
#[derive(Debug, Object, Deserialize)]
#[oai(rename = "PreviewMessageTemplate")]
#[serde(deny_unknown_fields)]
pub struct PreviewBody {
    /// Values for `{variable}`s.
    #[oai(default)]
    #[serde(default)]
    pub variables: BTreeMap<String, String>,
    /// A contact, whose own variables, name and number are filled in too.
    pub contact_id: Option<Word<ContactId>>,
    /// The device that would send it.
    pub device_id: Option<Word<DeviceId>>,
}

/// A template as a recipient would get it.
#[derive(Debug, Object)]
#[oai(rename = "MessageTemplatePreview")]
pub struct PreviewView {
    /// What would be sent: an object with a `type`.
    pub content: AnyJson,
    /// The kind that the template holds, when the device carries another one.
    pub downgraded_from: Option<String>,
    /// The variables that have neither value nor default.
    pub missing: Vec<String>,
    /// Why it could not be sent.
    pub problems: Vec<FieldProblem>,
}

impl From<Preview> for PreviewView {
    fn from(preview: Preview) -> Self {
        Self {
            content: AnyJson(shown(&preview.content)),
            downgraded_from: preview.downgraded_from.map(|kind| kind.as_str().to_owned()),
            missing: preview.missing,
            problems: preview.problems.into_iter().map(FieldProblem::from).collect(),
        }
    }
}

/// The operations.
pub struct TemplatesApi(pub Platform);

#[OpenApi(tag = "Area::Templates")]
impl TemplatesApi {
    /// List message templates
    ///
    /// Your own; those that Meta approved are listed per device. Needs `templates:read`.
    #[oai(path = "/templates", method = "get", operation_id = "listTemplates")]
    async fn list(
        &self,
        Auth(may): Auth<InAccount<ReadTemplates>>,
        /// With this name.
        #[oai(validator(min_length = 1, max_length = 100, pattern = "^[^\\x00]+$"))]
        name: Query<Option<String>>,
        /// In this language.
        #[oai(validator(min_length = 2, max_length = 15, pattern = "^[A-Za-z0-9_-]+$"))]
        language: Query<Option<String>>,
        /// Rows of a page, 1 to 200; 50 when absent.
        #[oai(validator(minimum(value = "1"), maximum(value = "200")))]
        limit: Query<Option<u16>>,
        /// `next` of the page before.
        after: Query<Option<Word<Cursor>>>,
    ) -> Answer<Listed<TemplateView>> {
        let filter = TemplateFilter { name: name.0, language: language.0 };
        let page = page(limit.0, after.0);
        Ok(Listed::of(self.0.templates().list(&may.grant, &filter, page).await?))
    }

    /// Create a message template
    ///
    /// Needs `templates:write`.
    #[oai(path = "/templates", method = "post", operation_id = "createTemplate")]
    async fn create(
        &self,
        Auth(may): Auth<InAccount<WriteTemplates>>,
        #[oai(name = "Idempotency-Key")] key: OnceKey,
        body: JsonBody<NewTemplateBody>,
    ) -> Result<Created<TemplateView>, Problem> {
        let once = key.once(may.principal.actor(), may.scope(), "createTemplate", body.hash);
        let replayed = replayed(&self.0, once.as_ref()).await?;
        let new = NewTemplate {
            name: body.value.name,
            language: body.value.language,
            content: body.value.content.content("content")?,
        };
        let template = self.0.templates().create(&may.grant, new, once.as_ref()).await?;
        Ok(Created::new(template.into(), replayed))
    }

    /// Get a message template
    ///
    /// Needs `templates:read`.
    #[oai(path = "/templates/:id", method = "get", operation_id = "getTemplate")]
    async fn get(
        &self,
        Auth(may): Auth<InAccount<ReadTemplates>>,
        id: Path<Word<TemplateId>>,
    ) -> Answer<TemplateView> {
        Ok(Json(self.0.templates().get(&may.grant, id.0.0).await?.into()))
    }

    /// Change a message template
    ///
    /// Broadcasts that were prepared with it keep what they were prepared with. Needs
    /// `templates:write`.
    #[oai(path = "/templates/:id", method = "patch", operation_id = "updateTemplate")]
    async fn update(
        &self,
        Auth(may): Auth<InAccount<WriteTemplates>>,
        id: Path<Word<TemplateId>>,
        body: JsonBody<TemplatePatchBody>,
    ) -> Answer<TemplateView> {
        let content = body.value.content.map(|content| content.content("content")).transpose()?;
        let patch = TemplatePatch { name: body.value.name, language: body.value.language, content };
        Ok(Json(self.0.templates().update(&may.grant, id.0.0, patch).await?.into()))
    }

    /// Remove a message template
    ///
    /// While a broadcast that has not ended uses it: 409. Needs `templates:write`.
    #[oai(path = "/templates/:id", method = "delete", operation_id = "removeTemplate")]
    async fn remove(
        &self,
        Auth(may): Auth<InAccount<WriteTemplates>>,
        id: Path<Word<TemplateId>>,
    ) -> Result<NoContent, Problem> {
        self.0.templates().remove(&may.grant, id.0.0).await?;
        Ok(NoContent)
    }

    /// Preview a message template
    ///
    /// With its variables filled in, as a device would send it. Changes nothing. Needs
    /// `templates:read`.
    #[oai(path = "/templates/:id/preview", method = "post", operation_id = "previewTemplate")]
    async fn preview(
        &self,
        Auth(may): Auth<InAccount<ReadTemplates>>,
        id: Path<Word<TemplateId>>,
        body: JsonBody<PreviewBody>,
    ) -> Answer<PreviewView> {
        let PreviewBody { variables, contact_id, device_id } = body.value;
        let (contact, device) = (contact_id.map(|id| id.0), device_id.map(|id| id.0));
        let templates = self.0.templates();
        let preview = templates.preview(&may.grant, id.0.0, &variables, contact, device).await?;
        Ok(Json(preview.into()))
    }
}
