//! The scan detector: its state, changes to it, and what it saw.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Geo;

/// `GET /scan`, and the answer to every change of the detector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScanStatus {
    /// Version of this layout: 1.
    pub schema: u32,
    /// `off`, `observe` or `enforce`.
    pub mode: String,
    /// Settings that `scan set` took over from the configuration, by their names in it.
    pub changed: Vec<String>,
    /// Distinct ports within the window that make a scan.
    pub ports: u32,
    /// The window.
    pub window_s: u64,
    /// Distinct ports within the slow window that make a scan.
    pub slow_ports: u32,
    /// The slow window.
    pub slow_window_s: u64,
    /// The first block.
    pub ttl_s: u64,
    /// The blocks that follow, for proven sources.
    pub escalation_s: Vec<u64>,
    /// One offence is forgotten for each such time without another.
    pub forget_s: u64,
    /// Ports that count more: `tcp/23`.
    pub bait: Vec<String>,
    /// As many ports as one of them counts.
    pub bait_weight: u32,
    /// Bits of an IPv6 address that make one source.
    pub v6_prefix: u8,
    /// For so long a port that stopped being served is not counted.
    pub grace_s: u64,
    /// Sources of a /24 or /48 that become one block; 0 for never.
    pub roll_up: u32,
    /// Ports that are served, and so are never counted.
    pub served: ScanServed,
    /// Sources that have points at the moment.
    pub watched: u64,
    /// Sources that can be watched at once.
    pub slots: u64,
    /// Automatic blocks and their bounds.
    pub blocks: ScanBlocks,
    /// What happened since the maps were made.
    pub totals: ScanTotals,
    /// Sources whose offences are remembered.
    pub offenders: usize,
    /// The ten nearest to a threshold, the nearest first.
    pub sources: Vec<ScanSource>,
}

/// Served ports, as `22` or `8000-8010`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScanServed {
    /// Of TCP.
    pub tcp: Vec<String>,
    /// Of UDP.
    pub udp: Vec<String>,
}

/// Automatic blocks and their bounds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScanBlocks {
    /// In force, or observed to be.
    pub in_force: u64,
    /// Those of them whose source may be forged.
    pub unproven: u64,
    /// At most so many in all.
    pub max: u64,
    /// At most so many whose source may be forged.
    pub max_unproven: u64,
    /// At most so many new ones a minute whose source may be forged.
    pub per_minute: u64,
    /// How many the kernel may still make by itself.
    pub room: u64,
}

/// What happened since the maps were made.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScanTotals {
    /// Thresholds crossed.
    pub crossings: u64,
    /// Those without a block, because there was no room for one.
    pub capped: u64,
    /// Reports of those that were held back by the rate limit.
    pub limited: u64,
    /// Reports that were lost because the ring was full.
    pub lost: u64,
}

/// A source that has points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScanSource {
    /// `192.0.2.7` or `2001:db8::/64`.
    pub source: String,
    /// Within the window, in ports.
    pub score: f64,
    /// Within the slow window, in ports.
    pub slow_score: f64,
    /// Ports it tried.
    pub distinct_ports: u32,
    /// The last of them.
    pub ports: Vec<u16>,
    /// Seconds since the last.
    pub last_s: u64,
}

/// `PATCH /scan`: what is there is set, until `DELETE /scan`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ScanChange {
    /// As in [`ScanStatus`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// As in [`ScanStatus`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ports: Option<u32>,
    /// As in [`ScanStatus`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_s: Option<u64>,
    /// As in [`ScanStatus`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// Check only, and answer what would be.
    #[serde(default)]
    pub dry_run: bool,
}

/// The query of `DELETE /scan`, which goes back to the configuration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
#[serde(deny_unknown_fields)]
pub struct ScanReset {
    /// Answer what would be, and leave everything as it is.
    #[serde(default)]
    pub dry_run: bool,
}

/// A source crossed a threshold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ScanEvent {
    /// Version of this layout: 1.
    pub schema: u32,
    /// When.
    pub time: Timestamp,
    /// Who sent the packet that crossed it.
    #[schema(value_type = String)]
    pub source: IpAddr,
    /// What is counted, and blocked, as one source.
    pub prefix: String,
    /// Destination address of that packet.
    #[schema(value_type = String)]
    pub destination: IpAddr,
    /// Name of the interface, or its index as text once it is gone.
    pub interface: String,
    /// Of that packet: `tcp` or `udp`.
    pub protocol: String,
    /// What the source sent: of `syn`, `udp`, `flags`, `bait`.
    pub kinds: Vec<String>,
    /// The threshold: `window` or `slow`.
    pub trigger: String,
    /// The last ports it tried, at most six, that of the crossing packet last.
    pub ports: Vec<u16>,
    /// Ports it tried.
    pub distinct_ports: u32,
    /// Addresses it tried.
    pub distinct_hosts: u32,
    /// Within the window, in ports.
    pub score: f64,
    /// Within the slow window, in ports.
    pub slow_score: f64,
    /// `proven` or `unproven`: whether the source is known not to be forged.
    pub evidence: String,
    /// Its first is 1.
    pub offence: u32,
    /// `block`; `observe`: what would be one; `capped`: none, there was no room for it.
    pub action: String,
    /// Whether its packets are dropped.
    pub enforced: bool,
    /// Seconds of the block; `null` without one.
    pub ttl_s: Option<u64>,
    /// When it ends; `null` without one.
    pub blocked_until: Option<Timestamp>,
    /// Where the source is at home; `null` where that is not known.
    #[serde(default)]
    pub geo: Option<Geo>,
}

