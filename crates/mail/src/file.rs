//! Mails as files.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use kabar_core::{IdSource as _, Mail, MailError, Mailer, SystemIds};
use lettre::message::Mailbox;
use tokio::io::AsyncWriteExt as _;

use crate::letter::{BadSender, letter, sender};

/// Writes each mail into a folder, as a file `<id>.eml` that any mail program opens. File names sort
/// in the order of the mails. Files are for their owner alone: they hold one-time links.
#[derive(Debug)]
pub struct FileMailer {
    folder: PathBuf,
    from: Mailbox,
    ids: SystemIds,
    unfinished: AtomicU64,
}

impl FileMailer {
    /// Mails in a folder, which is made with the first one.
    ///
    /// # Errors
    /// [`BadSender`].
    pub fn open(folder: impl AsRef<Path>, from: &str) -> Result<Self, BadSender> {
        Ok(Self {
            folder: folder.as_ref().to_owned(),
            from: sender(from)?,
            ids: SystemIds::default(),
            unfinished: AtomicU64::new(0),
        })
    }

    async fn write(&self, bytes: &[u8]) -> std::io::Result<()> {
        tokio::fs::create_dir_all(&self.folder).await?;
        let number = self.unfinished.fetch_add(1, Ordering::Relaxed);
        let half = self.folder.join(format!(".{}-{number}", std::process::id()));
        let mut options = tokio::fs::OpenOptions::new();
        options.write(true).create(true).truncate(true);
        #[cfg(unix)]
        options.mode(0o600);
        let mut file = options.open(&half).await?;
        file.write_all(bytes).await?;
        file.sync_all().await?;
        // A reader of the folder never sees half a mail.
        let whole = self.folder.join(format!("{}.eml", self.ids.next().simple()));
        tokio::fs::rename(half, whole).await
    }
}

#[async_trait]
impl Mailer for FileMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let bytes = letter(&self.from, mail)?.formatted();
        self.write(&bytes).await.map_err(|error| MailError::Unavailable(Box::new(error)))
    }
}
