//! What is sent: events in the format of a webhook.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::template::Template;
use crate::api::wire::WebhookFormat;

/// Events on their way to one receiver. The body that follows is the same at every try.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its id, the same at every try.
    pub id: String,
    /// When it was put together.
    pub time: Timestamp,
    /// The events, as JSON.
    pub events: Vec<String>,
}

/// How a message is written.
#[derive(Debug)]
pub enum Format {
    /// [`WebhookFormat::FwCtl`]
    FwCtl,
    /// [`WebhookFormat::Slack`]
    Slack,
    /// [`WebhookFormat::Template`]
    Template(Template),
}

/// [`WebhookFormat::FwCtl`]
#[derive(Serialize)]
struct Ours<'a> {
    schema: u32,
    id: &'a str,
    time: Timestamp,
    host: &'a str,
    events: Vec<&'a RawValue>,
}

impl Format {
    /// The format of this name.
    ///
    /// # Errors
    /// A template is missing, wrong, or not asked for.
    pub fn read(format: WebhookFormat, template: Option<&str>) -> Result<Self, String> {
        match (format, template) {
            (WebhookFormat::FwCtl, None) => Ok(Self::FwCtl),
            (WebhookFormat::Slack, None) => Ok(Self::Slack),
            (WebhookFormat::Template, Some(text)) => Template::parse(text).map(Self::Template),
            (WebhookFormat::Template, None) => Err("format template needs a template".to_owned()),
            _ => Err("only format template takes a template".to_owned()),
        }
    }

    /// Events of one message at most.
    pub fn most(&self) -> usize {
        match self {
            Self::FwCtl | Self::Slack => 100,
            Self::Template(_) => 1,
        }
    }

    /// A message as it is sent from this host.
    pub fn write(&self, message: &Message, host: &str) -> String {
        let events = message.events.iter();
        let written = match self {
            Self::FwCtl => serde_json::to_string(&Ours {
                schema: 1,
                id: &message.id,
                time: message.time,
                host,
                events: events
                    .filter_map(|event| serde_json::from_str(event).ok())
                    .collect(),
            }),
            Self::Slack => {
                let lines = events.map(|event| format!("{host}: {}", sentence(&fields(event))));
                let text = lines.collect::<Vec<_>>().join("\n");
                serde_json::to_string(&serde_json::json!({ "text": escaped(&text) }))
            }
            Self::Template(template) => {
                let event = fields(message.events.first().map_or("", String::as_str));
                serde_json::to_string(&template.filled(|name| match name {
                    "host" => host.to_owned(),
                    "id" => message.id.clone(),
                    "text" => sentence(&event),
                    name => in_words(&event[name]),
                }))
            }
        };
        // Texts, numbers and what was JSON before: there is nothing that JSON cannot say.
        written.unwrap_or_default()
    }
}

fn fields(event: &str) -> Value {
    serde_json::from_str(event).unwrap_or_default()
}

/// A value as text; nothing for what is not there.
fn in_words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Array(items) => items.iter().map(in_words).collect::<Vec<_>>().join(", "),
        other => other.to_string(),
    }
}

/// An event in one line: what, whom it is about, and every other thing worth saying that it has.
fn sentence(event: &Value) -> String {
    let about = ["prefix", "source", "interface", "layer", "count"];
    let about = about.into_iter().find(|name| !event[*name].is_null());
    let about = about.map(|name| in_words(&event[name]));
    let mut text = in_words(&event["event"]).replace('_', " ");
    if let Some(about) = about {
        text = text + " " + &about;
    }
    // That a block was blocked needs no saying.
    let action = in_words(&event["action"]);
    if !action.is_empty() && !text.starts_with(&action) && !text.starts_with(&format!("un{action}"))
    {
        text = text + " (" + &action + ")";
    }
    if event["observed"] == true {
        text += " (observed only)";
    }
    // The message of an alarm begins with its subject.
    if event["event"] == "alarm" && event["message"].is_null() {
        text = format!("{text} {} is well again", in_words(&event["subject"]));
    }
    for (before, name) in [
        (" in ", "list"),
        (" on ports ", "ports"),
        (" until ", "expires_at"),
        (" until ", "blocked_until"),
        (": ", "detail"),
        (": ", "message"),
        (" by ", "by"),
        (": ", "comment"),
    ] {
        let value = in_words(&event[name]);
        if !value.is_empty() {
            text += before;
            text += &value;
        }
    }
    text.replace(char::is_control, " ")
}

