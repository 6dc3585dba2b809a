//! Many packets at a steady rate, each with a number of its own, so that every one that is lost or
//! slips through is known.

use std::{
    net::{IpAddr, UdpSocket},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::sys::socket::{setsockopt, sockopt};

use super::{Lab, address::Addresses, daemon::is_no_answer};

/// Bytes that wait for the receiver: at 60,000 packets a second, each in a page of its own, it may
/// sleep for some seconds.
const BUFFER_BYTES: usize = 1 << 30;
/// The sender sleeps this long between bursts.
const PAUSE: Duration = Duration::from_micros(100);
/// How long the receiver waits for the end mark.
const PATIENCE: Duration = Duration::from_secs(5);

/// A running stream.
pub struct Stream {
    stop: Arc<AtomicBool>,
    sender: JoinHandle<(u64, Duration)>,
    receiver: JoinHandle<Vec<Arrivals>>,
}

#[derive(Clone, Default)]
struct Arrivals {
    /// By number.
    seen: Vec<bool>,
    first: Option<Instant>,
}

/// What became of the packets of one source.
#[derive(Debug)]
pub struct Tally {
    /// Packets that were sent.
    pub sent: u64,
    /// Packets that arrived.
    pub received: u64,
    /// Numbers of the first packets that did not, at most ten.
    pub missing: Vec<u64>,
    /// When the first one arrived.
    pub first: Option<Instant>,
    /// Packets of this source a second.
    pub rate: f64,
}

impl Lab {
    /// Sends from each of these sources at this rate, in packets a second, until stopped.
    pub fn stream<const N: usize>(
        &self,
        net: Addresses,
        sources: [IpAddr; N],
        rate: u32,
    ) -> Stream {
        let socket = self.server.enter(|| bind(net.server));
        setsockopt(&socket, sockopt::RcvBufForce, &BUFFER_BYTES).expect("a large buffer");
        socket
            .set_read_timeout(Some(PATIENCE))
            .expect("a time limit");
        let target = socket.local_addr().expect("a port");
        let open = |source| {
            let socket = self.attacker.enter(|| bind(source));
            socket.connect(target).expect("a route to the server");
            socket
        };
        let sockets = sources.map(open);
        let marker = open(net.gateway);

        let stop = Arc::new(AtomicBool::new(false));
        let (told, asks) = (Arc::clone(&stop), Arc::clone(&stop));
        Stream {
            stop,
            sender: thread::spawn(move || send(&sockets, &marker, rate, &told)),
            receiver: thread::spawn(move || receive(&socket, &sources, net.gateway, &asks)),
        }
    }
}

impl Stream {
    /// Ends the stream when all is received, and says what became of each source's packets.
    pub fn stop<const N: usize>(self) -> [Tally; N] {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, time) = self.sender.join().expect("the sender sends");
        let arrivals = self.receiver.join().expect("the receiver receives");
        let tallies: Vec<Tally> = arrivals
            .into_iter()
            .map(|arrivals| arrivals.tally(sent, time))
            .collect();
        tallies.try_into().expect("a tally for each source")
    }
}

impl Arrivals {
    fn note(&mut self, number: u64) {
        let place = usize::try_from(number).expect("few packets");
        if self.seen.len() <= place {
            self.seen.resize(place + 1, false);
        }
        assert!(!self.seen[place], "packet {number} arrived twice");
        self.seen[place] = true;
        self.first.get_or_insert_with(Instant::now);
    }

    fn tally(mut self, sent: u64, time: Duration) -> Tally {
        self.seen
            .resize(usize::try_from(sent).expect("few packets"), false);
        let missing = (0..).zip(&self.seen).filter(|(_, seen)| !**seen);
        Tally {
            sent,
            received: self.seen.iter().map(|seen| u64::from(*seen)).sum(),
            missing: missing.map(|(number, _)| number).take(10).collect(),
            first: self.first,
            rate: sent as f64 / time.as_secs_f64(),
        }
    }
}

fn bind(address: IpAddr) -> UdpSocket {
    UdpSocket::bind((address, 0)).expect("the address is there")
}

/// Returns how many packets each source sent, and in what time.
fn send(
    sources: &[UdpSocket],
    marker: &UdpSocket,
    rate: u32,
    stop: &AtomicBool,
) -> (u64, Duration) {
    let start = Instant::now();
    let mut sent: u64 = 0;
    while !stop.load(Ordering::Relaxed) {
        let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        while sent < due {
            for source in sources {
                source
                    .send(&sent.to_be_bytes())
                    .expect("the attacker can send");
            }
            sent += 1;
        }
        thread::sleep(PAUSE);
    }
    let time = start.elapsed();
    marker.send(&[]).expect("the gateway can send");
    (sent, time)
}

/// Until the packet of the gateway comes that is behind all others.
fn receive(
    socket: &UdpSocket,
    sources: &[IpAddr],
    end: IpAddr,
    stopped: &AtomicBool,
) -> Vec<Arrivals> {
    let mut arrivals = vec![Arrivals::default(); sources.len()];
    let mut payload = [0; 8];
    loop {
        let (_, from) = match socket.recv_from(&mut payload) {
            Ok(received) => received,
            // Everything is blocked, for now.
            Err(error) if is_no_answer(&error) => {
                assert!(
                    !stopped.load(Ordering::Relaxed),
                    "not even the gateway arrives"
                );
                continue;
            }
            Err(error) => panic!("the server receives: {error}"),
        };
        if from.ip() == end {
            return arrivals;
        }
        let mut sources = sources.iter();
        let source = sources
            .position(|source| *source == from.ip())
            .expect("a known source");
        arrivals[source].note(u64::from_be_bytes(payload));
    }
}
