//! Serves a sandbox until Ctrl-C: `cargo run -p kabar-sandbox --example serve -- 0.0.0.0:4040`.

use kabar_sandbox::{DEFAULT_PHONE_NUMBER_ID, DEFAULT_TOKEN, Sandbox, SandboxConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut config = SandboxConfig::default();
    if let Some(bind) = std::env::args().nth(1) {
        config.bind = bind.parse()?;
    }
    let sandbox = Sandbox::start(config).await?;
    println!("Graph API      {}/v25.0", sandbox.base_url());
    println!("control API    {}/control/state", sandbox.base_url());
    println!("token          {DEFAULT_TOKEN}");
    println!("phone number   {DEFAULT_PHONE_NUMBER_ID}");
    tokio::signal::ctrl_c().await?;
    sandbox.stop().await;
    Ok(())
}
