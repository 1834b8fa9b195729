//! The definition of a rule.

use std::fmt;
use std::str::FromStr;

use crate::error::{RuleError, UnknownKind};
use crate::folding::Folding;
use crate::keyword::Keyword;
use crate::pattern::Pattern;

/// Where in a message a keyword must stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum MatchKind {
    /// The message is the keyword and nothing else.
    Exact,
    /// The keyword stands somewhere in the message.
    Contains,
    /// The message begins with the keyword.
    Begin,
    /// The message ends with the keyword.
    End,
}

impl MatchKind {
    /// The name used in storage and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Contains => "contains",
            Self::Begin => "begin",
            Self::End => "end",
        }
    }

    /// How much a match of this kind says about the message; lower says more.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::Exact => 0,
            Self::Begin | Self::End => 1,
            Self::Contains => 2,
        }
    }
}

impl fmt::Display for MatchKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for MatchKind {
    type Err = UnknownKind;

    fn from_str(name: &str) -> Result<Self, UnknownKind> {
        [Self::Exact, Self::Contains, Self::Begin, Self::End]
            .into_iter()
            .find(|kind| kind.as_str() == name)
            .ok_or_else(|| UnknownKind::new(name))
    }
}

/// Whether a keyword may stand inside a longer word.
///
/// It concerns the outer edges of `contains`, `begin` and `end`; an edge that a
/// capture touches is the capture's business (`order<id>` finds `order7`).
///
/// # Whole words, exactly
///
/// An edge of the match lies between two characters of the folded message. The
/// keyword is refused there if **both** are word characters (letters, combining
/// marks, numbers) **and neither** belongs to a script that is written without
/// spaces between words. So:
///
/// - `hi` is not found in `this` or `hi5`, but in `oh, hi!` and `hi👋`.
/// - `ราคา` is found in `สอบถามราคาเท่าไร` and `价格` in `请问价格多少`, as those scripts mark no
///   word ends. `hi` is found in `你好hi`.
/// - A keyword that begins or ends with a symbol or an emoji has no word to cut
///   on that side.
///
/// Scripts written without spaces are Chinese characters, Hiragana, Katakana,
/// Bopomofo, Yi, Thai, Lao, Khmer, Myanmar, Tibetan, Javanese, Balinese and the
/// Tai scripts. Korean is written with spaces; its particles are part of the
/// word, so a rule that wants the bare noun uses [`Words::Partial`].
///
/// With either setting a match never cuts a character as people see it: a
/// letter keeps its combining marks, a flag both its halves, and emoji joined
/// to one picture stay together. A skin tone does not count: `👍` finds `👍🏽`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Words {
    /// The keyword stands for itself, not inside a longer word.
    #[default]
    Whole,
    /// The keyword may be a part of a word.
    Partial,
}

/// Keywords and how to look for them, under a key of the caller's choice.
///
/// ```
/// use kabar_rules::{MatchKind, Rule};
///
/// let rule = Rule::new("greeting", MatchKind::Begin, ["hello", "halo"]).with_priority(10);
/// assert!(rule.check().is_ok());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct Rule<K> {
    /// The caller's name for the rule, handed back with each match. It need not
    /// be unique.
    pub key: K,
    /// Where the keywords must stand.
    pub kind: MatchKind,
    /// The rule matches if one of them does. See [`Keyword`] for their syntax.
    pub keywords: Vec<String>,
    /// Rules with a higher number come first.
    #[cfg_attr(feature = "serde", serde(default))]
    pub priority: i32,
    /// What does not matter in the comparison.
    #[cfg_attr(feature = "serde", serde(default))]
    pub folding: Folding,
    /// Whether the keywords may stand inside longer words.
    #[cfg_attr(feature = "serde", serde(default))]
    pub words: Words,
}

impl<K> Rule<K> {
    /// A rule of priority 0 with default folding that looks for whole words.
    pub fn new<S: Into<String>>(
        key: K,
        kind: MatchKind,
        keywords: impl IntoIterator<Item = S>,
    ) -> Self {
        Self {
            key,
            kind,
            keywords: keywords.into_iter().map(Into::into).collect(),
            priority: 0,
            folding: Folding::default(),
            words: Words::default(),
        }
    }

    /// The same rule with another priority; a higher number comes first.
    #[must_use]
    pub fn with_priority(self, priority: i32) -> Self {
        Self { priority, ..self }
    }

    /// The same rule with another folding.
    #[must_use]
    pub fn with_folding(self, folding: Folding) -> Self {
        Self { folding, ..self }
    }

    /// The same rule with another attitude to word ends.
    #[must_use]
    pub fn with_words(self, words: Words) -> Self {
        Self { words, ..self }
    }

    /// Whether the rule would compile, for checking it before it is stored.
    pub fn check(&self) -> Result<(), RuleError> {
        self.patterns().map(drop)
    }

    /// The compiled keywords, in the order of [`Rule::keywords`].
    pub(crate) fn patterns(&self) -> Result<Vec<Pattern>, RuleError> {
        let count = self.keywords.len();
        if count == 0 {
            return Err(RuleError::NoKeywords);
        }
        if count > crate::limits::MAX_KEYWORDS_PER_RULE {
            return Err(RuleError::TooManyKeywords { count });
        }
        self.keywords
            .iter()
            .enumerate()
            .map(|(index, text)| {
                Keyword::parse(text)
                    .and_then(|keyword| Pattern::compile(&keyword, self.folding))
                    .map_err(|problem| RuleError::keyword(index, text, problem))
            })
            .collect()
    }
}
