//! Which ports are served: what listens here, what address translation sends on, and what the
//! configuration says.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use fw_common::abi::PortWord;

use super::super::{
    handle::Handle,
    owner::Owner,
    problem::{Failure, all_found, kernel},
};
use crate::{
    detect::ports::Ports as Range,
    host::{OpenPorts, clock, listeners, published::Published},
};

/// How often is looked. A service that is younger is known to the kernel program all the same: it
/// asks for a socket before it counts.
pub const LOOK: Duration = Duration::from_secs(5);

/// The look before has not come to its end.
const BUSY: &str = "the tools that show published ports take their time";

/// The look at published ports remembers what it saw.
#[derive(Clone, Default)]
pub struct Ports(Arc<Mutex<Published>>);

impl Ports {
    /// Looks, in a task of its own, and hands the owner what was found.
    pub fn look(&self, handle: Handle, own: Vec<IpAddr>) {
        let published = Arc::clone(&self.0);
        tokio::spawn(async move {
            let looked = tokio::task::spawn_blocking(move || {
                let mut open = listeners::look();
                // A tool that hangs holds one thread, and not one more with every look.
                let elsewhere = match published.try_lock() {
                    Ok(mut published) => {
                        let found = published.look(&own);
                        open.extend(found);
                        Some(found.ports.clone())
                    }
                    Err(_) => {
                        open.problems.push(BUSY.to_owned());
                        None
                    }
                };
                (open, elsewhere)
            });
            let Ok((open, elsewhere)) = looked.await else {
                return;
            };
            let taken = handle.call(move |owner| {
                if let Some(ports) = elsewhere.filter(|ports| *ports != owner.published) {
                    owner.published = ports;
                    owner.push_down();
                }
                let result = owner.take_ports(&open);
                owner.note("served ports", result.and(all_found(&open.problems)));
                Ok(())
            });
            // The daemon is ending: nobody is left to be told.
            drop(taken.await);
        });
    }
}

impl Owner {
    /// Tells the kernel which ports are served.
    pub(in super::super) fn take_ports(&mut self, open: &OpenPorts) -> Result<(), Failure> {
        let before = self.scan.answers;
        self.scan.answers = open.answers.into_iter().chain(before).reduce(|a, b| Range {
            first: a.first.min(b.first),
            last: a.last.max(b.last),
            ..a
        });
        let scan = &mut self.scan;
        let mut serving = open.ports.clone();
        serving.extend(scan.answers);
        serving.merge(&scan.settings.served);
        if !open.problems.is_empty() {
            // Who was served before may still be.
            serving.merge(scan.served.ports());
        }
        scan.served
            .look(&serving, scan.settings.grace, clock::now());
        let served = scan.served.ports().words();
        let bait = scan.settings.bait.words();
        let words = served.iter().zip(bait);
        let words: Vec<PortWord> = words
            .map(|(served, bait)| PortWord {
                served: *served,
                bait: *bait,
            })
            .collect();
        if words != scan.words {
            let written = self.xdp.scan.set_ports(&scan.words, &words);
            written.map_err(|error| kernel("cannot write the served ports", &error))?;
            scan.words = words;
        }
        if scan.answers != before || !scan.ready {
            scan.ready = true;
            self.configure()?;
        }
        Ok(())
    }

    /// Addresses of this host, as of the last look.
    pub(in super::super) fn own_addresses(&self) -> Vec<IpAddr> {
        self.scan.own.iter().copied().collect()
    }
}
