//! `kabar pair`.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null where there is nothing; it never panics"
)]

use std::error::Error;
use std::time::Duration;

use clap::Args;
use kabar_server::qr;
use serde_json::{Value, json};

use crate::rest::Remote;

/// How often the server is asked for the code and the state.
const LOOK: Duration = Duration::from_millis(500);

/// Which device is paired, and how.
#[derive(Debug, Args)]
pub(crate) struct PairArgs {
    /// The device's id: `dev_…`.
    device: String,
    /// The number of the phone, to pair by a code that is typed there instead of one to scan.
    #[arg(long)]
    number: Option<String>,
    #[command(flatten)]
    remote: Remote,
}

/// Shows codes until the phone took one, or until there are no more.
pub(crate) async fn run(args: PairArgs) -> Result<(), Box<dyn Error>> {
    let api = args.remote.api()?;
    let path = format!("/devices/{}", args.device);
    api.post(&format!("{path}/pair"), &json!({ "number": args.number })).await?;
    let mut shown = Value::Null;
    loop {
        let now = api.get(&format!("{path}/pairing")).await?;
        match now["state"].as_str() {
            Some("connected") => {
                println!(
                    "Paired and connected: {}",
                    now["phone"].as_str().unwrap_or("(no number)")
                );
                return Ok(());
            }
            Some("connecting" | "reconnecting" | "qr") => {}
            _ => return Err(now["state_reason"].as_str().unwrap_or("it was not paired").into()),
        }
        if now["code"] != shown {
            show(&now)?;
            shown = now["code"].clone();
        }
        tokio::time::sleep_until(tokio::time::Instant::now() + LOOK).await;
    }
}

fn show(now: &Value) -> Result<(), qr::QrError> {
    match (now["method"].as_str(), now["code"].as_str()) {
        (Some("scan"), Some(code)) => {
            println!("{}", qr::terminal(code)?);
            println!("On the phone: Linked devices, Link a device. A new code follows by itself.");
        }
        (Some("type"), Some(code)) => {
            println!("{code}");
            println!(
                "On the phone: Linked devices, Link a device, Link with phone number instead."
            );
        }
        (_, _) => {}
    }
    Ok(())
}
