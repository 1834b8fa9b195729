//! Every kind of event is in the catalogue, and in the documentation.

use std::collections::BTreeSet;

use kabar::webhooks::kinds::KINDS;

const FACTS: &str = include_str!("../../../../events/src/fact.rs");
const PAGE: &str = include_str!("../../../../../docs/webhooks.md");

#[test]
fn every_fact_can_be_subscribed_to() {
    let known: BTreeSet<&str> = KINDS.iter().map(|(kind, _)| *kind).collect();
    let facts: BTreeSet<&str> = FACTS
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Self::"))
        .filter_map(|line| line.split_once("=> \""))
        .filter_map(|(_, rest)| rest.split_once('"').map(|(kind, _)| kind))
        .collect();
    assert!(facts.len() > 15, "the source was read");
    let missing: Vec<&&str> = facts.difference(&known).collect();
    assert!(missing.is_empty(), "add to kinds::KINDS and docs/webhooks.md: {missing:?}");
    let gone: Vec<&&str> =
        known.difference(&facts).filter(|kind| **kind != "webhook.test").collect();
    assert!(gone.is_empty(), "nothing tells of {gone:?}");
}

#[test]
fn every_kind_is_documented() {
    for (kind, words) in KINDS {
        assert!(PAGE.contains(&format!("| `{kind}` | {words} |")), "docs/webhooks.md: {kind}");
    }
}
