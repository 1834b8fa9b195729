//! SPDX expressions, as far as manifests use them: `AND`, `OR`, brackets, and the old `/`.

/// Whether one may choose only licences of the list. `OR` binds weaker than `AND`.
pub(crate) fn permits(expression: &str, list: &[&str]) -> bool {
    let expression = trimmed(expression);
    let any = split(&expression.replace('/', " OR "), " OR ");
    if any.len() > 1 {
        return any.iter().any(|part| permits(part, list));
    }
    let all = split(expression, " AND ");
    if all.len() > 1 {
        return all.iter().all(|part| permits(part, list));
    }
    list.contains(&expression)
}

/// Without outer blanks and brackets.
fn trimmed(expression: &str) -> &str {
    let expression = expression.trim();
    let inner = expression.strip_prefix('(').and_then(|rest| rest.strip_suffix(')'));
    match inner {
        Some(inner) if balanced(inner) => trimmed(inner),
        _ => expression,
    }
}

/// Whether no bracket closes before it opens.
fn balanced(text: &str) -> bool {
    let mut depth = 0_i32;
    text.chars().all(|letter| {
        depth += step(letter);
        depth >= 0
    })
}

const fn step(letter: char) -> i32 {
    match letter {
        '(' => 1,
        ')' => -1,
        _ => 0,
    }
}

/// The parts between a word, outside of brackets.
fn split(expression: &str, word: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for piece in expression.split_inclusive(word) {
        let (text, cut) = match piece.strip_suffix(word) {
            Some(text) => (text, true),
            None => (piece, false),
        };
        depth += text.chars().map(step).sum::<i32>();
        let last = parts.last_mut().expect("one part at least");
        last.push_str(text);
        match (cut, depth) {
            (true, 0) => parts.push(String::new()),
            (true, _) => last.push_str(word),
            (false, _) => {}
        }
    }
    parts
}

#[test]
fn expressions_are_read_as_meant() {
    let list = ["MIT", "Apache-2.0", "Unicode-3.0"];
    for (expression, permitted) in [
        ("MIT", true),
        ("GPL-3.0", false),
        ("MIT OR GPL-3.0", true),
        ("GPL-3.0/MIT", true),
        ("MIT AND GPL-3.0", false),
        ("(MIT OR GPL-3.0) AND Unicode-3.0", true),
        ("(MIT OR GPL-3.0) AND LGPL-2.1", false),
        ("(MIT OR Apache-2.0) AND (GPL-3.0 OR Unicode-3.0)", true),
        ("GPL-3.0 OR MIT AND Apache-2.0", true),
        ("(GPL-3.0 OR MIT) AND AGPL-3.0 OR GPL-2.0", false),
        ("none", false),
    ] {
        assert_eq!(permits(expression, &list), permitted, "{expression}");
    }
}
