use kabar_rules::{Folding, MatchKind, Rule, RuleSet};

use MatchKind::{Begin, Contains, End, Exact};

type Case = (MatchKind, &'static str, &'static str, Option<&'static [&'static str]>);

#[test]
fn captures_take_what_the_documentation_says() {
    check(
        Folding::ALL,
        &[
            (Begin, "order <item> <qty>", "order nasi goreng 2", Some(&["nasi goreng", "2"])),
            (Begin, "order <item> <qty>", "Order Teh 2", Some(&["Teh", "2"])),
            (Begin, "order <item> <qty>", "order teh", None),
            (Begin, "order <item>", "order", None),
            (Begin, "order <item>", "order!", None),
            (Begin, "order <item>", "orderan teh", None),
            (Begin, "order <item>", "my order tea", None),
            (Contains, "order <item>", "my order: tea", Some(&["tea"])),
            (Contains, "order <item>", "border tea", None),
            (
                Contains,
                "from <a> to <b>",
                "go from Solo to Kota Batu.",
                Some(&["Solo", "Kota Batu"]),
            ),
            (Exact, "from <a> to <b>", "go from Solo to Batu", None),
            (Exact, "<a> to <b>", "to to to", Some(&["to", "to"])),
            (Exact, "<a> to <b>", "to to", None),
            (End, "<what> please", "two teas, please!", Some(&["two teas"])),
            (End, "<what> please", "please wait", None),
            (
                End,
                "order <a> now",
                "order tea now then order rice now",
                Some(&["tea now then order rice"]),
            ),
            (Contains, "order <a> now", "order tea now then order rice now", Some(&["tea"])),
            (Exact, "<all>", "  what ever  ", Some(&["what ever"])),
            (Exact, "<all>", "  !? ", None),
            (Exact, "<a> <b> <c>", "1 2 3 4 5", Some(&["1 2 3", "4", "5"])),
            (Exact, "<a> and <b> <c>", "1 2 and 3 4 5", Some(&["1 2", "3 4", "5"])),
            (Exact, "<a>\t \n<b>", "1\n2", Some(&["1", "2"])),
            (Begin, "order<id>", "order123 x", Some(&["123 x"])),
            (Begin, "order<id>", "order 123", Some(&["123"])),
            (Begin, "order<id>", "order,123", Some(&["123"])),
            (Exact, "<n>kg", "12kg", Some(&["12"])),
            (Exact, "<n>kg", "kg", None),
            (Exact, "<n>kg", "1 kg", Some(&["1"])),
        ],
    );
}

#[test]
fn captured_text_is_as_it_was_written() {
    check(
        Folding::ALL,
        &[
            (
                Begin,
                "order <item> <qty>",
                "ORDER: Nasi Goreng (pedas) 2.5!",
                Some(&["Nasi Goreng (pedas)", "2.5"]),
            ),
            (Begin, "order <item> <qty>", "order tea,2", None),
            (
                Contains,
                "my name is <name>",
                "hi! My  name is:  O'Brien, Pat. ",
                Some(&["O'Brien, Pat"]),
            ),
            (Begin, "mail <address>", "mail Budi.S@Mail.example!", Some(&["Budi.S@Mail.example"])),
            (
                Begin,
                "note <text>",
                "note \u{201C}Ｆｕｌｌ ﬁsh\u{201D}",
                Some(&["\u{201C}Ｆｕｌｌ ﬁsh\u{201D}"]),
            ),
            (Begin, "say <x>", "say a \t b", Some(&["a \t b"])),
            (Begin, "say <x>", "say - a -", Some(&["a -"])),
            (Begin, "say <x>", "say ❤\u{FE0F}", Some(&["❤\u{FE0F}"])),
            (Begin, "say <x>", "say cafe\u{301}\u{200B} ", Some(&["cafe\u{301}"])),
            (Begin, "say <x>", "say \u{2067}مرحبا\u{2069}", Some(&["\u{2067}مرحبا\u{2069}"])),
            (Begin, "say <x>", "say İ", Some(&["İ"])),
            (Contains, "ชื่อ<name>", "ผมชื่อสมชายครับ", Some(&["สมชายครับ"])),
            (Contains, "我叫<name>", "你好，我叫小明。", Some(&["小明"])),
            (Contains, "मेरा नाम <name> है", "जी, मेरा नाम राम शर्मा है।", Some(&["राम शर्मा"])),
            (Contains, "اسمي <name>", "مرحبا، اسمي عمر؟", Some(&["عمر"])),
        ],
    );
    check(
        Folding::NONE,
        &[
            (Begin, "#<code>", "#A12! ", Some(&["A12!"])),
            (Exact, "reg#<name>#<city>", "reg#Budi S#Kota Batu", Some(&["Budi S", "Kota Batu"])),
            (Exact, "<a>, <b>", "1.5, 2", Some(&["1.5", "2"])),
            (Exact, "a  <b>", "a b", None),
            (Exact, "a  <b>", "a   b", Some(&["b"])),
        ],
    );
}

#[test]
fn captures_are_found_by_name() {
    let rules = RuleSet::compile([Rule::new(7, Begin, ["pesan <jumlah_1> <ชื่อ>"])]).unwrap();
    let found = rules.first_match("Pesan dua teh").unwrap();
    assert_eq!(found.captures.get("jumlah_1"), Some("dua"));
    assert_eq!(found.captures.get("ชื่อ"), Some("teh"));
    assert_eq!(found.captures.get("Jumlah_1"), None);
    assert_eq!(found.captures.len(), 2);
    assert_eq!(found.captures.to_map().into_values().collect::<Vec<_>>(), ["dua", "teh"]);
}

fn check(folding: Folding, cases: &[Case]) {
    for &(kind, keyword, message, expected) in cases {
        let found = crate::captured(kind, folding, keyword, message);
        let expected =
            expected.map(|texts| texts.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(found, expected, "{kind} `{keyword}` on `{message}`");
    }
}
