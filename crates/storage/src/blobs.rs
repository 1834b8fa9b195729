//! Files in a folder.

use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use kabar_messaging::BlobStore;
use kabar_messaging::media::BlobError;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore as _, ObjectStoreExt as _, PutPayload};

/// [`BlobStore`] in a folder of the local disk.
#[derive(Debug)]
pub struct FolderBlobs {
    folder: LocalFileSystem,
}

impl FolderBlobs {
    /// Opens the folder, and makes it if there is none.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(folder: &Path) -> std::io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let folder = LocalFileSystem::new_with_prefix(folder).map_err(std::io::Error::other)?;
        Ok(Self { folder: folder.with_fsync(true) })
    }
}

fn failed(error: object_store::Error) -> BlobError {
    BlobError(Box::new(error))
}

#[async_trait]
impl BlobStore for FolderBlobs {
    async fn put(&self, key: &str, bytes: Bytes) -> Result<(), BlobError> {
        let put = self.folder.put(&Key::from(key), PutPayload::from_bytes(bytes)).await;
        put.map(|_| ()).map_err(failed)
    }

    async fn get(&self, key: &str) -> Result<Option<Bytes>, BlobError> {
        match self.folder.get(&Key::from(key)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(failed),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(failed(error)),
        }
    }

    async fn delete(&self, key: &str) -> Result<(), BlobError> {
        match self.folder.delete(&Key::from(key)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    fn list(&self) -> BoxStream<'_, Result<String, BlobError>> {
        let found = self.folder.list(None);
        found.map(|file| file.map(|file| file.location.to_string()).map_err(failed)).boxed()
    }
}
