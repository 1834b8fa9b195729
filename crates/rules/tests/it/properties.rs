use std::cmp::Reverse;

use kabar_rules::{Folding, Keyword, MatchKind, Missing, Rule, RuleSet, Template, Words};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use unicode_normalization::UnicodeNormalization;

use crate::oracle::{self, Part};

/// Pieces of texts, chosen to touch each other badly.
const PIECES: &[&str] = &[
    // Latin and Indonesian.
    "a",
    "b",
    "A",
    "ab",
    "pesan",
    "Nasi",
    "i",
    "İ",
    "ı",
    "ß",
    "ẞ",
    "ﬁ",
    "e\u{301}",
    "é",
    "\u{301}",
    // Greek with its final sigma.
    "Σ",
    "ς",
    "σ",
    "ᾳ",
    // Arabic, Hebrew.
    "ال",
    "سعر",
    "\u{64E}",
    "ﻻ",
    "؟",
    "ש",
    // Thai.
    "ก",
    "า",
    "\u{E48}",
    "กำ",
    "ราคา",
    // Devanagari.
    "क",
    "ि",
    "न\u{93C}",
    "क\u{94D}\u{200D}ष",
    "।",
    // Chinese, Japanese, Korean.
    "价",
    "格",
    "ガ",
    "ｶ",
    "ﾞ",
    "한",
    "\u{1112}",
    "\u{1161}",
    "\u{11AB}",
    "。",
    // Emoji.
    "👍",
    "🏽",
    "🇮",
    "🇩",
    "❤\u{FE0F}",
    "👨\u{200D}👩",
    "👩",
    "1\u{FE0F}\u{20E3}",
    "\u{20E3}",
    // Digits, spaces, punctuation, symbols, zero-width.
    "1",
    "２",
    " ",
    " ",
    "  ",
    "\n",
    "\u{A0}",
    ",",
    ".",
    "'",
    "’",
    "-",
    "+",
    "#",
    "\u{200B}",
    "\u{200C}",
    "\u{FEFF}",
    "\u{202E}",
    "\u{AD}",
];

fn foldings() -> impl Strategy<Value = Folding> {
    any::<(bool, bool, bool)>().prop_map(|(case, spaces, punctuation)| Folding {
        case,
        spaces,
        punctuation,
    })
}

fn kinds() -> impl Strategy<Value = MatchKind> {
    select(vec![MatchKind::Exact, MatchKind::Contains, MatchKind::Begin, MatchKind::End])
}

