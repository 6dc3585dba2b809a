//! Who is who on a link between the attacker and the server.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The addresses of one family on one link. All but `server` are the attacker's.
#[derive(Clone, Copy, Debug)]
pub struct Addresses {
    /// The protected host.
    pub server: IpAddr,
    /// Its gateway: guarded, so never blocked. Its packets mark the end of what was sent before.
    pub gateway: IpAddr,
    /// What the tests block: 16 addresses, [`Addresses::inside`].
    pub block: &'static str,
    /// The first address of `block`.
    pub first: IpAddr,
    /// Somewhere in `block`.
    pub blocked: IpAddr,
    /// In `block`; the tests allow it.
    pub allowed: IpAddr,
    /// In `block`; the tests guard it.
    pub guarded: IpAddr,
    /// The last address of `block`.
    pub last: IpAddr,
    /// The address before `block`.
    pub below: IpAddr,
    /// The address after `block`.
    pub above: IpAddr,
    /// Far from `block`.
    pub free: IpAddr,
}

impl Addresses {
    const fn v4(net: [u8; 3], block: &'static str) -> Self {
        const fn at([a, b, c]: [u8; 3], host: u8) -> IpAddr {
            IpAddr::V4(Ipv4Addr::new(a, b, c, host))
        }
        Self {
            server: at(net, 1),
            gateway: at(net, 254),
            block,
            first: at(net, 0x40),
            blocked: at(net, 0x42),
            allowed: at(net, 0x44),
            guarded: at(net, 0x46),
            last: at(net, 0x4f),
            below: at(net, 0x3f),
            above: at(net, 0x50),
            free: at(net, 200),
        }
    }

    const fn v6(net: [u16; 4], block: &'static str) -> Self {
        const fn at([a, b, c, d]: [u16; 4], host: u16) -> IpAddr {
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, host))
        }
        Self {
            server: at(net, 1),
            gateway: at(net, 254),
            block,
            first: at(net, 0x40),
            blocked: at(net, 0x42),
            allowed: at(net, 0x44),
            guarded: at(net, 0x46),
            last: at(net, 0x4f),
            below: at(net, 0x3f),
            above: at(net, 0x50),
            free: at(net, 200),
        }
    }

    /// The attacker's addresses.
    pub fn of_attacker(&self) -> [IpAddr; 9] {
        [
            self.gateway,
            self.first,
            self.blocked,
            self.allowed,
            self.guarded,
            self.last,
            self.below,
            self.above,
            self.free,
        ]
    }

    /// Addresses in `block`, at both ends and between.
    pub fn inside(&self) -> [IpAddr; 3] {
        [self.first, self.blocked, self.last]
    }

    /// Addresses not in `block`, at both ends and away from it.
    pub fn outside(&self) -> [IpAddr; 3] {
        [self.below, self.above, self.free]
    }

    /// Bits of the link's network.
    pub fn length(&self) -> u8 {
        if self.server.is_ipv4() { 24 } else { 64 }
    }
}

/// IPv4 on the first link: the range for benchmarks of RFC 2544, which is in no guarded range.
pub const V4: Addresses = Addresses::v4([198, 18, 0], "198.18.0.64/28");
/// IPv6 on the first link: a unique local prefix.
pub const V6: Addresses = Addresses::v6([0xfd00, 0x198, 0x18, 0], "fd00:198:18::40/124");
/// Both families on the first link.
pub const FAMILIES: [Addresses; 2] = [V4, V6];
/// Both families on the second link, for the tests that have one.
pub const SECOND: [Addresses; 2] = [
    Addresses::v4([198, 18, 1], "198.18.1.64/28"),
    Addresses::v6([0xfd00, 0x198, 0x18, 1], "fd00:198:18:1::40/124"),
];
/// Both families on a link with addresses of the Internet, for the tests of where they are.
pub const GLOBAL: [Addresses; 2] = [
    Addresses::v4([5, 5, 5], "5.5.5.64/28"),
    Addresses::v6([0x2a00, 5, 5, 0], "2a00:5:5::40/124"),
];
