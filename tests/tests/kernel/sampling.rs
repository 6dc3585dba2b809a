//! A listener learns of single drops, within bounds; without one nothing is written.

use anyhow::Result;
use fw_common::{
    Prefix,
    abi::{self, Config, DropEvent, NEVER, NO_VLAN, Sampler},
    parse::protocol,
    reason::{Family, Reason},
};
use fw_tests::{
    frames::{Frame, SERVER_V4, SERVER_V6, ethertype, tcp},
    kernel::{Kernel, Program, Table, boot_seconds},
};

use crate::{at_the_start_of_a_second, boot_nanoseconds, senders, syn, wire};

/// A kernel in which the listed senders are blocked by list 6.
fn blocking() -> Result<Kernel> {
    let mut kernel = Kernel::load()?;
    for sender in senders() {
        kernel.set(Table::Block, sender.network, 6, NEVER)?;
    }
    Ok(kernel)
}

fn listen(kernel: &mut Kernel, until: u32, samples_per_sec: u32) -> Result<()> {
    kernel.configure(Config {
        sample_until: until,
        samples_per_sec,
        ..Config::default()
    })
}

#[test]
fn nobody_listens_and_nothing_is_written() -> Result<()> {
    let mut kernel = blocking()?;
    let idle = kernel.samplers()?;
    for until in [0, 1, boot_seconds()?] {
        listen(&mut kernel, until, 1000)?;
        for sender in senders() {
            for program in Program::ALL {
                kernel.receive(program, &syn(sender.listed), 10)?;
            }
        }
        assert!(kernel.events().is_empty(), "until {until}");
        assert_eq!(kernel.samplers()?, idle, "until {until}");
    }
    Ok(())
}

#[test]
fn what_passes_is_not_sampled() -> Result<()> {
    let mut kernel = blocking()?;
    listen(&mut kernel, NEVER, 1000)?;
    for sender in senders() {
        kernel.receive(Program::Frags, &syn(sender.free), 10)?;
    }
    assert!(kernel.events().is_empty());
    Ok(())
}

/// One drop and the event it is to make, but for its time.
fn drops() -> Vec<(Vec<u8>, DropEvent)> {
    let [v4, v6] = senders();
    let event = |source, network: Prefix| DropEvent {
        source: wire(source),
        // Frames of a test run come in on the loopback device.
        ifindex: 1,
        vlans: [NO_VLAN; 2],
        list: 6,
        reason: Reason::Block as u8,
        family: network.family() as u8,
        prefix_length: network.length(),
        ..DropEvent::default()
    };
    let v4_event = DropEvent {
        destination: wire(SERVER_V4.into()),
        ..event(v4.listed, v4.network)
    };
    let v6_event = DropEvent {
        destination: wire(SERVER_V6.into()),
        ..event(v6.listed, v6.network)
    };
    let frame = Frame::new;
    vec![
        (
            frame().ip(v4.listed).tcp(40000, 22, tcp::SYN).bytes(),
            DropEvent {
                protocol: protocol::TCP,
                source_port: 40000,
                destination_port: 22,
                ..v4_event
            },
        ),
        (
            frame().vlan(0xf005).ip(v4.listed).udp(1, 65535).bytes(),
            DropEvent {
                protocol: protocol::UDP,
                vlans: [5, NO_VLAN],
                source_port: 1,
                destination_port: 65535,
                ..v4_event
            },
        ),
        (
            frame().ip(v4.listed).icmp(8, 3, &[0; 4]).bytes(),
            DropEvent {
                protocol: protocol::ICMP,
                destination_port: 0x0803,
                ..v4_event
            },
        ),
        (
            frame().ip(v4.listed).sctp(40000, 22).bytes(),
            DropEvent {
                protocol: 132,
                ..v4_event
            },
        ),
        (
            frame()
                .tag(ethertype::QINQ, 4095)
                .vlan(1)
                .ip(v6.listed)
                .hop_by_hop()
                .tcp(40000, 443, tcp::ACK)
                .bytes(),
            DropEvent {
                protocol: protocol::TCP,
                vlans: [4095, 1],
                source_port: 40000,
                destination_port: 443,
                ..v6_event
            },
        ),
        (
            frame().ip(v6.listed).fragment(4, true).udp(1, 2).bytes(),
            DropEvent {
                protocol: protocol::UDP,
                ..v6_event
            },
        ),
        (
            frame().vlan(1).vlan(2).vlan(3).ip(v6.listed).bytes(),
            DropEvent {
                ifindex: 1,
                vlans: [1, 2],
                reason: Reason::Tags as u8,
                family: Family::None as u8,
                ..DropEvent::default()
            },
        ),
    ]
}

