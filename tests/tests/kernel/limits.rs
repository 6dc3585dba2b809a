//! Connections that are too many.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Barrier,
    thread,
};

use anyhow::{Context as _, Result};
use fw_common::{
    abi::{Config, LimitCount, NEVER},
    limit::{self, Limit, WAYS},
    reason::{Outcome, Reason},
};
use fw_ctl::{
    backend::xdp::rules::Rules,
    detect::ports::PortSet,
    plan::ruleset::{LimitRow, Pushdown},
    policy::{
        rate::Per,
        rule::{RuleId, Verdict},
    },
};
use fw_tests::{
    frames::{Frame, tcp},
    kernel::{Action, Kernel, Program, Table},
};

use crate::{
    boot_nanoseconds, family, report,
    rules::{row, server},
    senders,
};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400 * SECOND;

fn limit(id: u32, rate: &str, burst: u32, per: Per) -> LimitRow {
    LimitRow {
        id: RuleId(id),
        service: "tcp/22".parse().expect("a service"),
        sources: Vec::new(),
        rate: rate.parse().expect("a rate"),
        burst,
        per,
    }
}

fn set(rules: &mut Rules, limits: &[LimitRow]) -> Result<()> {
    let pushdown = Pushdown {
        ports: Vec::new(),
        limits: limits.to_vec(),
    };
    Ok(rules.set(&pushdown, &PortSet::default())?)
}

fn syn(source: IpAddr) -> Vec<u8> {
    Frame::new().ip(source).tcp(40000, 22, tcp::SYN).bytes()
}

/// Of so many connections of a source, how many pass.
fn passed(kernel: &Kernel, source: IpAddr, count: u32) -> Result<u32> {
    let frame = syn(source);
    let mut passed = 0;
    for _ in 0..count {
        let action = kernel.receive(Program::Frags, &frame, 1)?;
        passed += u32::from(action == Action::Pass);
    }
    Ok(passed)
}

fn count(rules: &Rules, id: u32) -> Result<LimitCount> {
    let counts = rules.limit_counts()?;
    counts.get(&RuleId(id)).copied().context("no such limit")
}

fn v6(network: u16, host: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, network, 0, 0, 0, host).into()
}

#[test]
fn a_burst_passes_and_then_one_an_interval() -> Result<()> {
    let (mut kernel, mut rules) = server()?;
    set(&mut rules, &[limit(1, "1/day", 5, Per::Source)])?;
    for sender in senders() {
        let source = sender.free;
        for program in Program::ALL {
            let answer = kernel.ask(program, &syn(source))?;
            assert_eq!((answer.outcome.reason, answer.rule), (Reason::Default, 0));
        }
        assert_eq!(passed(&kernel, source, 7)?, 5);
        // Questions find it empty, and take nothing.
        for program in Program::ALL {
            let answer = kernel.ask(program, &syn(source))?;
            assert_eq!((answer.outcome.reason, answer.rule), (Reason::Limit, 1));
            assert_eq!(answer.action, Action::Drop);
        }
        // Others have their own bucket.
        assert_eq!(passed(&kernel, sender.listed, 1)?, 1);
    }
    let expected = LimitCount {
        offered: 16,
        exceeded: 4,
        unmetered: 0,
    };
    assert_eq!(count(&rules, 1)?, expected);

    let [v4, ..] = senders();
    kernel.fill_buckets(DAY - 60 * SECOND)?;
    assert_eq!(passed(&kernel, v4.free, 1)?, 0);
    kernel.fill_buckets(60 * SECOND)?;
    assert_eq!(passed(&kernel, v4.free, 3)?, 1);
    kernel.fill_buckets(3 * DAY)?;
    assert_eq!(passed(&kernel, v4.free, 5)?, 3);
    kernel.fill_buckets(400 * DAY)?;
    assert_eq!(passed(&kernel, v4.free, 9)?, 5);
    Ok(())
}

#[test]
fn under_pressure_exactly_the_rate_passes() -> Result<()> {
    const BURST: u32 = 2_000;
    let (kernel, mut rules) = server()?;
    // The interval is no whole number of anything, and no pause of this thread fills the bucket.
    let row = limit(1, "777/second", BURST, Per::Source);
    set(&mut rules, std::slice::from_ref(&row))?;
    let interval = row.rate.interval_ns();
    let span = u64::from(BURST) * interval;
    let frame = syn(senders()[0].free);
    // Empties the bucket; answers when it did, what it has granted, and when it is full again.
    let press = || {
        let start = boot_nanoseconds()?;
        kernel.receive(Program::Frags, &frame, 2 * BURST)?;
        let end = boot_nanoseconds()?;
        let count = count(&rules, 1)?;
        assert_eq!(count.unmetered, 0);
        anyhow::Ok((start..end, count, kernel.last_full()?))
    };
    let (began, first, first_full) = press()?;
    let mut last = press()?;
    while last.0.start < began.start + 3 * SECOND {
        last = press()?;
    }
    let (ended, last, last_full) = last;
    let granted = |count: LimitCount| count.offered - count.exceeded;
    let granted = granted(last) - granted(first);
    report(format_args!(
        "limits: {} offered in {:.3} s, {granted} granted",
        last.offered - first.offered,
        (last_full - first_full) as f64 / SECOND as f64
    ));
    assert_eq!(granted * interval, last_full - first_full);
    // And not a token is left that could be granted.
    assert!((ended.start - interval..ended.end).contains(&(last_full - span)));
    assert!(granted > 2_000);
    Ok(())
}

