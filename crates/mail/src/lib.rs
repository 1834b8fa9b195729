//! Where Kabar's e-mails go: to a mail server ([`SmtpMailer`]), into a folder ([`FileMailer`]) or to
//! the console ([`ConsoleMailer`]).
//!
//! All implement the port [`Mailer`](kabar_core::Mailer). They hand over one mail and report how that
//! went; that a mail is sent at all, and again after a failure, is the business of the job
//! `kabar_jobs::mail::SendMail`.
//!
//! ```
//! use kabar_core::{Mail, Mailer};
//! use kabar_mail::FileMailer;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let folder = tempfile::tempdir()?;
//! let mailer = FileMailer::open(folder.path(), "Kabar <kabar@example.com>")?;
//! let mail = Mail {
//!     to: "ayu@example.com".to_owned(),
//!     subject: "Halo".to_owned(),
//!     text: "Selamat datang.".to_owned(),
//! };
//! mailer.send(&mail).await?;
//! assert_eq!(std::fs::read_dir(folder.path())?.count(), 1);
//! # Ok(())
//! # }
//! ```

mod console;
mod file;
mod letter;
mod smtp;

pub use console::ConsoleMailer;
pub use file::FileMailer;
pub use letter::BadSender;
pub use smtp::{Security, SmtpConfig, SmtpError, SmtpMailer};
