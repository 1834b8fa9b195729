//! Keyword rules for chat messages: which rule does a message match, what did
//! the person fill in, and what is the answer.
//!
//! No I/O, no async, no clock: texts in, matches and texts out.
//!
//! # Overview
//!
//! - [`Rule`]: keywords, where they must stand ([`MatchKind`]), what does not
//!   matter ([`Folding`]), whether they may be parts of words ([`Words`]), a
//!   priority, and a key of the caller's choice.
//! - [`RuleSet`]: many rules compiled together; [`RuleSet::matches`] answers
//!   the [`Match`]es of a message in a [fixed order](RuleSet#order).
//! - [`Keyword`] and [`Captures`]: `<variable>` in keywords, and what it took.
//! - [`Template`] and [`Values`]: `{variable}` in answers, and where the values
//!   come from.
//! - [`limits`]: every bound, with its reason.
//!
//! # Examples
//!
//! Find the rule that answers a message:
//!
//! ```
//! use kabar_rules::{MatchKind, Rule, RuleSet};
//!
//! let rules = RuleSet::compile([
//!     Rule::new("prices", MatchKind::Contains, ["price", "harga"]),
//!     Rule::new("greeting", MatchKind::Begin, ["hi", "halo"]),
//! ])?;
//!
//! assert_eq!(rules.first_match("HALO, kak!").unwrap().key, &"greeting");
//! // "hi" is no word of "this".
//! assert!(rules.first_match("this one please").is_none());
//! # Ok::<(), kabar_rules::CompileError>(())
//! ```
//!
//! See all rules that match, in order:
//!
//! ```
//! use kabar_rules::{MatchKind, Rule, RuleSet};
//!
//! let rules = RuleSet::compile([
//!     Rule::new(1, MatchKind::Contains, ["stop"]),
//!     Rule::new(2, MatchKind::Exact, ["please stop"]),
//!     Rule::new(3, MatchKind::Contains, ["please"]).with_priority(5),
//! ])?;
//! let keys: Vec<_> = rules.matches("Please stop!").map(|found| *found.key).collect();
//! assert_eq!(keys, [3, 2, 1]);
//! # Ok::<(), kabar_rules::CompileError>(())
//! ```
//!
//! Capture parts of the message, as they were written:
//!
//! ```
//! use kabar_rules::{MatchKind, Rule, RuleSet};
//!
//! let rules =
//!     RuleSet::compile([Rule::new("order", MatchKind::Begin, ["order <item> <qty>"])])?;
//! let found = rules.first_match("ORDER: Nasi Goreng (pedas) 2").unwrap();
//! assert_eq!(found.captures.get("item"), Some("Nasi Goreng (pedas)"));
//! assert_eq!(found.captures.get("qty"), Some("2"));
//! # Ok::<(), kabar_rules::CompileError>(())
//! ```
//!
//! Answer with what was captured and what is known about the contact:
//!
//! ```
//! use kabar_rules::{MatchKind, Missing, Rule, RuleSet, Template};
//!
//! let rules = RuleSet::compile([Rule::new((), MatchKind::Contains, ["my name is <name>"])])?;
//! let answer = Template::parse("Nice to meet you, {name}! {city|Where} do you live?")?;
//!
//! let found = rules.first_match("hi, my name is Budi Santoso.").unwrap();
//! let contact = [("name", "unknown")];
//! assert_eq!(
//!     answer.render(&(&found.captures, contact), Missing::Empty)?,
//!     "Nice to meet you, Budi Santoso! Where do you live?"
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Look into a script without spaces, or into words:
//!
//! ```
//! use kabar_rules::{MatchKind, Rule, RuleSet, Words};
//!
//! let rules = RuleSet::compile([
//!     Rule::new("price", MatchKind::Contains, ["ราคา", "价格"]),
//!     Rule::new("order", MatchKind::Contains, ["pesan"]).with_words(Words::Partial),
//! ])?;
//! assert_eq!(rules.first_match("สอบถามราคาหน่อยค่ะ").unwrap().key, &"price");
//! assert_eq!(rules.first_match("请问价格多少").unwrap().key, &"price");
//! assert_eq!(rules.first_match("ini pesanan kopi saya").unwrap().key, &"order");
//! # Ok::<(), kabar_rules::CompileError>(())
//! ```
//!
//! # What captures take
//!
//! Captures work in all four kinds. Words, here, are what white space parts in
//! the message; punctuation alone parts nothing, so `2.5` and `a@b.example` are
//! one word each.
//!
//! 1. Every capture takes at least one word, or the part of a word that the
//!    keyword's own text leaves of it.
//! 2. The keyword's own texts are placed from left to right, each at the first
//!    place in the message where it fits after the one before. Captures between
//!    two texts share what lies between them.
//! 3. Of captures parted only by white space, each but the first takes exactly
//!    one word, counted from the right; the first takes all the others. White
//!    space between two captures stands for any white space.
//! 4. A capture at the beginning or end of the keyword reaches to the beginning
//!    or end of the message, whatever the kind.
//!
//! | keyword | message | takes |
//! |---|---|---|
//! | `order <item> <qty>` | order nasi goreng 2 | item = nasi goreng, qty = 2 |
//! | `from <a> to <b>` | from Solo to Kota Batu | a = Solo, b = Kota Batu |
//! | `<a> to <b>` | to to to | a = to, b = to |
//! | `#<code>` (punctuation counts) | #A12 please | code = A12 please |
//! | `order <item> <qty>` | order tea | no match |
//!
//! The text is handed back as it was written, case and punctuation included,
//! without white space at its ends. If the rule disregards punctuation, marks
//! that end a sentence (`.`, `!`, `?`, `,` and their like) are also taken off
//! its end: `my name is Budi!` captures `Budi`, `(spicy)` stays `(spicy)`.
//!
//! # Features
//!
//! - `serde`: `Serialize` and `Deserialize` for [`Rule`], [`MatchKind`],
//!   [`Words`] and [`Folding`]. Off by default.

mod captures;
mod error;
mod folding;
mod keyword;
pub mod limits;
mod name;
mod pattern;
mod rule;
mod set;
mod template;
mod text;

pub use captures::Captures;
pub use error::{CompileError, KeywordProblem, RuleError, UnknownKind};
pub use folding::Folding;
pub use keyword::Keyword;
pub use rule::{MatchKind, Rule, Words};
pub use set::{Match, Matches, RuleSet};
pub use template::{Missing, RenderError, Template, TemplateError, Values};

/// The README's example is a test, too.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
