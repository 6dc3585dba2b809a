//! Sampled drops while somebody listens. The kernel samples until a deadline that is moved on here
//! every few seconds, so it stops by itself when this process dies.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use fw_common::{
    abi::{DropEvent, NO_VLAN},
    parse::Address,
    reason::{Family, Reason},
};
use tokio::time::Instant;

use super::owner::{Owner, wire_time};
use crate::{
    api::wire::{DropSample, Event},
    backend::xdp::events::Events,
    host::clock,
    policy::{entry::ListId, time::WallSecs},
};

const RENEW_EVERY: Duration = Duration::from_secs(2);

/// How long one question lets the kernel sample.
const WANTED: Duration = Duration::from_secs(10);

/// Seconds the kernel goes on without being told.
const LEASE_SECS: u32 = 5;

/// Who listens, and when the kernel is told again.
#[derive(Debug)]
pub struct Sampling {
    listeners: Arc<AtomicUsize>,
    /// As long as somebody asked for it who does not listen.
    wanted_until: Option<Instant>,
    renew_at: Option<Instant>,
}

/// Somebody who listens, until dropped.
#[derive(Debug)]
pub struct Listening(Arc<AtomicUsize>);

impl Drop for Listening {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Sampling {
    /// Nobody listens yet.
    pub fn new() -> Self {
        Self {
            listeners: Arc::new(AtomicUsize::new(0)),
            wanted_until: None,
            renew_at: None,
        }
    }

    /// Whether the kernel samples.
    pub fn is_on(&self) -> bool {
        self.renew_at.is_some()
    }

    /// When to call [`Owner::renew_sampling`].
    pub fn renew_at(&self) -> Instant {
        self.renew_at.unwrap_or_else(Instant::now)
    }
}

impl Default for Sampling {
    fn default() -> Self {
        Self::new()
    }
}

impl Owner {
    /// Samples drops as long as the answer is kept.
    pub fn listen(&mut self) -> Listening {
        self.sampling.listeners.fetch_add(1, Ordering::Relaxed);
        let listening = Listening(Arc::clone(&self.sampling.listeners));
        self.renew_sampling();
        listening
    }

    /// Samples drops for some seconds more.
    pub(super) fn sample_for_a_while(&mut self) {
        self.sampling.wanted_until = Some(Instant::now() + WANTED);
        if !self.sampling.is_on() {
            self.renew_sampling();
        }
    }

    /// Moves the kernel's deadline on, or ends sampling when nobody listens any more.
    pub fn renew_sampling(&mut self) {
        let now = Instant::now();
        let wanted = self.sampling.wanted_until.is_some_and(|until| until > now);
        let on = wanted || self.sampling.listeners.load(Ordering::Relaxed) > 0;
        self.sampling.renew_at = on.then(|| now + RENEW_EVERY);
        let result = self.configure();
        self.note("sampling", result);
    }

    /// Until when the kernel is to sample; 0 for not at all.
    pub(super) fn sample_until(&self) -> u32 {
        match self.sampling.is_on() {
            true => clock::now().boot_secs().0.saturating_add(LEASE_SECS),
            false => 0,
        }
    }

    /// Hands the events in the ring to the listeners.
    pub(super) fn drain(&mut self, events: &mut Events) {
        let now = clock::now().boot_secs();
        while let Some(event) = events.next_event() {
            let sample = self.sample(&event);
            self.stats.window.take(now, &sample);
            self.broadcast.tell(Event::Drop(sample));
        }
    }

    fn sample(&self, event: &DropEvent) -> DropSample {
        let link = self.links.iter().find(|link| link.index == event.ifindex);
        let source = address(event.family, event.source);
        DropSample {
            time: wire_time(wall_of(event.time_ns)),
            interface: link.map_or_else(|| event.ifindex.to_string(), |link| link.name.clone()),
            source,
            geo: source.and_then(|source| self.home(source)),
            destination: address(event.family, event.destination),
            protocol: event.protocol,
            source_port: event.source_port,
            destination_port: event.destination_port,
            vlans: event
                .vlans
                .into_iter()
                .filter(|id| *id != NO_VLAN)
                .collect(),
            length: event.length,
            reason: Reason::from_number(event.reason)
                .map_or("?", Reason::name)
                .to_owned(),
            list: (event.list != 0).then(|| self.name_of(ListId(event.list))),
            observed: event.observed != 0,
        }
    }
}

/// The wall clock's second of a moment on the boot clock.
pub(super) fn wall_of(boot_ns: u64) -> WallSecs {
    let now = clock::now();
    let ago = now.boot.saturating_sub(Duration::from_nanos(boot_ns));
    WallSecs(now.wall.0 - i64::try_from(ago.as_secs()).unwrap_or(0))
}

pub(super) fn address(family: u8, bytes: [u8; 16]) -> Option<IpAddr> {
    let family = Family::from_number(family)?;
    Address::new(family, bytes).ip()
}
