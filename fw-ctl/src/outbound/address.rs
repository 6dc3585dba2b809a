//! Which addresses are global: those that are not in the IANA registries of special purpose
//! addresses, nor stand for one that is. Pure.
//!
//! The registries say of some assignments that they are globally reachable (AS112, AMT, anycast of
//! protocols). Nobody receives webhooks or keeps lists there: they are refused with what is around
//! them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fw_common::Prefix;

/// First address, bits, and what it is.
type Row<A> = (A, u32, &'static str);

const V4: [Row<Ipv4Addr>; 16] = {
    const fn at(a: u8, b: u8, c: u8) -> Ipv4Addr {
        Ipv4Addr::new(a, b, c, 0)
    }
    [
        (at(0, 0, 0), 8, "this network"),
        (at(10, 0, 0), 8, "private"),
        (at(100, 64, 0), 10, "shared by a provider"),
        (at(127, 0, 0), 8, "loopback"),
        (at(169, 254, 0), 16, "link-local"),
        (at(172, 16, 0), 12, "private"),
        (at(192, 0, 0), 24, "for protocols"),
        (at(192, 0, 2), 24, "for documentation"),
        (at(192, 31, 196), 24, "for protocols"),
        (at(192, 52, 193), 24, "for protocols"),
        (at(192, 88, 99), 24, "a 6to4 relay"),
        (at(192, 168, 0), 16, "private"),
        (at(192, 175, 48), 24, "for protocols"),
        (at(198, 18, 0), 15, "for benchmarks"),
        (at(198, 51, 100), 24, "for documentation"),
        (at(203, 0, 113), 24, "for documentation"),
    ]
};

/// What follows is multicast, reserved, or broadcast.
const V4_BEYOND: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 0);

/// The only addresses of IPv6 that are assigned to hosts of the Internet.
const V6_UNICAST: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);

/// What is none of them all the same.
const V6: [Row<Ipv6Addr>; 6] = {
    const fn at(a: u16, b: u16, c: u16) -> Ipv6Addr {
        Ipv6Addr::new(a, b, c, 0, 0, 0, 0, 0)
    }
    [
        (at(0x2001, 0, 0), 32, "a Teredo tunnel"),
        (at(0x2001, 0, 0), 23, "for protocols"),
        (at(0x2001, 0xdb8, 0), 32, "for documentation"),
        (at(0x2002, 0, 0), 16, "a 6to4 tunnel"),
        (at(0x2620, 0x4f, 0x8000), 48, "for protocols"),
        (at(0x3fff, 0, 0), 20, "for documentation"),
    ]
};

/// What the words above leave out, for the message alone.
const V6_WORDS: [Row<Ipv6Addr>; 6] = {
    const fn at(a: u16) -> Ipv6Addr {
        Ipv6Addr::new(a, 0, 0, 0, 0, 0, 0, 0)
    }
    [
        (Ipv6Addr::LOCALHOST, 128, "loopback"),
        (at(0xfc00), 7, "private"),
        (at(0xfe80), 10, "link-local"),
        (at(0xff00), 8, "multicast"),
        (
            Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0),
            48,
            "a local translation to IPv4",
        ),
        (at(0), 96, "an outdated form of IPv4"),
    ]
};

/// The well-known prefix of NAT64 (RFC 6052): the last 32 bits are the IPv4 address it leads to.
const NAT64: (Ipv6Addr, u32) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// Why an address is not global; `None` for one that is.
pub fn special(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => special_v4(address),
        IpAddr::V6(address) => special_v6(address),
    }
}

/// The networks whose addresses are not global. Translations of global addresses of IPv4, which are,
/// are among them.
pub fn special_prefixes() -> impl Iterator<Item = Prefix> {
    let v4 = V4.map(|(first, bits, _)| (IpAddr::V4(first), bits));
    let v4_beyond = (V4_BEYOND.into(), V4_BEYOND.to_bits().leading_ones());
    let v6 = V6.map(|(first, bits, _)| (IpAddr::V6(first), bits));
    let (unicast, length) = V6_UNICAST;
    // What differs from it in one of its bits.
    let v6_beyond = (1..=length).map(move |bits| {
        let first = unicast.to_bits() ^ (1 << (128 - bits));
        (Ipv6Addr::from(first).into(), bits)
    });
    let all = v4.into_iter().chain([v4_beyond]).chain(v6).chain(v6_beyond);
    all.filter_map(|(first, bits)| Prefix::new(first, u8::try_from(bits).ok()?))
}

fn special_v4(address: Ipv4Addr) -> Option<&'static str> {
    if address >= V4_BEYOND {
        return Some("multicast or reserved");
    }
    let within = |(first, bits, _): &&Row<Ipv4Addr>| {
        (address.to_bits() ^ first.to_bits()) >> (32 - bits) == 0
    };
    V4.iter().find(within).map(|(.., what)| *what)
}

fn special_v6(address: Ipv6Addr) -> Option<&'static str> {
    let within =
        |(first, bits): (Ipv6Addr, u32)| (address.to_bits() ^ first.to_bits()) >> (128 - bits) == 0;
    let inside = || Ipv4Addr::from_bits(address.to_bits() as u32);
    if address.to_ipv4_mapped().is_some() || within(NAT64) {
        return special_v4(inside());
    }
    let named = |rows: &[Row<Ipv6Addr>]| {
        let mut rows = rows.iter();
        let row = rows.find(|(first, bits, _)| within((*first, *bits)));
        row.map(|(.., what)| *what)
    };
    match within(V6_UNICAST) {
        true => named(&V6),
        false => Some(named(&V6_WORDS).unwrap_or("not assigned to hosts")),
    }
}

#[cfg(test)]
mod tests;
