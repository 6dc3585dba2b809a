//! What `nft` shows of our table. Pure.

use std::{collections::BTreeMap, net::IpAddr, time::Duration};

use fw_common::Prefix;
use serde::{Deserialize, de::IgnoredAny};

use super::{
    held::{Held, SLACK_SECS},
    sets::SetId,
};
use crate::{plan::mirror::SetName, policy::time::BootSecs};

/// Networks by set, with what is left of their time.
pub type Networks = BTreeMap<SetName, BTreeMap<Prefix, Option<Duration>>>;

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Object>,
}

/// A set, or something that has no elements.
#[derive(Deserialize)]
struct Object {
    set: Option<Set>,
}

#[derive(Deserialize)]
struct Set {
    name: String,
    #[serde(default)]
    elem: Vec<Element>,
}

/// Those of our sets are one of the first two.
#[derive(Deserialize)]
#[serde(untagged)]
enum Element {
    Plain(IpAddr),
    Timed { elem: Timed },
    Other(IgnoredAny),
}

#[derive(Deserialize)]
struct Timed {
    val: IpAddr,
    /// In seconds, rounded down.
    expires: Option<u64>,
}

/// Reads the table as `nft -j` lists it. Other sets than [`SetId`]s are passed over: buckets come
/// and go.
///
/// # Errors
/// It is no such listing.
pub fn networks(json: &str) -> Result<Networks, serde_json::Error> {
    let listing: Listing = serde_json::from_str(json)?;
    let mut networks = Networks::new();
    for set in listing.nftables.into_iter().filter_map(|object| object.set) {
        let Some(id) = SetId::parse(&set.name) else {
            continue;
        };
        let elements = set.elem.into_iter().filter_map(|element| match element {
            Element::Plain(address) => Some((id.prefix(address)?, None)),
            Element::Timed { elem } => Some((id.prefix(elem.val)?, elem.expires.map(middle))),
            Element::Other(_) => None,
        });
        networks.entry(id.name).or_default().extend(elements);
    }
    Ok(networks)
}

/// Of the second in which it ends.
fn middle(secs: u64) -> Duration {
    Duration::from_secs(secs).saturating_add(Duration::from_millis(500))
}

/// How many networks each set has. What we know to have ended counts as if it were still there.
pub fn counts(listed: &Networks, held: Option<&Held>, now: BootSecs) -> BTreeMap<SetName, usize> {
    let none = BTreeMap::new();
    let count = |name| {
        let listed = listed.get(&name).unwrap_or(&none);
        let count = held.map_or(listed.len(), |held| count(listed, held, name, now));
        (name, count)
    };
    SetName::ALL.map(count).into()
}

/// Fewer than we hold where one is missing, more where one is too many.
fn count(
    listed: &BTreeMap<Prefix, Option<Duration>>,
    held: &Held,
    name: SetName,
    now: BootSecs,
) -> usize {
    let held = held.networks(name);
    let may_be_gone = |deadline: &Option<BootSecs>| {
        deadline.is_some_and(|end| end.0 <= now.0.saturating_add(SLACK_SECS))
    };
    let missing = held
        .iter()
        .filter(|(prefix, deadline)| !listed.contains_key(prefix) && !may_be_gone(deadline))
        .count();
    let foreign = listed
        .keys()
        .filter(|prefix| !held.contains_key(prefix))
        .count();
    match missing {
        0 => held.len() + foreign,
        missing => held.len() - missing,
    }
}

#[cfg(test)]
mod tests;
