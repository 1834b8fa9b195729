use kabar_rules::{Folding, MatchKind, Words};

use MatchKind::{Begin, Contains, End, Exact};
use Words::{Partial, Whole};

#[test]
fn a_keyword_is_looked_for_where_its_kind_says() {
    let cases: &[(MatchKind, Words, &str, &str, bool)] = &[
        (Exact, Whole, "menu", "Menu", true),
        (Exact, Whole, "menu", "the menu", false),
        (Exact, Whole, "menu", "menus", false),
        (Exact, Partial, "menu", "menus", false),
        (Begin, Whole, "hi", "hi there", true),
        (Begin, Whole, "hi", "history", false),
        (Begin, Partial, "hi", "history", true),
        (Begin, Whole, "hi", "oh hi", false),
        (End, Whole, "please", "a menu please", true),
        (End, Whole, "ease", "a menu please", false),
        (End, Partial, "ease", "a menu please", true),
        (End, Whole, "menu", "menu please", false),
        (Contains, Whole, "hi", "oh, hi!", true),
        (Contains, Whole, "hi", "this", false),
        (Contains, Partial, "hi", "this", true),
        (Contains, Whole, "hi", "hi5", false),
        (Contains, Whole, "hi", "hi👋", true),
        (Contains, Whole, "hi", "this is hi", true),
        (Contains, Whole, "terima kasih", "ok terima\n kasih kak", true),
        (Contains, Whole, "terima kasih", "terima dan kasih", false),
    ];
    check(cases);
}

#[test]
fn scripts_without_spaces_have_no_word_ends() {
    check(&[
        (Contains, Whole, "ราคา", "สอบถามราคาเท่าไร", true),
        (Begin, Whole, "สวัสดี", "สวัสดีครับ", true),
        (End, Whole, "ครับ", "สวัสดีครับ", true),
        (Contains, Whole, "价格", "请问价格多少", true),
        (Contains, Whole, "hi", "你好hi吗", true),
        (Contains, Whole, "5", "第5章", true),
        (Contains, Whole, "メニュー", "今日のメニューは", true),
        (Contains, Whole, "ဈေး", "ဒီဈေးဘယ်လောက်", true),
        // Written with spaces: Arabic, Hindi, Korean.
        (Contains, Whole, "سعر", "ما سعر هذا؟", true),
        (Contains, Whole, "سعر", "بسعر", false),
        (Contains, Partial, "سعر", "بسعر", true),
        (Contains, Whole, "दाम", "इसका दाम क्या है?", true),
        (Contains, Whole, "दाम", "बादाम", false),
        (Contains, Whole, "가격", "가격은", false),
        (Contains, Partial, "가격", "가격은", true),
    ]);
}

#[test]
fn no_character_is_cut() {
    check(&[
        // A consonant keeps its vowel sign and tone mark.
        (Contains, Partial, "क", "कि", false),
        (Contains, Whole, "กา", "ก่า", false),
        (Contains, Whole, "มา", "มา่", false),
        (End, Partial, "\u{302}y", "x\u{302}y", false),
        (Begin, Partial, "x", "x\u{302}y", false),
        (Begin, Partial, "e", "e\u{301}", false),
        // A flag keeps both halves.
        (Contains, Whole, "🇮🇩", "halo 🇮🇩!", true),
        (Contains, Whole, "🇮🇩", "🇦🇮🇩🇪", false),
        (Contains, Whole, "🇩🇪", "🇦🇮🇩🇪", true),
        // Emoji joined to one picture stay together, a skin tone does not count.
        (Contains, Whole, "👩", "👨\u{200D}👩\u{200D}👧", false),
        (Contains, Whole, "👨\u{200D}👩\u{200D}👧", "a 👨\u{200D}👩\u{200D}👧 b", true),
        (Contains, Whole, "👍", "ok👍🏽", true),
        (Exact, Whole, "👍", "👍🏽", false),
        (Contains, Whole, "❤", "i ❤\u{FE0F} it", true),
        (Exact, Whole, "#\u{FE0F}\u{20E3}", "#\u{20E3}", true),
        (Exact, Whole, "#\u{FE0F}\u{20E3}", "*\u{20E3}", false),
        (Contains, Whole, "1", "1\u{FE0F}\u{20E3}", false),
    ]);
}

fn check(cases: &[(MatchKind, Words, &str, &str, bool)]) {
    for &(kind, words, keyword, message, expected) in cases {
        assert_eq!(
            crate::fires(kind, words, Folding::ALL, keyword, message),
            expected,
            "{kind} {words:?} `{keyword}` in `{message}`"
        );
    }
}
