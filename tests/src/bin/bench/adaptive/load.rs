//! Connections that do not know of each other, and the service that they are for.

use std::{
    collections::VecDeque,
    io::ErrorKind,
    net::{IpAddr, SocketAddr, TcpListener},
    os::fd::{AsRawFd as _, OwnedFd},
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use fw_tests::{
    lab::{Lab, address::V4},
    lists::Random,
};
use nix::{
    errno::Errno,
    sys::socket::{self, AddressFamily, SockFlag, SockType, SockaddrStorage, setsockopt, sockopt},
};

use super::PORT;

/// Between two looks at what is due.
const TICK: Duration = Duration::from_millis(1);
/// A connection is given up before the kernel would send a second SYN for it, after one second: so
/// each is offered once.
const HELD: Duration = Duration::from_millis(900);

/// Connections that are tried at a rate.
#[derive(Default)]
pub struct Load {
    /// Connections a second.
    rate: AtomicU32,
    tried: AtomicU64,
    accepted: AtomicU64,
    stop: AtomicBool,
}

/// Stops the load also when what runs beside it breaks off.
struct Stop<'a>(&'a AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Load {
    /// Begins at this rate.
    pub fn at(rate: u32) -> Self {
        Self {
            rate: rate.into(),
            ..Self::default()
        }
    }

    /// From now on.
    pub fn set_rate(&self, rate: u32) {
        self.rate.store(rate, Ordering::Relaxed);
    }

    /// Connections that were tried, and those that were accepted, until now.
    pub fn counted(&self) -> [u64; 2] {
        [&self.tried, &self.accepted].map(|count| count.load(Ordering::Relaxed))
    }

    /// Keeps the load up while something else goes on.
    pub fn run<T>(
        &self,
        lab: &Lab,
        service: TcpListener,
        beside: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        service.set_nonblocking(true)?;
        thread::scope(|scope| {
            let attacker = scope.spawn(|| lab.attacker.enter(|| self.offer()));
            let server = scope.spawn(|| self.accept(&service));
            let stop = Stop(&self.stop);
            let result = beside();
            drop(stop);
            attacker.join().expect("no panic there")?;
            server.join().expect("no panic there")?;
            result
        })
    }

    /// The waits between connections that do not know of each other have an exponential distribution.
    fn offer(&self) -> Result<()> {
        let mut random = Random(0x853c_49e6_748f_ea9b);
        let mut held: VecDeque<(Instant, OwnedFd)> = VecDeque::new();
        let mut due = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let now = Instant::now();
            while due <= now {
                held.push_back((now, connect(V4.free, (V4.server, PORT).into())?));
                self.tried.fetch_add(1, Ordering::Relaxed);
                let uniform = (f64::from(random.next()) + 0.5) / f64::from(u32::MAX);
                let rate = f64::from(self.rate.load(Ordering::Relaxed).max(1));
                due += Duration::from_secs_f64(-uniform.min(1.0).ln() / rate);
            }
            while held.front().is_some_and(|(since, _)| now - *since > HELD) {
                held.pop_front();
            }
            thread::sleep(TICK);
        }
        Ok(())
    }

    fn accept(&self, service: &TcpListener) -> Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            match service.accept() {
                Ok(_) => drop(self.accepted.fetch_add(1, Ordering::Relaxed)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(TICK),
                Err(error) => return Err(error).context("the service cannot accept"),
            }
        }
        Ok(())
    }
}

/// Begins one from this address, and does not wait. Closed, it is gone at once, whatever came of it.
fn connect(source: IpAddr, to: SocketAddr) -> Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Inet, SockType::Stream, flags, None)?;
    let at_once = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    setsockopt(&socket, sockopt::Linger, &at_once)?;
    let from = SockaddrStorage::from(SocketAddr::new(source, 0));
    socket::bind(socket.as_raw_fd(), &from)?;
    match socket::connect(socket.as_raw_fd(), &SockaddrStorage::from(to)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket),
        Err(error) => Err(error).context("cannot connect"),
    }
}
