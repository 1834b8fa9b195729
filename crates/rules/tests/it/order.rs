use kabar_rules::{Folding, MatchKind, Rule, RuleSet};

use MatchKind::{Begin, Contains, End, Exact};

fn keys(rules: Vec<Rule<&'static str>>, message: &str) -> Vec<&'static str> {
    RuleSet::compile(rules).unwrap().matches(message).map(|found| *found.key).collect()
}

#[test]
fn priority_comes_first() {
    let rules = vec![
        Rule::new("low exact", Exact, ["a b"]).with_priority(-1),
        Rule::new("exact", Exact, ["a b"]),
        Rule::new("high", Contains, ["b"]).with_priority(1),
    ];
    assert_eq!(keys(rules, "a b"), ["high", "exact", "low exact"]);
}

#[test]
fn then_the_kind_then_the_longer_keyword_then_age() {
    let rules = vec![
        Rule::new("contains short", Contains, ["two"]),
        Rule::new("contains long", Contains, ["one two three"]),
        Rule::new("end", End, ["three"]),
        Rule::new("begin", Begin, ["one"]),
        Rule::new("begin of five", Begin, ["one <x> thr<y>"]),
        Rule::new("exact capture", Exact, ["one <x>"]),
        Rule::new("exact", Exact, ["ONE TWO THREE"]),
        Rule::new("exact again", Exact, ["one, two, three!"]),
        Rule::new("other", Exact, ["one two"]),
    ];
    let expected = [
        "exact",
        "exact again",
        "exact capture",
        "begin of five",
        "end",
        "begin",
        "contains long",
        "contains short",
    ];
    assert_eq!(keys(rules, "one two three"), expected);
}

#[test]
fn a_rule_matches_once_with_its_longest_keyword() {
    let rules =
        RuleSet::compile([Rule::new((), Contains, ["a", "ccc", "bb", "bbb", "a b"])]).unwrap();
    let found: Vec<_> = rules.matches("a bbb ccc").map(|found| found.keyword).collect();
    assert_eq!(found, [1]);
    let exact = RuleSet::compile([Rule::new((), Exact, ["x", "hello", "Hello!"])]).unwrap();
    let found: Vec<_> = exact.matches("hello").map(|found| found.keyword).collect();
    assert_eq!(found, [1]);
}

#[test]
fn rules_of_different_folding_share_one_order() {
    let rules = vec![
        Rule::new("as written", Exact, ["Hello"]).with_folding(Folding::NONE),
        Rule::new("folded", Exact, ["hello"]),
        Rule::new("shouted", Exact, ["HELLO"]).with_folding(Folding::NONE),
        Rule::new("part", Contains, ["hello"]),
    ];
    assert_eq!(keys(rules.clone(), "Hello"), ["as written", "folded", "part"]);
    assert_eq!(keys(rules.clone(), "HELLO"), ["folded", "shouted", "part"]);
    assert_eq!(keys(rules, "hello!"), ["folded", "part"]);
}

#[test]
fn an_empty_set_matches_nothing() {
    let rules = RuleSet::<u8>::compile([]).unwrap();
    assert!(rules.is_empty());
    assert_eq!(rules.first_match("hello"), None);
}

#[test]
fn an_empty_message_matches_nothing() {
    let rules = RuleSet::compile([
        Rule::new((), Exact, ["<x>"]),
        Rule::new((), Contains, ["<x>"]),
        Rule::new((), Begin, ["a", "<x> <y>"]),
        Rule::new((), End, ["a"]),
    ])
    .unwrap();
    for message in ["", " ", "\u{200B}", "\n\t"] {
        assert_eq!(rules.matches(message).count(), 0, "{message:?}");
    }
}
