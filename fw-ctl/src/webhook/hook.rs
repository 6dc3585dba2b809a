//! What a webhook is: read from what was asked for, checked, and asked what it wants to hear. Pure.

use jiff::Timestamp;
use url::Url;

use super::{body::Format, sign::Key};
use crate::{
    api::wire::{Code, Event, EventKind, Hidden, ProblemBody, Webhook, WebhookPut},
    outbound,
    policy::entry::ListName,
};

/// A webhook.
#[derive(Debug)]
pub struct Hook {
    /// As it was asked for, with its secret.
    pub put: WebhookPut,
    /// Where it is sent.
    pub url: Url,
    /// How it is written.
    pub format: Format,
    /// What signs it.
    pub key: Key,
}

impl Hook {
    /// From what was asked for; `secret` is for one without.
    ///
    /// # Errors
    /// What is wrong with it. Neither address nor secret is repeated.
    pub fn read(mut put: WebhookPut, secret: String) -> Result<Self, ProblemBody> {
        if !is_name(&put.name) {
            return Err(bad(
                "the name of a webhook is 1 to 64 letters, digits and `._-`",
            ));
        }
        let url = outbound::url(&put.url.0).map_err(|why| {
            bad(format!("the address of the webhook {why}"))
                .with_hint("it is written like https://hooks.example.com/path")
        })?;
        let format = Format::read(put.format, put.template.as_deref()).map_err(|why| {
            bad(why).with_hint("a template is like {\"text\":\"{{host}}: {{event}} {{prefix}}\"}")
        })?;
        if put.events.contains(EventKind::Drop) {
            return Err(
                bad("sampled drops are not sent to webhooks").with_hint("`fw-ctl tail` shows them")
            );
        }
        for list in &put.lists {
            let name = list.parse::<ListName>();
            name.map_err(|error| bad(format!("{list:?}: {error}")))?;
        }
        let secret = put.secret.get_or_insert(Hidden(secret));
        let key = Key::parse(&secret.0)
            .map_err(|why| bad(why).with_hint("leave it away, and one is made"))?;
        Ok(Self {
            put,
            url,
            format,
            key,
        })
    }

    /// As it is told, before anything was sent.
    pub fn shown(&self, created_at: Timestamp) -> Webhook {
        let put = self.put.clone();
        Webhook {
            name: put.name,
            url: outbound::shown(&self.url),
            format: put.format,
            events: put.events,
            lists: put.lists,
            min_ttl_s: put.min_ttl_s,
            created_at,
            queued: 0,
            oldest_s: None,
            delivered: 0,
            failed: 0,
            dropped: 0,
            tried_at: None,
            status: None,
            problem: None,
        }
    }

    /// Whether an event is for it.
    pub fn wants(&self, event: &Event) -> bool {
        let of_list = |list: &str| {
            let lists = &self.put.lists;
            lists.is_empty() || lists.iter().any(|name| name == list)
        };
        let least = self.put.min_ttl_s.unwrap_or(0);
        // Without an end it is longer than any.
        let long_enough = |ttl_s: Option<u64>| ttl_s.is_none_or(|ttl_s| ttl_s >= least);
        self.put.events.contains(event.kind())
            && match event {
                Event::Block(entry) => of_list(&entry.list) && long_enough(entry.ttl_s),
                Event::Unblock(entry)
                | Event::Allow(entry)
                | Event::Unallow(entry)
                | Event::Expire(entry) => of_list(&entry.list),
                // Without a block it is shorter than any.
                Event::Scan(scan) => of_list(ListName::AUTO) && scan.ttl_s.unwrap_or(0) >= least,
                Event::RollUp(roll_up) => {
                    of_list(ListName::AUTO) && long_enough(Some(roll_up.ttl_s))
                }
                Event::Unroll(_) => of_list(ListName::AUTO),
                Event::Drop(_) => false,
                Event::Changed { .. }
                | Event::Interface { .. }
                | Event::Drift { .. }
                | Event::Alarm { .. }
                | Event::Lost { .. } => true,
            }
    }
}

fn is_name(text: &str) -> bool {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    (1..=64).contains(&text.len()) && text.chars().all(good)
}

fn bad(message: impl Into<String>) -> ProblemBody {
    ProblemBody::new(Code::BadInput, message)
}

#[cfg(test)]
pub(super) mod tests;
