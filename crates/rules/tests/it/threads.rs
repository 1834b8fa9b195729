use kabar_rules::{
    Captures, CompileError, Folding, Keyword, KeywordProblem, Match, MatchKind, Matches, Missing,
    RenderError, Rule, RuleError, RuleSet, Template, TemplateError, UnknownKind, Words,
};

fn check<T: Send + Sync + Unpin + std::panic::UnwindSafe + std::panic::RefUnwindSafe>() {}

#[test]
fn public_types_may_cross_threads() {
    check::<Captures<'_>>();
    check::<CompileError>();
    check::<Folding>();
    check::<Keyword>();
    check::<KeywordProblem>();
    check::<Match<'_, u64>>();
    check::<MatchKind>();
    check::<Matches<'_, u64>>();
    check::<Missing>();
    check::<RenderError>();
    check::<Rule<u64>>();
    check::<RuleError>();
    check::<RuleSet<u64>>();
    check::<Template>();
    check::<TemplateError>();
    check::<UnknownKind>();
    check::<Words>();
}
