use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use axum::{Router, middleware::from_fn_with_state, routing::any};
use tower::ServiceExt as _;

use super::*;

/// An endpoint that counts, and answers what it was told to.
fn counting(status: StatusCode) -> (Router, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let endpoint = any(move || async move {
        let number = counted.fetch_add(1, SeqCst);
        (status, number.to_string())
    });
    let app = Router::new()
        .route("/x", endpoint)
        .layer(from_fn_with_state(Keys::default(), once));
    (app, count)
}

async fn send(app: &Router, method: &str, key: &str, body: &str) -> (StatusCode, String, bool) {
    let request = Request::builder()
        .method(method)
        .uri("/x")
        .header("idempotency-key", key)
        .body(Body::from(body.to_owned()))
        .expect("a request");
    let answer = app.clone().oneshot(request).await.expect("an answer");
    let replayed = answer.headers().contains_key("idempotency-replayed");
    let status = answer.status();
    let body = to_bytes(answer.into_body(), MAX_BYTES)
        .await
        .expect("a body");
    let body = String::from_utf8(body.into()).expect("text");
    (status, body, replayed)
}

#[tokio::test]
async fn what_is_sent_again_is_answered_again_and_not_done_again() {
    let (app, count) = counting(StatusCode::CREATED);
    let first = send(&app, "POST", "a", "1").await;
    assert_eq!(first, (StatusCode::CREATED, "0".into(), false));
    let again = send(&app, "POST", "a", "1").await;
    assert_eq!(again, (StatusCode::CREATED, "0".into(), true));
    assert_eq!(send(&app, "POST", "b", "1").await.1, "1");
    assert_eq!(count.load(SeqCst), 2);
}

#[tokio::test]
async fn a_key_of_another_request_is_refused_and_a_read_needs_none() {
    let (app, count) = counting(StatusCode::OK);
    send(&app, "POST", "a", "1").await;
    for (method, body) in [("POST", "2"), ("DELETE", "1")] {
        assert_eq!(send(&app, method, "a", body).await.0, StatusCode::CONFLICT);
    }
    assert_eq!(send(&app, "GET", "a", "").await.1, "1");
    assert_eq!(send(&app, "GET", "a", "").await.1, "2");
    assert_eq!(count.load(SeqCst), 3);
}

#[tokio::test]
async fn what_failed_here_may_be_tried_again_but_what_was_refused_stays_refused() {
    let (failing, count) = counting(StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(send(&failing, "POST", "a", "").await.1, "0");
    assert_eq!(send(&failing, "POST", "a", "").await.1, "1");
    assert_eq!(count.load(SeqCst), 2);
    let (refusing, _) = counting(StatusCode::UNPROCESSABLE_ENTITY);
    send(&refusing, "POST", "a", "").await;
    assert!(send(&refusing, "POST", "a", "").await.2);
}

#[tokio::test]
async fn a_secret_is_answered_once_and_not_kept() {
    let endpoint = any(async || (axum::Extension(Secret), "fwctl_0"));
    let app = Router::new()
        .route("/x", endpoint)
        .layer(from_fn_with_state(Keys::default(), once));
    assert_eq!(send(&app, "POST", "a", "").await.1, "fwctl_0");
    let (status, body, _) = send(&app, "POST", "a", "").await;
    assert_eq!(status, StatusCode::CONFLICT);
    assert!(!body.contains("fwctl_0"), "{body}");
}

#[tokio::test]
async fn keys_have_bounds() {
    let (app, count) = counting(StatusCode::OK);
    for key in ["", &"k".repeat(MAX_KEY + 1)] {
        assert_eq!(send(&app, "POST", key, "").await.0, StatusCode::BAD_REQUEST);
    }
    let large = "x".repeat(MAX_BYTES + 1);
    assert_eq!(
        send(&app, "POST", "a", &large).await.0,
        StatusCode::PAYLOAD_TOO_LARGE
    );
    assert_eq!(count.load(SeqCst), 0);
    for number in 0..=KEPT {
        send(&app, "POST", &number.to_string(), "").await;
    }
    assert!(
        !send(&app, "POST", "0", "").await.2,
        "the oldest is forgotten"
    );
    assert!(send(&app, "POST", "5", "").await.2);
}

#[test]
fn what_is_worked_on_is_not_begun_again() {
    let name = || ("uid 0".to_owned(), "a".to_owned());
    let mut kept = Kept::default();
    assert!(kept.take(&name(), [1; 32]).is_none());
    let told = kept.take(&name(), [1; 32]).expect("it is taken");
    let refused = again(told, [1; 32]).expect_err("it is worked on");
    assert_eq!(refused.code, Code::Conflict);
    kept.forget(&name());
    assert!(kept.take(&name(), [1; 32]).is_none());
    assert!(
        kept.take(&("uid 1".to_owned(), "a".to_owned()), [1; 32])
            .is_none()
    );
}
