//! Every packet of a source on both ends of the link: as the attacker sends it, and as it leaves
//! XDP on the server's side.
//!
//! A packet is known by its bytes. The first one sent that did not arrive is the one that crossed
//! the threshold; what was sent after it and arrived nevertheless got through. So "after" is a
//! matter of the order of packets, and no two clocks are compared.

use std::{
    collections::HashMap,
    net::{IpAddr, UdpSocket},
    sync::atomic::{AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use fw_common::parse::protocol;

use super::socket::PacketSocket;
use crate::lab::{Lab, address::V4};

/// The gateway is guarded, so its packet comes through whatever is blocked; a link keeps the order
/// of packets, so it is the last one. A number follows, for captures side by side.
const END: &[u8] = b"the end of capture ";
static CAPTURES: AtomicU64 = AtomicU64::new(0);
/// How long the last packet may be on its way.
const PATIENCE: Duration = Duration::from_secs(5);

/// Both ends of the first link, from now on.
pub struct Capture<'lab> {
    lab: &'lab Lab,
    attacker: PacketSocket,
    server: PacketSocket,
}

/// What was captured.
pub struct Traffic {
    sent: Vec<Packet>,
    arrived: Vec<Packet>,
}

struct Packet {
    source: IpAddr,
    bytes: Vec<u8>,
    /// When it passed, since the epoch.
    time: Duration,
}

/// What became of the packets of one source.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Passage {
    /// Packets that the attacker sent, of every kind.
    pub sent: usize,
    /// Packets that reached the server's stack.
    pub arrived: usize,
    /// When the first packet was sent, since the epoch.
    pub began: Duration,
    /// The first packet that did not arrive: it crossed the threshold.
    pub crossing: Option<Crossing>,
}

/// The packet that was the first to be dropped.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossing {
    /// Its number among the packets that the source sent: the first is 1.
    pub number: usize,
    /// When it was sent, from the first packet of the source on.
    pub time: Duration,
    /// Packets that were sent after it and reached the server's stack.
    pub got_through: usize,
}

impl Lab {
    /// Begins to capture. It is read at the end: for scans, not for streams.
    pub fn capture(&self) -> Capture<'_> {
        Capture {
            lab: self,
            attacker: self.attacker.enter(PacketSocket::open),
            server: self.server.enter(PacketSocket::open),
        }
    }
}

impl Capture<'_> {
    /// Ends when everything that was sent has arrived or never will.
    #[track_caller]
    pub fn end(self) -> Traffic {
        let number = CAPTURES.fetch_add(1, Ordering::Relaxed);
        let end = [END, &number.to_be_bytes()].concat();
        self.lab.attacker.enter(|| {
            let gateway = UdpSocket::bind((V4.gateway, 0)).expect("the address is there");
            let sent = gateway.send_to(&end, (V4.server, 9));
            sent.expect("the gateway can send");
        });
        Traffic {
            sent: read(&self.attacker, &end),
            arrived: read(&self.server, &end),
        }
    }
}

impl Traffic {
    /// What became of the packets of this source.
    pub fn of(&self, source: IpAddr) -> Passage {
        let mut arrived: HashMap<&[u8], usize> = HashMap::new();
        for packet in self.arrived.iter().filter(|packet| packet.source == source) {
            *arrived.entry(&packet.bytes).or_default() += 1;
        }
        let mut passage = Passage {
            arrived: arrived.values().sum(),
            ..Passage::default()
        };
        for packet in self.sent.iter().filter(|packet| packet.source == source) {
            let arrives = arrived.get_mut(&*packet.bytes).is_some_and(|left| {
                let one = *left > 0;
                *left -= usize::from(one);
                one
            });
            passage.note(packet.time, arrives);
        }
        passage
    }
}

impl Passage {
    /// The next packet that the source sent.
    fn note(&mut self, time: Duration, arrives: bool) {
        if self.sent == 0 {
            self.began = time;
        }
        self.sent += 1;
        match &mut self.crossing {
            Some(crossing) => crossing.got_through += usize::from(arrives),
            None if arrives => {}
            none => {
                *none = Some(Crossing {
                    number: self.sent,
                    time: time.saturating_sub(self.began),
                    got_through: 0,
                });
            }
        }
    }
}

