//! The packet that crosses the threshold, those before it, and those behind it.

use std::{
    net::{IpAddr, Ipv4Addr},
    thread,
    time::Duration,
};

use anyhow::Result;
use fw_common::{
    abi::{self, Config, Entry, ScanEvent},
    parse::protocol,
    reason::Reason,
    scan::{self, Kind, ONE, Thresholds, Trigger},
};
use fw_tests::{
    frames::{Frame, SERVER_V4, SERVER_V6, corpus, tcp},
    kernel::{Kernel, Port, Program, Protocol, Table},
};

use super::{
    SEED, THRESHOLD, block, crosses, enforcing, passes, ports, reason, slot, syn, udp, watching,
};
use crate::{boot_nanoseconds, family, senders, wire};

/// When a block of `seconds` ends that was written at `time_ns`: at the nearest second.
fn ends(seconds: u32, time_ns: u64) -> u32 {
    ((time_ns + 500_000_000) / 1_000_000_000) as u32 + seconds
}

#[test]
fn the_packet_that_crosses_is_dropped_as_a_scan_and_whatever_follows_as_blocked() -> Result<()> {
    let ports = ports();
    for program in Program::ALL {
        let mut kernel = watching(enforcing())?;
        for sender in senders() {
            let source = sender.listed;
            passes(&kernel, program, source, &ports[..THRESHOLD - 1])?;
            // Retries count nothing.
            passes(&kernel, program, source, &ports[..THRESHOLD - 1])?;
            assert!(kernel.crossings()?.is_empty());
            assert!(kernel.entry(Table::Block, block(source)).is_err());

            let crossing = syn(source, ports[THRESHOLD - 1]);
            assert_eq!(reason(&kernel, program, &crossing)?, Reason::Scan);
            let entry = kernel.entry(Table::Block, block(source))?;
            let event = only(&mut kernel)?;
            assert_eq!(entry.deadline, ends(600, event.time_ns));
            let mut expected = Entry {
                packets: 1,
                bytes: crossing.len() as u64,
                ..Entry::new(block(source), abi::AUTO_LIST, entry.deadline)
            };
            assert_eq!(entry, expected);

            for seed in corpus::seeds(source) {
                let frame = seed.frame(source);
                let found = reason(&kernel, program, &frame)?;
                assert_eq!(found, seed.reason(Reason::Block), "{}", seed.name);
                if found == Reason::Block {
                    expected.packets += 1;
                    expected.bytes += frame.len() as u64;
                }
            }
            assert!(expected.packets > 50);
            assert_eq!(kernel.entry(Table::Block, block(source))?, expected);
            assert!(kernel.crossings()?.is_empty());

            passes(&kernel, program, sender.free, &ports[..1])?;
            assert!(kernel.entry(Table::Block, block(sender.free)).is_err());
        }
        let scanner = kernel.scanner()?;
        assert_eq!((scanner.crossings, scanner.capped), (2, 0));
        assert_eq!((scanner.limited, scanner.lost), (0, 0));
        assert_eq!(kernel.taken()?, 2);
    }
    Ok(())
}

/// The event of a source that crossed with SYNs to the first ten ports.
fn event(source: IpAddr, crossing: &ScanEvent) -> ScanEvent {
    let (destination, length) = match source {
        IpAddr::V4(_) => (IpAddr::from(SERVER_V4), 32),
        IpAddr::V6(_) => (SERVER_V6.into(), 64),
    };
    let ports = &ports()[..THRESHOLD];
    let mut bits = [0; 2];
    for port in ports {
        let bit = scan::port_bit(*port, SEED);
        bits[usize::from(bit / 64)] |= 1 << (bit % 64);
    }
    let host = scan::mapped(&destination.into());
    ScanEvent {
        time_ns: crossing.time_ns,
        source: wire(source),
        destination: wire(destination),
        ports: bits,
        hosts: 1 << scan::host_bit(&host, SEED),
        // Frames of a test run come in on the loopback device.
        ifindex: 1,
        deadline: crossing.deadline,
        points: 10 * ONE,
        slow: 10 * ONE,
        recent: [ports[5], ports[6], ports[7], ports[8], ports[9]],
        port: ports[9],
        family: family(source) as u8,
        protocol: protocol::TCP,
        kinds: Kind::Syn as u8,
        observed: 0,
        prefix_length: length,
        trigger: Trigger::Window as u8,
        reserved: [0; 2],
    }
}

fn only(kernel: &mut Kernel) -> Result<ScanEvent> {
    let events = kernel.crossings()?;
    let [event] = events[..] else {
        panic!("{} events", events.len());
    };
    Ok(event)
}

#[test]
fn one_event_tells_who_crossed_how_and_until_when_he_is_blocked() -> Result<()> {
    let mut kernel = watching(enforcing())?;
    for (sender, program) in senders().into_iter().zip(Program::ALL) {
        let source = sender.listed;
        let before = boot_nanoseconds()?;
        crosses(&kernel, program, source, &ports()[..THRESHOLD])?;
        let crossing = only(&mut kernel)?;
        assert!((before..=boot_nanoseconds()?).contains(&crossing.time_ns));
        assert_eq!(crossing.deadline, ends(600, crossing.time_ns));
        let entry = kernel.entry(Table::Block, block(source))?;
        assert_eq!(entry.deadline, crossing.deadline);
        assert_eq!(crossing, event(source, &crossing));
    }
    Ok(())
}

