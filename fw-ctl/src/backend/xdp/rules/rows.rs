//! The rows of all classes: a trie for each family, by class and source.

use std::{io, net::IpAddr, os::fd::AsFd as _};

use aya::maps::MapData;
use fw_common::{
    Prefix,
    abi::{self, ClassV4, ClassV6, RuleRow},
    reason::Family,
};

use super::super::{fields::Fields, sys};

/// Elements of one batch.
const BATCH: usize = 2048;

/// Bits in front of the source: the class, and two bytes of zero.
const CLASS_BITS: u32 = 32;

/// The tries.
pub struct Rows {
    /// Of IPv4 sources.
    pub v4: MapData,
    /// Of IPv6 sources.
    pub v6: MapData,
}

impl Rows {
    /// All rows, in no order.
    pub fn read(&self) -> io::Result<Vec<(u16, Prefix, RuleRow)>> {
        let mut rows = Vec::new();
        for (map, key_size) in self.tries() {
            let mut keys = vec![0; key_size * BATCH];
            let mut values = vec![0; size_of::<RuleRow>() * BATCH];
            let mut cursor = None;
            let mut ended = false;
            while !ended {
                let count;
                (count, ended) = sys::lookup_batch(
                    map.fd().as_fd(),
                    &mut cursor,
                    &mut keys,
                    &mut values,
                    BATCH,
                )?;
                let keys = keys.chunks_exact(key_size);
                let values = values.chunks_exact(size_of::<RuleRow>());
                rows.extend(keys.zip(values).take(count).filter_map(decode));
            }
        }
        Ok(rows)
    }

    /// Writes rows.
    pub fn write(&mut self, rows: impl Iterator<Item = (u16, Prefix, RuleRow)>) -> io::Result<()> {
        let (v4, v6): (Vec<_>, Vec<_>) = rows.partition(|(_, source, _)| is_v4(source));
        for ((map, _), rows) in self.tries().into_iter().zip([v4, v6]) {
            for rows in rows.chunks(BATCH) {
                let keys = rows
                    .iter()
                    .flat_map(|(class, source, _)| key(*class, *source));
                let keys: Vec<u8> = keys.collect();
                let values = rows.iter().flat_map(|(.., row)| value(*row));
                let values: Vec<u8> = values.collect();
                sys::update_batch(map.fd().as_fd(), &keys, &values, rows.len())
                    .map_err(|stopped| stopped.error)?;
            }
        }
        Ok(())
    }

    /// Takes rows away that are there.
    pub fn delete(&mut self, places: impl Iterator<Item = (u16, Prefix)>) -> io::Result<()> {
        let (v4, v6): (Vec<_>, Vec<_>) = places.partition(|(_, source)| is_v4(source));
        for ((map, _), places) in self.tries().into_iter().zip([v4, v6]) {
            for places in places.chunks(BATCH) {
                let keys = places
                    .iter()
                    .flat_map(|(class, source)| key(*class, *source));
                let keys: Vec<u8> = keys.collect();
                sys::delete_batch(map.fd().as_fd(), &keys, places.len())
                    .map_err(|stopped| stopped.error)?;
            }
        }
        Ok(())
    }

    /// Each with the size of its key: IPv4 first.
    fn tries(&self) -> [(&MapData, usize); 2] {
        [
            (&self.v4, abi::CLASS_V4.key_size as usize),
            (&self.v6, abi::CLASS_V6.key_size as usize),
        ]
    }
}

fn is_v4(source: &Prefix) -> bool {
    source.family() == Family::V4
}

fn key(class: u16, source: Prefix) -> Vec<u8> {
    let bits = CLASS_BITS + u32::from(source.length());
    let mut key = bits.to_ne_bytes().to_vec();
    key.extend(class.to_be_bytes());
    key.extend([0; 2]);
    match source.address() {
        IpAddr::V4(address) => key.extend(address.octets()),
        IpAddr::V6(address) => key.extend(address.octets()),
    }
    key
}

fn value(RuleRow { rule, drops }: RuleRow) -> Vec<u8> {
    [rule.to_ne_bytes(), drops.to_ne_bytes()].concat()
}

fn decode((key, value): (&[u8], &[u8])) -> Option<(u16, Prefix, RuleRow)> {
    let mut fields = Fields(key);
    let length = fields.u32()?.checked_sub(CLASS_BITS)?;
    let class = u16::from_be_bytes(fields.next()?);
    fields.next::<2>()?;
    let address: IpAddr = match fields.0.len() {
        4 => fields.next::<4>()?.into(),
        _ => fields.next::<16>()?.into(),
    };
    let source = Prefix::new(address, u8::try_from(length).ok()?)?;
    let mut fields = Fields(value);
    let row = RuleRow {
        rule: fields.u32()?,
        drops: fields.u32()?,
    };
    Some((class, source, row))
}

const _: () = {
    assert!(size_of::<ClassV4>() == 4 + 4);
    assert!(size_of::<ClassV6>() == 4 + 16);
};
