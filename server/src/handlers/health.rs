//! Whether the server lives, whether it is ready, and what it counts.

use std::fmt::Write;

use axum::extract::State;
use http::{HeaderName, header};
use ovl_core::{VPath, overlay::Follow};

use super::Shared;
use crate::{counters::metric, problem::Problem};

/// Tell that the process answers.
#[utoipa::path(get, path = "/healthz", tag = "server", security(()), responses((status = 200, description = "Alive", body = str)))]
pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

/// Tell whether the tree can be read.
#[utoipa::path(get, path = "/readyz", tag = "server", security(()), responses(
    (status = 200, description = "Ready", body = str),
    (status = 503, description = "The tree cannot be read", body = crate::problem::ProblemBody, content_type = "application/problem+json"),
))]
pub(crate) async fn ready(State(state): Shared) -> Result<&'static str, Problem> {
    state.overlay.entry(&VPath::root(), Follow::No)?;
    Ok("ready\n")
}

/// Count what the server has done, in the text format of Prometheus.
#[utoipa::path(get, path = "/metrics", tag = "server", responses((status = 200, description = "Counters", body = str)))]
pub(crate) async fn metrics(State(state): Shared) -> ([(HeaderName, &'static str); 1], String) {
    let mut text = String::new();
    state.counters.write(&mut text);
    metric(&mut text, "ovl_generation", "gauge", "Changes since the start.", state.overlay.generation());
    metric(&mut text, "ovl_layers", "gauge", "Layers of the stack.", state.layers.len() as u64);
    let version = env!("CARGO_PKG_VERSION");
    writeln!(
        text,
        "# HELP ovl_build_info The version.\n# TYPE ovl_build_info gauge\novl_build_info{{version=\"{version}\"}} 1"
    )
    .expect("writing to a string");
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text)
}
