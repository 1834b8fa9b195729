use kabar_rules::limits::{
    MAX_CAPTURES_PER_KEYWORD, MAX_KEYWORD_CHARS, MAX_KEYWORDS_PER_RULE, MAX_NAME_CHARS,
    MAX_RENDERED_CHARS, MAX_TEMPLATE_CHARS, MESSAGE_CHARS,
};
use kabar_rules::{
    Folding, Keyword, KeywordProblem, MatchKind, Missing, RenderError, Rule, RuleError, RuleSet,
    Template, TemplateError, Words,
};

#[test]
fn keywords_are_bounded() {
    assert!(Keyword::parse(&"ä".repeat(MAX_KEYWORD_CHARS)).is_ok());
    let chars = MAX_KEYWORD_CHARS + 1;
    let long = "ä".repeat(chars);
    assert_eq!(Keyword::parse(&long), Err(KeywordProblem::TooLong { chars }));
    // The error does not repeat all of it.
    let error = Rule::new((), MatchKind::Exact, [long]).check().unwrap_err();
    assert!(error.to_string().chars().count() < 200, "{error}");

    let name = "n".repeat(MAX_NAME_CHARS);
    assert!(Keyword::parse(&format!("<{name}>")).is_ok());
    assert!(Keyword::parse(&format!("<{name}n>")).is_err());

    let captures =
        |count: usize| (0..count).map(|index| format!("<c{index}>")).collect::<Vec<_>>().join(" ");
    assert!(Keyword::parse(&captures(MAX_CAPTURES_PER_KEYWORD)).is_ok());
    let error = Keyword::parse(&captures(MAX_CAPTURES_PER_KEYWORD + 1));
    assert_eq!(error, Err(KeywordProblem::TooManyCaptures));

    let count = MAX_KEYWORDS_PER_RULE;
    assert!(Rule::new((), MatchKind::Exact, vec!["a"; count]).check().is_ok());
    let error = Rule::new((), MatchKind::Exact, vec!["a"; count + 1]).check();
    assert_eq!(error, Err(RuleError::TooManyKeywords { count: count + 1 }));
}

#[test]
fn of_a_long_message_the_beginning_is_seen() {
    let filler = |chars: usize| "x".repeat(chars);
    let fires = |kind, keyword: &str, message: &str| {
        crate::fires(kind, Words::Whole, Folding::ALL, keyword, message)
    };
    let fits = format!("hi {} end", filler(MESSAGE_CHARS - 7));
    assert_eq!(fits.chars().count(), MESSAGE_CHARS);
    assert!(fires(MatchKind::End, "end", &fits));
    assert!(fires(MatchKind::Contains, "end", &fits));
    assert!(fires(MatchKind::Exact, "<all>", &fits));

    // The word that crosses the border is not seen at all.
    let crossing = format!("{fits}ing");
    assert!(fires(MatchKind::Begin, "hi", &crossing));
    assert!(!fires(MatchKind::Contains, "end", &crossing));
    let beyond = format!("{fits} end");
    assert!(fires(MatchKind::Contains, "end", &beyond));
    assert!(!fires(MatchKind::End, "end", &beyond));
    assert!(!fires(MatchKind::Exact, "<all>", &beyond));
    // One word without end is seen up to the limit.
    assert!(fires(MatchKind::Begin, "价", &"价".repeat(2 * MESSAGE_CHARS)));
}

#[test]
fn captures_of_a_long_message_end_where_sight_ends() {
    let rules = RuleSet::compile([Rule::new((), MatchKind::Begin, ["say <x>"])]).unwrap();
    let message = format!("say {}", "word ".repeat(MESSAGE_CHARS));
    let found = rules.first_match(&message).unwrap();
    let text = found.captures.get("x").unwrap();
    assert!(text.chars().count() <= MESSAGE_CHARS);
    assert!(text.ends_with("word"));
}

#[test]
fn hostile_messages_cost_bounded_work() {
    // Long repetitions, stacked marks, and a character that folds to eighteen.
    let messages =
        ["a".repeat(100_000), format!("a{}", "\u{301}".repeat(100_000)), "ﷺ".repeat(100_000)];
    let near_miss = format!("{}b", "a".repeat(MAX_KEYWORD_CHARS - 1));
    for kind in [MatchKind::Exact, MatchKind::Contains, MatchKind::Begin, MatchKind::End] {
        for words in [Words::Whole, Words::Partial] {
            let keywords = [near_miss.as_str(), "<a>a<b>a<c>a<d>a<e>b", "<x> <y> <z>b"];
            let rule = Rule::new((), kind, keywords).with_words(words);
            let rules = RuleSet::compile([rule]).unwrap();
            for message in &messages {
                assert_eq!(rules.matches(message).count(), 0);
            }
        }
    }
}

#[test]
fn templates_are_bounded() {
    assert!(Template::parse(&"x".repeat(MAX_TEMPLATE_CHARS)).is_ok());
    let chars = MAX_TEMPLATE_CHARS + 1;
    assert_eq!(Template::parse(&"x".repeat(chars)), Err(TemplateError::TooLong { chars }));

    let template = Template::parse(&"{a}".repeat(1_000)).unwrap();
    let value = "x".repeat(MAX_RENDERED_CHARS / 1_000);
    assert!(template.render(&[("a", value)], Missing::Error).is_ok());
    let value = "x".repeat(MAX_RENDERED_CHARS / 1_000 + 1);
    let error = template.render(&[("a", value)], Missing::Error);
    assert_eq!(error, Err(RenderError::TooLong));
}
