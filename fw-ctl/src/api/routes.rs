//! The table of endpoints. Handlers read what was asked and hand it to the owner of the policy.

mod bench;
mod rules;

use std::net::IpAddr;

use axum::{
    Json, Router,
    extract::{ConnectInfo, Path, Query, State, rejection::QueryRejection},
    response::Response,
    routing::{delete, get, post},
};
use fw_common::abi;
use serde::Deserialize;

use super::{
    Peer,
    body::Body,
    events,
    reply::{self, Reply},
    wire::{
        self, BatchOf, Changed, Check, Code, Guarded, Items, ProblemBody, PutOf, ReplaceOf,
        ScanStatus, Status, Version, Why,
    },
};
use crate::{
    daemon::{edit::Requested, handle::Handle, report::Filter},
    policy::entry::Action,
};

/// Every endpoint.
pub fn router(handle: Handle) -> Router {
    let api = Router::new()
        .route("/status", get(status))
        .route("/blocks", get(blocks).post(block))
        .route("/blocks/{prefix}", delete(unblock))
        .route("/allows", get(allows).post(allow))
        .route("/allows/{prefix}", delete(unallow))
        .route("/batch", post(batch))
        .route("/lists", get(lists))
        .route("/lists/{name}", get(list).put(replace).delete(flush))
        .route("/guard", get(guarded).post(guard))
        .route("/guard/{prefix}", delete(unguard))
        .route("/rules", get(rules::list).post(rules::add))
        .route("/rules/{id}", delete(rules::remove))
        .route("/default", get(rules::base).put(rules::change_base))
        .route("/apply", post(rules::apply))
        .route("/confirm", post(rules::confirm))
        .route("/rollback", post(rules::roll_back))
        .route("/diff", get(rules::diff))
        .route("/repair", post(rules::repair))
        .route("/bench", post(bench::measure))
        .route("/check", get(check))
        .route("/why", get(why))
        .route("/events", get(events::stream))
        .route("/stats", get(stats))
        .route("/scan", get(scan).patch(change_scan).delete(reset_scan))
        .route("/detach", post(detach))
        .route("/version", get(version));
    Router::new()
        .nest("/api/v1", api)
        .fallback(nothing_here)
        .with_state(handle)
}

type Asked<T> = Result<Query<T>, QueryRejection>;

fn asked<T>(query: Asked<T>) -> Result<T, ProblemBody> {
    query
        .map(|Query(query)| query)
        .map_err(|rejection| ProblemBody::new(Code::BadInput, rejection.body_text()))
}

async fn nothing_here() -> ProblemBody {
    ProblemBody::new(Code::NotFound, "there is no such endpoint")
}

async fn status(State(handle): State<Handle>) -> Reply<Status> {
    handle.call(|owner| owner.status()).await.map(Json)
}

async fn stats(State(handle): State<Handle>, query: Asked<wire::StatsQuery>) -> Reply<wire::Stats> {
    let wire::StatsQuery { after } = asked(query)?;
    handle.call(move |owner| owner.stats(after)).await.map(Json)
}

