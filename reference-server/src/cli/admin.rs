//! `kabar admin …`.

use std::error::Error;

use clap::Subcommand;
use kabar::core::ExposeSecret as _;

use crate::config::Config;
use crate::serve::build_platform;

#[derive(Debug, Subcommand)]
pub(crate) enum AdminCommand {
    /// Makes a provider administrator with an API key, and prints the key once.
    Create {
        /// The administrator's mail address.
        email: String,
    },
    /// Prints a token that sets the password of a user, once, within a day.
    Password {
        /// The user's mail address.
        email: String,
    },
}

/// Carries out an administrator's command.
pub(crate) async fn run(config: &Config, command: AdminCommand) -> Result<(), Box<dyn Error>> {
    let (platform, _lock) = build_platform(config).await?;
    match command {
        AdminCommand::Create { email } => {
            let access = platform.accounts().create_provider_admin(&email).await?;
            println!("administrator  {} ({email})", access.user.id);
            println!("API key        {}", access.secret.expose_secret());
            println!("The key is shown this once; it has every permission.");
        }
        AdminCommand::Password { email } => {
            let token = platform.logins().password_token(&email).await?;
            let token = token.ok_or("nobody here has this address")?;
            println!("token  {}", token.expose_secret());
            println!("POST it with the new password to /api/v1/auth/password/reset.");
        }
    }
    platform.database().close().await;
    Ok(())
}
