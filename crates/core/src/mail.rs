//! The port for e-mail: accounts confirm addresses with it, webhooks and alerts tell owners.

use std::fmt;

use async_trait::async_trait;

/// An e-mail to one person, in plain text.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The address that it goes to.
    pub to: String,
    /// The subject, one line.
    pub subject: String,
    /// The text.
    pub text: String,
}

/// Addresses are personal, and texts may hold a link that logs in: neither is shown.
impl fmt::Debug for Mail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mail").field("subject", &self.subject).finish_non_exhaustive()
    }
}

/// Why a mail was not handed over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MailError {
    /// The mail itself cannot be sent, now or later: why, without any address, since it is stored.
    #[error("the mail cannot be sent: {0}")]
    Refused(String),
    /// The mail server cannot be reached or is busy; try again later.
    #[error("the mail server is not available")]
    Unavailable(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Hands mails to a mail server, a folder or a console.
#[async_trait]
pub trait Mailer: Send + Sync {
    /// Hands over one mail; when it returns, the next hop has it.
    ///
    /// # Errors
    /// [`MailError::Unavailable`] is worth another try, [`MailError::Refused`] is not.
    async fn send(&self, mail: &Mail) -> Result<(), MailError>;
}
