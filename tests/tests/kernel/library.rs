//! The parser reads what an independent library reads.

use std::{collections::BTreeMap, net::IpAddr};

use etherparse::{Ipv6ExtensionSlice, LaxNetSlice, LaxSlicedPacket, TransportSlice, err::Layer};
use fw_common::{
    abi::NO_VLAN,
    parse::{
        self, Kind, Packet, Transport,
        protocol::{AUTHENTICATION, HIP, MOBILITY, SHIM6},
    },
    reason::Family,
};

use crate::{
    family,
    model::Policy,
    random::{self, Frames, Rng},
    report,
};

/// Why the two may differ about a frame. There are no other reasons.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Excuse {
    /// We stop at the third tag, the library at the fourth.
    Tags,
    /// The library refuses a header that lies, or hop-by-hop options that are not the first.
    Refused,
    /// Another version in the IP header than in the Ethernet type: the library believes the first,
    /// we the second, as the kernel does before it discards the packet.
    Version,
    /// An authentication header in IPv4: the library walks it, we do so in IPv6 only.
    AuthenticationInV4,
    /// Mobility, HIP and shim6 headers: the library does not walk them.
    UnknownExtension,
    /// More than six extension headers: the library walks them all.
    LongChain,
    /// A later fragment: the library takes its data for extension headers.
    LaterFragment,
    /// A first fragment: the library does not read its transport header.
    FirstFragment,
}

/// How far the library read an IP packet.
struct Network<'a> {
    source: IpAddr,
    destination: IpAddr,
    fragmented: bool,
    protocol: u8,
    /// Nothing when it refused one of them.
    extensions: Option<Vec<Ipv6ExtensionSlice<'a>>>,
}

impl<'a> Network<'a> {
    fn new(library: &'a LaxSlicedPacket<'_>) -> Option<Self> {
        let refused = library.stop_err.as_ref().is_some_and(|(_, layer)| {
            use Layer::{Icmpv4, Icmpv6, Igmp, TcpHeader, UdpHeader};
            !matches!(layer, Icmpv4 | Icmpv6 | Igmp | TcpHeader | UdpHeader)
        });
        match library.net.as_ref()? {
            LaxNetSlice::Arp(_) => None,
            LaxNetSlice::Ipv4(ip) => Some(Self {
                source: ip.header().source_addr().into(),
                destination: ip.header().destination_addr().into(),
                fragmented: ip.payload().fragmented,
                protocol: ip.payload().ip_number.0,
                extensions: (!refused).then(Vec::new),
            }),
            LaxNetSlice::Ipv6(ip) => Some(Self {
                source: ip.header().source_addr().into(),
                destination: ip.header().destination_addr().into(),
                fragmented: ip.payload().fragmented,
                protocol: ip.payload().ip_number.0,
                // Its iterator would read behind the end of a chain that it refused (etherparse
                // 0.21, `Ipv6ExtensionSliceIter`; a debug build aborts).
                extensions: (!refused).then(|| ip.extensions().clone().into_iter().collect()),
            }),
        }
    }

    /// Why our protocol may be another.
    fn excuse(&self, packet: &Packet) -> Option<Excuse> {
        let Some(extensions) = &self.extensions else {
            return Some(Excuse::Refused);
        };
        if packet.source.family == Family::V4 {
            return (packet.protocol == AUTHENTICATION).then_some(Excuse::AuthenticationInV4);
        }
        let later = |extension: &Ipv6ExtensionSlice<'_>| match extension {
            Ipv6ExtensionSlice::Fragment(header) => header.fragment_offset().value() != 0,
            _ => false,
        };
        if extensions.iter().any(later) {
            return Some(Excuse::LaterFragment);
        }
        if matches!(self.protocol, MOBILITY | HIP | SHIM6) {
            return Some(Excuse::UnknownExtension);
        }
        (extensions.len() > parse::MAX_EXTENSIONS).then_some(Excuse::LongChain)
    }
}

/// Panics where the two differ without an excuse.
fn compare(frame: &[u8]) -> Option<Excuse> {
    let packet = parse::parse(&frame);
    let library = LaxSlicedPacket::from_ethernet(frame).expect("an Ethernet header");
    let refused = library.stop_err.is_some().then_some(Excuse::Refused);

    if packet.kind == Kind::Tags {
        assert!(library.link_exts.len() > parse::MAX_TAGS);
        return Some(Excuse::Tags);
    }
    let ours = packet.vlans.into_iter().filter(|id| *id != NO_VLAN);
    let theirs: Vec<u16> = library.vlan_ids().iter().map(|id| id.value()).collect();
    assert_eq!(ours.collect::<Vec<_>>(), theirs);

    let Some(network) = Network::new(&library) else {
        let agreed = packet.kind == Kind::NotIp || refused.is_some();
        assert!(agreed, "the library sees no IP packet, we {packet:?}");
        return refused;
    };
    if packet.source.family != family(network.source) {
        return Some(Excuse::Version);
    }
    assert_eq!(packet.source.ip(), Some(network.source));
    assert_eq!(packet.destination.ip(), Some(network.destination));

    if packet.protocol != network.protocol {
        let excuse = network.excuse(&packet);
        assert!(excuse.is_some(), "{packet:?}, {library:?}");
        return excuse;
    }
    let ours = (
        match packet.transport {
            // The library knows of no bound, and of none of what is behind it.
            Transport::Chain => Transport::Unknown,
            transport => transport,
        },
        packet.source_port,
        packet.destination_port,
    );
    if ours == transport(&library) {
        return None;
    }
    let fragment = network.fragmented && library.transport.is_none();
    let excuse = refused.or(fragment.then_some(Excuse::FirstFragment));
    assert!(excuse.is_some(), "{packet:?}, {library:?}");
    excuse
}

/// What the library read, as our parser puts it.
fn transport(library: &LaxSlicedPacket<'_>) -> (Transport, u16, u16) {
    let message = |bytes: &[u8]| (Transport::Icmp, 0, u16::from_be_bytes([bytes[0], bytes[1]]));
    match &library.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            (Transport::Tcp, tcp.source_port(), tcp.destination_port())
        }
        Some(TransportSlice::Udp(udp)) => {
            (Transport::Udp, udp.source_port(), udp.destination_port())
        }
        Some(TransportSlice::Icmpv4(icmp)) => message(icmp.slice()),
        Some(TransportSlice::Icmpv6(icmp)) => message(icmp.slice()),
        Some(TransportSlice::Igmp(_)) | None => (Transport::Unknown, 0, 0),
    }
}

#[test]
fn the_parser_reads_what_an_independent_library_reads() {
    const FRAMES: usize = 300_000;
    let mut rng = Rng::new(random::seed(), 1 << 33);
    let frames = Frames::new();
    let mut excused: BTreeMap<Excuse, usize> = BTreeMap::new();
    for _ in 0..FRAMES {
        let source = random::source(&mut rng, &Policy::default());
        if let Some(excuse) = compare(&frames.whole(&mut rng, source)) {
            *excused.entry(excuse).or_default() += 1;
        }
    }
    report(format_args!(
        "library: {FRAMES} frames, 0 differences, not compared to the end: {excused:?}"
    ));
    assert!(excused.values().sum::<usize>() < FRAMES / 3);
}
