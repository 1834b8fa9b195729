//! The line between a server and WhatsApp, which can be cut.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Passes connections on while it is whole; refuses them, and drops those that there are, while it is
/// cut.
pub(crate) struct Line {
    whole: Arc<watch::Sender<bool>>,
}

impl Line {
    /// A line to a WebSocket at this address (`ws://host:port/path`); answers its own address too.
    pub(crate) async fn to(socket: &str) -> (Self, String) {
        let host = socket.trim_start_matches("ws://");
        let (host, path) = host.split_once('/').expect("an address with a path");
        let to: SocketAddr = host.parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let whole = Arc::new(watch::Sender::new(true));
        tokio::spawn(serve(listener, to, Arc::clone(&whole)));
        (Self { whole }, format!("ws://{address}/{path}"))
    }

    /// Cuts it.
    pub(crate) fn cut(&self) {
        self.whole.send_replace(false);
    }

    /// Makes it whole again.
    pub(crate) fn mend(&self) {
        self.whole.send_replace(true);
    }
}

async fn serve(listener: TcpListener, to: SocketAddr, whole: Arc<watch::Sender<bool>>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    let mut state = whole.subscribe();
    loop {
        let Some(open) = &listener else {
            state.wait_for(|whole| *whole).await.unwrap();
            listener = Some(TcpListener::bind(address).await.unwrap());
            continue;
        };
        tokio::select! {
            accepted = open.accept() => {
                let (stream, _) = accepted.unwrap();
                tokio::spawn(pass_on(stream, to, whole.subscribe()));
            }
            _ = state.wait_for(|whole| !*whole) => listener = None,
        }
    }
}

async fn pass_on(mut from: TcpStream, to: SocketAddr, mut whole: watch::Receiver<bool>) {
    let Ok(mut to) = TcpStream::connect(to).await else { return };
    let _best_effort = (from.set_nodelay(true), to.set_nodelay(true));
    tokio::select! {
        _ended = tokio::io::copy_bidirectional(&mut from, &mut to) => {}
        _cut = whole.wait_for(|whole| !*whole) => {}
    }
}
