//! The order of decisions. The kernel program, `fw-ctl why` and the host tests all run
//! [`decide`]; nothing else in the project orders verdicts.

use crate::{
    parse::{Address, Kind, Packet, Transport, protocol},
    reason::{Family, Reason},
    scan,
};

/// What the tables say of a source address. Entries whose deadline has passed are not found.
pub trait Tables {
    /// What a lookup finds.
    type Entry;

    /// Whether the source can never be dropped.
    fn guarded(&self, source: &Address) -> bool;
    /// The entry that allows the source.
    fn allowed(&self, source: &Address) -> Option<Self::Entry>;
    /// The entry that blocks the source.
    fn blocked(&self, source: &Address) -> Option<Self::Entry>;
    /// What rules say of a packet that is neither guarded nor allowed nor blocked: nothing, unless
    /// it is a TCP SYN to this host. It counts in their limits.
    fn ruled(&self, packet: &Packet, kind: scan::Kind) -> Ruled;
    /// Counts a packet that is neither guarded nor allowed nor blocked as a probe, unless its port
    /// is served. If its source thereby crosses the threshold: the entry that blocks it from now on.
    fn crossed(&self, packet: &Packet, kind: scan::Kind) -> Option<Self::Entry>;
}

/// What rules say of a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ruled {
    /// Number of the rule whose limit it exceeds; 0 for none.
    pub exceeds: u32,
    /// Number of the rule that closes its port to its source; 0 for none.
    pub closed_by: u32,
}

/// A verdict and what it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision<E> {
    /// Why; [`Reason::drops`] says what happens.
    pub reason: Reason,
    /// Family of the packet.
    pub family: Family,
    /// The entry that decided, if one did.
    pub entry: Option<E>,
    /// Number of the rule that decided; 0 if none did.
    pub rule: u32,
}

/// Decides about a frame. The first line that applies wins.
#[inline(always)]
pub fn decide<T: Tables>(packet: &Packet, tables: &T) -> Decision<T::Entry> {
    let (reason, entry, rule) = judge(packet, tables);
    Decision {
        reason,
        family: packet.source.family,
        entry,
        rule,
    }
}

#[inline(always)]
fn judge<T: Tables>(packet: &Packet, tables: &T) -> (Reason, Option<T::Entry>, u32) {
    match packet.kind {
        Kind::NotIp => return (Reason::NotIp, None, 0),
        Kind::Unreadable => return (Reason::Unreadable, None, 0),
        Kind::Tags => return (Reason::Tags, None, 0),
        Kind::Ip => {}
    }
    if keeps_link(packet) {
        return (Reason::Link, None, 0);
    }
    if tables.guarded(&packet.source) {
        return (Reason::Guard, None, 0);
    }
    let allowed = tables.allowed(&packet.source);
    if allowed.is_some() {
        return (Reason::Allow, allowed, 0);
    }
    let blocked = tables.blocked(&packet.source);
    if blocked.is_some() {
        return (Reason::Block, blocked, 0);
    }
    // What is established, and what answers, comes no further.
    let Some(kind) = scan::kind(packet) else {
        return (Reason::Default, None, 0);
    };
    let ruled = tables.ruled(packet, kind);
    if ruled.exceeds != 0 {
        return (Reason::Limit, None, ruled.exceeds);
    }
    let crossed = tables.crossed(packet, kind);
    if crossed.is_some() {
        return (Reason::Scan, crossed, 0);
    }
    if ruled.closed_by != 0 {
        return (Reason::Rule, None, ruled.closed_by);
    }
    (Reason::Default, None, 0)
}

/// Traffic without which the link itself fails, whoever sends it: neighbour and router discovery
/// (RFC 4861; hop limit 255 shows that it did not come from beyond the link), MLD (RFC 2710 and
/// 3810, hop limit 1), and answers to a DHCP or DHCPv6 client (RFC 2131, RFC 8415).
#[inline(always)]
fn keeps_link(packet: &Packet) -> bool {
    let ports = (packet.source_port, packet.destination_port);
    match (packet.source.family, packet.transport) {
        (Family::V4, Transport::Udp) => ports == (67, 68),
        (Family::V6, Transport::Udp) => ports == (547, 546),
        (Family::V6, Transport::Icmp) if packet.protocol == protocol::ICMPV6 => {
            match packet.destination_port.to_be_bytes() {
                [133..=137, 0] => packet.hop_limit == 255,
                [130..=132 | 143, 0] => packet.hop_limit == 1,
                _ => false,
            }
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests;
