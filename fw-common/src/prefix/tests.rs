extern crate std;

use std::{format, string::ToString, vec::Vec};

use proptest::prelude::*;

use super::*;

fn prefix(text: &str) -> Prefix {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

fn any_prefix() -> impl Strategy<Value = Prefix> {
    prop_oneof![
        (any::<u32>(), 0u8..=32)
            .prop_map(|(bits, length)| (IpAddr::from(Ipv4Addr::from_bits(bits)), length)),
        (any::<u128>(), 0u8..=128)
            .prop_map(|(bits, length)| (IpAddr::from(Ipv6Addr::from_bits(bits)), length)),
    ]
    .prop_filter_map("length fits", |(address, length)| {
        Prefix::new(address, length)
    })
}

/// Addresses with runs of zeros, which are what is special about writing them.
fn near_zeros() -> impl Strategy<Value = Prefix> {
    let group = prop_oneof![Just(0_u16), Just(0xffff), 0_u16..0x20, any::<u16>()];
    prop_oneof![
        (proptest::array::uniform8(group), 0u8..=128)
            .prop_map(|(groups, length)| (IpAddr::from(groups), length)),
        (any::<[u8; 4]>(), 0u8..=32).prop_map(|(octets, length)| (IpAddr::from(octets), length)),
    ]
    .prop_filter_map("length fits", |(address, length)| {
        Prefix::new(address, length)
    })
}

#[test]
fn host_bits_are_cleared_and_reported() {
    assert_eq!(
        Prefix::parse("192.0.2.7/24"),
        Ok((prefix("192.0.2.0/24"), true))
    );
    assert_eq!(
        Prefix::parse("192.0.2.0/24"),
        Ok((prefix("192.0.2.0/24"), false))
    );
    assert_eq!(
        Prefix::parse("2001:db8::1/32"),
        Ok((prefix("2001:db8::/32"), true))
    );
    assert_eq!(
        Prefix::parse("192.0.2.7"),
        Ok((prefix("192.0.2.7/32"), false))
    );
}

#[test]
fn what_is_no_prefix_is_refused_with_its_reason() {
    for (text, part) in [
        ("", "not an IPv4 or IPv6 address"),
        ("192.0.2", "not an IPv4 or IPv6 address"),
        ("192.0.2.1/", "not a number"),
        ("192.0.2.1/x", "not a number"),
        ("192.0.2.1/-1", "not a number"),
        ("192.0.2.1/33", "beyond the 32 bits"),
        ("2001:db8::/129", "beyond the 128 bits"),
        ("192.0.2.1/300", "not a number"),
        ("fe80::1%eth0", "zone ids"),
        ("::ffff:192.0.2.1", "write 192.0.2.1 instead"),
        (" 192.0.2.1", "not an IPv4 or IPv6 address"),
        ("010.0.0.1", "not an IPv4 or IPv6 address"),
    ] {
        let error = Prefix::parse(text).expect_err(text).to_string();
        assert!(error.contains(part), "{text}: {error}");
    }
}

#[test]
fn families_never_cover_each_other() {
    assert!(!prefix("0.0.0.0/0").covers(&prefix("::/0")));
    assert!(!prefix("::/0").overlaps(&prefix("0.0.0.0/0")));
}

proptest! {
    #[test]
    fn text_leads_back_to_the_prefix(p in any_prefix()) {
        let text = p.to_string();
        if let IpAddr::V6(v6) = p.address() && v6.to_ipv4_mapped().is_some() {
            return Ok(());
        }
        prop_assert_eq!(prefix(&text), p);
        prop_assert_eq!(prefix(&format!("{}/{}", p.address(), p.length())), p);
    }

    #[test]
    fn text_is_what_the_standard_library_writes(p in near_zeros()) {
        let length = if p.is_host() { "".into() } else { format!("/{}", p.length()) };
        prop_assert_eq!(p.to_string(), format!("{}{length}", p.address()));
    }

    #[test]
    fn the_short_way_of_reading_is_the_long_one(
        text in "[0-9a-fA-F:./%+x]{0,24}|([0-9a-f]{0,5}:){0,9}[0-9a-f]{0,5}(/[0-9]{0,4})?|([0-9]{0,4}[.]){3}[0-9]{0,4}(/[0-9]{0,4})?|:{1,3}([0-9.]{1,9}:{0,3}){0,3}",
    ) {
        if let Some(found) = text::read(&text) {
            prop_assert_eq!(read(&text), Ok(found));
        }
    }

    #[test]
    fn what_is_written_is_read_the_short_way(p in near_zeros()) {
        let text = p.to_string();
        if !text.contains("ffff:") || !text.contains('.') {
            let length = (!p.is_host()).then_some(p.length());
            prop_assert_eq!(text::read(&text), Some((p.address(), length)));
        }
    }

    #[test]
    fn covers_is_containing_the_first_and_the_last(a in any_prefix(), b in any_prefix()) {
        let by_ends = a.family() == b.family()
            && a.address() <= b.address() && b.last() <= a.last();
        prop_assert_eq!(a.covers(&b), by_ends);
        prop_assert!(a.covers(&a) && a.contains(a.address()) && a.contains(a.last()));
    }

    #[test]
    fn what_a_prefix_covers_follows_it_in_order(a in any_prefix(), b in any_prefix()) {
        if a.covers(&b) {
            prop_assert!(a <= b && b <= Prefix::host(a.last()));
        }
    }

    #[test]
    fn the_order_is_that_of_family_address_and_length(a in near_zeros(), b in near_zeros()) {
        let parts = |p: Prefix| (p.address(), p.length());
        prop_assert_eq!(a.cmp(&b), parts(a).cmp(&parts(b)));
    }

    #[test]
    fn ancestors_are_all_that_cover_it(p in any_prefix()) {
        let ancestors: Vec<_> = p.ancestors().collect();
        prop_assert_eq!(ancestors.len(), usize::from(p.length()) + 1);
        prop_assert_eq!(ancestors[0], p);
        prop_assert!(ancestors.iter().all(|a| a.covers(&p)));
    }
}
