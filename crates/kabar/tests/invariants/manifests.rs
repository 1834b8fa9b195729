//! What every manifest says.

use std::collections::BTreeSet;
use std::fs;

use crate::workspace::{ALL, declared, members, root};

/// Declared before their first use: the panel's passwords.
const AWAITED: [&str; 1] = ["argon2"];

fn manifest() -> String {
    fs::read_to_string(root().join("Cargo.toml")).expect("the manifest")
}

/// The lines of `[workspace.dependencies]` that declare something.
fn dependencies(manifest: &str) -> Vec<&str> {
    manifest
        .lines()
        .skip_while(|line| *line != "[workspace.dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

fn name(line: &str) -> &str {
    line.split([' ', '=']).next().unwrap_or(line)
}

#[test]
fn every_dependency_says_what_it_is_for() {
    let manifest = manifest();
    let lines = dependencies(&manifest);
    assert!(lines.len() > 40, "the section was read");
    let silent: Vec<&str> = lines
        .into_iter()
        .filter(|line| !line.contains("path = ") && !line.contains(" # "))
        .collect();
    assert!(silent.is_empty(), "without a word of why: {silent:#?}");
}

#[test]
fn every_dependency_is_used() {
    let used: BTreeSet<String> =
        members().into_iter().flat_map(|package| declared(package, &ALL)).collect();
    let manifest = manifest();
    let idle: Vec<&str> = dependencies(&manifest)
        .into_iter()
        .map(name)
        .filter(|name| !used.contains(*name) && !AWAITED.contains(name))
        .collect();
    assert!(idle.is_empty(), "declared for nobody: {idle:?}");
}

#[test]
fn every_room_inherits_what_the_workspace_decides() {
    let wanted = [
        "version.workspace = true",
        "edition.workspace = true",
        "rust-version.workspace = true",
        "license.workspace = true",
        "[lints]\nworkspace = true",
    ];
    for package in members() {
        let text = fs::read_to_string(&package.manifest_path).expect("a manifest");
        for line in wanted {
            assert!(text.contains(line), "{}: {line}", package.manifest_path);
        }
        assert!(package.description.is_some(), "{}: a description", package.name);
    }
}

#[test]
fn versions_are_decided_in_one_place() {
    let mut faults = Vec::new();
    for package in members() {
        let text = fs::read_to_string(&package.manifest_path).expect("a manifest");
        let sections = text.split("\n[").filter(|section| section.contains("dependencies]"));
        for line in sections.flat_map(|section| section.lines().skip(1)) {
            // A room may switch on a feature of its own for its tests.
            let itself = line.contains("{ path = \".\", features");
            let decided =
                line.contains(".workspace = true") || line.contains("workspace = true,") || itself;
            if line.contains('=') && !decided {
                faults.push(format!("{}: {line}", package.name));
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
