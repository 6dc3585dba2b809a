//! Rules, policies as a whole, and what differs from them.

use axum::{
    Json,
    extract::{ConnectInfo, Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;

use super::{
    super::{
        Peer,
        body::Body,
        reply::Reply,
        wire::{self, Applied, Base, Changed, Diff, Items, RuleAdded, RulePut},
    },
    Asked, asked,
};
use crate::daemon::{handle::Handle, owner::Owner};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Adding {
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Removing {
    kind: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

pub(super) async fn list(State(handle): State<Handle>) -> Reply<Items<wire::Rule>> {
    handle.call(|owner| Ok(owner.rules())).await.map(Json)
}

pub(super) async fn add(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Asked<Adding>,
    Body(put): Body<RulePut>,
) -> Response {
    let adding = async {
        let Adding { dry_run } = asked(query)?;
        // The session that asks may be newer than the last look, and depend on the guard.
        handle.refresh_guard().await?;
        handle
            .change_rules(move |owner| owner.rule_add(&put, dry_run, &peer.name()))
            .await
    };
    match adding.await {
        Ok(added) => {
            let status = match added.changed {
                true => StatusCode::CREATED,
                false => StatusCode::OK,
            };
            (status, Json::<RuleAdded>(added)).into_response()
        }
        Err(problem) => problem.into_response(),
    }
}

pub(super) async fn remove(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(id): Path<u32>,
    query: Asked<Removing>,
) -> Reply<Changed> {
    let Removing { kind, dry_run } = asked(query)?;
    let job = handle
        .change_rules(move |owner| owner.rule_remove(id, kind.as_deref(), dry_run, &peer.name()));
    job.await.map(Json)
}

pub(super) async fn base(State(handle): State<Handle>) -> Reply<Base> {
    handle.call(|owner| Ok(owner.base())).await.map(Json)
}

pub(super) async fn change_base(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(change): Body<Base>,
) -> Reply<Base> {
    handle.refresh_guard().await?;
    let job = handle.change_rules(move |owner| owner.base_change(&change, &peer.name()));
    job.await.map(Json)
}

pub(super) async fn apply(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(apply): Body<wire::Apply>,
) -> Reply<Applied> {
    handle.refresh_guard().await?;
    let name = peer.name();
    let dry_run = apply.dry_run;
    let job = move |owner: &mut Owner| owner.apply(&apply, &name);
    match dry_run {
        true => handle.call(job).await,
        false => handle.change_rules(job).await,
    }
    .map(Json)
}

pub(super) async fn confirm(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Reply<Applied> {
    let job = handle.call(move |owner| owner.confirm(&peer.name()));
    job.await.map(Json)
}

pub(super) async fn roll_back(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
) -> Reply<Applied> {
    let job = handle.call(move |owner| owner.roll_back(&peer.name()));
    let applied = job.await?;
    handle.settle().await?;
    Ok(Json(applied))
}

pub(super) async fn diff(State(handle): State<Handle>) -> Reply<Diff> {
    handle.diff().await.map(Json)
}

/// What was mended: what differed before.
pub(super) async fn repair(State(handle): State<Handle>) -> Reply<Diff> {
    let differed = handle.diff().await;
    handle
        .call(|owner| owner.synchronise().map(drop))
        .await
        .and(handle.mirror_repair().await)?;
    Ok(Json(differed.unwrap_or_default()))
}
