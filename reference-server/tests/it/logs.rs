//! What stands in the log when everything is logged: nothing of people, nothing secret.

use std::io::Write;
use std::sync::{Arc, Mutex};

use serde_json::json;
use tracing_subscriber::fmt::MakeWriter;

use crate::bed::{Bed, Call};

/// Keeps what was written.
#[derive(Clone, Default)]
struct Paper(Arc<Mutex<Vec<u8>>>);

impl Write for Paper {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Paper {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The levels that somebody who looks for a fault would set: everything of ours, a lot of theirs.
const LEVEL: &str = "debug,kabar=trace,kabar_server=trace,kabar_accounts=trace,kabar_automation=trace,\
     kabar_cloud_api=trace,kabar_contacts=trace,kabar_devices=trace,kabar_events=trace,kabar_jobs=trace,\
     kabar_mail=trace,kabar_messaging=trace,kabar_operations=trace,kabar_storage=trace,\
     kabar_sandbox=off";

#[tokio::test(flavor = "current_thread")]
async fn the_log_holds_nothing_of_people_and_no_secret() {
    let paper = Paper::default();
    let subscriber =
        tracing_subscriber::fmt().json().with_env_filter(LEVEL).with_writer(paper.clone()).finish();
    // A single subscriber is asked only on its own thread: what other tests' threads would log first
    // would then count as uninteresting everywhere. Two are asked wherever something is logged.
    let second = tracing::Dispatch::new(tracing_subscriber::registry());
    // For this thread alone, on which everything of this test runs.
    let guard = tracing::subscriber::set_default(subscriber);
    let bed = Bed::new().await;
    let tenant = bed.tenant(7).await;
    let words = "rahasia-antara-kita";
    let send = |to: &str| {
        json!({ "messages": [{
            "device_id": tenant.device,
            "to": { "phone": to },
            "content": { "type": "text", "body": words },
        }]})
    };
    bed.make("/messages", &tenant.token, None, &send("+6281277700001")).await;
    // A query with a number, a body that is wrong, a credential that is unknown, a bad signature.
    let call = Call::get("/api/v1/contacts?search=6281277700001").bearer(&tenant.token);
    bed.call(call).await;
    let mut wrong = send("+6281277700002");
    wrong["messages"][0]["content"]["body"] = json!(42);
    bed.call(Call::post("/api/v1/messages").bearer(&tenant.token).json(&wrong)).await;
    bed.call(Call::get("/api/v1/devices").bearer("kbr_unknown-credential")).await;
    let body = Bed::incoming(&tenant.number, "6281277700003", "wamid.log", words);
    bed.deliver(body.to_string().as_bytes()).await.expect(200);
    bed.call(
        Call::post(format!("/webhooks/cloud-api/{}", tenant.app)).bytes("application/json", words),
    )
    .await;
    let new = json!({ "email": "ayu.rahasia@example.com", "name": "Ayu Rahasia", "role": "agent" });
    bed.make("/users", &tenant.token, None, &new).await;
    bed.platform.drain().await.unwrap();
    drop((guard, second));

    let log = String::from_utf8(paper.0.lock().unwrap().clone()).unwrap();
    assert!(log.lines().count() > 20, "something was logged: {}", log.lines().count());
    for line in log.lines() {
        serde_json::from_str::<serde_json::Value>(line).expect("each line is JSON");
    }
    let random = |secret: &str| secret.rsplit('_').next().unwrap().to_owned();
    let secrets = [random(&tenant.token), random(&tenant.device_token), random(&bed.admin)];
    for never in [
        words,
        "6281277700001",
        "6281277700002",
        "6281277700003",
        "628120000007",
        "unknown-credential",
        "ayu.rahasia",
        "Ayu Rahasia",
        "owner7@example.com",
        "op@example.com",
        "token-7",
        "selamat datang",
        crate::bed::APP_SECRET,
        crate::bed::VERIFY_TOKEN,
        secrets[0].as_str(),
        secrets[1].as_str(),
        secrets[2].as_str(),
    ] {
        let line = log.lines().find(|line| line.contains(never));
        assert!(line.is_none(), "`{never}` is in the log: {}", line.unwrap_or_default());
    }
}
