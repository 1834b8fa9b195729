//! Foundations that every room of Kabar shares: typed ids, the ports for time, ids and units of
//! work, the proof of permission (`Principal` → [`Grant`] → [`Scope`]), pages and phone numbers.
//!
//! The crate has no runtime, no I/O and no aggregate. A module enters it when it has three users.
//!
//! # Overview
//!
//! * [`id`]: prefixed, strictly parsed ids (`msg_…`, `dev_…`).
//! * [`time`]: [`Timestamp`] and the [`Clock`] port. [`ids`]: the [`IdSource`] port.
//! * [`principal`], [`permission`], [`scope`]: who acts, what they may do, whose rows they see.
//! * [`work`]: [`Work`], [`Store`], [`StoreError`] and the once-only guard behind `Idempotency-Key`.
//! * [`page`]: cursors; [`phone`]: E.164 numbers; [`Secret`]: redacted text.
//! * [`mail`]: the [`Mailer`] port, for accounts, webhooks and alerts. [`blob`]: the [`BlobStore`]
//!   port, for media, imports and exports.
//!
//! A use case reads the same everywhere:
//!
//! ```
//! use kabar_core::permission::ReadContacts;
//! use kabar_core::{AccountId, Grant, Principal, Role, UserId};
//! use uuid::Uuid;
//!
//! let account = AccountId::from(Uuid::nil());
//! let owner = Principal::user(UserId::from(Uuid::nil()), Role::Customer, Some(account), []);
//! let grant: Grant<ReadContacts> = owner.grant(None)?;
//! assert_eq!(grant.account(), account);
//! # Ok::<(), kabar_core::Denied>(())
//! ```

pub mod blob;
pub mod id;
pub mod ids;
pub mod mail;
pub mod page;
pub mod permission;
pub mod phone;
pub mod principal;
pub mod scope;
pub mod time;
pub mod wake;
pub mod work;

pub use blob::{BlobError, BlobStore};
pub use id::{
    AccountId, AlertId, ApiKeyId, AuditId, BroadcastId, ContactId, ConversationId, DeliveryId,
    DeviceId, EndpointId, ExportId, GroupId, IdentityId, ImportId, JobId, MediaId, MessageId,
    MetaAppId, ParseIdError, RuleId, SessionId, TemplateId, UserId,
};
pub use ids::{IdSource, SystemIds};
pub use mail::{Mail, MailError, Mailer};
pub use page::{Cursor, Page, PageRequest};
pub use permission::{Permission, Role};
pub use phone::{ParsePhoneError, PhoneNumber};
pub use principal::{Actor, Denied, Principal};
pub use scope::{Grant, InstallationScope, Scope};
/// Text that is wiped from memory and redacted in `Debug`.
pub use secrecy::{ExposeSecret, SecretString as Secret};
pub use time::{Clock, SystemClock, Timestamp};
pub use wake::{Listen, Topic, Wake};
pub use work::{Once, OnceRepo, Store, StoreError, Work};
