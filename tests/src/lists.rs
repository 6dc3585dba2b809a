//! The lists that the benchmarks load: drawn by a seeded generator, so that every run, and every
//! tool in it, has the same.

use std::{
    collections::HashSet,
    fs,
    io::{self, BufWriter, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    path::Path,
};

use fw_common::Prefix;

/// Distinct prefixes of both families, each family in no order that would help anybody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lists {
    /// IPv4 hosts and prefixes.
    pub v4: Vec<Prefix>,
    /// IPv6 hosts and prefixes.
    pub v6: Vec<Prefix>,
}

/// Lengths of IPv4 prefixes, and how many of a hundred have each.
const LENGTHS_V4: [(u8, usize); 9] = [
    (24, 40),
    (23, 10),
    (22, 10),
    (25, 10),
    (28, 10),
    (20, 5),
    (21, 5),
    (29, 5),
    (30, 5),
];

/// The same of IPv6, in parts of 80, as a twentieth is shared by four.
const LENGTHS_V6: [(u8, usize); 8] = [
    (128, 48),
    (64, 16),
    (48, 8),
    (56, 4),
    (32, 1),
    (36, 1),
    (40, 1),
    (44, 1),
];

/// Where IPv4 prefixes come from: 16.0.0.0 to 197.255.255.255, below the lab's own 198.18.0.0/15 ...
const FIRST_V4: u32 = 0x1000_0000;
const COUNT_V4: u32 = 0xb600_0000;

/// ... but for what is of one host, one link or one site (RFC 6890): the guard refuses some of it,
/// and the benchmarks use some as what is in no list.
const AWAY: [([u8; 4], u8); 6] = [
    ([100, 64, 0, 0], 10),
    ([127, 0, 0, 0], 8),
    ([169, 254, 0, 0], 16),
    ([172, 16, 0, 0], 12),
    ([192, 0, 0, 0], 16),
    ([192, 168, 0, 0], 16),
];

/// The /8s of IPv6 prefixes, and the number of /32s in them: as many networks of providers.
const WIDE_V6: [u32; 3] = [0x2400_0000, 0x2600_0000, 0x2a00_0000];
const PROVIDERS: usize = 20_000;

/// 800,000 IPv4 hosts, 200,000 IPv4 prefixes, 200,000 of IPv6.
pub fn million() -> Lists {
    sized(800_000, 200_000, 200_000)
}

/// So many IPv4 hosts, IPv4 prefixes and IPv6 hosts and prefixes. Of the last a million can be had:
/// there are no more /32s.
pub fn sized(hosts: usize, prefixes: usize, v6: usize) -> Lists {
    let mut source = Source::new(1);
    let mut v4: Vec<u8> = vec![32; hosts];
    v4.extend(shared(prefixes, &LENGTHS_V4));
    let v6 = shared(v6, &LENGTHS_V6);
    let mut drawn = HashSet::new();
    let mut draw = |lengths: &[u8], is_v4| {
        let lengths = lengths.iter();
        let mut prefixes = lengths
            .map(|length| source.other(*length, is_v4, &mut drawn))
            .collect::<Vec<_>>();
        source.random.shuffle(&mut prefixes);
        prefixes
    };
    Lists {
        v4: draw(&v4, true),
        v6: draw(&v6, false),
    }
}

/// `count` lengths in these proportions; what is left by rounding is of the first length.
fn shared(count: usize, shares: &[(u8, usize)]) -> Vec<u8> {
    let whole: usize = shares.iter().map(|(_, share)| share).sum();
    let mut lengths = Vec::with_capacity(count);
    for (length, share) in shares {
        lengths.extend(vec![*length; count * share / whole]);
    }
    lengths.resize(count, shares[0].0);
    lengths
}

impl Lists {
    /// Both families, IPv4 first.
    pub fn all(&self) -> impl Iterator<Item = Prefix> {
        self.v4.iter().chain(&self.v6).copied()
    }

    /// How many prefixes.
    pub fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same, but for one prefix in `part`: there stands another of its length.
    #[must_use]
    pub fn renewed(&self, part: usize) -> Self {
        let mut source = Source::new(2);
        let mut drawn: HashSet<Prefix> = self.all().collect();
        let mut renewed = self.clone();
        let Self { v4, v6 } = &mut renewed;
        for prefix in v4.iter_mut().chain(v6).step_by(part) {
            *prefix = source.other(prefix.length(), prefix.address().is_ipv4(), &mut drawn);
        }
        renewed
    }

    /// Writes one prefix a line.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, file: &Path) -> io::Result<()> {
        let mut lines = BufWriter::new(fs::File::create(file)?);
        for prefix in self.all() {
            writeln!(lines, "{prefix}")?;
        }
        lines.flush()
    }
}

/// Where prefixes are drawn from.
struct Source {
    random: Random,
    away: [Prefix; AWAY.len()],
    /// First 32 bits of IPv6 addresses.
    providers: Vec<u32>,
}

impl Source {
    /// The providers are the same whatever the seed is.
    fn new(seed: u64) -> Self {
        let mut random = Random(0);
        let mut seen = HashSet::new();
        let mut providers = Vec::with_capacity(PROVIDERS);
        while providers.len() < PROVIDERS {
            let wide = WIDE_V6[random.below(WIDE_V6.len())];
            let provider = wide | random.next() >> 8;
            if seen.insert(provider) {
                providers.push(provider);
            }
        }
        Self {
            random: Random(seed),
            away: AWAY.map(|(address, length)| {
                Prefix::new(IpAddr::from(address), length).expect("a length of IPv4")
            }),
            providers,
        }
    }

