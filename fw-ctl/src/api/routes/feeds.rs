//! Lists that are kept from elsewhere. Who may add one lets this host ask others, and read files: only
//! somebody on this host may.

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::{
    access::Caller,
    body::Body,
    query::{Asked, Named},
    reply::Reply,
    wire::{Changed, Code, Feed, FeedDone, FeedPut, Items, Problem, ProblemBody},
};
use crate::daemon::handle::{Handle, whole};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Changing {
    /// Check only
    #[serde(default)]
    dry_run: bool,
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Refreshing {
    /// Also where it has changed by more than half
    #[serde(default)]
    force: bool,
}

/// Every feed, and how it is
#[utoipa::path(get, path = "/feeds", tag = "lists", responses(
    (status = 200, description = "done", body = Items<Feed>),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn list(State(handle): State<Handle>) -> Reply<Items<Feed>> {
    Ok(Json(Items::all(handle.feeds.list())))
}

/// Keep a list from a URL or a file from now on; it is fetched first
#[utoipa::path(post, path = "/feeds", tag = "host", params(Changing), request_body = FeedPut, responses(
    (status = 200, description = "it was there already, or is only checked", body = FeedDone),
    (status = 201, description = "made", body = FeedDone),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn add(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
    Asked(Changing { dry_run }): Asked<Changing>,
    Body(put): Body<FeedPut>,
) -> Result<(StatusCode, Json<FeedDone>), ProblemBody> {
    if put.source.0.starts_with('/') && !caller.reads_files {
        let message =
            "the daemon reads files that you may not: a file as a feed is root's to ask for";
        return Err(ProblemBody::new(Code::Permission, message)
            .with_hint("or name it in the configuration: `[[list]]`"));
    }
    let adding = async move { handle.feeds.add(&handle, put, dry_run, caller.name).await };
    let (made, done) = whole(adding).await?;
    let status = match made {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    Ok((status, Json(done)))
}

/// Keep a list no longer, and remove its entries
#[utoipa::path(delete, path = "/feeds/{name}", tag = "host",
    params(("name" = String, Path, description = "Its name"), Changing), responses(
    (status = 200, description = "done", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn remove(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
    Named(name): Named<String>,
    Asked(Changing { dry_run }): Asked<Changing>,
) -> Reply<Changed> {
    let removing = async move {
        handle
            .feeds
            .remove(&handle, &name, dry_run, caller.name)
            .await
    };
    whole(removing).await.map(Json)
}

/// Look at the source of a feed now
#[utoipa::path(post, path = "/feeds/{name}/refresh", tag = "host",
    params(("name" = String, Path, description = "Its name"), Refreshing), responses(
    (status = 200, description = "done", body = FeedDone),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn refresh(
    State(handle): State<Handle>,
    Named(name): Named<String>,
    Asked(Refreshing { force }): Asked<Refreshing>,
) -> Reply<FeedDone> {
    let looking = async move { handle.feeds.refresh(&handle, &name, force).await };
    whole(looking).await.map(Json)
}
