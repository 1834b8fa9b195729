//! What the documentation says, done naively on vectors of characters: whole
//! texts are normalised at once, captures are found by trying every placement
//! from left to right with backtracking.

use GeneralCategoryGroup::{Letter, Mark, Number, Punctuation};
use caseless::Caseless;
use kabar_rules::{Folding, MatchKind, Rule, Words};
use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategory, GeneralCategoryGroup, UnicodeGeneralCategory};

/// Stands for a capture while a keyword is folded: neither letter nor space nor
/// punctuation.
const HOLE: char = '\u{E000}';
/// Stands for folded punctuation.
const DROPPED: char = '\u{E001}';
const JOINER: char = '\u{200D}';

#[derive(Debug, Clone, Copy, PartialEq)]
struct Cell {
    c: char,
    soft: bool,
    joined: bool,
}

/// A part of a keyword as a test made it.
#[derive(Debug, Clone)]
pub enum Part {
    Text(String),
    Capture(String),
}

#[derive(Debug)]
enum Token {
    Text(Vec<char>),
    /// How many captures, parted by white space.
    Captures(usize),
}

fn group(c: char) -> GeneralCategoryGroup {
    c.general_category_group()
}

fn invisible(c: char) -> bool {
    let format = c.general_category() == GeneralCategory::Format;
    let tag = ('\u{E0020}'..='\u{E007F}').contains(&c);
    let selector = ('\u{FE00}'..='\u{FE0F}').contains(&c);
    (format && !tag && c != JOINER) || selector || c == '\u{3164}' || c == '\u{34F}'
}

fn fold(text: &str, folding: Folding) -> Vec<Cell> {
    let visible = text.chars().filter(|&c| !invisible(c));
    let normal: Vec<char> = if folding.case {
        visible.nfd().default_case_fold().nfkc().default_case_fold().nfkc().collect()
    } else {
        visible.nfkc().collect()
    };
    let mut cells: Vec<Cell> = Vec::new();
    for (index, &c) in normal.iter().enumerate() {
        if c != JOINER {
            let joined = index > 0 && normal[index - 1] == JOINER;
            cells.push(Cell { c, soft: false, joined });
        }
    }
    if folding.punctuation {
        drop_punctuation(&mut cells);
    }
    fold_spaces(&cells, folding.spaces)
}

fn drop_punctuation(cells: &mut Vec<Cell>) {
    let before = cells.clone();
    let is = |index: Option<usize>, groups: &[GeneralCategoryGroup]| {
        index
            .and_then(|index| before.get(index))
            .is_some_and(|cell| groups.contains(&group(cell.c)))
    };
    let mut kept = Vec::new();
    for (index, cell) in before.iter().enumerate() {
        let (left, right) = (index.checked_sub(1), Some(index + 1));
        if group(cell.c) != Punctuation || is(right, &[Mark]) {
            kept.push(*cell);
        } else if !("'‘’".contains(cell.c) && is(left, &[Letter, Mark]) && is(right, &[Letter]))
        {
            kept.push(Cell { c: DROPPED, ..*cell });
        }
    }
    *cells = kept;
}

fn fold_spaces(cells: &[Cell], spaces: bool) -> Vec<Cell> {
    let gap = |cell: &Cell| cell.c == DROPPED || (spaces && cell.c.is_whitespace());
    let mut folded = Vec::new();
    let mut rest = cells;
    while let Some(first) = rest.first() {
        if !gap(first) {
            folded.push(*first);
            rest = &rest[1..];
            continue;
        }
        let length = rest.iter().take_while(|cell| gap(cell)).count();
        let (run, after) = rest.split_at(length);
        rest = after;
        let inner = |cell: Option<&Cell>| cell.is_some_and(|cell| !cell.c.is_whitespace());
        if inner(folded.last()) && inner(rest.first()) {
            let soft = run.iter().all(|cell| cell.c == DROPPED);
            folded.push(Cell { c: ' ', soft, joined: false });
        }
    }
    folded
}

/// The folded characters of a text.
pub fn folded(text: &str, folding: Folding) -> String {
    fold(text, folding).iter().map(|cell| cell.c).collect()
}

fn tokens(parts: &[Part], folding: Folding) -> Vec<Token> {
    let with_holes: String = parts
        .iter()
        .map(|part| match part {
            Part::Text(text) => text.clone(),
            Part::Capture(_) => HOLE.to_string(),
        })
        .collect();
    let cells = fold(&with_holes, folding);
    let mut tokens: Vec<Token> = Vec::new();
    for piece in cells.split_inclusive(|cell| cell.c == HOLE) {
        let (piece, hole) = match piece {
            [text @ .., last] if last.c == HOLE => (text, true),
            text => (text, false),
        };
        let blank = piece.iter().all(|cell| cell.c.is_whitespace());
        match tokens.last_mut() {
            Some(Token::Captures(count)) if blank && hole => {
                *count += 1;
                continue;
            }
            _ if piece.is_empty() => {}
            _ => tokens.push(Token::Text(piece.iter().map(|cell| cell.c).collect())),
        }
        if hole {
            tokens.push(Token::Captures(1));
        }
    }
    tokens
}