    /// One of this length that was not drawn yet.
    fn other(&mut self, length: u8, is_v4: bool, drawn: &mut HashSet<Prefix>) -> Prefix {
        loop {
            let address = if is_v4 { self.v4() } else { self.v6() };
            let prefix = Prefix::new(address, length).expect("a length of the family");
            if !self.away.iter().any(|away| away.overlaps(&prefix)) && drawn.insert(prefix) {
                return prefix;
            }
        }
    }

    fn v4(&mut self) -> IpAddr {
        Ipv4Addr::from(FIRST_V4 + self.random.next() % COUNT_V4).into()
    }

    fn v6(&mut self) -> IpAddr {
        let provider = self.providers[self.random.below(PROVIDERS)];
        let [a, b, c] = [(); 3].map(|()| u128::from(self.random.next()));
        Ipv6Addr::from(u128::from(provider) << 96 | a << 64 | b << 32 | c).into()
    }
}

/// Numbers that look random and are the same in every run (PCG, O'Neill 2014).
pub struct Random(pub u64);

impl Random {
    /// The next one.
    #[expect(clippy::should_implement_trait, reason = "it never ends")]
    pub fn next(&mut self) -> u32 {
        let old = self.0;
        self.0 = old
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        let mixed = ((old >> 18 ^ old) >> 27) as u32;
        mixed.rotate_right((old >> 59) as u32)
    }

    /// One below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    /// Puts items into any order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            items.swap(last, self.below(last + 1));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(prefixes: &[Prefix], length: u8) -> usize {
        let of_length = prefixes.iter().filter(|prefix| prefix.length() == length);
        of_length.count()
    }

    #[test]
    fn the_million_is_the_same_each_time_and_has_the_mix_that_it_promises() {
        let lists = million();
        assert_eq!(lists, million(), "another time");
        assert_eq!([lists.v4.len(), lists.v6.len()], [1_000_000, 200_000]);
        let distinct: HashSet<Prefix> = lists.all().collect();
        assert_eq!(distinct.len(), lists.len(), "no two are equal");

        assert_eq!(count(&lists.v4, 32), 800_000);
        for (length, hundredths) in LENGTHS_V4 {
            assert_eq!(count(&lists.v4, length), 2_000 * hundredths, "/{length}");
        }
        for (length, number) in [
            (128, 120_000),
            (64, 40_000),
            (48, 20_000),
            (56, 10_000),
            (32, 2_500),
            (36, 2_500),
            (40, 2_500),
            (44, 2_500),
        ] {
            assert_eq!(count(&lists.v6, length), number, "/{length}");
        }
        // In no order: hosts and prefixes are mixed from the first to the last.
        for part in lists.v4.chunks(10_000) {
            assert!((7_700..8_300).contains(&count(part, 32)));
            assert!(!part.is_sorted());
        }
    }

    #[test]
    fn addresses_are_spread_and_away_from_what_is_reserved() {
        let lists = sized(80_000, 20_000, 20_000);
        let mut first_bytes = HashSet::new();
        let mut providers = HashSet::new();
        for prefix in lists.all() {
            match (prefix.address(), prefix.last()) {
                (IpAddr::V4(first), IpAddr::V4(last)) => {
                    assert!((16..=197).contains(&first.octets()[0]), "{prefix}");
                    let all = [first, last];
                    assert!(!all.iter().any(|a| a.is_loopback() || a.is_private()));
                    assert!(!all.iter().any(Ipv4Addr::is_link_local), "{prefix}");
                    first_bytes.insert(first.octets()[0]);
                }
                (address, _) => {
                    let IpAddr::V6(address) = address else {
                        panic!("{prefix} is of two families");
                    };
                    let first = (address.to_bits() >> 96) as u32;
                    assert!([0x24, 0x26, 0x2a].contains(&(first >> 24)), "{prefix}");
                    providers.insert(first);
                }
            }
        }
        assert_eq!(first_bytes.len(), 182 - 1, "all but 127");
        assert!((10_000..=PROVIDERS).contains(&providers.len()));
    }

    #[test]
    fn one_in_a_hundred_is_renewed_by_another_of_its_length() {
        let lists = sized(8_000, 2_000, 2_000);
        let renewed = lists.renewed(100);
        let changed = lists.all().zip(renewed.all()).filter(|(old, new)| {
            assert_eq!(old.length(), new.length());
            old != new
        });
        assert_eq!(changed.count(), 120);
        let [old, new] = [&lists, &renewed].map(|lists| lists.all().collect::<HashSet<_>>());
        assert_eq!(new.len(), lists.len());
        assert_eq!(old.difference(&new).count(), 120);
        assert_eq!(renewed, lists.renewed(100), "another time");
    }

    #[test]
    fn a_list_of_any_size_has_so_many() {
        for (hosts, prefixes, v6) in [(0, 0, 0), (1, 0, 1), (7, 3, 11), (0, 99, 79)] {
            let lists = sized(hosts, prefixes, v6);
            assert_eq!([lists.v4.len(), lists.v6.len()], [hosts + prefixes, v6]);
        }
    }
}
