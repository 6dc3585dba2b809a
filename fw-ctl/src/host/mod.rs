//! What this machine is: clocks, interfaces, own addresses, gateways, resolvers, SSH sessions,
//! served ports, peers of connections.
//!
//! Everything is asked of the kernel in the network namespace of the calling thread.

pub mod addresses;
pub mod capabilities;
pub mod clock;
mod conntrack;
pub mod files;
pub mod links;
pub mod listeners;
pub mod memory;
pub mod netfilter;
mod netlink;
mod nfnetlink;
pub mod peers;
pub mod published;
pub mod random;
pub mod resolvers;
mod sock_diag;
pub mod ssh;
pub mod tool;
pub mod watch;
pub mod xdp_features;

use std::{collections::BTreeSet, net::IpAddr};

use tokio::task;

use crate::detect::ports::{PortSet, Ports};

pub use netlink::NetlinkError;

/// The addresses that must stay reachable whatever is blocked, each list sorted and without
/// repetition.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Discovered {
    /// Addresses of this machine.
    pub own: Vec<IpAddr>,
    /// Next hops of its routes.
    pub gateways: Vec<IpAddr>,
    /// Name servers it asks.
    pub resolvers: Vec<IpAddr>,
    /// Who is logged in through SSH.
    pub ssh_peers: Vec<IpAddr>,
    /// What could not be found out, one sentence each: the lists are incomplete.
    pub problems: Vec<String>,
}

/// Looks around. A part that fails is a problem and leaves the others whole.
pub async fn discover() -> Discovered {
    let looked = task::spawn_blocking(look).await;
    looked.unwrap_or_else(|error| Discovered {
        problems: vec![format!("discovery broke off: {error}")],
        ..Discovered::default()
    })
}

/// [`discover`], on the calling thread.
pub fn look() -> Discovered {
    let mut problems = Vec::new();
    let mut take = |found: Found| {
        problems.extend(found.problems);
        found.addresses.into_iter().collect()
    };
    Discovered {
        own: take(addresses::own()),
        gateways: take(addresses::gateways()),
        resolvers: take(resolvers::find()),
        ssh_peers: take(ssh::peers()),
        problems,
    }
}

/// Addresses, and why there may be more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// What was found.
    pub addresses: BTreeSet<IpAddr>,
    /// What could not be found out, one sentence each.
    pub problems: Vec<String>,
}

impl Found {
    fn add(&mut self, address: IpAddr) {
        let address = address.to_canonical();
        if !address.is_unspecified() {
            self.addresses.insert(address);
        }
    }

    fn fail(&mut self, error: impl std::error::Error) {
        self.problems.push(describe(&error));
    }
}

/// Ports that other hosts are served at, and why there may be more.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OpenPorts {
    /// What was found.
    pub ports: PortSet,
    /// Where answers to this host's own questions arrive.
    pub answers: Option<Ports>,
    /// What could not be found out, one sentence each.
    pub problems: Vec<String>,
}

impl OpenPorts {
    /// Takes in what was found elsewhere.
    pub fn extend(&mut self, other: &Self) {
        self.ports.merge(&other.ports);
        self.problems.extend(other.problems.iter().cloned());
    }
}

/// An error and its causes, in one line.
fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text += &format!(": {error}");
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn discovery_finds_this_machine_in_milliseconds() {
        let start = std::time::Instant::now();
        let found = discover().await;
        let elapsed = start.elapsed();
        assert_eq!(
            found.own,
            addresses::own().addresses.into_iter().collect::<Vec<_>>()
        );
        assert_eq!(
            found.resolvers,
            resolvers::find().addresses.into_iter().collect::<Vec<_>>()
        );
        assert!(
            elapsed.as_millis() < 1000,
            "{elapsed:?}: it runs before every change"
        );
    }

    #[test]
    fn a_failure_is_told_with_its_causes_and_an_address_once() {
        let mut found = Found::default();
        found.fail(NetlinkError {
            what: "links",
            source: std::io::Error::from_raw_os_error(libc::EPERM),
        });
        assert_eq!(
            found.problems,
            ["cannot read links from the kernel: Operation not permitted (os error 1)"]
        );
        for text in ["192.0.2.1", "::ffff:192.0.2.1", "0.0.0.0", "::"] {
            found.add(text.parse().expect("an address"));
        }
        let addresses: Vec<_> = found.addresses.into_iter().collect();
        assert_eq!(
            addresses,
            ["192.0.2.1".parse::<IpAddr>().expect("an address")]
        );
    }
}