#[test]
fn a_sample_says_what_was_dropped() -> Result<()> {
    let mut kernel = blocking()?;
    for observe in [0, 1] {
        kernel.configure(Config {
            observe,
            sample_until: NEVER,
            samples_per_sec: 1000,
            ..Config::default()
        })?;
        for program in Program::ALL {
            for (frame, expected) in drops() {
                let before = boot_nanoseconds()?;
                kernel.receive(program, &frame, 1)?;
                let after = boot_nanoseconds()?;
                let events = kernel.events();
                assert_eq!(events.len(), 1);
                let event = events[0];
                assert!((before..=after).contains(&event.time_ns));
                let expected = DropEvent {
                    time_ns: event.time_ns,
                    length: frame.len() as u32,
                    observed: observe as u8,
                    ..expected
                };
                assert_eq!(event, expected);
            }
        }
    }
    Ok(())
}

/// What the samplers of all CPUs counted.
fn counted(kernel: &Kernel) -> Result<(u64, u64)> {
    let sum =
        |of: fn(&Sampler) -> u64| -> Result<u64> { Ok(kernel.samplers()?.iter().map(of).sum()) };
    Ok((
        sum(|sampler| sampler.limited)?,
        sum(|sampler| sampler.lost)?,
    ))
}

#[test]
fn a_second_has_room_for_so_many_samples() -> Result<()> {
    const ROOM: u32 = 10;
    const DROPS: u32 = 100;
    let mut kernel = blocking()?;
    listen(&mut kernel, NEVER, ROOM)?;
    let [sender, _] = senders();
    for round in 1..=2 {
        at_the_start_of_a_second()?;
        let second = boot_seconds()?;
        kernel.receive(Program::Frags, &syn(sender.listed), DROPS)?;
        assert_eq!(
            boot_seconds()?,
            second,
            "the machine is too slow for this test"
        );
        assert_eq!(kernel.events().len(), ROOM as usize);
        let limited = u64::from(DROPS - ROOM) * round;
        assert_eq!(counted(&kernel)?, (limited, 0));
    }
    Ok(())
}

#[test]
fn a_full_ring_is_counted_and_goes_on_when_it_is_read() -> Result<()> {
    const DROPS: u32 = 5000;
    let mut kernel = blocking()?;
    listen(&mut kernel, NEVER, u32::MAX)?;
    let [sender, _] = senders();
    let flood = |kernel: &Kernel| kernel.receive(Program::Frags, &syn(sender.listed), DROPS);
    flood(&kernel)?;

    // A record has a header of 8 bytes, and the ring is never filled to its last byte.
    let record = size_of::<DropEvent>() as u32 + 8;
    let room = (abi::EVENTS.capacity - 1) / record;
    assert!(room < DROPS);
    assert_eq!(counted(&kernel)?, (0, u64::from(DROPS - room)));
    let events = kernel.events();
    assert_eq!(events.len(), room as usize);
    for event in &events {
        assert_eq!(event.source, wire(sender.listed));
    }

    flood(&kernel)?;
    assert_eq!(kernel.events().len(), room as usize);
    Ok(())
}
