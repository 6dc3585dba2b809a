//! Countries and autonomous systems.

use std::net::IpAddr;

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::{
    access::Asker,
    body::Body,
    query::Asked,
    reply::Reply,
    wire::{GeoChange, GeoChanged, GeoFound, GeoReset, GeoStatus, Problem},
};
use crate::daemon::{geo::Ask, handle::Handle};

/// Files, what is selected, and the lists that follow
#[utoipa::path(get, path = "/geo", tag = "geo", responses(
    (status = 200, description = "done", body = GeoStatus),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn show(State(handle): State<Handle>) -> Reply<GeoStatus> {
    handle.call(|owner| Ok(owner.geo_status())).await.map(Json)
}

/// Block countries or autonomous systems, or everything else, until it is reset
#[utoipa::path(patch, path = "/geo", tag = "geo", request_body = GeoChange, responses(
    (status = 200, description = "done", body = GeoChanged),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn change(
    State(handle): State<Handle>,
    asker: Asker,
    Body(change): Body<GeoChange>,
) -> Reply<GeoChanged> {
    let ask = Ask::change(&change)?;
    select(handle, asker, ask, change.dry_run).await
}

/// Go back to what the configuration selects
#[utoipa::path(delete, path = "/geo", tag = "geo", params(GeoReset), responses(
    (status = 200, description = "done", body = GeoChanged),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn reset(
    State(handle): State<Handle>,
    asker: Asker,
    Asked(GeoReset { dry_run }): Asked<GeoReset>,
) -> Reply<GeoChanged> {
    select(handle, asker, Ask::Reset, dry_run).await
}

async fn select(handle: Handle, asker: Asker, ask: Ask, dry_run: bool) -> Reply<GeoChanged> {
    handle.refresh_guard().await?;
    let (worked, _turn) = handle.work_out(ask).await?;
    let (lists, bytes) = (worked.lists(), worked.bytes());
    let job = asker.job(move |owner, by| owner.put_countries(worked, dry_run, by));
    let changed = match dry_run {
        true => handle.call(job).await?,
        false => handle.change(job).await?,
    };
    Ok(Json(GeoChanged {
        changed,
        lists,
        bytes,
    }))
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AskFind {
    /// The address
    #[param(value_type = String)]
    address: IpAddr,
}

/// Where an address is at home
#[utoipa::path(get, path = "/geo/find", tag = "geo", params(AskFind), responses(
    (status = 200, description = "done", body = GeoFound),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn find(
    State(handle): State<Handle>,
    Asked(AskFind { address }): Asked<AskFind>,
) -> Reply<GeoFound> {
    let geo = handle.call(move |owner| Ok(owner.home(address.to_canonical())));
    Ok(Json(GeoFound {
        address,
        geo: geo.await?,
    }))
}
