//! What a packet costs: ours beside everything else that could decide about it, with lists of 16 to a
//! million entries.
//!
//! Frames are made in the kernel (`BPF_PROG_TEST_RUN`, live frames): there is no card, no DMA and no
//! cold packet line, so these are no line rates. Quote the ratios.
//!
//! - [`sources`]: whose packets
//! - [`ends`]: the filters, each at the end of its link; [`ours`], [`xdp_filter`], [`netfilter`]
//! - [`stage`]: all of them with lists of one size, and what can be compared
//! - [`lanes`]: measuring in turns; [`clock`]: processor time
//! - [`rewriting`]: the same while the tables are rewritten
//! - [`goals`]: what the figures have to be; [`draw`]: charts of them

mod clock;
mod draw;
mod ends;
mod goals;
mod lanes;
mod netfilter;
mod ours;
mod rewriting;
mod sources;
mod stage;
mod xdp_filter;

use std::{fs, path::Path, time::Instant};

use anyhow::Result;
use fw_common::reason::Family;
use fw_tests::{
    lab::Lab,
    lists::{self, Lists},
};
use serde_json::{Value, json};

use self::{
    clock::Effort,
    ends::Way,
    goals::{Figures, Goal},
    sources::{FEW, MANY, Sources},
    stage::{Scenario, Stage},
};

/// IPv4 prefixes in the lists: four of five are hosts.
const SIZES: [usize; 4] = [16, 1_000, 64_000, 1_000_000];
/// IPv6 prefixes: as many, but no more than this.
const MOST_V6: usize = 200_000;
/// Of the entries, one in so many is replaced.
const RENEWED: usize = 100;

/// Measures, judges, and draws beside `file`, which the caller writes.
pub fn measure(quick: bool, file: &Path) -> Result<Value> {
    let (sizes, frames) = match quick {
        true => (&[SIZES[1], SIZES[3]][..], 1 << 16),
        false => (&SIZES[..], 1 << 18),
    };
    let effort = Effort {
        warm: frames,
        timed: frames,
        rounds: 7,
    };
    introduce(effort);
    let lab = &Lab::named("bench-packets");
    let mut figures = Vec::new();
    let mut while_rewriting = (Value::Null, Vec::new());
    for size in sizes {
        let [is_smallest, is_largest] = [sizes.first(), sizes.last()].map(|end| end == Some(size));
        let lists = lists_of(*size);
        let renewed = lists.renewed(RENEWED);
        let start = Instant::now();
        let mut stage = Stage::new(lab, &lists, &renewed)?;
        let (v4, v6, took) = (lists.v4.len(), lists.v6.len(), start.elapsed());
        println!("\n{v4} IPv4 and {v6} IPv6 prefixes, loaded everywhere in {took:.1?}");
        for scenario in scenarios(*size, is_smallest, is_largest, quick) {
            let measured = stage.measure(scenario, effort)?;
            measured.print(&scenario.name());
            figures.push(Figures {
                size: *size,
                scenario,
                measured,
            });
        }
        if is_largest {
            while_rewriting = rewriting::measure(lab, &stage, [&lists, &renewed], effort)?;
        }
    }
    let mut goals = goals::judge(&figures);
    goals.extend(while_rewriting.1);
    goals.sort_by_key(|goal| goal.number);
    println!("\nto be reached");
    goals.iter().for_each(Goal::print);
    println!();
    draw::all(file, &figures)?;
    Ok(json!({
        "frames": effort.timed,
        "rounds": effort.rounds,
        "figures": figures.iter().map(Figures::json).collect::<Vec<_>>(),
        "while_rewriting": while_rewriting.0,
        "goals": goals.iter().map(Goal::json).collect::<Vec<_>>(),
    }))
}

/// What the figures are of, and what they are not.
fn introduce(effort: Effort) {
    let Effort {
        warm,
        timed,
        rounds,
    } = effort;
    let conntrack = match fs::exists("/proc/sys/net/netfilter/nf_conntrack_max") {
        Ok(true) => "loaded, in use at INPUT only",
        _ => "not loaded before",
    };
    println!(
        "\npackets: processor time of one core, {rounds} rounds in turns of {timed} frames, {warm} before\n\
         each to warm up. Frames are made in the kernel: no card, no DMA, no line rate; quote ratios.\n\
         over a link: a generator at one end of a veth, the filter at the other, in driver mode\n\
         in one program: the generator jumps into the filter, or passes to the rules\n\
         the last answer of everything is a drop: what comes after is in no figure\n\
         ipset: hash:net, {}; nft set: hash with its size said, hosts only; conntrack: {conntrack}",
        netfilter::OPTIONS
    );
}

fn lists_of(size: usize) -> Lists {
    lists::sized(size - size / 5, size / 5, size.min(MOST_V6))
}

/// What is measured with lists of this size.
fn scenarios(size: usize, is_smallest: bool, is_largest: bool, quick: bool) -> Vec<Scenario> {
    use Sources::{Everywhere, Forged, Free, Hosts, Inside, Near};
    let v4 = [Everywhere, Hosts(MANY), Inside(MANY)].map(|sources| (Family::V4, sources));
    let v6 = [Everywhere, Hosts(MANY)].map(|sources| (Family::V6, sources));
    let more_v4 =
        [Near(MANY), Free(MANY), Free(FEW), Hosts(FEW)].map(|sources| (Family::V4, sources));
    let more_v6 = [Near(MANY), Inside(MANY)].map(|sources| (Family::V6, sources));
    let detector = [Free(MANY), Forged].map(|sources| (Family::V4, sources));
    let is_compared = is_largest || size == goals::SMALL;
    [
        (is_largest || !quick, Way::Link, &v4[..]),
        (is_largest || !quick, Way::Link, &v6),
        (is_largest && !quick, Way::Link, &more_v4),
        (is_largest && !quick, Way::Link, &more_v6),
        (is_compared, Way::OneProgram, &v4),
        (is_compared && !quick, Way::OneProgram, &v6),
        (is_largest && !quick, Way::OneProgram, &more_v6),
        (is_smallest, Way::OneProgram, &detector),
    ]
    .into_iter()
    .filter(|(is_wanted, ..)| *is_wanted)
    .flat_map(|(_, way, packets)| {
        packets.iter().map(move |(family, sources)| Scenario {
            family: *family,
            sources: *sources,
            way,
        })
    })
    .collect()
}
