//! Files: what tenants upload to send, and what people sent.

use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use kabar_channel::ports::{MediaFile, MediaSource, Uploaded};
use kabar_channel::{Channels, DeviceLink, Reason, SendError};
use kabar_core::permission::{ReadMessages, SendMessages};
use kabar_core::{
    AccountId, Clock, DeviceId, Grant, IdSource, InstallationScope, MediaId, MessageId, Once, Page,
    PageRequest, Scope, Store, StoreError, Timestamp,
};
use kabar_jobs::{ClaimedJob, Job, JobEnd, JobError};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

pub use kabar_core::blob::{BlobError, BlobStore};

use crate::FETCH_MEDIA_JOB;
use crate::message::Body;
use crate::repo::RoadWork;
use crate::send::MessageError;

/// The largest file that is taken, in bytes: what Meta allows for documents.
pub const LARGEST: usize = 100 * 1024 * 1024;

/// A stored file, without its bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaRecord {
    /// Its id.
    pub id: MediaId,
    /// Its account.
    pub account: AccountId,
    /// The device that it came in on.
    pub device: Option<DeviceId>,
    /// The media type.
    pub mime: String,
    /// Its name.
    pub filename: Option<String>,
    /// Bytes.
    pub size: u64,
    /// SHA-256 of the bytes.
    pub sha256: [u8; 32],
    /// When it was stored.
    pub created_at: Timestamp,
}

/// Where a file's bytes are.
pub(crate) fn blob_key(account: AccountId, id: MediaId) -> String {
    format!("{account}/{id}")
}

