//! `kabar demo`: the main job on a sandbox, through the same HTTP face that an integrator uses.
//!
//! A business loads its contacts, writes to each of them with its own words filled in, the customers
//! answer, an autoreply rule understands the answers and replies, and every message ends up read. Then
//! everybody gets an offer at a careful pace, another program hears of it by signed webhooks, and a
//! table shows what happened. At last the same business writes from a paired phone.

mod broadcast;
#[cfg(feature = "qr-session")]
mod paired;
mod receiver;
mod story;
mod town;

use std::error::Error;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;

use crate::config::LogConfig;
use crate::serve::stopped;
use crate::telemetry;
use town::Town;

/// The contact file that the repository ships.
const CONTACTS: &str = include_str!("../../../examples/contacts.csv");

/// How the demo runs.
#[derive(Debug, Args)]
pub(crate) struct DemoArgs {
    /// Ends after the story instead of staying up; fails if a step fails.
    #[arg(long)]
    once: bool,
    /// Where the server listens; a free port if this one is taken.
    #[arg(long, default_value = "127.0.0.1:8080")]
    listen: SocketAddr,
    /// Where the sandbox listens; a free port if this one is taken.
    #[arg(long, default_value = "127.0.0.1:4040")]
    sandbox: SocketAddr,
    /// Another contact file: CSV with `name`, `phone` and columns of your own.
    #[arg(long)]
    contacts: Option<PathBuf>,
    /// What is logged, in the words of `tracing`.
    #[arg(long, default_value = "warn")]
    log: String,
}

/// Shows the main job.
pub(crate) async fn run(args: DemoArgs) -> Result<(), Box<dyn Error>> {
    telemetry::init(&LogConfig { level: args.log.clone(), ..LogConfig::default() });
    let contacts = match &args.contacts {
        Some(file) => std::fs::read_to_string(file)
            .map_err(|error| format!("cannot read {}: {error}", file.display()))?,
        None => CONTACTS.to_owned(),
    };
    let town = Town::start(args.listen, args.sandbox).await?;
    let told = story::tell(&town, &contacts).await;
    if told.is_ok() {
        town.introduce();
        if !args.once {
            println!("\nEverything stays up. Stop it with Ctrl-C.");
            stopped().await;
        }
    }
    let ended = town.stop().await;
    told.and(ended)
}
