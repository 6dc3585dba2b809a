//! What the interfaces can do, and whose programs they run.

use std::{collections::BTreeMap, fs, io, path::Path};

use aya::programs::ProgramInfo;

use super::{Check, State};
use crate::{
    backend::xdp::pins::Pins,
    host::{
        links::{self, Link, Xdp, XdpMode},
        xdp_features::{Features, xdp_features},
    },
};

/// Kinds that never run a program before the stack, for kernels that do not tell.
const GENERIC_ONLY: [&str; 12] = [
    "bridge",
    "dummy",
    "gre",
    "ifb",
    "ipip",
    "ipvlan",
    "loopback",
    "macvlan",
    "sit",
    "vlan",
    "vxlan",
    "wireguard",
];

/// Without packets of several buffers a driver wants each of them in one page, with its own things
/// around it.
const PAGE_MTU: u32 = 3_500;

/// Of the named interfaces, or of all.
pub(super) fn checks(names: &[String], pin_dir: &Path) -> Vec<Check> {
    let links = match links::interfaces() {
        Ok(links) => links,
        Err(error) => {
            let found = format!("{:#}", anyhow::Error::new(error));
            return vec![Check::fail("interfaces", found, "grant AF_NETLINK sockets")];
        }
    };
    // Where the kernel does not answer it cannot tell either.
    let features = xdp_features().ok().flatten();
    let ours = our_programs(pin_dir);
    let mut checks = Vec::new();
    for name in names {
        match links.iter().find(|link| link.name == *name) {
            Some(link) => checks.extend(look(link, features.as_ref(), ours.as_deref(), true)),
            None => checks.push(missing(name, &links)),
        }
    }
    if names.is_empty() {
        for link in &links {
            checks.extend(look(link, features.as_ref(), ours.as_deref(), false));
        }
    }
    checks
}

/// Ids of the programs that are pinned, of every version; `None` where we may not look.
fn our_programs(pin_dir: &Path) -> Option<Vec<u32>> {
    let mut ids = Vec::new();
    for directory in Pins::new(pin_dir).versions() {
        let program = directory.join("program");
        if program.exists() {
            ids.push(ProgramInfo::from_pin(program).ok()?.id());
        }
    }
    let hidden = fs::read_dir(pin_dir).is_err_and(|error| error.kind() != io::ErrorKind::NotFound);
    (!hidden).then_some(ids)
}

fn missing(name: &str, links: &[Link]) -> Check {
    let found = match links::validate_name(name) {
        Ok(()) => "no such interface".to_owned(),
        Err(error) => error.to_string(),
    };
    let names: Vec<_> = links.iter().map(|link| &*link.name).collect();
    let name: String = name.chars().take(20).collect();
    let mend = format!("there are {}", names.join(", "));
    Check::fail(format!("interface {name}"), found, mend)
}

fn look(
    link: &Link,
    features: Option<&BTreeMap<u32, Features>>,
    ours: Option<&[u32]>,
    asked_for: bool,
) -> Vec<Check> {
    let told = features.map(|features| features.get(&link.index).copied());
    let mut checks = vec![interface(link, told.flatten(), asked_for)];
    if let Some(xdp) = link.xdp {
        checks.push(program(link, xdp, ours, asked_for));
    }
    checks
}

fn interface(link: &Link, features: Option<Features>, asked_for: bool) -> Check {
    let Link { name, mtu, .. } = link;
    let native = match features {
        Some(features) => Some(features.native),
        None if link
            .kind
            .as_deref()
            .is_some_and(|kind| GENERIC_ONLY.contains(&kind)) =>
        {
            Some(false)
        }
        None => None,
    };
    let driver = link.driver();
    let made_by = driver
        .as_deref()
        .or(link.kind.as_deref())
        .unwrap_or("unknown driver");
    let state = if link.up { "up" } else { "down" };
    let mode = match native {
        Some(true) => "native XDP",
        Some(false) => "generic XDP only",
        None => "native XDP if the driver has it, which this kernel does not tell",
    };
    let found = format!("{state}, MTU {mtu}, {made_by}, {mode}");
    let name = format!("interface {name}");
    let one_page = features.is_some_and(|features| features.native && !features.frags);
    if asked_for && !link.up {
        Check::warn(name, found, format!("ip link set dev {} up", link.name))
    } else if one_page && *mtu > PAGE_MTU {
        let found = format!("{found}, not with this MTU");
        let mend = "lower the MTU, or take generic mode (-m skb)";
        Check::warn(name, found, mend)
    } else if native == Some(false) && driver.is_some() {
        let mend = "it works, at a higher cost for each packet; a newer driver may do better";
        Check::warn(name, found, mend)
    } else {
        Check::ok(name, found)
    }
}

