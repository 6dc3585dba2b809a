//! From bytes to entries. Whatever the bytes are, nothing but [`Damage`] comes of it.

use std::net::IpAddr;

use fw_common::Prefix;

use super::{ENDS, Key, NOTED, Row, SAME, VERSION, sum};
use crate::policy::{
    entry::{Comment, ListId, Place},
    time::{BootSecs, WallSecs},
};

/// What is wrong with the bytes of a group.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(in crate::store) enum Damage {
    #[error("it is of version {0}, this program knows {VERSION}")]
    Version(u8),
    #[error("its sum is wrong")]
    Sum,
    #[error("it ends within an entry")]
    Torn,
    #[error("it is empty")]
    Empty,
    #[error("an entry has unknown flags")]
    Flags,
    #[error("an entry is like one before, but is the first")]
    Nothing,
    #[error("an entry is no network of the group")]
    Network,
    #[error("its entries are not in order")]
    Order,
    #[error("a comment is none")]
    Comment,
}

/// The rows of a group.
pub(in crate::store) fn decode(key: Key, bytes: &[u8]) -> Result<Vec<Row>, Damage> {
    let mut bytes = Bytes(bytes);
    let [version] = bytes.take()?;
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    if u32::from_be_bytes(bytes.take()?) != sum(key, bytes.0) {
        return Err(Damage::Sum);
    }
    if bytes.0.is_empty() {
        return Err(Damage::Empty);
    }
    let mut rows: Vec<Row> = Vec::new();
    while !bytes.0.is_empty() {
        let row = bytes.row(key, rows.last())?;
        if rows.last().is_some_and(|before| before.place >= row.place) {
            return Err(Damage::Order);
        }
        rows.push(row);
    }
    Ok(rows)
}

/// What is left to read.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Damage::Torn)?;
        self.0 = rest;
        Ok(*taken)
    }

    fn slice(&mut self, size: usize) -> Result<&'a [u8], Damage> {
        let (taken, rest) = self.0.split_at_checked(size).ok_or(Damage::Torn)?;
        self.0 = rest;
        Ok(taken)
    }

    fn row(&mut self, key: Key, before: Option<&Row>) -> Result<Row, Damage> {
        let [length, flags] = self.take()?;
        if flags & !(SAME | ENDS | NOTED) != 0 {
            return Err(Damage::Flags);
        }
        let prefix = self.prefix(key, length)?;
        let (list, created) = if flags & SAME == 0 {
            let list = ListId(u16::from_be_bytes(self.take()?));
            (list, WallSecs(u32::from_be_bytes(self.take()?).into()))
        } else {
            let before = before.ok_or(Damage::Nothing)?;
            (before.place.list, before.created)
        };
        let ends = if flags & ENDS == 0 {
            None
        } else {
            let boot = BootSecs(u32::from_be_bytes(self.take()?));
            Some((boot, WallSecs(i64::from_be_bytes(self.take()?))))
        };
        let comment = if flags & NOTED == 0 {
            Comment::default()
        } else {
            let [size] = self.take()?;
            let text = str::from_utf8(self.slice(size.into())?);
            let comment = text.ok().and_then(|text| text.parse().ok());
            comment.ok_or(Damage::Comment)?
        };
        Ok(Row {
            place: Place { prefix, list },
            comment,
            created,
            ends,
        })
    }

    fn prefix(&mut self, key: Key, length: u8) -> Result<Prefix, Damage> {
        let address = match *key.addresses().start() {
            IpAddr::V4(v4) => self.octets(key, length, v4.octets())?.into(),
            IpAddr::V6(v6) => self.octets(key, length, v6.octets())?.into(),
        };
        let prefix = Prefix::new(address, length).ok_or(Damage::Network)?;
        // Bits behind the length would be those of another network.
        (prefix.address() == address)
            .then_some(prefix)
            .ok_or(Damage::Network)
    }

    fn octets<const N: usize>(
        &mut self,
        key: Key,
        length: u8,
        mut octets: [u8; N],
    ) -> Result<[u8; N], Damage> {
        let end = usize::from(length).div_ceil(8).max(key.bytes());
        let tail = octets.get_mut(key.bytes()..end).ok_or(Damage::Network)?;
        tail.copy_from_slice(self.slice(tail.len())?);
        Ok(octets)
    }
}
