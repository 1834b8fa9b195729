use kabar_rules::{
    CompileError, Folding, Keyword, KeywordProblem as Problem, MatchKind, Rule, RuleError, RuleSet,
};

fn name(name: &str) -> String {
    name.to_owned()
}

#[test]
fn a_wrong_keyword_is_named_with_its_problem() {
    let cases = [
        ("", Problem::Empty),
        (" \t", Problem::Empty),
        ("I <3 you", Problem::UnclosedCapture),
        ("order <item", Problem::UnclosedCapture),
        ("order <>", Problem::EmptyName),
        ("order < item >", Problem::InvalidName { name: name(" item ") }),
        ("order <a-b>", Problem::InvalidName { name: name("a-b") }),
        ("<a <b>", Problem::InvalidName { name: name("a <b") }),
        ("<a> x <a>", Problem::RepeatedName { name: name("a") }),
        // The same letter in two spellings.
        ("<é> x <e\u{301}>", Problem::RepeatedName { name: name("é") }),
        ("<a><b>", Problem::TouchingCaptures { left: name("a"), right: name("b") }),
        ("<a>, <b>", Problem::SeparatorFolded { left: name("a"), right: name("b") }),
        ("<a>\u{200B}<b>", Problem::SeparatorFolded { left: name("a"), right: name("b") }),
        ("?!", Problem::FoldedAway),
        ("\u{200B}", Problem::FoldedAway),
        ("#<code>", Problem::FoldedAway),
        ("<code>?", Problem::FoldedAway),
    ];
    for (keyword, problem) in cases {
        let rule = Rule::new((), MatchKind::Exact, ["fine", keyword]);
        let expected = RuleError::Keyword { index: 1, keyword: name(keyword), problem };
        assert_eq!(rule.check(), Err(expected.clone()), "{keyword:?}");
        let error = RuleSet::compile([Rule::new((), MatchKind::Exact, ["ok"]), rule]).unwrap_err();
        assert_eq!(error, CompileError::Rule { position: 1, source: expected });
    }
}

#[test]
fn the_message_names_the_keyword_and_the_remedy() {
    let error = Rule::new((), MatchKind::Begin, ["order <item"]).check().unwrap_err();
    assert_eq!(
        error.to_string(),
        "keyword `order <item`: `<` opens a variable that is never closed; \
         add `>`, or write `\\<` for the sign itself"
    );
    let error = Rule::new((), MatchKind::Begin, ["#<code>"]).check().unwrap_err();
    assert!(error.to_string().contains("turn punctuation folding off"), "{error}");
    let error = Rule::new((), MatchKind::Begin, [""; 0]).check().unwrap_err();
    assert_eq!(error.to_string(), "the rule has no keyword; add one");
}

#[test]
fn a_backslash_protects_signs() {
    let cases = [
        (r"I \<3 you", "I <3 you"),
        (r"a \<b\> c", "a <b> c"),
        (r"a > b", "a > b"),
        (r"c:\dir", r"c:\dir"),
        (r"a\\b", r"a\b"),
        (r"end\", r"end\"),
    ];
    for (keyword, message) in cases {
        assert_eq!(Keyword::parse(keyword).unwrap().captures().count(), 0, "{keyword}");
        let captured = crate::captured(MatchKind::Exact, Folding::NONE, keyword, message);
        assert_eq!(captured, Some(vec![]), "{keyword}");
    }
    let captured = crate::captured(MatchKind::Exact, Folding::NONE, r"a\\<x>", r"a\b");
    assert_eq!(captured, Some(vec!["b".to_owned()]));
}

#[test]
fn kinds_have_names() {
    for kind in [MatchKind::Exact, MatchKind::Contains, MatchKind::Begin, MatchKind::End] {
        assert_eq!(kind.to_string().parse(), Ok(kind));
    }
    let error = "regex".parse::<MatchKind>().unwrap_err();
    assert_eq!(error.to_string(), "`regex` is no match kind; use exact, contains, begin or end");
}
