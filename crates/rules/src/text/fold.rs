//! Folding spaces and punctuation, and questions about the result.

use std::ops::Range;

use super::characters::{
    is_apostrophe, is_flag_half, is_letter, is_mark, is_punctuation, is_tag, is_unspaced, is_word,
};
use super::normalise::{Unit, normalise};
use crate::folding::Folding;

/// A text in the form in which rules compare it. Positions are byte offsets
/// into that form.
#[derive(Debug, Clone)]
pub(crate) struct Folded {
    text: String,
    glyphs: Vec<Glyph>,
    source_len: usize,
}

/// A character of a folded text.
#[derive(Debug, Clone, Copy)]
struct Glyph {
    at: usize,
    /// The bytes of the source it stands for.
    from: usize,
    to: usize,
    /// It belongs to the character before it.
    glued: bool,
    space: Space,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Space {
    No,
    /// Left behind by punctuation.
    Soft,
    /// White space in the source.
    Hard,
}

/// Whether a text goes on beyond its ends, as the text beside a capture does.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sides {
    pub(crate) before: bool,
    pub(crate) after: bool,
}

/// Disregarded characters since the last one that counts.
#[derive(Debug, Clone, Copy)]
struct Gap {
    from: usize,
    to: usize,
    space: Space,
}

impl Gap {
    fn joined(self, other: Self) -> Self {
        match (self.space, other.space) {
            // White space is the larger truth: it alone says where the gap is.
            (Space::Hard, Space::Hard) => Self { to: other.to, ..self },
            (Space::Hard, _) => self,
            (_, Space::Hard) => other,
            _ => Self { to: other.to, ..self },
        }
    }
}

impl Folded {
    /// Folds a text that stands alone.
    pub(crate) fn new(source: &str, folding: Folding) -> Self {
        Self::beside(source, folding, Sides::default())
    }

    /// Folds a text that may have something before and after it.
    pub(crate) fn beside(source: &str, folding: Folding, sides: Sides) -> Self {
        let units = normalise(source, folding.case);
        let mut folded = Self {
            text: String::with_capacity(source.len()),
            glyphs: Vec::with_capacity(units.len()),
            source_len: source.len(),
        };
        let mut gap: Option<Gap> = None;
        for (index, unit) in units.iter().enumerate() {
            let near = |step: isize| {
                index.checked_add_signed(step).and_then(|at| units.get(at)).map(|unit| unit.c)
            };
            match disregard(unit, near(-1), near(1), folding) {
                Disregarded::Nothing => {
                    folded.close_gap(gap.take(), sides.before, unit.c.is_whitespace());
                    folded.push(unit);
                }
                Disregarded::Wholly => {}
                Disregarded::Leaving(space) => {
                    let new = Gap { from: unit.from, to: unit.to, space };
                    gap = Some(gap.map_or(new, |gap| gap.joined(new)));
                }
            }
        }
        if sides.after {
            folded.close_gap(gap, sides.before, false);
        }
        folded
    }

    /// Puts down the space a gap leaves between two characters.
    fn close_gap(&mut self, gap: Option<Gap>, before: bool, at_space: bool) {
        let Some(gap) = gap else { return };
        let follows = self.glyphs.last().map_or(before, |glyph| glyph.space != Space::Hard);
        if follows && !at_space {
            self.glyphs.push(Glyph {
                at: self.text.len(),
                from: gap.from,
                to: gap.to,
                glued: false,
                space: gap.space,
            });
            self.text.push(' ');
        }
    }

    fn push(&mut self, unit: &Unit) {
        let space = if unit.c.is_whitespace() { Space::Hard } else { Space::No };
        let glued = is_mark(unit.c)
            || is_tag(unit.c)
            || (unit.joined && !is_word(unit.c))
            || (is_flag_half(unit.c) && self.ends_in_half_a_flag());
        let at = self.text.len();
        self.glyphs.push(Glyph { at, from: unit.from, to: unit.to, glued, space });
        self.text.push(unit.c);
    }

