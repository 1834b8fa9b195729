//! Files that are made from the code and committed. `UPDATE=1` writes them.

use std::path::PathBuf;

/// Checks that a file below `docs/` holds the text.
#[track_caller]
#[expect(clippy::disallowed_methods, reason = "tests are configured by their environment")]
pub fn check(name: &str, text: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(name);
    if std::env::var("UPDATE").is_ok() {
        std::fs::write(&path, text).unwrap();
    }
    let there = std::fs::read_to_string(&path).unwrap_or_default();
    let differs = there.lines().zip(text.lines()).position(|(one, other)| one != other);
    assert!(
        there == text,
        "docs/{name} is not what the code says (first difference: line {:?}); run the tests with \
         UPDATE=1 and read the difference",
        differs.map(|line| line + 1)
    );
}
