//! A harbour to measure paired sessions in: a real `kabar serve`, and a WhatsApp in a process of its
//! own, so that memory and processor time of the server are the server's alone.

#[path = "../../reference-server/tests/crash/api.rs"]
pub(crate) mod api;
#[path = "../http/cpu.rs"]
pub(crate) mod cpu;
#[path = "../../reference-server/tests/crash/database.rs"]
pub(crate) mod database;
pub(crate) mod dice;
pub(crate) mod door;
pub(crate) mod fleet;
pub(crate) mod ledger;
pub(crate) mod look;
#[path = "../../reference-server/tests/crash/server.rs"]
pub(crate) mod server;
pub(crate) mod whatsapp;

/// A number of the environment, or what is usual.
pub(crate) fn number(name: &str, usual: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}