    fn ends_in_half_a_flag(&self) -> bool {
        self.text.chars().rev().take_while(|&c| is_flag_half(c)).count() % 2 == 1
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }

    pub(crate) fn into_string(self) -> String {
        self.text
    }

    /// Whether a match may begin or end here without cutting a character.
    pub(crate) fn is_cut(&self, at: usize) -> bool {
        at == self.text.len()
            || self.glyph_at(at).is_some_and(|(index, glyph)| index == 0 || !glyph.glued)
    }

    /// Whether this place lies inside a word of a script that has spaces.
    pub(crate) fn is_inside_word(&self, at: usize) -> bool {
        let before = self.text.get(..at).and_then(|text| text.chars().next_back());
        let after = self.text.get(at..).and_then(|text| text.chars().next());
        let spaced = |c: Option<char>| c.is_some_and(|c| is_word(c) && !is_unspaced(c));
        spaced(before) && spaced(after)
    }

    /// The earliest place at which the text from `start` on holds (the first
    /// character of) as many words.
    pub(crate) fn after_words(&self, start: usize, count: usize) -> Option<usize> {
        let mut words = 0;
        let mut inside = false;
        for (index, glyph) in self.glyphs.iter().enumerate().skip(self.index_at(start)) {
            match glyph.space {
                Space::Hard => inside = false,
                Space::No if !inside => {
                    inside = true;
                    words += 1;
                    if words == count {
                        return Some(self.glyphs.get(index + 1).map_or(self.text.len(), |g| g.at));
                    }
                }
                Space::Soft | Space::No => {}
            }
        }
        None
    }

    /// The words within a stretch, each as the bytes of the source it stands
    /// for: white space parts words, punctuation does not.
    pub(crate) fn words(&self, stretch: Range<usize>) -> Vec<Range<usize>> {
        let mut words = Vec::new();
        let mut word: Option<(usize, usize)> = None;
        for index in self.index_at(stretch.start)..self.index_at(stretch.end) {
            match self.glyphs.get(index).map(|glyph| glyph.space) {
                Some(Space::No) => word = Some((word.map_or(index, |(first, _)| first), index)),
                Some(Space::Hard) => words.extend(word.take()),
                Some(Space::Soft) | None => {}
            }
        }
        words.extend(word);
        words.into_iter().map(|(first, last)| self.source_between(first, last)).collect()
    }

    /// The source of the glyphs from `first` to `last` with what was dropped on
    /// both sides of them.
    fn source_between(&self, first: usize, last: usize) -> Range<usize> {
        let own = |index: usize| self.glyphs.get(index).map_or(0..0, |glyph| glyph.from..glyph.to);
        let start = first.checked_sub(1).map_or(0, |before| own(before).end);
        let end = self.glyphs.get(last + 1).map_or(self.source_len, |after| after.from);
        // Characters that one ligature expands to share its place.
        start.min(own(first).start)..end.max(own(last).end)
    }

    fn glyph_at(&self, at: usize) -> Option<(usize, &Glyph)> {
        let index = self.index_at(at);
        self.glyphs.get(index).filter(|glyph| glyph.at == at).map(|glyph| (index, glyph))
    }

    fn index_at(&self, at: usize) -> usize {
        self.glyphs.partition_point(|glyph| glyph.at < at)
    }
}

enum Disregarded {
    Nothing,
    Wholly,
    Leaving(Space),
}

fn disregard(
    unit: &Unit,
    before: Option<char>,
    after: Option<char>,
    folding: Folding,
) -> Disregarded {
    let c = unit.c;
    if folding.spaces && c.is_whitespace() {
        return Disregarded::Leaving(Space::Hard);
    }
    // Punctuation under a combining mark is a picture of its own: `#️⃣`.
    if !folding.punctuation || !is_punctuation(c) || after.is_some_and(is_mark) {
        return Disregarded::Nothing;
    }
    let within_word =
        before.is_some_and(|c| is_letter(c) || is_mark(c)) && after.is_some_and(is_letter);
    if is_apostrophe(c) && within_word {
        return Disregarded::Wholly;
    }
    Disregarded::Leaving(Space::Soft)
}
