//! A registration that waits for its address to be verified.
//!
//! Nothing of it is an account yet: registering somebody else's address takes nothing from anybody.

use async_trait::async_trait;
use kabar_core::{Secret, StoreError, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// Somebody who registers.
#[derive(Debug, Clone)]
pub struct NewRegistration {
    /// The e-mail address.
    pub email: String,
    /// What the person is called.
    pub name: String,
    /// The password.
    pub password: Secret,
    /// What the account is to be called.
    pub account_name: String,
    /// The IANA name of its time zone; UTC when absent.
    pub time_zone: Option<String>,
    /// Its country: two letters, ISO 3166.
    pub country: Option<String>,
}

/// What was said beside the address and the password.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistrationDetails {
    /// What the person is called.
    pub name: String,
    /// What the account is to be called.
    pub account_name: String,
    /// The IANA name of its time zone.
    pub time_zone: Option<String>,
    /// Its country.
    pub country: Option<String>,
}

/// A registration, as it is stored.
#[derive(Debug, Clone)]
pub struct Registration {
    /// Its id, which stands in its token.
    pub id: Uuid,
    /// The e-mail address in lower case.
    pub email: String,
    /// The hash of the password.
    pub password_hash: Secret,
    /// The rest.
    pub details: RegistrationDetails,
    /// SHA-256 of the random part of the token that was mailed last.
    pub token_hash: [u8; 32],
    /// When it was made.
    pub created_at: Timestamp,
    /// When its token ends to work.
    pub expires_at: Timestamp,
}

/// The registrations that wait.
#[async_trait]
pub trait RegistrationRepo: Send {
    /// Stores a registration, new or with another token.
    async fn put(&mut self, registration: &Registration) -> Result<(), StoreError>;

    /// A registration.
    async fn get(&mut self, id: Uuid) -> Result<Option<Registration>, StoreError>;

    /// The newest registration of an address.
    async fn newest(&mut self, email: &str) -> Result<Option<Registration>, StoreError>;

    /// Removes a registration; `false` if another unit of work was quicker.
    async fn take(&mut self, id: Uuid) -> Result<bool, StoreError>;

    /// Removes every registration of an address.
    async fn drop_of(&mut self, email: &str) -> Result<(), StoreError>;
}
