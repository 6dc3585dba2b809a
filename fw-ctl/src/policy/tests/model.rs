//! The kernel's tables, as they grow step by step, against the plain list of entries.

use std::collections::BTreeMap;

use fw_common::abi;
use proptest::prelude::*;

use super::*;
use crate::policy::table::Count;

/// What the kernel would say of an address: the longest prefix, while its deadline has not passed.
fn kernel_blocks(rows: &BTreeMap<Prefix, Effective>, address: IpAddr, second: u32) -> bool {
    let longest = Prefix::host(address)
        .ancestors()
        .find_map(|covering| rows.get(&covering));
    longest.is_some_and(|effective| {
        effective.deadline.map_or(abi::NEVER, |deadline| deadline.0) > second
    })
}

#[derive(Clone, Debug)]
enum Step {
    Put(Vec<(Prefix, Option<u32>)>, bool),
    Replace(Vec<(Prefix, Option<u32>)>),
    Detected(Vec<(Prefix, Option<u32>)>),
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
    // One or many: a look-up or a walk, insertion one by one or a merge.
    let items = prop_oneof![
        3 => prop::collection::vec((nested_prefix(), deadline.clone()), 1..2),
        1 => prop::collection::vec((nested_prefix(), deadline), 0..150),
    ];
    prop_oneof![
        6 => (items.clone(), any::<bool>()).prop_map(|(items, local)| Step::Put(items, local)),
        1 => items.clone().prop_map(Step::Replace),
        1 => items.prop_map(Step::Detected),
        3 => nested_prefix().prop_map(Step::Remove),
        1 => Just(Step::Flush),
        1 => (1000u32..1040).prop_map(Step::Expire),
    ]
}

fn take(policy: &Policy, step: &Step) -> Draft {
    let prepared = |change| policy.prepare(change, NOW).unwrap_or_default();
    let items = |items: &[(Prefix, Option<u32>)]| {
        let items = items.iter().map(|(prefix, deadline)| Item {
            prefix: *prefix,
            deadline: deadline.map(BootSecs),
            comment: Comment::default(),
            created: None,
        });
        items.collect::<Vec<_>>()
    };
    match step {
        Step::Put(put, local) => prepared(Change::Put {
            action: Action::Block,
            list: list(if *local { "local" } else { "feed" }),
            items: items(put),
            strict: false,
        }),
        Step::Replace(all) => prepared(Change::Replace {
            action: Action::Block,
            list: list("feed"),
            items: items(all),
        }),
        Step::Detected(blocks) => prepared(Change::Detected(items(blocks))),
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

/// What the table and the policy keep beside the entries, against the plain list of these.
fn derived(policy: &Policy) -> Result<(), String> {
    let table = policy.table(Action::Block);
    let all = || table.iter().map(|(place, entry)| (place, entry.clone()));
    let same = |what: &str, told: Vec<_>, plain: Vec<_>| match told == plain {
        true => Ok(()),
        false => Err(format!("{what}: {told:?}, not {plain:?}")),
    };
    let owned = |(place, entry): (Place, &Entry)| (place, entry.clone());
    for (place, _) in all() {
        let told = table.covering(place.prefix).map(owned).collect();
        let mut plain: Vec<_> = all()
            .filter(|(other, _)| other.prefix.covers(&place.prefix))
            .collect();
        plain.sort_by_key(|(place, _)| (std::cmp::Reverse(place.prefix.length()), place.list));
        same("covering", told, plain)?;
    }
    for id in [ListId::AUTO, ListId(1), ListId(3)] {
        let told = table.of_list(id).map(owned).collect();
        let plain: Vec<_> = all().filter(|(place, _)| place.list == id).collect();
        let is_ipv4 = |(place, _): &&(Place, Entry)| place.prefix.address().is_ipv4();
        let ipv4 = plain.iter().filter(is_ipv4).count();
        let count = Count {
            ipv4,
            ipv6: plain.len() - ipv4,
        };
        if table.count(id) != count {
            return Err(format!("count: {:?}, not {count:?}", table.count(id)));
        }
        same("of_list", told, plain)?;
    }
    for (first, last) in [
        ([192, 0, 2, 0], [192, 0, 2, 31]),
        ([192, 0, 2, 9], [192, 0, 2, 40]),
    ] {
        let addresses = IpAddr::from(first)..=IpAddr::from(last);
        let told = table.within(addresses.clone()).map(owned).collect();
        let within = all().filter(|(place, _)| addresses.contains(&place.prefix.address()));
        same("within", told, within.collect())?;
    }
    let next = all().filter_map(|(_, entry)| entry.deadline()).min();
    match policy.next_ending() == next {
        true => Ok(()),
        false => Err(format!(
            "next ending: {:?}, not {next:?}",
            policy.next_ending()
        )),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// After every step, what the steps wrote into the kernel is what a full rendering would
    /// write, and it answers for every address and second as the plain list of entries does. A
    /// step that is taken back leaves no trace.
    #[test]
    fn the_kernel_tables_say_what_the_list_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut policy = policy();
        policy.restore_list(ListName::auto(), ListId::AUTO);
        let mut kernel: BTreeMap<Prefix, Effective> = BTreeMap::new();
        for step in &steps {
            let draft = take(&policy, step);
            policy.apply(&draft);
            policy.revert(&draft);
            policy.apply(&draft);
            let touched: Vec<_> = policy.touched(&draft, Action::Block).collect();
            prop_assert!(touched.is_sorted_by(|(one, _), (next, _)| one < next));
            for (prefix, effective) in touched {
                match effective {
                    Some(effective) => kernel.insert(prefix, effective),
                    None => kernel.remove(&prefix),
                };
            }
            let full: BTreeMap<_, _> = policy.table(Action::Block).effective().into_iter().collect();
            prop_assert_eq!(&kernel, &full);
        }
        prop_assert_eq!(derived(&policy), Ok(()));
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