/// How many characters of its own a keyword has.
pub fn length(parts: &[Part], folding: Folding) -> usize {
    let texts = tokens(parts, folding).into_iter().map(|token| match token {
        Token::Text(text) => text.iter().filter(|c| !c.is_whitespace()).count(),
        Token::Captures(_) => 0,
    });
    texts.sum()
}

struct Search<'m> {
    message: &'m [Cell],
    kind: MatchKind,
    words: Words,
}

/// The folded texts of the captures, if the keyword matches.
pub fn find(parts: &[Part], rule: &Rule<usize>, message: &str) -> Option<Vec<String>> {
    let message = fold(message, rule.folding);
    let tokens = tokens(parts, rule.folding);
    let search = Search { message: &message, kind: rule.kind, words: rule.words };
    let free = matches!(rule.kind, MatchKind::Contains | MatchKind::End);
    let starts = match tokens.first() {
        Some(Token::Text(_)) if free => 0..=message.len(),
        _ => 0..=0,
    };
    starts.into_iter().find_map(|start| {
        let edge = matches!(tokens.first(), Some(Token::Captures(_))) || search.edge(start);
        if edge { search.rest(&tokens, start) } else { None }
    })
}

impl Search<'_> {
    fn rest(&self, tokens: &[Token], at: usize) -> Option<Vec<String>> {
        let (token, rest) = tokens.split_first()?;
        let anchored = matches!(self.kind, MatchKind::Exact | MatchKind::End);
        match token {
            Token::Text(text) => {
                let end = at + text.len();
                let here = self.message.get(at..end)?.iter().map(|cell| cell.c);
                if !here.eq(text.iter().copied()) {
                    return None;
                }
                if rest.is_empty() {
                    let fits = self.edge(end) && (!anchored || end == self.message.len());
                    return fits.then(Vec::new);
                }
                if self.cuts_character(end) { None } else { self.rest(rest, end) }
            }
            Token::Captures(count) if rest.is_empty() => self.share(at, self.message.len(), *count),
            Token::Captures(count) => (at..=self.message.len()).find_map(|end| {
                if self.cuts_character(end) {
                    return None;
                }
                let mut texts = self.share(at, end, *count)?;
                texts.extend(self.rest(rest, end)?);
                Some(texts)
            }),
        }
    }

    fn share(&self, from: usize, to: usize, count: usize) -> Option<Vec<String>> {
        let stretch = &self.message[from..to];
        let mut words: Vec<(usize, usize)> = Vec::new();
        let mut open = false;
        for (index, cell) in stretch.iter().enumerate() {
            if cell.c.is_whitespace() && !cell.soft {
                open = false;
            } else if !cell.soft {
                if !open {
                    words.push((index, index));
                    open = true;
                }
                words.last_mut().unwrap().1 = index;
            }
        }
        let extra = words.len().checked_sub(count)?;
        let text = |from: usize, to: usize| stretch[from..=to].iter().map(|cell| cell.c).collect();
        let first = text(words[0].0, words[extra].1);
        let others = words[extra + 1..].iter().map(|&(from, to)| text(from, to));
        Some([first].into_iter().chain(others).collect())
    }

    fn edge(&self, at: usize) -> bool {
        !self.cuts_character(at) && (self.words == Words::Partial || !self.cuts_word(at))
    }

    fn cuts_character(&self, at: usize) -> bool {
        if at == 0 || at == self.message.len() {
            return false;
        }
        let flag = |cell: &&Cell| ('\u{1F1E6}'..='\u{1F1FF}').contains(&cell.c);
        let cell = self.message[at];
        let halves = self.message[..at].iter().rev().take_while(flag).count();
        group(cell.c) == GeneralCategoryGroup::Mark
            || ('\u{E0020}'..='\u{E007F}').contains(&cell.c)
            || (cell.joined && !word(cell.c))
            || (flag(&&cell) && halves % 2 == 1)
    }

    fn cuts_word(&self, at: usize) -> bool {
        let inner =
            |cell: Option<&Cell>| cell.is_some_and(|cell| word(cell.c) && !unspaced(cell.c));
        at > 0 && inner(self.message.get(at - 1)) && inner(self.message.get(at))
    }
}

fn word(c: char) -> bool {
    [Letter, Mark, Number].contains(&group(c))
}

/// As far as the texts of the tests need it.
fn unspaced(c: char) -> bool {
    let thai = ('\u{0E00}'..='\u{0E7F}').contains(&c);
    let kana = ('\u{3040}'..='\u{30FF}').contains(&c);
    let han = ('\u{4E00}'..='\u{9FFF}').contains(&c);
    thai || kana || han
}
