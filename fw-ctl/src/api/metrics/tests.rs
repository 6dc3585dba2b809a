use std::collections::{BTreeMap, BTreeSet};

use fw_common::{abi::Counter, reason::Outcome};
use prometheus_client::metrics::histogram::Histogram;
use serde_json::Value;

use super::*;
use crate::{api::wire::Table, daemon::meters::Trigger, policy::table::Count};

/// Every outcome, on two interfaces.
fn snapshot() -> Metrics {
    let totals = |packets| {
        let counter = Counter {
            packets,
            bytes: packets * 60,
        };
        let real = Outcome::all().filter(|outcome| !outcome.observed || outcome.reason.drops());
        real.map(|outcome| (outcome, counter)).collect()
    };
    let applied = Histogram::new([0.1, 1.0]);
    applied.observe(0.5);
    Metrics {
        packets: vec![("eth0".into(), totals(3)), (String::new(), totals(1))],
        entries: vec![("local".into(), Count { ipv4: 5, ipv6: 2 })],
        tables: vec![Table {
            name: "block_v4".into(),
            used: 5,
            capacity: 10,
        }],
        memory: 1 << 20,
        blocks: Trigger::ALL.map(|trigger| (trigger, 1)).to_vec(),
        expired: 4,
        scan_sources: 6,
        scan_crossings: 7,
        applied,
        drifts: 8,
        events_lost: 9,
        guarded: 10,
        alarms: 0,
        attached: vec![
            ("eth0".into(), Some("native".into()), true),
            ("eth1".into(), None, false),
        ],
        version: "1.2.3",
        abi: 6,
    }
}

fn webhook() -> Webhook {
    let text = r#"{"name":"pager","url":"https://example.com/...","format":"slack","events":"scan",
        "lists":[],"min_ttl_s":null,"created_at":"2026-11-22T10:00:00Z","queued":2,"oldest_s":5,
        "delivered":7,"failed":1,"dropped":3,"tried_at":null,"status":200,"problem":null}"#;
    serde_json::from_str(text).expect("a webhook")
}

fn text() -> String {
    encode(&snapshot(), &[webhook()]).expect("a string takes everything")
}

/// The labels of each series, by its name.
fn series(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut series: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, labels) = words(line).into_iter().next().expect("a name");
        series.entry(name).or_default().extend(labels);
    }
    series
}

/// Names of metrics in a text, each with the labels in the braces behind it.
fn words(text: &str) -> Vec<(String, Vec<String>)> {
    let starts = text.match_indices("fwctl_").map(|(at, _)| &text[at..]);
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let read = |text: &str| {
        let name: String = text.chars().take_while(|c| is_name(*c)).collect();
        let braces = text[name.len()..].strip_prefix('{');
        let inside = braces.and_then(|rest| rest.split('}').next());
        let labels = inside.unwrap_or_default().split("\",");
        let label = |pair: &str| {
            let name: String = pair.chars().take_while(|c| is_name(*c)).collect();
            (!name.is_empty()).then_some(name)
        };
        (name, labels.filter_map(label).collect())
    };
    starts.map(read).collect()
}

/// All texts under these keys, wherever they stand.
fn texts(value: &Value, keys: &[&str], found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                match value {
                    Value::String(text) if keys.contains(&key.as_str()) => {
                        found.push(text.clone());
                    }
                    value => texts(value, keys, found),
                }
            }
        }
        Value::Array(values) => values.iter().for_each(|value| texts(value, keys, found)),
        _ => {}
    }
}

#[test]
fn the_names_are_those_that_are_promised_and_each_says_what_it_is() {
    let text = text();
    for line in [
        r#"fwctl_packets_total{action="drop",reason="block",family="ipv4",iface="eth0"} 3"#,
        r#"fwctl_bytes_total{action="pass",reason="default",family="ipv6",iface="other"} 60"#,
        r#"fwctl_entries{list="local",family="ipv6"} 2"#,
        r#"fwctl_map_capacity{map="block_v4"} 10"#,
        r#"fwctl_map_used{map="block_v4"} 5"#,
        r#"fwctl_blocks_total{trigger="scan"} 1"#,
        "fwctl_expired_total 4",
        "fwctl_scan_sources 6",
        r#"fwctl_apply_seconds_bucket{le="1.0"} 1"#,
        "fwctl_mirror_drift_total 8",
        "fwctl_events_lost_total 9",
        r#"fwctl_build_info{version="1.2.3",abi="6"} 1"#,
        r#"fwctl_attached{iface="eth0",mode="native"} 1"#,
        r#"fwctl_attached{iface="eth1",mode="none"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    let described = |kind: &str| -> BTreeSet<&str> {
        let lines = text.lines().filter_map(|line| line.strip_prefix(kind));
        lines.filter_map(|line| line.split(' ').next()).collect()
    };
    assert_eq!(described("# HELP "), described("# TYPE "));
    for name in series(&text).keys() {
        let suffixes = ["_total", "_info", "_bucket", "_sum", "_count", ""];
        let mut bases = suffixes
            .iter()
            .filter_map(|suffix| name.strip_suffix(suffix));
        let is_described = bases.any(|base| described("# HELP ").contains(base));
        assert!(is_described, "{name} has no HELP");
    }
}

#[test]
fn what_never_was_counted_is_left_out() {
    let mut none = snapshot();
    for (_, totals) in &mut none.packets {
        totals
            .iter_mut()
            .for_each(|(_, counter)| *counter = Counter::default());
    }
    let text = encode(&none, &[]).expect("a string takes everything");
    assert!(!series(&text).contains_key("fwctl_packets_total"), "{text}");
}

#[test]
fn a_name_cannot_break_out_of_its_label() {
    let mut hostile = snapshot();
    hostile.entries = vec![("a\"} 1\nevil{x=\"\\".into(), Count::default())];
    let text = encode(&hostile, &[]).expect("a string takes everything");
    let lines = text
        .lines()
        .filter(|line| line.starts_with("fwctl_entries"));
    for line in lines {
        assert!(
            line.starts_with(r#"fwctl_entries{list="a\"} 1\nevil{x=\"\\",family="#),
            "{line}"
        );
    }
    assert!(!text.lines().any(|line| line.starts_with("evil")));
}

#[test]
fn the_dashboard_uses_only_metrics_and_labels_that_exist() {
    const DASHBOARD: &str = include_str!("../../../dist/grafana.json");
    /// What Prometheus itself adds to a scrape.
    const SCRAPED: [&str; 2] = ["job", "instance"];
    let dashboard: Value = serde_json::from_str(DASHBOARD).expect("the dashboard is JSON");
    let there = series(&text());
    let mut queries = Vec::new();
    texts(&dashboard, &["expr", "query"], &mut queries);
    let mut used = BTreeSet::new();
    for query in &queries {
        for (name, labels) in words(query) {
            let known = there
                .get(&name)
                .unwrap_or_else(|| panic!("{name} in {query}"));
            for label in labels {
                let is_known = known.contains(&label) || SCRAPED.contains(&label.as_str());
                assert!(is_known, "{name} has no label {label}: {query}");
            }
            used.insert(name);
        }
        for by in query.split("by (").skip(1) {
            let by = by.split(')').next().unwrap_or_default();
            for label in by.split(", ") {
                let is_known = |(name, _): (String, _)| there[&name].contains(label);
                assert!(words(query).into_iter().all(is_known), "{label} in {query}");
            }
        }
    }
    let unused: Vec<_> = there.keys().filter(|name| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "nobody would see {unused:?}");
}
