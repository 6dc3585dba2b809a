//! What a file asks for, put in order: sorted, each prefix once, and on request without what
//! something shorter covers.

use std::{
    net::{IpAddr, Ipv4Addr},
    thread,
};

use fw_common::Prefix;
use serde::{Serialize, Serializer};

use crate::{
    api::wire::{MAX_ITEMS, PutItem},
    duration::Ttl,
    listfile::Line,
};

/// The prefixes of a file in their order, and the lines they come from. As a value of serde, the
/// items of a request.
pub struct Wanted {
    lines: Vec<Line>,
    kept: Vec<Kept>,
    /// No line says more than a prefix, so that none has to be looked at again.
    plain: bool,
    /// Prefixes that stand in the file more than once, as often as they do so again.
    pub duplicates: usize,
    /// Prefixes that were left out because something shorter covers them.
    pub covered: usize,
}

/// A prefix, and which line it is from.
struct Kept {
    prefix: Prefix,
    index: u32,
}

impl Wanted {
    /// Of a file's lines. Of lines with the same prefix, one is left, with the latest end and the
    /// newest comment: as the daemon would have it.
    pub fn of(mut lines: Vec<Line>) -> Self {
        let plain = |line: &Line| {
            line.ttl.is_none() && line.comment.as_str().is_empty() && line.created.is_none()
        };
        let plain = lines.iter().all(plain);
        let mut kept = sorted(&lines);
        let all = kept.len();
        kept.dedup_by(|later, earlier| {
            let same = later.prefix == earlier.prefix;
            if same {
                merge(&mut lines, earlier.index as usize, later.index as usize);
            }
            same
        });
        Self {
            duplicates: all - kept.len(),
            covered: 0,
            plain,
            kept,
            lines,
        }
    }

    /// Leaves out what a shorter prefix covers for at least as long: one of the same file, or one
    /// of these, which are sorted, with the seconds they have left.
    pub fn leave_out_covered(&mut self, others: &[(Prefix, Option<u64>)]) {
        let mut others = others.iter().peekable();
        // What covers the prefix at hand, the shortest first, each with the latest end so far.
        let mut chain: Vec<(Prefix, u64)> = Vec::new();
        let (lines, all) = (&self.lines, self.kept.len());
        self.kept.retain(|kept| {
            while let Some((prefix, left)) = others.next_if(|(other, _)| *other <= kept.prefix) {
                let above = covering(&mut chain, prefix).unwrap_or(0);
                chain.push((*prefix, above.max(end(*left))));
            }
            let own = end(secs(&lines[kept.index as usize]));
            let covered = covering(&mut chain, &kept.prefix).is_some_and(|above| above >= own);
            if !covered {
                chain.push((kept.prefix, own));
            }
            !covered
        });
        self.covered += all - self.kept.len();
    }

    /// The line that an item of the request comes from.
    pub fn line(&self, position: usize) -> Option<&Line> {
        let kept = self.kept.get(position)?;
        self.lines.get(kept.index as usize)
    }
}

impl Serialize for Wanted {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.kept.iter().map(|kept| {
            let line = (!self.plain).then(|| &self.lines[kept.index as usize]);
            PutItem {
                prefix: kept.prefix,
                ttl_s: line.and_then(secs),
                comment: line.map_or("", |line| line.comment.as_str()),
                created_at: line.and_then(|line| line.created),
            }
        }))
    }
}

/// By prefix, then by line. What is sorted are numbers, in IPv4 with the line in their last bits:
/// a third of the time that prefixes take.
fn sorted(lines: &[Line]) -> Vec<Kept> {
    const LINE_BITS: u32 = u64::BITS - 32 - 6;
    const _: () = assert!(MAX_ITEMS < 1 << LINE_BITS);
    let (mut v4, mut v6) = (Vec::with_capacity(lines.len()), Vec::new());
    for (index, line) in (0_u32..).zip(lines) {
        let length = line.prefix.length();
        match line.prefix.address() {
            IpAddr::V4(address) => {
                let prefix = u64::from(address.to_bits()) << 6 | u64::from(length);
                v4.push(prefix << LINE_BITS | u64::from(index));
            }
            IpAddr::V6(address) => v6.push((address, length, index)),
        }
    }
    thread::scope(|scope| {
        scope.spawn(|| {
            v6.sort_unstable_by_key(|(address, length, index)| {
                (address.to_bits(), *length, *index)
            });
        });
        v4.sort_unstable();
    });
    let v4 = v4.into_iter().map(|key| {
        let address = Ipv4Addr::from_bits((key >> 32) as u32);
        let length = (key >> LINE_BITS) as u8 & 0x3f;
        let index = key as u32 & ((1 << LINE_BITS) - 1);
        (address.into(), length, index)
    });
    let v6 = v6
        .into_iter()
        .map(|(address, length, index)| (address.into(), length, index));
    let mut kept = Vec::with_capacity(lines.len());
    kept.extend(v4.chain(v6).filter_map(|(address, length, index)| {
        let prefix = Prefix::new(address, length)?;
        Some(Kept { prefix, index })
    }));
    kept
}

/// Keeps of two lines with one prefix the later end and the newer comment, in the earlier line.
fn merge(lines: &mut [Line], earlier: usize, later: usize) {
    let newer = lines[later].clone();
    let kept = &mut lines[earlier];
    if end(secs(&newer)) > end(secs(kept)) {
        kept.ttl = newer.ttl;
    }
    if !newer.comment.as_str().is_empty() {
        kept.comment = newer.comment;
    }
}

/// Pops what does not cover the prefix, and gives the latest end of what is left.
fn covering(chain: &mut Vec<(Prefix, u64)>, prefix: &Prefix) -> Option<u64> {
    while let Some((last, end)) = chain.last() {
        if last.covers(prefix) {
            return Some(*end);
        }
        chain.pop();
    }
    None
}

