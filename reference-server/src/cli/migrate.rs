//! `kabar migrate`.

use std::error::Error;

use clap::Args;

use crate::config::Config;
use crate::serve::open_database;

/// What to do about migrations.
#[derive(Debug, Args)]
pub(crate) struct MigrateArgs {
    /// Only shows what is missing; exits with an error if something is.
    #[arg(long)]
    check: bool,
}

/// Applies, or shows, the migrations that are missing.
pub(crate) async fn run(config: &Config, args: &MigrateArgs) -> Result<(), Box<dyn Error>> {
    let (database, _lock) = open_database(config).await?;
    let missing = database.missing_migrations().await?;
    if args.check && !missing.is_empty() {
        return Err(format!("missing: {}", missing.join(", ")).into());
    }
    if !args.check {
        database.migrate().await?;
    }
    match (missing.is_empty(), args.check) {
        (true, _) => println!("the schema is up to date"),
        (false, _) => println!("applied: {}", missing.join(", ")),
    }
    database.close().await;
    Ok(())
}
