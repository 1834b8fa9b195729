//! Many rules, asked at once.

mod matches;

use std::cmp::Reverse;
use std::collections::HashMap;
use std::ops::Range;

use crate::error::CompileError;
use crate::folding::Folding;
use crate::limits::MAX_RULES;
use crate::pattern::Pattern;
use crate::rule::{MatchKind, Rule, Words};

pub use matches::{Match, Matches};

/// Rules compiled to be asked about many messages.
///
/// # Order
///
/// Matches come in an order that depends on nothing but the rules:
///
/// 1. higher [`Rule::priority`] first;
/// 2. then the more specific: `exact` before `begin` and `end` (which are
///    equals), those before `contains`; within that the longer keyword, measured
///    in characters after folding without spaces and captures;
/// 3. then the older rule: the one given to [`RuleSet::compile`] earlier.
///
/// A rule matches at most once, with the longest of its keywords that matches
/// (the first of equals).
///
/// A set is immutable and may be shared between threads.
#[derive(Debug, Clone)]
pub struct RuleSet<K> {
    keys: Vec<K>,
    /// Every keyword of every rule, in the order of matches.
    entries: Vec<Entry>,
    /// Entries that must be tried one by one, in the order of matches.
    tried: Vec<usize>,
    /// One per folding in use.
    foldings: Vec<FoldingIndex>,
}

#[derive(Debug, Clone)]
struct Entry {
    rule: usize,
    keyword: usize,
    kind: MatchKind,
    words: Words,
    /// Index into [`RuleSet::foldings`].
    folding: usize,
    pattern: Pattern,
    priority: i32,
    text_chars: usize,
}

/// The keywords without captures of exact rules, by their folded text.
#[derive(Debug, Clone)]
struct FoldingIndex {
    folding: Folding,
    exact: HashMap<String, Vec<usize>>,
}

impl<K> RuleSet<K> {
    /// Compiles rules; their order is their age, oldest first.
    ///
    /// # Errors
    ///
    /// The first rule that is wrong, by its position. [`Rule::check`] finds the
    /// same faults one rule at a time.
    pub fn compile(rules: impl IntoIterator<Item = Rule<K>>) -> Result<Self, CompileError> {
        let mut set =
            Self { keys: Vec::new(), entries: Vec::new(), tried: Vec::new(), foldings: Vec::new() };
        for rule in rules {
            set.add(rule)?;
        }
        set.entries.sort_by_key(Entry::order);
        set.index();
        Ok(set)
    }

    /// How many rules the set has.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether the set has no rules.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Every rule that matches, in the [order](RuleSet#order) of the set.
    ///
    /// The message is normalised once per distinct folding, and each rule is
    /// tried only when the iterator gets to it.
    pub fn matches<'a>(&'a self, message: &'a str) -> Matches<'a, K> {
        Matches::new(self, message)
    }

    /// The first of [`RuleSet::matches`].
    pub fn first_match<'a>(&'a self, message: &'a str) -> Option<Match<'a, K>> {
        self.matches(message).next()
    }

    fn add(&mut self, rule: Rule<K>) -> Result<(), CompileError> {
        let position = self.keys.len();
        if position == MAX_RULES {
            return Err(CompileError::TooManyRules);
        }
        let patterns = rule.patterns().map_err(|source| CompileError::Rule { position, source })?;
        let folding = self.folding_index(rule.folding);
        self.entries.extend(patterns.into_iter().enumerate().map(|(keyword, pattern)| Entry {
            rule: position,
            keyword,
            kind: rule.kind,
            words: rule.words,
            folding,
            text_chars: pattern.text_chars(),
            pattern,
            priority: rule.priority,
        }));
        self.keys.push(rule.key);
        Ok(())
    }

    fn folding_index(&mut self, folding: Folding) -> usize {
        self.foldings.iter().position(|index| index.folding == folding).unwrap_or_else(|| {
            self.foldings.push(FoldingIndex { folding, exact: HashMap::new() });
            self.foldings.len() - 1
        })
    }

    fn index(&mut self) {
        for (at, entry) in self.entries.iter().enumerate() {
            let literal = entry.pattern.as_literal().filter(|_| entry.kind == MatchKind::Exact);
            match (literal, self.foldings.get_mut(entry.folding)) {
                (Some(text), Some(index)) => {
                    index.exact.entry(text.to_owned()).or_default().push(at);
                }
                _ => self.tried.push(at),
            }
        }
    }
}

impl Entry {
    fn order(&self) -> (Reverse<i32>, u8, Reverse<usize>, usize, usize) {
        (
            Reverse(self.priority),
            self.kind.rank(),
            Reverse(self.text_chars),
            self.rule,
            self.keyword,
        )
    }
}

/// The trimmed text of a capture.
fn trimmed(message: &str, span: Range<usize>, folding: Folding) -> &str {
    let text = message.get(span).unwrap_or_default();
    let text = text.trim_matches(crate::text::is_blank);
    if !folding.punctuation {
        return text;
    }
    text.trim_end_matches(|c| crate::text::is_blank(c) || crate::text::is_sentence_mark(c))
}