/// Everything in the socket up to the packet of the gateway.
#[track_caller]
fn read(socket: &PacketSocket, end: &[u8]) -> Vec<Packet> {
    let mut packets = Vec::new();
    let mut frame = vec![0; 65536];
    let start = Instant::now();
    loop {
        match socket.next(&mut frame) {
            Some((frame, _)) if frame.ends_with(end) => break,
            Some((frame, time)) => packets.extend(packet(frame, time)),
            None => {
                assert!(start.elapsed() < PATIENCE, "not even the gateway arrives");
                thread::sleep(Duration::from_millis(1));
            }
        }
    }
    assert_eq!(socket.missed(), 0, "packets that were not captured");
    packets
}

/// An IP packet in an untagged frame, but for ICMPv6: neighbours look for each other by it.
fn packet(frame: &[u8], time: Duration) -> Option<Packet> {
    let bytes = frame.get(14..)?;
    let source = match *frame.get(12..14)? {
        [0x08, 0x00] => IpAddr::from(<[u8; 4]>::try_from(bytes.get(12..16)?).ok()?),
        [0x86, 0xdd] if bytes.get(6) != Some(&protocol::ICMPV6) => {
            IpAddr::from(<[u8; 16]>::try_from(bytes.get(8..24)?).ok()?)
        }
        _ => return None,
    };
    let bytes = bytes.to_vec();
    Some(Packet {
        source,
        bytes,
        time,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCANNER: [u8; 4] = [198, 19, 0, 1];
    const OTHER: [u8; 4] = [198, 19, 0, 2];

    /// An IPv4 packet in its frame, told from others by its last byte.
    fn captured(source: [u8; 4], name: u8, second: u64) -> Packet {
        let mut frame = vec![0; 35];
        frame[12] = 0x08;
        frame[14] = 0x45;
        frame[26..30].copy_from_slice(&source);
        frame[34] = name;
        packet(&frame, Duration::from_secs(second)).expect("an IPv4 packet")
    }

    fn all(packets: &[([u8; 4], u8)]) -> Vec<Packet> {
        let packets = packets.iter().zip(100..);
        packets
            .map(|(&(source, name), second)| captured(source, name, second))
            .collect()
    }

    #[test]
    fn the_first_packet_that_did_not_arrive_crossed() {
        let traffic = Traffic {
            sent: all(&[
                (SCANNER, 1),
                (OTHER, 9),
                (SCANNER, 2),
                (SCANNER, 3),
                (SCANNER, 4),
            ]),
            arrived: all(&[(SCANNER, 1), (OTHER, 9), (SCANNER, 2)]),
        };
        let expected = Passage {
            sent: 4,
            arrived: 2,
            began: Duration::from_secs(100),
            crossing: Some(Crossing {
                number: 3,
                time: Duration::from_secs(3),
                got_through: 0,
            }),
        };
        assert_eq!(traffic.of(SCANNER.into()), expected);
        assert_eq!(traffic.of(OTHER.into()).crossing, None);
    }

    #[test]
    fn what_arrives_after_the_crossing_packet_got_through_also_when_it_looks_like_one_before() {
        let traffic = Traffic {
            sent: all(&[(SCANNER, 1), (SCANNER, 2), (SCANNER, 1), (SCANNER, 3)]),
            arrived: all(&[(SCANNER, 1), (SCANNER, 1), (SCANNER, 3)]),
        };
        let crossing = traffic.of(SCANNER.into()).crossing.expect("one is missing");
        assert_eq!((crossing.number, crossing.got_through), (2, 2));
    }

    #[test]
    fn neighbours_that_look_for_each_other_do_not_scan() {
        let mut frame = vec![0; 54];
        frame[12..14].copy_from_slice(&[0x86, 0xdd]);
        frame[20] = protocol::ICMPV6;
        assert!(packet(&frame, Duration::ZERO).is_none());
        frame[20] = protocol::TCP;
        assert!(packet(&frame, Duration::ZERO).is_some());
    }
}
