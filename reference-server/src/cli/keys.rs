//! `kabar keys`.

use std::error::Error;
use std::path::PathBuf;

use clap::Subcommand;
use kabar::core::{ExposeSecret as _, Secret};
use kabar::{Database, KeyRing};

use super::backup::beside;
use crate::config::Config;

/// Secrets that one unit of work seals anew.
const BATCH: u16 = 100;

/// What to do about the keys.
#[derive(Debug, Subcommand)]
pub(crate) enum KeysCommand {
    /// Shows the names of the keys, and how many secrets are sealed under each.
    List,
    /// Makes a new key and seals every secret under it, or goes on where that stopped.
    Rotate,
    /// Drops the keys that nothing is sealed under.
    Prune,
}

/// Where the ring comes from.
enum Source {
    File(PathBuf),
    Setting(Secret),
}

impl Source {
    fn of(config: &Config) -> Self {
        match &config.keys {
            Some(text) => Self::Setting(text.clone()),
            None => Self::File(config.key_file()),
        }
    }

    fn text(&self) -> Result<Secret, Box<dyn Error>> {
        Ok(match self {
            Self::File(path) => KeyRing::read_file(path)?,
            Self::Setting(text) => text.clone(),
        })
    }

    /// Puts the ring's new text where it is read; what is no file has to be set by hand.
    fn put(&self, text: &Secret, why: &str) -> Result<bool, Box<dyn Error>> {
        match self {
            Self::File(path) => {
                KeyRing::replace_file(path, text)?;
                Ok(true)
            }
            Self::Setting(_) => {
                println!("Set KABAR_KEYS on every node to this, and restart them; {why}:");
                println!("{}", text.expose_secret());
                Ok(false)
            }
        }
    }
}

/// Carries out a command about keys. The server may run meanwhile.
pub(crate) async fn run(config: &Config, command: &KeysCommand) -> Result<(), Box<dyn Error>> {
    let source = Source::of(config);
    let database = beside(config).await?;
    let done = match command {
        KeysCommand::List => list(&database, config).await,
        KeysCommand::Rotate => rotate(&database, config, &source).await,
        KeysCommand::Prune => prune(&database, &source).await,
    };
    database.close().await;
    done
}

async fn list(database: &Database, config: &Config) -> Result<(), Box<dyn Error>> {
    let in_use = database.keys_in_use().await?;
    let ring = config.key_ring()?;
    let current = ring.current();
    for id in ring.ids() {
        let secrets = in_use.get(&id).copied().unwrap_or_default();
        let note = if id == current { "  seals" } else { "" };
        println!("{id}  {secrets} secret(s){note}");
    }
    for id in in_use.keys().filter(|id| !ring.ids().contains(id)) {
        println!("{id}  is missing: its secrets cannot be opened");
    }
    Ok(())
}

async fn rotate(
    database: &Database,
    config: &Config,
    source: &Source,
) -> Result<(), Box<dyn Error>> {
    let current = config.key_ring()?.current();
    let unfinished = database.keys_in_use().await?.into_keys().any(|id| id != current);
    if unfinished {
        println!("Going on with the key {current}.");
    } else {
        let (id, grown) = KeyRing::with_new_key(&source.text()?)?;
        println!("The new key is {id}.");
        if !source.put(&grown, "then run `kabar keys rotate` again")? {
            return Ok(());
        }
    }
    let mut sealed = 0;
    loop {
        let batch = database.reseal(BATCH).await?;
        sealed += batch.done;
        if !batch.more {
            break;
        }
    }
    println!(
        "{sealed} secret(s) sealed anew. When every node runs with the new key: `kabar keys prune`."
    );
    Ok(())
}

async fn prune(database: &Database, source: &Source) -> Result<(), Box<dyn Error>> {
    let in_use: Vec<String> = database.keys_in_use().await?.into_keys().collect();
    let (gone, left) = KeyRing::without_unused(&source.text()?, &in_use)?;
    if gone.is_empty() {
        println!("Every key is in use.");
        return Ok(());
    }
    source.put(&left, "the others are not needed any more")?;
    println!("Dropped: {}. Backups that were sealed under them need them still.", gone.join(", "));
    Ok(())
}
