//! A plan that the kernel refuses half way is taken back.

use std::{collections::BTreeMap, net::Ipv4Addr};

use aya::EbpfLoader;
use fw_common::{
    Prefix,
    abi::{self, Entry},
};
use fw_ctl::{
    backend::xdp::{
        load,
        shape::Shape,
        tables::{ApplyError, Fill, Tables},
    },
    plan::{Op, Plan, diff_guard},
    policy::{
        entry::Action,
        guard::{Guard, GuardSource},
    },
};

/// What the kernel's trie of blocked prefixes really holds.
const ROOM: u32 = 8;

/// Tables that believe to have room where the kernel has little.
fn tables() -> Tables {
    let shape = Shape {
        ipv4: 1 << 10,
        ipv6: 1 << 10,
        ..Shape::default()
    };
    let mut loader = EbpfLoader::new();
    for (name, size) in shape.capacities() {
        loader.map_max_entries(name, size);
    }
    loader.map_max_entries(abi::BLOCK_V4.name, ROOM);
    let mut object = loader
        .load(load::OBJECT)
        .expect("the maps are made, as root");
    Tables::take(&mut object, &shape).expect("the tables can be read")
}

/// Everything the tables hold.
type Held = (
    BTreeMap<Prefix, u32>,
    Vec<BTreeMap<Prefix, Entry>>,
    Vec<Fill>,
);

fn held(tables: &mut Tables) -> Held {
    // Chunks that nobody refers to are given back a little later.
    let used = tables.fill().into_iter();
    let used = used.filter(|fill| fill.name.contains("_v")).collect();
    let dump = |action| tables.dump(action).expect("readable").into_iter().collect();
    let entries = Action::ALL.map(dump).to_vec();
    (tables.guarded().clone(), entries, used)
}

fn net(number: u32) -> Prefix {
    let address = Ipv4Addr::from_bits(0x0a00_0000 + (number << 8));
    Prefix::new(address.into(), 24).expect("in range")
}

fn put(prefix: Prefix) -> Op<Entry> {
    Op {
        prefix,
        before: None,
        after: Some(Entry::new(prefix, 1, abi::NEVER)),
    }
}

/// Networks to block, with a guard, an allow and a prefix before them, and one block to go.
fn plan(tables: &Tables, guard: &Guard, hosts: std::ops::Range<u32>, gone: Option<Prefix>) -> Plan {
    let prefix = |text: &str| text.parse().expect("a prefix");
    let removal = gone.map(|prefix| Op {
        after: None,
        before: Some(Entry::new(prefix, 1, abi::NEVER)),
        prefix,
    });
    Plan {
        guard: diff_guard(guard, tables.guarded()),
        allow: vec![put(prefix("192.0.2.0/24")), put(prefix("2001:db8::1"))],
        block: [put(prefix("172.16.0.0/12"))]
            .into_iter()
            .chain(removal)
            .chain(hosts.map(net).map(put))
            .collect(),
    }
}

#[test]
fn what_the_kernel_refuses_half_way_leaves_the_tables_as_they_were() {
    let mut tables = tables();
    let mut guard = Guard::default();
    let first = Plan {
        guard: diff_guard(&guard, tables.guarded()),
        block: vec![put(net(1000))],
        ..Plan::default()
    };
    let first = first
        .check(&guard, tables.guarded())
        .expect("nobody is locked out");
    tables.apply(&first).expect("there is room");
    let before = held(&mut tables);
    assert_eq!(before.1[1].len(), 1);

    guard.set(GuardSource::Added, [net(77)]);
    let too_much = plan(&tables, &guard, 0..ROOM + 10, Some(net(1000)));
    let too_much = too_much
        .check(&guard, tables.guarded())
        .expect("nobody is locked out");
    let refused = tables.apply(&too_much).expect_err("the kernel has no room");
    let ApplyError::Refused { table, source } = &refused else {
        panic!("taken back, not broken: {refused:?}");
    };
    assert_eq!(*table, abi::BLOCK_V4.name);
    assert!(
        matches!(source.raw_os_error(), Some(libc::E2BIG | libc::ENOSPC)),
        "{source}"
    );
    assert_eq!(held(&mut tables), before);

    // The same in a size that fits, and taken back on demand.
    let fits = plan(&tables, &guard, 0..ROOM - 2, None);
    let fits = fits
        .check(&guard, tables.guarded())
        .expect("nobody is locked out");
    tables.apply(&fits).expect("there is room");
    let after = held(&mut tables);
    assert_eq!(after.1[1].len(), ROOM as usize);
    assert!(after.0.contains_key(&net(77)));
    tables.revert(&fits).expect("it can be taken back");
    assert_eq!(held(&mut tables), before);
}
