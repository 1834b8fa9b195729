//! Mending text that is almost JSON, so that a strict parser takes it.
//!
//! | found | becomes |
//! |---|---|
//! | half a surrogate pair (`\ud800`), `\u0000`, `\u` without four digits | `\ufffd` |
//! | a bare control character in a string | its escape |
//! | a backslash before anything else | a backslash |
//! | a number out of range, any other bare word (`NaN`, `01`) | text |
//! | what is nested deeper than [`DEEPEST`] | its own text, as one string |
//!
//! What is cut off stays cut off: the parser refuses it.

use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// Deeper nesting is kept as text. The parser's own limit is 128; Meta's deepest body is below 20.
const DEEPEST: usize = 100;

const UNREADABLE: &str = "\\ufffd";

pub(super) fn mend(text: &str) -> String {
    let text = text.trim_start_matches('\u{feff}');
    let mut mender =
        Mender { input: text.chars().peekable(), output: String::with_capacity(text.len()) };
    mender.document();
    mender.output
}

struct Mender<'a> {
    input: Peekable<Chars<'a>>,
    output: String,
}

const fn is_structure(c: char) -> bool {
    matches!(c, '{' | '}' | '[' | ']' | ',' | ':' | '"')
}

impl Mender<'_> {
    fn document(&mut self) {
        let mut depth = 0_usize;
        while let Some(c) = self.input.next() {
            match c {
                '"' => self.string(),
                '{' | '[' if depth == DEEPEST => self.bury(c),
                '{' | '[' => {
                    depth += 1;
                    self.output.push(c);
                }
                '}' | ']' => {
                    depth = depth.saturating_sub(1);
                    self.output.push(c);
                }
                c if is_structure(c) || c.is_whitespace() => self.output.push(c),
                c => self.word(c),
            }
        }
    }

    /// A number or a bare word.
    fn word(&mut self, first: char) {
        let mut word = String::from(first);
        while let Some(c) = self.input.next_if(|c| !is_structure(*c) && !c.is_whitespace()) {
            word.push(c);
        }
        if serde_json::from_str::<serde_json::Value>(&word).is_ok() {
            self.output.push_str(&word);
        } else {
            self.quote(&word);
        }
    }

    /// Text as a JSON string.
    fn quote(&mut self, text: &str) {
        self.output.push_str(&serde_json::Value::from(text).to_string());
    }

    /// A string after its opening quotation mark.
    fn string(&mut self) {
        self.output.push('"');
        while let Some(c) = self.input.next() {
            match c {
                '"' => {
                    self.output.push('"');
                    return;
                }
                '\\' => self.escape(),
                '\0' => self.output.push_str(UNREADABLE),
                c if c < ' ' => self.unit(u32::from(c)),
                c => self.output.push(c),
            }
        }
    }

    fn unit(&mut self, unit: u32) {
        // Writing to a String cannot fail.
        let _ = write!(self.output, "\\u{unit:04x}");
    }

    /// An escape after its backslash.
    fn escape(&mut self) {
        match self.input.peek() {
            Some('u') => {
                self.input.next();
                self.unicode();
            }
            Some(c @ ('"' | '\\' | '/' | 'b' | 'f' | 'n' | 'r' | 't')) => {
                self.output.extend(['\\', *c]);
                self.input.next();
            }
            _ => self.output.push_str("\\\\"),
        }
    }

    /// An escape after `\u`.
    fn unicode(&mut self) {
        match self.hex() {
            None | Some(0 | 0xdc00..=0xdfff) => self.output.push_str(UNREADABLE),
            Some(high @ 0xd800..=0xdbff) => self.pair(high),
            Some(unit) => self.unit(unit),
        }
    }

    /// The second half of a pair, if it follows.
    fn pair(&mut self, high: u32) {
        let mut ahead = self.clone_ahead();
        let low = (ahead.input.next() == Some('\\') && ahead.input.next() == Some('u'))
            .then(|| ahead.hex())
            .flatten();
        match low {
            Some(low @ 0xdc00..=0xdfff) => {
                self.input = ahead.input;
                self.unit(high);
                self.unit(low);
            }
            _ => self.output.push_str(UNREADABLE),
        }
    }

    fn clone_ahead(&self) -> Self {
        Self { input: self.input.clone(), output: String::new() }
    }

    /// Four hexadecimal digits; on anything else what was read is dropped with the escape.
    fn hex(&mut self) -> Option<u32> {
        let mut unit = 0;
        for _ in 0..4 {
            let digit = self.input.next_if(char::is_ascii_hexdigit)?;
            unit = unit * 16 + digit.to_digit(16)?;
        }
        Some(unit)
    }

    /// An object or array that is nested too deep, up to its end.
    fn bury(&mut self, first: char) {
        let mut buried = String::from(first);
        let mut depth = 1_usize;
        let mut in_string = false;
        while depth > 0
            && let Some(c) = self.input.next()
        {
            buried.push(c);
            match c {
                '\\' if in_string => buried.extend(self.input.next()),
                '"' => in_string = !in_string,
                '{' | '[' if !in_string => depth += 1,
                '}' | ']' if !in_string => depth -= 1,
                _ => {}
            }
        }
        self.quote(&buried);
    }
}
