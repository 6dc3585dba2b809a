//! `diff` and `repair`: what should be in the layers against what is.

use std::slice;

use anyhow::Result;
use serde_json::json;

use super::{Context, output::escape};
use crate::api::wire::{Diff, LayerChange};

/// `fw-ctl diff`
pub fn run(context: &Context) -> Result<u8> {
    let diff: Diff = context.client.get("/diff")?;
    context.output.either(&diff, differences)?;
    Ok(u8::from(!diff.equal))
}

/// `fw-ctl repair`
pub fn repair(context: &Context) -> Result<u8> {
    let dry_run = context.global.dry_run;
    let mended: Diff = match dry_run {
        true => context.client.get("/diff")?,
        false => context.client.post("/repair", &json!({}))?,
    };
    context
        .output
        .done(&mended, |mended| told(&mended.layers, "mended", dry_run))?;
    Ok(0)
}

/// What layers changed, and what that was; or that nothing did.
pub fn told(layers: &[LayerChange], done: &str, dry_run: bool) -> String {
    let end = match (dry_run, layers.iter().all(is_equal)) {
        (true, false) => "dry run: nothing was changed",
        (false, false) => done,
        (true, true) => "dry run: nothing to do",
        (false, true) => "nothing to do",
    };
    format!("{}{end}\n", changes(layers))
}

fn is_equal(layer: &LayerChange) -> bool {
    layer.changes.is_empty() && layer.more == 0
}

fn differences(diff: &Diff) -> String {
    let layer = |layer: &LayerChange| match is_equal(layer) {
        true => format!("{}: as it should be\n", escape(&layer.layer)),
        false => changes(slice::from_ref(layer)),
    };
    diff.layers.iter().map(layer).collect()
}

/// A line each, below the name of the layer.
fn changes(layers: &[LayerChange]) -> String {
    let mut text = String::new();
    for layer in layers.iter().filter(|layer| !is_equal(layer)) {
        text += &format!("{}\n", escape(&layer.layer));
        for change in &layer.changes {
            text += &format!("  {}\n", escape(change));
        }
        if layer.more > 0 {
            text += &format!("  ... {} more\n", layer.more);
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn layers() -> Vec<LayerChange> {
        vec![
            LayerChange {
                layer: "xdp".into(),
                ..LayerChange::default()
            },
            LayerChange {
                layer: "nftables".into(),
                changes: vec!["+ jump INPUT 1".into(), "- x\x1b".into()],
                more: 7,
            },
        ]
    }

    #[test]
    fn a_difference_is_told_by_layer_and_line() {
        let diff = Diff {
            equal: false,
            layers: layers(),
        };
        assert_eq!(
            differences(&diff),
            "xdp: as it should be\n\
             nftables\n  + jump INPUT 1\n  - x\\u{1b}\n  ... 7 more\n"
        );
    }

    #[test]
    fn what_was_done_is_told_only_when_something_was() {
        let changed = told(&layers(), "mended", false);
        assert!(changed.starts_with("nftables\n  + jump"), "{changed}");
        assert!(changed.ends_with("  ... 7 more\nmended\n"), "{changed}");
        let dry = told(&layers(), "mended", true);
        assert!(
            dry.ends_with("more\ndry run: nothing was changed\n"),
            "{dry}"
        );
        assert_eq!(told(&layers()[..1], "mended", false), "nothing to do\n");
        assert_eq!(told(&[], "mended", true), "dry run: nothing to do\n");
    }
}
