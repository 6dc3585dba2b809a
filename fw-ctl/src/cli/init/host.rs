//! What is proposed: as this host is.

use std::{fs, path::PathBuf};

use crate::{
    config::geo,
    host::{
        links::{Link, interfaces},
        netfilter::{Choice, choose, live},
        ssh,
    },
};

/// Where databases of countries are put by those who bring them up to date.
const GEO: [&str; 3] = [
    "/var/lib/GeoIP",
    "/usr/share/GeoIP",
    "/usr/local/share/GeoIP",
];

/// What matters of this host.
#[derive(Clone, Debug, Default)]
pub struct Host {
    /// Interfaces that can be protected.
    pub interfaces: Vec<Link>,
    /// Who is logged in.
    pub peers: Vec<String>,
    /// Where the mirror would go, and why.
    pub mirror: (String, String),
    /// Databases of countries.
    pub databases: Vec<PathBuf>,
}

impl Host {
    /// Looks around.
    pub fn look() -> Self {
        let mut links = interfaces().unwrap_or_default();
        links.retain(|link| link.kind.as_deref() != Some("loopback") && link.name != "lo");
        // Those that are up first, hardware before what is made.
        links.sort_by_key(|link| (!link.up, link.kind.is_some(), link.index));
        let peers = ssh::peers().addresses;
        let (choice, why) = choose(&live());
        Self {
            interfaces: links,
            peers: peers.iter().map(ToString::to_string).collect(),
            mirror: (name(choice).to_owned(), why),
            databases: databases(),
        }
    }
}

fn name(choice: Choice) -> &'static str {
    match choice {
        Choice::IptablesNft | Choice::IptablesLegacy => "iptables",
        Choice::Nftables => "nftables",
        Choice::None => "none",
    }
}

fn databases() -> Vec<PathBuf> {
    let files = GEO.iter().filter_map(|folder| fs::read_dir(folder).ok());
    let mut found: Vec<PathBuf> = files
        .flat_map(|folder| folder.flatten().map(|entry| entry.path()))
        .filter(|path| path.extension().is_some_and(|end| end == "mmdb"))
        .collect();
    found.sort();
    found.truncate(geo::MAX_FILES);
    found
}
