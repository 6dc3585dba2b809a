//! No way around: whatever stands in front of a blocked source or behind it, the packet is
//! dropped, and the same packet from a free source passes.
//!
//! That no program returns XDP_ABORTED is part of every run: [`Kernel`] fails on it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use fw_common::{
    Prefix,
    abi::NEVER,
    parse::protocol::DESTINATION,
    reason::{Family, Reason},
};
use fw_tests::{
    frames::{
        Frame, SERVER_V4, SERVER_V6,
        corpus::{self, Fate},
        ethertype, tcp,
    },
    kernel::{Action, Answer, Kernel, Program, Table},
};

use crate::{Sender, decided, family, plain, report, senders};

/// What is owed to a seed whose source is blocked by an entry of list 9.
fn when_blocked(seed: &corpus::Seed, by: Prefix) -> Answer {
    match seed.reason(Reason::Block) {
        Reason::Block => decided(Reason::Block, by.family(), (9, NEVER, by.length())),
        reason => plain(reason, family_of(seed, by.address())),
    }
}

/// What is owed to a seed whose source stands nowhere.
fn when_free(seed: &corpus::Seed, source: IpAddr) -> Answer {
    plain(seed.reason(Reason::Default), family_of(seed, source))
}

/// No address is read where a frame is not IP or has too many tags.
fn family_of(seed: &corpus::Seed, source: IpAddr) -> Family {
    match seed.fate {
        Fate::BySource | Fate::Link => family(source),
        Fate::NotIp | Fate::Tags => Family::None,
    }
}

/// A kernel in which the listed address of each sender is blocked.
fn blocking(entry: impl Fn(&Sender) -> Prefix) -> Result<Kernel> {
    let mut kernel = Kernel::load()?;
    for sender in &senders() {
        kernel.set(Table::Block, entry(sender), 9, NEVER)?;
    }
    Ok(kernel)
}

#[test]
fn every_seed_is_dropped_from_a_blocked_source_and_passes_from_a_free_one() -> Result<()> {
    let entries = [
        |sender: &Sender| Prefix::host(sender.listed),
        |sender: &Sender| sender.network,
    ];
    let mut count = 0;
    for entry in entries {
        let mut kernel = blocking(entry)?;
        for sender in &senders() {
            for seed in corpus::seeds(sender.listed) {
                count += 1;
                let cases = [
                    (sender.listed, when_blocked(seed, entry(sender))),
                    (sender.free, when_free(seed, sender.free)),
                ];
                for (source, expected) in cases {
                    let frame = seed.frame(source);
                    for program in Program::ALL {
                        let answer = kernel.ask(program, &frame)?;
                        assert_eq!(answer, expected, "{} from {source}", seed.name);
                        // And not only when asked.
                        let action = kernel.receive(program, &frame, 1)?;
                        assert_eq!(action, expected.action, "{} from {source}", seed.name);
                    }
                }
            }
            guarded_seeds_pass(&mut kernel, sender)?;
        }
    }
    report(format_args!(
        "bypass: {count} seeds, from a blocked and a free source, by both programs: 0 differences"
    ));
    Ok(())
}

/// The source stays blocked meanwhile.
fn guarded_seeds_pass(kernel: &mut Kernel, sender: &Sender) -> Result<()> {
    kernel.guard(sender.network)?;
    for seed in corpus::seeds(sender.listed) {
        let answer = kernel.ask(Program::Frags, &seed.frame(sender.listed))?;
        let reason = seed.reason(Reason::Guard);
        assert_eq!(answer.outcome.reason, reason, "guarded: {}", seed.name);
    }
    kernel.unguard(sender.network)
}

#[test]
fn no_seed_cut_behind_its_source_passes() -> Result<()> {
    let kernel = blocking(|sender| sender.network)?;
    let mut count = 0;
    for sender in &senders() {
        for seed in corpus::seeds(sender.listed) {
            if seed.fate != Fate::BySource {
                continue;
            }
            let frame = seed.frame(sender.listed);
            let readable = end_of_source(&frame, sender.listed);
            for length in 14..frame.len() {
                let expected = match length < readable {
                    true => Reason::Unreadable,
                    false => Reason::Block,
                };
                for program in Program::ALL {
                    count += 1;
                    let answer = kernel.ask(program, &frame[..length])?;
                    let found = answer.outcome.reason;
                    assert_eq!(found, expected, "{} cut to {length}", seed.name);
                }
            }
        }
    }
    report(format_args!(
        "bypass: {count} cut frames from a blocked source: 0 differences"
    ));
    Ok(())
}