fn text(
    pieces: &[&'static str],
    count: std::ops::Range<usize>,
) -> impl Strategy<Value = String> + use<> {
    proptest::collection::vec(select(pieces.to_vec()), count).prop_map(|pieces| pieces.concat())
}

fn keyword(pieces: &[&'static str]) -> impl Strategy<Value = Vec<Part>> + use<> {
    let part = prop_oneof![
        3 => text(pieces, 1..4).prop_map(Some),
        2 => Just(None),
    ];
    proptest::collection::vec(part, 1..5).prop_map(|parts| {
        let mut keyword: Vec<Part> = Vec::new();
        for (index, part) in parts.into_iter().enumerate() {
            match (part, keyword.last_mut()) {
                (Some(text), Some(Part::Text(last))) => last.push_str(&text),
                (Some(text), _) => keyword.push(Part::Text(text)),
                (None, last) => {
                    if matches!(last, Some(Part::Capture(_))) {
                        keyword.push(Part::Text(" ".to_owned()));
                    }
                    keyword.push(Part::Capture(format!("c{index}")));
                }
            }
        }
        keyword
    })
}

fn written(parts: &[Part]) -> String {
    let written = parts.iter().map(|part| match part {
        Part::Text(text) => text.clone(),
        Part::Capture(name) => format!("<{name}>"),
    });
    written.collect()
}

#[derive(Debug, Clone)]
struct Definition {
    kind: MatchKind,
    words: Words,
    folding: Folding,
    priority: i32,
    keywords: Vec<Vec<Part>>,
}

impl Definition {
    fn rule(&self, key: usize) -> Rule<usize> {
        Rule::new(key, self.kind, self.keywords.iter().map(|parts| written(parts)))
            .with_words(self.words)
            .with_folding(self.folding)
            .with_priority(self.priority)
    }
}

fn definitions(pieces: &[&'static str]) -> impl Strategy<Value = Definition> + use<> {
    let words = select(vec![Words::Whole, Words::Partial]);
    let keywords = proptest::collection::vec(keyword(pieces), 1..3);
    (kinds(), words, foldings(), 0..2, keywords).prop_map(
        |(kind, words, folding, priority, keywords)| Definition {
            kind,
            words,
            folding,
            priority,
            keywords,
        },
    )
}

/// A few pieces, half the time of one script.
fn alphabets() -> impl Strategy<Value = Vec<&'static str>> {
    const NEAR: usize = 8;
    let near = (0..PIECES.len() - NEAR)
        .prop_flat_map(|start| subsequence(PIECES[start..start + NEAR].to_vec(), 2..5));
    prop_oneof![subsequence(PIECES.to_vec(), 2..5), near]
}

/// Rules and a message of the same few pieces, so that they often match.
fn cases() -> impl Strategy<Value = (Vec<Definition>, String)> {
    alphabets().prop_flat_map(|mut pieces| {
        pieces.push(" ");
        (proptest::collection::vec(definitions(&pieces), 1..4), text(&pieces, 0..12))
    })
}

/// Rule, keyword, folded captures: what the oracle finds, in order.
fn expected(definitions: &[Definition], message: &str) -> Vec<(usize, usize, Vec<String>)> {
    let rank = |kind| match kind {
        MatchKind::Exact => 0,
        MatchKind::Begin | MatchKind::End => 1,
        MatchKind::Contains => 2,
    };
    let mut found = Vec::new();
    for (key, definition) in definitions.iter().enumerate() {
        let rule = definition.rule(key);
        let best = definition
            .keywords
            .iter()
            .enumerate()
            .filter_map(|(index, parts)| {
                let length = oracle::length(parts, rule.folding);
                oracle::find(parts, &rule, message).map(|taken| (Reverse(length), index, taken))
            })
            .min();
        if let Some((length, index, taken)) = best {
            found.push((Reverse(rule.priority), rank(rule.kind), length, key, index, taken));
        }
    }
    found.sort();
    found.into_iter().map(|(_, _, _, key, index, taken)| (key, index, taken)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn rules_match_as_the_oracle_says((definitions, message) in cases()) {
        let definitions: Vec<_> = definitions
            .into_iter()
            .filter(|definition| definition.rule(0).check().is_ok())
            .collect();
        let rules = definitions.iter().enumerate().map(|(key, definition)| definition.rule(key));
        let rules = RuleSet::compile(rules).unwrap();
        let found: Vec<_> = rules.matches(&message).collect();
        let expected = expected(&definitions, &message);
        let keys: Vec<_> = found.iter().map(|found| (*found.key, found.keyword)).collect();
        let expected_keys: Vec<_> = expected.iter().map(|(key, index, _)| (*key, *index)).collect();
        prop_assert_eq!(keys, expected_keys);
        for (found, (key, _, taken)) in found.iter().zip(&expected) {
            let folding = definitions[*key].folding;
            prop_assert_eq!(found.captures.len(), taken.len());
            for ((_, text), taken) in found.captures.iter().zip(taken) {
                prop_assert!(message.contains(text));
                prop_assert_eq!(text, text.trim());
                // One written character may fold to several, of which the
                // capture holds some.
                let folded = oracle::folded(text, folding);
                prop_assert!(folded.contains(taken.as_str()), "{:?} holds {:?}", folded, taken);
                let expands = |c| "ßẞﬁᾳﻻİำ".contains(c) || ('\u{1100}'..'\u{1200}').contains(&c);
                if !message.contains(expands) {
                    prop_assert_eq!(&folded, taken);
                }
            }
        }
    }

    #[test]
    fn a_text_matches_itself_in_every_normal_form(text in text(PIECES, 1..20), folding in foldings()) {
        let keyword = text.replace('<', "\\<");
        let forms = [text.clone(), text.nfc().collect(), text.nfd().collect()];
        let rule = Rule::new((), MatchKind::Exact, [keyword]).with_folding(folding);
        // Nothing but punctuation is no keyword.
        if let Ok(rules) = RuleSet::compile([rule]) {
            for form in forms {
                prop_assert!(rules.first_match(&form).is_some(), "{:?}", form);
            }
        }
    }

    #[test]
    fn no_text_makes_it_panic(
        keyword in any::<String>(),
        message in any::<String>(),
        kind in kinds(),
        folding in foldings(),
    ) {
        for words in [Words::Whole, Words::Partial] {
            let rule = Rule::new((), kind, [keyword.clone(), "<a>".to_owned()])
                .with_folding(folding)
                .with_words(words);
            if let Ok(rules) = RuleSet::compile([rule]) {
                for found in rules.matches(&message) {
                    prop_assert!(found.captures.iter().all(|(_, text)| message.contains(text)));
                }
            }
        }
        let _ = Keyword::parse(&message);
        if let Ok(template) = Template::parse(&message) {
            prop_assert!(template.render(&(), Missing::Empty).is_ok());
        }
    }

    #[test]
    fn a_template_is_its_pieces(
        pieces in proptest::collection::vec((any::<String>(), 0..3_usize, "[^{}]*"), 0..8),
        values in proptest::collection::vec(any::<String>(), 3),
    ) {
        let mut template = String::new();
        let mut expected = String::new();
        let values = [("a", &values[0]), ("b_2", &values[1]), ("नाम", &values[2])];
        for (text, variable, default) in pieces {
            template += &text.replace('{', "{{").replace('}', "}}");
            expected += &text;
            let (name, value) = values[variable];
            if default.is_empty() {
                template.extend(["{", name, "}"]);
                expected += value;
            } else {
                template.extend(["{", name, "|", &default, "}"]);
                expected += if value.trim().is_empty() { &default } else { value };
            }
        }
        let rendered = Template::parse(&template).unwrap().render(&values, Missing::Error);
        prop_assert_eq!(rendered.as_deref(), Ok(expected.as_str()));
    }
}
