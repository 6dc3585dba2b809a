//! Countries and autonomous systems, with files that the tests make.
//!
//! - [`blocking`]: who is dropped and who passes
//! - [`files`]: files that change, break and go away
//! - [`refused`]: what is not done, and leaves everything as it was
//! - [`shown`]: where an address is said to be

mod blocking;
mod files;
mod refused;
mod shown;

use std::{fs, path::PathBuf};

use fw_common::Prefix;
use fw_tests::{
    lab::{
        Lab,
        address::GLOBAL,
        daemon::{Daemon, eventually},
    },
    mmdb::{self, Tree},
    world,
};
use serde_json::{Value, json};

/// A lab on a link with addresses of the Internet: what the tests block is in KP, the rest of the
/// link in DE, and one address there in AS64500.
pub struct World {
    /// Joined by that link.
    pub lab: Lab,
}

impl World {
    /// Both files are there.
    pub fn new(lab: Lab) -> Self {
        lab.link(2, &GLOBAL);
        let world = Self { lab };
        world.write(1);
        world.put(&world.systems(), systems());
        world
    }

    fn countries(&self) -> PathBuf {
        self.lab.directory().join("country.mmdb")
    }

    fn systems(&self) -> PathBuf {
        self.lab.directory().join("asn.mmdb")
    }

    /// Puts another file of countries in the place of the one that is there.
    fn write(&self, seed: u64) {
        self.put(&self.countries(), countries(seed));
    }

    fn put(&self, path: &PathBuf, bytes: Vec<u8>) {
        let new = path.with_extension("new");
        fs::write(&new, bytes).expect("it can be written");
        fs::rename(new, path).expect("it can be moved");
    }

    /// A daemon with these lines under `[geo]`. The ends of the link are guarded, for they mark the
    /// end of what is sent.
    pub fn start(&self, lines: &str) -> Daemon<'_> {
        self.configure(lines);
        self.lab.daemon().start()
    }

    fn configure(&self, lines: &str) {
        let [v4, v6] = GLOBAL.map(|net| net.gateway);
        let config = format!(
            "interfaces = [\"server0\", \"server2\"]\nmirror.backend = \"none\"\n\
             guard.prefixes = [\"{v4}\", \"{v6}\"]\n\
             [tables]\nipv4 = 131072\nipv6 = 32768\nallows = 8192\n\
             [geo]\ndatabases = [{:?}, {:?}]\n{lines}\n",
            self.countries(),
            self.systems(),
        );
        fs::write(self.lab.config(), config).expect("configured");
    }

    /// What `fw-ctl geo` says.
    fn told(&self) -> Value {
        self.lab.json(&["geo"])
    }

    /// Waits until files are read and lists are made, without anything wrong.
    #[track_caller]
    pub fn until_well(&self) {
        eventually("countries are as selected", || {
            let told = self.told();
            let files = told["files"].as_array().expect("files").clone();
            let is_read = |file: &Value| file["networks"] != json!(null);
            let count = |key: &str| told[key].as_array().map_or(0, Vec::len);
            let lists = count("block") + usize::from(count("only") > 0);
            told["problem"].is_null() && files.iter().all(is_read) && count("lists") == lists
        });
    }

    /// What is in KP is dropped, and nothing else.
    #[track_caller]
    fn drops_kp_alone(&self) {
        for net in GLOBAL {
            assert!(self.lab.arriving(&net.inside()).is_empty());
            assert_eq!(self.lab.arriving(&net.outside()), net.outside());
        }
    }

    /// Everything arrives.
    #[track_caller]
    fn drops_nobody(&self) {
        for net in GLOBAL {
            assert_eq!(self.lab.arriving(&net.inside()), net.inside());
            assert_eq!(self.lab.arriving(&net.outside()), net.outside());
        }
    }
}

fn prefix(text: &str) -> Prefix {
    text.parse().expect(text)
}

/// A file of 10,000 networks, with the link's in it.
fn countries(seed: u64) -> Vec<u8> {
    let (mut tree, _) = world::tree(8_000, 2_000, seed);
    place(&mut tree);
    tree.bytes()
}

/// Puts the link's networks into a file.
fn place(tree: &mut Tree) {
    let [home, block] = ["DE", "KP"].map(|code| tree.record(&mmdb::country(code)));
    for (net, wide) in GLOBAL.iter().zip(["5.5.5.0/24", "2a00:5:5::/64"]) {
        tree.insert(prefix(wide), home);
        tree.insert(prefix(net.block), block);
    }
}

fn systems() -> Vec<u8> {
    let mut tree = Tree::new(mmdb::Shape {
        kind: "Test-ASN",
        ..mmdb::Shape::default()
    });
    let record = tree.record(&mmdb::system(64500, "Example \u{1b}[31m<b>"));
    for net in GLOBAL {
        tree.insert(Prefix::host(net.free), record);
    }
    tree.bytes()
}
