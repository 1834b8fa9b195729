//! The event log as a stream of server-sent events.
//!
//! Who reads slowly falls back to the database and misses nothing; who does not read at all is cut
//! off when its connection was idle for too long.

use std::time::Duration;

use futures_util::stream::{self, Stream};
use kabar::core::StoreError;
use kabar::core::permission::ReadEvents;
use kabar::events::{Follow, Followed, Position};
use poem::http::header;
use poem::web::sse::{Event, SSE};
use poem::{IntoResponse, Request, Response};
use poem_openapi::ApiResponse;
use poem_openapi::payload::{Json, Payload as _};
use poem_openapi::registry::{
    MetaMediaType, MetaResponse, MetaResponses, MetaSchema, MetaSchemaRef, Registry,
};
use poem_openapi::types::{ToJSON as _, Type};
use serde_json::json;
use tokio::time::Interval;

use super::events::{EventView, EventsView};
use crate::auth::{Anywhere, Standing};

pub(super) const CONTENT_TYPE: &str = "text/event-stream";
/// How often a comment shows that the stream lives.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How often the credential is looked at again.
const CHECK: Duration = Duration::from_secs(30);
/// Milliseconds after which a client is to connect again.
const RETRY: u64 = 2_000;

/// Whether a request asks for a stream.
pub(super) fn wanted(request: &Request) -> bool {
    let values = request.headers().get_all(header::ACCEPT).iter();
    let ranges = values.filter_map(|value| value.to_str().ok()).flat_map(|text| text.split(','));
    ranges.filter_map(|range| range.trim().parse::<mime::Mime>().ok()).any(|range| {
        let refused = range
            .get_param("q")
            .is_some_and(|q| q.as_str().parse::<f32>().is_ok_and(|quality| quality <= 0.0));
        range.essence_str() == CONTENT_TYPE && !refused
    })
}

/// The events of a follower, for as long as its credential works.
pub(super) async fn stream(mut follow: Follow, standing: Standing) -> Result<Response, StoreError> {
    let position = follow.begin().await?;
    let start = tokio::time::Instant::now() + CHECK;
    let live = Live { follow, standing, check: tokio::time::interval_at(start, CHECK) };
    let first =
        [Event::retry(RETRY), at(position, "ready", &json!({ "position": text(position) }))];
    let events = stream::StreamExt::chain(stream::iter(first), live.events());
    Ok(SSE::new(events).keep_alive(HEARTBEAT).into_response())
}

struct Live {
    follow: Follow,
    standing: Standing,
    check: Interval,
}

impl Live {
    fn events(self) -> impl Stream<Item = Event> + Send {
        stream::unfold(self, |mut live| async move {
            let event = live.next().await?;
            Some((event, live))
        })
    }

    async fn next(&mut self) -> Option<Event> {
        loop {
            tokio::select! {
                _ = self.check.tick() => {
                    if !self.standing.admits::<Anywhere<ReadEvents>>().await {
                        return None;
                    }
                }
                followed = self.follow.next() => match followed? {
                    Ok(followed) => return Some(shown(&followed)),
                    Err(error) => {
                        tracing::warn!(error = &error as &dyn std::error::Error, "events.stream");
                        return None;
                    }
                }
            }
        }
    }
}

fn shown(followed: &Followed) -> Event {
    match followed {
        Followed::Event(event) => {
            let data = EventView::from(&**event).to_json_string();
            Event::message(data).id(text(event.position)).event_type(event.kind.as_str())
        }
        Followed::Gap { after, resumed } => {
            at(*resumed, "gap", &json!({ "after": text(*after), "resumed": text(*resumed) }))
        }
    }
}

fn at(position: Position, kind: &str, data: &serde_json::Value) -> Event {
    Event::message(data.to_string()).id(text(position)).event_type(kind)
}

fn text(position: Position) -> String {
    position.to_string()
}

/// The event log, as a page or as a stream.
pub enum EventsAnswer {
    /// A page of it.
    Page(EventsView),
    /// A stream that goes on.
    Stream(Response),
}

impl IntoResponse for EventsAnswer {
    fn into_response(self) -> Response {
        match self {
            Self::Page(page) => Json(page).into_response(),
            Self::Stream(response) => response,
        }
    }
}

impl ApiResponse for EventsAnswer {
    fn meta() -> MetaResponses {
        let content = vec![
            MetaMediaType {
                content_type: Json::<EventsView>::CONTENT_TYPE,
                schema: EventsView::schema_ref(),
            },
            MetaMediaType {
                content_type: CONTENT_TYPE,
                schema: MetaSchemaRef::Inline(Box::new(MetaSchema {
                    description: Some(
                        "Server-sent events; `data` is an `Event` as JSON, or of `ready` and `gap` \
                         an object with positions.",
                    ),
                    ..MetaSchema::new("string")
                })),
            },
        ];
        MetaResponses {
            responses: vec![MetaResponse {
                description: "A page of the log, or the log as it happens.",
                status: Some(200),
                status_range: None,
                content,
                headers: Vec::new(),
            }],
        }
    }

    fn register(registry: &mut Registry) {
        EventsView::register(registry);
    }
}
