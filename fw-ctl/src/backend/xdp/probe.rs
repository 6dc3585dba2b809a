//! Asking the loaded program: a packet through `BPF_PROG_TEST_RUN`, with a question in front.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use aya::programs::{ProgramError, TestRun as _, TestRunOptions, Xdp};
use fw_common::{
    Prefix,
    abi::{self, Probe},
    reason::Outcome,
};

use crate::policy::rule::RuleId;

/// Protocol of a probe packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// A TCP SYN.
    Tcp,
    /// A TCP segment of a connection that stands.
    Established,
    /// A UDP datagram without data.
    Udp,
    /// An echo request of the source's family.
    Icmp,
}

/// A packet to ask about.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// Source address.
    pub source: IpAddr,
    /// Destination address; of the source's family, or unspecified. Rules are about addresses of this
    /// host only.
    pub destination: IpAddr,
    /// Protocol.
    pub protocol: Protocol,
    /// Destination port of TCP and UDP.
    pub port: u16,
    /// VLAN tag.
    pub vlan: Option<u16>,
    /// Interface it comes in on; 0 for none in particular.
    pub interface: u32,
}

/// What the loaded program said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Reason, family, observe mode.
    pub outcome: Outcome,
    /// Whether it returned `XDP_DROP`.
    pub dropped: bool,
    /// The entry that decided.
    pub entry: Option<Decider>,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// Bytes of the packet.
    pub length: usize,
}

/// The kernel's entry that decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decider {
    /// Its prefix.
    pub prefix: Prefix,
    /// Number of its list.
    pub list: u16,
    /// Second of boot time; [`abi::NEVER`] for none.
    pub deadline: u32,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// The kernel did not run it.
    #[error("the kernel did not run the program on a test packet")]
    Run(#[source] Box<ProgramError>),
    /// It ran, but the answer is not of this ABI.
    #[error("the loaded program did not answer as ABI {} does", abi::VERSION)]
    NoAnswer,
}

const XDP_DROP: u32 = 1;

/// Sends a packet through the program, which counts and samples nothing for it.
///
/// # Errors
/// [`ProbeError`]
pub fn ask(program: &Xdp, question: &Question) -> Result<Answer, ProbeError> {
    let frame = frame(question);
    let (data, context) = behind(Probe::QUESTION, &frame, question.interface);
    let mut out = vec![0; data.len()];
    let mut options = TestRunOptions::new();
    options.data_in = Some(&data);
    options.data_out = Some(&mut out);
    options.ctx_in = Some(&context);
    let mut context_out = [0; 24];
    options.ctx_out = Some(&mut context_out);
    let result = program
        .test_run(options)
        .map_err(|error| ProbeError::Run(Box::new(error)))?;
    let probe = read_probe(&out).ok_or(ProbeError::NoAnswer)?;
    let outcome = probe.outcome().ok_or(ProbeError::NoAnswer)?;
    let entry = (probe.list != 0)
        .then(|| Prefix::new(question.source, probe.length))
        .flatten()
        .map(|prefix| Decider {
            prefix,
            list: probe.list,
            deadline: probe.deadline,
        });
    Ok(Answer {
        outcome,
        dropped: result.return_value == XDP_DROP,
        entry,
        rule: (probe.rule != 0).then_some(RuleId(probe.rule)),
        length: frame.len(),
    })
}

/// The mean time that the program takes for a packet, sent again and again; without one, for a
/// frame that is no IP. It counts and samples nothing for it.
///
/// # Errors
/// [`ProbeError::Run`]
pub fn cost(
    program: &Xdp,
    question: Option<&Question>,
    repeat: u32,
) -> Result<Duration, ProbeError> {
    /// IEEE 802, "Local Experimental Ethertype 1".
    const EXPERIMENT: [u8; 2] = [0x88, 0xb5];
    let frame = match question {
        Some(question) => frame(question),
        None => [&[0; 12][..], &EXPERIMENT, &[0; 46]].concat(),
    };
    let interface = question.map_or(0, |question| question.interface);
    let (data, context) = behind(Probe::REPEATED, &frame, interface);
    let mut options = TestRunOptions::new();
    options.data_in = Some(&data);
    options.ctx_in = Some(&context);
    options.repeat = repeat;
    let result = program.test_run(options);
    let result = result.map_err(|error| ProbeError::Run(Box::new(error)))?;
    Ok(result.duration)
}

/// The frame with a question in front, and the `struct xdp_md` that says so: data, data_end,
/// data_meta, ingress_ifindex, rx_queue_index, egress_ifindex. Metadata lies in front of `data`
/// (net/bpf/test_run.c, bpf_prog_test_run_xdp).
fn behind(magic: u32, frame: &[u8], interface: u32) -> (Vec<u8>, Vec<u8>) {
    const META: usize = size_of::<Probe>();
    let mut data = vec![0; META];
    data[..4].copy_from_slice(&magic.to_ne_bytes());
    data.extend_from_slice(frame);
    let context = [META as u32, data.len() as u32, 0, interface, 0, 0];
    let context = context.into_iter().flat_map(u32::to_ne_bytes).collect();
    (data, context)
}

