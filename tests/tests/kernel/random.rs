//! Numbers, policies and frames at random, and always the same ones for a seed.

use std::{
    cmp::Reverse,
    collections::BTreeMap,
    env,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use fw_common::{Prefix, abi::NEVER, parse::protocol};
use fw_ctl::{
    plan::ruleset::{LimitRow, PortRow, Pushdown},
    policy::{
        rate::{Per, Rate, Unit},
        rule::{RuleId, Verdict},
        service::Service,
    },
};
use fw_tests::frames::{
    Frame,
    corpus::{self, Seed},
    ethertype, tcp,
};

use crate::model::{Policy, Rule};

/// Where the numbers start unless `FW_TEST_SEED` says otherwise.
const SEED: u64 = 0x2157_4c43;

/// The seed of this run.
pub fn seed() -> u64 {
    let chosen = env::var("FW_TEST_SEED").ok();
    chosen.map_or(SEED, |text| text.parse().expect("FW_TEST_SEED is a number"))
}

/// The generator xorshift64* (Vigna 2016).
pub struct Rng(u64);

impl Rng {
    /// Streams of one seed differ.
    pub fn new(seed: u64, stream: u64) -> Self {
        // Zero is the one state that leads nowhere.
        let state = seed.wrapping_add(stream.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut rng = Self(state.max(1));
        for _ in 0..8 {
            rng.next();
        }
        rng
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    /// A number under `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    /// Once in so many times.
    pub fn one_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub fn byte(&mut self) -> u8 {
        self.next() as u8
    }

    pub fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    fn bits(&mut self) -> u128 {
        let halves = [self.next(), self.next(), self.next()];
        halves
            .iter()
            .fold(0, |bits, half| bits << 48 ^ u128::from(*half))
    }

    fn address(&mut self) -> IpAddr {
        match self.one_in(2) {
            true => IpAddr::V4(Ipv4Addr::from_bits(self.next() as u32)),
            false => IpAddr::V6(Ipv6Addr::from_bits(self.bits())),
        }
    }
}

fn width(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

/// The address with everything behind its first `length` bits at random.
fn within(rng: &mut Rng, address: IpAddr, length: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX.checked_shr(length.into()).unwrap_or(0);
            let noise = rng.next() as u32 & mask;
            IpAddr::V4((v4.to_bits() ^ noise).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shr(length.into()).unwrap_or(0);
            let noise = rng.bits() & mask;
            IpAddr::V6((v6.to_bits() ^ noise).into())
        }
    }
}

/// Prefixes that nest and touch, because they grow from a few addresses.
pub fn policy(rng: &mut Rng, now: u32) -> Policy {
    let roots: Vec<IpAddr> = (0..6).map(|_| rng.address()).collect();
    let mut rules = || -> Vec<Rule> {
        let count = rng.below(24);
        let rules = (0..count).map(|_| {
            let prefix = some_prefix(rng, &roots);
            let deadline = match rng.below(3) {
                0 => NEVER,
                1 => now + 1000 + rng.below(4) as u32,
                _ => now - rng.below(4) as u32,
            };
            let list = rng.below(8) as u16;
            (
                prefix,
                Rule {
                    prefix,
                    list,
                    deadline,
                },
            )
        });
        // A table holds a prefix once.
        let rules: BTreeMap<Prefix, Rule> = rules.collect();
        rules.into_values().collect()
    };
    let (allow, block) = (rules(), rules());
    let rules = pushdown(rng, &roots);
    let guard = (0..rng.below(6)).map(|_| some_prefix(rng, &roots));
    Policy {
        guard: guard.collect(),
        allow,
        block,
        rules,
    }
}

/// Ports that frames are sent to, and one beside.
const PORTS: [u16; 9] = [0, 22, 23, 53, 67, 68, 546, 547, 40000];

/// A port of a frame.
pub fn port(rng: &mut Rng) -> u16 {
    rng.pick(&PORTS)
}

/// Rules about these ports and sources, in the order they are asked.
fn pushdown(rng: &mut Rng, roots: &[IpAddr]) -> Pushdown {
    // No two policies share a bucket.
    let mut id = rng.next() as u32 | 1;
    let mut next = || {
        id = id.wrapping_add(2);
        RuleId(id)
    };
    let ports = (0..rng.below(8)).map(|_| PortRow {
        id: next(),
        service: service(rng),
        source: (!rng.one_in(4)).then(|| some_prefix(rng, roots)),
        verdict: rng.pick(&[Verdict::Accept, Verdict::Drop]),
    });
    let mut ports: Vec<PortRow> = ports.collect();
    ports.sort_by_key(|row| {
        let length = row.source.map_or(0, |source| source.length());
        (Reverse(length), row.service.width(), row.verdict, row.id)
    });
    let limits = (0..rng.below(5)).map(|_| LimitRow {
        id: next(),
        service: service(rng),
        sources: Vec::new(),
        rate: Rate::new(1, Unit::Day).expect("a rate"),
        burst: 1 + rng.below(3) as u32,
        per: rng.pick(&[Per::Source, Per::All]),
    });
    let limits = limits.collect();
    Pushdown { ports, limits }
}

fn service(rng: &mut Rng) -> Service {
    let text = match rng.below(4) {
        0 => "tcp".to_owned(),
        1 => format!("tcp/{}", rng.pick(&PORTS[1..])),
        2 => format!("tcp/{},{}", rng.pick(&PORTS[1..]), rng.pick(&PORTS[1..])),
        _ => {
            let (a, b) = (rng.pick(&PORTS[1..]), rng.pick(&PORTS[1..]));
            format!("tcp/{}-{}", a.min(b), a.max(b))
        }
    };
    text.parse().expect("a service")
}

fn some_prefix(rng: &mut Rng, roots: &[IpAddr]) -> Prefix {
    let root = rng.pick(roots);
    let width = width(root);
    let length = match rng.below(16) {
        0 => rng.below(usize::from(width) + 1) as u8,
        1..=6 => width,
        _ => width / 4 + rng.below(usize::from(width) * 3 / 4) as u8,
    };
    // Most share all of the root they can.
    let shared = match rng.one_in(4) {
        true => rng.below(usize::from(width) + 1) as u8,
        false => width,
    };
    let address = within(rng, root, shared);
    Prefix::new(address, length).expect("no longer than the address")
}

/// A source of which about half are in the policy, and many beside it.
pub fn source(rng: &mut Rng, policy: &Policy) -> IpAddr {
    let prefixes = policy.prefixes();
    if prefixes.is_empty() || rng.one_in(4) {
        return rng.address();
    }
    let prefix = rng.pick(&prefixes);
    let length = match rng.one_in(4) {
        // Its last bit too, so that it is outside as often as inside.
        true => prefix.length().saturating_sub(1),
        false => prefix.length(),
    };
    within(rng, prefix.address(), length)
}

/// Makes frames of all kinds.
pub struct Frames {
    v4: Vec<&'static Seed>,
    v6: Vec<&'static Seed>,
}

impl Frames {
    pub fn new() -> Self {
        Self {
            v4: corpus::seeds(Ipv4Addr::UNSPECIFIED.into()).collect(),
            v6: corpus::seeds(Ipv6Addr::UNSPECIFIED.into()).collect(),
        }
    }

    /// A frame as it was built.
    pub fn whole(&self, rng: &mut Rng, source: IpAddr) -> Vec<u8> {
        if rng.one_in(2) {
            return built(rng, source);
        }
        let seeds = match source {
            IpAddr::V4(_) => &self.v4,
            IpAddr::V6(_) => &self.v6,
        };
        rng.pick(seeds).frame(source)
    }

    /// A frame that is damaged more often than not.
    pub fn any(&self, rng: &mut Rng, source: IpAddr) -> Vec<u8> {
        let mut frame = self.whole(rng, source);
        match rng.below(8) {
            0 => {
                for _ in 0..=rng.below(4) {
                    let at = rng.below(frame.len());
                    frame[at] ^= 1 << rng.below(8);
                }
            }
            1 => frame.truncate(14 + rng.below(frame.len() - 13)),
            2 => {
                let other = self.whole(rng, source);
                frame.truncate(14 + rng.below(frame.len() - 13));
                frame.extend_from_slice(&other[rng.below(other.len())..]);
            }
            3 => {
                let at = rng.below(frame.len());
                let end = frame.len().min(at + 1 + rng.below(4));
                for byte in &mut frame[at..end] {
                    *byte = rng.pick(&[0, 1, 4, 6, 17, 44, 58, 60, 0x7f, 0x81, 0xff]);
                }
            }
            4 => {
                let longest = rng.pick(&[8, 64, 64, 64, 9000]);
                let longer = frame.len() + rng.below(longest);
                frame.resize(longer, rng.byte());
            }
            _ => {}
        }
        frame
    }
}

/// A frame of headers drawn one by one.
fn built(rng: &mut Rng, source: IpAddr) -> Vec<u8> {
    let mut frame = Frame::new();
    let tags = rng.pick(&[0, 0, 0, 0, 1, 1, 2, 2, 3]);
    for _ in 0..tags {
        let tpid = rng.pick(&[ethertype::VLAN, ethertype::QINQ, ethertype::QINQ_OLD]);
        frame = frame.tag(tpid, rng.next() as u16);
    }
    frame = frame.ip(source).hop_limit(rng.pick(&[1, 2, 64, 254, 255]));
    frame = match source {
        IpAddr::V4(_) => {
            let frame = frame.options(rng.pick(&[0, 0, 0, 1, 2, 5, 9, 10]));
            match rng.one_in(4) {
                true => fragment(rng, frame),
                false => frame,
            }
        }
        IpAddr::V6(_) => extensions(rng, frame),
    };
    transport(rng, frame).bytes()
}

fn fragment(rng: &mut Rng, frame: Frame) -> Frame {
    frame.fragment(rng.pick(&[0, 0, 1, 185, 0x1fff]), rng.one_in(2))
}

fn extensions(rng: &mut Rng, mut frame: Frame) -> Frame {
    let count = rng.pick(&[0, 0, 0, 1, 1, 2, 3, 5, 6, 7]);
    for at in 0..count {
        frame = match rng.below(8) {
            // Elsewhere they are an error, which happens too.
            0 if at == 0 || rng.one_in(8) => frame.hop_by_hop(),
            0..=2 => {
                let length = 8 * (1 + rng.pick(&[0, 0, 1, 5, 31]));
                frame.extension(protocol::DESTINATION, length)
            }
            3 => frame.routing(),
            4 => frame.authentication(),
            5 => fragment(rng, frame),
            6 => frame.extension(protocol::HIP, 8),
            _ => frame.destination_options(),
        };
    }
    frame
}

fn transport(rng: &mut Rng, frame: Frame) -> Frame {
    let (from, to) = (port(rng), port(rng));
    match rng.below(10) {
        0 => frame.tcp(from, to, rng.byte()),
        1..=2 => frame.tcp(from, to, tcp::SYN | rng.pick(&[0, 0, tcp::PSH, tcp::ACK])),
        3..=4 => frame.udp(from, to).payload(b"data"),
        5 => frame.udp(rng.pick(&[67, 547]), rng.pick(&[68, 546])),
        6 => {
            let kind = rng.pick(&[0, 3, 8, 128, 130, 132, 133, 135, 137, 138, 143]);
            frame.icmp(kind, rng.pick(&[0, 0, 0, 1]), &[0; 20])
        }
        7 => frame.sctp(from, to),
        8 => frame.udp_lite(from, to),
        _ => frame.protocol(rng.byte()).payload(&[rng.byte(); 24]),
    }
}
