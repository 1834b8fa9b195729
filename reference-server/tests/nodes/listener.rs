//! A client of live events that comes back wherever a node is left.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::StreamExt as _;
use reqwest::Client;
use serde_json::Value;
use tokio::task::JoinHandle;

/// An event as it came, and when.
#[derive(Debug, Clone)]
pub(crate) struct Heard {
    pub(crate) id: String,
    pub(crate) kind: String,
    pub(crate) data: Value,
    pub(crate) at: Instant,
}

/// Listens on the first of some nodes that answers, and goes on at the next where one went away.
pub(crate) struct Listener {
    heard: Arc<Mutex<Vec<Heard>>>,
    task: JoinHandle<()>,
}

impl Listener {
    /// From the beginning of the log.
    pub(crate) fn start(nodes: &[String], key: &str, account: &str) -> Self {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ear = Ear {
            http: Client::builder().no_proxy().build().unwrap(),
            nodes: nodes.to_vec(),
            key: key.to_owned(),
            account: account.to_owned(),
            last: "0-0".to_owned(),
            heard: Arc::clone(&heard),
        };
        Self { heard, task: tokio::spawn(ear.listen()) }
    }

    pub(crate) fn heard(&self) -> Vec<Heard> {
        self.heard.lock().unwrap().clone()
    }

    pub(crate) fn stop(&self) {
        self.task.abort();
    }
}

struct Ear {
    http: Client,
    nodes: Vec<String>,
    key: String,
    account: String,
    last: String,
    heard: Arc<Mutex<Vec<Heard>>>,
}

impl Ear {
    async fn listen(mut self) {
        loop {
            for node in self.nodes.clone() {
                if let Err(error) = self.hear(&node).await {
                    eprintln!("a stream of {node} ended: {error}");
                }
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }

    async fn hear(&mut self, node: &str) -> reqwest::Result<()> {
        let request = self
            .http
            .get(format!("{node}/api/v1/events"))
            .bearer_auth(&self.key)
            .header("kabar-account", &self.account)
            .header("accept", "text/event-stream")
            .header("last-event-id", &self.last);
        let answer = request.send().await?.error_for_status()?;
        let mut text = String::new();
        let mut body = answer.bytes_stream();
        while let Some(bytes) = body.next().await {
            text.push_str(std::str::from_utf8(&bytes?).expect("whole characters"));
            while let Some((frame, rest)) = text.split_once("\n\n") {
                self.take(frame);
                text = rest.to_owned();
            }
        }
        Ok(())
    }

    fn take(&mut self, frame: &str) {
        let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name));
        let (Some(id), Some(kind), Some(data)) = (field("id: "), field("event: "), field("data: "))
        else {
            return;
        };
        id.clone_into(&mut self.last);
        if kind == "ready" {
            return;
        }
        let data = serde_json::from_str(data).unwrap();
        let heard = Heard { id: id.to_owned(), kind: kind.to_owned(), data, at: Instant::now() };
        self.heard.lock().unwrap().push(heard);
    }
}
