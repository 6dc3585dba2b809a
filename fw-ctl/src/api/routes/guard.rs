//! Who can never be dropped.

use axum::{Json, extract::State, response::Response};

use super::super::{
    access::Asker,
    body::Body,
    query::Named,
    reply::{self, Reply},
    wire::{Changed, GuardPut, Guarded, Items, Problem},
};
use crate::daemon::handle::Handle;

/// Guarded prefixes, and why they are
#[utoipa::path(get, path = "/guard", tag = "guard", responses(
    (status = 200, description = "done", body = Items<Guarded>),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn list(State(handle): State<Handle>) -> Reply<Items<Guarded>> {
    handle.refresh_guard().await?;
    handle.call(|owner| Ok(owner.guarded())).await.map(Json)
}

/// Guard these prefixes, too
#[utoipa::path(post, path = "/guard", tag = "guard", request_body = GuardPut, responses(
    (status = 200, description = "all were there already", body = Changed),
    (status = 201, description = "made", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn add(
    State(handle): State<Handle>,
    asker: Asker,
    Body(put): Body<GuardPut>,
) -> Response {
    let job = asker.job(move |owner, by| owner.guard_add(&put, by));
    reply::put(handle.change(job).await)
}

/// Guard a prefix no longer that was added
#[utoipa::path(delete, path = "/guard/{prefix}", tag = "guard",
    params(("prefix" = String, Path, description = "`192.0.2.0%2F24`")), responses(
    (status = 200, description = "done", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn remove(
    State(handle): State<Handle>,
    asker: Asker,
    Named(prefix): Named<String>,
) -> Reply<Changed> {
    let job = asker.job(move |owner, by| owner.guard_remove(&prefix, by));
    handle.change(job).await.map(Json)
}
