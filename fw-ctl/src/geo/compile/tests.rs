use std::sync::Arc;

use maxminddb::Reader;
use proptest::prelude::*;

use super::*;
use crate::geo::{
    database::Database,
    databases::File,
    mmdb::{self, Shape, Tree},
};

const COUNTRIES: [&str; 4] = ["DE", "AT", "KP", "IR"];

fn prefix(text: &str) -> Prefix {
    text.parse().expect(text)
}

fn codes(text: &str) -> BTreeSet<Code> {
    let codes = text.split_whitespace().map(str::parse);
    codes.collect::<Result<_, _>>().expect(text)
}

fn selection(block: &str, only: &str) -> Selection {
    Selection {
        block: codes(block),
        only: codes(only),
    }
}

/// Networks and their countries, as bytes of a file.
fn bytes(shape: Shape, networks: &[(Prefix, &str)]) -> Vec<u8> {
    let mut tree = Tree::new(shape);
    for (network, code) in networks {
        let record = tree.record(&mmdb::country(code));
        tree.insert(*network, record);
    }
    tree.bytes()
}

fn databases(files: Vec<Vec<u8>>) -> Databases {
    let file = |bytes| File {
        path: "test.mmdb".into(),
        database: Arc::new(Database::parse(bytes).expect("a whole file")),
    };
    Databases(files.into_iter().map(file).collect())
}

fn listed(compiled: &Compiled, list: &str) -> String {
    let list: ListName = list.parse().expect(list);
    let prefixes = compiled.lists.get(&list).expect("it is made");
    let texts: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
    texts.join(" ")
}

fn blocks(compiled: &Compiled, list: &ListName, address: IpAddr) -> bool {
    let lists = compiled.lists.get(list);
    lists.is_some_and(|prefixes| prefixes.iter().any(|prefix| prefix.contains(address)))
}

#[test]
fn a_country_is_the_fewest_prefixes_and_each_list_has_its_own() {
    let networks = [
        (prefix("5.0.0.0/9"), "DE"),
        (prefix("5.128.0.0/9"), "DE"),
        (prefix("6.0.0.0/8"), "KP"),
        (prefix("2a00::/17"), "KP"),
        (prefix("2a00:8000::/17"), "KP"),
    ];
    let mut systems = Tree::new(Shape::default());
    let record = systems.record(&mmdb::system(64500, "Example"));
    systems.insert(prefix("5.5.0.0/16"), record);
    let files = vec![bytes(Shape::default(), &networks), systems.bytes()];
    let databases = databases(files);

    let compiled = compile(&selection("KP AS64500", "DE"), &databases).expect("whole files");
    assert_eq!(listed(&compiled, "geo:KP"), "6.0.0.0/8 2a00::/16");
    assert_eq!(listed(&compiled, "geo:AS64500"), "5.5.0.0/16");
    let only: ListName = ListName::geo_only();
    for (address, is_blocked) in [
        ("5.5.5.5", false),
        ("4.255.255.255", true),
        ("6.0.0.0", true),
        ("2a00::1", true),
        // Known to nobody.
        ("8.8.8.8", true),
        ("2606::1", true),
    ] {
        let address = address.parse().expect("an address");
        assert_eq!(blocks(&compiled, &only, address), is_blocked, "{address}");
    }

    let home = databases.home("5.5.5.5".parse().expect("an address"));
    let home = home.expect("both know it");
    assert_eq!(
        home.country.map(|country| country.to_string()).as_deref(),
        Some("DE")
    );
    assert_eq!(
        (home.asn, home.as_name.as_deref()),
        (Some(64500), Some("Example"))
    );
    // The country of all of it is known, the system is not.
    let wide = databases.home_of(prefix("5.0.0.0/9")).expect("a country");
    assert!(wide.country.is_some() && wide.asn.is_none());
    assert_eq!(databases.home_of(prefix("5.0.0.0/8")), None, "two networks");
}

#[test]
fn what_is_nowhere_is_never_outside() {
    let networks = [(prefix("5.0.0.0/8"), "DE")];
    let databases = databases(vec![bytes(Shape::default(), &networks)]);
    let compiled = compile(&selection("", "DE"), &databases).expect("a whole file");
    let only = ListName::geo_only();
    for address in [
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "169.254.1.1",
        "172.31.255.255",
        "192.168.7.7",
        "198.18.0.1",
        "203.0.113.7",
        "224.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "::1",
        "::",
        "fe80::1",
        "fd00::7",
        "ff02::1",
        "2001:db8::7",
        "64:ff9b::808:808",
        "::ffff:8.8.8.8",
    ] {
        let address = address.parse().expect("an address");
        assert!(!blocks(&compiled, &only, address), "{address}");
    }
    // Somebody is at the other end of a tunnel, and nobody knows where.
    for address in [
        "2002:500:1::1",
        "2001:0:500:1::1",
        "192.88.98.1",
        "192.88.100.0",
    ] {
        let address = address.parse().expect("an address");
        assert!(blocks(&compiled, &only, address), "{address}");
    }
}

