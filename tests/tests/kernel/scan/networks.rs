//! An IPv6 source is a network.

use std::net::IpAddr;

use anyhow::Result;
use fw_common::{Prefix, abi::Config, reason::Reason};
use fw_tests::kernel::{Program, Table};

use super::{THRESHOLD, crosses, enforcing, passes, ports, reason, syn, watching};

/// Addresses of one /64, of another one of the same /48, and of another /48.
fn rotating(network: u16) -> impl Iterator<Item = IpAddr> {
    (1..).map(move |host| {
        IpAddr::from([
            0x2001,
            0xdb8,
            0xbad,
            network,
            host * 257,
            0,
            host,
            host * 31,
        ])
    })
}

#[test]
fn a_scanner_that_rotates_through_its_network_is_one_source() -> Result<()> {
    let ports = ports();
    for (length, crossing, neighbour) in [(64, 9, 10), (48, 9, 9)] {
        let kernel = watching(Config {
            v6_prefix: length,
            ..enforcing()
        })?;
        for (at, source) in rotating(1).take(crossing).enumerate() {
            passes(&kernel, Program::Frags, source, &ports[at..=at])?;
        }
        let source = rotating(1).nth(crossing).expect("endless");
        crosses(&kernel, Program::Frags, source, &ports[9..10])?;
        let network = Prefix::new(source, length as u8).expect("not too long");
        assert_eq!(kernel.entry(Table::Block, network)?.packets, 1);
        for source in rotating(1).take(50) {
            let found = reason(&kernel, Program::Frags, &syn(source, 1))?;
            assert_eq!(found, Reason::Block);
        }
        // The neighbouring /64.
        let source = rotating(2).next().expect("endless");
        let found = reason(&kernel, Program::Frags, &syn(source, 1))?;
        let free = neighbour == 10;
        let expected = if free { Reason::Default } else { Reason::Block };
        assert_eq!(found, expected, "beside a /{length}");
        let elsewhere = IpAddr::from([0x2001, 0xdb8, 0xbae, 1, 0, 0, 0, 1]);
        passes(&kernel, Program::Frags, elsewhere, &ports[..1])?;
    }
    Ok(())
}

#[test]
fn an_ipv6_host_can_be_a_source_of_its_own() -> Result<()> {
    let ports = ports();
    let kernel = watching(Config {
        v6_prefix: 128,
        ..enforcing()
    })?;
    for (at, source) in rotating(1).take(20).enumerate() {
        passes(&kernel, Program::Frags, source, &ports[at..=at])?;
    }
    let source = rotating(3).next().expect("endless");
    crosses(&kernel, Program::Frags, source, &ports[..THRESHOLD])?;
    assert_eq!(
        kernel.entry(Table::Block, Prefix::host(source))?.length,
        128
    );
    let other = rotating(3).nth(1).expect("endless");
    passes(&kernel, Program::Frags, other, &ports[..1])
}

/// The server's own network: its addresses have owners of their own, the router among them.
#[test]
fn a_scanner_among_our_neighbours_is_one_address() -> Result<()> {
    let ports = ports();
    let neighbour = |host| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 1, host]);
    for length in [48, 64, 128] {
        let kernel = watching(Config {
            v6_prefix: length,
            ..enforcing()
        })?;
        crosses(&kernel, Program::Frags, neighbour(1), &ports[..THRESHOLD])?;
        let entry = kernel.entry(Table::Block, Prefix::host(neighbour(1)))?;
        assert_eq!(entry.length, 128);
        for (host, port) in (2..).zip(&ports) {
            passes(&kernel, Program::Frags, neighbour(host), &[*port])?;
        }
    }
    Ok(())
}
