//! Many changes of a map at once.

use std::{collections::BTreeMap, iter};

/// From this part of a map on, its changes are merged into it.
const MANY: usize = 4;

/// Makes each of these keys stand for its value, or for nothing. The keys ascend; `told` hears of
/// each what it stood for before, and what it stands for now.
///
/// Few changes are made one by one. Many are merged with what is there in one pass: that is faster,
/// and leaves the nodes of the tree full, where keys that arrive in order leave them half empty.
pub(in crate::policy) fn merge<K: Ord, V>(
    map: &mut BTreeMap<K, V>,
    changes: impl ExactSizeIterator<Item = (K, Option<V>)>,
    mut told: impl FnMut(&K, Option<&V>, Option<&V>),
) {
    if changes.len() < map.len() / MANY {
        for (key, after) in changes {
            told(&key, map.get(&key), after.as_ref());
            match after {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        return;
    }
    let mut held = std::mem::take(map).into_iter().peekable();
    let mut changes = changes.peekable();
    let merged = iter::from_fn(|| {
        loop {
            let Some((key, _)) = changes.peek() else {
                return held.next();
            };
            if let Some(earlier) = held.next_if(|(other, _)| other < key) {
                return Some(earlier);
            }
            let before = held.next_if(|(other, _)| other == key);
            let (key, after) = changes.next()?;
            told(
                &key,
                before.as_ref().map(|(_, value)| value),
                after.as_ref(),
            );
            if let Some(value) = after {
                return Some((key, value));
            }
        }
    });
    *map = merged.collect();
}
