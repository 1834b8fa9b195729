//! Sessions: who is logged in, and the tokens of it.
//!
//! A session has pairs of tokens, an access and a refresh token each. A refresh token buys the next
//! pair. One that was used stays known: who shows it again later is either a thief or robbed, and the
//! session ends for both (RFC 9700, section 4.14.2). For a short time it buys once more, since answers get lost and
//! two windows of one program refresh at the same time.

use std::net::IpAddr;

use async_trait::async_trait;
use chrono::TimeDelta;
use kabar_core::{Page, PageRequest, Secret, SessionId, StoreError, Timestamp, UserId};
use uuid::Uuid;

use crate::login::LoginUser;

/// For how long an access token works.
pub const ACCESS: TimeDelta = TimeDelta::minutes(15);
/// For how long a refresh token works, and so a session that nobody uses.
pub const REFRESH: TimeDelta = TimeDelta::days(7);
/// For how long a used refresh token buys once more.
pub const GRACE: TimeDelta = TimeDelta::seconds(30);

/// A session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// Its id.
    pub id: SessionId,
    /// Who is logged in.
    pub user: UserId,
    /// From which network address.
    pub address: Option<IpAddr>,
    /// With which program, in its own words.
    pub agent: Option<String>,
    /// Since when.
    pub created_at: Timestamp,
    /// When it got its last pair of tokens.
    pub refreshed_at: Timestamp,
    /// When it ends, unless it is refreshed.
    pub expires_at: Timestamp,
    /// When it was ended.
    pub ended_at: Option<Timestamp>,
}

/// A pair of tokens, as it is stored.
#[derive(Debug, Clone)]
pub struct TokenPair {
    /// The id in both tokens.
    pub id: Uuid,
    /// The session.
    pub session: SessionId,
    /// SHA-256 of the access token's random part.
    pub access_hash: [u8; 32],
    /// When the access token ends to work.
    pub access_expires_at: Timestamp,
    /// SHA-256 of the refresh token's random part.
    pub refresh_hash: [u8; 32],
    /// When the refresh token ends to work.
    pub refresh_expires_at: Timestamp,
    /// When the refresh token bought the next pair.
    pub refreshed_at: Option<Timestamp>,
}

/// A pair of tokens, as it is shown once.
#[derive(Debug)]
pub struct Tokens {
    /// The session.
    pub session: SessionId,
    /// The access token (`kbs_…`).
    pub access: Secret,
    /// When it ends to work.
    pub access_expires_at: Timestamp,
    /// The refresh token (`kbf_…`).
    pub refresh: Secret,
    /// When it ends to work.
    pub refresh_expires_at: Timestamp,
}

/// The session behind a token, with who is logged in.
#[derive(Debug, Clone)]
pub struct Held {
    /// The pair of tokens.
    pub pair: TokenPair,
    /// The session.
    pub session: Session,
    /// Who is logged in.
    pub user: LoginUser,
}

impl Held {
    /// Whether the session goes on, and its user may be here.
    pub fn goes_on(&self, now: Timestamp) -> bool {
        self.session.ended_at.is_none() && now < self.session.expires_at && self.user.works()
    }
}

/// The sessions of the installation.
#[async_trait]
pub trait SessionRepo: Send {
    /// Stores a new session.
    async fn insert(&mut self, session: &Session) -> Result<(), StoreError>;

    /// Stores a new pair of a session.
    async fn put_pair(&mut self, pair: &TokenPair) -> Result<(), StoreError>;

    /// What is behind a pair's id.
    async fn held(&mut self, pair: Uuid) -> Result<Option<Held>, StoreError>;

    /// The same; the session is kept from others until the unit of work ends.
    async fn lock(&mut self, pair: Uuid) -> Result<Option<Held>, StoreError>;

    /// Notes that a pair bought the next one, and until when its session goes on.
    async fn refreshed(&mut self, pair: &TokenPair, at: Timestamp) -> Result<(), StoreError>;

    /// The sessions of a user that go on, newest first.
    async fn list(
        &mut self,
        user: UserId,
        now: Timestamp,
        page: PageRequest,
    ) -> Result<Page<Session>, StoreError>;

    /// Ends a session of a user; `false` if there is none that goes on.
    async fn end(&mut self, user: UserId, id: SessionId, at: Timestamp)
    -> Result<bool, StoreError>;

    /// Ends every session of a user but one; returns how many.
    async fn end_all(
        &mut self,
        user: UserId,
        but: Option<SessionId>,
        at: Timestamp,
    ) -> Result<u64, StoreError>;
}
