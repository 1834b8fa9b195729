//! The command line.

mod admin;
mod backup;
mod keys;
mod migrate;
mod openapi;
#[cfg(feature = "qr-session")]
mod pair;
mod sandbox;
#[cfg(feature = "qr-session")]
mod sessions;

use std::error::Error;
use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::config::Config;
use crate::{demo, serve, telemetry};

/// What `--version` says: what is linked decides about the licence of the whole binary.
#[cfg(feature = "qr-session")]
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\nwith paired devices: links wacore-libsignal, whose files carry AGPL-3.0 headers; \
     see docs/licensing.md"
);
#[cfg(not(feature = "qr-session"))]
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// A WhatsApp platform.
#[derive(Debug, Parser)]
#[command(name = "kabar", version = VERSION, about)]
pub(crate) struct Cli {
    /// The configuration file; `kabar.toml` in this folder when absent, if there is one.
    #[arg(long, short, global = true, env = "KABAR_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Runs the server.
    Serve,
    /// Shows the main job on a sandbox: no phone, no account, no other service.
    Demo(demo::DemoArgs),
    /// Runs the offline WhatsApp alone, for your own tests.
    Sandbox(sandbox::SandboxArgs),
    /// Brings the database's schema up to date, or shows what is missing.
    Migrate(migrate::MigrateArgs),
    /// Writes all rows and files to one file, while the server runs; never the keys.
    Backup(backup::BackupArgs),
    /// Brings a backup back into an empty database, of either kind.
    Restore(backup::RestoreArgs),
    /// The keys that secrets are sealed under.
    Keys {
        #[command(subcommand)]
        command: keys::KeysCommand,
    },
    /// Pairs a device of a running server: shows the code in the terminal until the phone took it.
    #[cfg(feature = "qr-session")]
    Pair(pair::PairArgs),
    /// Lists the paired sessions of a running server, and how they do.
    #[cfg(feature = "qr-session")]
    Sessions(sessions::SessionsArgs),
    /// Prints the OpenAPI document.
    Openapi,
    /// What the operator does by hand.
    Admin {
        #[command(subcommand)]
        command: admin::AdminCommand,
    },
}

/// Carries out a command.
pub(crate) async fn run(cli: Cli) -> Result<(), Box<dyn Error>> {
    if matches!(cli.command, Command::Openapi) {
        return openapi::run();
    }
    if let Command::Sandbox(args) = cli.command {
        telemetry::init(&crate::config::LogConfig::default());
        return sandbox::run(args).await;
    }
    if let Command::Demo(args) = cli.command {
        return demo::run(args).await;
    }
    #[cfg(feature = "qr-session")]
    match cli.command {
        Command::Pair(args) => return pair::run(args).await,
        Command::Sessions(args) => return sessions::run(args).await,
        _ => {}
    }
    let config = Config::load(cli.config.as_deref())?;
    let _traces = telemetry::init_with_traces(&config.log, &config.telemetry)?;
    match cli.command {
        Command::Serve => serve::run(config).await,
        Command::Migrate(args) => migrate::run(&config, &args).await,
        Command::Backup(args) => backup::backup(&config, &args).await,
        Command::Restore(args) => backup::restore(&config, &args).await,
        Command::Keys { command } => keys::run(&config, &command).await,
        Command::Admin { command } => admin::run(&config, command).await,
        // Those that need no configuration were carried out above.
        _ => Ok(()),
    }
}
