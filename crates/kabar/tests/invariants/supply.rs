//! What comes from others: from where, under which licence, and what stays out.

use std::collections::BTreeMap;

use crate::licence;
use crate::workspace::metadata;

/// Licences that ask for no more than a notice.
const LICENCES: [&str; 14] = [
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "CC0-1.0",
    "CDLA-Permissive-2.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
    "bzip2-1.0.6",
];

/// A second TLS or crypto stack: `ring` under `rustls` is the only one.
const BANNED: [&str; 10] = [
    "aws-lc-fips-sys",
    "aws-lc-rs",
    "aws-lc-sys",
    "boring",
    "boring-sys",
    "mbedtls",
    "native-tls",
    "openssl",
    "openssl-sys",
    "wolfssl-sys",
];

/// What secrets and signatures rest on, in one version each.
const ONCE: [&str; 6] = ["argon2", "chacha20poly1305", "hmac", "ring", "rustls", "rustls-webpki"];

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

#[test]
fn everything_comes_from_the_registry() {
    for package in &metadata().packages {
        let Some(source) = &package.source else {
            let own = package.manifest_path.starts_with(&metadata().workspace_root);
            assert!(own, "{} lies outside of the workspace", package.name);
            continue;
        };
        assert_eq!(source.repr, REGISTRY, "{}", package.name);
    }
}

#[test]
fn every_licence_is_permissive() {
    let mut faults = Vec::new();
    for package in &metadata().packages {
        let named = package.license.as_deref().unwrap_or("none");
        if !licence::permits(named, &LICENCES) {
            faults.push(format!("{} {}: {named}", package.name, package.version));
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn there_is_one_crypto_stack() {
    let mut versions: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for package in &metadata().packages {
        let name = package.name.as_str();
        assert!(!BANNED.contains(&name), "{name} is in the tree");
        versions.entry(name).or_default().push(package.version.to_string());
    }
    for name in ONCE {
        let found = versions.get(name).map_or(0, Vec::len);
        assert!(found <= 1, "{name}: {:?}", versions.get(name));
    }
    assert!(versions.contains_key("ring"), "the graph was read");
}
