//! What happens: 1,000 messages go out, 500 come in, and the server dies again and again.

use std::time::Duration;

use kabar_sandbox::{CustomerPatch, Inbound, Sandbox};
use serde_json::{Value, json};

use crate::api::Api;
use crate::check;
use crate::database::Place;
use crate::stage::Stage;

/// Messages that go out.
pub(crate) const OUT: usize = 1_000;
/// Messages that come in.
pub(crate) const IN: usize = 500;
/// Messages of one call.
const CALL: usize = 20;
/// Seconds after which an unanswered send is repeated; longer than any webhook takes here, the
/// time that the server is down included.
const RESEND_AFTER: u32 = 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Policy {
    Hold,
    Resend,
}

pub(crate) struct Story {
    policy: Policy,
    stage: Stage,
}

/// The number of a recipient of ours.
pub(crate) fn recipient(n: usize) -> String {
    format!("+62812{n:07}")
}

/// The number of a customer who writes to us.
pub(crate) fn customer(n: usize) -> String {
    format!("62813{n:07}")
}

impl Story {
    pub(crate) async fn begin(place: Place, policy: Policy, seed: u64) -> Self {
        let stage = Stage::set(place, seed, settings(policy)).await;
        rule(&stage.api, &stage.device).await;
        Self { policy, stage }
    }

    pub(crate) async fn tell(self, rounds: u32) {
        let Self { policy, mut stage } = self;
        for n in 0..OUT {
            let window = CustomerPatch { window_open: Some(true), ..CustomerPatch::default() };
            stage.sandbox.put_customer(recipient(n).trim_start_matches('+'), window).unwrap();
        }
        let out = tokio::spawn(send_all(stage.api.clone(), stage.device.clone()));
        let inward = tokio::spawn(say_all(stage.sandbox.clone()));
        for round in 0..rounds {
            let wait = 100 + stage.random.draw(900);
            tokio::time::sleep(Duration::from_millis(wait)).await;
            stage.kill(&format!("{} of {rounds}, after {wait} ms", round + 1)).await;
            stage.revive().await;
        }
        let accepted = out.await.unwrap();
        inward.await.unwrap();
        check::until_quiet(&stage.api, &stage.sandbox, policy).await;
        check::outgoing(&stage.api, &stage.sandbox, policy, &accepted).await;
        check::incoming(&stage.api, &stage.sandbox, policy).await;
        stage.clear().await;
    }
}

fn settings(policy: Policy) -> Value {
    match policy {
        Policy::Hold => json!({ "uncertain": "hold", "settle_seconds": 2 }),
        Policy::Resend => {
            json!({ "uncertain": "resend", "resend_after_seconds": RESEND_AFTER })
        }
    }
}

async fn rule(api: &Api, device: &str) {
    let body = json!({
        "device_id": device,
        "name": "Echo",
        "matching": { "kind": "begin", "keywords": ["question <n>"] },
        "response": { "type": "message", "content": { "type": "text", "body": "answer {n}" } },
    });
    api.post("/rules", &body, "rule").await;
}

/// Sends everything; returns the ids that the server accepted.
async fn send_all(api: Api, device: String) -> Vec<String> {
    let mut accepted = Vec::with_capacity(OUT);
    for call in 0..OUT / CALL {
        let messages: Vec<Value> = (call * CALL..(call + 1) * CALL)
            .map(|n| {
                json!({
                    "device_id": device,
                    "to": { "phone": recipient(n) },
                    "content": { "type": "text", "body": format!("message {n}") },
                    "reference": format!("ref-{n}"),
                })
            })
            .collect();
        let body = json!({ "messages": messages });
        let made = api.post("/messages", &body, &format!("call-{call}")).await;
        let made = made["items"].as_array().or_else(|| made["messages"].as_array()).unwrap();
        accepted.extend(made.iter().map(|message| message["id"].as_str().unwrap().to_owned()));
    }
    accepted
}

/// Every customer asks one question.
async fn say_all(sandbox: Sandbox) {
    for n in 0..IN {
        sandbox.customer_says(Inbound::text(customer(n), format!("question {n}"))).unwrap();
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
