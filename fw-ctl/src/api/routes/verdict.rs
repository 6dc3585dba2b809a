//! What becomes of a packet.

use std::net::IpAddr;

use axum::{Json, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::{
    query::Asked,
    reply::Reply,
    wire::{Check, Problem, Why, WhyQuery},
};
use crate::daemon::handle::Handle;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct AskCheck {
    /// Source address
    #[param(value_type = String)]
    address: IpAddr,
}

/// Whether packets from an address would pass: one is sent through the loaded program
#[utoipa::path(get, path = "/check", tag = "verdict", params(AskCheck), responses(
    (status = 200, description = "done", body = Check),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn check(
    State(handle): State<Handle>,
    Asked(AskCheck { address }): Asked<AskCheck>,
) -> Reply<Check> {
    let job = handle.call(move |owner| owner.check(address));
    job.await.map(Json)
}

/// Why, layer by layer
#[utoipa::path(get, path = "/why", tag = "verdict", params(WhyQuery), responses(
    (status = 200, description = "done", body = Why),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn why(State(handle): State<Handle>, Asked(query): Asked<WhyQuery>) -> Reply<Why> {
    handle.call(move |owner| owner.why(&query)).await.map(Json)
}
