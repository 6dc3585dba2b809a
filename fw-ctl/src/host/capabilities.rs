//! What this process may do (capabilities(7)).

use std::fs;

/// Bit numbers of `linux/capability.h`.
const NEEDED: [(&str, u32); 2] = [("CAP_BPF", 39), ("CAP_NET_ADMIN", 12)];

/// The capabilities that filtering needs and this process has not. `CAP_SYS_ADMIN` (21) includes
/// `CAP_BPF`, as before Linux 5.8.
pub fn missing() -> Vec<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    missing_of(effective(&status).unwrap_or(0))
}

/// The effective set in a `/proc/PID/status`.
pub fn effective(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn missing_of(effective: u64) -> Vec<&'static str> {
    let has = |bit: u32| effective & (1 << bit) != 0;
    NEEDED
        .into_iter()
        .filter(|(name, bit)| !has(*bit) && !(*name == "CAP_BPF" && has(21)))
        .map(|(name, _)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named() {
        let read = |mask: &str| effective(&format!("Name:\tx\nCapEff:\t{mask}\n")).map(missing_of);
        assert_eq!(read("000001ffffffffff"), Some(vec![]));
        assert_eq!(read("0000000000000000"), Some(vec!["CAP_BPF", "CAP_NET_ADMIN"]));
        assert_eq!(read("0000008000000000"), Some(vec!["CAP_NET_ADMIN"]));
        assert_eq!(read("0000008000001000"), Some(vec![]));
        assert_eq!(read("0000000000201000"), Some(vec![]));
        assert_eq!(read("x"), None);
    }
}
