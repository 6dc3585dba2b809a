//! `confirm` and `rollback`: a policy that waits to be confirmed is kept or taken back.

use anyhow::Result;
use serde_json::json;

use super::{Context, diff};
use crate::{
    api::wire::{Applied, Pending, Status},
    duration::Ttl,
};

/// `fw-ctl confirm`
pub fn run(context: &Context) -> Result<u8> {
    ask("/confirm", context, |applied| match &*applied.warnings {
        [] => "confirmed\n".to_owned(),
        _ => "nothing to do\n".to_owned(),
    })
}

/// `fw-ctl rollback`
pub fn rollback(context: &Context) -> Result<u8> {
    ask("/rollback", context, |applied| {
        diff::told(&applied.layers, "rolled back", false)
    })
}

fn ask(path: &str, context: &Context, told: impl FnOnce(&Applied) -> String) -> Result<u8> {
    if context.global.dry_run {
        let status: Status = context.client.get("/status")?;
        let waiting = Applied {
            pending: status.pending,
            ..Applied::default()
        };
        context.output.done(&waiting, dry_run)?;
        return Ok(0);
    }
    let applied: Applied = context.client.post(path, &json!({}))?;
    context.warn_of_all(&applied.warnings);
    context.output.done(&applied, told)?;
    Ok(0)
}

/// Whether there is anything to confirm or to take back.
fn dry_run(applied: &Applied) -> String {
    match &applied.pending {
        Some(pending) => format!("dry run: {}\n", waits(pending)),
        None => "dry run: nothing to do\n".to_owned(),
    }
}

/// Until when a policy waits, and what it waits for.
pub fn waits(pending: &Pending) -> String {
    let Some(until) = pending.until else {
        return "the policy is not confirmed: `fw-ctl confirm` keeps it, `fw-ctl rollback` takes it back"
            .to_owned();
    };
    let left = match pending.left_s {
        Some(left) => format!(" in {}", Ttl::from_secs(Some(left))),
        None => String::new(),
    };
    format!("the policy is taken back{left}, at {until:.0}, unless `fw-ctl confirm` is run before")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dry_run_says_whether_anything_waits() {
        let mut applied = Applied::default();
        assert_eq!(dry_run(&applied), "dry run: nothing to do\n");
        applied.pending = Some(Pending {
            until: None,
            left_s: None,
        });
        let text = dry_run(&applied);
        assert!(
            text.starts_with("dry run: the policy is not confirmed"),
            "{text}"
        );
    }

    #[test]
    fn who_waits_is_told_until_when_and_how_to_confirm() {
        let mut pending = Pending {
            until: Some("2026-11-22T21:30:00Z".parse().expect("a time")),
            left_s: Some(60),
        };
        assert_eq!(
            waits(&pending),
            "the policy is taken back in 1m, at 2026-11-22T21:30:00Z, \
             unless `fw-ctl confirm` is run before"
        );
        pending = Pending {
            until: None,
            left_s: None,
        };
        assert_eq!(
            waits(&pending),
            "the policy is not confirmed: `fw-ctl confirm` keeps it, \
             `fw-ctl rollback` takes it back"
        );
    }
}
