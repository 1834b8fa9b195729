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
    let mut stretch: Vec<Unit> = Vec::new();
    let mut joined = false;
    for (from, c) in text.char_indices() {
        if is_invisible(c) {
            joined |= c == JOINER;
            continue;
        }
        if stands_alone(c) {
            normalise_stretch(&stretch, fold_case, &mut units);
            stretch.clear();
        }
        stretch.push(Unit { c, from, to: from + c.len_utf8(), joined });
        joined = false;
    }
    normalise_stretch(&stretch, fold_case, &mut units);
    units
}

fn normalise_stretch(stretch: &[Unit], fold_case: bool, units: &mut Vec<Unit>) {
    let (Some(first), Some(last)) = (stretch.first(), stretch.last()) else {
        return;
    };
    if stretch.len() == 1 && first.c.is_ascii() {
        let c = if fold_case { first.c.to_ascii_lowercase() } else { first.c };
        units.push(Unit { c, ..*first });
        return;
    }
    let whole = normal_form(stretch.iter().map(|unit| unit.c), fold_case);
    let apart: Vec<Unit> = stretch.iter().flat_map(|unit| each_of(unit, fold_case)).collect();
    if apart.iter().map(|unit| unit.c).eq(whole.chars()) {
        // Nothing was composed or reordered: every character has its own place.
        units.extend(apart);
    } else {
        let shared = Unit { to: last.to, ..*first };
        units.extend(spread(shared, &whole));
    }
}

fn each_of(unit: &Unit, fold_case: bool) -> Vec<Unit> {
    spread(*unit, &normal_form(once(unit.c), fold_case)).collect()
}

/// The characters of a normal form, all in the same place.
fn spread(place: Unit, text: &str) -> impl Iterator<Item = Unit> {
    text.chars().enumerate().map(move |(index, c)| Unit {
        c,
        joined: place.joined && index == 0,
        ..place
    })
}

fn normal_form(chars: impl Iterator<Item = char>, fold_case: bool) -> String {
    if fold_case {
        // Folding before and after the compatibility decomposition, as
        // compatibility caseless matching (D146 of the Unicode Standard) asks.
        chars.nfd().default_case_fold().nfkc().default_case_fold().nfkc().collect()
    } else {
        chars.nfkc().collect()
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str) {
        for fold_case in [false, true] {
            let visible = text.chars().filter(|&c| !is_invisible(c));
            let whole = normal_form(visible, fold_case);
            let units = normalise(text, fold_case);
            assert!(units.iter().map(|unit| unit.c).eq(whole.chars()), "{text:?}");
            assert!(units.iter().all(|unit| text.get(unit.from..unit.to).is_some()));
            assert!(units.is_sorted_by_key(|unit| (unit.from, unit.to)), "{text:?}");
        }
    }

    #[test]
    fn every_character_is_normalised_as_within_the_whole_text() {
        // Only these can be changed by, or change, what is beside them.
        let matters = |&c: &char| !stands_alone(c) || normal_form(once(c), true) != String::from(c);
        for c in ('\0'..='\u{ABFF}').chain('\u{D7B0}'..='\u{2FFFF}').filter(matters) {
            // After a letter and a syllable block, before marks that compose or
            // reorder.
            check(&format!("e{c}\u{301}\u{323} \u{1100}{c}\u{1161}"));
        }
    }

    proptest! {
        #[test]
        fn stretches_are_normalised_as_the_whole_text(text in any::<String>()) {
            check(&text);
        }

        #[test]
        fn what_composes_is_normalised_as_the_whole_text(
            text in "[a-eA-E\u{300}-\u{36F}\u{1100}-\u{1115}\u{1161}-\u{11C2}가-갛\u{3130}-\u{318E}\u{900}-\u{957}\u{9BE}\u{9C7}\u{FF66}-\u{FFDC}\u{1F80}-\u{1FFE}]{0,12}",
        ) {
            check(&text);
        }
    }
}
