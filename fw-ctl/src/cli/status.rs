//! `status`: everything about the daemon on one screen.

use anyhow::Result;

use crate::{
    api::wire::{Interface, Memory, MirrorStatus, Status, Table},
    cli::{
        Context, confirm, feed,
        geo::show as geo,
        output::{Output, escape, table},
    },
};

/// `fw-ctl status`
pub fn run(context: &Context) -> Result<u8> {
    let status: Status = context.client.get("/status")?;
    context.output.either(&status, |status| {
        let mut text = screen(status, &context.output);
        if context.global.verbose > 0 {
            text += &format!("\n{}\n{}", tables(&status.tables), maps(&status.memory));
        }
        text
    })?;
    Ok(exit(&status))
}

/// A daemon that sees no packet is a negative answer.
fn exit(status: &Status) -> u8 {
    u8::from(!status.interfaces.iter().any(|interface| interface.attached))
}

fn screen(status: &Status, output: &Output) -> String {
    let parts = [
        head(status, output),
        interfaces(&status.interfaces),
        lists(status),
        totals(status),
    ];
    let mut text = parts.join("\n");
    if !status.feeds.is_empty() {
        text += &format!("\n{}", feed::table(&status.feeds));
    }
    text
}

fn head(status: &Status, output: &Output) -> String {
    let state = match status.state.as_str() {
        "ok" => output.good("ok"),
        state => output.bad(&escape(state)),
    };
    let mut text = format!(
        "fw-ctl {}: {state}, process {} since {:.0}\n",
        status.version, status.pid, status.started_at
    );
    for alarm in &status.alarms {
        text += &format!("{} {}\n", output.bad("alarm:"), escape(alarm));
    }
    if let Some(pending) = &status.pending {
        let waits = confirm::waits(pending);
        text += &format!("{} {waits}\n", output.bad("not confirmed:"));
    }
    if status.observe {
        text += "observe mode: drops are counted, nothing is dropped\n";
    }
    let program = &status.program;
    let frames = match program.frags {
        true => "multi-buffer frames",
        false => "linear frames only",
    };
    text += &format!(
        "program  {} (id {}, tag {}, ABI {}), {frames}\n",
        program.name, program.id, program.tag, status.abi
    );
    text += &format!("scan     {}\n", escape(&status.scan));
    if let Some(geo) = geo::line(&status.geo) {
        text += &format!("geo      {geo}\n");
    }
    text += &mirror(&status.mirror, output);
    text += &format!("guard    {} prefixes\n", status.guard);
    text += &format!("tables   {}\n", room(status));
    let samples = &status.samples;
    text + &format!(
        "samples  {} held back, {} lost\n",
        samples.limited, samples.lost
    )
}

/// The mirror, and what of the policy stands in it only.
fn mirror(mirror: &MirrorStatus, output: &Output) -> String {
    let at = mirror.checked_at.map(|at| format!(" at {at:.0}"));
    let state = match (mirror.state.as_str(), at) {
        ("none", _) => String::new(),
        ("behind", None) => format!(", {}", output.bad("behind")),
        ("behind", Some(at)) => format!(", {}, last in step{at}", output.bad("behind")),
        (state, at) => format!(", {}{}", escape(state), at.unwrap_or_default()),
    };
    let mut text = format!("mirror   {}{state}", escape(&mirror.backend));
    if mirror.drifts > 0 {
        text += &format!(", {} times changed by others", mirror.drifts);
    }
    if !mirror.detail.is_empty() {
        text += &format!(" ({})", escape(&mirror.detail));
    }
    text += &format!("\ndefault  {}\n", escape(&mirror.default));
    text + &format!("rules    {}\n", mirror.rules)
}

