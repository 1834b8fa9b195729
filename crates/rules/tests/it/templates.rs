use std::collections::{BTreeMap, HashMap};

use kabar_rules::{MatchKind, Missing, RenderError, Rule, RuleSet, Template, TemplateError};

const VALUES: [(&str, &str); 4] =
    [("name", "Sari"), ("empty", ""), ("blank", " \t"), ("braces", "{name} {{x}} {")];

#[test]
fn variables_become_values() {
    let cases = [
        ("", ""),
        ("no variable", "no variable"),
        ("Hello {name}!", "Hello Sari!"),
        ("{ name }{name}", "SariSari"),
        ("Hello {name|friend}", "Hello Sari"),
        ("Hello {nobody|friend}", "Hello friend"),
        ("Hello {nobody|}.", "Hello ."),
        ("Hello {nobody| a | b }.", "Hello  a | b ."),
        ("{empty|none}/{blank|none}", "none/none"),
        ("[{empty}{blank}]", "[ \t]"),
        ("{{name}} }} {{", "{name} } {"),
        ("{{{name}}}", "{Sari}"),
        ("{nobody|x}}}", "x}"),
        // Values are not templates.
        ("{braces}", "{name} {{x}} {"),
        ("{braces}{name}", "{name} {{x}} {Sari"),
    ];
    for (template, expected) in cases {
        let rendered = Template::parse(template).unwrap().render(&VALUES, Missing::Error);
        assert_eq!(rendered.as_deref(), Ok(expected), "{template}");
    }
}

#[test]
fn a_missing_value_is_a_hole_or_an_error() {
    let template = Template::parse("Hello {nobody}!").unwrap();
    assert_eq!(template.render(&VALUES, Missing::Empty).as_deref(), Ok("Hello !"));
    let error = template.render(&VALUES, Missing::Error).unwrap_err();
    assert_eq!(error, RenderError::MissingValue { name: "nobody".to_owned() });
    assert_eq!(error.to_string(), "`{nobody}` has no value; give one, or a default: `{nobody|…}`");
}

#[test]
fn a_wrong_template_is_refused_with_the_place() {
    let cases = [
        ("é {name", TemplateError::Unclosed { at: 2 }),
        ("{", TemplateError::Unclosed { at: 0 }),
        ("{a{b}", TemplateError::Unclosed { at: 0 }),
        ("{a|{b}}", TemplateError::Unclosed { at: 0 }),
        ("é }", TemplateError::Unopened { at: 2 }),
        ("{name}}", TemplateError::Unopened { at: 6 }),
        ("{}", TemplateError::InvalidName { at: 0, name: String::new() }),
        ("{|x}", TemplateError::InvalidName { at: 0, name: String::new() }),
        ("a {b c}", TemplateError::InvalidName { at: 2, name: "b c".to_owned() }),
    ];
    for (template, expected) in cases {
        assert_eq!(Template::parse(template), Err(expected), "{template}");
    }
    assert_eq!(
        Template::parse("{").unwrap_err().to_string(),
        "`{` at character 0 is never closed; add `}`, or write `{{` for the sign itself"
    );
    assert_eq!(
        Template::parse("}").unwrap_err().to_string(),
        "`}` at character 0 closes nothing; write `}}` for the sign itself"
    );
}

#[test]
fn variables_are_listed_once_in_order() {
    let template = Template::parse("{b} {a|x} {b|y} {{c}} {नाम}").unwrap();
    assert_eq!(template.variables().collect::<Vec<_>>(), ["b", "a", "नाम"]);
}

#[test]
fn values_come_from_many_places() {
    let template = Template::parse("{a}{b|-}").unwrap();
    let render =
        |values: &dyn kabar_rules::Values| template.render(values, Missing::Empty).unwrap();
    assert_eq!(render(&()), "-");
    assert_eq!(render(&vec![("a", "1")]), "1-");
    assert_eq!(render(&HashMap::from([("a".to_owned(), "1".to_owned())])), "1-");
    assert_eq!(render(&BTreeMap::from([("b", "2")])), "2");
    assert_eq!(render(&([("a", "1")], [("a", "0"), ("b", "2")])), "12");
    let rules = RuleSet::compile([Rule::new((), MatchKind::Exact, ["<a> and <b>"])]).unwrap();
    let found = rules.first_match("{b} and two").unwrap();
    assert_eq!(render(&found.captures), "{b}two");
    assert_eq!(render(&found.captures.to_map()), "{b}two");
}
