//! The kernel's tables, as they grow step by step, against the plain list of entries.

use std::collections::BTreeMap;

use fw_common::abi;
use proptest::prelude::*;

use super::*;

/// What the kernel would say of an address: hosts first, then the longest prefix, each only while
/// its deadline has not passed.
fn kernel_blocks(rows: &BTreeMap<Prefix, Effective>, address: IpAddr, second: u32) -> bool {
    let live = |effective: &Effective| {
        effective.deadline.map_or(abi::NEVER, |deadline| deadline.0) > second
    };
    let host = rows.get(&Prefix::host(address)).is_some_and(live);
    let longest = Prefix::host(address)
        .ancestors()
        .skip(1)
        .find_map(|covering| rows.get(&covering));
    host || longest.is_some_and(live)
}

#[derive(Clone, Debug)]
enum Step {
    Put(Prefix, Option<u32>, bool),
    Remove(Prefix),
    Flush,
    Expire(u32),
}

/// Few bits, so that prefixes nest and meet.
fn nested_prefix() -> impl Strategy<Value = Prefix> {
    let v4 = (0u32..64, 24u8..=32).prop_map(|(low, length)| {
        Prefix::new(
            std::net::Ipv4Addr::from_bits(0xc000_0200 | low).into(),
            length,
        )
    });
    let v6 = (0u128..64, 120u8..=128).prop_map(|(low, length)| {
        let address = std::net::Ipv6Addr::from_bits((0x2001_0db8 << 96) | low);
        Prefix::new(address.into(), length)
    });
    prop_oneof![v4, v6].prop_filter_map("the length fits", |prefix| prefix)
}

fn step() -> impl Strategy<Value = Step> {
    let deadline = prop_oneof![Just(None), (1000u32..1040).prop_map(Some)];
    prop_oneof![
        6 => (nested_prefix(), deadline, any::<bool>()).prop_map(|(p, d, l)| Step::Put(p, d, l)),
        3 => nested_prefix().prop_map(Step::Remove),
        1 => Just(Step::Flush),
        1 => (1000u32..1040).prop_map(Step::Expire),
    ]
}

fn take(policy: &Policy, step: &Step) -> Draft {
    let prepared = |change| policy.prepare(change, NOW).unwrap_or_default();
    match step {
        Step::Put(prefix, deadline, local) => prepared(Change::Put {
            action: Action::Block,
            list: list(if *local { "local" } else { "feed" }),
            items: vec![Item {
                prefix: *prefix,
                deadline: deadline.map(BootSecs),
                comment: Comment::default(),
            }],
            strict: false,
        }),
        Step::Remove(prefix) => prepared(Change::Remove {
            action: Action::Block,
            prefixes: vec![*prefix],
        }),
        Step::Flush => prepared(Change::Flush { list: list("feed") }),
        Step::Expire(second) => policy.ended(Now {
            boot: Duration::from_secs(u64::from(*second)),
            ..NOW
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    /// After every step, what the steps wrote into the kernel is what a full rendering would
    /// write, and it answers for every address and second as the plain list of entries does. A
    /// step that is taken back leaves no trace.
    #[test]
    fn the_kernel_tables_say_what_the_list_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut policy = policy();
        let mut kernel: BTreeMap<Prefix, Effective> = BTreeMap::new();
        for step in &steps {
            let draft = take(&policy, step);
            policy.apply(&draft);
            policy.revert(&draft);
            policy.apply(&draft);
            for (prefix, effective) in policy.touched(&draft, Action::Block) {
                match effective {
                    Some(effective) => kernel.insert(prefix, effective),
                    None => kernel.remove(&prefix),
                };
            }
            let full: BTreeMap<_, _> = policy.table(Action::Block).effective().into_iter().collect();
            prop_assert_eq!(&kernel, &full);
        }
        let bases = [IpAddr::from([192, 0, 2, 0]), "2001:db8::".parse().expect("an address")];
        for base in bases {
            for low in 0..66u32 {
                let address = match base {
                    IpAddr::V4(v4) => IpAddr::from((v4.to_bits() + low).to_be_bytes()),
                    IpAddr::V6(v6) => IpAddr::from((v6.to_bits() + u128::from(low)).to_be_bytes()),
                };
                for second in [999, 1000, 1010, 1020, 1039, 1040] {
                    prop_assert_eq!(
                        kernel_blocks(&kernel, address, second),
                        policy_blocks(&policy, address, second),
                        "{} at {}", address, second
                    );
                }
            }
        }
    }
}
