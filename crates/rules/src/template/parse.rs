//! Reading a template as it was written.

use super::{Piece, TemplateError};
use crate::error::shortened;
use crate::limits::MAX_TEMPLATE_CHARS;
use crate::name;

pub(super) fn parse(text: &str) -> Result<Vec<Piece>, TemplateError> {
    let chars = text.chars().count();
    if chars > MAX_TEMPLATE_CHARS {
        return Err(TemplateError::TooLong { chars });
    }
    let mut reader = Reader { text, rest: text, pieces: Vec::new() };
    while !reader.rest.is_empty() {
        reader.step()?;
    }
    Ok(reader.pieces)
}

struct Reader<'t> {
    text: &'t str,
    rest: &'t str,
    pieces: Vec<Piece>,
}

impl Reader<'_> {
    fn step(&mut self) -> Result<(), TemplateError> {
        if let Some(rest) = self.rest.strip_prefix("{{") {
            self.push_text("{");
            self.rest = rest;
        } else if let Some(rest) = self.rest.strip_prefix("}}") {
            self.push_text("}");
            self.rest = rest;
        } else if let Some(inside) = self.rest.strip_prefix('{') {
            let end =
                inside.find(['{', '}']).filter(|&end| inside.as_bytes().get(end) == Some(&b'}'));
            let (variable, rest) = end
                .and_then(|end| Some((inside.get(..end)?, inside.get(end + 1..)?)))
                .ok_or(TemplateError::Unclosed { at: self.at() })?;
            let piece = self.variable(variable)?;
            self.pieces.push(piece);
            self.rest = rest;
        } else if self.rest.starts_with('}') {
            return Err(TemplateError::Unopened { at: self.at() });
        } else {
            let end = self.rest.find(['{', '}']).unwrap_or(self.rest.len());
            let (text, rest) = self.rest.split_at(end);
            self.push_text(text);
            self.rest = rest;
        }
        Ok(())
    }

    fn variable(&self, inside: &str) -> Result<Piece, TemplateError> {
        let (name, default) = match inside.split_once('|') {
            Some((name, default)) => (name, Some(default.to_owned())),
            None => (inside, None),
        };
        let invalid = || TemplateError::InvalidName { at: self.at(), name: shortened(name) };
        let name =
            name::normalised(name.trim()).filter(|name| !name.is_empty()).ok_or_else(invalid)?;
        Ok(Piece::Variable { name, default })
    }

    fn push_text(&mut self, text: &str) {
        if let Some(Piece::Text(last)) = self.pieces.last_mut() {
            last.push_str(text);
        } else {
            self.pieces.push(Piece::Text(text.to_owned()));
        }
    }

    /// The current place, in characters.
    fn at(&self) -> usize {
        let read = self.text.len() - self.rest.len();
        self.text.get(..read).map_or(0, |text| text.chars().count())
    }
}
