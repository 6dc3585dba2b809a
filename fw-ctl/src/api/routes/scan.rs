//! The scan detector.

use axum::{Json, extract::State};

use super::super::{
    access::Asker,
    body::Body,
    query::Asked,
    reply::Reply,
    wire::{Problem, ScanChange, ScanReset, ScanStatus},
};
use crate::daemon::handle::Handle;

/// Settings, bounds, and the sources nearest to a threshold
#[utoipa::path(get, path = "/scan", tag = "scan", responses(
    (status = 200, description = "done", body = ScanStatus),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn show(State(handle): State<Handle>) -> Reply<ScanStatus> {
    handle.call(|owner| owner.scan_status()).await.map(Json)
}

/// Change settings until they are reset
#[utoipa::path(patch, path = "/scan", tag = "scan", request_body = ScanChange, responses(
    (status = 200, description = "done", body = ScanStatus),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn change(
    State(handle): State<Handle>,
    asker: Asker,
    Body(change): Body<ScanChange>,
) -> Reply<ScanStatus> {
    let job = asker.job(move |owner, by| owner.scan_change(&change, by));
    handle.call(job).await.map(Json)
}

/// Go back to the configuration's settings
#[utoipa::path(delete, path = "/scan", tag = "scan", params(ScanReset), responses(
    (status = 200, description = "done", body = ScanStatus),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn reset(
    State(handle): State<Handle>,
    asker: Asker,
    Asked(ScanReset { dry_run }): Asked<ScanReset>,
) -> Reply<ScanStatus> {
    let job = asker.job(move |owner, by| owner.scan_reset(dry_run, by));
    handle.call(job).await.map(Json)
}
