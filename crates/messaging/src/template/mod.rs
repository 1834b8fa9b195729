//! A tenant's own message templates: any content, with `{variable}`s, for any device.
//!
//! Templates that Meta approved are another thing: they are a content
//! ([`kabar_channel::Content::Template`]), and a template of ours may hold one.

pub(crate) mod service;

use std::collections::BTreeMap;

use async_trait::async_trait;
use kabar_channel::{Content, ContentKind, FieldError};
use kabar_core::{AccountId, Page, PageRequest, Scope, StoreError, TemplateId, Timestamp, Work};

pub use service::{TemplateError, Templates};

/// A message that is kept for later.
#[derive(Debug, Clone, PartialEq)]
pub struct MessageTemplate {
    /// Its id.
    pub id: TemplateId,
    /// Its account.
    pub account: AccountId,
    /// What the tenant calls it; one name may exist in several languages.
    pub name: String,
    /// The language code, like `id` or `en_US`.
    pub language: String,
    /// What it holds; its texts may hold `{variable}`s.
    pub content: Content,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// A template to make.
#[derive(Debug, Clone, PartialEq)]
pub struct NewTemplate {
    /// What the tenant calls it, 1 to 100 characters.
    pub name: String,
    /// The language code, like `id` or `en_US`.
    pub language: String,
    /// What it holds.
    pub content: Content,
}

/// What is to change; an absent field stays as it is.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TemplatePatch {
    /// What the tenant calls it.
    pub name: Option<String>,
    /// The language code.
    pub language: Option<String>,
    /// What it holds.
    pub content: Option<Content>,
}

/// Which templates are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TemplateFilter {
    /// With this name.
    pub name: Option<String>,
    /// In this language.
    pub language: Option<String>,
}

/// A template as one recipient on one device would get it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preview {
    /// What would be sent.
    pub content: Content,
    /// The kind that the template holds, when the device carries another one.
    pub downgraded_from: Option<ContentKind>,
    /// The variables that have neither value nor default.
    pub missing: Vec<String>,
    /// Why it could not be sent.
    pub problems: Vec<FieldError>,
}

/// Values for a preview.
pub type Variables = BTreeMap<String, String>;

/// A unit of work with templates.
pub trait TemplatesWork: Work {
    /// A tenant's templates.
    fn templates(&self, scope: Scope) -> Box<dyn TemplateRepo + '_>;
}

/// A tenant's templates.
#[async_trait]
pub trait TemplateRepo: Send {
    /// Stores a template. [`StoreError::Conflict`] when there is one of this name and language.
    async fn insert(&mut self, template: &MessageTemplate) -> Result<(), StoreError>;

    /// A template.
    async fn get(&mut self, id: TemplateId) -> Result<Option<MessageTemplate>, StoreError>;

    /// Templates, newest first.
    async fn list(
        &mut self,
        filter: &TemplateFilter,
        page: PageRequest,
    ) -> Result<Page<MessageTemplate>, StoreError>;

    /// Stores a changed template. `false` if there is none; [`StoreError::Conflict`] as for insert.
    async fn update(&mut self, template: &MessageTemplate) -> Result<bool, StoreError>;

    /// Removes a template. `false` if there is none.
    async fn remove(&mut self, id: TemplateId) -> Result<bool, StoreError>;
}
