//! Policies and packets at random, and how a policy comes into force.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    thread,
    time::Duration,
};

use fw_common::Prefix;
use fw_tests::lab::{
    Lab,
    hostile::{Chance, PolicyFile},
};

use super::model::{ENDED, Item, Packet, Policy, Rule, SERVICES};

/// Where policies and packets are, by family: far from the addresses of the lab and from those
/// that no remote host has. With the shortest prefix there.
const PLACES: [[(IpAddr, u8); 3]; 2] = [
    [
        (IpAddr::V4(Ipv4Addr::new(64, 1, 2, 0)), 3),
        (IpAddr::V4(Ipv4Addr::new(198, 51, 100, 0)), 12),
        (IpAddr::V4(Ipv4Addr::new(203, 0, 113, 0)), 8),
    ],
    [
        (
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 1, 2, 0, 0, 0, 0)),
            3,
        ),
        (IpAddr::V6(Ipv6Addr::new(0x2600, 1, 0, 0, 0, 0, 0, 0)), 12),
        (IpAddr::V6(Ipv6Addr::new(0xfd00, 5, 0, 7, 0, 0, 0, 0)), 32),
    ],
];

/// Lengths, the interesting ones more often.
const V4_LENGTHS: [u8; 16] = [3, 8, 12, 16, 20, 22, 24, 24, 25, 28, 29, 30, 31, 32, 32, 32];
const V6_LENGTHS: [u8; 16] = [
    3, 16, 32, 48, 52, 56, 64, 64, 65, 96, 112, 124, 127, 128, 128, 128,
];

/// In, at the ends of, and beside the ports of the services.
const PORTS: [u16; 12] = [
    22, 53, 80, 81, 443, 4999, 5000, 5100, 7999, 8000, 8100, 65535,
];

/// A time to live is rounded to a second, by each layer in its way.
const ENDED_AFTER: Duration = Duration::from_millis(2_600);

impl Policy {
    pub fn random(chance: &mut Chance) -> Self {
        let may_end = chance.one_in(12);
        let mut items = |least: usize, most: usize| -> Vec<Item> {
            let number = least + chance.below(most - least + 1);
            let item = |_| Item {
                prefix: prefix(chance),
                ttl: match chance.below(6) {
                    0 => Some("1h"),
                    1 if may_end => Some(ENDED),
                    _ => None,
                },
            };
            let items: Vec<Item> = (0..number).map(item).collect();
            // Of two ends for the same, a file means the last.
            let by_prefix = items.into_iter().map(|item| (item.prefix, item));
            by_prefix
                .collect::<BTreeMap<_, _>>()
                .into_values()
                .collect()
        };
        let (mut allows, blocks) = (items(0, 6), items(1, 16));
        let mut policy = Self {
            guard: (0..chance.below(4)).map(|_| prefix(chance)).collect(),
            drops: chance.one_in(2),
            ..Self::default()
        };
        // Everybody, for once.
        let everybody = chance
            .pick(&["0.0.0.0/0", "::/0"])
            .parse()
            .expect("a prefix");
        match chance.below(40) {
            0 => policy.guard.push(everybody),
            1 => allows.push(Item {
                prefix: everybody,
                ttl: None,
            }),
            _ => {}
        }
        for _ in 0..chance.below(6) {
            let rule = Rule {
                service: *chance.pick(&SERVICES),
                sources: (0..chance.below(3)).map(|_| prefix(chance)).collect(),
                drops: chance.one_in(2),
            };
            // Two rules about the same would contradict each other.
            let mut known = policy.rules.iter();
            if known.all(|known| known.service.0 != rule.service.0) {
                policy.rules.push(rule);
            }
        }
        (policy.allows, policy.blocks) = (allows, blocks);
        policy
    }

