//! What people's phones show afterwards.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use kabar_sandbox::{MessageFilter, Sandbox};
use serde_json::Value;

use crate::api::Api;
use crate::story::{IN, OUT, Policy, customer, recipient};

/// Statuses of messages that are still on their way.
const UNDERWAY: [&str; 3] = ["pending", "held", "processing"];

/// Waits until nothing moves any more: no message on its way, no webhook undelivered.
pub(crate) async fn until_quiet(api: &Api, sandbox: &Sandbox, policy: Policy) {
    let began = Instant::now();
    loop {
        let _ = sandbox.quiesce(Duration::from_secs(30)).await;
        let mut underway = 0;
        for status in UNDERWAY {
            underway += api.all(&format!("/messages?status={status}")).await.len();
        }
        if policy == Policy::Resend {
            underway += api.all("/messages?status=uncertain").await.len();
        }
        let incoming = api.all("/messages?direction=in").await.len();
        let answers = sandbox
            .messages(&MessageFilter::default())
            .iter()
            .filter(|message| text(&message.body).starts_with("answer "))
            .count();
        let answered = match policy {
            Policy::Resend => answers >= IN,
            // Under *hold* an answer that was cut off is not sent again.
            Policy::Hold => out_count(api).await >= OUT + IN,
        };
        if underway == 0 && incoming >= IN && answered {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_mins(10),
            "never quiet: {underway} underway, {incoming} came in, {answers} answers"
        );
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let _ = sandbox.quiesce(Duration::from_secs(30)).await;
}

async fn out_count(api: &Api) -> usize {
    api.all("/messages?direction=out").await.len()
}

fn text(body: &Value) -> String {
    body["text"]["body"].as_str().unwrap_or_default().to_owned()
}

/// How often each text reached each number.
fn got(sandbox: &Sandbox) -> BTreeMap<(String, String), usize> {
    let mut got = BTreeMap::new();
    for message in sandbox.messages(&MessageFilter::default()) {
        *got.entry((message.customer.clone(), text(&message.body))).or_default() += 1;
    }
    got
}

pub(crate) async fn outgoing(api: &Api, sandbox: &Sandbox, policy: Policy, accepted: &[String]) {
    let got = got(sandbox);
    let doubled: Vec<_> = got.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "sent twice: {doubled:?}");
    let messages = api.all("/messages?direction=out").await;
    let by_id: BTreeMap<&str, &Value> =
        messages.iter().map(|message| (message["id"].as_str().unwrap(), message)).collect();
    assert_eq!(by_id.len(), messages.len(), "every message once in the list");
    assert_eq!(accepted.iter().collect::<BTreeSet<_>>().len(), OUT, "each call accepted once");
    let mut uncertain = 0;
    for (n, id) in accepted.iter().enumerate() {
        let message =
            by_id.get(id.as_str()).unwrap_or_else(|| panic!("{id} was accepted and is lost"));
        let key = (recipient(n).trim_start_matches('+').to_owned(), format!("message {n}"));
        let times = got.get(&key).copied().unwrap_or_default();
        let status = message["status"].as_str().unwrap();
        if status == "uncertain" {
            uncertain += 1;
            assert_eq!(policy, Policy::Hold, "{message}");
            assert!(message["reason"]["code"].is_string(), "no reason: {message}");
            continue;
        }
        assert_eq!(times, 1, "{id} is {status}, but the recipient got it {times} times");
        assert!(["sent", "delivered", "read"].contains(&status), "{message}");
    }
    eprintln!("outgoing: {OUT} accepted, {uncertain} shown as uncertain, none lost, none twice");
}

pub(crate) async fn incoming(api: &Api, sandbox: &Sandbox, policy: Policy) {
    let messages = api.all("/messages?direction=in").await;
    let contacts = api.all("/contacts").await;
    let phones: BTreeMap<&str, &str> = contacts
        .iter()
        .filter_map(|contact| Some((contact["id"].as_str()?, contact["phone"].as_str()?)))
        .collect();
    assert_eq!(messages.len(), IN, "every incoming message is stored once");
    let mut said = BTreeSet::new();
    for message in &messages {
        let body = message["content"]["body"].as_str().unwrap();
        let n: usize = body.strip_prefix("question ").unwrap().parse().unwrap();
        let sender = phones[message["contact_id"].as_str().unwrap()];
        assert_eq!(sender, format!("+{}", customer(n)), "{body} is stored under the wrong sender");
        assert!(said.insert(n), "{body} is stored twice");
    }
    let got = got(sandbox);
    let mut missing = 0;
    for n in 0..IN {
        let times = got.get(&(customer(n), format!("answer {n}"))).copied().unwrap_or_default();
        assert!(times <= 1, "question {n} was answered {times} times");
        missing += usize::from(times == 0);
    }
    let answers: Vec<Value> = api.all("/messages?direction=out").await;
    let answers = answers.iter().filter(|message| message["origin"] == "rule");
    let (mut count, mut uncertain) = (0, 0);
    for answer in answers {
        count += 1;
        uncertain += usize::from(answer["status"] == "uncertain");
    }
    assert_eq!(count, IN, "one answer per incoming message");
    assert!(missing <= uncertain, "{missing} answers are missing, {uncertain} are uncertain");
    if policy == Policy::Resend {
        assert_eq!(missing, 0, "every question is answered");
    }
    eprintln!("incoming: {IN} stored once, answered once ({uncertain} answers uncertain)");
}
