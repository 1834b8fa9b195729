//! Baileys, as it is published, as one of those who receive.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use kabar_sandbox::multi_device::{MultiDevice, VirtualPhone};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use super::check::readers;
use super::fleet::Fleet;
use super::traffic::Book;

/// How long it may take to do what is expected of it.
const PATIENCE: Duration = Duration::from_mins(1);

/// A Baileys that is linked to a phone. It ends with this.
pub(crate) struct Baileys {
    number: String,
    shown: Arc<Mutex<Shown>>,
    _process: Child,
}

/// What it read: under which ids each text, and how often in all.
#[derive(Debug, Default)]
struct Shown {
    ids: BTreeMap<String, BTreeSet<String>>,
    times: usize,
}

/// Where it is installed.
fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/third-party/baileys")
}

impl Baileys {
    /// Links one to a phone; `None` where it is not installed.
    pub(crate) async fn link(whatsapp: &MultiDevice, phone: &VirtualPhone) -> Option<Self> {
        if !folder().join("node_modules/baileys").exists() {
            assert!(std::env::var("CI").is_err(), "Baileys must be installed where CI is");
            eprintln!("Baileys is not installed: not tested with it");
            return None;
        }
        let mut root_key = String::new();
        for byte in whatsapp.root_key() {
            write!(root_key, "{byte:02x}").unwrap();
        }
        let mut command = Command::new("node");
        command.arg("receiver.mjs").current_dir(folder()).kill_on_drop(true);
        command.env("ROOT_KEY", root_key).env("WS_URL", whatsapp.ws_url());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut process = command.spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let qr = told(&mut lines, "qr").await;
        phone.scan(qr["qr"].as_str().unwrap()).unwrap();
        told(&mut lines, "open").await;
        let shown = Arc::<Mutex<Shown>>::default();
        tokio::spawn(read(lines, Arc::clone(&shown)));
        Some(Self { number: phone.number().to_owned(), shown, _process: process })
    }

    /// It shows every message that it is to show, under one id.
    pub(crate) async fn check(&self, fleet: &Fleet, book: &Book) {
        let all = book.sent.iter().filter(|sent| readers(fleet, sent).contains(&self.number));
        let wanted: BTreeSet<&str> = all.map(|sent| sent.text.as_str()).collect();
        let began = Instant::now();
        loop {
            let missing = self.missing(&wanted);
            if missing.is_empty() {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "Baileys does not show {missing:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = shown.ids.iter().filter(|(text, _)| text.starts_with("out "));
        let (mut count, mut doubled) = (0, Vec::new());
        for (text, ids) in sent {
            count += 1;
            doubled.extend((ids.len() > 1).then_some(text));
        }
        assert!(doubled.is_empty(), "Baileys shows under several ids: {doubled:?}");
        assert_eq!(count, wanted.len(), "Baileys shows what is meant for it");
        let copies = shown.times - shown.ids.len();
        eprintln!("Baileys: {count} messages, each under one id; {copies} copies came");
    }

    fn missing(&self, wanted: &BTreeSet<&str>) -> Vec<String> {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let missing = wanted.iter().filter(|text| !shown.ids.contains_key(**text));
        missing.map(|text| (*text).to_owned()).collect()
    }
}

/// The next line that says such a thing; what libraries print is passed over.
async fn told(lines: &mut Lines<BufReader<ChildStdout>>, what: &str) -> Value {
    loop {
        let line = tokio::time::timeout(PATIENCE, lines.next_line()).await;
        let line = line.expect("it speaks in time").unwrap().expect("it goes on");
        if let Ok(value) = serde_json::from_str::<Value>(&line)
            && !value[what].is_null()
        {
            return value;
        }
    }
}

async fn read(mut lines: Lines<BufReader<ChildStdout>>, shown: Arc<Mutex<Shown>>) {
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
        let (Some(id), Some(text)) = (value["id"].as_str(), value["text"].as_str()) else {
            continue;
        };
        let mut shown = shown.lock().unwrap_or_else(PoisonError::into_inner);
        shown.ids.entry(text.to_owned()).or_default().insert(id.to_owned());
        shown.times += 1;
    }
}
