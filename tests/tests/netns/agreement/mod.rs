//! Both layers give the same answer: random policies, real packets of random sources. Those over
//! the first link meet XDP, and are seen right behind it; those over the second, where no program
//! is, meet the mirror only, and are seen at the server's sockets.

mod delivery;
mod model;
mod random;

use std::{
    collections::BTreeSet,
    env, fs,
    io::{self, Write as _},
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use fw_tests::{
    frames::{Frame, tcp},
    lab::{
        Lab,
        address::{Addresses, FAMILIES, SECOND},
        hostile::Chance,
        wire::{Number, Tap, Wire},
    },
};

use self::{
    delivery::{Delivery, Sender},
    model::{Packet, Policy},
};

/// Packets that every policy meets.
const PACKETS: usize = 200;
/// Stands behind them on each way.
const END: Number = 0;

/// Both ways from the attacker to the server, and an ear at the end of each.
struct Ways {
    wire: Wire,
    tap: Tap,
    sender: Sender,
    delivery: Delivery,
    next: Number,
}

impl Ways {
    fn of(lab: &Lab) -> Self {
        Self {
            wire: lab.wire(),
            tap: lab.tap(),
            sender: Sender::in_lab(lab),
            delivery: Delivery::in_lab(lab),
            next: END,
        }
    }

    /// A number that no packet had for some minutes, so that it is no part of an old connection.
    fn number(&mut self) -> Number {
        self.next = self.next % 60_000 + 1;
        self.next
    }

    /// Sends each packet on both ways; says which came behind XDP, and which behind the mirror.
    fn send(&mut self, packets: &[(Number, Packet)]) -> [BTreeSet<Number>; 2] {
        for (number, packet) in packets {
            self.wire.send(*number, &packet.over_xdp(*number));
            self.sender.send(&packet.over_mirror(*number));
        }
        // This thread may have been moved to another processor, and be ahead of its packets.
        thread::sleep(Duration::from_millis(1));
        self.wire
            .send(END, &Frame::new().ip(FAMILIES[0].gateway).udp(1, 1).bytes());
        for net in FAMILIES {
            for packet in Packet::of_each_kind(net.gateway) {
                self.sender.send(&packet.over_mirror(END));
            }
        }
        [self.tap.until(END), self.delivery.until(END)]
    }
}

/// Numbers of a run.
#[derive(Default)]
struct Count {
    policies: usize,
    refused: usize,
    packets: usize,
    by_xdp: usize,
    by_mirror: usize,
}

fn layers_agree(name: &str, stream: u64, prepare: fn(&Lab), backend: &str) {
    let policies = match env::var_os("FW_TEST_LONG") {
        Some(_) => 2_000,
        None => 60,
    };
    let lab = Lab::new();
    lab.link(1, &SECOND);
    prepare(&lab);
    let config = format!("[scan]\nmode = \"off\"\n[mirror]\nbackend = \"{backend}\"\n");
    fs::write(lab.config(), config).expect("the configuration can be written");
    let _daemon = lab.daemon().start();
    let mirror = lab.json(&["status"])["mirror"]["backend"].take();
    assert_eq!(mirror, name);

    let mut ways = Ways::of(&lab);
    let mut chance = Chance::new(stream);
    let (mut count, began) = (Count::default(), Instant::now());
    let mut policy = Policy::default();
    for _ in 0..policies {
        let before = policy.clone();
        policy = Policy::random(&mut chance);
        if !policy.apply(&lab, &mut chance) {
            policy = before;
            count.refused += 1;
        }
        compare(&lab, &policy, &mut ways, &mut chance, &mut count);
    }
    let secs = began.elapsed().as_secs_f64();
    let text = format!(
        "{name}: {} policies, {} refused by the guard, {} packets in {secs:.1} s: {} dropped by XDP, {} by the mirror, 0 differences\n",
        count.policies, count.refused, count.packets, count.by_xdp, count.by_mirror
    );
    // Not captured, so that a run of all tests shows it.
    let _ = io::stderr().write_all(text.as_bytes());
    let rarely = count.packets / 20;
    let drops = [count.by_xdp, count.by_mirror];
    let both_occur = |drops: &usize| (rarely..count.packets - rarely).contains(drops);
    assert!(drops.iter().all(both_occur), "{drops:?}");
}

/// Both layers' answers for some packets, and the answer of a plain model.
#[track_caller]
fn compare(lab: &Lab, policy: &Policy, ways: &mut Ways, chance: &mut Chance, count: &mut Count) {
    let packets: Vec<(Number, Packet)> = (0..PACKETS)
        .map(|_| (ways.number(), policy.packet(chance)))
        .collect();
    let [behind_xdp, behind_mirror] = ways.send(&packets);
    for (number, packet) in &packets {
        let drops = [&behind_xdp, &behind_mirror].map(|passed| !passed.contains(number));
        let expected = [policy.xdp_drops(packet), policy.mirror_drops(packet)];
        assert_eq!(
            drops,
            expected,
            "{packet:?} dropped by [XDP, mirror], policy {}\n{policy:?}\n{}",
            count.policies,
            lab.fw(&["why", &packet.source.to_string()]).stdout,
        );
        count.by_xdp += usize::from(drops[0]);
        count.by_mirror += usize::from(drops[1]);
    }
    count.policies += 1;
    count.packets += packets.len();
}

#[test]
fn xdp_and_iptables_over_nftables_give_every_packet_the_same_answer() {
    layers_agree("iptables-nft", 1, |_| (), "iptables");
}

#[test]
fn xdp_and_legacy_iptables_give_every_packet_the_same_answer() {
    let live = |lab: &Lab| {
        let mut iptables = lab.server.command("iptables-legacy");
        let rule = iptables.args(["-w", "-A", "INPUT", "-s", "192.0.2.200", "-j", "ACCEPT"]);
        assert!(rule.status().expect("iptables starts").success());
    };
    layers_agree("iptables-legacy", 2, live, "iptables");
}

#[test]
fn xdp_and_nftables_give_every_packet_the_same_answer() {
    layers_agree("nftables", 3, |_| (), "nftables");
}

impl Packet {
    /// As a frame of the first link.
    fn over_xdp(&self, number: Number) -> Vec<u8> {
        self.frame(number, FAMILIES)
    }

    /// As a packet of the second, without its Ethernet header.
    fn over_mirror(&self, number: Number) -> Vec<u8> {
        self.frame(number, SECOND).split_off(14)
    }

    /// The number is the source port as well.
    fn frame(&self, number: Number, [v4, v6]: [Addresses; 2]) -> Vec<u8> {
        let frame = match (self.source, v4.server, v6.server) {
            (IpAddr::V4(source), IpAddr::V4(server), _) => Frame::new().ipv4(source, server),
            (IpAddr::V6(source), _, IpAddr::V6(server)) => Frame::new().ipv6(source, server),
            _ => panic!("a family each"),
        };
        let frame = match self.is_syn {
            true => frame.tcp(number, self.port, tcp::SYN),
            false => frame.udp(number, self.port),
        };
        frame.bytes()
    }
}
