//! What the mirror can use: the tools of netfilter, whose rules stand there, connection tracking.

use std::{
    fs::{self, File},
    io,
    path::Path,
};

use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
    unistd::{AccessFlags, access},
};

use super::Check;
use crate::host::netfilter::{Choice, Live, choose, live};

/// What legacy iptables locks (`XTABLES_LOCKFILE` of iptables(8) names another).
const LOCK: &str = "/run/xtables.lock";

const CONNTRACK: &str = "/proc/sys/net/netfilter";

/// All of them.
pub(super) fn checks() -> Vec<Check> {
    let live = live();
    let mut checks = vec![tools(&live), mirror(&live), rules(&live)];
    if live.has_iptables_legacy {
        checks.push(lock(Path::new(LOCK)));
    }
    let number = |name: &str| fs::read_to_string(Path::new(CONNTRACK).join(name));
    checks.push(conntrack(
        number("nf_conntrack_count"),
        number("nf_conntrack_max"),
    ));
    checks
}

const INSTALL: &str = "install nftables, or iptables and ipset";

fn tools(live: &Live) -> Check {
    let mut found: Vec<&str> = live.iptables.as_deref().into_iter().collect();
    let others = [
        (live.has_iptables_nft, "iptables-nft"),
        (live.has_iptables_legacy, "iptables-legacy"),
        (live.has_ipset, "ipset"),
        (live.has_nft, "nft"),
    ];
    found.extend(
        others
            .iter()
            .filter(|(is_there, _)| *is_there)
            .map(|(_, name)| name),
    );
    match found.is_empty() {
        true => Check::warn("netfilter", "no tool of it is installed", INSTALL),
        false => Check::ok("netfilter", found.join(", ")),
    }
}

fn mirror(live: &Live) -> Check {
    let (choice, why) = choose(live);
    let name = match choice {
        Choice::IptablesNft => "iptables-nft",
        Choice::IptablesLegacy => "iptables-legacy",
        Choice::Nftables => "nftables",
        Choice::None => {
            return Check::warn("mirror", format!("none: {why}"), INSTALL);
        }
    };
    let found = format!("{name}: {why}");
    match live.problems.is_empty() {
        true => Check::ok("mirror", found),
        false => Check::warn(
            "mirror",
            found,
            "run it as root, or choose: [mirror] backend",
        ),
    }
}

/// Whose rules there are, without ours.
fn rules(live: &Live) -> Check {
    let all = [
        (live.legacy.any, "legacy iptables"),
        (live.iptables_nft.any, "iptables over nftables"),
        (live.native.any, "nftables"),
    ];
    let kept = all.iter().filter(|(any, _)| *any).map(|(_, name)| *name);
    let kept: Vec<&str> = kept.collect();
    match &*kept {
        [] => Check::ok("rules", "no other's"),
        ["legacy iptables", _, ..] => Check::warn(
            "rules",
            format!("of {}: a packet must pass all of them", kept.join(" and ")),
            "keep one: iptables-legacy-save | iptables-nft-restore, then iptables-legacy -F; the same with ip6tables",
        ),
        kept => Check::ok("rules", format!("of {}", kept.join(" and "))),
    }
}

/// Whether legacy iptables can take its lock.
fn lock(path: &Path) -> Check {
    const NAME: &str = "xtables lock";
    let found = path.display();
    let mend = "make it writable for root, or set XTABLES_LOCKFILE to a place that is";
    let errno = match File::open(path) {
        Ok(file) => match Flock::lock(file, FlockArg::LockSharedNonblock) {
            Ok(_) => return Check::ok(NAME, format!("{found} is free")),
            Err((_, Errno::EWOULDBLOCK)) => {
                let found = format!("{found} is held: changes wait for it");
                return Check::warn(NAME, found, "lslocks shows who holds it");
            }
            Err((_, errno)) => errno,
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let directory = path.parent().unwrap_or(Path::new("/"));
            match access(directory, AccessFlags::W_OK | AccessFlags::X_OK) {
                Ok(()) => return Check::ok(NAME, format!("{found} can be made")),
                Err(errno) => errno,
            }
        }
        Err(error) => return Check::warn(NAME, format!("{found}: {error}"), mend),
    };
    Check::warn(NAME, format!("{found}: {}", errno.desc()), mend)
}

