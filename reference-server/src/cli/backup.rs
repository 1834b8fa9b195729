//! `kabar backup` and `kabar restore`.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use indicatif::ProgressBar;
use kabar::core::{Clock as _, SystemClock};
use kabar::{BackupSummary, Database, DatabaseUrl, FolderBlobs, Progress, RestoreOptions};

use crate::config::Config;
use crate::serve::open_database;

/// How often the line that shows the progress moves on.
const TICK: Duration = Duration::from_millis(200);

/// Where a backup goes.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The file to make; it must not be there yet.
    file: PathBuf,
}

/// What to restore.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the command line")]
pub(crate) struct RestoreArgs {
    /// The backup.
    file: PathBuf,
    /// Only checks that the backup is whole, and says what it holds.
    #[arg(long)]
    check: bool,
    /// Removes what the database and the folder for files hold.
    #[arg(long)]
    replace: bool,
    /// Whether messages that waited are held as `uncertain` instead of being sent: the backup does
    /// not know what was sent after it was made.
    #[arg(long, default_value_t = true, action = clap::ArgAction::Set)]
    hold_outbox: bool,
    /// Restores although the backup's secrets cannot be opened with the keys at hand.
    #[arg(long)]
    without_keys: bool,
}

/// Writes everything but the keys to a file. The server may run meanwhile.
pub(crate) async fn backup(config: &Config, args: &BackupArgs) -> Result<(), Box<dyn Error>> {
    let database = beside(config).await?;
    let blobs = FolderBlobs::open(&config.data.join("files"))?;
    let bar = bar();
    let now = SystemClock.now();
    let made = database.backup(&blobs, &args.file, now, &|step| shown(&bar, step)).await;
    bar.finish_and_clear();
    database.close().await;
    println!("backed up to {}", args.file.display());
    told(&made?);
    println!("The keys are not inside. Keep them apart from it: without them no secret opens.");
    Ok(())
}

/// Brings a backup back. The server must be stopped.
pub(crate) async fn restore(config: &Config, args: &RestoreArgs) -> Result<(), Box<dyn Error>> {
    let bar = bar();
    if args.check {
        let found = Database::inspect_backup(&args.file, &|step| shown(&bar, step)).await;
        bar.finish_and_clear();
        told(&found?);
        println!("The backup is whole.");
        return Ok(());
    }
    let (database, _lock) = open_database(config).await?;
    let blobs = FolderBlobs::open(&config.data.join("files"))?;
    let options = RestoreOptions {
        replace: args.replace,
        hold_outbox: args.hold_outbox,
        without_keys: args.without_keys,
    };
    let (now, report) = (SystemClock.now(), |step: Progress<'_>| shown(&bar, step));
    let done = database.restore(&blobs, &args.file, options, now, &report).await;
    bar.finish_and_clear();
    database.close().await;
    let done = done?;
    told(&done);
    if args.hold_outbox {
        println!(
            "{} message(s) that waited are `uncertain` now, with the reason `restored`: look them \
             through, and send again or cancel them.",
            done.held
        );
    }
    println!("Restored.");
    Ok(())
}

/// The database beside a server that may be running: for what only reads, or writes little at once.
pub(crate) async fn beside(config: &Config) -> Result<Database, Box<dyn Error>> {
    let url = config.database()?;
    if let DatabaseUrl::Sqlite(file) = &url
        && !file.exists()
    {
        return Err(format!("there is no database {}", file.display()).into());
    }
    Ok(Database::open(&url, config.key_ring()?).await?)
}

fn bar() -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(TICK);
    bar
}

fn shown(bar: &ProgressBar, step: Progress<'_>) {
    let text = match step {
        Progress::Checked(members) => format!("checked {members} parts"),
        Progress::Rows(table, rows) => format!("{table}: {rows} rows"),
        Progress::Files(files) => format!("{files} files"),
        _ => return,
    };
    bar.set_message(text);
}

fn told(summary: &BackupSummary) {
    let rows: u64 = summary.rows.values().sum();
    println!("  made       {} by Kabar {}", summary.made_at.to_rfc3339(), summary.made_by);
    println!("  rows       {rows} in {} tables", summary.rows.len());
    println!("  files      {}", summary.files);
    println!("  sealed by  {}", summary.keys.join(", "));
}
