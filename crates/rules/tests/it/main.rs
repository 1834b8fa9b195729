//! Tests of the rules from outside, one module per concern.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, unreachable_pub, reason = "tests")]

mod captures;
mod folding;
mod keywords;
mod kinds;
mod limits;
mod oracle;
mod order;
mod properties;
#[cfg(feature = "serde")]
mod serde;
mod templates;
mod threads;

use kabar_rules::{Folding, MatchKind, Rule, RuleSet, Words};

/// Whether one rule with one keyword matches.
fn fires(kind: MatchKind, words: Words, folding: Folding, keyword: &str, message: &str) -> bool {
    let rule = Rule::new((), kind, [keyword]).with_words(words).with_folding(folding);
    RuleSet::compile([rule]).unwrap().first_match(message).is_some()
}

/// What one keyword captures: texts in the order of the keyword, or `None` if
/// it does not match.
fn captured(
    kind: MatchKind,
    folding: Folding,
    keyword: &str,
    message: &str,
) -> Option<Vec<String>> {
    let rule = Rule::new((), kind, [keyword]).with_folding(folding);
    let rules = RuleSet::compile([rule]).unwrap();
    let found = rules.first_match(message)?;
    Some(found.captures.iter().map(|(_, text)| text.to_owned()).collect())
}
