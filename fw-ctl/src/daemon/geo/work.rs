//! Reading files, and working out what a selection comes to. Nothing of the daemon is touched.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::{
    api::wire::{Code, GeoList},
    backend::xdp::shape::bytes_of,
    daemon::problem::{Failure, bad_input},
    geo::{
        code,
        compile::compile,
        database::Database,
        databases::{Databases, File},
        selection::{Overrides, Selection},
    },
    host::files::{Stamp, read_stamped},
    policy::{
        entry::{Comment, Item, ListName},
        table::Count,
    },
};

/// A file as it was last read.
#[derive(Clone)]
pub struct Read {
    /// Where it stands.
    pub path: PathBuf,
    /// What was found there, good or not.
    stamp: Option<Stamp>,
    /// The last good content.
    pub database: Option<Arc<Database>>,
    /// Why that is not what is found there now.
    pub problem: Option<String>,
}

/// What a work begins with.
pub struct Before {
    pub(super) paths: Vec<PathBuf>,
    pub(super) files: Vec<Read>,
    pub(super) selection: Selection,
    pub(super) overrides: Overrides,
    /// What somebody names and waits for: it must be known.
    pub(super) asked: BTreeSet<code::Code>,
    /// The lists in force.
    pub(super) standing: BTreeMap<ListName, Count>,
    /// Whether they are those of the selection, with the files as they were read.
    pub(super) is_done: bool,
    /// Whether the last try failed a short while ago.
    pub(super) is_waiting: bool,
}

/// What it came to.
pub struct Worked {
    pub(super) files: Vec<Read>,
    pub(super) databases: Databases,
    pub(super) selection: Selection,
    pub(super) overrides: Overrides,
    /// The lists of the selection; those with nothing stay as they are.
    pub(super) wanted: BTreeMap<ListName, Option<Vec<Item>>>,
    pub(super) counts: BTreeMap<ListName, Count>,
    /// What keeps files and lists from being what they should be.
    pub(super) problems: Vec<String>,
    /// What who selects should know.
    pub(super) warnings: Vec<String>,
}

impl Before {
    /// Whether there is anything to do.
    pub(super) fn is_stale(&self) -> bool {
        let read = self.files.iter().map(|read| &read.path);
        let is_other = |read: &Read| Stamp::now(&read.path) != read.stamp;
        let is_behind = !self.is_done || !read.eq(&self.paths);
        !self.is_waiting && (is_behind || self.files.iter().any(is_other))
    }

    /// Does it.
    ///
    /// # Errors
    /// What was asked for and is in no file, or too much.
    pub(super) fn work_out(self) -> Result<Worked, Failure> {
        if self.selection.block.len() > Selection::MAX {
            let message = format!("at most {} codes can be blocked", Selection::MAX);
            return Err(Failure::new(Code::Full, message));
        }
        let files: Vec<Read> = self.paths.iter().map(|path| self.read(path)).collect();
        let good = files.iter().filter_map(|read| {
            let database = Arc::clone(read.database.as_ref()?);
            Some(File {
                path: read.path.clone(),
                database,
            })
        });
        let databases = Databases(good.collect());
        let compiled = compile(&self.selection, &databases)
            .map_err(|error| Failure::new(Code::Store, error.to_string()))?;
        let unknown: Vec<_> = self.asked.intersection(&compiled.missing).collect();
        if let Some(first) = unknown.first() {
            return Err(unknown_code(**first, &files, &databases));
        }
        let mut problems: Vec<String> = files.iter().filter_map(told).collect();
        problems.extend(lacking(&compiled.missing));
        let mut wanted: BTreeMap<ListName, Option<Vec<Item>>> = BTreeMap::new();
        let mut counts = BTreeMap::new();
        for list in lists_of(&self.selection) {
            let stands = self.standing.get(&list).copied().unwrap_or_default();
            let prefixes = compiled.lists.get(&list);
            let count = prefixes.map_or(stands, |prefixes| {
                let ipv4 = prefixes.partition_point(|prefix| prefix.address().is_ipv4());
                Count {
                    ipv4,
                    ipv6: prefixes.len() - ipv4,
                }
            });
            counts.insert(list.clone(), count);
            let items = prefixes.map(|prefixes| {
                let item = |prefix| Item {
                    prefix,
                    deadline: None,
                    comment: Comment::default(),
                    created: None,
                };
                prefixes.iter().copied().map(item).collect()
            });
            wanted.insert(list, items);
        }
        Ok(Worked {
            warnings: warnings(&self.selection, &databases),
            files,
            databases,
            selection: self.selection,
            overrides: self.overrides,
            wanted,
            counts,
            problems,
        })
    }