#[test]
fn a_network_of_ipv6_is_one_source_and_its_neighbour_another() -> Result<()> {
    let (kernel, mut rules) = server()?;
    set(&mut rules, &[limit(1, "1/day", 3, Per::Source)])?;
    assert_eq!(passed(&kernel, v6(1, 1), 2)?, 2);
    assert_eq!(passed(&kernel, v6(1, 0xffff), 2)?, 1);
    assert_eq!(passed(&kernel, v6(1, 77), 1)?, 0);
    assert_eq!(passed(&kernel, v6(2, 1), 4)?, 3);
    assert_eq!(passed(&kernel, v6(0, 1), 4)?, 3);
    Ok(())
}

#[test]
fn one_bucket_for_all_is_shared_by_both_families() -> Result<()> {
    let (kernel, mut rules) = server()?;
    set(&mut rules, &[limit(1, "1/day", 4, Per::All)])?;
    let [v4, v6] = senders();
    for (source, expected) in [
        (v4.free, 1),
        (v6.free, 1),
        (v4.listed, 1),
        (v6.listed, 1),
        (v4.free, 0),
    ] {
        assert_eq!(passed(&kernel, source, 1)?, expected, "{source}");
    }
    Ok(())
}

#[test]
fn the_first_limit_that_is_exceeded_drops_and_the_later_are_spared() -> Result<()> {
    let (kernel, mut rules) = server()?;
    set(
        &mut rules,
        &[
            limit(1, "1/day", 2, Per::Source),
            limit(2, "1/day", 5, Per::All),
        ],
    )?;
    let [v4, v6] = senders();
    assert_eq!(passed(&kernel, v4.free, 10)?, 2);
    // Eight of these were none of the second one's.
    assert_eq!(count(&rules, 2)?.offered, 2);
    assert_eq!(passed(&kernel, v6.free, 2)?, 2);
    assert_eq!(passed(&kernel, v4.listed, 2)?, 1);
    assert_eq!(kernel.ask(Program::Frags, &syn(v6.listed))?.rule, 2);
    assert_eq!(kernel.ask(Program::Frags, &syn(v4.free))?.rule, 1);
    Ok(())
}

#[test]
fn within_a_limit_a_closed_port_stays_closed() -> Result<()> {
    let (kernel, mut rules) = server()?;
    let pushdown = Pushdown {
        ports: vec![row(9, "tcp/22", None, Verdict::Drop)],
        limits: vec![limit(1, "1/day", 2, Per::Source)],
    };
    rules.set(&pushdown, &PortSet::default())?;
    let frame = syn(senders()[0].free);
    for expected in [9, 9, 1, 1] {
        assert_eq!(kernel.ask(Program::Frags, &frame)?.rule, expected);
        assert_eq!(kernel.receive(Program::Frags, &frame, 1)?, Action::Drop);
    }
    Ok(())
}

#[test]
fn only_connections_of_strangers_to_this_port_are_metered() -> Result<()> {
    let (mut kernel, mut rules) = server()?;
    set(&mut rules, &[limit(1, "1/day", 1, Per::All)])?;
    let [v4, v6] = senders();
    assert_eq!(passed(&kernel, v4.free, 2)?, 1);
    let before = count(&rules, 1)?;
    kernel.guard(v4.network)?;
    kernel.set(Table::Allow, v6.network, 1, NEVER)?;
    assert_eq!(passed(&kernel, v4.listed, 5)?, 5);
    assert_eq!(passed(&kernel, v6.listed, 5)?, 5);
    for frame in [
        Frame::new().ip(v4.free).tcp(40000, 22, tcp::SYN | tcp::ACK),
        Frame::new().ip(v4.free).tcp(40000, 22, tcp::ACK),
        Frame::new().ip(v4.free).tcp(40000, 22, tcp::RST),
        Frame::new().ip(v4.free).tcp(40000, 22, tcp::FIN | tcp::ACK),
        Frame::new().ip(v4.free).tcp(40000, 23, tcp::SYN),
        Frame::new().ip(v4.free).udp(40000, 22),
    ] {
        let action = kernel.receive(Program::Frags, &frame.bytes(), 5)?;
        assert_eq!(action, Action::Pass);
    }
    assert_eq!(count(&rules, 1)?, before);
    Ok(())
}

