//! The HTTP server: hyper below axum, so that a connection can be closed without an answer.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceExt as _;

use crate::clock::pause;
use crate::graph::{GraphVersion, Hangup};
use crate::world::World;

/// How long open requests may take when the sandbox stops.
const FAREWELL: Duration = Duration::from_secs(1);
/// Wait after a failed accept (out of file handles), in milliseconds.
const ACCEPT_PAUSE_MS: u64 = 20;

/// A fault asked for the connection to be closed. hyper closes it on any service error.
#[derive(Debug, thiserror::Error)]
#[error("closed by a scripted fault")]
struct ScriptedClose;

/// Accepts connections until the sandbox stops.
pub(crate) async fn serve(world: Arc<World>, listener: TcpListener) {
    let router = crate::control::routes().merge(crate::graph::routes(&world));
    let router = router.with_state(Arc::clone(&world));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = world.closing.cancelled() => return,
        };
        match accepted {
            Ok((stream, _)) => {
                let connection = connection(Arc::clone(&world), stream, router.clone());
                world.courier.tasks.spawn(connection);
            }
            Err(error) => {
                tracing::warn!(%error, "connection not accepted");
                pause(ACCEPT_PAUSE_MS).await;
            }
        }
    }
}

async fn connection(world: Arc<World>, stream: TcpStream, router: Router) {
    let _slower = stream.set_nodelay(true);
    let service = service_fn(move |request| answer(router.clone(), request));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .serve_connection(TokioIo::new(stream), service);
    let mut connection = std::pin::pin!(connection);
    tokio::select! {
        // An error here is a client that went away, or a scripted close.
        _ended = connection.as_mut() => return,
        () = world.closing.cancelled() => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ended = tokio::time::timeout(FAREWELL, connection).await;
}

async fn answer(
    router: Router,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, ScriptedClose> {
    let version = take_version(request.uri_mut());
    request.extensions_mut().insert(GraphVersion(version));
    let response = match router.oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    };
    if response.extensions().get::<Hangup>().is_some() { Err(ScriptedClose) } else { Ok(response) }
}

/// Takes a leading `/vN.N` off the path.
fn take_version(uri: &mut Uri) -> Option<String> {
    let whole = uri.path_and_query()?.as_str();
    let (version, rest) = whole.strip_prefix('/')?.split_once('/')?;
    let (major, minor) = version.strip_prefix('v')?.split_once('.')?;
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if !digits(major) || !digits(minor) {
        return None;
    }
    let version = version.to_owned();
    *uri = Uri::try_from(format!("/{rest}")).ok()?;
    Some(version)
}
