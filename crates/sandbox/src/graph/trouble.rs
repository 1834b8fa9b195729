//! Scripted faults around requests.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::clock::pause;
use crate::fault_book::Place;
use crate::faults::{FaultEffect, FaultPoint};
use crate::graph_error::GraphError;
use crate::world::World;

/// Marks a response that must not be sent: the connection is closed instead.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Hangup;

/// Lets `media` and `call` faults strike. Sends look after themselves: only they know whom a
/// message is for.
pub(super) async fn middleware(
    State(world): State<Arc<World>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if path.ends_with("/messages") || path.ends_with("/marketing_messages") {
        return next.run(request).await;
    }
    let id = path.split('/').nth(1).unwrap_or_default();
    let about_media = path.ends_with("/media")
        || path.starts_with("/whatsapp_business/")
        || world.media().get(id, world.clock.now_ms()).is_some();
    let point = if about_media { FaultPoint::Media } else { FaultPoint::Call };
    let effect = strike(&world, point, Some(id), &[]);
    under(&world, effect, next.run(request)).await
}

/// The fault that strikes here, if any.
pub(super) fn strike(
    world: &World,
    point: FaultPoint,
    phone_number_id: Option<&str>,
    customer: &[&str],
) -> Option<FaultEffect> {
    world.faults().strike(Place { point, phone_number_id, customer }, &world.dice)
}

/// Runs a call under a fault. `run` is where the call takes effect.
pub(super) async fn under(
    world: &World,
    effect: Option<FaultEffect>,
    run: impl Future<Output = Response>,
) -> Response {
    match effect {
        Some(FaultEffect::Error { code, status }) => {
            let error = GraphError::of(code);
            let status = status.unwrap_or(error.status);
            error.with_status(status).into_response()
        }
        Some(FaultEffect::Http { status, graph: true }) => {
            GraphError::of(2).with_status(status).into_response()
        }
        Some(FaultEffect::Http { status, graph: false }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            (status, "<html><body>Sorry, something went wrong.</body></html>").into_response()
        }
        Some(FaultEffect::Hang { accept, for_ms }) => {
            if accept {
                run.await;
            }
            silence(world, for_ms).await;
            hangup()
        }
        Some(FaultEffect::Close { accept }) => {
            if accept {
                run.await;
            }
            hangup()
        }
        Some(FaultEffect::Late { ms }) => {
            let response = run.await;
            pause(ms).await;
            response
        }
        _ => run.await,
    }
}

async fn silence(world: &World, for_ms: Option<u64>) {
    match for_ms {
        Some(ms) => {
            let _stopped = world.closing.run_until_cancelled(pause(ms)).await;
        }
        None => world.closing.cancelled().await,
    }
}

fn hangup() -> Response {
    let mut response = StatusCode::INTERNAL_SERVER_ERROR.into_response();
    response.extensions_mut().insert(Hangup);
    response
}
