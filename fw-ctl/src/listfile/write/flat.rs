//! Prefixes that cover each other, as pieces that do not.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use super::Row;
use crate::listfile::addresses;

/// Entries of one family as pieces.
#[derive(Default)]
pub(super) struct Flat<'a> {
    pub(super) pieces: Vec<Piece<'a>>,
    /// Entries of which nothing is left: others cover them for at least as long.
    pub(super) covered: usize,
    /// Entries of which others that last longer take a part.
    pub(super) cut: usize,
}

/// Addresses that end together.
pub(super) struct Piece<'a> {
    first: u128,
    last: u128,
    /// Of all entries that cover them the one that ends last.
    pub(super) row: &'a Row,
}

/// An entry whose end in the address space has not been reached.
struct Open<'a> {
    row: &'a Row,
    last: u128,
    cut: bool,
}

/// Each address with the latest end of all entries that cover it.
pub(super) fn flat(mut rows: Vec<&Row>) -> Flat<'_> {
    rows.sort_by_key(|row| row.prefix);
    let mut flat = Flat::default();
    // What covers the address at hand, the outermost first: each ends later than those before.
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut next = Some(0);
    for row in rows {
        let (first, last) = (number(row.prefix.address()), number(row.prefix.last()));
        while let Some(inner) = open.pop_if(|inner| inner.last < first) {
            next = flat.close(&inner, next);
        }
        if let Some(around) = open.last_mut() {
            if end(row) <= end(around.row) {
                flat.covered += 1;
                continue;
            }
            around.cut = true;
            if let Some(start) = next.filter(|start| *start < first) {
                flat.pieces.push(Piece {
                    first: start,
                    last: first - 1,
                    row: around.row,
                });
            }
        }
        next = Some(first);
        let cut = false;
        open.push(Open { row, last, cut });
    }
    while let Some(inner) = open.pop() {
        next = flat.close(&inner, next);
    }
    flat
}

impl<'a> Flat<'a> {
    /// Adds what is left of an entry from `next` on, and gives what comes behind it.
    fn close(&mut self, open: &Open<'a>, next: Option<u128>) -> Option<u128> {
        let Open { row, last, cut } = *open;
        self.cut += usize::from(cut);
        if let Some(first) = next.filter(|first| *first <= last) {
            self.pieces.push(Piece { first, last, row });
        }
        last.checked_add(1)
    }
}

/// A prefix where it is one, else a range.
impl fmt::Display for Piece<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let v4 = self.row.prefix.address().is_ipv4();
        let (first, last) = (address(self.first, v4), address(self.last, v4));
        let range = format!("{first}-{last}");
        match addresses(&range).as_deref() {
            Ok([(prefix, _)]) => prefix.fmt(f),
            _ => f.write_str(&range),
        }
    }
}

fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn address(number: u128, v4: bool) -> IpAddr {
    match v4 {
        true => Ipv4Addr::from_bits(number as u32).into(),
        false => Ipv6Addr::from_bits(number).into(),
    }
}

/// Never is after everything.
fn end(row: &Row) -> u64 {
    row.ttl.secs().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{duration::Ttl, listfile::write::tests::row};

    fn shown(rows: &[Row]) -> Vec<String> {
        let flat = flat(rows.iter().collect());
        let pieces = flat
            .pieces
            .iter()
            .map(|piece| format!("{piece} {}", piece.row.ttl));
        pieces
            .chain([format!("{} {}", flat.covered, flat.cut)])
            .collect()
    }

    #[test]
    fn what_lasts_longer_is_cut_out_and_what_does_not_is_covered() {
        let rows = [
            row("10.0.0.0/30", Some(60), "net"),
            row("10.0.0.2", Some(90), "longer"),
            row("10.0.0.3", Some(60), "as long"),
            row("192.0.2.0/24", None, ""),
            row("192.0.2.128/25", Some(5), "shorter"),
        ];
        let expected = [
            "10.0.0.0/31 1m",
            "10.0.0.2 1m30s",
            "10.0.0.3 1m",
            "192.0.2.0/24 never",
            "2 1",
        ];
        assert_eq!(shown(&rows), expected);
        let ends = [
            row("::/0", Some(1), ""),
            row("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None, ""),
        ];
        let last = "::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe 1s";
        assert_eq!(
            shown(&ends),
            [last, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff never", "0 1"]
        );
    }

    proptest! {
        #[test]
        fn each_address_has_the_latest_end_once(
            entries in proptest::collection::btree_map((0_u32..32, 27_u8..=32), proptest::option::of(1_u64..5), 0..12),
        ) {
            let rows: Vec<Row> = entries
                .into_iter()
                .filter_map(|((bits, length), secs)| {
                    let prefix = fw_common::Prefix::new(Ipv4Addr::from_bits(bits).into(), length)?;
                    Some(Row { prefix, ..row("::", secs, "") })
                })
                .collect();
            let flat = flat(rows.iter().collect());
            for bits in 0..32_u128 {
                let address = address(bits, true);
                let covering = rows.iter().filter(|row| row.prefix.contains(address));
                let pieces: Vec<Ttl> = flat
                    .pieces
                    .iter()
                    .filter(|piece| (piece.first..=piece.last).contains(&bits))
                    .map(|piece| piece.row.ttl)
                    .collect();
                let latest = covering.map(end).max();
                let found = pieces.first().map(|ttl| ttl.secs().unwrap_or(u64::MAX));
                prop_assert!(pieces.len() <= 1);
                prop_assert_eq!(found, latest);
            }
        }
    }
}
