//! Phone numbers in E.164.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// ITU-T E.164: fifteen digits at most; no subscriber number with country code is shorter than
/// seven.
const DIGITS: std::ops::RangeInclusive<usize> = 7..=15;

/// A phone number with its country code, `+` and 7 to 15 digits.
///
/// ```
/// use kabar_core::PhoneNumber;
///
/// let number = PhoneNumber::parse("0812-3456-789", Some("ID"))?;
/// assert_eq!(number.as_str(), "+628123456789");
/// assert_eq!(number.digits(), "628123456789");
/// # Ok::<(), kabar_core::ParsePhoneError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PhoneNumber(String);

/// A text that is no phone number.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ParsePhoneError {
    /// Neither international nor readable in the given country.
    #[error("not a phone number; write it with its country code, like +628123456789")]
    Unreadable,
    /// A national number, and no country to read it in.
    #[error(
        "a number without country code needs the account's country; write it like +628123456789"
    )]
    NeedsCountry,
    /// The country is no ISO 3166 code.
    #[error("`{0}` is not a country; use the two letters of ISO 3166, like ID")]
    UnknownCountry(String),
}

impl PhoneNumber {
    /// Reads a number as people write it. Without `+` or `00` it is read as a national number of
    /// `country` (two letters, ISO 3166), or as international digits when `country` is absent and
    /// it does not begin with 0.
    ///
    /// # Errors
    /// See [`ParsePhoneError`].
    pub fn parse(text: &str, country: Option<&str>) -> Result<Self, ParsePhoneError> {
        let text = text.trim();
        let digits = plain_digits(text).ok_or(ParsePhoneError::Unreadable)?;
        if text.starts_with('+') {
            return Self::from_digits(&digits);
        }
        if let Some(rest) = digits.strip_prefix("00") {
            return Self::from_digits(rest);
        }
        match country {
            Some(country) => Self::national(&digits, country),
            None if digits.starts_with('0') => Err(ParsePhoneError::NeedsCountry),
            None => Self::from_digits(&digits),
        }
    }

    /// A number from bare international digits, as Meta's `wa_id` has it.
    ///
    /// # Errors
    /// [`ParsePhoneError::Unreadable`] unless it is 7 to 15 digits that do not begin with 0.
    pub fn from_digits(digits: &str) -> Result<Self, ParsePhoneError> {
        let well_formed = DIGITS.contains(&digits.len())
            && digits.bytes().all(|b| b.is_ascii_digit())
            && !digits.starts_with('0');
        if well_formed { Ok(Self(format!("+{digits}"))) } else { Err(ParsePhoneError::Unreadable) }
    }

    /// Digits that may be national or already international: `0812…` and `62812…` are the same
    /// person in Indonesia.
    fn national(digits: &str, country: &str) -> Result<Self, ParsePhoneError> {
        let id: phonenumber::country::Id =
            country.parse().map_err(|_| ParsePhoneError::UnknownCountry(country.to_owned()))?;
        let as_national = phonenumber::parse(Some(id), digits).ok();
        if let Some(number) = as_national.filter(phonenumber::is_valid) {
            let e164 = number.format().mode(phonenumber::Mode::E164).to_string();
            return Self::from_digits(e164.trim_start_matches('+'));
        }
        Self::from_digits(digits)
    }

    /// `+` and the digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The digits alone.
    pub fn digits(&self) -> &str {
        self.0.trim_start_matches('+')
    }
}

/// The digits of a number that holds nothing but digits and the usual separators.
fn plain_digits(text: &str) -> Option<String> {
    let body = text.strip_prefix('+').unwrap_or(text);
    let separator =
        |c: char| matches!(c, ' ' | '-' | '.' | '(' | ')' | '/' | '\u{a0}' | '\u{2011}');
    let digits: String = body.chars().filter(|c| !separator(*c)).collect();
    (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit())).then_some(digits)
}

/// Logs must not hold phone numbers: `Debug` shows the last two digits only.
impl fmt::Debug for PhoneNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tail = self.0.get(self.0.len().saturating_sub(2)..).unwrap_or_default();
        write!(f, "PhoneNumber(…{tail})")
    }
}

impl FromStr for PhoneNumber {
    type Err = ParsePhoneError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::parse(text, None)
    }
}

impl Serialize for PhoneNumber {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for PhoneNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_people_write_them() {
        for (text, country, wanted) in [
            ("+62 812-3456-789", None, Ok("+628123456789")),
            ("0062 8123456789", None, Ok("+628123456789")),
            ("08123456789", Some("ID"), Ok("+628123456789")),
            ("628123456789", Some("ID"), Ok("+628123456789")),
            ("628123456789", None, Ok("+628123456789")),
            ("+15550000001", Some("ID"), Ok("+15550000001")),
            ("08123456789", None, Err(ParsePhoneError::NeedsCountry)),
            ("hello", Some("ID"), Err(ParsePhoneError::Unreadable)),
            ("+12", None, Err(ParsePhoneError::Unreadable)),
            ("", None, Err(ParsePhoneError::Unreadable)),
            ("08123456789", Some("XX"), Err(ParsePhoneError::UnknownCountry("XX".into()))),
        ] {
            let read = PhoneNumber::parse(text, country);
            assert_eq!(read.as_ref().map(PhoneNumber::as_str), wanted.as_ref().copied(), "{text}");
        }
    }

    #[test]
    fn debug_hides_the_number() {
        let number = PhoneNumber::parse("+628123456789", None).expect("valid");
        assert_eq!(format!("{number:?}"), "PhoneNumber(…89)");
    }
}
