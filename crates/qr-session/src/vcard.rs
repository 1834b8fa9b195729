//! Persons' cards as WhatsApp carries them: vCards of version 3.0 (RFC 2426).

use kabar_channel::content::ContactCard;
use kabar_core::PhoneNumber;

use crate::incoming::read;

/// Numbers, and addresses, that are read from one card at most.
const MOST_ENTRIES: usize = 20;
/// How much of a card is read, in bytes. Pictures make cards long; they come last as a rule.
const LONGEST: usize = 64 * 1024;

/// The card as text. Lines end as WhatsApp's own do, with a line feed alone.
pub(crate) fn write(card: &ContactCard) -> String {
    let name = escaped(card.name.trim());
    let mut lines = vec!["BEGIN:VCARD".to_owned(), "VERSION:3.0".to_owned()];
    lines.push(format!("N:;{name};;;"));
    lines.push(format!("FN:{name}"));
    lines.extend(card.organisation.iter().map(|company| format!("ORG:{};", escaped(company))));
    lines.extend(card.phones.iter().map(|phone| telephone(phone)));
    lines.extend(card.emails.iter().map(|mail| format!("EMAIL;type=INTERNET:{}", escaped(mail))));
    lines.push("END:VCARD".to_owned());
    lines.join("\n")
}

/// With `waid` the recipient gets a "Message" button instead of "Invite to WhatsApp".
fn telephone(phone: &str) -> String {
    let number = PhoneNumber::parse(phone, None).ok();
    let known = number.map(|number| format!(";waid={}", number.digits())).unwrap_or_default();
    format!("TEL;type=CELL;type=VOICE{known}:{}", escaped(phone))
}

/// What separates values, and what would begin another line, is escaped.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars().filter(|c| *c != '\r') {
        match c {
            '\\' | ';' | ',' => escaped.extend(['\\', c]),
            '\n' => escaped.push_str("\\n"),
            c => escaped.push(c),
        }
    }
    escaped
}

/// Reads a card. One without a name goes by `shown`, or by its first number; `None` when nothing is
/// in it.
pub(crate) fn read(text: &str, shown: Option<&str>) -> Option<ContactCard> {
    let mut found = Found::default();
    for line in unfolded(text) {
        if let Some((property, value)) = property(&line) {
            found.take(&property, value);
        }
    }
    let Found { full_name, parts, phones, emails, organisation } = found;
    let first = || phones.first().or(emails.first()).cloned();
    let name = full_name.or(parts).or_else(|| read::name(shown)).or_else(first)?;
    Some(ContactCard { name, phones, emails, organisation })
}

#[derive(Default)]
struct Found {
    full_name: Option<String>,
    parts: Option<String>,
    phones: Vec<String>,
    emails: Vec<String>,
    organisation: Option<String>,
}

impl Found {
    fn take(&mut self, property: &str, value: &str) {
        let single = || read::name(Some(&unescaped(value)));
        match property {
            "FN" => self.full_name = self.full_name.take().or_else(single),
            "N" => self.parts = self.parts.take().or_else(|| joined(value)),
            "ORG" => {
                let company = || read::name(components(value).first().map(String::as_str));
                self.organisation = self.organisation.take().or_else(company);
            }
            "TEL" if self.phones.len() < MOST_ENTRIES => {
                let number = value.strip_prefix("tel:").unwrap_or(value);
                self.phones.extend(read::name(Some(&unescaped(number))));
            }
            "EMAIL" if self.emails.len() < MOST_ENTRIES => self.emails.extend(single()),
            _ => {}
        }
    }
}

/// Lines, those that begin with white space joined to the one before (RFC 2426, 2.6).
fn unfolded(text: &str) -> Vec<String> {
    let mut end = text.len().min(LONGEST);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let mut lines: Vec<String> = Vec::new();
    for line in text.get(..end).unwrap_or_default().split(['\n', '\r']) {
        match (line.strip_prefix([' ', '\t']), lines.last_mut()) {
            (Some(rest), Some(last)) => last.push_str(rest),
            _ if line.is_empty() => {}
            _ => lines.push(line.to_owned()),
        }
    }
    lines
}

/// The property without its group and parameters (`item1.TEL;waid=62…`), and its value.
fn property(line: &str) -> Option<(String, &str)> {
    let mut quoted = false;
    let colon = line.find(|c| {
        quoted ^= c == '"';
        c == ':' && !quoted
    })?;
    let (head, value) = line.split_at_checked(colon)?;
    let property = head.split(';').next()?;
    let property = property.rsplit('.').next()?.trim().to_ascii_uppercase();
    Some((property, value.get(1..)?.trim()))
}

