//! The same business on a paired phone: a session minted by the sandbox, with a virtual phone at the
//! other end. No phone is needed, and no number can be banned.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null where there is nothing; it never panics"
)]

use std::error::Error;
use std::time::{Duration, Instant};

use kabar_sandbox::multi_device::{MultiDevice, VirtualPhone};
use serde_json::{Value, json};

use super::story::{pause, text};
use crate::rest::Api;

/// The business's second number.
const SHOP: &str = "6281100000001";
/// A customer who writes to it.
const CUSTOMER: &str = "6281100000002";
/// What the customer writes.
const ORDER: &str = "order soto 2";
/// For how long each step may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Tells this part of the story; fails if a step does not turn out as it should.
pub(super) async fn tell(api: &Api, whatsapp: &MultiDevice) -> Result<(), Box<dyn Error>> {
    println!("9. The same business on a paired phone (unofficial, here: the sandbox)");
    let device = device(api, whatsapp).await?;
    let customer = whatsapp.phone(CUSTOMER)?;
    customer.set_name("Budi")?;
    rule(api, &device).await?;
    api.post(
        "/messages",
        &json!({ "messages": [{
            "device_id": device,
            "to": { "phone": format!("+{CUSTOMER}") },
            "content": { "type": "text", "body": "Hello, what may we bring you?" },
        }] }),
    )
    .await?;
    hears(&customer, "Hello, what may we bring you?").await?;
    customer.text(SHOP, ORDER)?;
    println!("   ← {ORDER}");
    hears(&customer, "Thank you, 2 x soto, coming up.").await?;
    side_by_side(api).await
}

/// A device whose session is brought in from the sandbox, connected.
async fn device(api: &Api, whatsapp: &MultiDevice) -> Result<String, Box<dyn Error>> {
    let new = json!({ "name": "Courier", "channel": "qr_session", "accept_risk": true });
    let made = api.post("/devices", &new).await?;
    let device = text(&made["device"]["id"])?;
    let session = serde_json::to_value(whatsapp.mint(SHOP)?)?;
    api.put(&format!("/devices/{device}/session"), &session).await?;
    api.post(&format!("/devices/{device}/connect"), &json!({})).await?;
    let begun = Instant::now();
    loop {
        let now = api.get(&format!("/devices/{device}")).await?;
        if now["state"] == "connected" {
            println!("   connected after {} ms", begun.elapsed().as_millis());
            return Ok(device);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("the paired device is still {}", now["state"]).into());
        }
        pause(Duration::from_millis(50)).await;
    }
}

async fn rule(api: &Api, device: &str) -> Result<(), Box<dyn Error>> {
    let body = "Thank you, {qty} x {item}, coming up.";
    api.post(
        "/rules",
        &json!({
            "device_id": device,
            "name": "Orders by phone",
            "matching": { "kind": "begin", "keywords": ["order <item> <qty>"] },
            "response": { "type": "message", "content": { "type": "text", "body": body } },
        }),
    )
    .await
    .map(|_| ())
}

/// The customer's phone decrypted it.
async fn hears(customer: &VirtualPhone, words: &str) -> Result<(), Box<dyn Error>> {
    customer.wait_for_text(words, PATIENCE).await?;
    println!("   → {words}");
    Ok(())
}

/// Both channels in one list, the unofficial one with its risk.
async fn side_by_side(api: &Api) -> Result<(), Box<dyn Error>> {
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    println!("10. Both channels");
    for device in api.all("/devices").await?.iter().rev() {
        println!(
            "   {:12} {:11} {:18} {}",
            word(&device["name"]),
            word(&device["channel"]),
            word(&device["phone"]),
            word(&device["state"]),
        );
        if let Some(risk) = device["ban_risk"].as_str() {
            println!("   {:12} ! {}", "", risk.split(". ").nth(1).unwrap_or(risk));
        }
    }
    Ok(())
}
