//! Mails by SMTP (RFC 5321).

use std::time::Duration;

use async_trait::async_trait;
use kabar_core::{ExposeSecret as _, Mail, MailError, Mailer, Secret};
use lettre::message::Mailbox;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Certificate, CertificateStore, Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor};

use crate::letter::{BadSender, letter, sender};

/// How the connection to a mail server is kept from others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Security {
    /// Begun in the clear and made private by STARTTLS, which the server must offer; port 587.
    #[default]
    StartTls,
    /// Private from the first byte; port 465.
    Tls,
    /// Not at all: for a server on the same machine; port 25.
    None,
}

impl Security {
    /// RFC 6409, RFC 8314 and RFC 5321.
    const fn port(self) -> u16 {
        match self {
            Self::StartTls => 587,
            Self::Tls => 465,
            Self::None => 25,
        }
    }
}

/// Which mail server, and as whom.
#[derive(Debug, Clone)]
pub struct SmtpConfig {
    /// The server's name, which its certificate must hold.
    pub host: String,
    /// Its port; the usual one of the security when absent.
    pub port: Option<u16>,
    /// How the connection is kept from others.
    pub security: Security,
    /// User name and password, if the server wants them.
    pub credentials: Option<(String, Secret)>,
    /// Who the mails are from: `kabar@example.com` or `Kabar <kabar@example.com>`.
    pub from: String,
    /// Certificates that are trusted beside Mozilla's root programme (PEM): of a mail server of one's
    /// own.
    pub roots: Option<Vec<u8>>,
    /// How long one step of a conversation with the server may take.
    pub timeout: Duration,
}

/// A mail server that cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SmtpError {
    /// The sender is no address.
    #[error(transparent)]
    Sender(#[from] BadSender),
    /// A password would travel in the clear.
    #[error("a password is only sent over `starttls` or `tls`; choose one of them")]
    Exposed,
    /// TLS cannot be set up.
    #[error("TLS to the mail server cannot be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
}

/// Hands mails to a mail server, over a few connections that are kept open.
pub struct SmtpMailer {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
}

impl std::fmt::Debug for SmtpMailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SmtpMailer").finish_non_exhaustive()
    }
}

impl SmtpMailer {
    /// A mailer; the server is not asked yet.
    ///
    /// # Errors
    /// [`SmtpError`].
    pub fn new(config: &SmtpConfig) -> Result<Self, SmtpError> {
        if config.credentials.is_some() && config.security == Security::None {
            return Err(SmtpError::Exposed);
        }
        let port = config.port.unwrap_or(config.security.port());
        // Nothing is dangerous here: `tls` is set as configured.
        let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(&config.host)
            .port(port)
            .timeout(Some(config.timeout))
            .tls(tls(config)?);
        if let Some((user, password)) = &config.credentials {
            let password = password.expose_secret().to_owned();
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self { transport: builder.build(), from: sender(&config.from)? })
    }
}

fn tls(config: &SmtpConfig) -> Result<Tls, SmtpError> {
    let parameters = || {
        let mut builder = TlsParameters::builder(config.host.clone())
            .certificate_store(CertificateStore::WebpkiRoots);
        if let Some(pem) = &config.roots {
            let root = Certificate::from_pem(pem).map_err(SmtpError::Tls)?;
            builder = builder.add_root_certificate(root);
        }
        builder.build_rustls().map_err(SmtpError::Tls)
    };
    Ok(match config.security {
        Security::StartTls => Tls::Required(parameters()?),
        Security::Tls => Tls::Wrapper(parameters()?),
        Security::None => Tls::None,
    })
}

#[async_trait]
impl Mailer for SmtpMailer {
    async fn send(&self, mail: &Mail) -> Result<(), MailError> {
        let letter = letter(&self.from, mail)?;
        match self.transport.send(letter).await {
            Ok(_) => Ok(()),
            Err(error) => Err(failure(error)),
        }
    }
}

/// What the server says of our own credentials (RFC 4954, section 6), no fault of the mail.
const OURS: [u16; 4] = [530, 534, 535, 538];

fn failure(error: lettre::transport::smtp::Error) -> MailError {
    match error.status().map(u16::from) {
        // The server's words often repeat the address: only its code is told.
        Some(code) if error.is_permanent() && !OURS.contains(&code) => {
            MailError::Refused(format!("the mail server refused it with the code {code}"))
        }
        _ => MailError::Unavailable(Box::new(error)),
    }
}
