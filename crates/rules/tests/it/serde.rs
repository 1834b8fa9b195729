use kabar_rules::{Folding, MatchKind, Rule, Words};
use serde_json::json;

#[test]
fn a_rule_is_plain_json() {
    let rule = Rule::new("r1".to_owned(), MatchKind::Begin, ["hi"])
        .with_priority(3)
        .with_folding(Folding { punctuation: false, ..Folding::ALL })
        .with_words(Words::Partial);
    let value = json!({
        "key": "r1",
        "kind": "begin",
        "keywords": ["hi"],
        "priority": 3,
        "folding": { "case": true, "spaces": true, "punctuation": false },
        "words": "partial",
    });
    assert_eq!(serde_json::to_value(&rule).unwrap(), value);
    assert_eq!(serde_json::from_value::<Rule<String>>(value).unwrap(), rule);
}

#[test]
fn what_is_left_out_has_the_default() {
    let value =
        json!({ "key": 1, "kind": "contains", "keywords": ["a"], "folding": { "case": false } });
    let rule: Rule<u8> = serde_json::from_value(value).unwrap();
    let folding = Folding { case: false, ..Folding::ALL };
    assert_eq!(rule, Rule::new(1, MatchKind::Contains, ["a"]).with_folding(folding));
}

#[test]
fn kinds_are_written_as_they_are_named() {
    for kind in [MatchKind::Exact, MatchKind::Contains, MatchKind::Begin, MatchKind::End] {
        assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.as_str()));
    }
}
