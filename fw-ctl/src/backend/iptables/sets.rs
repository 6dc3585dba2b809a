//! The sets as text for `ipset restore`.

use std::collections::BTreeMap;

use fw_common::{Prefix, reason::Family};

use super::{
    halves::{Halves, is_wide},
    observe::Header,
};
use crate::{
    plan::mirror::{Element, SetChange, SetName},
    policy::time::Now,
};

/// What the names of all our sets begin with; others may have such names too.
const PREFIX: &str = "fwctl-";
/// What the name of a set that is being filled ends with.
const NEW: &str = "-new";

/// The families that sets are for.
pub const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// More than the policy can hold; a set takes memory for what it does hold.
const MAXELEM: u32 = 1 << 24;

/// The longest time `ipset` counts, in seconds: 24 days.
const MAX_TIMEOUT: u64 = 2_147_483;

/// The name of a set in netfilter.
pub fn name(set: SetName, family: Family) -> String {
    let digit = if family == Family::V6 { 6 } else { 4 };
    format!("{PREFIX}{}{digit}", set.name())
}

/// All our sets with their families.
fn all() -> impl Iterator<Item = (String, Family)> {
    let of = |set| FAMILIES.map(|family| (name(set, family), family));
    SetName::ALL.into_iter().flat_map(of)
}

/// Which set has this name; none for one that is being filled.
pub fn of(found: &str) -> Option<SetName> {
    let is_named = |set: &SetName| FAMILIES.iter().any(|family| name(*set, *family) == found);
    SetName::ALL.into_iter().find(is_named)
}

/// Whether a set of this name, finished or being filled, is one of ours.
pub fn is_ours(found: &str) -> bool {
    of(found.strip_suffix(NEW).unwrap_or(found)).is_some()
}

/// What every set of a family is made with.
fn options(family: Family) -> String {
    let inet = if family == Family::V6 {
        "inet6"
    } else {
        "inet"
    };
    format!("family {inet} maxelem {MAXELEM} timeout 0")
}

/// Whether a set that should be ours was made by somebody else, so that none of ours can take its
/// place.
pub fn is_spoilt(header: &Header) -> bool {
    let spoilt =
        |(_, family)| header.kind != "hash:net" || !header.options.starts_with(&options(family));
    all()
        .find(|(name, _)| *name == header.name)
        .is_some_and(spoilt)
}

/// Makes the changes true, where these sets stand. What replaces a set is built beside it first
/// and takes its place at once. Guarded and allowed sources come before the blocks and go after
/// them.
pub fn put(
    changes: &BTreeMap<SetName, SetChange>,
    standing: &[Header],
    halves: &Halves,
    now: Now,
) -> String {
    let mut text = Text {
        now,
        build: String::new(),
        before: String::new(),
        between: String::new(),
        after: String::new(),
    };
    for left in standing.iter().filter(|set| set.name.ends_with(NEW)) {
        text.build += &format!("destroy {}\n", left.name);
    }
    for (set, change) in changes {
        let halves = halves.of(*set);
        match change {
            SetChange::Replace(elements) => {
                let plain = elements.iter().filter(|held| !is_wide(&held.prefix));
                let halves = halves.filter_map(|(_, half)| half);
                let elements: Vec<Element> = plain.copied().chain(halves).collect();
                text.replace(*set, &elements, standing);
            }
            SetChange::Edit(edits) => {
                let plain = edits.iter().filter(|(prefix, _)| !is_wide(prefix));
                let plain = plain.map(|(prefix, held)| (*prefix, *held));
                let touched = edits.keys().any(is_wide);
                let halves = halves.filter(|_| touched);
                text.edit(*set, plain.chain(halves));
            }
        }
    }
    [text.build, text.before, text.between, text.after].concat()
}

/// In the order in which it is run.
struct Text {
    now: Now,
    /// Sets that nothing asks yet.
    build: String,
    /// What protects, coming.
    before: String,
    /// Blocks.
    between: String,
    /// What protects, going.
    after: String,
}

impl Text {
    fn replace(&mut self, set: SetName, elements: &[Element], standing: &[Header]) {
        for family in FAMILIES {
            let (name, options) = (name(set, family), options(family));
            let is_ours = |held: &&Element| held.prefix.family() == family;
            let count = elements.iter().filter(is_ours).count();
            if standing.iter().all(|header| header.name != name) {
                self.build += &format!("create {name} hash:net {options}\n");
            }
            // A set that need not grow is filled faster.
            let buckets = (count / 4).next_power_of_two().max(64);
            self.build += &format!("create {name}{NEW} hash:net {options} hashsize {buckets}\n");
            for element in elements.iter().filter(is_ours) {
                if let Some(secs) = self.secs(element) {
                    let prefix = element.prefix;
                    self.build += &format!("add {name}{NEW} {prefix} timeout {secs}\n");
                }
            }
            *self.coming(set) += &format!("swap {name} {name}{NEW}\ndestroy {name}{NEW}\n");
        }
    }

    /// Lifts before it cuts.
    fn edit(&mut self, set: SetName, edits: impl Iterator<Item = (Prefix, Option<Element>)>) {
        let mut added = String::new();
        for (prefix, element) in edits {
            let name = name(set, prefix.family());
            match element.and_then(|element| self.secs(&element)) {
                Some(secs) => added += &format!("add {name} {prefix} timeout {secs}\n"),
                None => *self.going(set) += &format!("del {name} {prefix}\n"),
            }
        }
        *self.coming(set) += &added;
    }

