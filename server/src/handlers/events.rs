//! `/v1/events`: what happens, as server-sent events.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use axum::{body::Body, extract::State, response::Response};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, header};
use http_body::Frame;
use ovl_core::{
    VPath,
    overlay::{Deed, Event},
    report::EventBody,
};
use serde::Deserialize;
use tokio::{
    sync::{mpsc, watch},
    time::timeout,
};
use utoipa::IntoParams;

use super::{Shared, mounts};
use crate::{
    events::{Events, Gone},
    problem::{GONE_CURSOR, INVALID_QUERY, Problem, ProblemBody},
    query::{self, Query},
};

/// How often something is sent when nothing happens.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How many events wait for a slow client.
const AHEAD: usize = 16;

/// Which events are told.
#[derive(Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(crate) struct EventsQuery {
    /// Only what happens at this path or beneath it.
    path: Option<String>,
    /// The id after which to go on, as `Last-Event-ID` says it too; without either, from now on.
    since: Option<String>,
}

/// Follow what happens, as server-sent events. A comment is sent every 15 seconds when nothing does. Refused while the kernel has
/// the upper mounted, since it tells of no change.
#[utoipa::path(get, path = "/v1/events", tag = "events",
    params(EventsQuery, ("Last-Event-ID" = Option<String>, Header, description = "The id after which to go on")),
    responses(
        (status = 200, description = "Events; the data of each is JSON", content_type = "text/event-stream", body = EventBody),
        (status = 410, description = "What followed the id is no longer kept: list afresh", body = ProblemBody, content_type = "application/problem+json"),
    ))]
pub(crate) async fn get(
    State(state): Shared,
    Query(query): Query<EventsQuery>,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    if let Some(owner) = state.owner() {
        return Err(mounts::refusal(owner));
    }
    let beneath = query.path.as_deref().map(|path| query::path(Some(path))).transpose()?;
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()).map(str::to_owned);
    let at = match last.or(query.since) {
        None => state.events.latest(),
        Some(cursor) => start(&state.events, &cursor)?,
    };
    let (sender, receiver) = mpsc::channel(AHEAD);
    let feed = Feed { events: state.events.clone(), at, beneath, sender };
    tokio::spawn(feed.run());
    let mut response = Response::new(Body::new(Fed(receiver)));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

fn start(events: &Events, cursor: &str) -> Result<u64, Problem> {
    let gone = |Gone| Problem::new(&GONE_CURSOR, "what followed this event is no longer kept; list afresh");
    let number = events.read_cursor(cursor).ok_or_else(|| Problem::new(&INVALID_QUERY, "no such event id"))?;
    let number = number.map_err(gone)?;
    events.after(number).map(|_| number).map_err(gone)
}

/// The events on their way to one client.
struct Feed {
    events: Arc<Events>,
    /// The number of the last event that was told.
    at: u64,
    beneath: Option<VPath>,
    sender: mpsc::Sender<Bytes>,
}

impl Feed {
    /// Tells what happens until the client goes or the server stops.
    async fn run(mut self) {
        let (mut changes, mut closing) = (self.events.changes(), self.events.closing());
        let mut told = self.send(Bytes::from_static(b": hello\n\n")).await;
        while told {
            told = self.tell_all().await;
            let changed = timeout(HEARTBEAT, changes.changed());
            tokio::select! {
                () = stopped(&mut closing) => return,
                () = self.sender.closed() => return,
                changed = changed => if changed.is_err() {
                    told = self.send(Bytes::from_static(b": still here\n\n")).await;
                },
            }
        }
    }

    /// Tells what happened since; a client that is too slow is told that it missed something.
    async fn tell_all(&mut self) -> bool {
        let Ok(events) = self.events.after(self.at) else {
            self.at = self.events.latest();
            let body = EventBody::new("overflow", &VPath::root(), self.at);
            return self.send(line(&self.events.cursor(self.at), &body)).await;
        };
        for (number, event) in events {
            self.at = number;
            let wanted = self.beneath.as_ref().is_none_or(|beneath| concerns(&event, beneath));
            if wanted && !self.send(line(&self.events.cursor(number), &EventBody::of(&event))).await {
                return false;
            }
        }
        true
    }

    async fn send(&self, bytes: Bytes) -> bool {
        self.sender.send(bytes).await.is_ok()
    }
}

async fn stopped(closing: &mut watch::Receiver<bool>) {
    drop(closing.wait_for(|closing| *closing).await);
}

fn concerns(event: &Event, beneath: &VPath) -> bool {
    let left = matches!(&event.deed, Deed::Moved(from) if from.is_within(beneath));
    left || event.path.is_within(beneath)
}

fn line(id: &str, body: &EventBody) -> Bytes {
    let data = serde_json::to_string(body).expect("an event is plain JSON");
    format!("id: {id}\nevent: {}\ndata: {data}\n\n", body.kind).into()
}

/// A body of what a feed sends.
struct Fed(mpsc::Receiver<Bytes>);

impl http_body::Body for Fed {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        self.0.poll_recv(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}
