//! Sources that the program decides about in different ways, taken from the policy.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fw_common::Prefix;

use crate::{
    backend::xdp::probe::Protocol,
    policy::{Policy, entry::Action, guard::GuardSource},
};

/// Entries that are looked at for an example of a kind.
const LOOKED_AT: usize = 100_000;

/// Addresses of no host (RFC 5737, RFC 3849, RFC 9637): lists seldom name them.
const NOBODY_V4: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V4(Ipv4Addr::new(198, 51, 100, 1)),
    IpAddr::V4(Ipv4Addr::new(203, 0, 113, 1)),
];
const NOBODY_V6: [IpAddr; 2] = [
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
    IpAddr::V6(Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 1)),
];

/// What a packet is, and its source.
pub type Example = (&'static str, Protocol, IpAddr);

/// Both families. A kind that the policy has no source of is left out.
pub fn examples(policy: &Policy) -> Vec<Example> {
    let family = |nobody: &[IpAddr]| {
        let Some(all) = nobody.first().and_then(|address| Prefix::new(*address, 0)) else {
            return Vec::new();
        };
        let unlisted = nobody
            .iter()
            .copied()
            .find(|source| is_free(policy, *source));
        let host = first(policy, Action::Block, all, true);
        let beside = host
            .map(neighbour)
            .filter(|source| is_free(policy, *source));
        let prefix = first(policy, Action::Block, all, false);
        let allowed = first(policy, Action::Allow, all, true)
            .or_else(|| first(policy, Action::Allow, all, false));
        let rows = [
            ("established, in no list", Protocol::Established, unlisted),
            ("SYN, in no list", Protocol::Tcp, unlisted),
            ("SYN, beside a blocked host", Protocol::Tcp, beside),
            ("SYN, a blocked host", Protocol::Tcp, host),
            ("SYN, in a blocked prefix", Protocol::Tcp, prefix),
            ("SYN, allowed", Protocol::Tcp, allowed),
            ("SYN, guarded", Protocol::Tcp, guarded(policy, all)),
        ];
        let some = |(what, protocol, source): (_, _, Option<_>)| Some((what, protocol, source?));
        rows.into_iter().filter_map(some).collect::<Vec<Example>>()
    };
    [family(&NOBODY_V4), family(&NOBODY_V6)].concat()
}

/// Whether nothing names it.
fn is_free(policy: &Policy, source: IpAddr) -> bool {
    let source = Prefix::host(source);
    let is_listed = |action| policy.table(action).covering(source).next().is_some();
    policy.guard.conflict(source).is_none() && !Action::ALL.into_iter().any(is_listed)
}

/// The last address of the first entry that is a host, or is not, and that nothing stronger covers.
fn first(policy: &Policy, action: Action, all: Prefix, is_host: bool) -> Option<IpAddr> {
    let entries = policy.table(action).within(all.address()..=all.last());
    let mut sources = entries
        .take(LOOKED_AT)
        .map(|(place, _)| place.prefix)
        .filter(|prefix| prefix.is_host() == is_host)
        .map(|prefix| prefix.last());
    sources.find(|source| {
        let source = Prefix::host(*source);
        let allowed = policy
            .table(Action::Allow)
            .covering(source)
            .next()
            .is_some();
        policy.guard.conflict(source).is_none() && (action == Action::Allow || !allowed)
    })
}

/// In the same /31 or /127.
fn neighbour(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() ^ 1).into(),
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() ^ 1).into(),
    }
}

/// Rather an own address than one that never comes.
fn guarded(policy: &Policy, all: Prefix) -> Option<IpAddr> {
    let own = policy.guard.of(GuardSource::OwnAddress);
    let others = policy.guard.iter().map(|(prefix, _)| prefix);
    own.chain(others)
        .map(|prefix| prefix.address())
        .find(|address| all.contains(*address) && !address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{
        change::Change,
        entry::{Comment, Item, ListName},
        time::{Now, WallSecs},
    };

    const NOW: Now = Now {
        boot: std::time::Duration::from_secs(1000),
        wall: WallSecs(1_000_000),
    };

    fn policy(entries: &[(Action, &str)]) -> Policy {
        let mut policy = Policy::default();
        for (action, prefix) in entries {
            let change = Change::Put {
                action: *action,
                list: ListName::local(),
                items: vec![Item {
                    prefix: prefix.parse().expect("a prefix"),
                    deadline: None,
                    comment: Comment::default(),
                    created: None,
                }],
                strict: false,
            };
            let draft = policy.prepare(change, NOW).expect("the change is good");
            policy.apply(&draft);
        }
        policy
    }

    /// What is found of one family, without the protocol.
    fn found(policy: &Policy, is_v4: bool) -> Vec<(&'static str, String)> {
        let examples = examples(policy).into_iter();
        examples
            .filter(|(.., source)| source.is_ipv4() == is_v4)
            .map(|(what, _, source)| (what, source.to_string()))
            .collect()
    }

    fn rows(rows: &[(&'static str, &str)]) -> Vec<(&'static str, String)> {
        let row = |(what, source): &(&'static str, &str)| (*what, (*source).to_owned());
        rows.iter().map(row).collect()
    }

    #[test]
    fn each_kind_that_the_policy_has_gets_an_example_of_its_family() {
        let policy = policy(&[
            (Action::Block, "198.18.0.8"),
            (Action::Block, "198.18.7.0/24"),
            (Action::Allow, "198.19.0.0/16"),
            (Action::Block, "2a00::/32"),
        ]);
        assert_eq!(
            found(&policy, true),
            rows(&[
                ("established, in no list", "192.0.2.1"),
                ("SYN, in no list", "192.0.2.1"),
                ("SYN, beside a blocked host", "198.18.0.9"),
                ("SYN, a blocked host", "198.18.0.8"),
                ("SYN, in a blocked prefix", "198.18.7.255"),
                ("SYN, allowed", "198.19.255.255"),
                ("SYN, guarded", "0.0.0.0"),
            ])
        );
        assert_eq!(
            found(&policy, false),
            rows(&[
                ("established, in no list", "2001:db8::1"),
                ("SYN, in no list", "2001:db8::1"),
                (
                    "SYN, in a blocked prefix",
                    "2a00:0:ffff:ffff:ffff:ffff:ffff:ffff"
                ),
                ("SYN, guarded", "::"),
            ])
        );
    }

    #[test]
    fn a_source_that_something_stronger_covers_is_no_example() {
        let mut policy = policy(&[
            (Action::Block, "198.18.0.8"),
            (Action::Allow, "198.18.0.0/24"),
            (Action::Block, "198.18.1.8"),
            (Action::Block, "192.0.2.0/24"),
            (Action::Block, "198.51.100.1"),
            (Action::Block, "203.0.113.0/24"),
        ]);
        let own = "198.18.1.9/32".parse().expect("a prefix");
        policy.guard.set(GuardSource::OwnAddress, [own]);
        assert_eq!(
            found(&policy, true),
            rows(&[
                ("SYN, a blocked host", "198.18.1.8"),
                ("SYN, in a blocked prefix", "192.0.2.255"),
                ("SYN, allowed", "198.18.0.255"),
                ("SYN, guarded", "198.18.1.9"),
            ]),
            "the examples of no list are listed, and the neighbour is guarded"
        );
    }
}
