//! The rules for what a tenant may call and note things.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization as _;

use crate::service::ContactError;

/// The most characters of a contact's name.
pub const NAME: usize = 200;
/// The most variables of a contact.
pub const VARIABLES: usize = 100;
/// The most characters of a variable's name.
pub const VARIABLE: usize = 64;
/// The most characters of a variable's value.
pub const VALUE: usize = 1_000;

pub(crate) fn invalid(field: &str, problem: impl Into<String>) -> ContactError {
    ContactError::Invalid { field: field.to_owned(), problem: problem.into() }
}

/// Normalised, in lower case, with single spaces: what makes two names the same.
pub(crate) fn folded(text: &str) -> String {
    let plain: String = text.nfkc().flat_map(char::to_lowercase).collect();
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Words of 1 to `most` characters on one line, without white space around them.
pub(crate) fn words(field: &str, text: &str, most: usize) -> Result<String, ContactError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(invalid(field, "must not be empty"));
    }
    if text.chars().count() > most {
        return Err(invalid(field, format!("is too long; {most} characters are allowed")));
    }
    if text.chars().any(char::is_control) {
        return Err(invalid(field, "must not hold control characters"));
    }
    Ok(text.to_owned())
}

/// What is wrong with a contact's name, if anything.
pub(crate) fn name_problem(name: &str) -> Option<String> {
    if name.chars().count() > NAME {
        return Some(format!("is too long; {NAME} characters are allowed"));
    }
    name.chars().any(char::is_control).then(|| "must not hold control characters".to_owned())
}

pub(crate) fn check_name(name: Option<&str>) -> Result<(), ContactError> {
    match name.and_then(name_problem) {
        Some(problem) => Err(invalid("name", problem)),
        None => Ok(()),
    }
}

/// Whether a word can name a variable.
pub(crate) fn is_variable(name: &str) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    !name.is_empty() && name.chars().count() <= VARIABLE && name.chars().all(word)
}

/// What is wrong with variables, with the name of the first that is: none for all of them.
pub(crate) fn variables_problem(
    variables: &BTreeMap<String, String>,
) -> Option<(Option<&str>, String)> {
    if variables.len() > VARIABLES {
        return Some((None, format!("a contact has at most {VARIABLES} variables")));
    }
    for (name, value) in variables {
        if !is_variable(name) {
            let problem = format!("a name has 1 to {VARIABLE} letters, digits and `_`");
            return Some((Some(name), problem));
        }
        if value.chars().count() > VALUE || value.contains('\0') {
            let problem = format!("a value has at most {VALUE} characters and no NUL");
            return Some((Some(name), problem));
        }
    }
    None
}

pub(crate) fn check_variables(variables: &BTreeMap<String, String>) -> Result<(), ContactError> {
    match variables_problem(variables) {
        Some((Some(name), problem)) => Err(invalid(&format!("variables.{name}"), problem)),
        Some((None, problem)) => Err(invalid("variables", problem)),
        None => Ok(()),
    }
}
