//! The server as a process.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

/// A server that can be killed and started again at the same address.
pub(crate) struct Server {
    port: u16,
    settings: Vec<(&'static str, String)>,
    child: Option<Child>,
    /// The administrator's key, shown at the first start.
    pub(crate) key: Option<String>,
}

/// The program: the one that was just built, or the one that `KABAR_BINARY` names, by its whole path.
fn binary() -> std::ffi::OsString {
    std::env::var_os("KABAR_BINARY").unwrap_or_else(|| env!("CARGO_BIN_EXE_kabar").into())
}

impl Server {
    pub(crate) fn new(mut settings: Vec<(&'static str, String)>) -> Self {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        settings.push(("KABAR_LISTEN", format!("127.0.0.1:{port}")));
        // What a test sets comes later, and counts.
        settings.insert(0, ("KABAR_LOG__LEVEL", "warn".to_owned()));
        Self { port, settings, child: None, key: None }
    }

    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// Starts the process and waits until it listens.
    pub(crate) async fn start(&mut self) {
        let mut command = Command::new(binary());
        command.arg("serve").kill_on_drop(true);
        // Only what the test says is a setting.
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("KABAR_")) {
            command.env_remove(name);
        }
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        for (name, value) in &self.settings {
            command.env(name, value);
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        loop {
            let line = tokio::time::timeout(Duration::from_mins(1), lines.next_line()).await;
            let line = line.expect("it starts in time").unwrap().expect("it starts");
            if let Some((_, key)) = line.split_once("shown this once: ") {
                self.key = Some(key.to_owned());
            }
            if line.contains("listens on") {
                break;
            }
        }
        // The pipe must not fill up.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
    }

    /// The process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().and_then(Child::id).expect("it runs")
    }

    /// kill -9.
    pub(crate) async fn kill(&mut self) {
        let mut child = self.child.take().expect("it runs");
        child.start_kill().unwrap();
        child.wait().await.unwrap();
    }

    /// A stop in good order, as a service manager asks for it.
    pub(crate) async fn stop(&mut self) {
        self.signal("TERM").await;
        let mut child = self.child.take().expect("it runs");
        let ended = tokio::time::timeout(Duration::from_mins(1), child.wait()).await;
        assert!(ended.expect("it stops in time").unwrap().success(), "it stops in good order");
    }

    /// Sends the process a signal, by its name without `SIG`.
    pub(crate) async fn signal(&self, name: &str) {
        let (signal, process) = (format!("-{name}"), self.pid().to_string());
        let told = Command::new("kill").args([signal, process]).status().await.unwrap();
        assert!(told.success(), "{name}");
    }
}
