use ipnet::IpNet;

use super::*;

/// The IANA IPv4 and IPv6 special-purpose registries, all rows, and the other registries of what is
/// no unicast address.
const REGISTRIES: &[&str] = &[
    // IPv4
    "0.0.0.0/8",
    "0.0.0.0/32",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.0.0/29",
    "192.0.0.8/32",
    "192.0.0.9/32",
    "192.0.0.10/32",
    "192.0.0.170/32",
    "192.0.0.171/32",
    "192.0.2.0/24",
    "192.31.196.0/24",
    "192.52.193.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "192.175.48.0/24",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
    "255.255.255.255/32",
    // IPv6
    "::1/128",
    "::/128",
    "::ffff:0.0.0.0/104",
    "::ffff:127.0.0.0/104",
    "::ffff:10.0.0.0/104",
    "::ffff:169.254.0.0/112",
    "64:ff9b::127.0.0.0/104",
    "64:ff9b::10.0.0.0/104",
    "64:ff9b::169.254.0.0/112",
    "64:ff9b:1::/48",
    "100::/64",
    "100:0:0:1::/64",
    "2001::/23",
    "2001::/32",
    "2001:1::1/128",
    "2001:1::2/128",
    "2001:1::3/128",
    "2001:2::/48",
    "2001:3::/32",
    "2001:4:112::/48",
    "2001:10::/28",
    "2001:20::/28",
    "2001:30::/28",
    "2001:db8::/32",
    "2002::/16",
    "2620:4f:8000::/48",
    "3fff::/20",
    "5f00::/16",
    "fc00::/7",
    "fe80::/10",
    // Compatible with IPv4, site-local, multicast, and what nobody has been given.
    "::8.8.8.8/128",
    "fec0::/10",
    "ff00::/8",
    "4000::/3",
    "6000::/3",
    "8000::/3",
    "e000::/4",
];

/// First and last address.
fn ends(text: &str) -> [IpAddr; 2] {
    let net: IpNet = text.parse().expect(text);
    [net.network(), net.broadcast()]
}

#[test]
fn no_row_of_the_registries_is_global() {
    for row in REGISTRIES {
        for address in ends(row) {
            assert!(special(address).is_some(), "{address} of {row}");
        }
    }
}

#[test]
fn addresses_beside_the_rows_are_global_unless_they_are_in_another() {
    for text in [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.31.195.255",
        "192.31.197.0",
        "192.52.192.255",
        "192.52.194.0",
        "192.88.98.255",
        "192.88.100.0",
        "192.167.255.255",
        "192.169.0.0",
        "192.175.47.255",
        "192.175.49.0",
        "198.17.255.255",
        "198.20.0.0",
        "198.51.99.255",
        "198.51.101.0",
        "203.0.112.255",
        "203.0.114.0",
        "223.255.255.255",
        "8.8.8.8",
        "2001:200::",
        "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db9::",
        "2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "2003::",
        "2000::",
        "2606:4700:4700::1111",
        "2620:4f:7fff:ffff:ffff:ffff:ffff:ffff",
        "2620:4f:8001::",
        "3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
        "3fff:1000::",
        "::ffff:8.8.8.8",
        "64:ff9b::8.8.8.8",
    ] {
        let address: IpAddr = text.parse().expect(text);
        assert_eq!(special(address), None, "{text}");
    }
}

#[test]
fn an_address_inside_another_is_judged_and_a_reason_is_named() {
    for (text, reason) in [
        ("::1", "loopback"),
        ("::ffff:127.0.0.1", "loopback"),
        ("64:ff9b::7f00:1", "loopback"),
        ("64:ff9b::a9fe:a9fe", "link-local"),
        ("64:ff9b:0:1::8.8.8.8", "not assigned to hosts"),
        ("64:ff9b:1::8.8.8.8", "a local translation to IPv4"),
        ("::127.0.0.1", "an outdated form of IPv4"),
        ("::ffff:0:127.0.0.1", "not assigned to hosts"),
        ("2002:7f00:1::", "a 6to4 tunnel"),
        ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "a Teredo tunnel"),
        ("fe80::1", "link-local"),
        ("fd00::1", "private"),
        ("ff02::1", "multicast"),
        ("169.254.169.254", "link-local"),
        ("100.100.100.200", "shared by a provider"),
        ("255.255.255.255", "multicast or reserved"),
    ] {
        let address: IpAddr = text.parse().expect(text);
        assert_eq!(special(address), Some(reason), "{text}");
    }
}

proptest::proptest! {
    /// The standard library knows less, but nothing of what it knows is let through.
    #[test]
    fn nothing_that_the_standard_library_calls_special_is_global(bits: u128, prefix in 0_usize..4) {
        let v4 = Ipv4Addr::from_bits(bits as u32);
        let known = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast()
            || v4.is_broadcast() || v4.is_documentation() || v4.is_unspecified();
        for address in [v4.into(), v4.to_ipv6_mapped().into()] {
            proptest::prop_assert!(!known || special(address).is_some());
        }
        let first = [0, 0xfc00 << 112, 0xfe80 << 112, 0xff00 << 112][prefix];
        let v6 = Ipv6Addr::from_bits(first | bits >> 16);
        let known = v6.is_unique_local() || v6.is_unicast_link_local() || v6.is_multicast()
            || v6.is_loopback() || v6.is_unspecified();
        proptest::prop_assert!(!known || special(v6.into()).is_some());
    }
}
