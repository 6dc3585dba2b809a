//! Floods: frames of many sources, forged in the kernel and sent over the first link faster than
//! any socket could.

mod generator;

use std::{
    fs::{self, File},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use nix::{
    ifaddrs::getifaddrs,
    net::if_::if_nametoindex,
    sched::{CloneFlags, setns},
};

use super::{ATTACKER_INTERFACE, INTERFACE, Lab};
use crate::frames::Frame;

pub use self::generator::{Bare, Generator, Traffic};

/// Frames of one call at full rate, and tries of one call where there is a rate: some tenths of a
/// second, after which a flood can be stopped. A call takes the kernel some hundredths to set up.
const BURST: [u32; 2] = [1 << 17, 1 << 22];

/// A flood, bounded in number and in time.
#[derive(Clone, Debug)]
pub struct Flood {
    /// What is sent.
    pub traffic: Traffic,
    /// Frames at most.
    pub frames: u64,
    /// Time at most.
    pub time: Duration,
}

/// A flood that runs; dropped, it ends.
pub struct Flooding {
    stop: Stop,
    sender: JoinHandle<Flooded>,
}

/// Tells the sender to stop, at the latest when it is dropped.
struct Stop(Arc<AtomicBool>);

impl Drop for Stop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a flood came to.
#[derive(Clone, Copy, Debug)]
pub struct Flooded {
    /// Frames that were made and handed to the link.
    pub made: u64,
    /// Frames that the link did not take, because its queue was full; those of other senders
    /// meanwhile are among them.
    pub refused: u64,
    /// From the first to the last.
    pub time: Duration,
}

/// An IP header to this address, from nobody yet.
pub fn to(address: IpAddr) -> Frame {
    match address {
        IpAddr::V4(address) => Frame::new().ipv4(Ipv4Addr::UNSPECIFIED, address),
        IpAddr::V6(address) => Frame::new().ipv6(Ipv6Addr::UNSPECIFIED, address),
    }
}

impl Lab {
    /// Addresses a frame to the server's end of the first link.
    pub fn for_server(&self, frame: Frame) -> Vec<u8> {
        let mut frame = frame.bytes();
        frame[..6].copy_from_slice(&self.server.enter(|| hardware_address(INTERFACE)));
        frame
    }

    /// Sends a flood from the attacker, until it is stopped or has reached a bound.
    pub fn flood(&self, flood: &Flood) -> Flooding {
        let generator = Generator::load(flood.traffic.clone()).expect("the generator loads");
        let stop = Stop(Arc::default());
        let (told, flood) = (Arc::clone(&stop.0), flood.clone());
        let attacker = File::open(self.attacker.path()).expect("the namespace exists");
        let sender = thread::spawn(move || {
            setns(attacker, CloneFlags::CLONE_NEWNET).expect("the namespace can be entered");
            send(&generator, &flood, &told)
        });
        Flooding { stop, sender }
    }
}

impl Flooding {
    /// Ends it, if it has not ended.
    pub fn stop(self) -> Flooded {
        drop(self.stop);
        joined(self.sender)
    }

    /// Waits until it has reached a bound.
    pub fn wait(self) -> Flooded {
        joined(self.sender)
    }
}

fn joined(sender: JoinHandle<Flooded>) -> Flooded {
    sender.join().expect("the flood flows")
}

fn send(generator: &Generator, flood: &Flood, stop: &AtomicBool) -> Flooded {
    let interface = if_nametoindex(ATTACKER_INTERFACE).expect("the attacker has its device");
    let refused = refused();
    let burst = BURST[usize::from(flood.traffic.rate.is_some())];
    let made = || generator.made().expect("the frames are counted");
    let start = Instant::now();
    while made() < flood.frames && start.elapsed() < flood.time && !stop.load(Ordering::Relaxed) {
        generator
            .send(interface, burst)
            .expect("the attacker can send");
    }
    Flooded {
        made: made(),
        refused: self::refused() - refused,
        time: start.elapsed(),
    }
}

/// Frames that the attacker's device could not send until now.
fn refused() -> u64 {
    const DROPPED: usize = 11;
    let text = fs::read_to_string("/proc/thread-self/net/dev").expect("the devices are listed");
    let mut lines = text.lines().filter_map(|line| line.trim().split_once(':'));
    let device = lines.find(|(name, _)| *name == ATTACKER_INTERFACE);
    let (_, counters) = device.expect("the attacker has its device");
    let field = counters.split_whitespace().nth(DROPPED);
    field.and_then(|count| count.parse().ok()).expect("a count")
}

fn hardware_address(interface: &str) -> [u8; 6] {
    let devices = getifaddrs().expect("the devices can be listed");
    let mut devices = devices.filter(|device| device.interface_name == interface);
    let address = devices.find_map(|device| device.address?.as_link_addr()?.addr());
    address.expect("the device has an address")
}
