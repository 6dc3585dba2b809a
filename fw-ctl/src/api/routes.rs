//! The table of endpoints. Handlers read what was asked and hand it to the owner of the policy.
//!
//! - [`state`]: how all is
//! - [`entries`], [`guard`], [`rules`], [`policy`]: what should be true
//! - [`verdict`]: what becomes of a packet
//! - [`scan`]: the scan detector
//! - [`feeds`]: lists that are kept from elsewhere
//! - [`geo`]: countries and autonomous systems
//! - [`host`], [`webhooks`]: what only somebody on this host may do

#![expect(unused_qualifications, reason = "utoipa writes paths in full")]

mod entries;
mod feeds;
mod geo;
mod guard;
mod host;
mod policy;
mod rules;
mod scan;
mod state;
mod verdict;
mod webhooks;

use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderValue, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::Response,
    routing::get,
};
use utoipa_axum::{router::OpenApiRouter, routes};

use super::{
    access::{self, Gate},
    dashboard, events, idempotency, metrics, openapi, query,
    wire::{Code, ProblemBody},
};
use crate::daemon::{handle::Handle, revision::Revision};

/// Where the endpoints are.
const BASE: &str = "/api/v1";

/// Every endpoint, behind its gate.
pub fn router(handle: Handle, gate: Gate) -> Router {
    let (api, document) = described(handle.revision.clone()).split_for_parts();
    let known = query::Known::of(&document);
    let document = openapi::text(&document);
    let api = api
        .route("/openapi.json", get(move || state::openapi(document)))
        // Where monitoring looks for it.
        .route("/metrics", get(metrics::scrape))
        .fallback(nothing_here)
        .method_not_allowed_fallback(not_so)
        .layer(from_fn_with_state(
            idempotency::Keys::default(),
            idempotency::once,
        ))
        .layer(from_fn_with_state(known, query::known))
        .layer(from_fn_with_state(gate.clone(), access::admit));
    let open = Router::new()
        .route("/healthz", get(state::health))
        .merge(dashboard::router())
        .method_not_allowed_fallback(not_so);
    api.merge(open)
        .layer(from_fn_with_state(gate, access::same_site))
        .with_state(handle)
}

/// Every endpoint, with what it is.
pub fn described(revision: Revision) -> OpenApiRouter<Handle> {
    // Those of which somebody may say which policy he has seen.
    let policy = OpenApiRouter::new()
        .routes(routes!(entries::blocks, entries::block))
        .routes(routes!(entries::unblock))
        .routes(routes!(entries::allows, entries::allow))
        .routes(routes!(entries::unallow))
        .routes(routes!(entries::batch))
        .routes(routes!(entries::lists))
        .routes(routes!(entries::list, entries::replace, entries::flush))
        .routes(routes!(guard::list, guard::add))
        .routes(routes!(guard::remove))
        .routes(routes!(rules::list, rules::add))
        .routes(routes!(rules::remove))
        .routes(routes!(rules::base, rules::change_base))
        .routes(routes!(policy::apply))
        .routes(routes!(geo::show, geo::change, geo::reset))
        .layer(from_fn_with_state(revision, seen));
    let local = OpenApiRouter::new()
        .routes(routes!(host::detach))
        .routes(routes!(host::tokens, host::add_token))
        .routes(routes!(host::remove_token))
        .routes(routes!(feeds::add))
        .routes(routes!(feeds::remove))
        .routes(routes!(feeds::refresh))
        .routes(routes!(webhooks::list, webhooks::add))
        .routes(routes!(webhooks::remove))
        .routes(routes!(webhooks::test))
        .layer(from_fn(access::local_only));
    let api = policy
        .merge(local)
        .routes(routes!(policy::confirm))
        .routes(routes!(policy::roll_back))
        .routes(routes!(policy::diff))
        .routes(routes!(policy::repair))
        .routes(routes!(verdict::check))
        .routes(routes!(verdict::why))
        .routes(routes!(geo::find))
        .routes(routes!(scan::show, scan::change, scan::reset))
        .routes(routes!(feeds::list))
        .routes(routes!(state::status))
        .routes(routes!(state::stats))
        .routes(routes!(state::version))
        .routes(routes!(events::stream))
        .routes(routes!(metrics::scrape))
        .routes(routes!(host::bench));
    OpenApiRouter::with_openapi(openapi::document()).nest(BASE, api)
}

/// Says of which policy an answer speaks. The tag is read first: one that is too old is refused for
/// nothing, one that is too new would let a change be lost.
async fn seen(State(revision): State<Revision>, request: Request, next: Next) -> Response {
    let tag = HeaderValue::try_from(revision.tag());
    let is_read = request.method().is_safe();
    let mut answer = next.run(request).await;
    if let Ok(tag) = tag
        && is_read
        && answer.status().is_success()
    {
        answer.headers_mut().insert(header::ETAG, tag);
    }
    answer
}

async fn nothing_here() -> ProblemBody {
    ProblemBody::new(Code::NotFound, "there is no such endpoint")
        .with_hint("`/openapi.json` says which there are")
}

async fn not_so() -> ProblemBody {
    ProblemBody::new(Code::NotAllowed, "this endpoint does not take this method")
        .with_hint("the header `Allow` says which it takes")
}
