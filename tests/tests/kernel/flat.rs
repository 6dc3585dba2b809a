//! The flat tables, the tries and a plain list say the same, whatever is added, extended, taken away,
//! replaced and ends.

use std::{collections::BTreeMap, env, net::IpAddr};

use anyhow::Result;
use fw_common::{
    Prefix,
    abi::{Entry, NEVER},
    reason::Reason,
};
use fw_ctl::{
    backend::xdp::shape::{Lookup, Shape},
    plan::{Op, Plan},
};
use fw_tests::kernel::{Kernel, Program, boot_seconds};

use crate::{
    random::{Rng, seed},
    report, syn,
};

/// What is listed, each prefix with what the controller would write of it.
#[derive(Default)]
struct List {
    guard: BTreeMap<Prefix, u32>,
    allow: BTreeMap<Prefix, Entry>,
    block: BTreeMap<Prefix, Entry>,
}

impl List {
    /// Why a packet from here is decided as it is, and by a prefix of which length.
    fn find(&self, source: IpAddr, now: u32) -> (Reason, u8) {
        if longest(&self.guard, source).is_some() {
            return (Reason::Guard, 0);
        }
        for (entries, reason) in [(&self.allow, Reason::Allow), (&self.block, Reason::Block)] {
            if let Some((prefix, entry)) = longest(entries, source)
                && (entry.deadline == NEVER || now < entry.deadline)
            {
                return (reason, prefix.length());
            }
        }
        (Reason::Default, 0)
    }

    /// A change of so many prefixes, and what takes its place in the list.
    fn change(&mut self, rng: &mut Rng, size: usize, now: u32) -> Plan {
        let mut plan = Plan::default();
        let mut touched = std::collections::BTreeSet::new();
        for _ in 0..size {
            let prefix = prefix(rng);
            if !touched.insert(prefix) {
                continue;
            }
            match rng.below(12) {
                0 => {
                    let after = (!self.guard.contains_key(&prefix)).then_some(1);
                    plan.guard.push(put(&mut self.guard, prefix, after));
                }
                1 | 2 => {
                    let after = entry(rng, prefix, now);
                    plan.allow.push(put(&mut self.allow, prefix, after));
                }
                _ => {
                    let after = entry(rng, prefix, now);
                    plan.block.push(put(&mut self.block, prefix, after));
                }
            }
        }
        plan
    }

    /// All blocks go, and so many others come. When there are so many guards and allows that blocks
    /// hardly matter, they go too.
    fn replace(&mut self, rng: &mut Rng, size: usize, now: u32) -> Plan {
        let mut plan = Plan::default();
        if self.guard.len() + self.allow.len() > size {
            plan.guard = take_all(&mut self.guard);
            plan.allow = take_all(&mut self.allow);
        }
        let all: Vec<Prefix> = self.block.keys().copied().collect();
        let mut others: BTreeMap<Prefix, Option<Entry>> =
            all.into_iter().map(|prefix| (prefix, None)).collect();
        for _ in 0..size {
            let prefix = prefix(rng);
            others.insert(prefix, entry(rng, prefix, now));
        }
        for (prefix, after) in others {
            plan.block.push(put(&mut self.block, prefix, after));
        }
        plan
    }
}

fn longest<V>(entries: &BTreeMap<Prefix, V>, source: IpAddr) -> Option<(Prefix, &V)> {
    let lengths = Prefix::host(source).ancestors();
    lengths
        .filter_map(|prefix| entries.get(&prefix).map(|entry| (prefix, entry)))
        .max_by_key(|(prefix, _)| prefix.length())
}

fn put<V: Copy>(entries: &mut BTreeMap<Prefix, V>, prefix: Prefix, after: Option<V>) -> Op<V> {
    let before = match after {
        Some(after) => entries.insert(prefix, after),
        None => entries.remove(&prefix),
    };
    Op {
        prefix,
        before,
        after,
    }
}

fn take_all<V: Copy>(entries: &mut BTreeMap<Prefix, V>) -> Vec<Op<V>> {
    let all: Vec<Prefix> = entries.keys().copied().collect();
    let ops = all.into_iter().map(|prefix| put(entries, prefix, None));
    ops.collect()
}

/// Never to end, ended, or to be taken away.
fn entry(rng: &mut Rng, prefix: Prefix, now: u32) -> Option<Entry> {
    let deadline = match rng.below(8) {
        0..3 => return None,
        3 => now,
        4 => now + 10_000,
        _ => NEVER,
    };
    Some(Entry::new(prefix, 1 + rng.below(9) as u16, deadline))
}

/// Near each other, so that they nest, share chunks and leaves, and fill them.
fn prefix(rng: &mut Rng) -> Prefix {
    let source = source(rng);
    let (width, usual) = match source {
        IpAddr::V4(_) => (32, [32, 32, 24, 20, 28, 16]),
        IpAddr::V6(_) => (128, [128, 128, 64, 48, 56, 32]),
    };
    let length = match rng.below(10) {
        0 => rng.below(width - 7) as u8 + 8,
        _ => usual[rng.below(usual.len())],
    };
    Prefix::new(source, length).expect("in range")
}

fn source(rng: &mut Rng) -> IpAddr {
    let near = [rng.below(2), rng.below(3), rng.below(40), rng.below(256)];
    let [a, b, c, d] = near.map(|byte| byte as u8);
    match rng.below(2) {
        0 => [100 + a, b, c, d].into(),
        _ => [0x2a, a, 0, b, 0, 0, 0, c, 0, 0, 0, 0, 0, 0, b, d].into(),
    }
}

