//! What can be wrong with rules.

use crate::limits;

/// A keyword that cannot be understood. Each message says how to mend it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KeywordProblem {
    /// Nothing but white space.
    #[error("it is empty; write at least one word")]
    Empty,
    /// Longer than [`limits::MAX_KEYWORD_CHARS`].
    #[error("it has {chars} characters, {} are allowed; shorten it", limits::MAX_KEYWORD_CHARS)]
    TooLong {
        /// Its length in characters.
        chars: usize,
    },
    /// `<` without `>`.
    #[error(
        "`<` opens a variable that is never closed; add `>`, or write `\\<` for the sign itself"
    )]
    UnclosedCapture,
    /// `<>`.
    #[error("`<>` has no name; write `<name>`, or `\\<>` for the signs themselves")]
    EmptyName,
    /// A name with other characters than letters, digits and `_`, or longer
    /// than [`limits::MAX_NAME_CHARS`].
    #[error(
        "`<{name}>` is no variable; a name has letters, digits and `_`, at most {}; \
         write `\\<` for the sign itself",
        limits::MAX_NAME_CHARS
    )]
    InvalidName {
        /// What stands between the brackets, shortened.
        name: String,
    },
    /// The same name twice.
    #[error("`<{name}>` occurs twice; give each variable its own name")]
    RepeatedName {
        /// The name.
        name: String,
    },
    /// More than [`limits::MAX_CAPTURES_PER_KEYWORD`].
    #[error(
        "it has more than {} variables; ask for the rest in a second message",
        limits::MAX_CAPTURES_PER_KEYWORD
    )]
    TooManyCaptures,
    /// `<a><b>`: nothing says where one ends.
    #[error("`<{left}>` and `<{right}>` touch; put a space or a word between them")]
    TouchingCaptures {
        /// The first of the two.
        left: String,
        /// The second.
        right: String,
    },
    /// Only disregarded characters stand between two captures.
    #[error(
        "what parts `<{left}>` from `<{right}>` is punctuation, which this rule disregards; \
         turn punctuation folding off, or use a space or a word"
    )]
    SeparatorFolded {
        /// The first of the two.
        left: String,
        /// The second.
        right: String,
    },
    /// Nothing of the keyword's own text is left after folding.
    #[error(
        "it is all punctuation or invisible characters, which this rule disregards; \
         turn punctuation folding off, or add a word"
    )]
    FoldedAway,
}

/// A rule that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RuleError {
    /// No keyword.
    #[error("the rule has no keyword; add one")]
    NoKeywords,
    /// More than [`limits::MAX_KEYWORDS_PER_RULE`].
    #[error(
        "the rule has {count} keywords, {} are allowed; split it into several rules",
        limits::MAX_KEYWORDS_PER_RULE
    )]
    TooManyKeywords {
        /// How many it has.
        count: usize,
    },
    /// One of the keywords is wrong.
    #[error("keyword `{keyword}`: {problem}")]
    Keyword {
        /// Which one, counted from 0.
        index: usize,
        /// The keyword, shortened to 80 characters.
        keyword: String,
        /// What is wrong and how to mend it.
        #[source]
        problem: KeywordProblem,
    },
}

impl RuleError {
    pub(crate) fn keyword(index: usize, keyword: &str, problem: KeywordProblem) -> Self {
        Self::Keyword { index, keyword: shortened(keyword), problem }
    }
}

/// A set that cannot be compiled.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CompileError {
    /// One of the rules is wrong.
    #[error("rule {position}: {source}")]
    Rule {
        /// Which one, counted from 0 in the order given.
        position: usize,
        /// What is wrong with it.
        source: RuleError,
    },
    /// More than [`limits::MAX_RULES`].
    #[error("more than {} rules; split them into several sets", limits::MAX_RULES)]
    TooManyRules,
}

/// No match kind has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{name}` is no match kind; use exact, contains, begin or end")]
pub struct UnknownKind {
    name: String,
}

impl UnknownKind {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: shortened(name) }
    }
}

/// The beginning of a text, short enough for an error message.
pub(crate) fn shortened(text: &str) -> String {
    const CHARS: usize = 80;
    let mut short: String = text.chars().take(CHARS).collect();
    if short.len() < text.len() {
        short.push('…');
    }
    short
}
