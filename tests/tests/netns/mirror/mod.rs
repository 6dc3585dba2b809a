//! The mirror in netfilter: the same policy once more, with what needs state.
//!
//! Each test runs with both variants of iptables and with nftables, beside rules of somebody else.
//!
//! - [`rules`], [`limits`], [`stateful`], [`hours`]: what each rule lets in and what not
//! - [`lists`]: blocks, allows and guard, where no program filters
//! - [`foreign`]: nothing of others is touched, nothing of ours is left
//! - [`drift`]: what somebody breaks is mended
//! - [`tools`], [`contention`]: programs that are away, fail half-way, wait for each other
//! - [`container`]: published ports, which other tools leave open
//! - [`door`]: who gets in

mod container;
mod contention;
mod door;
mod drift;
mod foreign;
mod hours;
mod limits;
mod lists;
mod rules;
mod stateful;
mod tools;

use fw_tests::lab::{
    INTERFACE, Lab, SECOND_INTERFACE,
    address::SECOND,
    daemon::{Daemon, Launch},
    netfilter::Backend,
};
use serde_json::Value;

/// A test of each backend, from a function that takes one.
macro_rules! with_each_backend {
    ($($body:ident)*) => {$(
        mod $body {
            use fw_tests::lab::netfilter::Backend;

            #[test]
            fn in_iptables_nft() {
                super::$body(Backend::IptablesNft);
            }

            #[test]
            fn in_iptables_legacy() {
                super::$body(Backend::IptablesLegacy);
            }

            #[test]
            fn in_nftables() {
                super::$body(Backend::Nftables);
            }
        }
    )*};
}
use with_each_backend;

/// Which layers packets of the first link meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layers {
    /// The program is on another interface.
    MirrorAlone,
    /// The program first, then the mirror.
    Both,
}

/// A server with rules of somebody else and this mirror.
fn lab(backend: Backend) -> Lab {
    lab_with(backend, "")
}

/// With more lines behind those of the table `[mirror]`.
fn lab_with(backend: Backend, config: &str) -> Lab {
    let lab = Lab::new();
    lab.settle_neighbour(backend);
    lab.configure_mirror(backend, config);
    lab
}

/// A daemon for these layers.
fn launch(lab: &Lab, layers: Layers) -> Launch<'_> {
    match layers {
        Layers::Both => lab.daemon(),
        Layers::MirrorAlone => {
            // A restart has it already.
            if !lab
                .server
                .enter(|| nix::net::if_::if_nametoindex(SECOND_INTERFACE).is_ok())
            {
                lab.link(1, &SECOND);
            }
            lab.daemon().with(&["-i", SECOND_INTERFACE])
        }
    }
}

/// Starts a daemon that keeps this mirror.
#[track_caller]
fn start(lab: &Lab, backend: Backend, layers: Layers) -> Daemon<'_> {
    let daemon = launch(lab, layers).start();
    is_kept_by(lab, backend);
    daemon
}

/// The daemon keeps its mirror with this backend.
#[track_caller]
fn is_kept_by(lab: &Lab, backend: Backend) {
    let mirror = is_in_step(lab);
    assert_eq!(mirror["backend"], backend.name(), "{mirror}");
}

/// Gives its state.
#[track_caller]
fn is_in_step(lab: &Lab) -> Value {
    let mirror = lab.mirror();
    assert_eq!(mirror["state"], "in step", "{mirror}");
    mirror
}

/// Checks with both layers on the first link, and then with the program taken off it.
#[track_caller]
fn with_and_without_the_program(lab: &Lab, check: impl Fn(&str)) {
    check("with the program");
    take_program_off(lab);
    check("without the program");
}

/// The mirror stays.
#[track_caller]
fn take_program_off(lab: &Lab) {
    lab.fw(&["detach", "--yes", "-i", INTERFACE]).must(0);
    let link = lab.tool("ip", &["link", "show", INTERFACE]);
    assert!(!link.contains("xdp"), "{link}");
    is_in_step(lab);
}

/// Adds a rule by the words of the command line; gives its number.
#[track_caller]
fn add(lab: &Lab, words: &str) -> String {
    let words: Vec<&str> = words.split(' ').collect();
    let added = lab.json(&words);
    let id = added["rule"]["id"].as_u64();
    id.unwrap_or_else(|| panic!("{words:?}: {added}"))
        .to_string()
}
