//! The `hub.challenge` handshake.

use std::time::Duration;

use super::{Handshake, WebhookConfig};
use crate::error::SandboxError;
use crate::world::World;

/// How long a callback may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// Longest answer worth reading, in bytes.
const MAX_ANSWER: usize = 1_024;

/// Saves a callback, after the handshake unless that is skipped.
pub(crate) async fn save_webhook(
    world: &World,
    config: WebhookConfig,
) -> Result<Handshake, SandboxError> {
    let token = world.directory().prepare_app(&config).verify_token.clone();
    let handshake = if config.skip_handshake {
        Handshake { passed: true, status: None, detail: "skipped".to_owned() }
    } else {
        shake(world, &config.callback_url, &token).await
    };
    if handshake.passed {
        world.directory().save_webhook(&config)?;
    }
    Ok(handshake)
}

/// Asks a callback to echo a challenge.
pub(crate) async fn shake(world: &World, callback: &str, verify_token: &str) -> Handshake {
    let challenge = (1_000_000_000 + world.dice.next() % 1_000_000_000).to_string();
    let failed = |status, detail: String| Handshake { passed: false, status, detail };
    let url = match url::Url::parse(callback) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        Ok(_) => return failed(None, "the callback is not an http address".to_owned()),
        Err(error) => return failed(None, error.to_string()),
    };
    let query = [
        ("hub.mode", "subscribe"),
        ("hub.challenge", &challenge),
        ("hub.verify_token", verify_token),
    ];
    let request = world.courier.client().get(url).query(&query).timeout(PATIENCE);
    let response = match request.header("user-agent", "facebookplatform/1.0").send().await {
        Ok(response) => response,
        Err(error) => return failed(None, error.to_string()),
    };
    let status = response.status().as_u16();
    if status != 200 {
        return failed(Some(status), format!("the callback answered {status}"));
    }
    match response.bytes().await {
        Ok(body) if body.len() <= MAX_ANSWER && body == challenge.as_bytes() => {
            Handshake { passed: true, status: Some(status), detail: "ok".to_owned() }
        }
        Ok(_) => failed(Some(status), "the answer is not the challenge".to_owned()),
        Err(error) => failed(Some(status), error.to_string()),
    }
}
