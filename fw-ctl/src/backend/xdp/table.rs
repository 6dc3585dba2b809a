//! One kernel table: an LPM trie or a host table, read and written by prefix.

use std::{
    io,
    net::IpAddr,
    os::fd::{AsFd as _, BorrowedFd},
};

use aya::{Pod, maps::MapData};
use fw_common::{
    Prefix,
    abi::{self, Entry, MapKind, MapSpec, TrieKey},
};

use super::sys::{self, Stopped};
use crate::plan::Op;

/// Elements of one batch: the keys and values of a few pages.
const BATCH: usize = 2048;

/// A value of a table, in the bytes of the map.
pub trait Value: Pod + Default {
    /// Bytes of the value.
    fn to_bytes(&self) -> Vec<u8>;
    /// The value in the bytes; `None` when they are of another length.
    fn from_bytes(bytes: &[u8]) -> Option<Self>;
    /// Whether it is the scan detector's: those have room of their own.
    fn is_auto(&self) -> bool {
        false
    }
}

impl Value for u32 {
    fn to_bytes(&self) -> Vec<u8> {
        self.to_ne_bytes().to_vec()
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self::from_ne_bytes)
    }
}

impl Value for Entry {
    fn to_bytes(&self) -> Vec<u8> {
        let Self {
            deadline,
            list,
            length,
            flags,
            packets,
            bytes,
        } = *self;
        let mut raw = Vec::with_capacity(size_of::<Self>());
        raw.extend_from_slice(&deadline.to_ne_bytes());
        raw.extend_from_slice(&list.to_ne_bytes());
        raw.extend_from_slice(&[length, flags]);
        raw.extend_from_slice(&packets.to_ne_bytes());
        raw.extend_from_slice(&bytes.to_ne_bytes());
        raw
    }

    fn from_bytes(raw: &[u8]) -> Option<Self> {
        let (deadline, rest) = raw.split_first_chunk()?;
        let (list, rest) = rest.split_first_chunk()?;
        let ([length, flags], rest) = rest.split_first_chunk()?;
        let (packets, rest) = rest.split_first_chunk()?;
        let bytes = rest.try_into().ok()?;
        Some(Self {
            deadline: u32::from_ne_bytes(*deadline),
            list: u16::from_ne_bytes(*list),
            length: *length,
            flags: *flags,
            packets: u64::from_ne_bytes(*packets),
            bytes: u64::from_ne_bytes(bytes),
        })
    }

    fn is_auto(&self) -> bool {
        self.list == abi::AUTO_LIST
    }
}

/// A table in the kernel.
pub struct Table {
    spec: MapSpec,
    map: MapData,
    /// Entries in it, by our own account: the kernel keeps none that can be asked for.
    used: usize,
    /// Of these, the scan detector's.
    auto: usize,
    capacity: usize,
}

impl Table {
    /// A table over an open map of this shape.
    pub fn new(spec: MapSpec, map: MapData, capacity: usize) -> Self {
        Self {
            spec,
            map,
            used: 0,
            auto: 0,
            capacity,
        }
    }

