//! `kabar sandbox`.

use std::error::Error;
use std::net::SocketAddr;

use clap::Args;
use kabar_sandbox::{
    DEFAULT_APP_SECRET, DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN, DEFAULT_VERIFY_TOKEN,
    DEFAULT_WABA_ID, Sandbox, SandboxConfig,
};

use crate::serve::stopped;

/// How the sandbox runs.
#[derive(Debug, Args)]
pub(crate) struct SandboxArgs {
    /// Where it listens.
    #[arg(long, default_value = "127.0.0.1:4040")]
    listen: SocketAddr,
    /// How others reach it, for media addresses.
    #[arg(long)]
    public_url: Option<String>,
    /// Makes ids, delays and fault probabilities repeat.
    #[arg(long)]
    seed: Option<u64>,
}

/// Runs the offline WhatsApp until it is stopped.
pub(crate) async fn run(args: SandboxArgs) -> Result<(), Box<dyn Error>> {
    let config = SandboxConfig {
        bind: args.listen,
        public_url: args.public_url,
        seed: args.seed,
        ..SandboxConfig::default()
    };
    let sandbox = Sandbox::start(config).await?;
    println!("the sandbox speaks Meta's Graph API at {}", sandbox.base_url());
    println!("  access token      {DEFAULT_TOKEN}");
    println!("  business account  {DEFAULT_WABA_ID}");
    println!("  phone number id   {DEFAULT_PHONE_NUMBER_ID}");
    println!("  app secret        {DEFAULT_APP_SECRET}");
    println!("  verify token      {DEFAULT_VERIFY_TOKEN}");
    println!("control it at {}/control/state", sandbox.base_url());
    stopped().await;
    sandbox.stop().await;
    Ok(())
}
