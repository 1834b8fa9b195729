//! Phone numbers as people write them, spreadsheets spoil them and countries number them: the one
//! place that reads them, for contacts, imports and lists of recipients.

use kabar_core::{ParsePhoneError, PhoneNumber};
use phonenumber::metadata::{Descriptor, Descriptors};

/// Why a text is no number that could be called.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NumberProblem {
    /// There is nothing.
    #[error("is empty; write the number with its country code, like +628123456789")]
    Empty,
    /// A spreadsheet rounded it.
    #[error(
        "was turned into `{0}` by a spreadsheet, and its last digits are lost; format the column \
         as text, enter the number again, and export once more"
    )]
    Rounded(String),
    /// Letters and the like.
    #[error("holds what belongs into no number; write it like +628123456789")]
    Letters,
    /// No country has the code.
    #[error("begins with no country's code; write it like +628123456789")]
    NoCountry,
    /// The country has no numbers of that length.
    #[error("has {digits} digits behind the country code +{code}, where there are {possible}")]
    Length {
        /// The country's code.
        code: String,
        /// Digits behind it.
        digits: usize,
        /// How many there can be.
        possible: String,
    },
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] ParsePhoneError),
}

/// Reads numbers; national ones as those of a country.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    country: Option<String>,
}

impl Numbers {
    /// A reader for a country: two letters, ISO 3166. Without one, numbers need their code.
    pub const fn of(country: Option<String>) -> Self {
        Self { country }
    }

    /// Reads a number.
    ///
    /// Digits of other scripts, invisible marks, a leading apostrophe, `(0)` behind the code and a
    /// trailing `.0` are what spreadsheets and address books leave; they are understood. Whether the
    /// number exists is not asked: what is refused could not be one, by the length that its country
    /// gives its numbers. Old Brazilian mobile numbers without the ninth digit, Mexican ones with a
    /// 1 and Argentinian ones with a 9 behind the code are taken as they are: WhatsApp knows people
    /// by them.
    ///
    /// # Errors
    /// [`NumberProblem`].
    pub fn read(&self, text: &str) -> Result<PhoneNumber, NumberProblem> {
        let plain = plain(text);
        let plain = plain.trim();
        if plain.is_empty() {
            return Err(NumberProblem::Empty);
        }
        if is_rounded(plain) {
            return Err(NumberProblem::Rounded(plain.chars().take(32).collect()));
        }
        if plain.chars().any(char::is_alphabetic) {
            return Err(NumberProblem::Letters);
        }
        let number = PhoneNumber::parse(plain, self.country.as_deref())?;
        check(&number)?;
        Ok(number)
    }
}

/// The zeros of the scripts whose digits people type numbers with.
const ZEROS: [u32; 14] = [
    0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0A66, 0x0AE6, 0x0B66, 0x0BE6, 0x0C66, 0x0E50, 0x1040,
    0x17E0, 0xFF10,
];

fn plain(text: &str) -> String {
    let text = text.trim().trim_start_matches('\'');
    let text = text.strip_prefix("tel:").unwrap_or(text);
    let mut plain = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            // Direction marks, zero-width spaces, byte order marks, soft hyphens.
            '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}'
            | '\u{ad}' => {}
            '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{ff0d}' => plain.push('-'),
            '\u{ff0b}' => plain.push('+'),
            c if c.is_whitespace() => plain.push(' '),
            c => plain.push(digit(c).unwrap_or(c)),
        }
    }
    let plain = if plain.starts_with('+') { plain.replacen("(0)", "", 1) } else { plain };
    match plain.strip_suffix(".0") {
        Some(whole) if whole.bytes().all(|byte| byte.is_ascii_digit()) => whole.to_owned(),
        _ => plain,
    }
}

fn digit(c: char) -> Option<char> {
    let code = u32::from(c);
    let zero = ZEROS.iter().find(|zero| (**zero..**zero + 10).contains(&code))?;
    char::from_digit(code - zero, 10)
}

/// `6.28123E+12` and its like.
fn is_rounded(text: &str) -> bool {
    let Some((number, power)) = text.split_once(['e', 'E']) else { return false };
    let power = power.strip_prefix('+').unwrap_or(power);
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let parts = number.split(['.', ',']);
    digits(power) && parts.clone().count() <= 2 && parts.into_iter().all(digits)
}