/// Files of tenants.
#[derive(Clone)]
pub struct MediaFiles {
    store: Arc<dyn Store<dyn RoadWork>>,
    blobs: Arc<dyn BlobStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl MediaFiles {
    /// The service over a store and a file store.
    pub fn new(
        store: Arc<dyn Store<dyn RoadWork>>,
        blobs: Arc<dyn BlobStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self { store, blobs, clock, ids }
    }

    /// Stores a file.
    ///
    /// # Errors
    /// [`MessageError::BadCall`] when it is empty, too large, or its media type is none.
    pub async fn upload(
        &self,
        grant: &Grant<SendMessages>,
        file: MediaFile,
        once: Option<&Once>,
    ) -> Result<MediaRecord, MessageError> {
        check_file(&file)?;
        let record = self.record(grant.scope(), None, &file);
        let key = blob_key(record.account, record.id);
        // The bytes first: a record without bytes would be a promise that cannot be kept.
        self.blobs.put(&key, file.bytes).await.map_err(|error| MessageError::Blob(error.0))?;
        let work = self.store.begin().await?;
        if let Some(once) = once
            && let Some(id) = once.recall::<MediaId>(&*work).await?
        {
            let found = work.media(grant.scope()).get(id).await?;
            drop(work);
            self.blobs.delete(&key).await.map_err(|error| MessageError::Blob(error.0))?;
            return found.ok_or(MessageError::NotFound);
        }
        work.media(grant.scope()).insert(&record).await?;
        if let Some(once) = once {
            once.remember(&*work, &record.id, record.created_at).await?;
        }
        work.commit().await?;
        Ok(record)
    }

    fn record(&self, scope: Scope, device: Option<DeviceId>, file: &MediaFile) -> MediaRecord {
        MediaRecord {
            id: self.ids.id(),
            account: scope.account(),
            device,
            mime: file.mime.clone(),
            filename: file.filename.clone(),
            size: file.bytes.len() as u64,
            sha256: Sha256::digest(&file.bytes).into(),
            created_at: self.clock.now(),
        }
    }

    /// What is known of a file.
    ///
    /// # Errors
    /// [`MessageError::NotFound`].
    pub async fn get(
        &self,
        grant: &Grant<ReadMessages>,
        id: MediaId,
    ) -> Result<MediaRecord, MessageError> {
        let work = self.store.read().await?;
        work.media(grant.scope()).get(id).await?.ok_or(MessageError::NotFound)
    }

    /// A file with its bytes.
    ///
    /// # Errors
    /// [`MessageError::NotFound`].
    pub async fn open(
        &self,
        grant: &Grant<ReadMessages>,
        id: MediaId,
    ) -> Result<(MediaRecord, Bytes), MessageError> {
        let record = self.get(grant, id).await?;
        let key = blob_key(record.account, id);
        let bytes = self.blobs.get(&key).await.map_err(|error| MessageError::Blob(error.0))?;
        bytes.map(|bytes| (record, bytes)).ok_or(MessageError::NotFound)
    }

    /// The bytes of a file, for the platform's own jobs.
    pub(crate) async fn bytes(&self, scope: Scope, id: MediaId) -> Result<Bytes, MessageError> {
        let work = self.store.read().await?;
        let record = work.media(scope).get(id).await?.ok_or(MessageError::NotFound)?;
        drop(work);
        let key = blob_key(record.account, id);
        let bytes = self.blobs.get(&key).await.map_err(|error| MessageError::Blob(error.0))?;
        bytes.ok_or(MessageError::NotFound)
    }

    /// The tenant's files, newest first.
    ///
    /// # Errors
    /// [`MessageError::Store`].
    pub async fn list(
        &self,
        grant: &Grant<ReadMessages>,
        page: PageRequest,
    ) -> Result<Page<MediaRecord>, MessageError> {
        let work = self.store.read().await?;
        Ok(work.media(grant.scope()).list(page).await?)
    }

    /// Removes a file.
    ///
    /// # Errors
    /// [`MessageError::NotFound`].
    pub async fn remove(
        &self,
        grant: &Grant<SendMessages>,
        id: MediaId,
    ) -> Result<(), MessageError> {
        let work = self.store.begin().await?;
        if !work.media(grant.scope()).remove(id, self.clock.now()).await? {
            return Err(MessageError::NotFound);
        }
        work.commit().await?;
        let key = blob_key(grant.account(), id);
        self.blobs.delete(&key).await.map_err(|error| MessageError::Blob(error.0))
    }

    /// Removes files whose time is over, as far as they are there; returns how many were.
    ///
    /// # Errors
    /// [`MessageError::Store`], [`MessageError::Blob`].
    pub async fn discard(&self, scope: Scope, ids: &[MediaId]) -> Result<u64, MessageError> {
        let mut gone = Vec::new();
        let work = self.store.begin().await?;
        for id in ids {
            if work.media(scope).remove(*id, self.clock.now()).await? {
                gone.push(*id);
            }
        }
        work.commit().await?;
        for id in &gone {
            let key = blob_key(scope.account(), *id);
            self.blobs.delete(&key).await.map_err(|error| MessageError::Blob(error.0))?;
        }
        Ok(gone.len() as u64)
    }
}

fn check_file(file: &MediaFile) -> Result<(), MessageError> {
    let bad = |field, problem: String| Err(MessageError::BadCall { field, problem });
    if file.bytes.is_empty() {
        return bad("file", "is empty".to_owned());
    }
    if file.bytes.len() > LARGEST {
        return bad("file", format!("is larger than {} MiB", LARGEST / 1024 / 1024));
    }
    if file.mime.parse::<mime::Mime>().is_err() {
        return bad("file", "needs a media type, like image/jpeg".to_owned());
    }
    let control = |name: &String| name.chars().any(char::is_control) || name.chars().count() > 240;
    if file.filename.as_ref().is_some_and(control) {
        return bad(
            "file",
            "has a name with control characters, or one that is too long".to_owned(),
        );
    }
    Ok(())
}

fn later(code: &str, error: impl std::fmt::Display) -> SendError {
    SendError::Retry { after: None, reason: Reason::new(code, error.to_string()) }
}

#[async_trait]
impl MediaSource for MediaFiles {
    async fn open(&self, device: &DeviceLink, media: MediaId) -> Result<MediaFile, SendError> {
        let gone = || SendError::refused("media", format!("there is no file {media}"));
        let work = self.store.read().await.map_err(|error| later("storage", error))?;
        let scope = InstallationScope::system("media").within(device.account);
        let found = work.media(scope).get(media).await.map_err(|error| later("storage", error))?;
        let record = found.ok_or_else(gone)?;
        drop(work);
        let key = blob_key(device.account, media);
        let bytes = self.blobs.get(&key).await.map_err(|error| later("files", error))?;
        Ok(MediaFile {
            bytes: bytes.ok_or_else(gone)?,
            mime: record.mime,
            filename: record.filename,
        })
    }

