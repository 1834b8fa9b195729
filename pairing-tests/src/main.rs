//! Shows the scan itself: a device is paired with a phone of the sandbox, first by a QR code in the
//! terminal, then, after a log-out, by a code that is typed.

use std::time::Duration;

use kabar_pairing_tests::{PATIENCE, Problem, Town};
use kabar_sandbox::multi_device::{MultiDevice, MultiDeviceConfig};
use kabar_server::qr;
use serde_json::json;

/// The shop's number.
const SHOP: &str = "6281100000001";
/// A customer.
const CUSTOMER: &str = "6281100000002";
/// How long the code stays on the screen before the phone scans it.
const LOOKED_AT: Duration = Duration::from_secs(2);

#[tokio::main]
async fn main() -> Result<(), Problem> {
    let whatsapp = MultiDevice::start(MultiDeviceConfig::default()).await?;
    let (phone, customer) = (whatsapp.phone(SHOP)?, whatsapp.phone(CUSTOMER)?);
    let folder = tempfile::tempdir()?;
    let town = Town::start(folder.path(), &whatsapp).await?;
    let device = town.device().await?;

    println!("1. A device asks for a code");
    town.post(&format!("/devices/{device}/pair"), &json!({})).await?;
    let code = town.code(&device).await?["code"].as_str().unwrap_or_default().to_owned();
    println!("{}", qr::terminal(&code)?);
    tokio::time::sleep(LOOKED_AT).await;

    println!("2. The shop's phone scans it");
    phone.scan(&code)?;
    let paired = town.state(&device, "connected").await?;
    println!("   connected as {}", paired["phone"].as_str().unwrap_or("?"));

    println!("3. It writes to a customer");
    let message = json!({ "messages": [{
        "device_id": device,
        "to": { "phone": format!("+{CUSTOMER}") },
        "content": { "type": "text", "body": "Hello from a paired phone." },
    }] });
    town.post("/messages", &message).await?;
    customer.wait_for_text("Hello from a paired phone.", PATIENCE).await?;
    println!("   → Hello from a paired phone.");

    println!("4. It logs out, and is paired again by a code that is typed");
    town.post(&format!("/devices/{device}/logout"), &json!({})).await?;
    town.state(&device, "logged_out").await?;
    let number = json!({ "number": format!("+{SHOP}") });
    town.post(&format!("/devices/{device}/pair"), &number).await?;
    let code = town.code(&device).await?["code"].as_str().unwrap_or_default().to_owned();
    println!("   the code is {code}");
    phone.enter_code(&code)?;
    town.state(&device, "connected").await?;
    println!("   connected again");
    town.stop().await;
    Ok(())
}
