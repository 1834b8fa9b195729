//! The port for files.

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::stream::BoxStream;

/// Where files are kept: a folder, or an object store.
#[async_trait]
pub trait BlobStore: Send + Sync {
    /// Stores bytes under a key; durable when it returns.
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError>;

    /// The bytes under a key; `None` if there are none.
    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError>;

    /// Removes the bytes under a key, if there are any.
    async fn delete(&self, key: &str) -> Result<(), BlobError>;

    /// Every key, in no order: for backups.
    fn list(&self) -> BoxStream<'_, Result<String, BlobError>>;
}

/// The file store failed.
#[derive(Debug, thiserror::Error)]
#[error("the file store failed")]
pub struct BlobError(#[source] pub Box<dyn std::error::Error + Send + Sync>);
