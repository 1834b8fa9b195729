//! The second act: an offer to every customer at a careful pace, told to another program by signed
//! webhooks, and counted.
#![expect(
    clippy::indexing_slicing,
    reason = "indexing a JSON value gives null where there is nothing; it never panics"
)]

use std::error::Error;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::receiver::Receiver;
use super::story::{pause, text};
use crate::rest::Api;

/// How long the broadcast and its webhooks may take before the demo counts as failed.
const PATIENCE: Duration = Duration::from_mins(1);
/// What an endpoint hears of the broadcast, whatever else happens in between.
const HEARD: [&str; 2] = ["broadcast.started", "broadcast.completed"];

/// Sends a paced broadcast to so many customers, shows the webhooks that it caused, and a table of
/// everything that happened.
pub(super) async fn tell(api: &Api, device: &str, customers: usize) -> Result<(), Box<dyn Error>> {
    println!("6. A webhook endpoint that checks signatures (Standard Webhooks)");
    let receiver = endpoint(api).await?;
    println!("7. An offer to everybody, paced: a second and a little more between two");
    let broadcast = start(api, device).await?;
    watch(api, &broadcast, customers).await?;
    hear(&receiver).await?;
    println!("8. What happened today");
    table(api, customers).await
}

async fn endpoint(api: &Api) -> Result<Receiver, Box<dyn Error>> {
    let receiver = Receiver::start().await?;
    let body = json!({ "url": receiver.url(), "events": ["broadcast.*"] });
    let made = api.post("/webhooks", &body).await?;
    receiver.trust(&text(&made["secret"])?)?;
    println!("   {} for broadcast.*", receiver.url());
    Ok(receiver)
}

async fn start(api: &Api, device: &str) -> Result<String, Box<dyn Error>> {
    let delay = json!({ "min_seconds": 1, "max_seconds": 1, "jitter_seconds": 1 });
    let settings = json!({ "pacing": { "delay": delay } });
    api.patch(&format!("/devices/{device}"), &json!({ "settings": settings })).await?;
    let body = json!({
        "name": "Tomorrow's offer",
        "senders": [{ "device_id": device }],
        "audience": { "everyone": true },
        "content": { "type": "text", "body": "Tomorrow in {city}, {name}: two for one." },
        "start": { "when": "now" },
    });
    let made = api.post("/broadcasts", &body).await?;
    text(&made["id"])
}

/// Follows the broadcast until everybody read it.
async fn watch(api: &Api, broadcast: &str, customers: usize) -> Result<(), Box<dyn Error>> {
    let bar = ProgressBar::new(customers as u64);
    bar.set_style(ProgressStyle::with_template("   [{bar:30}] {pos}/{len} {msg}")?);
    let began = Instant::now();
    loop {
        let now = api.get(&format!("/broadcasts/{broadcast}")).await?;
        let (state, progress) = (now["state"].as_str().unwrap_or_default(), &now["progress"]);
        let read = progress["read"].as_u64().unwrap_or_default();
        bar.set_position(read);
        bar.set_message(format!("read; {state}, {} wait for their turn", progress["queued"]));
        if state == "completed" && read >= customers as u64 {
            bar.finish();
            return Ok(());
        }
        if state == "failed" || began.elapsed() > PATIENCE {
            bar.abandon();
            return Err(format!("the broadcast is {state}: {now}").into());
        }
        pause(Duration::from_millis(200)).await;
    }
}

/// Waits for the endpoint to have heard of the broadcast's beginning and end.
async fn hear(receiver: &Receiver) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    loop {
        let kinds = receiver.kinds();
        if HEARD.iter().all(|kind| kinds.iter().any(|heard| heard == kind)) {
            println!("   the endpoint got, signed: {}", kinds.join(", "));
            return Ok(());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("the endpoint only heard {kinds:?}").into());
        }
        pause(Duration::from_millis(50)).await;
    }
}

/// Messages by where they came from; fails if they are not what was done.
async fn table(api: &Api, customers: usize) -> Result<(), Box<dyn Error>> {
    let began = Instant::now();
    let counted = loop {
        let found = api.get("/statistics/messages?by=total&group=origin").await?;
        let totals = &found["totals"];
        // Three messages out to each, one in, all read.
        let done = totals["read"] == json!(customers * 3) && totals["incoming"] == json!(customers);
        if done {
            break found;
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("the statistics never told what was done: {totals}").into());
        }
        pause(Duration::from_millis(100)).await;
    };
    println!("   {:12} {:>8} {:>9} {:>6} {:>9}", "", "incoming", "outgoing", "read", "failed");
    let rows = counted["rows"].as_array().cloned().unwrap_or_default();
    let rows = rows.iter().map(|row| (row["group"].as_str().unwrap_or_default(), &row["figures"]));
    for (name, figures) in rows.chain([("total", &counted["totals"])]) {
        let cell = |name: &str| figures[name].as_u64().unwrap_or_default();
        let (incoming, outgoing) = (cell("incoming"), cell("outgoing"));
        let (read, failed) = (cell("read"), cell("failed"));
        println!("   {name:12} {incoming:>8} {outgoing:>9} {read:>6} {failed:>9}");
    }
    Ok(())
}