    /// As `ipset` counts, where 0 is for ever. What ends later than it can count is put again
    /// before then. `None` when it has ended.
    fn secs(&self, element: &Element) -> Option<u64> {
        match element.deadline {
            None => Some(0),
            Some(end) => Some(self.now.left(end).min(MAX_TIMEOUT)).filter(|secs| *secs > 0),
        }
    }

    fn coming(&mut self, set: SetName) -> &mut String {
        match set {
            SetName::Guard | SetName::Allow => &mut self.before,
            SetName::Block => &mut self.between,
        }
    }

    fn going(&mut self, set: SetName) -> &mut String {
        match set {
            SetName::Guard | SetName::Allow => &mut self.after,
            SetName::Block => &mut self.between,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::policy::time::{BootSecs, WallSecs};

    const NOW: Now = Now {
        boot: Duration::from_secs(1_000),
        wall: WallSecs(0),
    };

    fn element(prefix: &str, deadline: Option<u32>) -> Element {
        Element {
            prefix: prefix.parse().expect("a prefix"),
            deadline: deadline.map(BootSecs),
        }
    }

    fn text(changes: Vec<(SetName, SetChange)>, standing: &[Header]) -> String {
        let changes = BTreeMap::from_iter(changes);
        let mut halves = Halves::default();
        for (set, change) in &changes {
            halves.learn(*set, change);
        }
        put(&changes, standing, &halves, NOW)
    }

    fn header(name: &str, options: &str) -> Header {
        Header {
            name: name.to_owned(),
            kind: "hash:net".to_owned(),
            options: options.to_owned(),
            count: 0,
        }
    }

    const V4: &str = "family inet maxelem 16777216 timeout 0 bucketsize 12";

    #[test]
    fn a_set_is_built_beside_the_old_one_and_takes_its_place() {
        let elements = vec![
            element("0.0.0.0/0", Some(1_010)),
            element("192.0.2.7", None),
            element("192.0.2.8", Some(1_000)),
            element("198.51.100.0/24", Some(1_060)),
            element("2001:db8::/32", Some(u32::MAX - 1)),
        ];
        let standing = [header("fwctl-block4", V4), header("fwctl-block4-new", V4)];
        assert_eq!(
            text(
                vec![(SetName::Block, SetChange::Replace(elements))],
                &standing
            ),
            "destroy fwctl-block4-new\n\
             create fwctl-block4-new hash:net family inet maxelem 16777216 timeout 0 hashsize 64\n\
             add fwctl-block4-new 192.0.2.7 timeout 0\n\
             add fwctl-block4-new 198.51.100.0/24 timeout 60\n\
             add fwctl-block4-new 0.0.0.0/1 timeout 10\n\
             add fwctl-block4-new 128.0.0.0/1 timeout 10\n\
             create fwctl-block6 hash:net family inet6 maxelem 16777216 timeout 0\n\
             create fwctl-block6-new hash:net family inet6 maxelem 16777216 timeout 0 hashsize 64\n\
             add fwctl-block6-new 2001:db8::/32 timeout 2147483\n\
             swap fwctl-block4 fwctl-block4-new\n\
             destroy fwctl-block4-new\n\
             swap fwctl-block6 fwctl-block6-new\n\
             destroy fwctl-block6-new\n"
        );
    }

    #[test]
    fn an_edit_lifts_before_it_cuts_and_protects_before_it_blocks() {
        let edit = |edits: &[(&str, Option<Option<u32>>)]| {
            let edit = |(prefix, held): &(&str, Option<Option<u32>>)| {
                let held = held.map(|deadline| element(prefix, deadline));
                (element(prefix, None).prefix, held)
            };
            SetChange::Edit(edits.iter().map(edit).collect())
        };
        let changes = vec![
            (
                SetName::Guard,
                edit(&[("10.0.0.1", Some(None)), ("10.0.0.2", None)]),
            ),
            (
                SetName::Allow,
                edit(&[("2001:db8::1", None), ("2001:db8::2", Some(Some(1_005)))]),
            ),
            (
                SetName::Block,
                edit(&[
                    ("192.0.2.0/24", Some(Some(1_060))),
                    ("192.0.2.9", Some(Some(999))),
                    ("::/0", None),
                    ("203.0.113.0/24", None),
                ]),
            ),
        ];
        assert_eq!(
            text(changes, &[]),
            "add fwctl-guard4 10.0.0.1 timeout 0\n\
             add fwctl-allow6 2001:db8::2 timeout 5\n\
             del fwctl-block4 192.0.2.9\n\
             del fwctl-block4 203.0.113.0/24\n\
             del fwctl-block4 0.0.0.0/1\n\
             del fwctl-block4 128.0.0.0/1\n\
             del fwctl-block6 ::/1\n\
             del fwctl-block6 8000::/1\n\
             add fwctl-block4 192.0.2.0/24 timeout 60\n\
             del fwctl-guard4 10.0.0.2\n\
             del fwctl-allow6 2001:db8::1\n"
        );
    }

    #[test]
    fn a_set_that_somebody_else_made_under_our_name_is_recognised() {
        assert!(!is_spoilt(&header("fwctl-block4", V4)));
        assert!(!is_spoilt(&header("fwctl-mine", "family inet maxelem 9")));
        assert!(is_spoilt(&header("fwctl-block6", V4)));
        assert!(is_spoilt(&header(
            "fwctl-block4",
            "family inet maxelem 65536"
        )));
        let kind = "hash:ip".to_owned();
        let other = Header {
            kind,
            ..header("fwctl-block4", V4)
        };
        assert!(is_spoilt(&other));
    }
}
