//! What the program has blocked itself: small tables of their own, until the controller makes rows
//! of it.

use std::{
    io,
    net::IpAddr,
    sync::atomic::Ordering::{Relaxed, Release},
};

use aya::{
    Ebpf,
    maps::{HashMap, MapData, MapError},
};
use fw_common::{
    Prefix,
    abi::{self, AutoV6, Entry, HostV4},
    flat::presence,
    scan,
};

use super::{
    load::{self, LoadError},
    sys::Mapped,
};

/// The tables that the program writes into.
#[derive(Debug)]
pub struct Auto {
    v4: HashMap<MapData, HostV4, Entry>,
    v6: HashMap<MapData, AutoV6, Entry>,
    near: Mapped,
}

impl Auto {
    /// Takes the maps out of the object.
    ///
    /// # Errors
    /// [`LoadError`]
    pub fn take(object: &mut Ebpf) -> Result<Self, LoadError> {
        Ok(Self {
            v4: load::take(object, abi::AUTO_V4.name)?,
            v6: load::take(object, abi::AUTO_V6.name)?,
            near: load::take_mapped(object, &abi::AUTO_NEAR)?,
        })
    }

    /// The block of exactly this prefix.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn get(&self, prefix: Prefix) -> io::Result<Option<Entry>> {
        if !self.may_hold(prefix) {
            return Ok(None);
        }
        let found = match prefix.address() {
            IpAddr::V4(address) => self.v4.get(&address.octets(), 0),
            IpAddr::V6(_) => self.v6.get(&key(prefix), 0),
        };
        match found {
            Ok(entry) => Ok(Some(entry).filter(|entry| entry.length == prefix.length())),
            Err(MapError::KeyNotFound) => Ok(None),
            Err(error) => Err(io::Error::other(error)),
        }
    }

    /// Takes a block away, if it is there.
    pub fn remove(&mut self, prefix: Prefix) {
        if !self.may_hold(prefix) {
            return;
        }
        // Where it is not there, there is nothing to do.
        let _ = match prefix.address() {
            IpAddr::V4(address) => self.v4.remove(&address.octets()),
            IpAddr::V6(_) => self.v6.remove(&key(prefix)),
        };
    }

    /// All of them, in no order.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn all(&self) -> io::Result<Vec<(Prefix, Entry)>> {
        let mut all = Vec::new();
        for row in self.v4.iter() {
            let (address, entry) = row.map_err(io::Error::other)?;
            all.push((Prefix::host(IpAddr::from(address)), entry));
        }
        for row in self.v6.iter() {
            let ([_, high, low], entry) = row.map_err(io::Error::other)?;
            let address = u128::from(high) << 64 | u128::from(low);
            let address = IpAddr::from(address.to_be_bytes());
            all.extend(Prefix::new(address, entry.length).map(|prefix| (prefix, entry)));
        }
        Ok(all)
    }

    /// Makes sure that the program looks for a block that it has written; a look at the start may
    /// have cleared its bit.
    pub fn noticed(&self, prefix: Prefix) {
        let (word, bit) = presence::auto(&prefix.address().into());
        self.near.words()[word as usize].fetch_or(bit, Release);
    }

    /// Clears the bits that nothing needs any more; they are set all the time.
    ///
    /// # Errors
    /// What the kernel says.
    pub fn tidy(&self) -> io::Result<()> {
        let mut needed = vec![0; self.near.words().len()];
        for (prefix, _) in self.all()? {
            let (word, bit) = presence::auto(&prefix.address().into());
            needed[word as usize] |= bit;
        }
        for (word, bits) in self.near.words().iter().zip(needed) {
            word.fetch_and(bits, Release);
        }
        // What the program has written meanwhile.
        self.all()?
            .into_iter()
            .for_each(|(prefix, _)| self.noticed(prefix));
        Ok(())
    }

    fn may_hold(&self, prefix: Prefix) -> bool {
        let (word, bit) = presence::auto(&prefix.address().into());
        self.near.words()[word as usize].load(Relaxed) & bit != 0
            && (prefix.is_host() || prefix.address().is_ipv6())
    }
}

fn key(prefix: Prefix) -> AutoV6 {
    scan::auto_key(&prefix.address().into(), prefix.length())
}
