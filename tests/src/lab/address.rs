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
    /// The range for benchmarks of RFC 2544, which is in no guarded range.
    const fn v4(link: u8, block: &'static str) -> Self {
        const fn at(link: u8, host: u8) -> IpAddr {
            IpAddr::V4(Ipv4Addr::new(198, 18, link, host))
        }
        Self {
            server: at(link, 1),
            gateway: at(link, 254),
            block,
            first: at(link, 0x40),
            blocked: at(link, 0x42),
            allowed: at(link, 0x44),
            guarded: at(link, 0x46),
            last: at(link, 0x4f),
            below: at(link, 0x3f),
            above: at(link, 0x50),
            free: at(link, 200),
        }
    }

    /// A unique local prefix.
    const fn v6(link: u16, block: &'static str) -> Self {
        const fn at(link: u16, host: u16) -> IpAddr {
            IpAddr::V6(Ipv6Addr::new(0xfd00, 0x198, 0x18, link, 0, 0, 0, host))
        }
        Self {
            server: at(link, 1),
            gateway: at(link, 254),
            block,
            first: at(link, 0x40),
            blocked: at(link, 0x42),
            allowed: at(link, 0x44),
            guarded: at(link, 0x46),
            last: at(link, 0x4f),
            below: at(link, 0x3f),
            above: at(link, 0x50),
            free: at(link, 200),
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

/// IPv4 on the first link.
pub const V4: Addresses = Addresses::v4(0, "198.18.0.64/28");
/// IPv6 on the first link.
pub const V6: Addresses = Addresses::v6(0, "fd00:198:18::40/124");
/// Both families on the first link.
pub const FAMILIES: [Addresses; 2] = [V4, V6];
/// Both families on the second link, for the tests that have one.
pub const SECOND: [Addresses; 2] = [
    Addresses::v4(1, "198.18.1.64/28"),
    Addresses::v6(1, "fd00:198:18:1::40/124"),
];
