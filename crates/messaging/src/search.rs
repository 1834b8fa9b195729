//! Looking for words in what was said.
//!
//! There is no index of words: it would have to be kept in the unit of work of every send. A search
//! looks at the newest [`LOOK`] messages of what else is asked for (a device, a chat, a stretch of
//! time), and its page says where to go on, so its cost is the same however many messages there are.

use caseless::default_case_fold_str;
use unicode_normalization::UnicodeNormalization as _;

/// Messages that one page looks at, at most.
pub const LOOK: u16 = 5_000;
/// Characters of a search, at most.
const CHARACTERS: usize = 200;
/// Words of a search, at most.
const WORDS: usize = 10;

/// What is looked for: words that all occur, in any order, whole or as a part, whatever their case
/// and width.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Needle(Vec<String>);

/// A text that cannot be looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("must have 1 to {WORDS} words of {CHARACTERS} characters at most in all")]
pub struct NeedleError;

impl std::str::FromStr for Needle {
    type Err = NeedleError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.chars().count() > CHARACTERS {
            return Err(NeedleError);
        }
        let words: Vec<String> = fold(text).split_whitespace().map(str::to_owned).collect();
        if words.is_empty() || words.len() > WORDS { Err(NeedleError) } else { Ok(Self(words)) }
    }
}

impl Needle {
    /// Whether a text says it.
    pub fn is_in(&self, text: &str) -> bool {
        let text = fold(text);
        self.0.iter().all(|word| text.contains(word.as_str()))
    }
}

fn fold(text: &str) -> String {
    let composed: String = text.nfkc().collect();
    default_case_fold_str(&composed).nfkc().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_whatever_their_form() {
        let finds = |needle: &str, text: &str| needle.parse::<Needle>().map(|it| it.is_in(text));
        assert_eq!(finds("PESANAN tiba", "Pesanan Anda sudah tiba."), Ok(true));
        assert_eq!(finds("sanan", "Pesanan"), Ok(true));
        assert_eq!(finds("pesanan batal", "Pesanan Anda sudah tiba."), Ok(false));
        assert_eq!(finds("STRASSE", "Hauptstraße 1"), Ok(true));
        assert_eq!(finds("café", "cafe\u{301}"), Ok(true));
        assert_eq!(finds("１２３", "no. 123"), Ok(true));
        assert_eq!(finds("100%", "100% off"), Ok(true));
        for nothing in ["", "  ", "a b c d e f g h i j k", &"x".repeat(201)] {
            assert_eq!(nothing.parse::<Needle>(), Err(NeedleError));
        }
    }
}
