//! Reading a keyword as it was written.

use crate::error::{KeywordProblem, shortened};
use crate::limits::{MAX_CAPTURES_PER_KEYWORD, MAX_KEYWORD_CHARS};
use crate::name;

/// A keyword taken apart into its own text and its captures.
///
/// `<name>` takes a part of the message. Names have letters, digits and `_`,
/// and case matters in them. `\<`, `\>` and `\\` stand for the signs themselves;
/// any other backslash is a backslash, and a `>` outside a capture is a `>`.
///
/// ```
/// use kabar_rules::Keyword;
///
/// let keyword = Keyword::parse("order <item> <qty>")?;
/// assert_eq!(keyword.captures().collect::<Vec<_>>(), ["item", "qty"]);
///
/// let error = Keyword::parse("I <3 you").unwrap_err();
/// assert!(error.to_string().contains(r"write `\<`"));
/// # Ok::<(), kabar_rules::KeywordProblem>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyword {
    parts: Vec<Part>,
}

/// A piece of a keyword. Two texts are never neighbours, nor are two captures.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Part {
    Text(String),
    Capture(String),
}

impl Keyword {
    /// Reads a keyword.
    pub fn parse(text: &str) -> Result<Self, KeywordProblem> {
        let chars = text.chars().count();
        if chars > MAX_KEYWORD_CHARS {
            return Err(KeywordProblem::TooLong { chars });
        }
        if text.trim().is_empty() {
            return Err(KeywordProblem::Empty);
        }
        let mut keyword = Self { parts: Vec::new() };
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            rest = match c {
                '<' => keyword.read_capture(rest)?,
                '\\' => keyword.read_escape(rest),
                _ => {
                    keyword.push_char(c);
                    rest.get(c.len_utf8()..).unwrap_or_default()
                }
            };
        }
        Ok(keyword)
    }

    /// The names of the captures, in the order they stand in the keyword.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.parts.iter().filter_map(|part| match part {
            Part::Capture(name) => Some(name.as_str()),
            Part::Text(_) => None,
        })
    }

    pub(crate) fn parts(&self) -> &[Part] {
        &self.parts
    }

    fn push_char(&mut self, c: char) {
        if let Some(Part::Text(text)) = self.parts.last_mut() {
            text.push(c);
        } else {
            self.parts.push(Part::Text(c.into()));
        }
    }

    /// Takes `\` and the sign it protects.
    fn read_escape<'t>(&mut self, text: &'t str) -> &'t str {
        let after = text.strip_prefix('\\').unwrap_or(text);
        if let Some(c @ ('<' | '>' | '\\')) = after.chars().next() {
            self.push_char(c);
            after.get(c.len_utf8()..).unwrap_or_default()
        } else {
            self.push_char('\\');
            after
        }
    }

    /// Takes `<name>` and answers what follows it.
    fn read_capture<'t>(&mut self, text: &'t str) -> Result<&'t str, KeywordProblem> {
        let inside = text.strip_prefix('<').unwrap_or(text);
        let (name, rest) = inside.split_once('>').ok_or(KeywordProblem::UnclosedCapture)?;
        if name.is_empty() {
            return Err(KeywordProblem::EmptyName);
        }
        let name = name::normalised(name)
            .ok_or_else(|| KeywordProblem::InvalidName { name: shortened(name) })?;
        if self.captures().any(|other| other == name) {
            return Err(KeywordProblem::RepeatedName { name });
        }
        if let Some(Part::Capture(left)) = self.parts.last() {
            return Err(KeywordProblem::TouchingCaptures { left: left.clone(), right: name });
        }
        if self.captures().count() == MAX_CAPTURES_PER_KEYWORD {
            return Err(KeywordProblem::TooManyCaptures);
        }
        self.parts.push(Part::Capture(name));
        Ok(rest)
    }
}