/// Whether the number's country has numbers of its length.
fn check(number: &PhoneNumber) -> Result<(), NumberProblem> {
    let digits = number.digits();
    let country = (1..=3).find_map(|length| {
        let (code, rest) = digits.split_at_checked(length)?;
        let known = phonenumber::metadata::DATABASE.by_code(&code.parse::<u16>().ok()?)?;
        Some((code, rest, known))
    });
    let Some((code, rest, known)) = country else {
        return Err(NumberProblem::NoCountry);
    };
    let mut possible: Vec<u16> =
        known.iter().flat_map(|meta| lengths(meta.descriptors())).collect();
    // The 1 that WhatsApp keeps between Mexico's code and a mobile number.
    if code == "52" && rest.starts_with('1') {
        possible.push(11);
    }
    if possible.is_empty() || possible.iter().any(|length| usize::from(*length) == rest.len()) {
        return Ok(());
    }
    possible.sort_unstable();
    possible.dedup();
    let lengths: Vec<String> = possible.iter().map(u16::to_string).collect();
    Err(NumberProblem::Length {
        code: code.to_owned(),
        digits: rest.len(),
        possible: lengths.join(", "),
    })
}

/// The lengths of everything that people answer on. The general description has none of its own.
fn lengths(kinds: &Descriptors) -> Vec<u16> {
    let own = [
        kinds.fixed_line(),
        kinds.mobile(),
        kinds.toll_free(),
        kinds.premium_rate(),
        kinds.shared_cost(),
        kinds.personal_number(),
        kinds.voip(),
        kinds.pager(),
        kinds.uan(),
    ];
    let own = own.into_iter().flatten().flat_map(Descriptor::possible_length);
    kinds.general().possible_length().iter().chain(own).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, country: Option<&str>) -> Result<String, NumberProblem> {
        let read = Numbers::of(country.map(str::to_owned)).read(text);
        read.map(|number| number.as_str().to_owned())
    }

    #[test]
    fn numbers_are_read_as_spreadsheets_leave_them() {
        for (text, country, wanted) in [
            ("'+62 812-3456-789", None, "+628123456789"),
            ("'08123456789", Some("ID"), "+628123456789"),
            ("8123456789", Some("ID"), "+628123456789"),
            ("628123456789.0", None, "+628123456789"),
            ("\u{202a}+62 812\u{a0}3456 789\u{202c}", None, "+628123456789"),
            ("+٦٢٨١٢٣٤٥٦٧٨٩", None, "+628123456789"),
            ("＋６２８１２３４５６７８９", None, "+628123456789"),
            ("+62 (0)812 3456 789", None, "+628123456789"),
            ("+62 812–3456–789", None, "+628123456789"),
            ("0062 812 3456 789", Some("DE"), "+628123456789"),
            ("tel:+628123456789", None, "+628123456789"),
            // WhatsApp knows people by both forms.
            ("+55 11 91234-5678", None, "+5511912345678"),
            ("+55 11 1234-5678", None, "+551112345678"),
            ("+52 1 55 1234 5678", None, "+5215512345678"),
            ("+52 55 1234 5678", None, "+525512345678"),
            ("+54 9 11 1234 5678", None, "+5491112345678"),
            ("+15550000001", None, "+15550000001"),
        ] {
            assert_eq!(read(text, country).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn what_could_be_no_number_is_refused_with_the_remedy() {
        for (text, country, wanted) in [
            ("", None, "is empty"),
            (" ' ", None, "is empty"),
            ("6.28123E+12", None, "by a spreadsheet"),
            ("6,28E12", Some("ID"), "by a spreadsheet"),
            ("call me", None, "belongs into no number"),
            ("#N/A", None, "belongs into no number"),
            ("08123456789", None, "needs the account's country"),
            ("+628", None, "with its country code"),
            ("+62812345678901234", None, "with its country code"),
            ("+1555", None, "with its country code"),
            ("+45 1234567", None, "7 digits behind the country code +45, where there are 8"),
            ("+999 12345678", None, "no country's code"),
            ("0812", Some("XX"), "is not a country"),
            ("12-34", Some("ID"), "with its country code"),
        ] {
            let problem = read(text, country).expect_err(text).to_string();
            assert!(problem.contains(wanted), "{text}: {problem}");
        }
    }
}
