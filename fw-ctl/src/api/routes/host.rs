//! What only somebody on this host may do, and what a packet costs on it.

use axum::{Extension, Json, extract::State, http::StatusCode};
use serde::Deserialize;
use tokio::sync::Mutex;
use utoipa::ToSchema;

use super::super::{
    access::Asker,
    body::Body,
    idempotency::Secret,
    query::Named,
    reply::Reply,
    wire::{Bench, Changed, Code, Items, Problem, ProblemBody, Token, TokenMade, TokenPut},
};
use crate::daemon::{bench, handle::Handle};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Detach {
    /// Only from this interface; without it, everything of ours goes, and the daemon ends.
    interface: Option<String>,
}

/// Take the program off
#[utoipa::path(post, path = "/detach", tag = "host", request_body = Detach, responses(
    (status = 200, description = "done", body = Changed),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn detach(
    State(handle): State<Handle>,
    asker: Asker,
    Body(detach): Body<Detach>,
) -> Reply<Changed> {
    let job = asker.job(move |owner, _| owner.detach(detach.interface.as_deref()));
    handle.call(job).await.map(Json)
}

/// Tokens, without what opens the door
#[utoipa::path(get, path = "/tokens", tag = "host", responses(
    (status = 200, description = "done", body = Items<Token>),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn tokens(State(handle): State<Handle>) -> Reply<Items<Token>> {
    handle.call(|owner| Ok(owner.tokens())).await.map(Json)
}

/// Make a token: the answer is the only place that has it
#[utoipa::path(post, path = "/tokens", tag = "host", request_body = TokenPut, responses(
    (status = 201, description = "made", body = TokenMade),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn add_token(
    State(handle): State<Handle>,
    asker: Asker,
    Body(put): Body<TokenPut>,
) -> Result<(StatusCode, Extension<Secret>, Json<TokenMade>), ProblemBody> {
    let job = asker.job(move |owner, by| owner.token_add(&put, by));
    let made = handle.call(job).await?;
    Ok((StatusCode::CREATED, Extension(Secret), Json(made)))
}

/// Revoke a token
#[utoipa::path(delete, path = "/tokens/{name}", tag = "host",
    params(("name" = String, Path, description = "Its name")), responses(
    (status = 204, description = "done"),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn remove_token(
    State(handle): State<Handle>,
    asker: Asker,
    Named(name): Named<String>,
) -> Result<StatusCode, ProblemBody> {
    let job = asker.job(move |owner, by| owner.token_remove(&name, by));
    handle.call(job).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Each measurement takes processor time that traffic may need: one at a time.
static TURN: Mutex<()> = Mutex::const_new(());

/// Measure what a packet costs in the loaded program
#[utoipa::path(post, path = "/bench", tag = "host", responses(
    (status = 200, description = "done", body = Bench),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn bench(State(handle): State<Handle>) -> Reply<Bench> {
    let Ok(_turn) = TURN.try_lock() else {
        let problem = ProblemBody::new(Code::Conflict, "a measurement is running");
        return Err(problem.with_hint("it takes a second: try again"));
    };
    bench::measure(&handle).await.map(Json)
}
