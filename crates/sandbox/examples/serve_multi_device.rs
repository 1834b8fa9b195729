//! Serves a multi-device sandbox until Ctrl-C, keys in a folder that is made when absent:
//! `cargo run -p kabar-sandbox --features multi-device --example serve_multi_device -- keys`.
//! The first line of output is JSON for programs.

use kabar_sandbox::multi_device::{MultiDevice, MultiDeviceConfig};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let key_folder = std::env::args_os().nth(1).map(Into::into);
    let mut config = MultiDeviceConfig { key_folder, ..Default::default() };
    if let Some(bind) = std::env::args().nth(2) {
        config.bind = bind.parse()?;
    }
    let server = MultiDevice::start(config).await?;
    let root_key = hex::encode(server.root_key());
    let about = serde_json::json!({
        "ws_url": server.ws_url(),
        "http_url": server.media_url(),
        "root_key": root_key,
    });
    println!("{about}");
    tokio::signal::ctrl_c().await?;
    server.stop().await;
    Ok(())
}