/// The name's parts as they are spoken: given, further, family.
fn joined(value: &str) -> Option<String> {
    let parts = components(value);
    let spoken = [3, 1, 2, 0, 4].map(|index| parts.get(index).map_or("", |part| part.trim()));
    let spoken: Vec<&str> = spoken.into_iter().filter(|part| !part.is_empty()).collect();
    read::name(Some(&spoken.join(" ")))
}

/// What stands between semicolons that are not escaped.
fn components(value: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut escape = false;
    for c in value.chars() {
        if c == ';' && !escape {
            parts.push(String::new());
            continue;
        }
        escape = c == '\\' && !escape;
        if let Some(last) = parts.last_mut() {
            last.push(c);
        }
    }
    parts.iter().map(|part| unescaped(part)).collect()
}

fn unescaped(value: &str) -> String {
    let mut text = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some('n' | 'N') => text.push('\n'),
                Some(other) => text.push(other),
                None => text.push('\\'),
            },
            c => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn card(name: &str) -> ContactCard {
        ContactCard {
            name: name.into(),
            phones: vec!["+62 812-3456-789".into(), "ext. 12".into()],
            emails: vec!["budi@example.com".into()],
            organisation: Some("Toko Budi, Tbk; Jakarta".into()),
        }
    }

    #[test]
    fn a_card_is_written_with_escapes() {
        let wanted = [
            "BEGIN:VCARD",
            "VERSION:3.0",
            r#"N:;Budi\; "B" Santoso\,\nSt\\;;;"#,
            r#"FN:Budi\; "B" Santoso\,\nSt\\"#,
            r"ORG:Toko Budi\, Tbk\; Jakarta;",
            "TEL;type=CELL;type=VOICE;waid=628123456789:+62 812-3456-789",
            "TEL;type=CELL;type=VOICE:ext. 12",
            "EMAIL;type=INTERNET:budi@example.com",
            "END:VCARD",
        ];
        let written = write(&card("Budi; \"B\" Santoso,\nSt\\"));
        assert_eq!(written.split('\n').collect::<Vec<_>>(), wanted);
    }

    #[test]
    fn what_is_written_is_read() {
        for name in ["Budi", "Budi; Santoso, Tbk\\", "two\nlines", "END:VCARD", "👩‍🌾"] {
            assert_eq!(read(&write(&card(name)), None), Some(card(name)), "{name}");
        }
    }

    #[test]
    fn cards_of_phones_are_read() {
        let text = "BEGIN:VCARD\r\nVERSION:3.0\r\nN:Santoso;Budi;;Dr.;\r\n\
            item1.TEL;waid=628123456789;type=\"a:b\":+62 812-3456-\r\n 789\r\n\
            item1.X-ABLabel:Ponsel\r\nORG:Toko;Gudang\r\nemail:a@b.c\r\nPHOTO;BASE64:AAAA\r\nEND:VCARD";
        let read = read(text, Some("Shown")).expect("a card");
        assert_eq!(read.name, "Dr. Budi Santoso");
        assert_eq!(read.phones, ["+62 812-3456-789"]);
        assert_eq!(read.emails, ["a@b.c"]);
        assert_eq!(read.organisation.as_deref(), Some("Toko"));
    }

    #[test]
    fn a_card_without_a_name_goes_by_what_is_shown_or_by_its_number() {
        let name = |text: &str, shown| read(text, shown).map(|card| card.name);
        assert_eq!(name("TEL:123", Some("Shown")).as_deref(), Some("Shown"));
        assert_eq!(name("TEL:123", None).as_deref(), Some("123"));
        assert_eq!(name("", Some("Shown")).as_deref(), Some("Shown"));
        assert_eq!(name("FN:  \nN:;;;;", None), None);
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_panics(text in "(?s).{0,200}") {
            let _ = read(&text, None);
        }

        #[test]
        fn any_card_comes_back(name in "[^\0\r]*[^\0\\s][^\0\r]*", company in "[^\0\r\\s]{1,20}") {
            let name = name.trim();
            let written = ContactCard {
                name: name.to_owned(),
                phones: Vec::new(),
                emails: Vec::new(),
                organisation: Some(company),
            };
            prop_assert_eq!(read(&write(&written), None), Some(written));
        }
    }
}
