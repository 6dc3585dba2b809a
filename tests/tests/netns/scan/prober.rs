//! Packets made by hand: from any source, in a fixed order, and each with its fate known.

use std::{
    cell::Cell,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::{Range, RangeInclusive},
};

use fw_tests::{
    frames::{Frame, tcp},
    lab::{
        Lab,
        address::V4,
        scanners,
        wire::{Number, Tap, Wire},
    },
};

/// Ports that nobody serves: more than any threshold.
pub const CLOSED: Range<u16> = 2000..2040;
/// What a scan of SYN packets takes: ten ports, and some more where two ports share a bit.
pub const PROBES: RangeInclusive<usize> = 10..=20;

/// Where a hand-made packet comes from.
const PORT: u16 = 40_000;
/// Frames that are under way at a time: a veth queues 256.
const BURST: usize = 64;

/// Both ends of the first link.
pub struct Prober {
    wire: Wire,
    tap: Tap,
    next: Cell<Number>,
}

impl Prober {
    /// Ends with the lab's link.
    pub fn new(lab: &Lab) -> Self {
        Self {
            wire: lab.wire(),
            tap: lab.tap(),
            next: Cell::new(0),
        }
    }

    /// Sends them in this order, and says of each whether it arrived.
    #[track_caller]
    pub fn send(&self, frames: impl IntoIterator<Item = Frame>) -> Vec<bool> {
        let frames: Vec<Vec<u8>> = frames.into_iter().map(Frame::bytes).collect();
        // The gateway is guarded, so its packet arrives, and behind all others.
        let mark = to_server(V4.gateway).udp(9, 9).bytes();
        let mut arrived = Vec::new();
        for burst in frames.chunks(BURST) {
            let first = self.next.get();
            let mut number = first;
            for frame in burst {
                self.wire.send(number, frame);
                number += 1;
            }
            self.wire.send(number, &mark);
            self.next.set(number + 1);
            let seen = self.tap.until(number);
            arrived.extend((first..number).map(|number| seen.contains(&number)));
        }
        arrived
    }

    /// Asks for closed ports until long after the threshold. Says how many packets it took to be
    /// blocked, the one that was dropped first included; nothing after it may arrive.
    #[track_caller]
    pub fn scan(&self, source: IpAddr) -> usize {
        let arrived = self.send(CLOSED.map(|port| syn(source, port)));
        let through = arrived.iter().take_while(|arrived| **arrived).count();
        assert!(through < arrived.len(), "{source} is not blocked");
        let after = &arrived[through..];
        assert!(!after.contains(&true), "after the block: {arrived:?}");
        through + 1
    }

    /// As [`Prober::scan`], where nothing may be dropped.
    #[track_caller]
    pub fn scan_in_vain(&self, source: IpAddr) {
        let arrived = self.send(CLOSED.map(|port| syn(source, port)));
        assert!(!arrived.contains(&false), "{source}: {arrived:?}");
    }

    /// Whether a packet of this source arrives that never counts.
    #[track_caller]
    pub fn passes(&self, source: IpAddr) -> bool {
        self.send([to_server(source).tcp(PORT, 80, tcp::ACK)]) == [true]
    }
}

/// The IP header of a packet to the server.
pub fn to_server(source: IpAddr) -> Frame {
    to(source, scanners::target(source))
}

/// The IP header of a packet to an address of the same family.
pub fn to(source: IpAddr, destination: IpAddr) -> Frame {
    match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => Frame::new().ipv4(source, destination),
        (IpAddr::V6(source), IpAddr::V6(destination)) => Frame::new().ipv6(source, destination),
        mixed => panic!("{mixed:?} are of two families"),
    }
}

/// Asks the server for a TCP port.
pub fn syn(source: IpAddr, port: u16) -> Frame {
    to_server(source).tcp(PORT, port, tcp::SYN)
}

/// A datagram for a port of the server.
pub fn datagram(source: IpAddr, port: u16) -> Frame {
    to_server(source).udp(PORT, port).payload(b"hello")
}

/// A host of 198.51.`network`.0/24: what the attacker makes up, and owns no address of.
pub fn forged_v4(network: u8, host: u8) -> IpAddr {
    Ipv4Addr::new(198, 51, network, host).into()
}

/// A host of fd00:51:`network`:`link`::/64.
pub fn forged_v6(network: u16, link: u16, host: u16) -> IpAddr {
    Ipv6Addr::new(0xfd00, 0x51, network, link, 0, 0, 0, host).into()
}
