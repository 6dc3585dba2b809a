//! How much memory this host has.

use nix::sys::sysinfo::sysinfo;

/// Bytes of memory; all there can be if the kernel does not say (sysinfo(2)).
pub fn total() -> u64 {
    sysinfo().map_or(u64::MAX, |facts| facts.ram_total())
}
