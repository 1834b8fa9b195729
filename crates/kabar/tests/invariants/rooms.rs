//! Which room may know which.

use std::collections::BTreeSet;

use cargo_metadata::DependencyKind;

use crate::workspace::{ALL, BUILT, declared, linked, member, members};

/// Libraries that belong to few rooms; `*` stands for the rest of a name.
const ONLY_IN: &[(&str, &[&str])] = &[
    ("async-nats", &["kabar-wake-nats"]),
    ("sea-orm*", &["kabar-storage", "kabar-migrations"]),
    // Only in tests: the matrix compares what lies in the tables before and after.
    ("sqlx*", &["kabar-server"]),
    ("poem*", &["kabar-server"]),
    ("handlebars", &["kabar-server"]),
    ("lettre", &["kabar-mail"]),
    ("calamine", &["kabar-contacts"]),
    ("zip", &["kabar-contacts"]),
    ("rust_xlsxwriter", &["kabar-exports", "kabar-insights"]),
    // Beside the sandbox only in tests, as somebody else's server.
    ("axum", &["kabar-sandbox", "kabar-cloud-api", "kabar"]),
    // In the sandbox only in tests, as somebody else's client.
    ("whatsapp-rust*", &["kabar-qr-session", "kabar-sandbox"]),
    ("wacore*", &["kabar-qr-session", "kabar-sandbox"]),
    ("waproto", &["kabar-qr-session", "kabar-sandbox"]),
];

/// Rooms that hold the business, and know neither a channel, nor a database, nor a server.
const DOMAIN: &[&str] = &[
    "kabar-accounts",
    "kabar-automation",
    "kabar-channel",
    "kabar-contacts",
    "kabar-core",
    "kabar-devices",
    "kabar-events",
    "kabar-exports",
    "kabar-insights",
    "kabar-jobs",
    "kabar-messaging",
    "kabar-operations",
    "kabar-outbound",
    "kabar-rules",
    "kabar-webhooks",
];

const TECHNICAL: &[&str] = &[
    "kabar",
    "kabar-cloud-api",
    "kabar-mail",
    "kabar-migrations",
    "kabar-qr-session",
    "kabar-sandbox",
    "kabar-server",
    "kabar-storage",
    "kabar-wake-nats",
];

/// Runtimes and I/O, which `core` must not bring into everything.
const IO: &[&str] = &[
    "axum",
    "hyper",
    "mio",
    "poem",
    "reqwest",
    "ring",
    "rusqlite",
    "rustls",
    "sea-orm",
    "socket2",
    "sqlx-core",
    "tokio",
];

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(start) => name.starts_with(start),
        None => name == pattern,
    }
}

fn check(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// Libraries that these rooms may use in tests alone.
const ONLY_IN_TESTS: [(&str, &str); 4] = [
    ("kabar", "axum"),
    ("kabar-cloud-api", "axum"),
    ("kabar-sandbox", "whatsapp-rust"),
    ("kabar-server", "sqlx"),
];

#[test]
fn what_is_for_tests_stays_there() {
    let faults: Vec<String> = ONLY_IN_TESTS
        .iter()
        .filter(|(room, library)| declared(member(room), &BUILT).contains(*library))
        .map(|(room, library)| format!("{room} must not depend on {library} outside of tests"))
        .collect();
    check(&faults);
}

#[test]
fn some_libraries_belong_to_few_rooms() {
    let mut faults = Vec::new();
    for package in members() {
        for name in declared(package, &ALL) {
            let wrong = ONLY_IN.iter().find(|(pattern, rooms)| {
                fits(pattern, &name) && !rooms.contains(&package.name.as_str())
            });
            if wrong.is_some() {
                faults.push(format!("{} must not depend on {name}", package.name));
            }
        }
    }
    check(&faults);
}

#[test]
fn the_domain_knows_no_channel_no_storage_and_no_server() {
    let mut faults = Vec::new();
    for room in DOMAIN {
        for name in declared(member(room), &BUILT) {
            if TECHNICAL.contains(&name.as_str()) {
                faults.push(format!("{room} must not depend on {name}"));
            }
        }
    }
    check(&faults);
}

#[test]
fn every_room_is_known_here() {
    let known: BTreeSet<&str> = DOMAIN.iter().chain(TECHNICAL).copied().collect();
    let mut unknown: Vec<String> = Vec::new();
    for package in members() {
        let name = package.name.as_str();
        if !known.contains(name) && name != "kabar-testkit" {
            unknown.push(format!("{name}: is it domain or technical?"));
        }
    }
    check(&unknown);
}

#[test]
fn the_channels_do_not_know_each_other() {
    let channels = ["kabar-cloud-api", "kabar-qr-session"];
    let mut faults = Vec::new();
    for package in members() {
        let name = package.name.as_str();
        if !channels.contains(&name) {
            continue;
        }
        for other in declared(package, &ALL) {
            if other != name && channels.contains(&other.as_str()) {
                faults.push(format!("{name} must not depend on {other}"));
            }
        }
    }
    check(&faults);
}

#[test]
fn core_brings_no_runtime_and_no_io() {
    let linked = linked(member("kabar-core"));
    let found: Vec<String> = IO
        .iter()
        .filter(|name| linked.contains(**name))
        .map(|name| format!("kabar-core must not bring {name}"))
        .collect();
    check(&found);
    assert!(linked.contains("chrono"), "the graph was read");
}

#[test]
fn rules_stand_alone() {
    let own: Vec<String> = declared(member("kabar-rules"), &ALL)
        .into_iter()
        .filter(|name| name.starts_with("kabar"))
        .collect();
    check(&own);
}

#[test]
fn the_testkit_is_for_tests_only() {
    let mut faults = Vec::new();
    for package in members() {
        if package.publish.as_ref().is_some_and(Vec::is_empty) {
            continue;
        }
        if declared(package, &BUILT).contains("kabar-testkit") {
            faults.push(format!("{} must not ship kabar-testkit", package.name));
        }
    }
    check(&faults);
    let testkit = member("kabar-testkit");
    assert_eq!(testkit.publish, Some(Vec::new()), "publish = false");
    let users = members()
        .into_iter()
        .filter(|it| declared(it, &[DependencyKind::Development]).contains("kabar-testkit"));
    assert!(users.count() > 0, "nobody tests with the testkit");
}
