//! Who is written to, and what came of it.

use std::collections::BTreeMap;
use std::ops::Range;

use kabar_sandbox::{CustomerPatch, MessageFilter, Sandbox, SentMessage};
use serde_json::{Value, json};

use crate::api::Api;

/// Everybody of one broadcast.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Audience {
    /// What the broadcast is called, and its messages begin with.
    pub(crate) name: &'static str,
    /// What their numbers begin with.
    prefix: &'static str,
    pub(crate) size: usize,
}

pub(crate) const MAIN: Audience = Audience { name: "main", prefix: "62812", size: 1_000 };
pub(crate) const HALTED: Audience = Audience { name: "halted", prefix: "62813", size: 300 };
pub(crate) const LATER: Audience = Audience { name: "later", prefix: "62815", size: 100 };

impl Audience {
    fn number(self, n: usize) -> String {
        format!("{}{n:07}", self.prefix)
    }

    fn text(self, n: usize) -> String {
        format!("{} {n}", self.name)
    }

    /// They wrote to us lately.
    pub(crate) fn open(self, sandbox: &Sandbox) {
        for n in 0..self.size {
            let window = CustomerPatch { window_open: Some(true), ..CustomerPatch::default() };
            sandbox.put_customer(&self.number(n), window).unwrap();
        }
    }

    /// Some of them, as they are named in a call.
    pub(crate) fn recipients(self, some: Range<usize>) -> Vec<Value> {
        some.map(|n| json!({ "phone": format!("+{}", self.number(n)), "variables": { "n": n.to_string() } }))
            .collect()
    }

    /// A draft to the first half of them.
    pub(crate) fn broadcast(self, device: &str) -> Value {
        json!({
            "name": self.name,
            "content": { "type": "text", "body": format!("{} {{n}}", self.name) },
            "senders": [{ "device_id": device }],
            "recipients": self.recipients(0..self.size / 2),
        })
    }

    /// How often each number got something, and all in all.
    fn got(self, sandbox: &Sandbox) -> BTreeMap<(String, String), usize> {
        let mut got = BTreeMap::new();
        let own = |number: &String| number.starts_with(self.prefix);
        let messages = sandbox.messages(&MessageFilter::default()).into_iter();
        for message in messages.filter(|message| own(&message.customer)) {
            let text = message.body["text"]["body"].as_str().unwrap_or_default().to_owned();
            *got.entry((message.customer, text)).or_default() += 1;
        }
        got
    }

    /// How many messages reached them.
    pub(crate) fn count(self, sandbox: &Sandbox) -> usize {
        self.got(sandbox).values().sum()
    }

    /// What reached them last.
    pub(crate) fn last(self, sandbox: &Sandbox, many: usize) -> Vec<SentMessage> {
        let own = |message: &SentMessage| message.customer.starts_with(self.prefix);
        let mut all: Vec<_> = sandbox.messages(&MessageFilter::default());
        all.retain(own);
        all.split_off(all.len() - many)
    }

    /// Everybody got the message once, or it is shown as uncertain; and the numbers say so.
    pub(crate) async fn check(self, api: &Api, sandbox: &Sandbox, broadcast: &str) {
        let path = format!("/broadcasts/{broadcast}");
        let (shown, recipients) =
            (api.get(&path).await, api.all(&format!("{path}/recipients")).await);
        assert_eq!(shown["state"], "completed", "{shown}");
        assert_eq!(recipients.len(), self.size, "{}: every recipient once", self.name);
        let got = self.got(sandbox);
        let doubled: Vec<_> = got.iter().filter(|(_, times)| **times > 1).collect();
        assert!(doubled.is_empty(), "sent twice: {doubled:?}");
        let mut uncertain = 0;
        let mut reached = 0;
        for (n, recipient) in recipients.iter().enumerate() {
            let key = (self.number(n), self.text(n));
            assert_eq!(recipient["phone"], format!("+{}", key.0), "they are in their order");
            reached += usize::from(got.contains_key(&key));
            if recipient["state"] == "uncertain" {
                uncertain += 1;
                check_uncertain(api, recipient).await;
                continue;
            }
            assert_eq!(recipient["state"], "read", "{recipient}");
            assert!(got.contains_key(&key), "{recipient} got nothing");
        }
        assert_eq!(reached, got.values().sum::<usize>(), "{}: nobody else got it", self.name);
        self.check_progress(&shown, uncertain);
        eprintln!(
            "{}: {} recipients, {reached} reached once, {uncertain} shown as uncertain",
            self.name, self.size
        );
    }

    /// The numbers of a completed broadcast add up to its recipients.
    fn check_progress(self, shown: &Value, uncertain: usize) {
        let progress = shown["progress"].as_object().unwrap();
        let number = |name: &str| usize::try_from(progress[name].as_u64().unwrap()).unwrap();
        assert_eq!(number("total"), self.size, "{shown}");
        let parts = progress.keys().filter(|name| *name != "total");
        assert_eq!(parts.map(|name| number(name)).sum::<usize>(), self.size, "{shown}");
        assert_eq!(number("uncertain"), uncertain, "{shown}");
        assert_eq!(number("read"), self.size - uncertain, "{shown}");
        let counts = shown["counts"].as_array().unwrap().iter();
        let counted: u64 = counts.map(|count| count["count"].as_u64().unwrap()).sum();
        assert_eq!(usize::try_from(counted).unwrap(), self.size, "{shown}");
    }
}

async fn check_uncertain(api: &Api, recipient: &Value) {
    assert!(recipient["reason"].is_string(), "no reason: {recipient}");
    let id = recipient["message_id"].as_str().unwrap();
    let message = api.get(&format!("/messages/{id}")).await;
    assert_eq!(message["status"], "uncertain", "{message}");
    assert!(message["reason"]["code"].is_string(), "no reason: {message}");
}