#[test]
fn flat_tables_tries_and_a_plain_list_say_the_same() -> Result<()> {
    let wanted: usize = match env::var_os("FW_TEST_LONG") {
        Some(_) => 10_000_000,
        None => 100_000,
    };
    let shape = |lookup| Shape {
        ipv4: 1 << 15,
        ipv6: 1 << 15,
        allows: 1 << 15,
        lookup,
        ..Shape::default()
    };
    let mut kernels = [Lookup::Flat, Lookup::Tries]
        .map(|lookup| Kernel::shaped(&shape(lookup)).expect("it loads"));
    let mut rng = Rng::new(seed(), 5);
    let mut list = List::default();
    let (mut operations, mut asked) = (0, 0);
    while operations < wanted {
        let now = boot_seconds()?;
        let plan = match rng.below(40) {
            0 => list.replace(&mut rng, 600, now),
            1..4 => list.change(&mut rng, 400, now),
            4..20 => list.change(&mut rng, 20, now),
            _ => list.change(&mut rng, 1, now),
        };
        operations += plan.len();
        for kernel in &mut kernels {
            kernel.apply(plan.clone())?;
        }
        let touched = plan.block.iter().chain(&plan.allow).map(|op| op.prefix);
        let edges = touched
            .take(8)
            .flat_map(|prefix| [prefix.address(), prefix.last()]);
        let sources: Vec<IpAddr> = edges.chain([(); 8].map(|()| source(&mut rng))).collect();
        for source in sources {
            let expected = list.find(source, now);
            for kernel in &kernels {
                let answer = kernel.ask(Program::Frags, &syn(source))?;
                let (_, _, length) = answer.entry;
                let found = (answer.outcome.reason, length);
                assert_eq!(found, expected, "{source} after {operations} operations");
            }
            asked += 1;
        }
    }
    report(format_args!(
        "{operations} operations, {asked} sources, 0 differences"
    ));
    // All of it goes, and nothing is left.
    let plan = Plan {
        guard: take_all(&mut list.guard),
        allow: take_all(&mut list.allow),
        block: take_all(&mut list.block),
    };
    for kernel in &mut kernels {
        kernel.apply(plan.clone())?;
        let rows = kernel.tables.fill();
        let rows = rows.iter().filter(|fill| fill.name.contains("_v"));
        assert!(rows.clone().count() == 8 && rows.clone().all(|fill| fill.used == 0));
    }
    Ok(())
}

/// Blocks these instead of those.
fn exchange(before: &[Prefix], after: &[Prefix]) -> Plan {
    let mut ops: BTreeMap<Prefix, Option<Entry>> =
        before.iter().map(|prefix| (*prefix, None)).collect();
    ops.extend(
        after
            .iter()
            .map(|prefix| (*prefix, Some(Entry::new(*prefix, 1, NEVER)))),
    );
    let op = |(prefix, after)| Op {
        prefix,
        before: None,
        after,
    };
    Plan {
        block: ops.into_iter().map(op).collect(),
        ..Plan::default()
    }
}

#[test]
fn a_list_takes_the_place_of_another_one_where_both_have_no_room() -> Result<()> {
    let shape = Shape {
        ipv4: 150_000,
        ipv6: 1 << 10,
        allows: 1 << 10,
        ..Shape::default()
    };
    let mut kernel = Kernel::shaped(&shape)?;
    let hosts = |net: u32| -> Vec<Prefix> {
        let host = |number: u32| IpAddr::from(((net << 24) | (number * 64)).to_be_bytes());
        (0..120_000)
            .map(|number| Prefix::host(host(number)))
            .collect()
    };
    let lists = [hosts(20), hosts(30)];
    kernel.apply(exchange(&[], &lists[0]))?;
    for (before, after) in [(0, 1), (1, 0)] {
        kernel.apply(exchange(&lists[before], &lists[after]))?;
        for (list, reason) in [(before, Reason::Default), (after, Reason::Block)] {
            for host in lists[list].iter().step_by(9999) {
                let answer = kernel.ask(Program::Frags, &syn(host.address()))?;
                assert_eq!(answer.outcome.reason, reason, "{host}");
            }
        }
    }
    Ok(())
}

#[test]
fn leaves_do_not_pile_up_however_often_a_list_changes() -> Result<()> {
    const HOSTS: usize = 4000;
    let mut kernel = Kernel::load()?;
    let mut rng = Rng::new(seed(), 6);
    let mut held: Vec<Prefix> = Vec::new();
    for _ in 0..30 {
        let kept = held.iter().copied().filter(|_| rng.below(10) == 0);
        let mut list: Vec<Prefix> = kept.collect();
        while list.len() < HOSTS {
            let low = u128::from(rng.next()) << 64 | u128::from(rng.next());
            let address = 0x2a00_u128 << 112 | low & (u128::MAX >> 16);
            list.push(Prefix::host(IpAddr::from(address.to_be_bytes())));
        }
        kernel.apply(exchange(&held, &list))?;
        held = list;
    }
    // Two ranges a host; a leaf takes in its neighbour when it has eight or fewer.
    let leaves = |kernel: &Kernel| {
        let fills = kernel.tables.fill();
        let leaves = fills.into_iter().find(|fill| fill.name == "LEAVES_V6");
        leaves.expect("it is reported").used
    };
    assert!(leaves(&kernel) <= 2 * HOSTS / 4, "{}", leaves(&kernel));
    kernel.apply(exchange(&held, &[]))?;
    assert!(leaves(&kernel) <= 3, "{}", leaves(&kernel));
    Ok(())
}