/// What Slack reads as a link, a mention or an entity is none: three characters are escaped, and no
/// other (Slack, "Formatting text for app surfaces").
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api::wire::{Event, scan_examples};

    const BLOCK: &str = r#"{"event":"block","schema":1,"time":"2026-11-22T10:00:00Z","prefix":"192.0.2.7","action":"block","list":"local","comment":"<!channel> & \"co\"\n","by":"uid 0","updated":false,"ttl_s":600,"expires_at":"2026-11-22T10:10:00Z"}"#;
    const ALARM: &str =
        r#"{"event":"alarm","time":"2026-11-22T10:00:00Z","subject":"mirror","message":null}"#;

    fn message(events: &[&str]) -> Message {
        Message {
            id: "msg_1".into(),
            time: "2026-11-22T10:00:01Z".parse().expect("a time"),
            events: events.iter().map(ToString::to_string).collect(),
        }
    }

    fn written(format: &Format, events: &[&str]) -> Value {
        let text = format.write(&message(events), "web1");
        serde_json::from_str(&text).expect("JSON")
    }

    #[test]
    fn our_format_has_the_events_as_they_are() {
        let text = Format::FwCtl.write(&message(&[BLOCK, ALARM]), "web1");
        let expected = format!(
            r#"{{"schema":1,"id":"msg_1","time":"2026-11-22T10:00:01Z","host":"web1","events":[{BLOCK},{ALARM}]}}"#
        );
        assert_eq!(text, expected);
    }

    #[test]
    fn slack_gets_one_line_an_event_and_nobody_is_mentioned() {
        let text = written(&Format::Slack, &[BLOCK, ALARM]);
        assert_eq!(
            text["text"],
            "web1: block 192.0.2.7 in local until 2026-11-22T10:10:00Z by uid 0: \
             &lt;!channel&gt; &amp; \"co\" \nweb1: alarm mirror is well again"
        );
    }

    #[test]
    fn every_event_has_a_sentence() {
        let said = |event: &str, more: &str| {
            let text = format!(r#"{{"event":"{event}","time":"2026-11-22T10:00:00Z",{more}}}"#);
            sentence(&fields(&text))
        };
        assert_eq!(
            said(
                "block",
                r#""prefix":"192.0.2.7","observed":true,"list":"auto""#
            ),
            "block 192.0.2.7 (observed only) in auto"
        );
        let scan = scan_examples::scan();
        let scan = serde_json::to_string(&Event::Scan(scan)).expect("plain data");
        assert_eq!(
            sentence(&fields(&scan)),
            "scan 192.0.2.7/32 (block) on ports 21, 22, 23, 25, 110, 143 until 2026-11-22T10:10:00Z"
        );
        for (event, more, expected) in [
            (
                "unblock",
                r#""prefix":"::1","action":"block","list":"a","by":"scan""#,
                "unblock ::1 in a by scan",
            ),
            (
                "expire",
                r#""prefix":"::1","action":"allow","list":"a","by":"expiry""#,
                "expire ::1 (allow) in a by expiry",
            ),
            (
                "roll_up",
                r#""prefix":"::/64","sources":40"#,
                "roll up ::/64",
            ),
            (
                "changed",
                r#""detail":"2 added","by":"uid 0""#,
                "changed: 2 added by uid 0",
            ),
            (
                "interface",
                r#""interface":"eth0","attached":true,"detail":"attached""#,
                "interface eth0: attached",
            ),
            (
                "drift",
                r#""layer":"nftables","detail":"set gone""#,
                "drift nftables: set gone",
            ),
            (
                "alarm",
                r#""subject":"mirror","message":"mirror: no\nnft""#,
                "alarm: mirror: no nft",
            ),
            ("lost", r#""count":7"#, "lost 7"),
            ("lost", r#""count":null"#, "lost"),
        ] {
            assert_eq!(said(event, more), expected);
        }
    }

    #[test]
    fn a_template_is_filled_with_the_one_event() {
        let format = Format::read(
            WebhookFormat::Template,
            Some(r#"{"content":"{{host}} {{event}} {{prefix}} {{ttl_s}} {{comment}}|{{detail}}","k":"{{id}}"}"#),
        )
        .expect("a template");
        assert_eq!(format.most(), 1);
        assert_eq!(
            written(&format, &[BLOCK]),
            json!({"content":"web1 block 192.0.2.7 600 <!channel> & \"co\"\n|","k":"msg_1"})
        );
    }

    #[test]
    fn a_template_belongs_to_its_format_alone() {
        for (format, template) in [
            (WebhookFormat::FwCtl, Some("{}")),
            (WebhookFormat::Slack, Some("{}")),
            (WebhookFormat::Template, None),
            (WebhookFormat::Template, Some("{")),
        ] {
            Format::read(format, template).expect_err(format.name());
        }
    }
}
