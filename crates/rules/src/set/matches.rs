//! Walking through the matches of one message.

use std::collections::HashSet;

use super::{Entry, RuleSet, trimmed};
use crate::captures::Captures;
use crate::limits::MESSAGE_CHARS;
use crate::rule::MatchKind;
use crate::text::Folded;

/// A rule that matches a message.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Match<'a, K> {
    /// The rule's [`key`](crate::Rule::key).
    pub key: &'a K,
    /// Which of the rule's keywords matched, counted from 0.
    pub keyword: usize,
    /// What the keyword's captures took.
    pub captures: Captures<'a>,
}

/// The matches of one message in the order of the set; see
/// [`RuleSet::matches`].
#[derive(Debug, Clone)]
pub struct Matches<'a, K> {
    set: &'a RuleSet<K>,
    message: &'a str,
    /// The whole message was seen, not just its beginning.
    complete: bool,
    /// The message under each folding of the set, once it was needed.
    folded: Vec<Option<Folded>>,
    /// Entries found by their text, in order, the next one last.
    found: Vec<usize>,
    /// How many of the entries to be tried are done.
    tried: usize,
    /// Rules already answered.
    seen: HashSet<usize>,
}

impl<'a, K> Matches<'a, K> {
    pub(super) fn new(set: &'a RuleSet<K>, message: &'a str) -> Self {
        let considered = beginning(message);
        let mut matches = Self {
            set,
            message: considered,
            complete: considered.len() == message.len(),
            folded: vec![None; set.foldings.len()],
            found: Vec::new(),
            tried: 0,
            seen: HashSet::new(),
        };
        if matches.complete {
            matches.look_up();
        }
        matches
    }

    fn look_up(&mut self) {
        for (slot, index) in self.set.foldings.iter().enumerate() {
            if index.exact.is_empty() {
                continue;
            }
            let folded = fold(&mut self.folded, self.set, slot, self.message);
            let found = folded.and_then(|folded| index.exact.get(folded.as_str()));
            self.found.extend(found.into_iter().flatten());
        }
        self.found.sort_unstable_by(|a, b| b.cmp(a));
    }

    /// The next entry that may match, and whether that is known already.
    fn next_entry(&mut self) -> Option<(&'a Entry, bool)> {
        let tried = self.set.tried.get(self.tried).copied();
        let found = self.found.last().copied();
        let known = match (found, tried) {
            (Some(found), Some(tried)) => found < tried,
            (found, _) => found.is_some(),
        };
        let at = if known {
            self.found.pop()?
        } else {
            self.tried += 1;
            tried?
        };
        self.set.entries.get(at).map(|entry| (entry, known))
    }

    fn try_entry(&mut self, entry: &'a Entry) -> Option<Captures<'a>> {
        if !self.complete && matches!(entry.kind, MatchKind::Exact | MatchKind::End) {
            return None;
        }
        let folding = self.set.foldings.get(entry.folding)?.folding;
        let folded = fold(&mut self.folded, self.set, entry.folding, self.message)?;
        let taken = entry.pattern.find(folded, entry.kind, entry.words)?;
        Some(Captures::new(
            taken
                .into_iter()
                .map(|(name, span)| (name, trimmed(self.message, span, folding)))
                .collect(),
        ))
    }
}

impl<'a, K> Iterator for Matches<'a, K> {
    type Item = Match<'a, K>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (entry, known) = self.next_entry()?;
            if self.seen.contains(&entry.rule) {
                continue;
            }
            let captures = if known { Some(Captures::default()) } else { self.try_entry(entry) };
            if let (Some(captures), Some(key)) = (captures, self.set.keys.get(entry.rule)) {
                self.seen.insert(entry.rule);
                return Some(Match { key, keyword: entry.keyword, captures });
            }
        }
    }
}

impl<K> std::iter::FusedIterator for Matches<'_, K> {}

/// The message under one folding of the set, folded when first asked for.
fn fold<'f, K>(
    folded: &'f mut [Option<Folded>],
    set: &RuleSet<K>,
    slot: usize,
    message: &str,
) -> Option<&'f Folded> {
    let folding = set.foldings.get(slot)?.folding;
    Some(folded.get_mut(slot)?.get_or_insert_with(|| Folded::new(message, folding)))
}

/// The part of a message that is looked at: [`MESSAGE_CHARS`], less a word that
/// this would cut.
fn beginning(message: &str) -> &str {
    let Some((end, next)) = message.char_indices().nth(MESSAGE_CHARS) else {
        return message;
    };
    let head = message.get(..end).unwrap_or_default();
    if next.is_whitespace() {
        return head;
    }
    head.rfind(char::is_whitespace).and_then(|space| head.get(..space)).unwrap_or(head)
}
