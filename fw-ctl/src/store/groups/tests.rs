use fw_common::Prefix;
use proptest::prelude::*;

use super::{read::Damage, *};
use crate::policy::entry::{Action, ListId};

fn prefix(text: &str) -> Prefix {
    text.parse().expect("a prefix")
}

/// Prefixes of one IPv4 group and of one IPv6 group, of all lengths that they can have.
fn grouped() -> impl Strategy<Value = Prefix> {
    let v4 = (any::<u16>(), 0u8..=32).prop_map(|(low, length)| {
        Prefix::new(
            std::net::Ipv4Addr::from_bits(0xc000_0000 | u32::from(low)).into(),
            length,
        )
    });
    let v6 = (any::<u64>(), any::<bool>(), 0u8..=128).prop_map(|(bits, high, length)| {
        let low = u128::from(bits) << if high { 32 } else { 0 };
        let address = std::net::Ipv6Addr::from_bits(0x2001_0db8 << 96 | low);
        Prefix::new(address.into(), length)
    });
    prop_oneof![v4, v6].prop_filter_map("the length fits", |prefix| prefix)
}

fn row() -> impl Strategy<Value = Row> {
    let place = (grouped(), 1u16..4);
    let ends = prop::option::of((any::<u32>(), any::<i64>()));
    let comment = prop_oneof![3 => Just(String::new()), 1 => "[ -~]{1,255}", 1 => "[äöü✓]{1,80}"];
    (place, 1u32..4, ends, comment).prop_map(|((prefix, list), created, ends, comment)| Row {
        place: Place {
            prefix,
            list: ListId(list),
        },
        comment: comment.parse().expect("a comment"),
        created: WallSecs(created.into()),
        ends: ends.map(|(boot, wall)| (BootSecs(boot), WallSecs(wall))),
    })
}