    /// A file as it is now, or as it was when it was good.
    fn read(&self, path: &Path) -> Read {
        let known = self.files.iter().find(|read| read.path == *path);
        let stamp = Stamp::now(path);
        if let Some(known) = known.filter(|known| known.stamp == stamp && stamp.is_some()) {
            return known.clone();
        }
        match load(path) {
            Ok((database, stamp)) => Read {
                path: path.to_owned(),
                stamp: Some(stamp),
                database: Some(database),
                problem: None,
            },
            Err(problem) => Read {
                path: path.to_owned(),
                stamp,
                database: known.and_then(|known| known.database.clone()),
                problem: Some(problem),
            },
        }
    }
}

/// What is in a file, and which file that is.
///
/// # Errors
/// In words, why it cannot be used.
pub(in crate::daemon) fn load(path: &Path) -> Result<(Arc<Database>, Stamp), String> {
    let (bytes, stamp) = read_stamped(path).map_err(|error| error.to_string())?;
    let database = Database::parse(bytes).map_err(|error| error.to_string())?;
    Ok((Arc::new(database), stamp))
}

impl Worked {
    /// The lists there are then, those of one code first.
    pub fn lists(&self) -> Vec<GeoList> {
        wire_lists(&self.counts)
    }

    /// What they take of the kernel's tables.
    pub fn bytes(&self) -> u64 {
        bytes(&self.counts)
    }
}

/// As they go over the wire.
pub(super) fn wire_lists(counts: &BTreeMap<ListName, Count>) -> Vec<GeoList> {
    let list = |(name, count): (&ListName, &Count)| GeoList {
        list: name.to_string(),
        ipv4: count.ipv4,
        ipv6: count.ipv6,
    };
    counts.iter().map(list).collect()
}

/// What lists of so many prefixes take of the kernel's tables.
pub(super) fn bytes(counts: &BTreeMap<ListName, Count>) -> u64 {
    let of = |family: fn(&Count) -> usize| counts.values().map(family).sum();
    bytes_of(of(|count| count.ipv4), of(|count| count.ipv6))
}

fn lists_of(selection: &Selection) -> impl Iterator<Item = ListName> {
    let only = (!selection.only.is_empty()).then(ListName::geo_only);
    selection.block.iter().map(ListName::geo).chain(only)
}

fn told(read: &Read) -> Option<String> {
    let problem = read.problem.as_ref()?;
    let goes_on = match read.database {
        Some(_) => "; what it said before counts",
        None => "",
    };
    Some(format!("{}: {problem}{goes_on}", read.path.display()))
}

fn lacking(missing: &BTreeSet<code::Code>) -> Option<String> {
    /// Codes that are named.
    const SHOWN: usize = 10;
    let named: Vec<String> = missing
        .iter()
        .take(SHOWN)
        .map(ToString::to_string)
        .collect();
    let more = missing.len().saturating_sub(SHOWN);
    let more = (more > 0).then(|| format!(" and {more} more"));
    (!missing.is_empty()).then(|| {
        format!(
            "no address of {}{} is in any file: their lists stay as they were",
            named.join(", "),
            more.unwrap_or_default()
        )
    })
}

fn unknown_code(code: code::Code, files: &[Read], databases: &Databases) -> Failure {
    let hint = match (files.is_empty(), databases.knowing(code)) {
        (true, _) => "name files under [geo] in the configuration: `databases = [...]`",
        (false, Some(_)) => "`fw-ctl geo find ADDR` says what the files know",
        (false, None) => "`fw-ctl geo` shows the files, and what they know",
    };
    bad_input(format!("no address of {code} is in any file")).with_hint(hint)
}

fn warnings(selection: &Selection, databases: &Databases) -> Vec<String> {
    let both = selection.block.intersection(&selection.only);
    let mut warnings: Vec<String> = both
        .map(|code| format!("{code} is among those that may pass, and blocked: it is blocked"))
        .collect();
    let blind = selection.only.iter().any(|code| {
        let database = databases.knowing(*code);
        database.is_some_and(|database| !database.facts.ipv6)
    });
    if blind {
        let text = "a file knows no IPv6: all of IPv6 is outside of what may pass";
        warnings.push(text.to_owned());
    }
    warnings
}

#[cfg(test)]
mod tests;
