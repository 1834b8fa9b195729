//! `kabar sessions`.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null where there is nothing; it never panics"
)]

use std::error::Error;

use clap::Args;
use serde_json::Value;

use crate::rest::Remote;

/// Which server is asked.
#[derive(Debug, Args)]
pub(crate) struct SessionsArgs {
    #[command(flatten)]
    remote: Remote,
}

/// Prints one line for each session.
pub(crate) async fn run(args: SessionsArgs) -> Result<(), Box<dyn Error>> {
    let api = args.remote.api()?;
    println!(
        "{:36} {:13} {:>9} {:>9} {:>13}  name",
        "device", "state", "seconds", "KiB", "undecryptable"
    );
    for session in api.all("/operations/sessions").await? {
        let here = &session["here"];
        let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let number = |value: &Value| value.as_u64().map_or("-".to_owned(), |n| n.to_string());
        let kib = here["memory_bytes"].as_u64().map_or("-".to_owned(), |n| (n / 1024).to_string());
        println!(
            "{:36} {:13} {:>9} {kib:>9} {:>13}  {}",
            word(&session["device_id"]),
            word(&session["state"]),
            number(&here["seconds"]),
            number(&here["undecryptable"]),
            word(&session["name"]),
        );
    }
    Ok(())
}