fn interfaces(interfaces: &[Interface]) -> String {
    let row = |interface: &Interface| {
        let mode = match (interface.attached, &interface.mode) {
            (true, Some(mode)) => mode.clone(),
            (true, None) => "attached".to_owned(),
            (false, _) => "not attached".to_owned(),
        };
        [
            escape(&interface.name).into_owned(),
            interface
                .index
                .map_or("-".to_owned(), |index| index.to_string()),
            mode,
            escape(&interface.detail).into_owned(),
        ]
    };
    table(
        ["INTERFACE", "INDEX", "MODE", "WHY"],
        interfaces.iter().map(row),
    )
}

fn lists(status: &Status) -> String {
    let rows = status.lists.iter().map(|list| {
        [
            escape(&list.name).into_owned(),
            list.blocks.to_string(),
            list.allows.to_string(),
        ]
    });
    table(["LIST", "BLOCKS", "ALLOWS"], rows)
}

/// What all tables take, and how full the fullest is: it is the one that refuses.
fn room(status: &Status) -> String {
    let bytes = status.memory.iter().map(|map| map.bytes).sum();
    // The first of several.
    let fullest = status.tables.iter().rev().max_by_key(|table| table.fill());
    let fill = fullest.map(|table| format!(", {} % full ({})", table.fill(), table.name));
    format!("{} in the kernel{}", mib(bytes), fill.unwrap_or_default())
}

/// Memory, as shown to people.
pub fn mib(bytes: u64) -> String {
    format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
}

fn tables(tables: &[Table]) -> String {
    let rows = tables.iter().map(|table| {
        [
            table.name.clone(),
            table.used.to_string(),
            table.capacity.to_string(),
            format!("{} %", table.fill()),
        ]
    });
    table(["TABLE", "USED", "CAPACITY", "FILL"], rows)
}

fn maps(maps: &[Memory]) -> String {
    let rows = maps.iter().map(|map| [map.map.clone(), mib(map.bytes)]);
    table(["MAP", "MEMORY"], rows)
}

/// The outcomes that occurred.
fn totals(status: &Status) -> String {
    let seen = status.totals.iter().filter(|total| total.packets > 0);
    let rows = seen.map(|total| {
        [
            total.action.clone(),
            total.reason.clone(),
            total.family.clone(),
            total.packets.to_string(),
            total.bytes.to_string(),
        ]
    });
    table(["ACTION", "REASON", "FAMILY", "PACKETS", "BYTES"], rows)
}

#[cfg(test)]
pub(in crate::cli) mod tests {
    use clap::ColorChoice;

    use super::*;
    use crate::{
        api::wire::{GeoStatus, List, Pending, Program, Samples, Total},
        cli::output::Format,
    };

    /// A daemon with an alarm.
    pub fn status() -> Status {
        Status {
            version: "0.1.0".into(),
            abi: 1,
            pid: 42,
            started_at: jiff::Timestamp::UNIX_EPOCH,
            observe: false,
            state: "degraded".into(),
            alarms: vec!["eth1 is away".into()],
            program: Program {
                name: "fwctl_frags".into(),
                id: 7,
                tag: "0123456789abcdef".into(),
                frags: true,
            },
            interfaces: vec![Interface {
                name: "eth0".into(),
                index: Some(2),
                attached: true,
                mode: Some("native".into()),
                detail: "the driver runs it".into(),
            }],
            lists: vec![List {
                name: "local".into(),
                blocks: 3,
                allows: 1,
            }],
            tables: [("block_v4", 3), ("block_v6", 299)]
                .map(|(name, used)| Table {
                    name: name.into(),
                    used,
                    capacity: 300,
                })
                .into(),
            memory: [("ROWS_V4", 2 << 20), ("NEAR", 1 << 19)]
                .map(|(map, bytes)| Memory {
                    map: map.into(),
                    bytes,
                })
                .into(),
            totals: [("drop", "block", 9), ("pass", "tags", 0)]
                .map(|(action, reason, packets)| Total {
                    action: action.into(),
                    reason: reason.into(),
                    family: "ipv4".into(),
                    packets,
                    bytes: packets * 60,
                })
                .into(),
            guard: 12,
            scan: "observe".into(),
            geo: GeoStatus {
                block: vec!["KP".into()],
                ..GeoStatus::default()
            },
            mirror: MirrorStatus {
                backend: "iptables-nft".into(),
                state: "behind".into(),
                detail: "iptables-restore failed".into(),
                checked_at: Some(jiff::Timestamp::UNIX_EPOCH),
                drifts: 2,
                rules: 3,
                default: "drop".into(),
            },
            feeds: Vec::new(),
            pending: None,
            samples: Samples::default(),
        }
    }