async fn version() -> Json<Version> {
    Json(Version {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        abi: abi::VERSION,
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Show {
    list: Option<String>,
    contains: Option<IpAddr>,
    after: Option<String>,
    limit: Option<usize>,
}

async fn show(
    handle: Handle,
    actions: &'static [Action],
    list: Option<String>,
    query: Asked<Show>,
) -> Reply<Items<wire::Entry>> {
    let show = asked(query)?;
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

async fn blocks(State(handle): State<Handle>, query: Asked<Show>) -> Reply<Items<wire::Entry>> {
    show(handle, &[Action::Block], None, query).await
}

async fn allows(State(handle): State<Handle>, query: Asked<Show>) -> Reply<Items<wire::Entry>> {
    show(handle, &[Action::Allow], None, query).await
}

async fn list(
    State(handle): State<Handle>,
    Path(name): Path<String>,
    query: Asked<Show>,
) -> Reply<Items<wire::Entry>> {
    show(handle, &Action::ALL, Some(name), query).await
}

async fn block(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(put): Body<PutOf<Requested>>,
) -> Response {
    reply::put(put_block(&handle, peer, put).await)
}

/// The guard is looked at first: the session that asks may be newer than the last look.
async fn put_block(
    handle: &Handle,
    peer: Peer,
    put: PutOf<Requested>,
) -> Result<Changed, ProblemBody> {
    handle.refresh_guard().await?;
    handle
        .change(move |owner| owner.put(Action::Block, put, &peer.name()))
        .await
}

async fn allow(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(put): Body<PutOf<Requested>>,
) -> Response {
    let changed = handle.change(move |owner| owner.put(Action::Allow, put, &peer.name()));
    reply::put(changed.await)
}

async fn unblock(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(prefix): Path<String>,
) -> Reply<Changed> {
    let job = handle.change(move |owner| owner.remove(Action::Block, &prefix, &peer.name()));
    job.await.map(Json)
}

async fn unallow(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(prefix): Path<String>,
) -> Reply<Changed> {
    let job = handle.change(move |owner| owner.remove(Action::Allow, &prefix, &peer.name()));
    job.await.map(Json)
}

async fn batch(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(batch): Body<BatchOf<Requested>>,
) -> Reply<Changed> {
    handle.refresh_guard().await?;
    let job = handle.change(move |owner| owner.batch(batch, &peer.name()));
    job.await.map(Json)
}

async fn lists(State(handle): State<Handle>) -> Reply<Items<wire::List>> {
    handle.call(|owner| Ok(owner.lists())).await.map(Json)
}

async fn replace(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
    Body(replace): Body<ReplaceOf<Requested>>,
) -> Reply<Changed> {
    handle.refresh_guard().await?;
    let job = handle.change(move |owner| owner.replace(&name, replace, &peer.name()));
    job.await.map(Json)
}

async fn flush(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(name): Path<String>,
) -> Reply<Changed> {
    let job = handle.change(move |owner| owner.flush(&name, &peer.name()));
    job.await.map(Json)
}

async fn guarded(State(handle): State<Handle>) -> Reply<Items<Guarded>> {
    handle.refresh_guard().await?;
    handle.call(|owner| Ok(owner.guarded())).await.map(Json)
}

async fn guard(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(put): Body<wire::GuardPut>,
) -> Response {
    let job = handle.change(move |owner| owner.guard_add(&put, &peer.name()));
    reply::put(job.await)
}

async fn unguard(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Path(prefix): Path<String>,
) -> Reply<Changed> {
    let job = handle.change(move |owner| owner.guard_remove(&prefix, &peer.name()));
    job.await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct AskCheck {
    address: IpAddr,
}

async fn check(State(handle): State<Handle>, query: Asked<AskCheck>) -> Reply<Check> {
    let AskCheck { address } = asked(query)?;
    handle
        .call(move |owner| owner.check(address))
        .await
        .map(Json)
}

async fn why(State(handle): State<Handle>, query: Asked<wire::WhyQuery>) -> Reply<Why> {
    let query = asked(query)?;
    handle.call(move |owner| owner.why(&query)).await.map(Json)
}

async fn scan(State(handle): State<Handle>) -> Reply<ScanStatus> {
    handle.call(|owner| owner.scan_status()).await.map(Json)
}

async fn change_scan(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    Body(change): Body<wire::ScanChange>,
) -> Reply<ScanStatus> {
    let job = handle.call(move |owner| owner.scan_change(&change, &peer.name()));
    job.await.map(Json)
}

async fn reset_scan(
    State(handle): State<Handle>,
    ConnectInfo(peer): ConnectInfo<Peer>,
    query: Asked<wire::ScanReset>,
) -> Reply<ScanStatus> {
    let wire::ScanReset { dry_run } = asked(query)?;
    let job = handle.call(move |owner| owner.scan_reset(dry_run, &peer.name()));
    job.await.map(Json)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Detach {
    interface: Option<String>,
}

async fn detach(State(handle): State<Handle>, Body(detach): Body<Detach>) -> Reply<Changed> {
    let job = handle.call(move |owner| owner.detach(detach.interface.as_deref()));
    job.await.map(Json)
}