/// Where the source's bytes end, found without a parser.
fn end_of_source(frame: &[u8], source: IpAddr) -> usize {
    let bytes = match source {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let mut windows = frame.windows(bytes.len());
    let start = windows.position(|window| window == bytes);
    start.expect("the frame carries its source") + bytes.len()
}

#[test]
fn the_linear_part_may_end_at_any_byte() -> Result<()> {
    let kernel = blocking(|sender| sender.network)?;
    let mut count = 0;
    for sender in &senders() {
        for source in [sender.listed, sender.free] {
            for seed in corpus::seeds(source) {
                let frame = seed.frame(source);
                let whole = kernel.ask(Program::Frags, &frame)?;
                for linear in 0..frame.len() {
                    count += 1;
                    let cut = kernel.ask_cut(Program::Frags, &frame, linear)?;
                    assert_eq!(cut, whole, "{} from {source}, linear {linear}", seed.name);
                }
            }
        }
    }
    report(format_args!(
        "bypass: {count} frames with a shorter linear part: 0 differences"
    ));
    Ok(())
}

#[test]
fn frames_of_any_size_are_decided_alike() -> Result<()> {
    let kernel = blocking(|sender| sender.network)?;
    for sender in &senders() {
        for seed in corpus::seeds(sender.listed) {
            for (source, expected) in [
                (sender.listed, when_blocked(seed, sender.network)),
                (sender.free, when_free(seed, sender.free)),
            ] {
                let mut frame = seed.frame(source);
                for size in [60, 1500, 3500, 9000, 65535] {
                    if size < frame.len() {
                        continue;
                    }
                    frame.resize(size, 0);
                    for program in Program::ALL {
                        let answer = kernel.ask(program, &frame)?;
                        assert_eq!(answer, expected, "{} of {size} bytes", seed.name);
                    }
                }
            }
        }
    }
    Ok(())
}

#[test]
fn headers_far_into_the_packet_are_read() -> Result<()> {
    let kernel = blocking(|sender| sender.network)?;
    let [_, Sender { listed, free, .. }] = senders();
    // A buffer of these runs holds three kilobytes of headers, but not ten.
    let near: &[usize] = &[2048, 1024];
    let beyond: &[usize] = &[2048; 5];
    for (program, lengths) in [
        (Program::Linear, near),
        (Program::Frags, near),
        (Program::Frags, beyond),
    ] {
        let far = |source| {
            let frame = Frame::new().ip(source).hop_limit(255);
            let longer = |frame: Frame, length: &usize| frame.extension(DESTINATION, *length);
            lengths.iter().fold(frame, longer)
        };
        for (frame, expected) in [
            (far(listed).tcp(40000, 22, tcp::SYN), Reason::Block),
            (far(free).tcp(40000, 22, tcp::SYN), Reason::Default),
            (far(listed).udp(547, 546), Reason::Link),
            (far(listed).udp(546, 547), Reason::Block),
            (far(listed).icmp(135, 0, &[0; 20]), Reason::Link),
            (far(listed).icmp(128, 0, &[0; 20]), Reason::Block),
        ] {
            let answer = kernel.ask(program, &frame.bytes())?;
            assert_eq!(answer.outcome.reason, expected, "{program:?}, {lengths:?}");
        }
    }
    Ok(())
}

#[test]
fn odd_sources_are_sources_like_any_other() -> Result<()> {
    let odd = [
        IpAddr::V4(Ipv4Addr::UNSPECIFIED),
        IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V4(Ipv4Addr::BROADCAST),
        IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1)),
        IpAddr::V4(Ipv4Addr::new(169, 254, 0, 1)),
        IpAddr::V4(SERVER_V4),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        IpAddr::V6(Ipv6Addr::LOCALHOST),
        IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
        IpAddr::V6(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1)),
        IpAddr::V6(SERVER_V6),
    ];
    let mut kernel = Kernel::load()?;
    for source in odd {
        for seed in corpus::seeds(source) {
            let frame = seed.frame(source);
            let free = kernel.ask(Program::Frags, &frame)?;
            assert_eq!(free, when_free(seed, source), "{} from {source}", seed.name);
            let host = Prefix::host(source);
            kernel.set(Table::Block, host, 9, NEVER)?;
            let blocked = kernel.ask(Program::Frags, &frame)?;
            let expected = when_blocked(seed, host);
            assert_eq!(blocked, expected, "{} from {source}", seed.name);
            kernel.remove(Table::Block, host)?;
        }
    }
    Ok(())
}

#[test]
fn a_short_ihl_makes_no_ports_of_addresses() -> Result<()> {
    // In wire order: ports 67 and 68, which a DHCP client is answered on.
    let ports = Ipv4Addr::new(0, 67, 0, 68);
    let mut kernel = Kernel::load()?;
    kernel.set(Table::Block, Prefix::host(ports.into()), 9, NEVER)?;
    // With three words of header the source stands where ports would, with four the destination.
    for ihl in [3, 4] {
        let mut frame = Frame::new().ipv4(ports, ports).udp(1, 2).bytes();
        frame[14] = 0x40 | ihl;
        for program in Program::ALL {
            let answer = kernel.ask(program, &frame)?;
            assert_eq!(answer.outcome.reason, Reason::Block, "ihl {ihl}");
        }
    }
    Ok(())
}

/// The kernel runs no frame under 14 bytes; what a linear part under 14 bytes does is above.
#[test]
fn a_frame_that_ends_before_its_source_passes_unread() -> Result<()> {
    let kernel = blocking(|sender| sender.network)?;
    for ethertype in [ethertype::IPV4, ethertype::IPV6, ethertype::VLAN] {
        let frame = Frame::new().ethertype(ethertype).bytes();
        assert_eq!(frame.len(), 14);
        for program in Program::ALL {
            let answer = kernel.ask(program, &frame)?;
            assert_eq!(answer.outcome.reason, Reason::Unreadable);
            assert_eq!(answer.action, Action::Pass);
        }
    }
    Ok(())
}
