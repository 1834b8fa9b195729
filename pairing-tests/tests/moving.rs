//! A session that an unmodified Baileys paired goes on in Kabar.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use kabar_pairing_tests::{CUSTOMER, PATIENCE, Problem, Town, talks};
use kabar_sandbox::multi_device::{MultiDevice, MultiDeviceConfig};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

const SHOP: &str = "6281200000001";

/// Where Baileys is installed.
fn baileys() -> Option<PathBuf> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/third-party/baileys");
    if folder.join("node_modules/baileys").exists() {
        return Some(folder);
    }
    assert!(std::env::var("CI").is_err(), "Baileys must be installed where CI is");
    eprintln!("Baileys is not installed: not tested with it");
    None
}

struct Program {
    process: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Program {
    fn start(code: &Path, folder: &Path, whatsapp: &MultiDevice) -> Self {
        let mut root_key = String::new();
        for byte in whatsapp.root_key() {
            write!(root_key, "{byte:02x}").unwrap();
        }
        let mut command = Command::new("node");
        command.arg("receiver.mjs").current_dir(code).kill_on_drop(true).env("FOLDER", folder);
        command.env("ROOT_KEY", root_key).env("WS_URL", whatsapp.ws_url());
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = command.spawn().unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        Self { process, lines }
    }

    /// The next line that says such a thing; what libraries print is passed over.
    async fn told(&mut self, what: &str) -> Value {
        loop {
            let line = tokio::time::timeout(PATIENCE, self.lines.next_line()).await;
            let line = line.expect("in time").unwrap().expect("it goes on");
            let Ok(value) = serde_json::from_str::<Value>(&line) else { continue };
            if !value[what].is_null() {
                return value;
            }
        }
    }
}

/// The files of a folder as one object.
fn files(folder: &Path) -> Result<Value, Problem> {
    let mut files = Map::new();
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        files.insert(name, serde_json::from_slice(&std::fs::read(entry.path())?)?);
    }
    Ok(Value::Object(files))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_baileys_folder_goes_on_here() {
    let Some(code) = baileys() else { return };
    let whatsapp = MultiDevice::start(MultiDeviceConfig::default()).await.unwrap();
    let (phone, customer) = (whatsapp.phone(SHOP).unwrap(), whatsapp.phone(CUSTOMER).unwrap());
    let theirs = tempfile::tempdir().unwrap();
    let mut program = Program::start(&code, theirs.path(), &whatsapp);
    let qr = program.told("qr").await;
    phone.scan(qr["qr"].as_str().unwrap()).unwrap();
    program.told("open").await;
    customer.text(SHOP, "before the move").unwrap();
    assert_eq!(program.told("text").await["text"], "before the move");
    program.process.kill().await.unwrap();

    let ours = tempfile::tempdir().unwrap();
    let town = Town::start(ours.path(), &whatsapp).await.unwrap();
    let device = town.device().await.unwrap();
    let session = files(theirs.path()).unwrap();
    town.put(&format!("/devices/{device}/session"), &session).await.unwrap();
    town.post(&format!("/devices/{device}/connect"), &json!({})).await.unwrap();
    let connected = town.state(&device, "connected").await.unwrap();
    assert_eq!(connected["phone"], format!("+{SHOP}"));
    assert_eq!(phone.companions().len(), 1, "nothing was paired anew");
    talks(&town, &whatsapp, (SHOP, &device), "after the move").await;
    talks(&town, &whatsapp, (SHOP, &device), "and again").await;
    town.stop().await;
}
