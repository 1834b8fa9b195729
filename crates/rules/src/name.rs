//! Names of captures and template variables.

use unicode_normalization::UnicodeNormalization;

use crate::limits::MAX_NAME_CHARS;
use crate::text::is_word;

/// A name in its one spelling (NFKC), or `None` if it holds anything but
/// letters (with their marks), digits and `_`, or is too long.
pub(crate) fn normalised(name: &str) -> Option<String> {
    let allowed = |c: char| c == '_' || is_word(c);
    // The raw length is bounded first, so that the work is.
    let bounded = name.chars().nth(MAX_NAME_CHARS).is_none();
    if !bounded {
        return None;
    }
    let name: String = name.nfkc().collect();
    (name.chars().all(allowed) && name.chars().count() <= MAX_NAME_CHARS).then_some(name)
}