    /// Makes it the policy of the lab. Not if it blocks who is guarded: then it is refused, or the
    /// guard comes after the blocks.
    #[track_caller]
    pub fn apply(&self, lab: &Lab, chance: &mut Chance) -> bool {
        let texts = |items: &[Item]| items.iter().map(Item::text).collect();
        let guard = PolicyFile {
            guard: Some(self.guard.iter().map(ToString::to_string).collect()),
            ..PolicyFile::default()
        };
        let rest = PolicyFile {
            default: Some(if self.drops { "drop" } else { "accept" }),
            allows: Some(texts(&self.allows)),
            blocks: Some(texts(&self.blocks)),
            rules: Some(self.rules.iter().map(Rule::text).collect()),
            ..PolicyFile::default()
        };
        let is_guarded = |item: &Item| self.guard.iter().any(|guard| guard.overlaps(&item.prefix));
        let whole = PolicyFile {
            guard: guard.guard.clone(),
            ..rest.clone()
        };
        match self.blocks.iter().any(is_guarded) {
            true if chance.one_in(4) => {
                lab.apply(&whole, &[]).must(5);
                return false;
            }
            true => {
                let unguarded = PolicyFile {
                    guard: Some(Vec::new()),
                    ..rest
                };
                lab.apply(&unguarded, &[]).must(0);
                lab.apply(&guard, &[]).must(0);
            }
            false => {
                lab.apply(&whole, &[]).must(0);
            }
        }
        let mut items = self.allows.iter().chain(&self.blocks);
        if items.any(|item| item.ttl == Some(ENDED)) {
            thread::sleep(ENDED_AFTER);
        }
        true
    }

    /// A packet of somebody near what the policy names.
    pub fn packet(&self, chance: &mut Chance) -> Packet {
        let items = self.allows.iter().chain(&self.blocks);
        let rules = self.rules.iter().flat_map(|rule| &rule.sources);
        let named = items
            .map(|item| &item.prefix)
            .chain(&self.guard)
            .chain(rules);
        let named: Vec<Prefix> = named.copied().collect();
        let near = |chance: &mut Chance| match named.is_empty() {
            true => prefix(chance).address(),
            false => beside(*chance.pick(&named), chance),
        };
        let source = loop {
            let source = near(chance);
            if is_a_remote_host(source) {
                break source;
            }
        };
        Packet {
            source,
            port: *chance.pick(&PORTS),
            is_syn: chance.one_in(2),
        }
    }
}

/// A network near one of the places, so that many cover each other.
fn prefix(chance: &mut Chance) -> Prefix {
    let family = chance.below(2);
    let (place, shortest) = *chance.pick(&PLACES[family]);
    let host = chance.draw() >> chance.below(64);
    let (address, lengths) = match place {
        IpAddr::V4(place) => {
            let address = place.to_bits() ^ (host as u32 & 0x1ff);
            (Ipv4Addr::from_bits(address).into(), V4_LENGTHS)
        }
        IpAddr::V6(place) => {
            // In the last bits of the network and of the host.
            let network = u128::from(host & 3) << 64;
            let address = place.to_bits() ^ network ^ u128::from(host & 0x1ff);
            (Ipv6Addr::from_bits(address).into(), V6_LENGTHS)
        }
    };
    let length = (*chance.pick(&lengths)).max(shortest);
    Prefix::new(address, length).expect("a prefix")
}

/// An address at an end of a network, beside it, or in it.
fn beside(network: Prefix, chance: &mut Chance) -> IpAddr {
    let which = chance.below(6);
    let inside = chance.draw();
    match (network.address(), network.last()) {
        (IpAddr::V4(first), IpAddr::V4(last)) => {
            let (first, last) = (first.to_bits(), last.to_bits());
            let address = match which {
                0 => first,
                1 => last,
                2 => first.wrapping_sub(1),
                3 => last.wrapping_add(1),
                _ => first | inside as u32 & (last - first),
            };
            Ipv4Addr::from_bits(address).into()
        }
        (IpAddr::V6(first), IpAddr::V6(last)) => {
            let (first, last) = (first.to_bits(), last.to_bits());
            let inside = u128::from(inside) << 64 | u128::from(inside.rotate_left(17));
            let address = match which {
                0 => first,
                1 => last,
                2 => first.wrapping_sub(1),
                3 => last.wrapping_add(1),
                _ => first | inside & (last - first),
            };
            Ipv6Addr::from_bits(address).into()
        }
        _ => panic!("a network is of one family"),
    }
}

/// Whether the kernel takes a packet of this source from a link.
fn is_a_remote_host(source: IpAddr) -> bool {
    let never = [
        "0.0.0.0/8",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "198.18.0.0/15",
        "224.0.0.0/3",
    ];
    let is_in = |text: &&str| {
        text.parse::<Prefix>()
            .is_ok_and(|prefix| prefix.contains(source))
    };
    match source {
        IpAddr::V4(_) => !never.iter().any(is_in),
        IpAddr::V6(_) => ["2000::/3", "fd00:5::/32"].iter().any(is_in),
    }
}
