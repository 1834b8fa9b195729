//! Somebody else's program that gets our webhooks: it trusts nothing that is not signed.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use poem::http::StatusCode;
use poem::listener::{Acceptor as _, Listener as _, TcpListener};
use poem::{Request, Server, handler, web::Data};
use standardwebhooks::Webhook;
use tokio::task::JoinHandle;

/// A body, as long as webhooks may be.
const MOST: usize = 1024 * 1024;

/// What came in with a signature that holds: the kinds of events, in their order.
#[derive(Clone, Default)]
struct Desk {
    key: Arc<Mutex<Option<Webhook>>>,
    kinds: Arc<Mutex<Vec<String>>>,
}

/// A receiver on a free port of this machine.
pub(super) struct Receiver {
    address: SocketAddr,
    desk: Desk,
    serving: JoinHandle<()>,
}

impl Receiver {
    pub(super) async fn start() -> Result<Self, Box<dyn Error>> {
        let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await?;
        let address = acceptor.local_addr().into_iter().find_map(|at| at.as_socket_addr().copied());
        let address = address.ok_or("the receiver has no address")?;
        let desk = Desk::default();
        let app = poem::EndpointExt::data(take, desk.clone());
        let serving = tokio::spawn(async move {
            if let Err(error) = Server::new_with_acceptor(acceptor).run(app).await {
                tracing::error!(error = &error as &dyn Error, "demo.receiver");
            }
        });
        Ok(Self { address, desk, serving })
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}/kabar", self.address)
    }

    /// The secret that signatures are checked with.
    pub(super) fn trust(&self, secret: &str) -> Result<(), Box<dyn Error>> {
        let key = Webhook::new(secret)?;
        *self.desk.key.lock().unwrap_or_else(PoisonError::into_inner) = Some(key);
        Ok(())
    }

    /// The kinds of the events that came in so far.
    pub(super) fn kinds(&self) -> Vec<String> {
        self.desk.kinds.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

#[handler]
async fn take(request: &Request, body: poem::Body, desk: Data<&Desk>) -> StatusCode {
    let Ok(body) = body.into_bytes_limit(MOST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE;
    };
    let genuine = {
        let key = desk.key.lock().unwrap_or_else(PoisonError::into_inner);
        key.as_ref().is_some_and(|key| key.verify(&body, request.headers()).is_ok())
    };
    if !genuine {
        return StatusCode::UNAUTHORIZED;
    }
    let event: serde_json::Value = serde_json::from_slice(&body).unwrap_or_default();
    if let Some(kind) = event.get("type").and_then(serde_json::Value::as_str) {
        desk.kinds.lock().unwrap_or_else(PoisonError::into_inner).push(kind.to_owned());
    }
    StatusCode::NO_CONTENT
}
