//! A world of networks and where they are, as large as the real files are: drawn by a seeded generator.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fw_common::Prefix;

use crate::{
    lists::Random,
    mmdb::{self, Record, Shape, Tree},
};

/// Countries, the first of them the largest.
pub const COUNTRIES: [&str; 24] = [
    "US", "DE", "CN", "GB", "JP", "FR", "BR", "RU", "IN", "KR", "IT", "NL", "CA", "AU", "ES", "SE",
    "PL", "UA", "IR", "TR", "AT", "CH", "KP", "CU",
];

/// A file, and what went into it.
pub struct World {
    /// The file.
    pub bytes: Vec<u8>,
    /// Its networks, both families, in order.
    pub networks: Vec<Prefix>,
}

/// So many networks of each family. Neighbours have the same country now and then, networks lie in
/// each other, and between them nothing is known.
pub fn world(v4: usize, v6: usize, seed: u64) -> World {
    let (tree, networks) = tree(v4, v6, seed);
    World {
        bytes: tree.bytes(),
        networks,
    }
}

/// The same, for something to be added.
pub fn tree(v4: usize, v6: usize, seed: u64) -> (Tree, Vec<Prefix>) {
    let mut random = Random(seed);
    let mut tree = Tree::new(Shape::default());
    let records = COUNTRIES.map(|code| tree.record(&mmdb::country(code)));
    let mut networks = Vec::with_capacity(v4 + v6);
    // Wide ones first: what is said of a part is said later.
    for (count, is_v4) in [(v4, true), (v6, false)] {
        let first = networks.len();
        while networks.len() - first < count {
            let missing = count - (networks.len() - first);
            let drawn = (0..missing).map(|_| match is_v4 {
                true => draw_v4(&mut random),
                false => draw_v6(&mut random),
            });
            networks.extend(drawn.collect::<Vec<_>>());
            let family = &mut networks[first..];
            family.sort_unstable();
            networks.dedup();
        }
    }
    let mut in_turn: Vec<&Prefix> = networks.iter().collect();
    in_turn.sort_by_key(|network| network.length());
    for network in in_turn {
        tree.insert(*network, country(&mut random, &records));
    }
    (tree, networks)
}

/// Half of all networks are of a few countries.
fn country(random: &mut Random, records: &[Record]) -> Record {
    let all = records.len();
    let number = random.below(all).min(random.below(all));
    records[number]
}

/// In 1.0.0.0 to 223.255.255.255, mostly as wide as providers have them.
fn draw_v4(random: &mut Random) -> Prefix {
    const LENGTHS: [u8; 16] = [
        24, 24, 24, 24, 24, 23, 23, 22, 22, 21, 20, 19, 18, 17, 16, 28,
    ];
    let address = Ipv4Addr::from(0x0100_0000 + random.next() % 0xdf00_0000);
    prefix(address.into(), LENGTHS[random.below(LENGTHS.len())])
}

/// In the parts of IPv6 that the registries give to providers.
fn draw_v6(random: &mut Random) -> Prefix {
    const LENGTHS: [u8; 8] = [32, 36, 40, 44, 48, 48, 48, 56];
    const WIDE: [u32; 4] = [0x2400_0000, 0x2600_0000, 0x2a00_0000, 0x2001_0000];
    let wide = match WIDE[random.below(WIDE.len())] {
        // Away from Teredo and from documentation.
        0x2001_0000 => 0x2001_0200 + random.next() % 0x0a00,
        wide => wide | random.next() >> 12,
    };
    let rest = [random.next(), random.next(), random.next()].map(u128::from);
    let bits = u128::from(wide) << 96 | rest[0] << 64 | rest[1] << 32 | rest[2];
    prefix(
        Ipv6Addr::from(bits).into(),
        LENGTHS[random.below(LENGTHS.len())],
    )
}

fn prefix(address: IpAddr, length: u8) -> Prefix {
    Prefix::new(address, length).expect("a length of the family")
}
