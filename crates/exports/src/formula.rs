//! Cells that a spreadsheet program would run as a formula.
//!
//! A text that begins with one of `= + - @`, a tab or a carriage return gets an apostrophe before
//! it, which spreadsheets take as "this is text" (OWASP, *CSV Injection*). [`unguarded`] takes it
//! away again, so that what was exported can be imported.

use std::borrow::Cow;

/// Whether the text is a formula behind any number of apostrophes.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

/// The text with an apostrophe before it if it is a formula.
pub fn guarded(text: &str) -> Cow<'_, str> {
    if is_formula(text) { Cow::Owned(format!("'{text}")) } else { Cow::Borrowed(text) }
}

/// The text without the apostrophe that [`guarded`] put before it.
pub fn unguarded(text: &str) -> &str {
    match text.strip_prefix('\'') {
        Some(rest) if is_formula(rest) => rest,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_are_guarded_and_come_back() {
        for (text, wanted) in [
            ("=1+1", "'=1+1"),
            ("+62", "'+62"),
            ("-5", "'-5"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("'=1", "''=1"),
            ("'Aisyah", "'Aisyah"),
            ("a=1", "a=1"),
            ("", ""),
        ] {
            assert_eq!(guarded(text), wanted, "{text}");
            assert_eq!(unguarded(&guarded(text)), text, "{text}");
        }
        assert_eq!(unguarded("'Aisyah"), "'Aisyah");
    }
}
