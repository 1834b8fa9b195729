//! Mails on standard output.

use async_trait::async_trait;
use kabar_core::{Mail, MailError, Mailer};

/// Prints mails, with the one-time links in them: for development, never where output is kept.
#[derive(Debug, Clone, Copy, Default)]
pub struct ConsoleMailer;

#[async_trait]
impl Mailer for ConsoleMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let Mail { to, subject, text } = mail;
        println!("--- mail to {to}\n{subject}\n\n{text}\n---");
        Ok(())
    }
}
