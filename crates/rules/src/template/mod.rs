//! Texts with `{variables}`.

mod parse;
mod values;

pub use values::Values;

use crate::limits::MAX_RENDERED_CHARS;

/// A text with variables, parsed once and rendered many times.
///
/// `{name}` stands for a value, `{name|default}` for a value or, if there is
/// none or it is blank, the default. `{{` and `}}` stand for the braces
/// themselves. A default cannot hold braces. Names have letters, digits and
/// `_`; case matters, and blanks around them do not.
///
/// What a value says is never read as a template: a person who writes
/// `{password}` in a message gets those characters back.
///
/// ```
/// use kabar_rules::{Missing, Template};
///
/// let template = Template::parse("Hello {name|friend}, {qty} × {item} {{noted}}")?;
/// assert_eq!(template.variables().collect::<Vec<_>>(), ["name", "qty", "item"]);
///
/// let values = [("item", "nasi goreng"), ("qty", "2")];
/// assert_eq!(
///     template.render(&values, Missing::Error)?,
///     "Hello friend, 2 × nasi goreng {noted}"
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable { name: String, default: Option<String> },
}

/// What becomes of a variable that has neither value nor default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Missing {
    /// It leaves nothing behind: a reply is better than none.
    #[default]
    Empty,
    /// It is an error, for texts where a hole would mislead.
    Error,
}

/// A template that cannot be parsed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TemplateError {
    /// Longer than [`MAX_TEMPLATE_CHARS`](crate::limits::MAX_TEMPLATE_CHARS).
    #[error(
        "the template has {chars} characters, {} are allowed; shorten it",
        crate::limits::MAX_TEMPLATE_CHARS
    )]
    TooLong {
        /// Its length in characters.
        chars: usize,
    },
    /// `{` without `}`.
    #[error(
        "`{{` at character {at} is never closed; add `}}`, or write `{{{{` for the sign itself"
    )]
    Unclosed {
        /// Where, counted in characters from 0.
        at: usize,
    },
    /// `}` without `{`.
    #[error("`}}` at character {at} closes nothing; write `}}}}` for the sign itself")]
    Unopened {
        /// Where, counted in characters from 0.
        at: usize,
    },
    /// A name that is empty, too long or holds other characters than letters,
    /// digits and `_`.
    #[error(
        "`{{{name}}}` at character {at} is no variable; a name has letters, digits and `_`; \
         write `{{{{` for the sign itself"
    )]
    InvalidName {
        /// Where, counted in characters from 0.
        at: usize,
        /// What stands in the name's place, shortened.
        name: String,
    },
}

/// A template that cannot be rendered with these values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RenderError {
    /// No value and no default, under [`Missing::Error`].
    #[error("`{{{name}}}` has no value; give one, or a default: `{{{name}|…}}`")]
    MissingValue {
        /// The variable.
        name: String,
    },
    /// The result would be longer than [`MAX_RENDERED_CHARS`].
    #[error("the text would have more than {MAX_RENDERED_CHARS} characters")]
    TooLong,
}

impl Template {
    /// Parses a template.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        parse::parse(text).map(|pieces| Self { pieces })
    }

    /// The variables it uses, each once, in the order of their first use.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        let mut seen = std::collections::HashSet::new();
        self.pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Variable { name, .. } => Some(name.as_str()),
                Piece::Text(_) => None,
            })
            .filter(move |&name| seen.insert(name))
    }

    /// Puts values in the place of variables.
    ///
    /// A variable that is used without default in one place and with a default
    /// in another is judged place by place. A blank value counts as a value
    /// where there is no default.
    pub fn render<V: Values + ?Sized>(
        &self,
        values: &V,
        missing: Missing,
    ) -> Result<String, RenderError> {
        let mut rendered = Rendered::default();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => rendered.push(text)?,
                Piece::Variable { name, default } => {
                    let value = values.value(name);
                    match (value.as_deref(), default.as_deref()) {
                        (Some(value), None) => rendered.push(value)?,
                        (Some(value), Some(_)) if !value.trim().is_empty() => {
                            rendered.push(value)?;
                        }
                        (_, Some(default)) => rendered.push(default)?,
                        (None, None) if missing == Missing::Empty => {}
                        (None, None) => {
                            return Err(RenderError::MissingValue { name: name.clone() });
                        }
                    }
                }
            }
        }
        Ok(rendered.text)
    }
}

#[derive(Default)]
struct Rendered {
    text: String,
    chars: usize,
}

impl Rendered {
    fn push(&mut self, text: &str) -> Result<(), RenderError> {
        self.chars += text.chars().count();
        if self.chars > MAX_RENDERED_CHARS {
            return Err(RenderError::TooLong);
        }
        self.text.push_str(text);
        Ok(())
    }
}
