//! How all is, and what happens.

use std::{sync::Arc, time::Duration};

use axum::{
    Json,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use fw_common::abi;
use serde_json::json;
use tokio::time::timeout;

use super::super::{
    query::Asked,
    reply::Reply,
    wire::{Problem, Stats, StatsQuery, Status, Version},
};
use crate::daemon::handle::Handle;

/// How long a daemon that is well takes to answer at most.
const PATIENCE: Duration = Duration::from_secs(2);

/// Interfaces, program, lists, tables, totals, mirror and alarms
#[utoipa::path(get, path = "/status", tag = "state", responses(
    (status = 200, description = "done", body = Status),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn status(State(handle): State<Handle>) -> Reply<Status> {
    handle.call(|owner| owner.status()).await.map(Json)
}

/// What is dropped now: seconds by reason, and a minute of samples by source and port
#[utoipa::path(get, path = "/stats", tag = "state", params(StatsQuery), responses(
    (status = 200, description = "done", body = Stats),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn stats(
    State(handle): State<Handle>,
    Asked(StatsQuery { after }): Asked<StatsQuery>,
) -> Reply<Stats> {
    handle.call(move |owner| owner.stats(after)).await.map(Json)
}

/// Versions of the daemon and of its ABI
#[utoipa::path(get, path = "/version", tag = "state", responses(
    (status = 200, description = "done", body = Version),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn version() -> Json<Version> {
    Json(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        abi: abi::VERSION,
    })
}

/// `GET /healthz`: whether the daemon works, for whoever may not know more. 503 when it does not.
pub(super) async fn health(State(handle): State<Handle>) -> Response {
    let asked = timeout(PATIENCE, handle.call(|owner| Ok(owner.state())));
    match asked.await {
        Ok(Ok(state)) => Json(json!({ "state": state })).into_response(),
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => {
            let body = Json(json!({ "state": "does not answer" }));
            (StatusCode::SERVICE_UNAVAILABLE, body).into_response()
        }
    }
}

/// `GET /openapi.json`
pub(super) async fn openapi(document: Arc<str>) -> impl IntoResponse {
    (
        [(header::CONTENT_TYPE, "application/json")],
        document.to_string(),
    )
}
