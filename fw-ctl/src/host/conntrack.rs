//! What connection tracking knows.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    ops::ControlFlow,
};

use netlink_packet_core::NLM_F_DUMP;
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::{
    netlink::{NetlinkError, walk},
    nfnetlink::{Message, find, number},
};

// Numbers of linux/netfilter/nfnetlink.h, nfnetlink_conntrack.h and nf_conntrack_common.h.
const CONNTRACK: u8 = 1;
const GET: u8 = 1;
const TUPLE_ORIGINAL: u16 = 1;
const STATUS: u16 = 3;
const STATUS_MASK: u16 = 26;
const TUPLE_IP: u16 = 1;
const TUPLE_PROTOCOL: u16 = 2;
const IP_V4_SOURCE: u16 = 1;
const IP_V6_SOURCE: u16 = 3;
const PROTOCOL_NUMBER: u16 = 1;
const ASSURED: u32 = 1 << 2;

/// How many connections are tracked; not there unless something has asked for tracking.
const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";

/// 1: an answer of any number passes for the end of a handshake.
const LIBERAL: &str = "/proc/sys/net/netfilter/nf_conntrack_tcp_be_liberal";

/// Shows `visit` who began each TCP connection whose handshake tracking has seen to its end, until
/// it has seen enough.
///
/// Only entries that are ASSURED count. One forged ACK makes an ESTABLISHED one where nothing
/// answers it (`nf_conntrack_tcp_loose`). UDP never counts: a forged source that a service has
/// answered is ASSURED after two seconds. Nor does anything count under
/// `nf_conntrack_tcp_be_liberal`, where a forged SYN and a forged ACK are enough.
///
/// # Errors
/// [`NetlinkError`]; what could be read has been shown nevertheless.
pub(super) fn handshakes(
    mut visit: impl FnMut(IpAddr) -> ControlFlow<()>,
) -> Result<(), NetlinkError> {
    let what = "tracked connections";
    let ours = |source| NetlinkError { what, source };
    if setting(COUNT).map_err(ours)? == 0 || setting(LIBERAL).map_err(ours)? != 0 {
        return Ok(());
    }
    // The kernel leaves out the others; an older one shows them all.
    let request = Message::new(CONNTRACK, GET, &[(STATUS, ASSURED), (STATUS_MASK, ASSURED)]);
    walk(
        what,
        NETLINK_NETFILTER,
        NLM_F_DUMP,
        request,
        |message| match originator(&message) {
            Some(address) => visit(address),
            None => ControlFlow::Continue(()),
        },
    )
}

/// The number in a file; 0 where tracking is not loaded, and the file not there.
fn setting(file: &str) -> io::Result<u64> {
    match fs::read_to_string(file) {
        Ok(text) => text.trim().parse().map_err(io::Error::other),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    }
}

/// Who began a connection, if it is of TCP and its handshake is complete.
fn originator(entry: &Message) -> Option<IpAddr> {
    let assured = number(entry.get(STATUS)?)? & ASSURED != 0;
    let tuple = entry.get(TUPLE_ORIGINAL)?;
    let protocol = find(find(tuple, TUPLE_PROTOCOL)?, PROTOCOL_NUMBER)?;
    if !assured || i32::from(*protocol.first()?) != libc::IPPROTO_TCP {
        return None;
    }
    let addresses = find(tuple, TUPLE_IP)?;
    let v4 = || <[u8; 4]>::try_from(find(addresses, IP_V4_SOURCE)?).ok();
    let v6 = || <[u8; 16]>::try_from(find(addresses, IP_V6_SOURCE)?).ok();
    v4().map(|bytes| Ipv4Addr::from(bytes).into())
        .or_else(|| Some(Ipv6Addr::from(v6()?).into()))
}

#[cfg(test)]
mod tests {
    use netlink_packet_core::{NetlinkDeserializable, NetlinkHeader};

    use super::*;

    /// As Linux 6.18 shows them, without the tuple of the answers and what follows the status.
    const ENTRIES: [(&str, &str, Option<&str>); 5] = [
        (
            "a connection that has ended",
            "02000000 34000180 14000180 08000100c0000207 08000200c0000201 \
             1c000280 0500010006000000 06000200932a0000 0600030000500000 080003000000000e",
            Some("192.0.2.7"),
        ),
        (
            "one of IPv6",
            "0a000000 4c000180 2c000180 1400030020010db8000000000000000000000007 \
             1400040020010db8000000000000000000000001 \
             1c000280 0500010006000000 06000200903c0000 0600030000500000 080003000000000e",
            Some("2001:db8::7"),
        ),
        (
            "a SYN scan that found an open port",
            "02000000 34000180 14000180 08000100c0000208 08000200c0000201 \
             1c000280 0500010006000000 06000200c3b50000 0600030000500000 080003000000000a",
            None,
        ),
        (
            "a UDP service that has answered for seconds",
            "02000000 34000180 14000180 08000100c0000207 08000200c0000201 \
             1c000280 0500010011000000 06000200de060000 0600030014e90000 080003000000000e",
            None,
        ),
        ("nothing", "02000000", None),
    ];

    #[test]
    fn only_a_tcp_connection_whose_handshake_was_seen_names_who_began_it() {
        for (what, hex, expected) in ENTRIES {
            let digits: Vec<u8> = hex.bytes().filter(|byte| *byte != b' ').collect();
            let bytes = digits.chunks(2).map(|pair| {
                let text = std::str::from_utf8(pair).expect("ASCII");
                u8::from_str_radix(text, 16).expect("hexadecimal")
            });
            let bytes: Vec<u8> = bytes.collect();
            let entry = Message::deserialize(&NetlinkHeader::default(), &bytes).expect("a header");
            let found = originator(&entry).map(|address| address.to_string());
            assert_eq!(found.as_deref(), expected, "{what}");
        }
    }

    #[test]
    fn a_missing_setting_is_off_and_a_strange_one_an_error() {
        assert_eq!(setting("/proc/sys/net/no_such_setting").expect("off"), 0);
        assert!(setting("/proc/sys/kernel/ostype").is_err());
        assert!(setting("/proc/sys/kernel/pid_max").expect("a number") > 0);
    }
}
