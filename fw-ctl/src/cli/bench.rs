//! `bench`: what a packet costs here, asked of the program that is loaded now.

use anyhow::Result;
use serde_json::json;

use crate::{
    api::wire::{Bench, Cost},
    cli::{
        Context,
        output::{escape, table},
    },
};

/// `fw-ctl bench`
pub fn run(context: &Context) -> Result<u8> {
    let bench: Bench = context.client.post("/bench", &json!({}))?;
    context.output.either(&bench, screen)?;
    Ok(0)
}

fn screen(bench: &Bench) -> String {
    let floor = bench.floor;
    let mut rows = vec![row("no IP: the floor", "-", "not-ip", floor, floor)];
    rows.extend(bench.packets.iter().map(|packet| {
        let source = packet.source.to_string();
        row(&packet.packet, &source, &packet.reason, packet.cost, floor)
    }));
    let header = [
        "PACKET",
        "SOURCE",
        "REASON",
        "NS",
        "MIN",
        "OVER FLOOR",
        "MPPS A CORE",
    ];
    format!(
        "{}\nprogram {}, medians of {} rounds; {}\n",
        table(header, rows),
        bench.program,
        bench.rounds,
        escape(&bench.method)
    )
}

fn row(packet: &str, source: &str, reason: &str, cost: Cost, floor: Cost) -> [String; 7] {
    let over = cost.median_ns.saturating_sub(floor.median_ns);
    // A run takes some nanoseconds, whatever the kernel's clock says.
    let mpps = 1e3 / cost.median_ns.max(1) as f64;
    [
        escape(packet).into_owned(),
        source.to_owned(),
        escape(reason).into_owned(),
        cost.median_ns.to_string(),
        cost.min_ns.to_string(),
        over.to_string(),
        format!("{mpps:.1}"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::wire::PacketCost;

    #[test]
    fn a_packet_is_shown_beside_the_floor_and_with_what_the_figure_is_not() {
        let cost = |median_ns| Cost {
            min_ns: median_ns - 1,
            median_ns,
            runs: 1000,
        };
        let bench = Bench {
            schema: 1,
            method: "not line rate".into(),
            program: 7,
            rounds: 11,
            floor: cost(20),
            packets: vec![PacketCost {
                packet: "SYN".into(),
                source: "192.0.2.1".parse().expect("an address"),
                reason: "block".into(),
                cost: cost(50),
            }],
        };
        assert_eq!(
            screen(&bench),
            "PACKET            SOURCE     REASON  NS  MIN  OVER FLOOR  MPPS A CORE\n\
             no IP: the floor  -          not-ip  20  19   0           50.0\n\
             SYN               192.0.2.1  block   50  49   30          20.0\n\n\
             program 7, medians of 11 rounds; not line rate\n"
        );
    }
}
