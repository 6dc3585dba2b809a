use super::*;
use crate::geo::mmdb::{self, Shape, Tree, Value};

fn prefix(text: &str) -> Prefix {
    text.parse().expect(text)
}

/// A file of these networks.
fn bytes(shape: Shape, networks: &[(&str, &str)]) -> Vec<u8> {
    let mut tree = Tree::new(shape);
    for (network, code) in networks {
        let record = tree.record(&mmdb::country(code));
        tree.insert(prefix(network), record);
    }
    tree.bytes()
}

fn database(shape: Shape, networks: &[(&str, &str)]) -> Database {
    Database::parse(bytes(shape, networks)).expect("a whole file")
}

const WORLD: [(&str, &str); 4] = [
    ("192.0.2.0/24", "DE"),
    ("192.0.3.0/25", "AT"),
    ("198.51.100.7/32", "KP"),
    ("2a00::/16", "DE"),
];

/// Country of an address, and of which network.
fn find(database: &Database, address: &str) -> Option<(String, String)> {
    let (home, network) = database.find(address.parse().expect(address))?;
    Some((home.country?.to_string(), network.to_string()))
}

fn of(database: &Database, code: &str) -> Vec<String> {
    let code: Code = code.parse().expect(code);
    let mut found = database.addresses(&BTreeSet::from([code])).expect("whole");
    let addresses = found.remove(&code).unwrap_or_default();
    addresses
        .prefixes()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn every_size_of_records_is_read() {
    for record_bits in [24, 28, 32] {
        let shape = Shape {
            record_bits,
            ..Shape::default()
        };
        let database = database(shape, &WORLD);
        let found = |address| find(&database, address);
        let is = |code: &str, network: &str| Some((code.to_owned(), network.to_owned()));
        assert_eq!(found("192.0.2.9"), is("DE", "192.0.2.0/24"));
        assert_eq!(found("198.51.100.7"), is("KP", "198.51.100.7"));
        assert_eq!(found("2a00:1::7"), is("DE", "2a00::/16"));
        assert_eq!(found("192.0.3.128"), None);
        assert_eq!(found("2b00::"), None);
        assert_eq!(of(&database, "DE"), ["192.0.2.0/24", "2a00::/16"]);
        assert_eq!(of(&database, "FR"), [] as [&str; 0]);
        assert_eq!(database.facts.networks, 4);
    }
}

#[test]
fn a_file_of_ipv4_says_nothing_of_ipv6() {
    let shape = Shape {
        ipv6: false,
        ..Shape::default()
    };
    let database = database(shape, &WORLD[..3]);
    assert!(!database.facts.ipv6);
    assert_eq!(find(&database, "2a00::1"), None);
    assert!(find(&database, "192.0.2.9").is_some());
    assert_eq!(of(&database, "DE"), ["192.0.2.0/24"]);
}

#[test]
fn a_record_above_ipv4_is_that_of_all_its_addresses() {
    let database = database(Shape::default(), &[("::/3", "DE"), ("4000::/2", "AT")]);
    assert_eq!(
        find(&database, "192.0.2.1"),
        Some(("DE".to_owned(), "0.0.0.0/0".to_owned()))
    );
    assert_eq!(of(&database, "DE"), ["0.0.0.0/0", "::/3"]);
    assert_eq!(of(&database, "AT"), ["4000::/2"]);
}

#[test]
fn it_says_what_it_is() {
    let kind = "K".repeat(200);
    let shape = Shape {
        kind: kind.leak(),
        built: 1_700_000_000,
        ..Shape::default()
    };
    let facts = database(shape, &WORLD).facts;
    assert_eq!(facts.kind, "K".repeat(KIND));
    assert_eq!(facts.built, WallSecs(1_700_000_000));
    assert!(facts.countries && !facts.systems && facts.ipv6);
}

#[test]
fn a_file_that_is_cut_off_or_damaged_is_refused_wherever_that_is() {
    let whole = bytes(Shape::default(), &WORLD);
    for end in (0..whole.len()).step_by(7) {
        // Never a panic, and never half a file.
        assert!(
            Database::parse(whole[..end].to_vec()).is_err(),
            "{end} bytes"
        );
    }
    let mut random = 1_u64;
    for _ in 0..20_000 {
        let mut damaged = whole.clone();
        for _ in 0..3 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            let place = (random >> 33) as usize % damaged.len();
            damaged[place] = (random >> 24) as u8;
        }
        if let Ok(database) = Database::parse(damaged) {
            // What is left of it can be walked and asked.
            let found = database.addresses(&BTreeSet::from(["DE".parse().expect("a code")]));
            let _prefixes = found.map(|found| found.len());
            let _home = find(&database, "192.0.2.9");
        }
    }
}

#[test]
fn a_tree_without_an_end_is_refused() {
    // The first node leads to itself, on both sides.
    let mut looping = bytes(Shape::default(), &WORLD);
    looping[..7].fill(0);
    let refused = Database::parse(looping).err().expect("no end");
    assert!(matches!(refused, DatabaseError::Broken(_)), "{refused}");
}

/// Levels of nodes, each of which leads to the next on both sides: few bytes, and more ways than
/// anybody can walk.
#[test]
fn a_maze_is_refused_however_small_it_is() {
    let whole = bytes(Shape::default(), &WORLD);
    let marker = b"\xab\xcd\xefMaxMind.com";
    let place = whole
        .windows(marker.len())
        .position(|found| found == marker);
    let metadata = &whole[place.expect("the metadata")..];
    let count = 100_u32;
    let name = b"node_count";
    let at = metadata.windows(name.len()).position(|found| found == name);
    let at = at.expect("a key") + name.len();
    let length = usize::from(metadata[at] & 0x1f);
    for last in [count, 0] {
        let nodes = (1..=count).flat_map(|next| {
            let next = if next == count { last } else { next };
            let [_, a, b, c] = next.to_be_bytes();
            [a, b, c, 0, a, b, c]
        });
        let mut maze: Vec<u8> = nodes.chain([0; 16 + 64]).collect();
        maze.extend(&metadata[..at]);
        maze.extend([0xc1, count as u8]);
        maze.extend(&metadata[at + 1 + length..]);
        let refused = Database::parse(maze).err().expect("no end");
        assert!(matches!(refused, DatabaseError::Broken(_)), "{refused}");
    }
}

#[test]
fn a_file_about_something_else_is_refused_by_its_name() {
    let mut tree = Tree::new(Shape {
        kind: "GeoIP2-Connection-Type",
        ..Shape::default()
    });
    let record = tree.record(&mmdb::map(&[("connection_type", Value::Bool(true))]));
    tree.insert(prefix("192.0.2.0/24"), record);
    let refused = Database::parse(tree.bytes()).err().expect("nothing to say");
    assert_eq!(
        refused.to_string(),
        "\"GeoIP2-Connection-Type\" says neither country nor autonomous system of any address"
    );
}
