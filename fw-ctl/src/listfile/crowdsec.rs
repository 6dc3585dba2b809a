//! What `cscli decisions list -o json` prints: alerts with their decisions, or decisions alone.

use std::borrow::Cow;

use jiff::{Timestamp, Zoned};
use serde::{Deserialize, de::IgnoredAny};
use serde_json::{Deserializer, value::RawValue};

use super::{
    Item, Parsed,
    document::{Broken, Lines, broken, message},
    time,
};
use crate::policy::entry::Action;

/// What an element of the document may be: an alert, which has decisions, or a decision.
#[derive(Deserialize)]
struct Element<'a> {
    #[serde(borrow)]
    decisions: Option<Vec<&'a RawValue>>,
}

/// What CrowdSec wants done.
#[derive(Deserialize)]
struct Decision<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    scope: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
    #[serde(borrow)]
    scenario: Option<Cow<'a, str>>,
    /// What is left, as it was printed.
    #[serde(borrow)]
    duration: Option<Cow<'a, str>>,
    /// The end itself, where it is told.
    until: Option<Timestamp>,
    #[serde(default)]
    simulated: bool,
}

/// Whether the elements of an array, of which this is the text behind the bracket, are decisions.
pub(super) fn is(elements: &str) -> bool {
    #[derive(Deserialize)]
    struct Keys {
        decisions: Option<IgnoredAny>,
        scope: Option<IgnoredAny>,
        value: Option<IgnoredAny>,
    }
    let first = Deserializer::from_str(elements).into_iter::<Keys>().next();
    matches!(first, Some(Ok(keys)) if keys.decisions.is_some() || keys.scope.and(keys.value).is_some())
}

/// Reads a whole document; `null` is one without decisions.
pub(super) fn document(
    text: &str,
    mut lines: Lines<'_>,
    now: &Zoned,
    parsed: &mut Parsed,
) -> Result<(), Broken> {
    let elements: Option<Vec<&RawValue>> =
        serde_json::from_str(text).map_err(|error| broken(text, &error))?;
    for element in elements.unwrap_or_default() {
        let raw = element.get();
        match serde_json::from_str::<Element<'_>>(raw) {
            Ok(Element {
                decisions: Some(decisions),
            }) => {
                for decision in decisions {
                    let raw = decision.get();
                    take(lines.of(raw), raw, now, parsed);
                }
            }
            Ok(_) => take(lines.of(raw), raw, now, parsed),
            Err(error) => parsed.take(lines.of(raw), raw, Err(message(&error))),
        }
    }
    Ok(())
}

/// Takes a decision that bans an address or a network, and names every other.
fn take(line: usize, raw: &str, now: &Zoned, parsed: &mut Parsed) {
    let decision: Decision<'_> = match serde_json::from_str(raw) {
        Ok(decision) => decision,
        Err(error) => return parsed.take(line, raw, Err(message(&error))),
    };
    let Decision { kind, scope, .. } = &decision;
    let source = ["ip", "range"]
        .iter()
        .any(|known| scope.eq_ignore_ascii_case(known));
    if kind != "ban" || !source || decision.simulated {
        let what = if decision.simulated { "simulated " } else { "" };
        let value = &decision.value;
        let said = format!("{what}{kind} of {scope} {value}");
        return parsed.leave_out(line, &said, "only bans of addresses and ranges are taken");
    }
    let ttl = match (decision.until, decision.duration.as_deref()) {
        (Some(end), _) => time::left(end, now),
        (None, Some(duration)) if duration.starts_with('-') => None,
        (None, Some(duration)) => match time::secs(duration) {
            Some(secs) => Some(time::ttl(secs)),
            None => {
                let reason = "`duration` is no duration like `3h59m12.5s`";
                return parsed.take(line, raw, Err(reason.into()));
            }
        },
        (None, None) => {
            return parsed.take(line, raw, Err("the decision has no `duration`".into()));
        }
    };
    let Some(ttl) = ttl else {
        parsed.ended += 1;
        return;
    };
    let item = Item {
        address: decision.value,
        ttl: Some(ttl),
        comment: decision.scenario.unwrap_or_default(),
        action: Some(Action::Block),
        created: None,
    };
    parsed.take(line, raw, Ok(Some(item)));
}
