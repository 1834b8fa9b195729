//! The rules for what people type: names, e-mail addresses, time zones, countries.

use chrono_tz::Tz;
use kabar_core::{ParsePhoneError, PhoneNumber};

/// Characters of a name, at most.
pub const NAME_MOST: usize = 100;
/// RFC 5321, section 4.5.3.1.3: a path of 256 octets, less the two angle brackets.
const EMAIL_MOST: usize = 254;

/// A field whose value cannot be taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{field}` {problem}")]
pub struct Invalid {
    /// The field, as the API calls it.
    pub field: &'static str,
    /// What is wrong and what would be right.
    pub problem: String,
}

impl Invalid {
    /// A field and what is wrong with it.
    pub fn new(field: &'static str, problem: impl Into<String>) -> Self {
        Self { field, problem: problem.into() }
    }
}

/// A name without the spaces around it: 1 to [`NAME_MOST`] characters, no control characters.
///
/// # Errors
/// [`Invalid`] with the given field.
pub fn name(field: &'static str, text: &str) -> Result<String, Invalid> {
    let text = text.trim();
    if text.chars().any(char::is_control) {
        return Err(Invalid::new(field, "must not contain control characters"));
    }
    match text.chars().count() {
        0 => Err(Invalid::new(field, "must not be empty")),
        count if count > NAME_MOST => {
            Err(Invalid::new(field, format!("must have at most {NAME_MOST} characters")))
        }
        _ => Ok(text.to_owned()),
    }
}

/// An e-mail address in lower case. The check is simple on purpose: only a delivered mail proves an
/// address.
///
/// # Errors
/// [`Invalid`] with the field `email`.
pub fn email(text: &str) -> Result<String, Invalid> {
    let text = text.trim().to_lowercase();
    let wrong = || Invalid::new("email", "must be an e-mail address, like ayu@example.com");
    let (local, domain) = text.rsplit_once('@').ok_or_else(wrong)?;
    let clean = |part: &str| {
        !part.is_empty()
            && !part
                .chars()
                .any(|c| c.is_control() || c.is_whitespace() || matches!(c, '@' | '<' | '>' | ','))
    };
    let labels = domain.split('.').all(|label| !label.is_empty());
    if text.len() <= EMAIL_MOST && clean(local) && clean(domain) && labels {
        Ok(text)
    } else {
        Err(wrong())
    }
}

/// A time zone by its IANA name.
///
/// # Errors
/// [`Invalid`] with the field `time_zone`.
pub fn time_zone(text: &str) -> Result<Tz, Invalid> {
    text.parse().map_err(|_| Invalid::new("time_zone", "must be an IANA name, like Asia/Jakarta"))
}

/// A country by the two letters of ISO 3166, in upper case; one whose numbers can be read.
///
/// # Errors
/// [`Invalid`] with the field `country`.
pub fn country(text: &str) -> Result<String, Invalid> {
    let code = text.trim().to_uppercase();
    let known = || {
        // Whether this number is one in the country does not matter.
        let read = PhoneNumber::parse("12345678", Some(&code));
        !matches!(read, Err(ParsePhoneError::UnknownCountry(_)))
    };
    if code.len() == 2 && code.bytes().all(|b| b.is_ascii_uppercase()) && known() {
        Ok(code)
    } else {
        Err(Invalid::new("country", "must be the two letters of ISO 3166, like ID"))
    }
}

/// A phone number, international or as it is written in a country.
///
/// # Errors
/// [`Invalid`] with the given field.
pub fn phone(
    field: &'static str,
    text: &str,
    country: Option<&str>,
) -> Result<PhoneNumber, Invalid> {
    PhoneNumber::parse(text, country).map_err(|error| Invalid::new(field, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_trimmed_and_bounded() {
        assert_eq!(name("name", "  Toko Ayu "), Ok("Toko Ayu".to_owned()));
        assert!(name("name", &"é".repeat(NAME_MOST)).is_ok());
        for text in ["", "  ", "a\0b", "a\nb", &"x".repeat(NAME_MOST + 1)] {
            assert_eq!(name("title", text).unwrap_err().field, "title", "{text:?}");
        }
    }

    #[test]
    fn addresses_are_lower_cased() {
        assert_eq!(email(" Ayu@Example.COM"), Ok("ayu@example.com".to_owned()));
        assert!(email("root@localhost").is_ok());
        let long = format!("{}@example.com", "a".repeat(EMAIL_MOST));
        for text in ["", "a", "@b", "a@", "a b@c", "a@b@c.d", "a@b..c", "a@.b", "a\0@b", &long] {
            assert!(email(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn zones_and_countries_must_exist() {
        assert_eq!(time_zone("Asia/Jakarta"), Ok(Tz::Asia__Jakarta));
        assert!(time_zone("Asia/Kabar").is_err());
        assert_eq!(country("id"), Ok("ID".to_owned()));
        for text in ["", "I", "IDN", "1D", "ZZ", "é"] {
            assert!(country(text).is_err(), "{text}");
        }
    }
}
