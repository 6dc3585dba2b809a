//! Webhooks. They belong to no policy, so the owner of it is not asked.

use axum::{Extension, Json, extract::State, http::StatusCode};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::{
    access::Caller,
    body::Body,
    idempotency::Secret,
    query::{Asked, Named},
    reply::Reply,
    wire::{
        Changed, Event, Items, Problem, ProblemBody, Webhook, WebhookAdded, WebhookPut,
        WebhookTested,
    },
};
use crate::daemon::handle::Handle;

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct Changing {
    /// Check only
    #[serde(default)]
    dry_run: bool,
}

/// Webhooks, without what opens doors elsewhere
#[utoipa::path(get, path = "/webhooks", tag = "host", responses(
    (status = 200, description = "done", body = Items<Webhook>),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn list(State(handle): State<Handle>) -> Reply<Items<Webhook>> {
    let webhooks = handle.webhooks.list().await?;
    Ok(Json(Items::all(webhooks)))
}

/// Tell a receiver what happens from now on
#[utoipa::path(post, path = "/webhooks", tag = "host", params(Changing), request_body = WebhookPut, responses(
    (status = 200, description = "it was there already", body = WebhookAdded),
    (status = 201, description = "made", body = WebhookAdded),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn add(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
    Asked(Changing { dry_run }): Asked<Changing>,
    Body(put): Body<WebhookPut>,
) -> Result<(StatusCode, Option<Extension<Secret>>, Json<WebhookAdded>), ProblemBody> {
    let added = handle.webhooks.add(put, dry_run).await?;
    if added.changed && !dry_run {
        tell(
            &handle,
            format!("webhook {} added", added.webhook.name),
            caller,
        );
    }
    let status = match added.changed {
        true => StatusCode::CREATED,
        false => StatusCode::OK,
    };
    let secret = added.secret.as_ref().map(|_| Extension(Secret));
    Ok((status, secret, Json(added)))
}

/// Remove a webhook, with what waits for it
#[utoipa::path(delete, path = "/webhooks/{name}", tag = "host",
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
    let removed = handle.webhooks.remove(name.clone(), dry_run).await?;
    if !dry_run {
        tell(&handle, format!("webhook {name} removed"), caller);
    }
    Ok(Json(removed))
}

/// Send a webhook an event now, and say what came of it
#[utoipa::path(post, path = "/webhooks/{name}/test", tag = "host",
    params(("name" = String, Path, description = "Its name")), responses(
    (status = 200, description = "it was sent, or could not be", body = WebhookTested),
    (status = "default", description = "refused, or failed", body = Problem),
))]
pub(super) async fn test(
    State(handle): State<Handle>,
    Extension(caller): Extension<Caller>,
    Named(name): Named<String>,
) -> Reply<WebhookTested> {
    handle.webhooks.test(name, caller.name).await.map(Json)
}

/// Who listens hears of it like of every other change.
fn tell(handle: &Handle, detail: String, caller: Caller) {
    handle.broadcast.tell(Event::Changed {
        time: Timestamp::now(),
        detail,
        by: caller.name,
    });
}