fn read_probe(bytes: &[u8]) -> Option<Probe> {
    let (magic, rest) = bytes.split_first_chunk()?;
    let ([reason, family], rest) = rest.split_first_chunk()?;
    let (list, rest) = rest.split_first_chunk()?;
    let (deadline, rest) = rest.split_first_chunk()?;
    let ([observed, length], rest) = rest.split_first_chunk()?;
    let (reserved, rest) = rest.split_first_chunk()?;
    let (rule, _) = rest.split_first_chunk()?;
    Some(Probe {
        magic: u32::from_ne_bytes(*magic),
        reason: *reason,
        family: *family,
        list: u16::from_ne_bytes(*list),
        deadline: u32::from_ne_bytes(*deadline),
        observed: *observed,
        length: *length,
        reserved: u16::from_ne_bytes(*reserved),
        rule: u32::from_ne_bytes(*rule),
    })
}

/// Checksums stay zero: the program reads none.
fn frame(question: &Question) -> Vec<u8> {
    let mut frame = vec![0; 12];
    if let Some(vlan) = question.vlan {
        frame.extend([0x81, 0x00]);
        frame.extend((vlan & 0x0fff).to_be_bytes());
    }
    let transport = transport(question);
    match question.source {
        IpAddr::V4(source) => {
            let destination = match question.destination {
                IpAddr::V4(destination) => destination,
                IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
            };
            frame.extend([0x08, 0x00, 0x45, 0]);
            frame.extend((20 + transport.len() as u16).to_be_bytes());
            frame.extend([0, 0, 0x40, 0, 64, number(question), 0, 0]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
        IpAddr::V6(source) => {
            let destination = match question.destination {
                IpAddr::V6(destination) => destination,
                IpAddr::V4(_) => Ipv6Addr::UNSPECIFIED,
            };
            frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            frame.extend((transport.len() as u16).to_be_bytes());
            frame.extend([number(question), 64]);
            frame.extend(source.octets());
            frame.extend(destination.octets());
        }
    }
    frame.extend(transport);
    frame
}

fn number(question: &Question) -> u8 {
    use fw_common::parse::protocol;
    match (question.protocol, question.source) {
        (Protocol::Tcp | Protocol::Established, _) => protocol::TCP,
        (Protocol::Udp, _) => protocol::UDP,
        (Protocol::Icmp, IpAddr::V4(_)) => protocol::ICMP,
        (Protocol::Icmp, IpAddr::V6(_)) => protocol::ICMPV6,
    }
}

fn transport(question: &Question) -> Vec<u8> {
    /// First port of the dynamic range (RFC 6335).
    const SOURCE_PORT: u16 = 49152;
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    let mut ports = SOURCE_PORT.to_be_bytes().to_vec();
    ports.extend(question.port.to_be_bytes());
    match (question.protocol, question.source) {
        (Protocol::Tcp | Protocol::Established, _) => {
            let flags = match question.protocol {
                Protocol::Established => ACK,
                _ => SYN,
            };
            ports.extend([0; 8]);
            ports.extend([5 << 4, flags, 0xff, 0xff, 0, 0, 0, 0]);
            ports
        }
        (Protocol::Udp, _) => {
            ports.extend([0, 8, 0, 0]);
            ports
        }
        (Protocol::Icmp, IpAddr::V4(_)) => vec![8, 0, 0, 0, 0, 1, 0, 1],
        (Protocol::Icmp, IpAddr::V6(_)) => vec![128, 0, 0, 0, 0, 1, 0, 1],
    }
}

#[cfg(test)]
mod tests {
    use fw_common::parse::{self, Kind, Transport};

    use super::*;

    #[test]
    fn the_packet_is_what_was_asked_for() {
        for (source, protocol, vlan, transport, port) in [
            ("192.0.2.1", Protocol::Tcp, None, Transport::Tcp, 22),
            ("192.0.2.1", Protocol::Udp, Some(7), Transport::Udp, 53),
            ("192.0.2.1", Protocol::Icmp, None, Transport::Icmp, 0x0800),
            ("2001:db8::1", Protocol::Tcp, Some(9), Transport::Tcp, 443),
            ("2001:db8::1", Protocol::Icmp, None, Transport::Icmp, 0x8000),
        ] {
            let source: IpAddr = source.parse().expect("an address");
            let bytes = frame(&Question {
                source,
                destination: source,
                protocol,
                port,
                vlan,
                interface: 0,
            });
            let packet = parse::parse(&bytes.as_slice());
            assert_eq!(packet.kind, Kind::Ip);
            assert_eq!(packet.source.ip(), Some(source));
            assert_eq!(packet.destination.ip(), Some(source));
            assert_eq!(
                (packet.transport, packet.destination_port),
                (transport, port)
            );
            assert_eq!(packet.vlans[0], vlan.unwrap_or(abi::NO_VLAN));
        }
    }
}