/// A foreign program is in the way only where ours shall go.
fn program(link: &Link, xdp: Xdp, ours: Option<&[u32]>, asked_for: bool) -> Check {
    let Xdp { mode, program_id } = xdp;
    let name = format!("program {}", link.name);
    let found = format!("id {program_id}, {}", mode.name());
    match ours {
        Some(ids) if ids.contains(&program_id) => {
            return Check::ok(name, format!("ours, {found}"));
        }
        Some(_) => (),
        None => {
            let found = format!("{found}, ours or not cannot be told");
            return Check::warn(name, found, "run it as root");
        }
    }
    let flag = match mode {
        XdpMode::Native => "xdpdrv",
        XdpMode::Generic => "xdpgeneric",
        XdpMode::Offload => "xdpoffload",
    };
    let mend = format!(
        "bpftool prog show id {program_id} says what it is; stop its owner, or ip link set dev {} {flag} off",
        link.name
    );
    Check {
        state: if asked_for { State::Fail } else { State::Warn },
        ..Check::warn(name, format!("foreign, {found}"), mend)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State::{Fail, Ok, Warn};

    fn link(kind: &str) -> Link {
        Link {
            index: 7,
            name: "eth0".into(),
            mtu: 1500,
            up: true,
            kind: Some(kind.into()),
            address: Vec::new(),
            xdp: None,
            parent: None,
        }
    }

    const NATIVE: Features = Features {
        native: true,
        frags: true,
    };

    #[test]
    fn what_the_kernel_tells_counts_more_than_the_kind() {
        let said = |kind: &str, features| interface(&link(kind), features, true).found;
        assert_eq!(said("veth", Some(NATIVE)), "up, MTU 1500, veth, native XDP");
        assert_eq!(
            said("bridge", Some(NATIVE)),
            "up, MTU 1500, bridge, native XDP"
        );
        assert_eq!(
            said("bridge", None),
            "up, MTU 1500, bridge, generic XDP only"
        );
        assert!(said("veth", None).contains("does not tell"));
    }

    #[test]
    fn a_large_mtu_needs_packets_of_several_buffers() {
        let one_page = Features {
            native: true,
            frags: false,
        };
        let mut link = link("veth");
        assert_eq!(interface(&link, Some(one_page), true).state, Ok);
        link.mtu = 9000;
        assert_eq!(interface(&link, Some(one_page), true).state, Warn);
        assert_eq!(interface(&link, Some(NATIVE), true).state, Ok);
    }

    #[test]
    fn an_interface_that_is_down_matters_where_it_is_asked_for() {
        let mut link = link("veth");
        link.up = false;
        assert_eq!(interface(&link, Some(NATIVE), false).state, Ok);
        let check = interface(&link, Some(NATIVE), true);
        assert_eq!(check.mend.as_deref(), Some("ip link set dev eth0 up"));
    }

    #[test]
    fn a_foreign_program_is_named_with_the_way_to_take_it_off() {
        let xdp = Xdp {
            mode: XdpMode::Generic,
            program_id: 9,
        };
        let link = link("veth");
        assert_eq!(program(&link, xdp, Some(&[8, 9]), true).state, Ok);
        assert_eq!(program(&link, xdp, Some(&[8]), false).state, Warn);
        assert_eq!(program(&link, xdp, None, true).state, Warn);
        let check = program(&link, xdp, Some(&[8]), true);
        assert_eq!(
            (check.state, &*check.found),
            (Fail, "foreign, id 9, generic")
        );
        let mend = check.mend.expect("a way");
        assert!(
            mend.ends_with("ip link set dev eth0 xdpgeneric off"),
            "{mend}"
        );
    }

    #[test]
    fn interfaces_that_cannot_be_are_failures_beside_those_that_are() {
        let names = ["lo".to_owned(), "no-such-iface".to_owned(), "x".repeat(200)];
        let checks = checks(&names, Path::new("/nowhere"));
        let [lo, absent, long] = &checks[..] else {
            panic!("{checks:?}");
        };
        assert_eq!(lo.check, "interface lo");
        assert_ne!(lo.state, Fail);
        assert!(
            lo.found.contains("loopback, generic XDP only"),
            "{}",
            lo.found
        );
        assert_eq!((absent.state, &*absent.found), (Fail, "no such interface"));
        assert!(
            absent
                .mend
                .as_deref()
                .is_some_and(|mend| mend.contains("lo"))
        );
        assert_eq!(long.state, Fail);
        assert_eq!(
            long.found,
            "an interface name has 1 to 15 bytes, this one has 200"
        );
        assert!(long.check.len() < 40);
    }
}
