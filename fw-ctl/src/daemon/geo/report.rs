//! What is told of countries, and where an address is at home.

use std::{collections::BTreeSet, net::IpAddr, path::PathBuf, sync::Arc};

use fw_common::Prefix;

use super::{
    SUBJECT,
    work::{Read, bytes, wire_lists},
};
use crate::{
    api::wire::{Geo, GeoFile, GeoStatus},
    daemon::owner::{Owner, wire_time},
    geo::{code::Code, database::Database, home::Home},
    host::clock,
};

impl Owner {
    /// `GET /geo`
    pub fn geo_status(&self) -> GeoStatus {
        let configured = self.config.geo.selection();
        let selection = self.countries.overrides.over(&configured);
        let counts = self.counts_of_countries();
        let texts = |codes: &BTreeSet<Code>| codes.iter().map(ToString::to_string).collect();
        let problem = self.alarms.get(SUBJECT).map(|text| {
            let said = text.strip_prefix(SUBJECT);
            said.and_then(|text| text.strip_prefix(": "))
                .unwrap_or(text)
                .to_owned()
        });
        GeoStatus {
            schema: 1,
            files: self.geo_files(),
            block: texts(&selection.block),
            only: texts(&selection.only),
            changed: self.countries.overrides.words(&configured),
            lists: wire_lists(&counts),
            bytes: bytes(&counts),
            problem,
        }
    }

    fn geo_files(&self) -> Vec<GeoFile> {
        let paths = self.config.geo.databases.iter();
        let file = |path: &PathBuf| {
            let mut read = self.countries.files.iter();
            let shown = GeoFile {
                path: path.display().to_string(),
                ..GeoFile::default()
            };
            match read.find(|read| read.path == *path) {
                Some(read) => self.geo_file(read, shown),
                None => shown,
            }
        };
        paths.map(file).collect()
    }

    fn geo_file(&self, read: &Read, shown: GeoFile) -> GeoFile {
        let shown = GeoFile {
            problem: read.problem.clone(),
            ..shown
        };
        let Some(database) = &read.database else {
            return shown;
        };
        let facts = &database.facts;
        let is = |asked: Option<&Database>| {
            asked.is_some_and(|asked| std::ptr::eq(asked, Arc::as_ptr(database)))
        };
        let age = clock::now().wall.0.saturating_sub(facts.built.0);
        GeoFile {
            kind: Some(facts.kind.clone()),
            built_at: Some(wire_time(facts.built)),
            age_s: Some(u64::try_from(age).unwrap_or(0)),
            networks: Some(facts.networks),
            countries: is(self.countries.databases.countries()),
            systems: is(self.countries.databases.systems()),
            ..shown
        }
    }

    /// Where an address is at home, if a file knows.
    pub fn home(&self, address: IpAddr) -> Option<Geo> {
        self.countries
            .databases
            .home(address)
            .map(|home| wire_geo(&home))
    }

    /// Where all of a prefix is at home.
    pub(in crate::daemon) fn home_of(&self, prefix: Prefix) -> Option<Geo> {
        let home = self.countries.databases.home_of(prefix);
        home.map(|home| wire_geo(&home))
    }
}

fn wire_geo(home: &Home) -> Geo {
    Geo {
        country: home.country.map(|country| country.to_string()),
        asn: home.asn,
        as_name: home.as_name.as_deref().map(str::to_owned),
    }
}
