//! The words of the mails.

use kabar_core::Mail;

use crate::alert::Alert;

/// The mail about an alert that was raised, or is over.
pub(crate) fn about(alert: &Alert, to: &str) -> Mail {
    let (word, sentence) =
        if alert.is_raised() { ("Alert", "Since") } else { ("Over", "It was found since") };
    let mut text = format!(
        "{}.\n\n{sentence} {} (UTC).\n",
        capital(&alert.detail),
        alert.since.format("%Y-%m-%d %H:%M"),
    );
    if let Some(account) = alert.subject.account() {
        text.push_str("Account: ");
        text.push_str(&account.to_string());
        text.push('\n');
    }
    if let Some(device) = alert.subject.device() {
        text.push_str("Device: ");
        text.push_str(&device.to_string());
        text.push('\n');
    }
    Mail { to: to.to_owned(), subject: format!("[Kabar] {word}: {}", alert.condition), text }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}