    #[test]
    fn one_screen_shows_everything_that_is_known() {
        let output = Output::new(Format::Human, false, ColorChoice::Never);
        let text = screen(&status(), &output);
        for line in [
            "fw-ctl 0.1.0: degraded, process 42 since 1970-01-01T00:00:00Z",
            "alarm: eth1 is away",
            "program  fwctl_frags (id 7, tag 0123456789abcdef, ABI 1), multi-buffer frames",
            "scan     observe",
            "geo      block KP; only off",
            "guard    12 prefixes",
            "mirror   iptables-nft, behind, last in step at 1970-01-01T00:00:00Z, \
             2 times changed by others (iptables-restore failed)",
            "default  drop",
            "rules    3",
            "eth0       2      native  the driver runs it",
            "local  3       1",
            "tables   2.5 MiB in the kernel, 99 % full (block_v6)",
            "drop    block   ipv4    9        540",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line}\n---\n{text}"
            );
        }
        assert!(!text.contains("tags"), "what did not occur is not shown");
    }

    #[test]
    fn the_fullest_table_is_named_and_with_v_all_are() {
        let mut status = status();
        assert_eq!(room(&status), "2.5 MiB in the kernel, 99 % full (block_v6)");
        assert_eq!(
            tables(&status.tables),
            "TABLE     USED  CAPACITY  FILL\n\
             block_v4  3     300       1 %\n\
             block_v6  299   300       99 %\n"
        );
        assert_eq!(
            maps(&status.memory),
            "MAP      MEMORY\nROWS_V4  2.0 MiB\nNEAR     0.5 MiB\n"
        );
        status.tables.clear();
        assert_eq!(room(&status), "2.5 MiB in the kernel");
    }

    #[test]
    fn a_mirror_in_step_says_since_when_it_knows_and_none_is_said_once() {
        let output = Output::new(Format::Human, false, ColorChoice::Never);
        let good = MirrorStatus {
            state: "in step".into(),
            detail: "as configured".into(),
            drifts: 0,
            ..status().mirror
        };
        let line = |status| mirror(&status, &output).lines().next().map(str::to_owned);
        assert_eq!(
            line(good).as_deref(),
            Some("mirror   iptables-nft, in step at 1970-01-01T00:00:00Z (as configured)")
        );
        let none = MirrorStatus {
            backend: "none".into(),
            state: "none".into(),
            detail: "as configured".into(),
            ..MirrorStatus::default()
        };
        assert_eq!(line(none).as_deref(), Some("mirror   none (as configured)"));
    }

    #[test]
    fn a_policy_that_waits_is_loud_and_says_how_long() {
        let mut status = status();
        let output = Output::new(Format::Human, false, ColorChoice::Always);
        assert!(!head(&status, &output).contains("not confirmed"));
        status.pending = Some(Pending {
            until: Some(jiff::Timestamp::UNIX_EPOCH),
            left_s: Some(42),
        });
        let text = head(&status, &output);
        let loud = "\x1b[31mnot confirmed:\x1b[0m the policy is taken back in 42s, \
                    at 1970-01-01T00:00:00Z, unless `fw-ctl confirm` is run before\n";
        assert!(text.contains(loud), "{text}");
    }

    #[test]
    fn only_a_daemon_that_sees_packets_is_exit_0() {
        let mut status = status();
        assert_eq!(exit(&status), 0);
        status.interfaces[0].attached = false;
        assert_eq!(exit(&status), 1);
        status.interfaces.clear();
        assert_eq!(exit(&status), 1);
    }
}
