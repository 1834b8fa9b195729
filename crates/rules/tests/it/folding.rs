use kabar_rules::{Folding, MatchKind, Words};

const CASE: Folding = Folding { case: true, ..Folding::NONE };
const SPACES: Folding = Folding { spaces: true, ..Folding::NONE };
const PUNCTUATION: Folding = Folding { punctuation: true, ..Folding::NONE };

#[test]
fn each_folding_disregards_what_it_says() {
    let cases: &[(Folding, &str, &str, bool)] = &[
        (Folding::NONE, "Menu", "Menu", true),
        (Folding::NONE, "Menu", "menu", false),
        (Folding::NONE, "a b", "a  b", false),
        (Folding::NONE, "ab", "ab!", false),
        (Folding::NONE, "ab", "ab ", false),
        (CASE, "Menu", "mENU", true),
        (CASE, "menu", "menu ", false),
        (CASE, "straße", "STRASSE", true),
        (CASE, "straße", "STRAẞE", true),
        (CASE, "ΟΔΟΣ", "οδος", true),
        (CASE, "οδοσ", "οδος", true),
        (CASE, "İ", "i\u{307}", true),
        (CASE, "İstanbul", "istanbul", false),
        (CASE, "ı", "i", false),
        (CASE, "ᾳ", "ΑΙ", true),
        (CASE, "ŉ", "ʼN", true),
        (SPACES, "a b", "  a \t\n b ", true),
        (SPACES, "a b", "a\u{A0}b", true),
        (SPACES, "a b", "a\u{3000}b", true),
        (SPACES, "ab", "a b", false),
        (SPACES, "a", "A", false),
        (PUNCTUATION, "hello world", "hello,world", true),
        (PUNCTUATION, "hello world", "hello, world!", true),
        (PUNCTUATION, "hello world", "hello ,world", true),
        (PUNCTUATION, "hello world", "hello , world", false),
        (PUNCTUATION, "hello  world", "hello , world", true),
        (PUNCTUATION, "jumat", "jum'at", true),
        (PUNCTUATION, "jumat", "jum’at", true),
        (PUNCTUATION, "rock n roll", "rock 'n' roll", true),
        (PUNCTUATION, "hi", "¿hi?", true),
        (PUNCTUATION, "كيف حالك", "كيف حالك؟", true),
        (PUNCTUATION, "你好", "你好！", true),
        (PUNCTUATION, "नमस्ते", "नमस्ते।", true),
        (PUNCTUATION, "a+b", "a+b", true),
        (PUNCTUATION, "ab", "a+b", false),
        (PUNCTUATION, "*bold*", "bold", true),
        (Folding::ALL, "hello world", "¡HELLO ,  WORLD!", true),
        (Folding::ALL, "terima kasih", "Terima-Kasih 🙏", false),
    ];
    for &(folding, keyword, message, expected) in cases {
        let found = crate::fires(MatchKind::Exact, Words::Whole, folding, keyword, message);
        assert_eq!(found, expected, "{folding:?} `{keyword}` = `{message}`");
    }
}

#[test]
fn compatibility_forms_and_invisible_characters_never_matter() {
    let cases = [
        ("menu", "ｍｅｎｕ"),
        ("fish", "ﬁsh"),
        ("café", "cafe\u{301}"),
        ("cafe\u{301}", "café"),
        ("café", "cafe\u{200B}\u{301}"),
        ("menu", "m\u{200B}e\u{AD}n\u{2060}u\u{FEFF}"),
        ("menu", "\u{202E}menu\u{202C}"),
        ("menu", "\u{3164}menu"),
        ("❤", "❤\u{FE0F}"),
        ("می\u{200C}خواهم", "میخواهم"),
        ("한", "\u{1112}\u{1161}\u{11AB}"),
        ("ガ", "ｶﾞ"),
        ("12", "１２"),
        ("ก\u{E4D}\u{E32}", "กำ"),
        ("صلى الله عليه وسلم", "ﷺ"),
    ];
    for (keyword, message) in cases {
        for folding in [Folding::NONE, Folding::ALL] {
            let found = crate::fires(MatchKind::Exact, Words::Whole, folding, keyword, message);
            assert!(found, "{folding:?} `{keyword}` = `{message}`");
        }
    }
}

#[test]
fn every_block_of_unicode_is_taken_without_panic() {
    // Every character but ideographs, syllables and private ones, and some of those.
    let blocks = ('\0'..='\u{33FF}').chain('\u{A4D0}'..='\u{ABFF}').chain('\u{F900}'..='\u{FFFF}');
    for c in blocks.chain(('\u{3400}'..=char::MAX).step_by(101)) {
        let message = format!("x{c}y {c}");
        let keyword = format!("x{c}").replace('<', "\\<");
        let found =
            crate::fires(MatchKind::Begin, Words::Partial, Folding::NONE, &keyword, &message);
        assert!(found, "U+{:04X}", u32::from(c));
    }
}
