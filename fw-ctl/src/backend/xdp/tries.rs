//! The tries: every listed prefix with the number of its row. They are the record beside the flat
//! tables, and what the program asks when it is loaded to show what that costs.

use std::{io, os::fd::AsFd as _};

use aya::{Ebpf, maps::MapData};
use fw_common::abi;

use super::{
    flat::{
        family::Entered,
        sweep::{Key, Kind, Number},
    },
    load::{self, LoadError},
    sys::{self, Stopped},
};

/// Elements of one batch: the keys and values of a few pages.
const BATCH: usize = 2048;

/// A trie for each family and kind.
#[derive(Debug)]
pub struct Tries {
    v4: [MapData; 3],
    v6: [MapData; 3],
    /// Whether hosts stand there too.
    hosts: bool,
}

/// The kernel refused to change a trie.
#[derive(Debug)]
pub struct Refused {
    /// Name of the map.
    pub table: &'static str,
    /// Why.
    pub source: io::Error,
    /// Whether it then refused to take back what was done before.
    pub broken: bool,
}

/// An address in the key of a trie.
pub trait TrieAddress: Number {
    /// The tries of this family.
    const NAMES: [&'static str; 3];

    /// The bytes behind the length.
    fn bytes(self) -> impl AsRef<[u8]>;
}

impl TrieAddress for u32 {
    const NAMES: [&'static str; 3] = [abi::GUARD_V4.name, abi::ALLOW_V4.name, abi::BLOCK_V4.name];

    fn bytes(self) -> impl AsRef<[u8]> {
        let [a, b, c, d] = self.to_be_bytes();
        [a, b, c, d, 0, 0, 0, 0]
    }
}

impl TrieAddress for u128 {
    const NAMES: [&'static str; 3] = [abi::GUARD_V6.name, abi::ALLOW_V6.name, abi::BLOCK_V6.name];

    fn bytes(self) -> impl AsRef<[u8]> {
        self.to_be_bytes()
    }
}

impl Tries {
    /// Takes the maps out of the object; with `hosts`, hosts are written too.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn take(object: &mut Ebpf, hosts: bool) -> Result<Self, LoadError> {
        let mut three = |names: [&'static str; 3]| -> Result<[MapData; 3], LoadError> {
            let [guard, allow, block] = names;
            Ok([
                load::take_map(object, guard)?,
                load::take_map(object, allow)?,
                load::take_map(object, block)?,
            ])
        };
        Ok(Self {
            v4: three(u32::NAMES)?,
            v6: three(u128::NAMES)?,
            hosts,
        })
    }

    /// Writes what changes in both families, or takes it back.
    ///
    /// # Errors
    /// [`Refused`]
    pub fn write(&self, v4: &Entered<u32>, v6: &Entered<u128>) -> Result<(), Refused> {
        self.write_family(&self.v4, &v4.added, &v4.removed)?;
        self.write_family(&self.v6, &v6.added, &v6.removed)
            .map_err(|refused| {
                let back = self.write_family(&self.v4, &v4.removed, &v4.added);
                Refused {
                    broken: refused.broken || back.is_err(),
                    ..refused
                }
            })
    }

    fn write_family<A: TrieAddress>(
        &self,
        maps: &[MapData; 3],
        added: &[(Key<A>, u32)],
        removed: &[(Key<A>, u32)],
    ) -> Result<(), Refused> {
        let forth = self.put_and_take(maps, added, removed);
        forth.map_err(|(table, source)| Refused {
            table,
            source,
            // What was not done yet is not there to be taken back, and that is no error.
            broken: self.put_and_take(maps, removed, added).is_err(),
        })
    }

    fn put_and_take<A: TrieAddress>(
        &self,
        maps: &[MapData; 3],
        put: &[(Key<A>, u32)],
        take: &[(Key<A>, u32)],
    ) -> Result<(), (&'static str, io::Error)> {
        for (kind, map) in Kind::ALL.into_iter().zip(maps) {
            let ours = |((_, length, of), _): &&(Key<A>, u32)| {
                *of == kind && (*length < A::WIDTH || self.hosts || kind == Kind::Guard)
            };
            // Taken first, so that a full trie has room.
            let result = delete(map, take.iter().filter(ours));
            let result = result.and_then(|()| update(map, put.iter().filter(ours)));
            result.map_err(|error| (A::NAMES[kind as usize], error))?;
        }
        Ok(())
    }
}

fn key<A: TrieAddress>((first, length, _): &Key<A>, keys: &mut Vec<u8>) {
    keys.extend_from_slice(&u32::from(*length).to_ne_bytes());
    keys.extend_from_slice(first.bytes().as_ref());
}

fn update<'a, A: TrieAddress + 'a>(
    map: &MapData,
    mut rows: impl Iterator<Item = &'a (Key<A>, u32)>,
) -> io::Result<()> {
    let (mut keys, mut values) = (Vec::new(), Vec::new());
    loop {
        keys.clear();
        values.clear();
        for (prefix, row) in rows.by_ref().take(BATCH) {
            key(prefix, &mut keys);
            values.extend_from_slice(&row.to_ne_bytes());
        }
        let count = values.len() / size_of::<u32>();
        if count == 0 {
            return Ok(());
        }
        sys::update_batch(map.fd().as_fd(), &keys, &values, count)
            .map_err(|stopped| stopped.error)?;
    }
}

/// What is not there is passed over: a daemon that was killed has taken it away already.
fn delete<'a, A: TrieAddress + 'a>(
    map: &MapData,
    mut rows: impl Iterator<Item = &'a (Key<A>, u32)>,
) -> io::Result<()> {
    let mut keys = Vec::new();
    loop {
        keys.clear();
        let batch = rows.by_ref().take(BATCH);
        let count = batch.map(|(prefix, _)| key(prefix, &mut keys)).count();
        if count == 0 {
            return Ok(());
        }
        let size = keys.len() / count;
        let mut done = 0;
        while done < count {
            match sys::delete_batch(map.fd().as_fd(), &keys[done * size..], count - done) {
                Ok(()) => break,
                Err(Stopped { done: some, error })
                    if error.raw_os_error() == Some(libc::ENOENT) =>
                {
                    done += some + 1;
                }
                Err(stopped) => return Err(stopped.error),
            }
        }
    }
}
