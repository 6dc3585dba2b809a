//! What the tables of the configured sizes take in the kernel, before there are any.

use std::{collections::BTreeMap, path::Path, thread};

use fw_common::abi::{self, MapKind, MapSpec};

use super::Check;
use crate::{
    backend::xdp::shape::{Shape, TRIE_NODE},
    cli::status::mib,
    config::{Config, DEFAULT_PATH},
    host::memory,
};

/// Bytes of a pointer, and of a word that the kernel rounds values to.
const WORD: u64 = 8;

/// `struct htab_elem` before the key.
const ELEMENT: u64 = 48;
/// `struct bucket` of a hash.
const BUCKET: u64 = 16;

/// A row stands in one trie: that of the blocks is reckoned for all of them.
const SHARED: [MapSpec; 4] = [abi::GUARD_V4, abi::GUARD_V6, abi::ALLOW_V4, abi::ALLOW_V6];

/// What the kernel takes for a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Size {
    /// At once, in bytes.
    empty: u64,
    /// With every entry there, in bytes.
    full: u64,
}

/// Whether they fit into this host.
pub(super) fn check(config: Option<&Path>) -> Check {
    match Config::read(config) {
        Ok(config) => {
            let host = memory::total();
            judge(&config.shape(host), host)
        }
        Err(error) => Check::fail(
            "tables",
            format!("{:#}", anyhow::Error::new(error)),
            "mend the configuration: the daemon does not start with it",
        ),
    }
}

fn judge(shape: &Shape, host: u64) -> Check {
    let Size { empty, full } = sum(shape);
    let found = format!(
        "{} blocks of IPv4 and {} of IPv6 take {} in the kernel, at most {} when they are there",
        shape.ipv4,
        shape.ipv6,
        mib(empty),
        mib(full)
    );
    let mend = format!("set ipv4 and ipv6 in [tables] of {DEFAULT_PATH}");
    if full > host {
        Check::fail("tables", format!("{found}: more than this host has"), mend)
    } else if full > host / 2 {
        let found = format!("{found}: more than half of what this host has");
        Check::warn("tables", found, mend)
    } else {
        let found = format!("{found}; [tables] in {DEFAULT_PATH} sets that");
        Check::ok("tables", found)
    }
}

fn sum(shape: &Shape) -> Size {
    let capacities = shape.capacities();
    let cpus = thread::available_parallelism().map_or(1, usize::from) as u64;
    let sizes = abi::MAPS
        .iter()
        .filter(|spec| !SHARED.contains(spec))
        .map(|spec| size(spec, &capacities, cpus));
    sizes.fold(Size::default(), |sum, size| Size {
        empty: sum.empty + size.empty,
        full: sum.full + size.full,
    })
}

/// As `map_mem_usage` of each kind of map reckons (kernel/bpf, Linux 6.4 and newer).
fn size(spec: &MapSpec, capacities: &BTreeMap<&'static str, u32>, cpus: u64) -> Size {
    let capacity = capacities.get(spec.name).copied();
    let capacity = u64::from(capacity.unwrap_or(spec.capacity));
    let [key, value] = [spec.key_size, spec.value_size].map(u64::from);
    let rounded = |bytes: u64| bytes.next_multiple_of(WORD);
    let fixed = |bytes| Size {
        empty: bytes,
        full: bytes,
    };
    match spec.kind {
        MapKind::Array => fixed(capacity * rounded(value)),
        MapKind::PerCpuArray => fixed(capacity * (WORD + rounded(value) * cpus)),
        MapKind::RingBuf => fixed(capacity),
        MapKind::LpmTrie => Size {
            empty: 0,
            full: capacity * (TRIE_NODE + key - 4 + value),
        },
        MapKind::Hash => {
            let buckets = capacity.next_power_of_two() * BUCKET;
            Size {
                empty: buckets,
                full: buckets + capacity * (ELEMENT + rounded(key) + rounded(value)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::State::{Fail, Ok, Warn};

    #[test]
    fn larger_tables_take_more_and_must_fit_into_the_host() {
        let small = judge(&Shape::default(), u64::MAX);
        assert_eq!((small.state, small.mend), (Ok, None));
        assert!(
            small
                .found
                .ends_with("[tables] in /etc/fw-ctl/fw-ctl.toml sets that")
        );

        let of = |host| judge(&Shape::default(), host).state;
        assert_eq!([of(1 << 40), of(1 << 20)], [Ok, Fail]);
        let sizes = (20..40).map(|bits| of(1 << bits)).collect::<Vec<_>>();
        assert!(sizes.is_sorted_by_key(|state| [Fail, Warn, Ok].iter().position(|s| s == state)));
        assert!(sizes.contains(&Warn), "{sizes:?}");
    }

    #[test]
    fn a_map_takes_what_its_kind_takes() {
        let array = MapSpec {
            name: "X",
            kind: MapKind::Array,
            key_size: 4,
            value_size: 12,
            capacity: 1000,
            flags: 0,
        };
        let of = |kind, cpus| {
            let size = size(&MapSpec { kind, ..array }, &BTreeMap::new(), cpus);
            [size.empty, size.full]
        };
        assert_eq!(of(MapKind::Array, 4), [16_000; 2]);
        assert_eq!(of(MapKind::PerCpuArray, 4), [1000 * (8 + 64); 2]);
        assert_eq!(of(MapKind::RingBuf, 4), [1000; 2]);
        assert_eq!(of(MapKind::LpmTrie, 4), [0, 1000 * (40 + 12)]);
        let buckets = 1024 * 16;
        assert_eq!(
            of(MapKind::Hash, 4),
            [buckets, buckets + 1000 * (48 + 8 + 16)]
        );
        let twice = BTreeMap::from([("X", 2000)]);
        assert_eq!(size(&array, &twice, 4).full, 32_000);
    }

    #[test]
    fn a_configuration_that_is_none_fails() {
        let check = check(Some(Path::new("/nowhere/fw-ctl.toml")));
        assert_eq!(check.state, Fail);
        assert!(
            check.found.contains("/nowhere/fw-ctl.toml"),
            "{}",
            check.found
        );
    }
}
