//! A NATS server.

use std::net::TcpListener;
use std::process::Stdio;

use tokio::process::{Child, Command};

pub(crate) struct Nats {
    port: u16,
    _child: Child,
}

impl Nats {
    /// Starts one; `None` where it is not installed.
    pub(crate) fn start() -> Option<Self> {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = Command::new("nats-server");
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]).kill_on_drop(true);
        if let Ok(child) = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn() {
            Some(Self { port, _child: child })
        } else {
            assert!(std::env::var("CI").is_err(), "nats-server must be installed where CI is");
            eprintln!("nats-server is not installed: not tested on NATS");
            None
        }
    }

    pub(crate) fn address(&self) -> String {
        format!("nats://127.0.0.1:{}/kabar.test", self.port)
    }
}
