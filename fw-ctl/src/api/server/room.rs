//! How many connections there may be: in all, and of one user or host, so that nobody takes the room of
//! the others. Who finds none is sent away at once.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
};

use parking_lot::Mutex;

/// Who connects.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Key {
    /// A user of this host.
    User(Option<u32>),
    /// An address, or with IPv6 a /64.
    Host(IpAddr),
}

impl Key {
    /// Who is counted as one.
    pub fn host(address: IpAddr) -> Self {
        Self::Host(match address.to_canonical() {
            IpAddr::V4(address) => address.into(),
            IpAddr::V6(address) => {
                let [a, b, c, d, ..] = address.segments();
                Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
            }
        })
    }
}

/// Room for connections.
#[derive(Debug)]
pub struct Room {
    /// Of all.
    most: usize,
    /// Of one.
    each: usize,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<Key, usize>,
}

impl Room {
    /// On the Unix socket.
    pub fn of_users() -> Self {
        Self::new(2048, 1024)
    }

    /// Over TCP.
    pub fn of_hosts() -> Self {
        Self::new(512, 64)
    }

    fn new(most: usize, each: usize) -> Self {
        Self {
            most,
            each,
            taken: Mutex::default(),
        }
    }

    /// A place, if there is one.
    pub fn enter(self: &Arc<Self>, key: Key) -> Option<Slot> {
        let mut taken = self.taken.lock();
        let own = taken.by.get(&key).copied().unwrap_or(0);
        if taken.all >= self.most || own >= self.each {
            return None;
        }
        taken.all += 1;
        taken.by.insert(key, own + 1);
        Some(Slot {
            room: Arc::clone(self),
            key,
        })
    }
}

/// A place, until dropped.
#[derive(Debug)]
pub struct Slot {
    room: Arc<Room>,
    key: Key,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.room.taken.lock();
        taken.all -= 1;
        if let Some(own) = taken.by.get_mut(&self.key) {
            *own -= 1;
            if *own == 0 {
                taken.by.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> Key {
        Key::host(text.parse().expect("an address"))
    }

    #[test]
    fn nobody_takes_more_than_his_part_and_all_not_more_than_there_is() {
        let room = Arc::new(Room::new(3, 2));
        let mut slots: Vec<_> = ["192.0.2.1"; 2].map(|text| room.enter(host(text))).into();
        assert!(slots.iter().all(Option::is_some));
        assert!(room.enter(host("192.0.2.1")).is_none());
        slots.push(room.enter(host("192.0.2.2")));
        assert!(slots[2].is_some());
        assert!(room.enter(host("192.0.2.3")).is_none(), "there are three");
        slots.remove(0);
        assert!(room.enter(host("192.0.2.3")).is_some());
        slots.clear();
        assert!(room.taken.lock().by.is_empty() && room.taken.lock().all == 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_and_so_is_a_mapped_address() {
        assert_eq!(host("2001:db8::1"), host("2001:db8:0:0:ffff::"));
        assert_ne!(host("2001:db8::1"), host("2001:db8:0:1::1"));
        assert_eq!(host("::ffff:192.0.2.1"), host("192.0.2.1"));
        assert_ne!(host("192.0.2.1"), host("192.0.2.2"));
        assert_ne!(Key::User(Some(0)), Key::User(None));
    }
}
