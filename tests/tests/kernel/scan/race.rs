//! Several CPUs meet one source at once.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Barrier,
    thread,
    time::Instant,
};

use anyhow::Result;
use fw_common::{
    abi::Config,
    scan::{CROSSED, ONE},
};
use fw_tests::kernel::{Action, Kernel, Program, Table};

use super::{block, enforcing, ports, slot, syn, watching};
use crate::wire;

const THREADS: usize = 4;

/// A packet: when it was sent, when that was over, and whether it passed.
type Sent = (Instant, Instant, Action);

/// One thread's share: all ports, from another one on each.
fn scan(kernel: &Kernel, source: IpAddr, thread: usize, start: &Barrier) -> Result<Vec<Sent>> {
    let mut ports = ports();
    let first = thread * ports.len() / THREADS;
    ports.rotate_left(first);
    let frames: Vec<_> = ports.iter().map(|port| syn(source, *port)).collect();
    start.wait();
    let send = |frame: &Vec<u8>| {
        let before = Instant::now();
        let action = kernel.receive(Program::Frags, frame, 1)?;
        Ok((before, Instant::now(), action))
    };
    frames.iter().map(send).collect()
}

fn source(round: u32) -> IpAddr {
    match round % 2 {
        0 => Ipv4Addr::from_bits(0x0a00_0000 + round).into(),
        _ => Ipv6Addr::from_bits(0x2001_0db8 << 96 | u128::from(round) << 64 | 7).into(),
    }
}

#[test]
fn one_source_on_several_cpus_crosses_once_and_then_nothing_of_it_passes() -> Result<()> {
    const ROUNDS: u32 = 300;
    let mut kernel = watching(enforcing())?;
    for round in 0..ROUNDS {
        let source = source(round);
        let start = Barrier::new(THREADS);
        let sent = thread::scope(|scope| {
            let (kernel, start) = (&kernel, &start);
            let scan = |thread| scope.spawn(move || scan(kernel, source, thread, start));
            let workers: Vec<_> = (0..THREADS).map(scan).collect();
            let shares = workers
                .into_iter()
                .map(|worker| worker.join().expect("no panic"));
            shares.collect::<Result<Vec<_>>>()
        })?
        .concat();
        let crossed = sent.iter().filter(|(.., action)| *action == Action::Drop);
        let crossed = crossed.map(|(_, end, _)| *end).min().expect("found");
        let late = sent.iter().filter(|(before, ..)| *before > crossed);
        let passed = late.filter(|(.., action)| *action == Action::Pass).count();
        assert_eq!(passed, 0, "round {round}");

        let events = kernel.crossings()?;
        let [event] = events[..] else {
            panic!("{} events in round {round}", events.len());
        };
        assert_eq!((event.source, event.points), (wire(source), 10 * ONE));
        let dropped = sent.iter().filter(|(.., action)| *action == Action::Drop);
        let entry = kernel.entry(Table::Block, block(source))?;
        assert_eq!(entry.packets, dropped.count() as u64);
        // Nor did a packet that was on its way begin to count anew.
        let slot = slot(&kernel, source)?.expect("counted");
        assert_eq!(slot.points, CROSSED, "round {round}");
    }
    let scanner = kernel.scanner()?;
    assert_eq!((scanner.crossings, scanner.capped), (ROUNDS.into(), 0));
    assert_eq!(kernel.taken()?, u64::from(ROUNDS));
    Ok(())
}

#[test]
fn grants_are_not_exceeded_by_several_cpus() -> Result<()> {
    const GRANTED: u64 = 50;
    let kernel = watching(Config {
        granted: GRANTED,
        ..enforcing()
    })?;
    let start = Barrier::new(THREADS);
    thread::scope(|scope| {
        let (kernel, start) = (&kernel, &start);
        let share = |thread: usize| {
            scope.spawn(move || -> Result<()> {
                start.wait();
                for number in 0..50 {
                    let source = source((number * THREADS + thread) as u32);
                    for port in &ports()[..10] {
                        kernel.receive(Program::Frags, &syn(source, *port), 1)?;
                    }
                }
                Ok(())
            })
        };
        let workers: Vec<_> = (0..THREADS).map(share).collect();
        workers
            .into_iter()
            .try_for_each(|worker| worker.join().expect("no panic"))
    })?;
    assert_eq!(kernel.taken()?, GRANTED);
    let scanner = kernel.scanner()?;
    assert_eq!((scanner.crossings, scanner.capped), (200, 150));
    let blocked = (0..200).filter(|number| {
        let block = block(source(*number));
        kernel.entry(Table::Block, block).is_ok()
    });
    assert_eq!(blocked.count() as u64, GRANTED);
    Ok(())
}
