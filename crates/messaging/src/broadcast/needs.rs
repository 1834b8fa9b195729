//! The `{variable}`s that a content cannot do without.

use std::collections::{BTreeMap, BTreeSet};

use kabar_channel::{Content, FieldError};
use kabar_contacts::Contact;
use kabar_contacts::contact::IdentityKind;
use kabar_rules::{Missing, Template};

use crate::send::each_text;

/// Every `{variable}` of a content, and those of them that need a value.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Every variable.
    pub all: BTreeSet<String>,
    /// Those without a default somewhere.
    pub required: BTreeSet<String>,
}

impl Needs {
    /// The needs of a content. A text that is no template needs nothing; `problems` tells.
    pub fn of(content: &Content) -> Self {
        let mut needs = Self::default();
        for template in templates(content) {
            let names: BTreeSet<String> = template.variables().map(str::to_owned).collect();
            for name in &names {
                // Judged place by place: with every other value given, is it missed?
                let others: BTreeMap<&str, &str> =
                    names.iter().filter(|other| *other != name).map(|n| (n.as_str(), "")).collect();
                if template.render(&others, Missing::Error).is_err() {
                    needs.required.insert(name.clone());
                }
            }
            needs.all.extend(names);
        }
        needs
    }

    /// The required variables that a recipient has no value for.
    pub fn missing<'a>(
        &'a self,
        variables: &BTreeMap<String, String>,
        contact: Option<&Contact>,
        phone: bool,
    ) -> impl Iterator<Item = &'a str> {
        let has = move |name: &str| {
            variables.contains_key(name)
                || contact.is_some_and(|contact| contact.variables.contains_key(name))
                || match name {
                    "name" => contact.and_then(Contact::display_name).is_some(),
                    "phone" => {
                        phone || contact.and_then(|c| c.identity(IdentityKind::Phone)).is_some()
                    }
                    _ => false,
                }
        };
        let missing: Vec<&'a str> =
            self.required.iter().map(String::as_str).filter(|name| !has(name)).collect();
        missing.into_iter()
    }
}

/// The required variables of a content that have no value here.
pub(crate) fn missing(
    content: &Content,
    variables: &BTreeMap<String, String>,
    contact: Option<&Contact>,
) -> Vec<String> {
    Needs::of(content).missing(variables, contact, false).map(str::to_owned).collect()
}

/// The texts of a content that are no templates, and why.
pub(crate) fn problems(content: &Content) -> Vec<FieldError> {
    let mut problems = Vec::new();
    let mut content = content.clone();
    let visited = each_text(&mut content, &mut |field, text| {
        if let Err(error) = Template::parse(text) {
            problems.push(FieldError::new(field, error.to_string()));
        }
        Ok(())
    });
    if let Err(fields) = visited {
        problems.extend(fields);
    }
    problems
}

fn templates(content: &Content) -> Vec<Template> {
    let mut templates = Vec::new();
    let mut content = content.clone();
    let visited = each_text(&mut content, &mut |_, text| {
        templates.extend(Template::parse(text).ok());
        Ok(())
    });
    if visited.is_err() { Vec::new() } else { templates }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_default_takes_the_need_away() {
        let needs = Needs::of(&Content::text("{greeting|Hi} {name}, {code} {code|none}"));
        assert_eq!(needs.all.len(), 3);
        let required: Vec<&str> = needs.required.iter().map(String::as_str).collect();
        assert_eq!(required, ["code", "name"]);
        let given = BTreeMap::from([("code".to_owned(), "1".to_owned())]);
        assert_eq!(needs.missing(&given, None, true).collect::<Vec<_>>(), ["name"]);
    }

    #[test]
    fn a_text_that_is_no_template_is_named() {
        assert_eq!(problems(&Content::text("{open")).len(), 1);
        assert!(problems(&Content::text("{{open")).is_empty());
    }
}
