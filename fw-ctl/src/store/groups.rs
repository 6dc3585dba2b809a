//! Entries as the database holds them: a million rows would take seconds to write, so entries whose
//! addresses begin alike stand in one, as bytes. Pure.
//!
//! A group has a [`Key`]: action, family, and the first 16 bits of an IPv4 address or the first 32
//! of an IPv6 address. Its bytes, numbers with the highest byte first:
//!
//! ```text
//! version  1   the number 1
//! sum      4   FNV-1a over the 8 bytes of the key and all that follows
//! then for each entry, in the order of places, each once:
//!   length   1   of the prefix in bits
//!   flags    1   SAME, ENDS, NOTED
//!   address  n   what the prefix has behind the bits of the key, in whole bytes: up to 2 or 12
//!   list     2   \ not if SAME: as the entry before
//!   created  4   / seconds since 1970
//!   boot     4   \ if ENDS: boot time
//!   wall     8   / the same on the wall, seconds since 1970
//!   size     1   \ if NOTED
//!   comment  size/ UTF-8
//! ```
//!
//! The sum is there because SQLite keeps none: a bit that falls over on the disk would block
//! somebody else.

mod key;
mod read;

use std::net::IpAddr;

pub(super) use self::{key::Key, read::decode};
use crate::policy::{
    entry::{Comment, Entry, Place},
    time::{BootSecs, Now, WallSecs},
};

const VERSION: u8 = 1;

/// List and time of creation are those of the entry before.
const SAME: u8 = 1;
const ENDS: u8 = 2;
const NOTED: u8 = 4;

/// An entry as it is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Row {
    pub(super) place: Place,
    pub(super) comment: Comment,
    pub(super) created: WallSecs,
    /// When it ends on both clocks; `None` for never.
    pub(super) ends: Option<(BootSecs, WallSecs)>,
}

impl Row {
    /// As the policy has it.
    pub(super) fn of(place: Place, entry: &Entry, now: Now) -> Self {
        let ends = entry.deadline();
        Self {
            place,
            comment: entry.comment.clone(),
            created: entry.created(),
            ends: ends.map(|deadline| (deadline, now.wall_of(deadline))),
        }
    }

    /// As the policy is to have it.
    pub(super) fn entry(self) -> Entry {
        Entry::new(self.comment, self.created, self.ends.map(|(boot, _)| boot))
    }
}

/// The bytes of a group; its rows come in the order of their places.
pub(super) fn encode(key: Key, rows: impl IntoIterator<Item = Row>) -> Vec<u8> {
    let mut bytes = vec![VERSION, 0, 0, 0, 0];
    let mut before = None;
    for Row {
        place,
        comment,
        created,
        ends,
    } in rows
    {
        let created = u32::try_from(created.0.max(0)).unwrap_or(u32::MAX);
        let same = before.replace((place.list, created)) == Some((place.list, created));
        let comment = comment.as_str();
        let flag = |flag, is_set| if is_set { flag } else { 0 };
        bytes.push(place.prefix.length());
        bytes
            .push(flag(SAME, same) | flag(ENDS, ends.is_some()) | flag(NOTED, !comment.is_empty()));
        match place.prefix.address() {
            IpAddr::V4(v4) => bytes.extend(tail(key, place.prefix.length(), &v4.octets())),
            IpAddr::V6(v6) => bytes.extend(tail(key, place.prefix.length(), &v6.octets())),
        }
        if !same {
            bytes.extend(place.list.0.to_be_bytes());
            bytes.extend(created.to_be_bytes());
        }
        if let Some((BootSecs(boot), WallSecs(wall))) = ends {
            bytes.extend(boot.to_be_bytes());
            bytes.extend(wall.to_be_bytes());
        }
        if !comment.is_empty() {
            // As a comment has at most 255 bytes, its size is one.
            bytes.push(comment.len() as u8);
            bytes.extend(comment.as_bytes());
        }
    }
    let sum = sum(key, &bytes[5..]);
    bytes[1..5].copy_from_slice(&sum.to_be_bytes());
    bytes
}

/// Which bytes of an address stand in an entry.
fn tail(key: Key, length: u8, octets: &[u8]) -> &[u8] {
    let end = usize::from(length).div_ceil(8).max(key.bytes());
    &octets[key.bytes()..end]
}

/// FNV-1a, 32 bits.
fn sum(key: Key, bytes: &[u8]) -> u32 {
    let key = key.number().to_be_bytes();
    let all = key.iter().chain(bytes);
    all.fold(0x811c_9dc5, |sum, byte| {
        (sum ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests;
