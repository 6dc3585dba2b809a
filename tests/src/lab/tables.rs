//! The kernel's tables, read through their pins.

use std::net::Ipv4Addr;

use aya::maps::{Array, HashMap, Map, MapData};
use fw_common::{
    abi::{self, AutoV6, Config, Entry, HostV4, MapSpec, RowV4, RowV6},
    flat::{presence, v4},
};

use super::Lab;

impl Lab {
    /// Number of blocks in the kernel: rows that block, and what the program has blocked itself.
    pub fn blocks_in_kernel(&self) -> usize {
        let auto_v4: HashMap<_, HostV4, Entry> = self.table(abi::AUTO_V4);
        let auto_v6: HashMap<_, AutoV6, Entry> = self.table(abi::AUTO_V6);
        let rows_v4: Array<_, RowV4> = self.table(abi::ROWS_V4);
        let rows_v6: Array<_, RowV6> = self.table(abi::ROWS_V6);
        let kind = Entry::KIND | Entry::RETIRED;
        let blocks = |entry: &Entry| entry.flags & kind == Entry::BLOCK;
        let rows_v4 = rows_v4.iter().flatten().filter(|row| blocks(&row.entry));
        let rows_v6 = rows_v6.iter().flatten().filter(|row| blocks(&row.entry));
        let auto = auto_v4.keys().count() + auto_v6.keys().count();
        auto + rows_v4.count() + rows_v6.count()
    }

    /// Leaves the tables as a daemon does that is killed after it wrote the rows of these addresses, and
    /// before anything refers to them.
    pub fn lose_ranges(&self, addresses: &[Ipv4Addr]) {
        let mut root: Array<_, u64> = self.table(abi::ROOT);
        root.set(abi::ROOT_WRITING as u32, 1, 0)
            .expect("it can be written");
        let mut slots: Array<_, u64> = self.table(abi::DIR_V4);
        let mut near: Array<_, u64> = self.table(abi::NEAR);
        for address in addresses {
            let address = address.to_bits();
            slots
                .set(v4::slot(address), 0, 0)
                .expect("it can be written");
            let (word, _) = presence::v4(address);
            near.set(word, 0, 0).expect("it can be written");
        }
    }

    /// Gives the detector of the next daemon a seed, so that its hashes are those of another run.
    pub fn set_scan_seed(&self, seed: u64) {
        let mut configs: Array<_, Config> = self.table(abi::CONFIG);
        let config = configs.get(&0, 0).expect("a configuration");
        let config = Config { seed, ..config };
        configs.set(0, config, 0).expect("it can be written");
    }

    fn table<T: TryFrom<Map>>(&self, spec: MapSpec) -> T {
        let version = format!("v{}", abi::VERSION);
        let file = self.pins().join(version).join(spec.name);
        let map = MapData::from_pin(&file).and_then(Map::from_map_data);
        let map = map.unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        let table = T::try_from(map);
        table.unwrap_or_else(|_| panic!("{} is another kind of map", file.display()))
    }
}