/// Whether the kernel knows connections, and has room for more.
fn conntrack(count: io::Result<String>, max: io::Result<String>) -> Check {
    let number = |text: io::Result<String>| text.ok()?.trim().parse::<u64>().ok();
    let (Some(count), Some(max)) = (number(count), number(max)) else {
        return Check::warn(
            "conntrack",
            "connections are not tracked yet; the first rule that asks for it begins",
            "modprobe nf_conntrack",
        );
    };
    let found = format!("{count} connections of at most {max}");
    match count.saturating_mul(10) >= max.saturating_mul(9) {
        true => Check::warn(
            "conntrack",
            format!("{found}: new ones are dropped when it is full"),
            format!(
                "sysctl -w net.netfilter.nf_conntrack_max={}",
                max.saturating_mul(2)
            ),
        ),
        false => Check::ok("conntrack", found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        cli::doctor::State::{Ok, Warn},
        host::netfilter::Rules,
    };

    const SOME: Rules = Rules {
        any: true,
        input: true,
    };

    fn debian() -> Live {
        Live {
            iptables: Some("iptables v1.8.9 (nf_tables)".into()),
            has_iptables_nft: true,
            has_iptables_legacy: true,
            has_ipset: true,
            has_nft: true,
            ..Live::default()
        }
    }

    #[test]
    fn tools_are_named_or_how_to_get_them() {
        assert_eq!(
            tools(&debian()).found,
            "iptables v1.8.9 (nf_tables), iptables-nft, iptables-legacy, ipset, nft"
        );
        let none = Live::default();
        assert_eq!(tools(&none).mend.as_deref(), Some(INSTALL));
        assert_eq!(mirror(&none).mend.as_deref(), Some(INSTALL));
        assert!(mirror(&none).found.starts_with("none: "));
    }

    #[test]
    fn the_mirror_that_would_be_chosen_is_named_with_its_reason() {
        let check = mirror(&debian());
        assert_eq!(check.state, Ok);
        assert!(check.found.starts_with("iptables-nft: "), "{}", check.found);
        let hidden = Live {
            problems: vec!["nft failed: not permitted".into()],
            ..debian()
        };
        let check = mirror(&hidden);
        assert_eq!(check.state, Warn);
        assert!(
            check.found.ends_with("nft failed: not permitted"),
            "{}",
            check.found
        );
    }

    #[test]
    fn only_a_mixture_with_legacy_rules_is_warned_of() {
        assert_eq!(rules(&debian()).found, "no other's");
        let newer = Live {
            iptables_nft: SOME,
            native: SOME,
            ..debian()
        };
        let check = rules(&newer);
        assert_eq!(
            (check.state, check.found.as_str()),
            (Ok, "of iptables over nftables and nftables")
        );
        let legacy = Live {
            legacy: SOME,
            ..debian()
        };
        assert_eq!(rules(&legacy).state, Ok);
        let mixed = Live {
            legacy: SOME,
            ..newer
        };
        assert_eq!(rules(&mixed).state, Warn);
    }

    #[test]
    fn a_lock_is_free_held_or_out_of_reach() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("xtables.lock");
        assert!(lock(&path).found.ends_with("can be made"));
        let file = File::create(&path).expect("a temporary directory");
        assert!(lock(&path).found.ends_with("is free"));
        let held = Flock::lock(file, FlockArg::LockExclusiveNonblock).expect("a free lock");
        let check = lock(&path);
        assert_eq!(check.state, Warn);
        assert!(check.found.contains("is held"), "{}", check.found);
        drop(held);
        assert_eq!(lock(Path::new("/proc/nowhere/xtables.lock")).state, Warn);
    }

    #[test]
    fn a_table_of_connections_has_room_or_the_command_that_makes_some() {
        let read = |text: &str| io::Result::Ok(text.to_owned());
        assert_eq!(conntrack(read("89\n"), read("100\n")).state, Ok);
        let full = conntrack(read("90\n"), read("100\n"));
        assert_eq!(
            full.mend.as_deref(),
            Some("sysctl -w net.netfilter.nf_conntrack_max=200")
        );
        let missing = || Err(io::ErrorKind::NotFound.into());
        let none = conntrack(missing(), missing());
        assert_eq!(none.mend.as_deref(), Some("modprobe nf_conntrack"));
    }
}
