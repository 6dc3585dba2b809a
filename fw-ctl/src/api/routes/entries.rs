//! Blocks, allows and lists.

use std::net::IpAddr;

use axum::{Json, extract::State, response::Response};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::{
    access::Asker,
    body::Body,
    query::{Asked, Named},
    reply::{self, Reply},
    wire::{
        self, Batch, BatchOf, Changed, Items, Problem, ProblemBody, Put, PutOf, Replace, ReplaceOf,
    },
};
use crate::{
    daemon::{edit::Requested, handle::Handle, report::Filter},
    policy::entry::Action,
};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Show {
    /// Only of this list
    list: Option<String>,
    /// Only those that cover this address
    #[param(value_type = Option<String>)]
    contains: Option<IpAddr>,
    /// Only those behind this prefix, in their order
    after: Option<String>,
    /// So many at most
    limit: Option<usize>,
}

async fn matching(
    handle: Handle,
    actions: &'static [Action],
    list: Option<String>,
    show: Show,
) -> Reply<Items<wire::Entry>> {
    let filter = Filter {
        list: list.or(show.list),
        contains: show.contains,
        after: show.after,
        limit: show.limit,
    };
    handle
        .call(move |owner| owner.entries(actions, &filter))
        .await
        .map(Json)
}

/// Blocked prefixes
#[utoipa::path(get, path = "/blocks", tag = "lists", params(Show), responses(
    (status = 200, description = "done", body = Items<wire::Entry>),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn blocks(
    State(handle): State<Handle>,
    Asked(query): Asked<Show>,
) -> Reply<Items<wire::Entry>> {
    matching(handle, &[Action::Block], None, query).await
}

/// Allowed prefixes
#[utoipa::path(get, path = "/allows", tag = "lists", params(Show), responses(
    (status = 200, description = "done", body = Items<wire::Entry>),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn allows(
    State(handle): State<Handle>,
    Asked(query): Asked<Show>,
) -> Reply<Items<wire::Entry>> {
    matching(handle, &[Action::Allow], None, query).await
}

/// Drop what comes from these prefixes: all of them or none, unless `keep_going`
#[utoipa::path(post, path = "/blocks", tag = "lists", request_body = Put, responses(
    (status = 200, description = "all were there already", body = Changed),
    (status = 201, description = "some are new, or end later", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn block(
    State(handle): State<Handle>,
    asker: Asker,
    Body(put): Body<PutOf<Requested>>,
) -> Response {
    reply::put(put_block(&handle, asker, put).await)
}

/// The guard is looked at first: the session that asks may be newer than the last look.
async fn put_block(
    handle: &Handle,
    asker: Asker,
    put: PutOf<Requested>,
) -> Result<Changed, ProblemBody> {
    handle.refresh_guard().await?;
    let job = asker.job(move |owner, by| owner.put(Action::Block, put, by));
    handle.change(job).await
}

/// Let what comes from these prefixes pass, whatever blocks it
#[utoipa::path(post, path = "/allows", tag = "lists", request_body = Put, responses(
    (status = 200, description = "all were there already", body = Changed),
    (status = 201, description = "some are new, or end later", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn allow(
    State(handle): State<Handle>,
    asker: Asker,
    Body(put): Body<PutOf<Requested>>,
) -> Response {
    let job = asker.job(move |owner, by| owner.put(Action::Allow, put, by));
    reply::put(handle.change(job).await)
}

/// Take a block back, from every list
#[utoipa::path(delete, path = "/blocks/{prefix}", tag = "lists",
    params(("prefix" = String, Path, description = "`192.0.2.0%2F24`")), responses(
    (status = 200, description = "done", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn unblock(
    State(handle): State<Handle>,
    asker: Asker,
    Named(prefix): Named<String>,
) -> Reply<Changed> {
    let job = asker.job(move |owner, by| owner.remove(Action::Block, &prefix, by));
    handle.change(job).await.map(Json)
}

/// Take an allow back, from every list
#[utoipa::path(delete, path = "/allows/{prefix}", tag = "lists",
    params(("prefix" = String, Path, description = "`192.0.2.0%2F24`")), responses(
    (status = 200, description = "done", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn unallow(
    State(handle): State<Handle>,
    asker: Asker,
    Named(prefix): Named<String>,
) -> Reply<Changed> {
    let job = asker.job(move |owner, by| owner.remove(Action::Allow, &prefix, by));
    handle.change(job).await.map(Json)
}

/// Several changes, all or none
#[utoipa::path(post, path = "/batch", tag = "lists", request_body = Batch, responses(
    (status = 200, description = "done", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn batch(
    State(handle): State<Handle>,
    asker: Asker,
    Body(batch): Body<BatchOf<Requested>>,
) -> Reply<Changed> {
    handle.refresh_guard().await?;
    let job = asker.job(move |owner, by| owner.batch(batch, by));
    handle.change(job).await.map(Json)
}

/// Lists and how many entries they have
#[utoipa::path(get, path = "/lists", tag = "lists", responses(
    (status = 200, description = "done", body = Items<wire::List>),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn lists(State(handle): State<Handle>) -> Reply<Items<wire::List>> {
    handle.call(|owner| Ok(owner.lists())).await.map(Json)
}

/// Entries of a list
#[utoipa::path(get, path = "/lists/{name}", tag = "lists",
    params(("name" = String, Path, description = "Name of the list"), Show), responses(
    (status = 200, description = "done", body = Items<wire::Entry>),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn list(
    State(handle): State<Handle>,
    Named(name): Named<String>,
    Asked(query): Asked<Show>,
) -> Reply<Items<wire::Entry>> {
    matching(handle, &Action::ALL, Some(name), query).await
}

/// Give a list exactly these entries of one action
#[utoipa::path(put, path = "/lists/{name}", tag = "lists", request_body = Replace,
    params(("name" = String, Path, description = "Name of the list")), responses(
    (status = 200, description = "done", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn replace(
    State(handle): State<Handle>,
    asker: Asker,
    Named(name): Named<String>,
    Body(replace): Body<ReplaceOf<Requested>>,
) -> Reply<Changed> {
    handle.refresh_guard().await?;
    let job = asker.job(move |owner, by| owner.replace(&name, replace, by));
    handle.change(job).await.map(Json)
}

/// Remove every entry of a list
#[utoipa::path(delete, path = "/lists/{name}", tag = "lists",
    params(("name" = String, Path, description = "Name of the list")), responses(
    (status = 200, description = "done", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn flush(
    State(handle): State<Handle>,
    asker: Asker,
    Named(name): Named<String>,
) -> Reply<Changed> {
    let job = asker.job(move |owner, by| owner.flush(&name, by));
    handle.change(job).await.map(Json)
}