    /// Name of the map.
    pub fn name(&self) -> &'static str {
        self.spec.name
    }

    /// Entries in it.
    pub fn used(&self) -> usize {
        self.used
    }

    /// Of these, the scan detector's.
    pub fn auto(&self) -> usize {
        self.auto
    }

    /// Entries it can hold, beside [`super::load::AUTO_ROOM`] of the scan detector.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Takes note of an entry that the program has written itself.
    pub fn noticed(&mut self) {
        self.used += 1;
        self.auto += 1;
    }

    /// The entry of exactly this prefix; a trie would answer with one that covers it.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn get(&self, prefix: Prefix) -> io::Result<Option<Entry>> {
        let mut value = [0; size_of::<Entry>()];
        if !sys::lookup(self.fd(), &self.key(prefix), &mut value)? {
            return Ok(None);
        }
        Ok(Entry::from_bytes(&value).filter(|entry| entry.length == prefix.length()))
    }

    /// Everything in the table, in no order. Takes note of how many there are.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn dump<V: Value>(&mut self) -> io::Result<Vec<(Prefix, V)>> {
        let (key_size, value_size) = (self.spec.key_size as usize, self.spec.value_size as usize);
        let mut keys = vec![0; key_size * BATCH];
        let mut values = vec![0; value_size * BATCH];
        let mut rows = Vec::new();
        let mut cursor = None;
        loop {
            let (count, ended) =
                sys::lookup_batch(self.fd(), &mut cursor, &mut keys, &mut values, BATCH)?;
            let elements = keys
                .chunks_exact(key_size)
                .zip(values.chunks_exact(value_size));
            rows.extend(
                elements
                    .take(count)
                    .filter_map(|(key, value)| Some((self.prefix(key)?, V::from_bytes(value)?))),
            );
            if ended {
                self.used = rows.len();
                self.auto = rows.iter().filter(|(_, value)| V::is_auto(value)).count();
                return Ok(rows);
            }
        }
    }

    /// Writes rows, or without rows takes the prefixes of `ops` away. Says how far it came.
    ///
    /// # Errors
    /// What `bpf(2)` says.
    pub fn write<V: Value>(&mut self, ops: &[Op<V>], rows: &[(Prefix, V)]) -> Result<(), Stopped> {
        let result = if rows.is_empty() {
            self.delete(ops)
        } else {
            self.update(rows)
        };
        let done = result
            .as_ref()
            .map_or_else(|stopped| stopped.done, |()| ops.len());
        for op in &ops[..done] {
            let auto = |value: &Option<V>| usize::from(value.as_ref().is_some_and(V::is_auto));
            let there = |value: &Option<V>| usize::from(value.is_some());
            self.used = (self.used + there(&op.after)).saturating_sub(there(&op.before));
            self.auto = (self.auto + auto(&op.after)).saturating_sub(auto(&op.before));
        }
        result
    }

    fn update<V: Value>(&self, rows: &[(Prefix, V)]) -> Result<(), Stopped> {
        for (number, chunk) in rows.chunks(BATCH).enumerate() {
            let keys: Vec<u8> = chunk
                .iter()
                .flat_map(|(prefix, _)| self.key(*prefix))
                .collect();
            let values: Vec<u8> = chunk
                .iter()
                .flat_map(|(_, value)| value.to_bytes())
                .collect();
            sys::update_batch(self.fd(), &keys, &values, chunk.len())
                .map_err(|stopped| after(number, stopped))?;
        }
        Ok(())
    }

    fn delete<V>(&self, ops: &[Op<V>]) -> Result<(), Stopped> {
        for (number, chunk) in ops.chunks(BATCH).enumerate() {
            let keys: Vec<u8> = chunk.iter().flat_map(|op| self.key(op.prefix)).collect();
            sys::delete_batch(self.fd(), &keys, chunk.len())
                .map_err(|stopped| after(number, stopped))?;
        }
        Ok(())
    }

    fn fd(&self) -> BorrowedFd<'_> {
        self.map.fd().as_fd()
    }

    fn key(&self, prefix: Prefix) -> Vec<u8> {
        match (self.spec.kind, TrieKey::from(prefix), prefix.address()) {
            (MapKind::Hash, _, IpAddr::V4(address)) => address.octets().to_vec(),
            (MapKind::Hash, _, IpAddr::V6(address)) => address.octets().to_vec(),
            (_, TrieKey::V4(key), _) => key.to_vec(),
            (_, TrieKey::V6(key), _) => key.to_vec(),
        }
    }

    fn prefix(&self, key: &[u8]) -> Option<Prefix> {
        match (self.spec.kind, key.len()) {
            (MapKind::Hash, 4) => Some(Prefix::host(<[u8; 4]>::try_from(key).ok()?.into())),
            (MapKind::Hash, 16) => Some(Prefix::host(<[u8; 16]>::try_from(key).ok()?.into())),
            (MapKind::LpmTrie, _) => {
                let (length, address) = key.split_first_chunk()?;
                let length = u8::try_from(u32::from_ne_bytes(*length)).ok()?;
                let address: IpAddr = match address.len() {
                    8 => (*address.first_chunk::<4>()?).into(),
                    _ => <[u8; 16]>::try_from(address).ok()?.into(),
                };
                Prefix::new(address, length)
            }
            _ => None,
        }
    }
}

fn after(chunks: usize, stopped: Stopped) -> Stopped {
    Stopped {
        done: chunks * BATCH + stopped.done,
        error: stopped.error,
    }
}
