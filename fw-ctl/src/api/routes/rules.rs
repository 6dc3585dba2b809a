//! Rules, and what every new connection meets.

use axum::{Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::{
    access::Asker,
    body::Body,
    query::{Asked, Named},
    reply::Reply,
    wire::{Base, Changed, Items, Problem, ProblemBody, Rule, RuleAdded, RulePut},
};
use crate::daemon::handle::Handle;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Adding {
    /// Check only
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Removing {
    /// Only if it is of this kind: `port`, `limit` or `schedule`
    kind: Option<String>,
    /// Check only
    #[serde(default)]
    dry_run: bool,
}

/// Rules that are in force
#[utoipa::path(get, path = "/rules", tag = "rules", responses(
    (status = 200, description = "done", body = Items<Rule>),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn list(State(handle): State<Handle>) -> Reply<Items<Rule>> {
    handle.call(|owner| Ok(owner.rules())).await.map(Json)
}

/// Add a rule about new connections
#[utoipa::path(post, path = "/rules", tag = "rules", params(Adding), request_body = RulePut, responses(
    (status = 200, description = "it was there already", body = RuleAdded),
    (status = 201, description = "made", body = RuleAdded),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn add(
    State(handle): State<Handle>,
    asker: Asker,
    Asked(Adding { dry_run }): Asked<Adding>,
    Body(put): Body<RulePut>,
) -> Result<(StatusCode, Json<RuleAdded>), ProblemBody> {
    // The session that asks may be newer than the last look, and depend on the guard.
    handle.refresh_guard().await?;
    let job = asker.job(move |owner, by| owner.rule_add(&put, dry_run, by));
    let added = handle.change_rules(job).await?;
    let status = match added.changed {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(added)))
}

/// Remove a rule
#[utoipa::path(delete, path = "/rules/{id}", tag = "rules",
    params(("id" = u32, Path, description = "Its number"), Removing), responses(
    (status = 200, description = "done", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn remove(
    State(handle): State<Handle>,
    asker: Asker,
    Named(id): Named<u32>,
    Asked(Removing { kind, dry_run }): Asked<Removing>,
) -> Reply<Changed> {
    let job = asker.job(move |owner, by| owner.rule_remove(id, kind.as_deref(), dry_run, by));
    handle.change_rules(job).await.map(Json)
}

/// What becomes of new connections that no rule names
#[utoipa::path(get, path = "/default", tag = "rules", responses(
    (status = 200, description = "done", body = Base),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn base(State(handle): State<Handle>) -> Reply<Base> {
    handle.call(|owner| Ok(owner.base())).await.map(Json)
}

/// Change it
#[utoipa::path(put, path = "/default", tag = "rules", request_body = Base, responses(
    (status = 200, description = "done", body = Base),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn change_base(
    State(handle): State<Handle>,
    asker: Asker,
    Body(change): Body<Base>,
) -> Reply<Base> {
    handle.refresh_guard().await?;
    let job = asker.job(move |owner, by| owner.base_change(&change, by));
    handle.change_rules(job).await.map(Json)
}
