//! Scanners, clients and passers-by, mixed at random and always the same for a seed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use anyhow::Result;
use fw_common::{Prefix, abi::NEVER, parse::protocol};
use fw_tests::{
    frames::{
        Frame, SERVER_V4, SERVER_V6,
        tcp::{ACK, FIN, RST, SYN},
    },
    kernel::{Kernel, Port, Protocol, Table},
};

use crate::random::Rng;

const OWN_V4: [Ipv4Addr; 3] = [
    SERVER_V4,
    Ipv4Addr::new(192, 0, 2, 10),
    Ipv4Addr::new(192, 0, 2, 11),
];
const OWN_V6: [Ipv6Addr; 3] = [
    SERVER_V6,
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10),
    Ipv6Addr::new(0x2001, 0xdb8, 0, 1, 0, 0, 0, 0x11),
];

/// Ports that are served, in both protocols.
pub const SERVED: [u16; 2] = [53, 443];
/// A port that is a bait in both protocols.
pub const BAIT: u16 = 1023;

/// Sources that are guarded and, of the second half, allowed.
pub const PROTECTED: [IpAddr; 4] = [
    IpAddr::V4(Ipv4Addr::new(198, 19, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xcafe, 0, 0, 0, 0, 1)),
    IpAddr::V4(Ipv4Addr::new(198, 19, 0, 2)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0xcafe, 1, 0, 0, 0, 1)),
];

/// Sources without end, half of them of each family and four to a /64.
pub fn strangers() -> impl Iterator<Item = IpAddr> {
    (0_u32..).flat_map(|number| {
        let network = u128::from(number / 4) << 64;
        let v6 = 0x2001_0db8_u128 << 96 | network | u128::from(number);
        [
            IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + number)),
            IpAddr::V6(Ipv6Addr::from_bits(v6)),
        ]
    })
}

/// The host's own addresses.
pub fn own() -> impl Iterator<Item = IpAddr> {
    let v6 = OWN_V6.into_iter().map(IpAddr::V6);
    OWN_V4.into_iter().map(IpAddr::V4).chain(v6)
}

/// Tells a kernel of all this.
pub fn describe(kernel: &mut Kernel) -> Result<()> {
    kernel.own(own())?;
    for protocol in [Protocol::Tcp, Protocol::Udp] {
        for port in SERVED {
            kernel.set_port(protocol, port, Port::Served)?;
        }
        kernel.set_port(protocol, BAIT, Port::Bait)?;
    }
    let [guarded @ .., a, b] = PROTECTED;
    for source in guarded {
        kernel.guard(Prefix::host(source))?;
    }
    for source in [a, b] {
        kernel.set(Table::Allow, Prefix::host(source), 1, NEVER)?;
    }
    Ok(())
}

/// Makes frames of these sources and the protected ones.
pub struct Traffic {
    pub rng: Rng,
    sources: Vec<IpAddr>,
}

impl Traffic {
    pub fn new(rng: Rng, sources: impl Iterator<Item = IpAddr>) -> Self {
        Self {
            rng,
            sources: sources.chain(PROTECTED).collect(),
        }
    }

    /// To one of our addresses, or to all of a link.
    fn ip(&mut self) -> Frame {
        let rng = &mut self.rng;
        let mut frame = Frame::new();
        if rng.one_in(8) {
            frame = frame.vlan(5);
        }
        let to_all = rng.one_in(16);
        match (rng.pick(&self.sources), to_all) {
            (IpAddr::V4(source), false) => frame.ipv4(source, rng.pick(&OWN_V4)),
            (IpAddr::V4(source), true) => frame.ipv4(source, Ipv4Addr::BROADCAST),
            (IpAddr::V6(source), false) => frame.ipv6(source, rng.pick(&OWN_V6)),
            (IpAddr::V6(source), true) => {
                let all_nodes = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
                frame.ipv6(source, all_nodes)
            }
        }
    }

    pub fn frame(&mut self) -> Vec<u8> {
        let ip = self.ip();
        let rng = &mut self.rng;
        let from = 40_000 + rng.below(1000) as u16;
        let port = match rng.below(16) {
            0 => BAIT,
            1..=2 => rng.pick(&SERVED),
            3 => 40_000 + rng.below(50) as u16,
            _ => 1000 + rng.below(200) as u16,
        };
        let frame = match rng.below(16) {
            0..=6 => ip.tcp(from, port, SYN),
            7 => ip.tcp(from, port, rng.byte()),
            8..=9 => ip.udp(from, port),
            10 => ip.tcp(from, port, ACK),
            11 => ip.tcp(from, port, rng.pick(&[RST, RST | ACK, SYN | ACK])),
            12 => ip.icmp(8, 0, &[0; 4]),
            13 => {
                let [high, low] = port.to_be_bytes();
                let cut = ip.fragment(0, true).protocol(protocol::TCP);
                cut.payload(&[0x9c, 0x40, high, low, 0, 0, 0, 1])
            }
            14 => ip.fragment(2, rng.one_in(2)).tcp(from, port, SYN),
            _ => ip.tcp(from, port, FIN | ACK),
        };
        frame.bytes()
    }
}