#[test]
fn what_is_missing_is_named_and_nothing_follows_from_it() {
    let networks = [(prefix("5.0.0.0/8"), "DE"), (prefix("6.0.0.0/8"), "KP")];
    let databases = databases(vec![bytes(Shape::default(), &networks)]);
    let selected = selection("KP ZZ AS1", "DE AT");
    let compiled = compile(&selected, &databases).expect("a whole file");
    assert_eq!(compiled.missing, codes("AT ZZ AS1"));
    let lists: Vec<&str> = compiled.lists.keys().map(ListName::as_str).collect();
    assert_eq!(lists, ["geo:KP"]);

    let nothing = compile(&selected, &Databases::default()).expect("no file");
    assert_eq!((nothing.lists.len(), nothing.missing.len()), (0, 5));
    assert_eq!(
        compile(&Selection::default(), &databases).ok(),
        Some(Compiled::default())
    );
}

#[test]
fn aliases_of_ipv4_are_in_no_country() {
    let networks = [(prefix("5.0.0.0/8"), "KP"), (prefix("2001::/16"), "KP")];
    for aliases in [true, false] {
        let shape = Shape {
            aliases,
            ..Shape::default()
        };
        let file = bytes(shape, &networks);
        let databases = databases(vec![file]);
        let compiled = compile(&selection("KP", ""), &databases).expect("a whole file");
        let list = listed(&compiled, "geo:KP");
        assert!(list.starts_with("5.0.0.0/8 2001:1::/32 "), "{list}");
        for tunnel in ["2002:500:1::1", "2001:0:500::1"] {
            let tunnel = tunnel.parse().expect("an address");
            assert!(!blocks(&compiled, &ListName::geo("KP"), tunnel), "{tunnel}");
            assert_eq!(databases.home(tunnel), None, "{tunnel}");
        }
    }
}

/// Networks near each other, so that they nest, touch and cover; below one part of all addresses, so
/// that a list of them is not all there is.
fn networks() -> impl Strategy<Value = Vec<(Prefix, &'static str)>> {
    let v4 = (any::<u16>(), 5..=32_u8).prop_map(|(low, length)| {
        let bits = 0x0500_0000 | u32::from(low) << 6;
        Prefix::new(IpAddr::from(bits.to_be_bytes()), length).expect("a length of IPv4")
    });
    let v6 = (any::<u16>(), 5..=128_u8).prop_map(|(low, length)| {
        let bits = 0x2a00_u128 << 112 | u128::from(low) << 60;
        Prefix::new(IpAddr::from(bits.to_be_bytes()), length).expect("a length of IPv6")
    });
    let network = prop_oneof![v4, v6];
    prop::collection::vec((network, prop::sample::select(&COUNTRIES[..])), 1..40)
}

proptest! {
    #[test]
    fn the_prefixes_say_of_each_address_what_the_reader_says(
        networks in networks(),
        record_bits in prop::sample::select(&[24_u16, 28, 32][..]),
    ) {
        let shape = Shape { record_bits, ..Shape::default() };
        let file = bytes(shape, &networks);
        let reader = Reader::from_source(file.clone()).expect("a file");
        let databases = databases(vec![file]);
        let compiled = compile(&selection("KP", "DE"), &databases).expect("a whole file");
        let (kp, only) = (ListName::geo("KP"), ListName::geo_only());
        let special: Addresses = address::special_prefixes().collect();
        let special = special.prefixes();

        // Where something changes: around the borders of each network.
        let borders = networks.iter().flat_map(|(network, _)| around(*network));
        for address in borders {
            let found = reader.lookup(address).expect("a whole file");
            let country: Option<&str> = found
                .decode_path(&maxminddb::path!["country", "iso_code"])
                .expect("a whole record");
            prop_assert_eq!(blocks(&compiled, &kp, address), country == Some("KP"));
            let is_special = special.iter().any(|prefix| prefix.contains(address));
            let is_out = country != Some("DE") && !is_special;
            if !compiled.missing.contains(&"DE".parse().expect("a code")) {
                prop_assert_eq!(blocks(&compiled, &only, address), is_out, "{}", address);
            }
        }
        for prefixes in compiled.lists.values() {
            let addresses: Addresses = prefixes.iter().copied().collect();
            prop_assert_eq!(&addresses.prefixes(), prefixes, "sorted, and the fewest");
        }
    }
}

/// First and last address of a network, and those beside them.
fn around(network: Prefix) -> Vec<IpAddr> {
    match (network.address(), network.last()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let (first, last) = (first.to_bits(), last.to_bits());
            let all = [first.wrapping_sub(1), first, last, last.wrapping_add(1)];
            all.map(|bits| IpAddr::from(bits.to_be_bytes())).to_vec()
        }
        (first, last) => {
            let [first, last] = [first, last].map(|address| match address {
                IpAddr::V6(address) => address.to_bits(),
                IpAddr::V4(_) => 0,
            });
            let all = [first.wrapping_sub(1), first, last, last.wrapping_add(1)];
            all.map(|bits| IpAddr::from(bits.to_be_bytes())).to_vec()
        }
    }
}
