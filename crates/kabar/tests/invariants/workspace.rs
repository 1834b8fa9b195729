//! The workspace as cargo sees it.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::LazyLock;

use cargo_metadata::{CargoOpt, DependencyKind, Metadata, MetadataCommand, Package, PackageId};

static METADATA: LazyLock<Metadata> = LazyLock::new(|| {
    MetadataCommand::new()
        .manifest_path(root().join("Cargo.toml"))
        .features(CargoOpt::AllFeatures)
        // Not offline: the graph names packages of other systems, which no build here fetches.
        .other_options(["--locked".to_owned()])
        .exec()
        .expect("cargo metadata")
});

pub(crate) fn metadata() -> &'static Metadata {
    &METADATA
}

/// The folder of the workspace.
pub(crate) fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Our own packages.
pub(crate) fn members() -> Vec<&'static Package> {
    metadata().workspace_packages()
}

pub(crate) fn member(name: &str) -> &'static Package {
    members()
        .into_iter()
        .find(|package| package.name.as_str() == name)
        .expect("a member of the workspace")
}

/// The names that a package declares, for the kinds asked for.
pub(crate) fn declared(package: &Package, kinds: &[DependencyKind]) -> BTreeSet<String> {
    package
        .dependencies
        .iter()
        .filter(|dependency| kinds.contains(&dependency.kind))
        .map(|dependency| dependency.name.clone())
        .collect()
}

/// All that is linked into a package, by name.
pub(crate) fn linked(package: &Package) -> BTreeSet<String> {
    let resolve = metadata().resolve.as_ref().expect("a resolved graph");
    let mut seen: BTreeSet<&PackageId> = BTreeSet::new();
    let mut open = vec![&package.id];
    while let Some(id) = open.pop() {
        let node = resolve.nodes.iter().find(|node| node.id == *id);
        let normal = node.expect("a node").deps.iter().filter(|dependency| {
            let mut kinds = dependency.dep_kinds.iter();
            kinds.any(|kind| kind.kind == DependencyKind::Normal)
        });
        for dependency in normal {
            if seen.insert(&dependency.pkg) {
                open.push(&dependency.pkg);
            }
        }
    }
    let packages = metadata().packages.iter();
    packages
        .filter(|package| seen.contains(&package.id))
        .map(|package| package.name.to_string())
        .collect()
}

/// What goes into the library itself, not into its tests.
pub(crate) const BUILT: [DependencyKind; 2] = [DependencyKind::Normal, DependencyKind::Build];

/// Everything that is declared.
pub(crate) const ALL: [DependencyKind; 3] =
    [DependencyKind::Normal, DependencyKind::Build, DependencyKind::Development];
