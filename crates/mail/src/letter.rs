//! From a [`Mail`] to the message that travels (RFC 5322).

use kabar_core::{Mail, MailError};
use lettre::Message;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;

/// A sender that is no mail address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no sender; write `kabar@example.com` or `Kabar <kabar@example.com>`")]
pub struct BadSender(String);

/// Who the mails are from.
pub(crate) fn sender(from: &str) -> Result<Mailbox, BadSender> {
    from.parse().map_err(|_| BadSender(from.to_owned()))
}

/// The message; what is refused is told without the address, which is personal.
pub(crate) fn letter(from: &Mailbox, mail: &Mail) -> Result<Message, MailError> {
    let refused = |problem: &str| MailError::Refused(problem.to_owned());
    let to = mail.to.parse().map_err(|_| refused("its recipient is no mail address"))?;
    Message::builder()
        .from(from.clone())
        .to(Mailbox::new(None, to))
        .subject(mail.subject.clone())
        .header(ContentType::TEXT_PLAIN)
        .body(mail.text.clone())
        .map_err(|_| refused("it cannot be written as a message"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mail(to: &str, subject: &str) -> Mail {
        Mail { to: to.to_owned(), subject: subject.to_owned(), text: "héllo\r\n.\r\n".to_owned() }
    }

    #[test]
    fn a_subject_cannot_add_headers() {
        let from = sender("Kabar <k@example.com>").expect("is a sender");
        let letter = letter(&from, &mail("a@example.com", "x\r\nBcc: b@example.com"));
        let text = String::from_utf8(letter.expect("is written").formatted()).expect("is text");
        let (headers, _) = text.split_once("\r\n\r\n").expect("headers end");
        assert!(!headers.lines().any(|line| line.starts_with("Bcc")), "{headers}");
    }

    #[test]
    fn what_is_refused_names_no_address() {
        let from = sender("k@example.com").expect("is a sender");
        let refused = letter(&from, &mail("secret person", "x")).expect_err("is refused");
        assert!(!refused.to_string().contains("secret"), "{refused}");
        assert!(sender("nobody").is_err());
    }
}
