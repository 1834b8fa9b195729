//! A keyword compiled for one folding, and how it is found in a message.
//!
//! A pattern is text, captures, text, captures, … text. Each text is placed at
//! its leftmost possible position after the one before it. That leaves the most
//! room for what follows, so if any placement exists this one does, and no
//! backtracking is needed: the work is bounded by the length of the message
//! times the length of the keyword.

use std::ops::Range;

use crate::error::KeywordProblem;
use crate::folding::Folding;
use crate::keyword::{Keyword, Part};
use crate::rule::{MatchKind, Words};
use crate::text::{Folded, Sides};

#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    head: String,
    steps: Vec<Step>,
}

/// Captures parted by nothing but white space, and the text after them. Only
/// the last text may be empty.
#[derive(Debug, Clone)]
struct Step {
    names: Vec<String>,
    text: String,
}

/// A capture's name and the bytes of the message it takes, untrimmed.
pub(crate) type Taken<'p> = (&'p str, Range<usize>);

/// What an end of a placed text must satisfy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Edge {
    /// It is the end of the message on this side.
    Message,
    /// It cuts no character, and no word if words are to be whole.
    Open(Words),
}

impl Edge {
    /// The edge beside a capture.
    const CAPTURE: Self = Self::Open(Words::Partial);

    fn holds(self, message: &Folded, at: usize) -> bool {
        match self {
            // The position is checked where the text is placed.
            Self::Message => true,
            Self::Open(words) => {
                message.is_cut(at) && (words == Words::Partial || !message.is_inside_word(at))
            }
        }
    }
}

impl Pattern {
    pub(crate) fn compile(keyword: &Keyword, folding: Folding) -> Result<Self, KeywordProblem> {
        let mut pattern = Self { head: String::new(), steps: Vec::new() };
        let parts = keyword.parts();
        let mut written = false;
        for (index, part) in parts.iter().enumerate() {
            match part {
                Part::Capture(name) => pattern.push_capture(name),
                Part::Text(text) => {
                    let sides = Sides { before: index > 0, after: index + 1 < parts.len() };
                    let folded = Folded::beside(text, folding, sides).into_string();
                    let blank = folded.trim().is_empty();
                    let foldable = !text.trim().is_empty();
                    written |= foldable;
                    if blank && foldable && sides.before && sides.after {
                        return Err(separator_folded(parts, index));
                    }
                    if !(blank && sides.before && sides.after) {
                        pattern.push_text(&folded);
                    }
                }
            }
        }
        if written && pattern.text_chars() == 0 {
            return Err(KeywordProblem::FoldedAway);
        }
        Ok(pattern)
    }

    fn push_capture(&mut self, name: &str) {
        match self.steps.last_mut() {
            Some(step) if step.text.is_empty() => step.names.push(name.to_owned()),
            _ => self.steps.push(Step { names: vec![name.to_owned()], text: String::new() }),
        }
    }

    fn push_text(&mut self, text: &str) {
        match self.steps.last_mut() {
            Some(step) => step.text.push_str(text),
            None => self.head.push_str(text),
        }
    }

    /// How many characters of its own the folded keyword has, spaces aside.
    pub(crate) fn text_chars(&self) -> usize {
        self.steps
            .iter()
            .map(|step| &step.text)
            .chain([&self.head])
            .flat_map(|text| text.chars())
            .filter(|c| !c.is_whitespace())
            .count()
    }

    /// The whole keyword, if it has no captures.
    pub(crate) fn as_literal(&self) -> Option<&str> {
        self.steps.is_empty().then_some(self.head.as_str())
    }

    /// What the captures take if the message matches.
    pub(crate) fn find(
        &self,
        message: &Folded,
        kind: MatchKind,
        words: Words,
    ) -> Option<Vec<Taken<'_>>> {
        let (first, last) = match kind {
            MatchKind::Exact => (Edge::Message, Edge::Message),
            MatchKind::Begin => (Edge::Message, Edge::Open(words)),
            MatchKind::End => (Edge::Open(words), Edge::Message),
            MatchKind::Contains => (Edge::Open(words), Edge::Open(words)),
        };
        let right = if self.steps.is_empty() { last } else { Edge::CAPTURE };
        let mut end = if self.head.is_empty() {
            0
        } else {
            place(message, 0, &self.head, (first, right))?.end
        };
        let mut taken = Vec::new();
        for (index, step) in self.steps.iter().enumerate() {
            let right = if index + 1 == self.steps.len() { last } else { Edge::CAPTURE };
            let found = step.place(message, end, right)?;
            step.share_out(message, end..found.start, &mut taken);
            end = found.end;
        }
        Some(taken)
    }
}

impl Step {
    /// Places the text so that every capture before it gets a word.
    fn place(&self, message: &Folded, from: usize, right: Edge) -> Option<Range<usize>> {
        let earliest = message.after_words(from, self.names.len())?;
        if self.text.is_empty() {
            let end = message.as_str().len();
            return Some(end..end);
        }
        place(message, earliest, &self.text, (Edge::CAPTURE, right))
    }

    /// Gives each capture but the first one word, from the right, and the first
    /// all the others.
    fn share_out<'p>(
        &'p self,
        message: &Folded,
        stretch: Range<usize>,
        taken: &mut Vec<Taken<'p>>,
    ) {
        let words = message.words(stretch);
        let several = words.len().saturating_sub(self.names.len());
        let mut words = words.into_iter();
        for (index, name) in self.names.iter().enumerate() {
            let Some(mut span) = words.next() else { return };
            if index == 0 {
                span.end = words.by_ref().take(several).last().map_or(span.end, |word| word.end);
            }
            taken.push((name, span));
        }
    }
}

/// The leftmost place of a text, not before `from`, whose edges hold.
fn place(message: &Folded, from: usize, text: &str, edges: (Edge, Edge)) -> Option<Range<usize>> {
    let (left, right) = edges;
    let whole = message.as_str();
    let holds = |found: &Range<usize>| {
        left.holds(message, found.start)
            && right.holds(message, found.end)
            && (right != Edge::Message || found.end == whole.len())
    };
    if left == Edge::Message {
        return whole.starts_with(text).then_some(0..text.len()).filter(holds);
    }
    if right == Edge::Message {
        let start = whole.len().checked_sub(text.len()).filter(|&start| start >= from)?;
        return whole.ends_with(text).then_some(start..whole.len()).filter(holds);
    }
    let mut from = from;
    loop {
        let start = from + whole.get(from..)?.find(text)?;
        let found = start..start + text.len();
        if holds(&found) {
            return Some(found);
        }
        from = start + whole.get(start..)?.chars().next()?.len_utf8();
    }
}

fn separator_folded(parts: &[Part], index: usize) -> KeywordProblem {
    let name = |index: Option<usize>| match index.and_then(|index| parts.get(index)) {
        Some(Part::Capture(name)) => name.clone(),
        _ => String::new(),
    };
    KeywordProblem::SeparatorFolded {
        left: name(index.checked_sub(1)),
        right: name(index.checked_add(1)),
    }
}
