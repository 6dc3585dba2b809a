//! `[scan]`: how the settings of the detector are written.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de::Error};

use super::{text, texts};
use crate::{
    detect::{
        ports::{PortSet, Ports},
        settings::{Mode, Settings},
    },
    duration::Ttl,
};

/// `[scan]` is read as [`Settings`]; what is not in it is as [`Settings::default`] has it.
#[derive(Deserialize)]
#[serde(
    remote = "Settings",
    deny_unknown_fields,
    default = "Settings::default"
)]
pub(super) struct Table {
    #[serde(deserialize_with = "text")]
    mode: Mode,
    ports: u32,
    #[serde(deserialize_with = "duration")]
    window: Duration,
    #[serde(deserialize_with = "duration")]
    ttl: Duration,
    #[serde(deserialize_with = "durations")]
    escalation: Vec<Duration>,
    #[serde(deserialize_with = "duration")]
    forget: Duration,
    slow_ports: u32,
    #[serde(deserialize_with = "duration")]
    slow_window: Duration,
    #[serde(deserialize_with = "ports")]
    served: PortSet,
    #[serde(deserialize_with = "ports")]
    bait: PortSet,
    bait_weight: u32,
    #[serde(deserialize_with = "duration")]
    grace: Duration,
    v6_prefix: u8,
    max_blocks: u32,
    max_unproven: u32,
    unproven_per_minute: u32,
    roll_up: u32,
    classic_log: bool,
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    ending(text(from)?)
}

fn durations<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Duration>, D::Error> {
    texts(from)?.into_iter().map(ending).collect()
}

fn ending<E: Error>(ttl: Ttl) -> Result<Duration, E> {
    match ttl {
        Ttl::For(duration) => Ok(duration),
        Ttl::Never => Err(E::custom("the detector knows no `never`")),
    }
}