#[test]
fn observed_what_is_too_much_passes_and_is_counted() -> Result<()> {
    let (mut kernel, mut rules) = server()?;
    kernel.configure(Config {
        observe: 1,
        ..Config::default()
    })?;
    set(&mut rules, &[limit(1, "1/day", 2, Per::Source)])?;
    let source = senders()[0].free;
    assert_eq!(passed(&kernel, source, 5)?, 5);
    let outcome = Outcome {
        reason: Reason::Limit,
        family: family(source),
        observed: true,
    };
    assert_eq!(kernel.counters()?[outcome.index() as usize].packets, 3);
    Ok(())
}

#[test]
fn where_no_bucket_is_free_connections_pass_and_are_counted() -> Result<()> {
    const SEED: u64 = 0x1234_5678_9abc_def1;
    let (mut kernel, mut rules) = server()?;
    kernel.configure(Config {
        seed: SEED,
        ..Config::default()
    })?;
    set(&mut rules, &[limit(1, "1/day", 1, Per::Source)])?;
    // Sources of one set, as an attacker would need to know the seed to find them.
    let metered = Limit {
        rule: 1,
        ..Limit::default()
    };
    let set_of = |source: &IpAddr| limit::key(&(*source).into(), &metered, SEED).set;
    let sources = (0..).map(|number| IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + number)));
    let sources: Vec<IpAddr> = sources
        .filter(|source| set_of(source) == 99)
        .take(WAYS + 2)
        .collect();
    for source in &sources[..WAYS] {
        assert_eq!(passed(&kernel, *source, 3)?, 1);
    }
    for source in &sources[WAYS..] {
        assert_eq!(passed(&kernel, *source, 3)?, 3);
    }
    let expected = LimitCount {
        offered: 3 * (WAYS as u64 + 2),
        exceeded: 2 * WAYS as u64,
        unmetered: 6,
    };
    assert_eq!(count(&rules, 1)?, expected);
    // In a day all are free.
    kernel.fill_buckets(DAY)?;
    for source in &sources[2..] {
        assert_eq!(passed(&kernel, *source, 3)?, 1);
    }
    Ok(())
}

#[test]
fn a_new_rate_keeps_buckets_and_counts_and_a_new_rule_begins_anew() -> Result<()> {
    let (mut kernel, mut rules) = server()?;
    let source = senders()[0].free;
    set(&mut rules, &[limit(1, "1/day", 3, Per::Source)])?;
    assert_eq!(passed(&kernel, source, 5)?, 3);
    set(&mut rules, &[limit(1, "1/hour", 3, Per::Source)])?;
    assert_eq!(passed(&kernel, source, 1)?, 0);
    assert_eq!(count(&rules, 1)?.offered, 6);
    // The bucket is empty, but not emptier than that by the new rate.
    kernel.fill_buckets(3_600 * SECOND)?;
    assert_eq!(passed(&kernel, source, 2)?, 1);

    set(&mut rules, &[limit(2, "1/hour", 3, Per::Source)])?;
    let expected = BTreeMap::from([(RuleId(2), LimitCount::default())]);
    assert_eq!(rules.limit_counts()?, expected);
    assert_eq!(passed(&kernel, source, 5)?, 3);
    set(&mut rules, &[])?;
    assert_eq!(rules.limit_counts()?, BTreeMap::new());
    assert_eq!(passed(&kernel, source, 5)?, 5);
    Ok(())
}

#[test]
fn several_cpus_do_not_grant_one_more_than_the_burst() -> Result<()> {
    const THREADS: u64 = 4;
    const EACH: u32 = 20_000;
    const BURST: u64 = 10_000;
    let (kernel, mut rules) = server()?;
    set(&mut rules, &[limit(1, "1/day", BURST as u32, Per::All)])?;
    let start = Barrier::new(THREADS as usize);
    thread::scope(|scope| {
        let (kernel, start) = (&kernel, &start);
        let share = |number: u64| {
            scope.spawn(move || {
                let frame = syn(v6(number as u16, 1));
                start.wait();
                kernel.receive(Program::Frags, &frame, EACH)
            })
        };
        let workers: Vec<_> = (0..THREADS).map(share).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("no panic").map(drop))
    })?;
    let LimitCount {
        offered,
        exceeded,
        unmetered,
    } = count(&rules, 1)?;
    assert_eq!(offered, THREADS * u64::from(EACH));
    assert_eq!(offered - exceeded - unmetered, BURST);
    Ok(())
}