#[test]
fn the_event_names_every_kind_of_probe_that_was_counted() -> Result<()> {
    let ports = ports();
    let bait = ports[20];
    for sender in senders() {
        let source = sender.listed;
        let mut kernel = watching(enforcing())?;
        kernel.set_port(Protocol::Udp, bait, Port::Bait)?;
        for frame in [
            syn(source, ports[0]),
            super::tcp(source, ports[1], 0),
            super::tcp(source, ports[2], tcp::FIN | tcp::ACK),
            udp(source, bait),
        ] {
            let found = reason(&kernel, Program::Frags, &frame)?;
            assert_eq!(found, Reason::Default);
        }
        let last = udp(source, ports[3]);
        assert_eq!(reason(&kernel, Program::Frags, &last)?, Reason::Default);
        let last = udp(source, ports[4]);
        assert_eq!(reason(&kernel, Program::Frags, &last)?, Reason::Scan);
        let event = only(&mut kernel)?;
        let kinds = Kind::Syn as u8 | Kind::Udp as u8 | Kind::Flags as u8 | Kind::Fin as u8;
        assert_eq!(event.kinds, kinds | Kind::BAIT);
        assert_eq!((event.protocol, event.port), (protocol::UDP, ports[4]));
        assert_eq!((event.points, event.slow), (10 * ONE, 10 * ONE));
    }
    Ok(())
}

#[test]
fn a_patient_scanner_crosses_by_the_slow_score() -> Result<()> {
    let config = Config {
        thresholds: Thresholds {
            points: 30 * ONE,
            ..enforcing().thresholds
        },
        ..enforcing()
    };
    let mut kernel = watching(config)?;
    let [sender, _] = senders();
    crosses(&kernel, Program::Frags, sender.listed, &ports()[..20])?;
    let event = only(&mut kernel)?;
    assert_eq!(event.trigger, Trigger::Slow as u8);
    assert_eq!((event.points, event.slow), (20 * ONE, 20 * ONE));
    Ok(())
}

#[test]
fn windows_that_pass_halve_the_score() -> Result<()> {
    let config = Config {
        thresholds: Thresholds {
            window: 1,
            ..enforcing().thresholds
        },
        ..enforcing()
    };
    let kernel = watching(config)?;
    let [sender, _] = senders();
    let source = sender.listed;
    let ports = ports();
    passes(&kernel, Program::Frags, source, &ports[..THRESHOLD - 1])?;
    // So many windows that nothing is left of nine ports.
    thread::sleep(Duration::from_secs(9));
    passes(
        &kernel,
        Program::Frags,
        source,
        &ports[THRESHOLD - 1..THRESHOLD],
    )?;
    let slot = slot(&kernel, source)?.expect("counted");
    assert_eq!((slot.points, slot.slow), (ONE, 10 * ONE));
    Ok(())
}

#[test]
fn a_sweep_over_our_addresses_crosses_with_one_port() -> Result<()> {
    let addresses = (1..=60).map(|last| Ipv4Addr::new(192, 0, 2, last));
    let mut seen = 0_u32;
    let alone = addresses.filter(|address| {
        let host = scan::mapped(&IpAddr::V4(*address).into());
        let bit = 1 << scan::host_bit(&host, SEED);
        let alone = seen & bit == 0;
        seen |= bit;
        alone
    });
    // The first counts in full, the others half.
    const HOSTS: usize = 2 * THRESHOLD - 1;
    let addresses: Vec<_> = alone.take(HOSTS).collect();
    assert_eq!(addresses.len(), HOSTS);

    let mut kernel = watching(enforcing())?;
    kernel.own(addresses.iter().copied().map(IpAddr::V4))?;
    let source = Ipv4Addr::new(198, 51, 100, 7);
    for (number, address) in addresses.iter().enumerate() {
        let frame = Frame::new().ipv4(source, *address);
        let frame = frame.tcp(40000, 22, tcp::SYN).bytes();
        let expected = match number {
            18 => Reason::Scan,
            _ => Reason::Default,
        };
        assert_eq!(reason(&kernel, Program::Linear, &frame)?, expected);
    }
    let event = only(&mut kernel)?;
    assert_eq!(event.hosts.count_ones(), 19);
    let bits: u32 = event.ports.iter().map(|word| word.count_ones()).sum();
    assert_eq!((bits, event.recent), (1, [0, 0, 0, 0, 22]));
    Ok(())
}

#[test]
fn who_is_unblocked_or_has_served_his_time_starts_afresh() -> Result<()> {
    let ports = ports();
    let mut kernel = watching(Config {
        ttl: 1,
        ..enforcing()
    })?;
    for sender in senders() {
        let source = sender.listed;
        for round in 1..=3 {
            crosses(&kernel, Program::Frags, source, &ports[..THRESHOLD])?;
            let crossing = only(&mut kernel)?;
            assert_eq!(crossing, event(source, &crossing));
            match round {
                1 => kernel.remove(Table::Block, block(source))?,
                // To the nearest second.
                _ => thread::sleep(Duration::from_millis(1600)),
            }
        }
    }
    assert_eq!(kernel.scanner()?.crossings, 6);
    Ok(())
}