fn ports<'de, D: Deserializer<'de>>(from: D) -> Result<PortSet, D::Error> {
    let ports: Vec<Ports> = texts(from)?;
    Ok(ports.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::Config;

    #[test]
    fn the_whole_table_is_read() {
        let config = Config::parse(
            r#"
            [scan]
            mode = "enforce"
            ports = 5
            window = "2m"
            ttl = "5m"
            escalation = ["30m", "1h30m"]
            forget = "2w"
            slow_ports = 15
            slow_window = "2h"
            served = ["tcp/8443", "udp/5000-5100"]
            bait = ["tcp/23"]
            bait_weight = 4
            grace = "30s"
            v6_prefix = 56
            max_blocks = 500
            max_unproven = 50
            unproven_per_minute = 5
            roll_up = 0
            classic_log = true
            "#,
        );
        let set = |ports: &[&str]| -> PortSet {
            let ports = ports.iter().map(|text| text.parse::<Ports>());
            ports.collect::<Result<_, _>>().expect("ports")
        };
        let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
        let expected = Settings {
            mode: Mode::Enforce,
            ports: 5,
            window: minutes(2),
            ttl: minutes(5),
            escalation: [30, 90].map(minutes).to_vec(),
            forget: minutes(2 * 7 * 24 * 60),
            slow_ports: 15,
            slow_window: minutes(120),
            served: set(&["tcp/8443", "udp/5000-5100"]),
            bait: set(&["tcp/23"]),
            bait_weight: 4,
            grace: Duration::from_secs(30),
            v6_prefix: 56,
            max_blocks: 500,
            max_unproven: 50,
            unproven_per_minute: 5,
            roll_up: 0,
            classic_log: true,
        };
        assert_eq!(config.expect("a good file").scan, expected);
    }

    #[test]
    fn what_is_not_in_the_table_is_as_without_one() {
        for text in ["", "[scan]", "[scan]\nmode = \"observe\""] {
            let scan = Config::parse(text).expect(text).scan;
            assert_eq!(scan, Settings::default(), "{text}");
        }
        let scan = Config::parse("scan.ports = 7")
            .expect("a key with a dot")
            .scan;
        let expected = Settings {
            ports: 7,
            ..Settings::default()
        };
        assert_eq!(scan, expected);
    }

    #[test]
    fn the_shipped_file_has_every_key_and_the_defaults() {
        let shipped = include_str!("../../dist/fw-ctl.toml");
        let config = Config::parse(shipped).expect("a good file");
        let expected = Config {
            interfaces: vec!["eth0".to_owned()],
            ..Config::default()
        };
        assert_eq!(config, expected);

        let refused = Config::parse("[scan]\nnonsense = 1").expect_err("no such key");
        let known: BTreeSet<&str> = refused.split('`').skip(1).step_by(2).skip(1).collect();
        let shipped: toml::Table = shipped.parse().expect("a good file");
        let shown = shipped["scan"].as_table().expect("a table");
        assert_eq!(
            shown.keys().map(String::as_str).collect::<BTreeSet<_>>(),
            known
        );
    }

    #[test]
    fn what_is_wrong_is_named_with_its_line_and_its_bounds() {
        for (line, parts) in [
            ("prts = 10", ["line 3, column 1", "unknown field `prts`"]),
            (
                "mode = \"on\"",
                [
                    "line 3, column 8",
                    "\"on\" is none of off, observe, enforce",
                ],
            ),
            ("mode = 1", ["line 3, column 8", "expected a string"]),
            (
                "ports = 1",
                ["line 3, column 9", "ports is 1, but must be 2 to 64"],
            ),
            ("ports = 65", ["line 3, column 9", "ports is 65"]),
            ("ports = -1", ["line 3, column 9", "-1"]),
            ("ports = \"10\"", ["line 3, column 9", "string"]),
            ("window = 60", ["line 3, column 10", "expected a string"]),
            (
                "window = \"2h\"",
                ["line 3, column 10", "window is 2h, but must be 1s to 1h"],
            ),
            ("window = \"never\"", ["line 3, column 10", "`never`"]),
            ("ttl = \"0\"", ["line 3, column 7", "at least one second"]),
            (
                "ttl = \"10 minutes\"",
                ["line 3, column 7", "a duration is written like"],
            ),
            (
                "escalation = [\"1h\", \"1h\"]",
                ["line 3, column 14", "escalation"],
            ),
            (
                "escalation = [\"1h\", \"never\"]",
                ["line 3, column 14", "`never`"],
            ),
            (
                "escalation = [\"5m\"]",
                ["line 3, column 14", "longer than ttl"],
            ),
            ("forget = \"53w\"", ["line 3, column 10", "forget is 53w"]),
            (
                "slow_ports = 9",
                ["line 3, column 14", "at least as many as ports"],
            ),
            (
                "slow_window = \"60s\"",
                ["line 3, column 15", "longer than window"],
            ),
            ("served = [\"22\"]", ["line 3, column 10", "tcp/22"]),
            ("bait = [\"tcp/90-80\"]", ["line 3, column 8", "tcp/90-80"]),
            ("bait_weight = 21", ["line 3, column 15", "1 to 20"]),
            ("grace = \"2h\"", ["line 3, column 9", "1s to 1h"]),
            ("v6_prefix = 47", ["line 3, column 13", "48 to 128"]),
            ("v6_prefix = 300", ["line 3, column 13", "300"]),
            ("max_blocks = 0", ["line 3, column 14", "max_blocks is 0"]),
            ("max_unproven = 10001", ["line 3, column 16", "0 to 10000"]),
            (
                "unproven_per_minute = 10001",
                ["line 3, column 23", "0 to 10000"],
            ),
            ("roll_up = 1", ["line 3, column 11", "2 to 256"]),
            ("classic_log = \"yes\"", ["line 3, column 15", "boolean"]),
        ] {
            let text = format!("observe = true\n[scan]\n{line}\n[api]\n");
            let error = Config::parse(&text).expect_err(line);
            for part in parts {
                assert!(error.contains(part), "{line}: {error}");
            }
        }
    }

    #[test]
    fn a_default_that_no_longer_fits_is_named_at_its_table() {
        let error = Config::parse("\n[scan]\nports = 30").expect_err("20 slow ports");
        assert!(
            error.starts_with("line 2, column 1: slow_ports is 20"),
            "{error}"
        );
    }
}
