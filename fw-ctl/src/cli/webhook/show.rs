//! Webhooks, as they are told.

use crate::{
    api::wire::{Kinds, Webhook, WebhookAdded, WebhookTested},
    cli::{
        output::{self, escape},
        scan::time,
    },
};

/// One line a webhook.
pub fn table(webhooks: &[Webhook]) -> String {
    let header = [
        "NAME",
        "URL",
        "FORMAT",
        "WANTS",
        "QUEUED",
        "DELIVERED",
        "FAILED",
        "DROPPED",
        "LAST",
    ];
    output::table(
        header,
        webhooks.iter().map(|webhook| {
            [
                escape(&webhook.name).into_owned(),
                escape(&webhook.url).into_owned(),
                webhook.format.name().to_owned(),
                wants(webhook),
                queued(webhook),
                webhook.delivered.to_string(),
                webhook.failed.to_string(),
                webhook.dropped.to_string(),
                last(webhook),
            ]
        }),
    )
}

/// `block,scan of auto from 1h`
fn wants(webhook: &Webhook) -> String {
    let mut text = match webhook.events == Kinds::default() {
        true => "all".to_owned(),
        false => webhook.events.to_string(),
    };
    if !webhook.lists.is_empty() {
        text += &format!(" of {}", escape(&webhook.lists.join(",")));
    }
    if let Some(ttl) = webhook.min_ttl_s {
        text += &format!(" from {}", time(ttl));
    }
    text
}

/// `17 for 5m`
fn queued(webhook: &Webhook) -> String {
    match webhook.oldest_s {
        Some(age @ 1..) => format!("{} for {}", webhook.queued, time(age)),
        _ => webhook.queued.to_string(),
    }
}

fn last(webhook: &Webhook) -> String {
    match (&webhook.problem, webhook.status) {
        (Some(problem), _) => escape(problem).into_owned(),
        (None, Some(status)) => status.to_string(),
        (None, None) => "-".to_owned(),
    }
}

/// What was added, and its secret.
pub fn added(told: &WebhookAdded, dry_run: bool) -> String {
    let WebhookAdded {
        webhook,
        changed,
        secret,
    } = told;
    let dry_run = if dry_run { "dry run: " } else { "" };
    let known = if *changed { "" } else { " is there already" };
    let (name, url) = (escape(&webhook.name), escape(&webhook.url));
    let mut text = format!(
        "{dry_run}webhook {name}{known}: {} to {url}",
        wants(webhook)
    );
    if let Some(secret) = secret {
        text += &format!("\nsecret, not shown again: {}", escape(&secret.0));
    }
    text
}

/// What a receiver said.
pub fn tested(told: &WebhookTested) -> String {
    let problem = told.problem.as_deref().unwrap_or_default();
    match told.status.filter(|_| told.delivered) {
        Some(status) => format!("delivered: answered {status} after {} ms", told.time_ms),
        None => format!("not delivered: {} ({} ms)", escape(problem), told.time_ms),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::api::wire::{Hidden, WebhookFormat};

    fn webhook() -> Webhook {
        Webhook {
            name: "pager".into(),
            url: "https://hooks.example.com/...".into(),
            format: WebhookFormat::Slack,
            events: "block,scan".parse().expect("kinds"),
            lists: vec!["auto".into()],
            min_ttl_s: Some(3600),
            created_at: Timestamp::UNIX_EPOCH,
            queued: 17,
            oldest_s: Some(300),
            delivered: 5,
            failed: 1,
            dropped: 2,
            tried_at: None,
            status: Some(500),
            problem: Some("answered 500\u{1b}".into()),
        }
    }

    #[test]
    fn a_webhook_is_one_line() {
        assert_eq!(
            table(&[webhook()]),
            "NAME   URL                            FORMAT  WANTS                       QUEUED     \
             DELIVERED  FAILED  DROPPED  LAST\n\
             pager  https://hooks.example.com/...  slack   block,scan of auto from 1h  17 for 5m  \
             5          1       2        answered 500\\u{1b}\n"
        );
        let quiet = Webhook {
            events: Kinds::default(),
            lists: Vec::new(),
            min_ttl_s: None,
            queued: 0,
            oldest_s: None,
            problem: None,
            ..webhook()
        };
        assert_eq!(
            (&*wants(&quiet), &*queued(&quiet), &*last(&quiet)),
            ("all", "0", "500")
        );
    }

    #[test]
    fn a_secret_is_shown_where_one_was_made() {
        let mut told = WebhookAdded {
            webhook: webhook(),
            changed: true,
            secret: Some(Hidden("whsec_x".into())),
        };
        assert_eq!(
            added(&told, false),
            "webhook pager: block,scan of auto from 1h to https://hooks.example.com/...\n\
             secret, not shown again: whsec_x"
        );
        told.secret = None;
        assert!(added(&told, true).starts_with("dry run: webhook pager: block"));
        assert!(!added(&told, true).contains("secret"));
        told.changed = false;
        assert!(added(&told, false).starts_with("webhook pager is there already: "));
    }

    #[test]
    fn a_test_says_what_the_receiver_said() {
        let mut told = WebhookTested {
            delivered: true,
            status: Some(204),
            time_ms: 31,
            problem: None,
        };
        assert_eq!(tested(&told), "delivered: answered 204 after 31 ms");
        told.delivered = false;
        told.problem = Some("answered 500".into());
        assert_eq!(tested(&told), "not delivered: answered 500 (31 ms)");
    }
}
