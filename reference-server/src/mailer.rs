//! The mailer that the configuration asks for.

use std::sync::Arc;
use std::time::Duration;

use kabar::core::Mailer;
use kabar::mail::{ConsoleMailer, FileMailer, Security, SmtpConfig, SmtpMailer};

use crate::config::{Config, ConfigError, MailConfig, MailKind, MailSecurity};

/// Where the mails go.
///
/// # Errors
/// [`ConfigError::Mail`].
pub(crate) fn of(config: &Config) -> Result<Arc<dyn Mailer>, ConfigError> {
    let mail = &config.mail;
    Ok(match mail.to {
        MailKind::Console => Arc::new(ConsoleMailer),
        MailKind::File => {
            let folder = mail.folder.clone().unwrap_or_else(|| config.data.join("mails"));
            let mailer = FileMailer::open(folder, &mail.from);
            Arc::new(mailer.map_err(|error| ConfigError::Mail(Box::new(error)))?)
        }
        MailKind::Smtp => {
            let mailer = SmtpMailer::new(&smtp(mail)?);
            Arc::new(mailer.map_err(|error| ConfigError::Mail(Box::new(error)))?)
        }
    })
}

fn smtp(mail: &MailConfig) -> Result<SmtpConfig, ConfigError> {
    let wrong = |problem: &str| ConfigError::Mail(problem.into());
    let roots = mail.ca_file.as_ref().map(std::fs::read).transpose();
    Ok(SmtpConfig {
        host: mail.host.clone().ok_or_else(|| wrong("`smtp` needs a `host`"))?,
        port: mail.port,
        security: match mail.security {
            MailSecurity::Starttls => Security::StartTls,
            MailSecurity::Tls => Security::Tls,
            MailSecurity::None => Security::None,
        },
        credentials: match (&mail.user, &mail.password) {
            (None, None) => None,
            (Some(user), Some(password)) => Some((user.clone(), password.clone())),
            _ => return Err(wrong("`user` and `password` come together")),
        },
        from: mail.from.clone(),
        roots: roots.map_err(|error| ConfigError::Mail(Box::new(error)))?,
        timeout: Duration::from_secs(mail.timeout_seconds),
    })
}
