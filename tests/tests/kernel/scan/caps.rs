//! The program blocks as many as it was granted, and tells of the rest within bounds.

use std::{
    collections::BTreeSet,
    net::{IpAddr, Ipv4Addr},
};

use anyhow::Result;
use fw_common::{
    Prefix,
    abi::{self, Config, ScanEvent, Scanner},
    reason::Reason,
    scan::ONE,
};
use fw_tests::{
    frames::SERVER_V4,
    kernel::{Kernel, Port, Program, Protocol, Table, boot_seconds},
};

use super::{
    THRESHOLD, crosses, enforcing, passes, place, ports, reason, syn, watching, without_sockets,
};
use crate::{at_the_start_of_a_second, senders, wire};

/// A port at which one probe is enough.
const TRAP: u16 = 23;

fn trapping(kernel: &mut Kernel, granted: u64) -> Result<()> {
    kernel.set_port(Protocol::Tcp, TRAP, Port::Bait)?;
    kernel.configure(Config {
        bait: 10 * ONE,
        granted,
        ..enforcing()
    })
}

fn source(number: u32) -> IpAddr {
    Ipv4Addr::from_bits(0x0a00_0000 + number).into()
}

/// One crossing of each of so many sources.
fn spring(kernel: &Kernel, sources: impl Iterator<Item = u32>) -> Result<()> {
    for number in sources {
        kernel.receive(Program::Frags, &syn(source(number), TRAP), 1)?;
    }
    Ok(())
}

#[test]
fn without_a_grant_a_crossing_is_told_and_has_no_consequence() -> Result<()> {
    let ports = ports();
    let mut kernel = watching(Config {
        granted: 0,
        ..enforcing()
    })?;
    for (number, sender) in (1..).zip(senders()) {
        let source = sender.listed;
        passes(&kernel, Program::Frags, source, &ports[..THRESHOLD])?;
        let events = kernel.crossings()?;
        let [event] = events[..] else {
            panic!("{} events", events.len());
        };
        assert_eq!((event.deadline, event.port), (0, ports[THRESHOLD - 1]));
        assert_eq!((event.points, event.source), (10 * ONE, wire(source)));
        assert!(kernel.entry(Table::Block, super::block(source)).is_err());
        assert_eq!(kernel.taken()?, 0);
        let scanner = kernel.scanner()?;
        assert_eq!((scanner.crossings, scanner.capped), (number, number));
    }
    // From here on each begins afresh, and is blocked when there is room again.
    kernel.configure(enforcing())?;
    for sender in senders() {
        crosses(&kernel, Program::Frags, sender.listed, &ports[..THRESHOLD])?;
        kernel.entry(Table::Block, super::block(sender.listed))?;
    }
    assert_eq!((kernel.taken()?, kernel.crossings()?.len()), (2, 2));
    Ok(())
}

#[test]
fn as_many_are_blocked_as_were_granted() -> Result<()> {
    const GRANTED: u64 = 5;
    let mut kernel = watching(enforcing())?;
    trapping(&mut kernel, GRANTED)?;
    spring(&kernel, 0..8)?;
    let blocked = |kernel: &Kernel, numbers: std::ops::Range<u32>| {
        let hosts = numbers.map(|number| Prefix::host(source(number)));
        hosts
            .map(|host| kernel.entry(Table::Block, host).is_ok())
            .collect::<Vec<_>>()
    };
    let expected = [true, true, true, true, true, false, false, false];
    assert_eq!(blocked(&kernel, 0..8), expected);
    let deadlines = kernel.crossings()?;
    let deadlines: Vec<bool> = deadlines.iter().map(|event| event.deadline != 0).collect();
    assert_eq!(deadlines, expected);
    assert_eq!((kernel.taken()?, kernel.scanner()?.capped), (GRANTED, 3));
    // One more is granted.
    trapping(&mut kernel, GRANTED + 1)?;
    spring(&kernel, 8..10)?;
    assert_eq!(blocked(&kernel, 8..10), [true, false]);
    assert_eq!(
        (kernel.taken()?, kernel.scanner()?.capped),
        (GRANTED + 1, 4)
    );
    Ok(())
}

#[test]
fn a_full_table_is_no_room_and_takes_no_grant() -> Result<()> {
    const ROOM: u32 = 8;
    without_sockets()?;
    let mut kernel = Kernel::load_cramped(ROOM)?;
    kernel.own([SERVER_V4.into()])?;
    trapping(&mut kernel, 1000)?;
    spring(&kernel, 0..40)?;
    let scanner = kernel.scanner()?;
    assert_eq!(scanner.crossings, 40);
    let blocked = kernel.taken()?;
    // A hash without preallocation may take a few more on each CPU.
    assert!((u64::from(ROOM)..30).contains(&blocked), "{blocked}");
    assert_eq!(scanner.capped, 40 - blocked);
    let events = kernel.crossings()?;
    let told = events.iter().filter(|event| event.deadline != 0).count();
    assert_eq!(told as u64, blocked);
    let last = reason(&kernel, Program::Frags, &syn(source(39), TRAP))?;
    assert_eq!(last, Reason::Default);
    Ok(())
}

#[test]
fn crossings_without_a_block_are_told_sixty_four_times_a_second() -> Result<()> {
    const ROOM: usize = 64;
    const CROSSINGS: u32 = 200;
    let mut kernel = watching(enforcing())?;
    trapping(&mut kernel, 0)?;
    for round in 1..=2 {
        at_the_start_of_a_second()?;
        let start = boot_seconds()?;
        spring(&kernel, 0..CROSSINGS)?;
        assert_eq!(
            boot_seconds()?,
            start,
            "the machine is too slow for this test"
        );
        assert_eq!(kernel.crossings()?.len(), ROOM);
        let Scanner {
            crossings,
            capped,
            limited,
            lost,
            ..
        } = kernel.scanner()?;
        let all = round * u64::from(CROSSINGS);
        assert_eq!((crossings, capped), (all, all));
        assert_eq!((limited, lost), (all - round * ROOM as u64, 0));
    }
    // Blocks are told without a limit.
    trapping(&mut kernel, 1_000_000)?;
    at_the_start_of_a_second()?;
    spring(&kernel, 0..CROSSINGS)?;
    assert_eq!(kernel.crossings()?.len(), CROSSINGS as usize);
    Ok(())
}

#[test]
fn a_full_ring_blocks_all_the_same_and_is_counted() -> Result<()> {
    let mut kernel = watching(enforcing())?;
    trapping(&mut kernel, 1_000_000)?;
    // A record has a header of 8 bytes, and the ring is never filled to its last byte.
    let room = (abi::SCANS.capacity - 1) / (size_of::<ScanEvent>() as u32 + 8);
    const LOST: u32 = 100;
    // Those that share a slot would wait for each other.
    let mut taken = BTreeSet::new();
    let alone = (0..).filter(|number| taken.insert(place(source(*number))));
    let sources: Vec<u32> = alone.take((room + LOST + 1) as usize).collect();
    let (one_more, sources) = sources.split_last().expect("many");

    spring(&kernel, sources.iter().copied())?;
    let scanner = kernel.scanner()?;
    assert_eq!(scanner.crossings, u64::from(room + LOST));
    assert_eq!((scanner.lost, scanner.capped), (LOST.into(), 0));
    for number in sources {
        kernel.entry(Table::Block, Prefix::host(source(*number)))?;
    }
    assert_eq!(kernel.crossings()?.len(), room as usize);
    spring(&kernel, [*one_more].into_iter())?;
    assert_eq!(kernel.crossings()?.len(), 1);
    Ok(())
}
