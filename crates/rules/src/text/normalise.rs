//! NFKC and case folding that remember where each character came from.
//!
//! Normalisation works on a whole text, but what it does to one stretch is
//! independent of the next if that begins with a starter that composes with
//! nothing before it. The text is therefore cut at such characters, each
//! stretch is normalised alone, and all its characters share the stretch's
//! place in the source.

use std::iter::once;

use caseless::Caseless;
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::{canonical_combining_class, decompose_compatible};
use unicode_normalization::{IsNormalized, is_nfc_quick};

use super::characters::{JOINER, is_invisible};

/// A normalised character and the bytes of the source it stands for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Unit {
    pub(super) c: char,
    pub(super) from: usize,
    pub(super) to: usize,
    /// A zero-width joiner stood before it.
    pub(super) joined: bool,
}

/// The visible characters of a text in NFKC, case folded on request.
pub(super) fn normalise(text: &str, fold_case: bool) -> Vec<Unit> {
    let mut units = Vec::with_capacity(text.len());
    let mut stretch = Stretch::default();
    let mut joined = false;
    for (at, c) in text.char_indices() {
        if is_invisible(c) {
            joined |= c == JOINER;
            continue;
        }
        if stands_alone(c) {
            stretch.flush(fold_case, &mut units);
            stretch.joined = joined;
            stretch.from = at;
        }
        stretch.text.push(c);
        stretch.to = at + c.len_utf8();
        joined = false;
    }
    stretch.flush(fold_case, &mut units);
    units
}

#[derive(Default)]
struct Stretch {
    text: String,
    from: usize,
    to: usize,
    joined: bool,
}

impl Stretch {
    fn flush(&mut self, fold_case: bool, units: &mut Vec<Unit>) {
        let (from, to) = (self.from, self.to);
        let unit = |c| Unit {
            c,
            from,
            to,
            joined: false,
        };
        let start = units.len();
        match (ascii(&self.text), fold_case) {
            (Some(c), true) => units.push(unit(c.to_ascii_lowercase())),
            (Some(c), false) => units.push(unit(c)),
            // Folding before and after the compatibility decomposition, as
            // compatibility caseless matching (D146 of the Unicode Standard) asks.
            (None, true) => units.extend(
                self.text
                    .chars()
                    .nfd()
                    .default_case_fold()
                    .nfkc()
                    .default_case_fold()
                    .nfkc()
                    .map(unit),
            ),
            (None, false) => units.extend(self.text.chars().nfkc().map(unit)),
        }
        if let Some(first) = units.get_mut(start) {
            first.joined = self.joined;
        }
        self.text.clear();
    }
}

/// The only character of the text, if it is ASCII.
fn ascii(text: &str) -> Option<char> {
    let [byte] = text.as_bytes() else { return None };
    byte.is_ascii().then_some(char::from(*byte))
}

/// Whether normalisation treats what begins here apart from what went before.
fn stands_alone(c: char) -> bool {
    if c.is_ascii() {
        return true;
    }
    let mut first = None;
    decompose_compatible(c, |d| first = first.or(Some(d)));
    first.is_some_and(|d| {
        canonical_combining_class(d) == 0 && is_nfc_quick(once(d)) == IsNormalized::Yes
    })
}
