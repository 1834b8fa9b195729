//! Bounds on what is accepted and on the work one message can cause.
//!
//! Every bound counts Unicode scalar values (`char`s) of the text as it was
//! written, before folding.

/// Longest keyword, in characters. A keyword is a phrase a person types; three
/// short sentences fit.
pub const MAX_KEYWORD_CHARS: usize = 256;

/// Most keywords of one rule. Enough for a word with its spellings in several
/// languages; more than that are several rules.
pub const MAX_KEYWORDS_PER_RULE: usize = 100;

/// Most captures of one keyword. A form with more fields is a conversation.
pub const MAX_CAPTURES_PER_KEYWORD: usize = 16;

/// Longest name of a capture or template variable, in characters.
pub const MAX_NAME_CHARS: usize = 64;

/// Most rules of one set: ten times the largest set this crate is meant for,
/// and far below what a 32-bit index can count.
pub const MAX_RULES: usize = 1_000_000;

/// How much of a message is looked at, in characters. 4,096 is the longest text
/// body of WhatsApp's Cloud API.
///
/// Of a longer message only the words within this length are seen: `begin` and
/// `contains` look at those, `exact` and `end` do not match because the end of
/// the message was not seen.
pub const MESSAGE_CHARS: usize = 4_096;

/// Longest template, in characters: twice the longest text body, as markup and
/// defaults do not all reach the result.
pub const MAX_TEMPLATE_CHARS: usize = 8_192;

/// Longest rendered text, in characters. Far above any message body; it keeps a
/// template that repeats a long value from exhausting memory.
pub const MAX_RENDERED_CHARS: usize = 65_536;