    async fn uploaded(
        &self,
        device: &DeviceLink,
        media: MediaId,
    ) -> Result<Option<Uploaded>, SendError> {
        let work = self.store.read().await.map_err(|error| later("storage", error))?;
        let scope = InstallationScope::system("media").within(device.account);
        let now = self.clock.now();
        let found = work.media(scope).uploaded(device.device, media, now).await;
        found.map_err(|error| later("storage", error))
    }

    async fn remember(
        &self,
        device: &DeviceLink,
        media: MediaId,
        uploaded: &Uploaded,
    ) -> Result<(), SendError> {
        let scope = InstallationScope::system("media").within(device.account);
        let stored = async {
            let work = self.store.begin().await?;
            work.media(scope).remember_upload(device.device, media, uploaded).await?;
            work.commit().await
        };
        stored.await.map_err(|error: StoreError| later("storage", error))
    }
}

/// What [`FetchMedia`] needs to know.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FetchMediaPayload {
    /// The message that came with the file.
    pub message_id: MessageId,
}

/// The job that fetches a file that somebody sent, at once: the network keeps it for a short time.
pub struct FetchMedia {
    files: MediaFiles,
    channels: Channels,
}

impl FetchMedia {
    /// The job over a file service.
    pub const fn new(files: MediaFiles, channels: Channels) -> Self {
        Self { files, channels }
    }

    async fn fetch(&self, scope: Scope, id: MessageId) -> Result<Option<Fetched>, JobError> {
        let work = self.files.store.read().await?;
        let message = work.messages(scope).by_ids(&[id]).await?.into_iter().next();
        let Some(message) = message.filter(|message| message.media.is_none()) else {
            return Ok(None);
        };
        let Body::In(content) = &message.body else {
            return Ok(None);
        };
        let Some(file) = content.file() else {
            return Ok(None);
        };
        let registry = InstallationScope::system("media");
        let device = work.device_registry(registry).by_ids(&[message.device]).await?;
        drop(work);
        let Some(device) = device.into_iter().next() else {
            return Ok(None);
        };
        let link = device.link();
        let Some(port) = self.channels.get(&link.channel).and_then(|ports| ports.incoming_media())
        else {
            return Ok(None);
        };
        let mut fetched =
            port.fetch(&link, &file.wire_media_id).await.map_err(|error| match error {
                SendError::Refused { reason } => JobError::Hopeless(reason.to_string()),
                other => JobError::Retry(other.to_string()),
            })?;
        if file.filename.is_some() {
            fetched.filename.clone_from(&file.filename);
        }
        Ok(Some(Fetched { device: message.device, file: fetched }))
    }
}

struct Fetched {
    device: DeviceId,
    file: MediaFile,
}

#[async_trait]
impl Job for FetchMedia {
    fn name(&self) -> &'static str {
        FETCH_MEDIA_JOB
    }

    async fn run(&self, job: &ClaimedJob) -> Result<JobEnd, JobError> {
        let hopeless = |error: &dyn std::fmt::Display| JobError::Hopeless(error.to_string());
        let payload: FetchMediaPayload =
            serde_json::from_value(job.payload.clone()).map_err(|error| hopeless(&error))?;
        let account = job.account.ok_or_else(|| hopeless(&"the job has no account"))?;
        let scope = InstallationScope::system("media").within(account);
        let Some(fetched) = self.fetch(scope, payload.message_id).await? else {
            return Ok(JobEnd::Done);
        };
        let record = self.files.record(scope, Some(fetched.device), &fetched.file);
        let key = blob_key(account, record.id);
        let put = self.files.blobs.put(&key, fetched.file.bytes).await;
        put.map_err(|error| JobError::Retry(error.to_string()))?;
        let work = self.files.store.begin().await?;
        work.media(scope).insert(&record).await?;
        work.messages(scope).set_media(payload.message_id, record.id).await?;
        if !work.jobs().complete(job.id, job.fence).await? {
            return Err(JobError::ClaimLost);
        }
        work.commit().await?;
        Ok(JobEnd::Completed)
    }
}
