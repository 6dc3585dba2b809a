//! All files together: the first that knows countries says the country, the first that knows
//! autonomous systems says the system.

use std::{net::IpAddr, path::PathBuf, sync::Arc};

use fw_common::Prefix;

use super::{
    code::Code,
    compile::is_tunnel,
    database::{Database, Facts},
    home::Home,
};

/// A file that was read.
#[derive(Clone)]
pub struct File {
    /// Where it stands.
    pub path: PathBuf,
    /// What is in it.
    pub database: Arc<Database>,
}

/// The files, in the order of the configuration.
#[derive(Clone, Default)]
pub struct Databases(pub Vec<File>);

impl Databases {
    /// Who says the country.
    pub fn countries(&self) -> Option<&Database> {
        self.first(|facts| facts.countries)
    }

    /// Who says the autonomous system.
    pub fn systems(&self) -> Option<&Database> {
        self.first(|facts| facts.systems)
    }

    /// Who knows the addresses of a code.
    pub fn knowing(&self, code: Code) -> Option<&Database> {
        match code {
            Code::Country(_) => self.countries(),
            Code::As(_) => self.systems(),
        }
    }

    fn first(&self, knows: impl Fn(&Facts) -> bool) -> Option<&Database> {
        let databases = self.0.iter().map(|file| &*file.database);
        { databases }.find(|database| knows(&database.facts))
    }

    /// Where an address is at home; `None` if nothing is known of it.
    pub fn home(&self, address: IpAddr) -> Option<Home> {
        self.home_of(Prefix::host(address))
    }

    /// Where all addresses of a prefix are at home, if the files say the same of all of them by one
    /// network.
    pub fn home_of(&self, prefix: Prefix) -> Option<Home> {
        if is_tunnel(prefix.address()) {
            return None;
        }
        let find = |database: Option<&'_ Database>| {
            let (home, network) = database?.find(prefix.address())?;
            (network.length() <= prefix.length()).then(|| home.clone())
        };
        let country = find(self.countries()).unwrap_or_default();
        let system = find(self.systems()).unwrap_or_default();
        let home = Home {
            country: country.country,
            asn: system.asn,
            as_name: system.as_name,
        };
        (!home.is_empty()).then_some(home)
    }
}