/// Blocked sources of one network became one block.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RollUp {
    /// Version of this layout: 1.
    pub schema: u32,
    /// When.
    pub time: Timestamp,
    /// The network.
    pub prefix: String,
    /// How many were blocked in it.
    pub sources: usize,
    /// Seconds of the block.
    pub ttl_s: u64,
    /// When it ends.
    pub blocked_until: Timestamp,
}

/// The block of a network is taken back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Unroll {
    /// Version of this layout: 1.
    pub schema: u32,
    /// When.
    pub time: Timestamp,
    /// The network.
    pub prefix: String,
    /// Sources in it that are blocked by themselves again.
    pub sources: usize,
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::api::wire::Event;

    const STATUS: &str = r#"{"schema":1,"mode":"observe","changed":["ttl"],"ports":10,"window_s":60,"slow_ports":20,"slow_window_s":3600,"ttl_s":600,"escalation_s":[3600,86400,604800],"forget_s":604800,"bait":["tcp/23"],"bait_weight":5,"v6_prefix":64,"grace_s":60,"roll_up":32,"served":{"tcp":["22","80","8000-8010"],"udp":["53","32768-60999"]},"watched":12,"slots":262144,"blocks":{"in_force":3,"unproven":2,"max":10000,"max_unproven":1000,"per_minute":100,"room":97},"totals":{"crossings":5,"capped":0,"limited":0,"lost":0},"offenders":17,"sources":[{"source":"192.0.2.7","score":7.5,"slow_score":7.5,"distinct_ports":7,"ports":[21,22,23],"last_s":3}]}"#;

    const SCAN: &str = r#"{"event":"scan","schema":1,"time":"2026-11-22T10:00:00Z","source":"192.0.2.7","prefix":"192.0.2.7/32","destination":"198.51.100.2","interface":"eth0","protocol":"tcp","kinds":["syn"],"trigger":"window","ports":[21,22,23,25,110,143],"distinct_ports":10,"distinct_hosts":1,"score":10.0,"slow_score":10.0,"evidence":"unproven","offence":1,"action":"block","enforced":true,"ttl_s":600,"blocked_until":"2026-11-22T10:10:00Z","geo":null}"#;

    const ROLL_UP: &str = r#"{"event":"roll_up","schema":1,"time":"2026-11-22T10:00:00Z","prefix":"192.0.2.0/24","sources":40,"ttl_s":600,"blocked_until":"2026-11-22T10:10:00Z"}"#;

    const UNROLL: &str = r#"{"event":"unroll","schema":1,"time":"2026-11-22T10:00:00Z","prefix":"192.0.2.0/24","sources":0}"#;

    /// A detector in its default state that has seen something.
    pub fn status() -> ScanStatus {
        serde_json::from_str(STATUS).expect("a status")
    }

    /// A first offence, from a source that may be forged.
    pub fn scan() -> ScanEvent {
        match serde_json::from_str(SCAN).expect("an event") {
            Event::Scan(scan) => scan,
            other => panic!("{other:?}"),
        }
    }

    /// A network whose block comes, and its end.
    pub fn rolled() -> [Event; 2] {
        [ROLL_UP, UNROLL].map(|text| serde_json::from_str(text).expect("an event"))
    }

    #[test]
    fn programs_get_exactly_the_documented_words() {
        let written = |event: &Event| serde_json::to_string(event).expect("plain data");
        assert_eq!(written(&Event::Scan(scan())), SCAN);
        assert_eq!(rolled().map(|event| written(&event)), [ROLL_UP, UNROLL]);
        let status = serde_json::to_string(&status()).expect("plain data");
        assert_eq!(status, STATUS);
    }

    #[test]
    fn a_scan_without_a_block_has_no_end() {
        let capped = ScanEvent {
            action: "capped".into(),
            enforced: false,
            ttl_s: None,
            blocked_until: None,
            ..scan()
        };
        let text = serde_json::to_string(&Event::Scan(capped)).expect("plain data");
        assert!(
            text.ends_with(
                r#""action":"capped","enforced":false,"ttl_s":null,"blocked_until":null,"geo":null}"#
            ),
            "{text}"
        );
    }

    #[test]
    fn a_change_names_only_what_it_changes_and_nothing_unknown() {
        let change: ScanChange = serde_json::from_str(r#"{"mode":"enforce"}"#).expect("a change");
        assert_eq!(change.mode.as_deref(), Some("enforce"));
        assert_eq!(
            (change.ports, change.ttl_s, change.dry_run),
            (None, None, false)
        );
        for unknown in [
            r#"{"window":"60s"}"#,
            r#"{"ports":-1}"#,
            r#"{"ports":"ten"}"#,
        ] {
            serde_json::from_str::<ScanChange>(unknown).expect_err(unknown);
        }
    }
}
