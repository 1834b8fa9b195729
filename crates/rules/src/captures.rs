//! What a match took from the message.

use std::collections::BTreeMap;

/// Captured texts by name, as the person wrote them.
///
/// They borrow from the message and from the rule set.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Captures<'a> {
    taken: Vec<(&'a str, &'a str)>,
}

impl<'a> Captures<'a> {
    pub(crate) fn new(taken: Vec<(&'a str, &'a str)>) -> Self {
        Self { taken }
    }

    /// What the capture of this name took.
    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.iter().find(|&(own, _)| own == name).map(|(_, text)| text)
    }

    /// Names and texts, in the order of the keyword.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.taken.iter().copied()
    }

    /// How many captures the keyword has.
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    /// Whether the keyword has no captures.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// The same, independent of the message.
    pub fn to_map(&self) -> BTreeMap<String, String> {
        self.iter().map(|(name, text)| (name.to_owned(), text.to_owned())).collect()
    }
}