/// A group: rows whose keys are the same, each place once, in order.
fn group() -> impl Strategy<Value = (Key, Vec<Row>)> {
    prop::collection::vec(row(), 1..40).prop_map(|mut rows| {
        let key = Key::of(Action::Block, rows[0].place.prefix);
        rows.retain(|row| Key::of(Action::Block, row.place.prefix) == key);
        rows.sort_by_key(|row| row.place);
        rows.dedup_by_key(|row| row.place);
        (key, rows)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bytes_that_are_cut_or_longer_are_damaged((key, rows) in group(), more: u8) {
        let bytes = encode(key, rows);
        for end in 0..bytes.len() {
            prop_assert!(decode(key, &bytes[..end]).is_err(), "cut at {}", end);
        }
        let longer = [&bytes[..], &[more]].concat();
        prop_assert!(decode(key, &longer).is_err());
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read((key, rows) in group()) {
        prop_assert_eq!(decode(key, &encode(key, rows.clone())), Ok(rows));
    }

    #[test]
    fn a_bit_that_falls_over_is_found((key, rows) in group(), at: prop::sample::Index, bit in 0u8..8) {
        let mut bytes = encode(key, rows);
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(key, &bytes).is_err());
    }

    /// Bytes of any kind, under a sum that is right.
    #[test]
    fn what_is_read_of_any_bytes_is_a_group(
        body in prop::collection::vec(prop_oneof![any::<u8>(), 0u8..8], 0..80),
        v6: bool,
    ) {
        let key = Key::of(Action::Allow, prefix(if v6 { "2001:db8::" } else { "192.0.0.0" }));
        let sum = sum(key, &body).to_be_bytes();
        let bytes = [&[VERSION][..], &sum, &body].concat();
        if let Ok(rows) = decode(key, &bytes) {
            prop_assert!(rows.is_sorted_by(|one, next| one.place < next.place));
            prop_assert!(rows.iter().all(|row| Key::of(Action::Allow, row.place.prefix) == key));
            prop_assert_eq!(decode(key, &encode(key, rows.clone())), Ok(rows));
        }
    }

    #[test]
    fn a_group_holds_the_addresses_of_its_key_and_no_others(one in grouped(), bits: u128, v6: bool) {
        let key = Key::of(Action::Block, one);
        prop_assert!(key.addresses().contains(&one.address()));
        prop_assert_eq!(Key::new(key.number()), Some(key));
        let other: IpAddr = match v6 {
            true => std::net::Ipv6Addr::from_bits(bits).into(),
            false => std::net::Ipv4Addr::from_bits(bits as u32).into(),
        };
        let is_same = Key::of(Action::Block, Prefix::host(other)) == key;
        prop_assert_eq!(key.addresses().contains(&other), is_same);
    }
}

#[test]
fn the_bytes_are_those_of_the_description() {
    let key = Key::of(Action::Block, prefix("192.0.2.7"));
    let row = |text, comment: &str, ends| Row {
        place: Place {
            prefix: prefix(text),
            list: ListId(3),
        },
        comment: comment.parse().expect("a comment"),
        created: WallSecs(0x0102_0304),
        ends,
    };
    let rows = [
        row("192.0.0.0/12", "", None),
        row("192.0.2.0/24", "", None),
        row("192.0.2.7", "no", Some((BootSecs(9), WallSecs(10)))),
    ];
    let bytes = encode(key, rows);
    let body = [
        &[12, 0, 0, 3, 1, 2, 3, 4][..],
        &[24, SAME, 2],
        &[32, SAME | ENDS | NOTED, 2, 7],
        &9u32.to_be_bytes(),
        &10i64.to_be_bytes(),
        b"\x02no",
    ];
    assert_eq!(bytes[0], 1);
    // FNV-1a, worked out elsewhere over 00 00 00 02 00 00 c0 00 and the body.
    assert_eq!(bytes[1..5], [0x9f, 0xd4, 0x77, 0xfb]);
    assert_eq!(bytes[5..], body.concat());
}

#[test]
fn bytes_that_say_what_cannot_be_are_named() {
    let key = Key::of(Action::Block, prefix("192.0.2.7"));
    let read = |body: &[u8]| {
        let sum = sum(key, body).to_be_bytes();
        decode(key, &[&[VERSION][..], &sum, body].concat())
    };
    let new = [0, 1, 0, 0, 0, 1];
    let entry = |length, address: &[u8]| [&[length, 0][..], address, &new[..]].concat();
    let cases: [(&[u8], Damage); 8] = [
        (&[], Damage::Empty),
        (&[32, 8], Damage::Flags),
        (&[32, SAME, 2, 7], Damage::Nothing),
        (&[33, 0, 2, 7, 0], Damage::Network),
        (&[24, 0, 2, 7], Damage::Torn),
        (&[23, 0, 3, 0, 1, 0, 0, 0, 1], Damage::Network),
        (
            &[32, NOTED, 2, 7, 0, 1, 0, 0, 0, 1, 2, b'a', b'\n'],
            Damage::Comment,
        ),
        (
            &[entry(32, &[2, 7]), entry(32, &[2, 7])].concat(),
            Damage::Order,
        ),
    ];
    for (body, damage) in cases {
        assert_eq!(read(body), Err(damage), "{body:?}");
    }
    assert_eq!(decode(key, &[2, 0, 0, 0, 0]), Err(Damage::Version(2)));
    assert!(read(&entry(32, &[2, 7])).is_ok());
}

#[test]
fn keys_are_named_and_other_numbers_are_none() {
    let named = |action, text| Key::of(action, prefix(text)).to_string();
    assert_eq!(named(Action::Block, "192.0.2.7"), "block 192.0.0.0/16");
    assert_eq!(
        named(Action::Allow, "2001:db8:7::/48"),
        "allow 2001:db8::/32"
    );
    for number in [-1, 1 << 34, 0x1_0000, i64::MIN] {
        assert_eq!(Key::new(number), None, "{number:#x}");
    }
    let order = [
        "0.0.0.0/0",
        "9.1.0.0",
        "10.0.0.0/8",
        "::/0",
        "2001:db8::",
        "ffff::",
    ];
    let keys = Action::ALL.map(|action| order.map(|text| Key::of(action, prefix(text))));
    assert!(keys.concat().is_sorted_by(|one, next| one < next));
}
