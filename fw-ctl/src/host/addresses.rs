//! Own addresses, and the gateways of the routing tables.

use std::net::IpAddr;

use netlink_packet_route::{
    AddressFamily, RouteNetlinkMessage,
    address::{AddressAttribute, AddressMessage},
    route::{RouteAddress, RouteAttribute, RouteMessage, RouteType, RouteVia},
};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::{Found, netlink::dump};

/// Addresses of this machine, on every interface.
pub fn own() -> Found {
    let mut found = Found::default();
    found.ask(
        "addresses",
        RouteNetlinkMessage::GetAddress(AddressMessage::default()),
    );
    found
}

/// Next hops of every route in every table, IPv4 and IPv6.
pub fn gateways() -> Found {
    let mut found = Found::default();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        request.header.kind = RouteType::Unicast;
        found.ask("routes", RouteNetlinkMessage::GetRoute(request));
    }
    found
}

impl Found {
    fn ask(&mut self, what: &'static str, request: RouteNetlinkMessage) {
        let dump = match dump(what, NETLINK_ROUTE, request) {
            Ok(dump) => dump,
            Err(error) => return self.fail(error),
        };
        for reason in dump.unread {
            self.problems
                .push(format!("one of the {what} cannot be read: {reason}"));
        }
        for message in dump.messages {
            match message {
                RouteNetlinkMessage::NewAddress(address) => self.add_own(&address.attributes),
                RouteNetlinkMessage::NewRoute(route) => self.add_gateways(&route.attributes),
                _ => (),
            }
        }
    }

    fn add_own(&mut self, attributes: &[AddressAttribute]) {
        let local = attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Local(address) => Some(*address),
            _ => None,
        });
        // Beside a local address the other one is the peer's.
        let only = attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        });
        if let Some(address) = local.or(only) {
            self.add(address);
        }
    }

    fn add_gateways(&mut self, attributes: &[RouteAttribute]) {
        for attribute in attributes {
            match attribute {
                RouteAttribute::Gateway(RouteAddress::Inet(v4)) => self.add(IpAddr::V4(*v4)),
                RouteAttribute::Gateway(RouteAddress::Inet6(v6)) => self.add(IpAddr::V6(*v6)),
                RouteAttribute::Via(RouteVia::Inet(v4)) => self.add(IpAddr::V4(*v4)),
                RouteAttribute::Via(RouteVia::Inet6(v6)) => self.add(IpAddr::V6(*v6)),
                RouteAttribute::MultiPath(hops) => {
                    for hop in hops {
                        self.add_gateways(&hop.attributes);
                    }
                }
                _ => (),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, net::Ipv4Addr};

    use netlink_packet_route::route::RouteNextHop;

    use super::*;

    #[test]
    fn own_addresses_are_those_of_the_c_library() {
        let found = own();
        assert_eq!(found.problems, [""; 0]);
        let known = nix::ifaddrs::getifaddrs().expect("the kernel answers");
        let known: BTreeSet<IpAddr> = known
            .filter_map(|one| {
                let address = one.address?;
                let v4 = address.as_sockaddr_in().map(|v4| IpAddr::V4(v4.ip()));
                v4.or_else(|| Some(IpAddr::V6(address.as_sockaddr_in6()?.ip())))
            })
            .collect();
        assert_eq!(found.addresses, known);
    }

    #[test]
    fn the_default_gateway_of_the_kernel_is_among_the_gateways() {
        let found = gateways();
        assert_eq!(found.problems, [""; 0]);
        let table = std::fs::read_to_string("/proc/net/route").expect("/proc is mounted");
        for line in table.lines().skip(1) {
            let gateway = line.split('\t').nth(2).expect("the third column");
            let bits = u32::from_str_radix(gateway, 16).expect("hexadecimal");
            // The bytes of the address as they lie in memory.
            let address = Ipv4Addr::from(bits.to_ne_bytes());
            assert!(
                address.is_unspecified() || found.addresses.contains(&address.into()),
                "{line}"
            );
        }
    }

    #[test]
    fn every_way_to_write_a_next_hop_is_understood() {
        let v4 = |text: &str| RouteAddress::Inet(text.parse().expect("an address"));
        let v6 = |text: &str| RouteVia::Inet6(text.parse().expect("an address"));
        let mut hop = RouteNextHop::default();
        hop.attributes
            .push(RouteAttribute::Gateway(v4("192.0.2.3")));
        let mut other = RouteNextHop::default();
        other
            .attributes
            .push(RouteAttribute::Via(v6("2001:db8::2")));
        let mut found = Found::default();
        found.add_gateways(&[
            RouteAttribute::Destination(v4("198.51.100.0")),
            RouteAttribute::Gateway(v4("192.0.2.1")),
            RouteAttribute::Via(v6("fe80::1")),
            RouteAttribute::MultiPath(vec![hop, other]),
        ]);
        let found: Vec<_> = found.addresses.iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["192.0.2.1", "192.0.2.3", "2001:db8::2", "fe80::1"]);
    }

    #[test]
    fn of_a_pair_of_addresses_the_local_one_is_ours() {
        let address = |text: &str| text.parse().expect("an address");
        let mut found = Found::default();
        found.add_own(&[
            AddressAttribute::Address(address("192.0.2.9")),
            AddressAttribute::Local(address("192.0.2.1")),
        ]);
        found.add_own(&[AddressAttribute::Address(address("2001:db8::1"))]);
        let found: Vec<_> = found.addresses.iter().map(IpAddr::to_string).collect();
        assert_eq!(found, ["192.0.2.1", "2001:db8::1"]);
    }
}
