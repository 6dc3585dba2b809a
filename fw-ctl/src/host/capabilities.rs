//! What this process may do (capabilities(7)).

use std::fs;

/// What is needed, and the bits that grant it (`linux/capability.h`). `CAP_SYS_ADMIN` (21) includes
/// `CAP_BPF` (39) and `CAP_PERFMON` (38), as before Linux 5.8. Without `CAP_PERFMON` the verifier
/// lets nobody read a packet at a computed offset.
const NEEDED: [(&str, u64); 3] = [
    ("CAP_BPF", 1 << 39 | 1 << 21),
    ("CAP_NET_ADMIN", 1 << 12),
    ("CAP_PERFMON", 1 << 38 | 1 << 21),
];

/// The capabilities that filtering needs and this process has not.
pub fn missing() -> Vec<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    missing_of(effective(&status).unwrap_or(0))
}

/// The effective set in a `/proc/PID/status`.
pub fn effective(status: &str) -> Option<u64> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("CapEff:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

fn missing_of(effective: u64) -> Vec<&'static str> {
    NEEDED
        .into_iter()
        .filter(|(_, bits)| effective & bits == 0)
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
        assert_eq!(
            read("0000000000000000"),
            Some(vec!["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"])
        );
        assert_eq!(read("0000008000001000"), Some(vec!["CAP_PERFMON"]));
        assert_eq!(read("000000c000000000"), Some(vec!["CAP_NET_ADMIN"]));
        assert_eq!(read("000000c000001000"), Some(vec![]));
        assert_eq!(read("0000000000201000"), Some(vec![]));
        assert_eq!(read("x"), None);
    }
}
