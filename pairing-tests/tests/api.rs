//! Pairing a device of our own server, over its API.

use kabar_pairing_tests::{PATIENCE, Town, talks};
use kabar_sandbox::multi_device::{Addressing, MultiDevice, MultiDeviceConfig};
use serde_json::json;

const SHOP: &str = "6281200000001";

async fn by_scanning(config: MultiDeviceConfig) {
    let whatsapp = MultiDevice::start(config).await.unwrap();
    let phone = whatsapp.phone(SHOP).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path(), &whatsapp).await.unwrap();
    let device = town.device().await.unwrap();
    let pair = format!("/devices/{device}/pair");
    assert_eq!(town.raw(&format!("/devices/{device}/pairing/qr.png")).await.unwrap().status(), 404);

    town.post(&pair, &json!({})).await.unwrap();
    let mut scanned = false;
    let events = town.follow(&device, |event| {
        if let Some(code) = event["code"].as_str().filter(|_| !scanned) {
            assert_eq!((&event["state"], &event["method"]), (&json!("qr"), &json!("scan")));
            phone.scan(code).unwrap();
            scanned = true;
        }
    });
    let events = events.await.unwrap();
    let last = events.last().unwrap();
    assert_eq!((&last["state"], &last["code"]), (&json!("connected"), &json!(null)), "{events:?}");
    assert_eq!(last["phone"], format!("+{SHOP}"));
    assert_eq!(town.status(&pair, &json!({})).await.unwrap(), 409, "it has a session");
    talks(&town, &whatsapp, (SHOP, &device), "paired").await;
    town.stop().await;

    // It logs in again by itself.
    let town = Town::start(folder.path(), &whatsapp).await.unwrap();
    town.state(&device, "connected").await.unwrap();
    talks(&town, &whatsapp, (SHOP, &device), "again").await;
    assert_eq!(phone.companions().len(), 1);

    // Logged out, the phone does not list it any more, and it can be paired anew, by number.
    town.post(&format!("/devices/{device}/logout"), &json!({})).await.unwrap();
    let out = town.state(&device, "logged_out").await.unwrap();
    assert!(out["state_reason"].as_str().unwrap().contains("on purpose"), "{out}");
    assert!(phone.companions().is_empty());
    town.post(&pair, &json!({ "number": format!("+{SHOP}") })).await.unwrap();
    let code = town.code(&device).await.unwrap();
    assert_eq!(code["method"], "type");
    phone.enter_code(code["code"].as_str().unwrap()).unwrap();
    town.state(&device, "connected").await.unwrap();
    talks(&town, &whatsapp, (SHOP, &device), "by number").await;
    town.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_qr_code_then_by_number() {
    by_scanning(MultiDeviceConfig::default()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_qr_code_with_an_account_of_lids() {
    by_scanning(MultiDeviceConfig { addressing: Addressing::Lid, ..Default::default() }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_and_another_way() {
    let whatsapp = MultiDevice::start(MultiDeviceConfig::default()).await.unwrap();
    let phone = whatsapp.phone(SHOP).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let town = Town::start(folder.path(), &whatsapp).await.unwrap();
    let device = town.device().await.unwrap();
    let pair = format!("/devices/{device}/pair");
    assert_eq!(town.status(&pair, &json!({ "number": "0812" })).await.unwrap(), 422);

    town.post(&pair, &json!({})).await.unwrap();
    assert_eq!(town.code(&device).await.unwrap()["method"], "scan");
    for (name, kind, begins) in
        [("svg", "image/svg+xml", &b"<?xml"[..]), ("png", "image/png", b"\x89PNG")]
    {
        let path = format!("/devices/{device}/pairing/qr.{name}");
        let answer = town.raw(&path).await.unwrap();
        assert_eq!(
            (answer.status().as_u16(), &answer.headers()["content-type"]),
            (200, &kind.parse().unwrap())
        );
        assert_eq!(answer.headers()["cache-control"], "no-store");
        assert!(answer.bytes().await.unwrap().starts_with(begins));
    }

    // Whoever cannot scan asks for a code to type instead, while the other is still there.
    town.post(&pair, &json!({ "number": format!("+{SHOP}") })).await.unwrap();
    let begun = std::time::Instant::now();
    let code = loop {
        let code = town.code(&device).await.unwrap();
        if code["method"] == "type" {
            break code;
        }
        assert!(begun.elapsed() < PATIENCE);
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    };
    phone.enter_code(code["code"].as_str().unwrap()).unwrap();
    town.state(&device, "connected").await.unwrap();

    // The phone removes it: it says so, and can be paired anew.
    phone.log_out(phone.companions()[0].device).unwrap();
    town.state(&device, "logged_out").await.unwrap();
    town.post(&pair, &json!({})).await.unwrap();
    phone.scan(town.code(&device).await.unwrap()["code"].as_str().unwrap()).unwrap();
    town.state(&device, "connected").await.unwrap();

    // Given up, it shows no more codes, and rests.
    let other = town.device().await.unwrap();
    town.post(&format!("/devices/{other}/pair"), &json!({})).await.unwrap();
    town.code(&other).await.unwrap();
    town.post(&format!("/devices/{other}/disconnect"), &json!({})).await.unwrap();
    town.state(&other, "disconnected").await.unwrap();
    let path = format!("/devices/{other}/pairing/qr.svg");
    assert_eq!(town.raw(&path).await.unwrap().status(), 404);
    town.stop().await;
}