fn secs(line: &Line) -> Option<u64> {
    line.ttl.and_then(Ttl::secs)
}

/// Never is after everything.
fn end(secs: Option<u64>) -> u64 {
    secs.unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::listfile::{self, Format};

    fn wanted(text: &str) -> Wanted {
        let parsed = listfile::parse(text, Format::Auto);
        assert_eq!(parsed.errors, []);
        Wanted::of(parsed.lines)
    }

    #[test]
    fn prefixes_go_out_sorted_and_say_no_more_than_they_must() {
        let wanted = wanted("2001:db8::/32\n192.0.2.1,10m\n192.0.2.0/24 # net\n10.0.0.1\n");
        let expected = json!([
            "10.0.0.1",
            {"prefix": "192.0.2.0/24", "comment": "net"},
            {"prefix": "192.0.2.1", "ttl_s": 600},
            "2001:db8::/32",
        ]);
        assert_eq!(json!(wanted), expected);
        let lines: Vec<_> = (0..5)
            .map(|n| wanted.line(n).map(|line| line.line))
            .collect();
        assert_eq!(lines, [Some(4), Some(3), Some(2), Some(1), None]);
    }

    #[test]
    fn of_the_same_prefix_the_latest_end_and_the_newest_comment_are_kept() {
        let wanted = wanted(
            "192.0.2.1,10m,a\n192.0.2.1,1h,b\n192.0.2.1,5m,\n192.0.2.2,1h\n192.0.2.2 # no end\n",
        );
        let expected = json!([
            {"prefix": "192.0.2.1", "ttl_s": 3600, "comment": "b"},
            {"prefix": "192.0.2.2", "comment": "no end"},
        ]);
        assert_eq!(json!(wanted), expected);
        assert_eq!(wanted.duplicates, 3);
    }

    #[test]
    fn what_is_covered_for_at_least_as_long_is_left_out_and_nothing_else() {
        let mut wanted = wanted(
            "10.0.0.0/8,1h\n10.1.0.0/16\n10.1.2.3,never\n10.2.3.4,1h\n10.2.3.5,2h\n192.0.2.1,1d\n198.51.100.1\n",
        );
        let others = [
            ("10.0.0.0/7".parse().expect("a prefix"), Some(60)),
            ("192.0.2.1".parse().expect("a prefix"), None),
            ("198.51.100.0/24".parse().expect("a prefix"), Some(60)),
        ];
        wanted.leave_out_covered(&others);
        let expected = json!([
            {"prefix": "10.0.0.0/8", "ttl_s": 3600},
            "10.1.0.0/16",
            {"prefix": "10.2.3.5", "ttl_s": 7200},
            "198.51.100.1",
        ]);
        assert_eq!(json!(wanted), expected);
        assert_eq!(wanted.covered, 3);
        assert_eq!(wanted.line(1).map(|line| line.line), Some(2));
    }

    #[test]
    fn when_a_prefix_was_added_elsewhere_goes_out_with_it() {
        let wanted =
            wanted(r#"{"allowed_ips":[{"ip":"192.0.2.1","added":"2024-03-01T09:30:00Z"}]}"#);
        let expected = json!([{"prefix": "192.0.2.1", "created_at": "2024-03-01T09:30:00Z"}]);
        assert_eq!(json!(wanted), expected);
    }

    fn entries() -> impl Strategy<Value = Vec<(Prefix, Option<u64>)>> {
        let v4 =
            (0_u32..64, 24_u8..=32).prop_map(|(bits, length)| (IpAddr::V4(bits.into()), length));
        let v6 =
            (0_u128..4, 125_u8..=128).prop_map(|(bits, length)| (IpAddr::V6(bits.into()), length));
        let prefix = prop_oneof![v4, v6].prop_filter_map("the length fits", |(address, length)| {
            Prefix::new(address, length)
        });
        proptest::collection::vec((prefix, proptest::option::of(1_u64..4)), 0..20)
    }

    proptest! {
        #[test]
        fn it_is_what_a_plain_map_says(file in entries(), mut others in entries()) {
            let row = |(prefix, secs): &(Prefix, Option<u64>)| listfile::row(prefix, Ttl::from_secs(*secs), "");
            let text: Vec<String> = file.iter().map(row).collect();
            let mut wanted = wanted(&text.join("\n"));
            others.sort();
            wanted.leave_out_covered(&others);

            let mut latest: BTreeMap<Prefix, u64> = BTreeMap::new();
            for (prefix, secs) in &file {
                let latest = latest.entry(*prefix).or_default();
                *latest = end(*secs).max(*latest);
            }
            prop_assert_eq!(wanted.duplicates, file.len() - latest.len());
            let others: Vec<_> = others.iter().map(|(prefix, secs)| (prefix, end(*secs))).collect();
            let covers = |by: &Prefix, until: u64, prefix: &Prefix, own: u64| by.covers(prefix) && until >= own;
            let left: Vec<Prefix> = latest
                .iter()
                .filter(|(prefix, own)| {
                    let by_file = latest.iter().any(|(by, until)| by != *prefix && covers(by, *until, prefix, **own));
                    let by_others = others.iter().any(|(by, until)| covers(by, *until, prefix, **own));
                    !by_file && !by_others
                })
                .map(|(prefix, _)| *prefix)
                .collect();
            let kept: Vec<Prefix> = wanted.kept.iter().map(|kept| kept.prefix).collect();
            prop_assert_eq!(wanted.covered, latest.len() - left.len());
            prop_assert_eq!(kept, left);
        }
    }
}
