//! The policy as a whole, and whether the layers are equal to it.

use axum::{Json, extract::State};

use super::super::{
    access::Asker,
    body::Body,
    reply::Reply,
    wire::{Applied, Apply, Diff, Problem},
};
use crate::daemon::handle::Handle;

/// Make this the policy; what it does not name stays as it is
#[utoipa::path(post, path = "/apply", tag = "policy", request_body = Apply, responses(
    (status = 200, description = "done", body = Applied),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn apply(
    State(handle): State<Handle>,
    asker: Asker,
    Body(apply): Body<Apply>,
) -> Reply<Applied> {
    handle.refresh_guard().await?;
    let dry_run = apply.dry_run;
    let job = asker.job(move |owner, by| owner.apply(&apply, by));
    match dry_run {
        true => handle.call(job).await,
        false => handle.change_rules(job).await,
    }
    .map(Json)
}

/// Keep the policy that was applied
#[utoipa::path(post, path = "/confirm", tag = "policy", responses(
    (status = 200, description = "done", body = Applied),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn confirm(State(handle): State<Handle>, asker: Asker) -> Reply<Applied> {
    let job = asker.job(move |owner, by| owner.confirm(by));
    handle.call(job).await.map(Json)
}

/// Go back to the last confirmed policy
#[utoipa::path(post, path = "/rollback", tag = "policy", responses(
    (status = 200, description = "done", body = Applied),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn roll_back(State(handle): State<Handle>, asker: Asker) -> Reply<Applied> {
    let job = asker.job(move |owner, by| owner.roll_back(by));
    let applied = handle.call(job).await?;
    handle.settle().await?;
    Ok(Json(applied))
}

/// What differs between the policy and the layers
#[utoipa::path(get, path = "/diff", tag = "policy", responses(
    (status = 200, description = "done", body = Diff),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn diff(State(handle): State<Handle>) -> Reply<Diff> {
    handle.diff().await.map(Json)
}

/// Make the layers equal to the policy; the answer is what differed before
#[utoipa::path(post, path = "/repair", tag = "policy", responses(
    (status = 200, description = "done", body = Diff),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn repair(State(handle): State<Handle>, asker: Asker) -> Reply<Diff> {
    // Refused before anything is repaired, or not at all.
    handle.call(asker.job(|_, _| Ok(()))).await?;
    let differed = handle.diff().await;
    handle
        .call(|owner| owner.synchronise().map(drop))
        .await
        .and(handle.mirror_repair().await)?;
    Ok(Json(differed.unwrap_or_default()))
}
