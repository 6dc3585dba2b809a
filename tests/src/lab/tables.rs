//! The kernel's tables, read through their pins.

use aya::maps::{Array, HashMap, LpmTrie, Map, MapData};
use fw_common::abi::{self, Config, Entry, HostV4, HostV6, MapSpec, TrieV4, TrieV6};

use super::Lab;

impl Lab {
    /// Number of blocks in the kernel.
    pub fn blocks_in_kernel(&self) -> usize {
        let hosts_v4: HashMap<_, HostV4, Entry> = self.table(abi::BLOCK_HOST_V4);
        let hosts_v6: HashMap<_, HostV6, Entry> = self.table(abi::BLOCK_HOST_V6);
        let nets_v4: LpmTrie<_, TrieV4, Entry> = self.table(abi::BLOCK_V4);
        let nets_v6: LpmTrie<_, TrieV6, Entry> = self.table(abi::BLOCK_V6);
        let hosts = hosts_v4.keys().count() + hosts_v6.keys().count();
        hosts + nets_v4.keys().count() + nets_v6.keys().count()
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
