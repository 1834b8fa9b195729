//! What must stay true about the workspace, read from `cargo metadata` and the manifests.
//! `docs/architecture.md` says why.

#![expect(clippy::expect_used, reason = "tests")]

mod licence;
mod manifests;
mod rooms;
mod supply;
mod workspace;
